"""The JSON Schema of a message and the AsyncAPI document, from the model: `townpost schema`.

`make schema` writes them to docs/message.schema.json and docs/asyncapi.json. Both are committed; a test fails when they
differ from what this would write.
"""

import json
from pathlib import Path

from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.settings import Settings

__all__ = ["asyncapi", "documents", "dump", "message_schema", "schemas"]

_DOCS = Path(__file__).resolve().parents[2] / "docs"

_EXAMPLE = {
    "id": "0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11",
    "timestamp": "2025-03-29T08:32:00Z",
    "message": "Order 7 was placed",
    "sender": "shop",
    "count": 1,
    "data": {"order": 7, "items": [{"article": "tea", "price": None}]},
}


def documents() -> dict[Path, str]:
    """Each file with the text it should have."""
    return {_DOCS / "message.schema.json": dump(message_schema()), _DOCS / "asyncapi.json": dump(asyncapi())}


def message_schema() -> dict[str, object]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Message.model_json_schema()}


def asyncapi() -> dict[str, object]:
    fields = Settings.model_fields
    name = {setting: fields[setting].default for setting in ("channel", "queue", "reliable_queue", "stream")}

    def one(address: str, title: str, description: str) -> dict[str, object]:
        return {
            "address": address,
            "title": title,
            "description": description,
            "messages": {"message": {"$ref": "#/components/messages/message"}},
        }

    def operation(action: str, name: str) -> dict[str, object]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/message"}],
        }

    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Townpost",
            "version": "1.0.0",
            "description": "JSON messages over Redis. Names are the defaults of the settings.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"redis": {"host": "localhost:6379", "protocol": "redis"}},
        "channels": {
            "pubsub": one(
                name["channel"], "Pub/sub channel", "PUBLISH and SUBSCRIBE; every subscriber hears each message."
            ),
            "queue": one(name["queue"], "List", "RPUSH and BLPOP; each message is taken once, oldest first."),
            "reliable": one(
                name["reliable_queue"], "Reliable queue", "RPUSH; consumers claim and settle (docs/reliable.md)."
            ),
            "stream": one(name["stream"], "Stream", "XADD with the JSON in the field message; groups read it."),
        },
        "operations": {
            f"{action}{name.capitalize()}": operation(action, name)
            for name in PATTERNS
            for action in ("send", "receive")
        },
        "components": {
            "messages": {
                "message": {
                    "name": "Message",
                    "contentType": "application/json",
                    "payload": {"$ref": "#/components/schemas/Message"},
                    "examples": [{"payload": _EXAMPLE}],
                }
            },
            "schemas": schemas(),
        },
    }


def schemas() -> dict[str, object]:
    """The model and what it refers to, beside each other: tools resolve references from the root of the document."""
    message = Message.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**message.pop("$defs", {}), "Message": message}


def dump(document: dict[str, object]) -> str:
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
