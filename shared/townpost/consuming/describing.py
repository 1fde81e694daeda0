"""The AsyncAPI document of an app: what it receives, where, and what each payload must be."""

import re

from townpost.consuming.app import App
from townpost.consuming.routes import Route
from townpost.consuming.subscriptions import Subscription
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
    channels: dict[str, object] = {}
    operations: dict[str, object] = {}
    messages: dict[str, object] = {}
    for one in subscriptions:
        channel = _identifier(f"{one.pattern}.{one.name}")
        names = [_message(one, kind, route, found, messages) for kind, route in one.routes.by_type.items()]
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


def _message(
    one: Subscription, kind: str | None, route: Route, found: dict[str, object], messages: dict[str, object]
) -> str:
    """Its name, once it stands among the messages."""
    name = _identifier(f"{one.pattern}.{one.name}.{kind or 'message'}")
    payload: dict[str, object] = {"$ref": "#/components/schemas/Message"}
    properties: dict[str, object] = {}
    required = []
    if kind is not None:
        properties["type"] = {"const": kind}
        required.append("type")
    if route.model is not None:
        schema = route.model.model_json_schema(ref_template=_REF)
        found |= schema.pop("$defs", {})
        found[route.model.__name__] = schema
        properties["data"] = {"$ref": f"#/components/schemas/{route.model.__name__}"}
        required.append("data")
    if properties:
        payload = {"allOf": [payload, {"type": "object", "properties": properties, "required": required}]}
    messages[name] = {"name": kind or "message", "contentType": "application/json", "payload": payload}
    return name


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)
