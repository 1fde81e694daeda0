"""The AsyncAPI document of an app."""

import json

import jsonschema
import pytest
from pydantic import BaseModel

from townpost import App, Message, Settings
from townpost.consuming.describing import describe


class Item(BaseModel):
    article: str


class Order(BaseModel):
    number: int
    items: list[Item]


def _app() -> App:
    app = App(settings=Settings.read(redis_url="redis://127.0.0.1:1"))

    @app.handler("orders", type="order.placed")
    def place(order: Order) -> None: ...

    @app.handler("orders")
    def rest(message: Message) -> None: ...

    @app.handler("log", pattern="stream", group="audit")
    async def audit(orders: Order) -> None: ...

    return app


def resolved(document: dict[str, object], reference: str) -> object:
    place: object = document
    for step in reference.removeprefix("#/").split("/"):
        assert isinstance(place, dict)
        place = place[step]
    return place


def test_every_subscription_is_a_channel_and_every_reference_resolves() -> None:
    document = describe(_app(), "shop")

    assert set(document["channels"]) == {"reliable_orders", "stream_log"}  # type: ignore[call-overload]  # a document is typed as JSON, not as its schema
    assert set(document["operations"]) == {"receive_reliable_orders", "receive_stream_log_audit"}  # type: ignore[call-overload]  # a document is typed as JSON, not as its schema
    text = json.dumps(document)
    for part in text.split('"$ref": "')[1:]:
        resolved(document, part.split('"')[0])


@pytest.mark.parametrize(
    ("data", "fits"), [({"number": 1, "items": [{"article": "tea"}]}, True), ({"number": 1}, False)]
)
def test_a_payload_is_described_as_its_model(data: dict[str, object], *, fits: bool) -> None:
    document = describe(_app(), "shop")
    payload = resolved(document, "#/components/messages/reliable_orders_order_placed/payload")
    message = json.loads(Message.create("x", type="order.placed", data=data).encode())  # type: ignore[arg-type]  # a document is typed as JSON, not as its schema

    schema = {**payload, "components": document["components"]}  # type: ignore[dict-item]  # a document is typed as JSON, not as its schema
    problems = list(jsonschema.Draft202012Validator(schema).iter_errors(message))

    assert (problems == []) is fits
