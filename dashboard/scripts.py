"""Reads of reports that are bounded inside Redis: any client may have put 250 MiB there. They run under EVAL_RO."""

from collections.abc import Sequence
from pathlib import Path

from townpost import Command

__all__ = ["names", "texts"]

_LONGEST = 700
"""Bytes of the id of an instance."""

_FOLDER = Path(__file__).parent / "lua"
_TEXT = {file.stem: file.read_bytes() for file in _FOLDER.glob("*.lua")}


def names(key: str, most: int) -> Command:
    return _read("names", [key], most, _LONGEST)


def texts(keys: Sequence[str], most_bytes: int) -> Command:
    return _read("texts", keys, most_bytes)


def _read(name: str, keys: Sequence[str], *arguments: int) -> Command:
    return ("EVAL_RO", _TEXT[name], len(keys), *keys, *arguments)
