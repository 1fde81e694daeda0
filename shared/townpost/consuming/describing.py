"""The AsyncAPI document of an app: what it receives, where, and what each payload must be."""

import re
from collections.abc import Sequence

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import models_json_schema

from townpost.consuming.app import App
from townpost.consuming.routes import Route
from townpost.consuming.subscriptions import Subscription
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.schema import schemas

__all__ = ["describe"]

_REF = "#/components/schemas/{model}"


def describe(app: App, title: str) -> dict[str, object]:
    """For tools of the AsyncAPI world, version 3.1.

    Raises:
        SettingError: the app cannot be served.
    """
    subscriptions = app.subscriptions()
    found = schemas()
    data = _payloads(subscriptions, found)
    channels: dict[str, object] = {}
    operations: dict[str, object] = {}
    messages: dict[str, object] = {}
    for one in subscriptions:
        channel = _identifier(f"{one.pattern}.{one.name}")
        names = [
            _message(one, kind, data.get(route.model) if route.model else None, messages)
            for kind, route in one.routes.by_type.items()
        ]
        known = channels.setdefault(
            channel,
            {"address": one.name, "title": f"{PATTERNS[one.pattern].label} {one.name}", "messages": {}},
        )
        assert isinstance(known, dict)  # noqa: S101 - as made above
        known["messages"] |= {name: {"$ref": f"#/components/messages/{name}"} for name in names}
        group = one.place[2]
        operations[_identifier(f"receive.{one.pattern}.{one.name}.{group}".rstrip("."))] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": f"group {group}" if group else one.name,
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        }
    return {
        "asyncapi": "3.1.0",
        "info": {"title": title, "version": "1.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": found},
    }


def _payloads(subscriptions: Sequence[Subscription], found: dict[str, object]) -> dict[type[BaseModel], object]:
    """The schema of each model, which stands among those found then; two of one name get longer ones.

    Raises:
        SettingError: a model has no schema.
    """
    models: dict[type[BaseModel], Route] = {}
    for one in subscriptions:
        models |= {route.model: route for route in one.routes.by_type.values() if route.model is not None}
    for model, route in models.items():
        try:
            model.model_json_schema()
        except PydanticInvalidForJsonSchema as error:
            raise SettingError(
                f"the model {model.__name__} of the handler {route.name} has no JSON Schema: {error.message}"
            ) from None
    every: tuple[type[BaseModel], ...] = (Message, *models)  # ours, too, so that no other has its name
    taken = models_json_schema([(model, "validation") for model in every], ref_template=_REF)
    found |= {name: schema for name, schema in taken[1].get("$defs", {}).items() if name not in found}
    return {model: taken[0][model, "validation"] for model in models}


def _message(one: Subscription, kind: str | None, data: object, messages: dict[str, object]) -> str:
    """Its name, once it stands among the messages."""
    name = _identifier(f"{one.pattern}.{one.name}.{kind or 'message'}")
    payload: dict[str, object] = {"$ref": "#/components/schemas/Message"}
    properties: dict[str, object] = {}
    required = []
    if kind is not None:
        properties["type"] = {"const": kind}
        required.append("type")
    if data is not None:
        properties["data"] = data
        required.append("data")
    if properties:
        payload = {"allOf": [payload, {"type": "object", "properties": properties, "required": required}]}
    message = {"name": kind or "message", "contentType": "application/json", "payload": payload}
    if messages.get(name, message) != message:  # what another group takes of the same stream
        name = _identifier(f"{name}.{one.place[2]}")
    messages[name] = message
    return name


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)
