"""What is read inside Redis, so that of a payload its beginning alone is sent: anyone may have put 250 MiB there.

Each script opens with its keys, arguments and result. All but the last write nothing, and run under EVAL_RO.
"""

from collections.abc import Sequence
from pathlib import Path

from townpost import STAMP_LENGTH, Command, keys

__all__ = ["claims", "entries", "entries_of", "heads", "names", "reschedule", "scheduled", "texts"]

_LONGEST = 700
"""Bytes of a name: that of a claim holds those of its queue and of its consumer."""

_FOLDER = Path(__file__).parent / "lua"
_TEXT = {file.stem: file.read_bytes() for file in _FOLDER.glob("*.lua")}


def names(key: str, most: int) -> Command:
    return _read("names", [key], most, _LONGEST)


def claims(queue: str, most: int) -> Command:
    literal = "".join(f"\\{c}" if c in "*?[]\\" else c for c in keys.of(queue).claims)
    return _read("claims", [keys.of(queue).leases], f"{literal}*", most, _LONGEST)


def texts(keys: Sequence[str], most_bytes: int) -> Command:
    return _read("texts", keys, most_bytes)


def heads(keys: Sequence[str | bytes], cut: int) -> Command:
    return _read("heads", keys, cut)


def entries(stream: str, start: str | bytes, most: int, cut: int, *fields: str) -> Command:
    return _read("entries", [stream], most, cut, start, "+", *fields)


def entries_of(stream: str, ids: Sequence[str], cut: int) -> Command:
    return _read("entries", [stream], 0, cut, "", "", *ids)


def scheduled(key: str, attempts: str, offset: int, most: int, cut: int) -> Command:
    return _read("scheduled", [key, attempts], offset, most, cut, STAMP_LENGTH)


def reschedule(key: str, action: str, members: Sequence[tuple[str, str]]) -> Command:
    return ("EVAL", _TEXT["reschedule"], 1, key, action, *(word for member in members for word in member))


def _read(name: str, keys: Sequence[str | bytes], *arguments: str | bytes | float) -> Command:
    return ("EVAL_RO", _TEXT[name], len(keys), *keys, *arguments)
