"""The message all contestants carry: about 170 bytes as Townpost's publisher writes it. Standard library only."""

import json
from collections.abc import Sequence
from uuid import uuid4

__all__ = ["document", "payload", "payloads"]

_EPOCH = "b1f0c7"


def document(number: int, text: str = "") -> dict[str, object]:
    """What a peer's task or handler is given."""
    return {
        "id": str(uuid4()),
        "timestamp": "2026-01-31T08:32:00.123456Z",
        "message": text or f"Hello from Python #{number}",
        "sender": "bench",
        "count": number,
        "epoch": _EPOCH,
    }


def payload(number: int, size: int = 0) -> bytes:
    """The same as bytes; filled up to ``size`` where that is more."""
    plain = json.dumps(document(number), separators=(",", ":")).encode()
    if len(plain) >= size:
        return plain
    text = f"Hello from Python #{number}"
    return json.dumps(document(number, text + "." * (size - len(plain))), separators=(",", ":")).encode()


_made: dict[int, list[bytes]] = {}


def payloads(count: int, size: int = 0) -> Sequence[bytes]:
    """Messages 1 to ``count``; made once, as that takes longer than to send them."""
    made = _made.setdefault(size, [])
    made.extend(payload(number, size) for number in range(len(made) + 1, count + 1))
    return made[:count]
