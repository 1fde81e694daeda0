"""The AsyncAPI document of an app."""

import json
from collections.abc import Callable

import jsonschema
import pytest
from pydantic import BaseModel, create_model

from townpost import App, Message, SettingError, Settings
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


def _named(name: str, **fields: type) -> type[BaseModel]:
    return create_model(name, **{field: (kind, ...) for field, kind in fields.items()})  # type: ignore[call-overload, no-any-return]  # a document is typed as JSON, not as its schema


def test_models_of_the_same_name_are_told_apart() -> None:
    # Given three models called Order, one of them in another, and one called Message, as ours is
    app = App(settings=Settings.read(redis_url="redis://127.0.0.1:1"))
    models = {
        "a": _named("Order", a=int),
        "b": _named("Order", b=_named("Order", inner=int)),
        "c": _named("Message", c=int),
    }
    for queue, model in models.items():

        def handle(payload: BaseModel) -> None: ...

        handle.__annotations__["payload"] = model
        app.handler(queue)(handle)

    # When the app is described
    document = json.loads(json.dumps(describe(app, "app")))

    # Then each message has the payload of its own
    for queue in models:
        payload = document["components"]["messages"][f"reliable_{queue}_message"]["payload"]
        whole, own = payload["allOf"]
        assert "timestamp" in resolved(document, whole["$ref"])["properties"]  # type: ignore[index]  # a document is typed as JSON, not as its schema
        data = resolved(document, own["properties"]["data"]["$ref"])
        assert list(data["properties"]) == [queue]  # type: ignore[index]  # a document is typed as JSON, not as its schema


def test_each_group_of_a_stream_has_its_own_payload() -> None:
    app = App(settings=Settings.read(redis_url="redis://127.0.0.1:1"))

    @app.handler("log", pattern="stream", group="audit")
    def audit(order: Order) -> None: ...

    @app.handler("log", pattern="stream", group="stock")
    def stock(item: Item) -> None: ...

    document = json.loads(json.dumps(describe(app, "app")))

    taken = {}
    for operation in document["operations"].values():
        (reference,) = operation["messages"]
        message = resolved(document, resolved(document, reference["$ref"])["$ref"])  # type: ignore[index]  # a document is typed as JSON, not as its schema
        taken[operation["title"]] = message["payload"]["allOf"][1]["properties"]["data"]["$ref"]  # type: ignore[index]  # a document is typed as JSON, not as its schema
    assert taken == {"group audit": "#/components/schemas/Order", "group stock": "#/components/schemas/Item"}


def test_a_model_that_no_schema_describes_is_named() -> None:
    class Odd(BaseModel):
        call: Callable[[], int] = int

    app = App(settings=Settings.read(redis_url="redis://127.0.0.1:1"))

    def handle(odd: Odd) -> None: ...

    handle.__annotations__["odd"] = Odd
    app.handler("odd")(handle)

    with pytest.raises(SettingError, match=r"the model Odd of the handler .*handle has no JSON Schema: "):
        describe(app, "app")


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
