"""Plain Python out of what Redis answers; a refusal (an ACL may forbid a command) is empty, like what is not known."""

from townpost import Reply

__all__ = ["bytes_of", "floats", "info", "pairs"]


def bytes_of(reply: Reply) -> list[bytes]:
    return [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []


def pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Of a flat list: name, value, name, value."""
    flat = bytes_of(reply)
    return list(zip(flat[::2], flat[1::2], strict=False))


def floats(reply: Reply) -> dict[str, float]:
    """Of a sorted set with its scores."""
    return {name.decode(errors="replace"): float(score) for name, score in pairs(reply)}


def info(reply: Reply) -> dict[str, str]:
    """Of INFO; empty where it is forbidden."""
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
