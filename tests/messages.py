"""Messages for tests, as other programs would write them."""

import json
from uuid import uuid4

from townpost.message import Message, read


def wire(text: str = "hi", **fields: object) -> bytes:
    """A message with the five fields, some of them changed."""
    document: dict[str, object] = {
        "id": str(uuid4()),
        "timestamp": "2025-03-29T08:32:00Z",
        "message": text,
        "sender": "a-test",
        "count": 1,
    }
    return json.dumps(document | fields).encode()


def parsed(raw: object) -> Message:
    """The message in what a client found."""
    assert isinstance(raw, bytes)
    return read(raw)
