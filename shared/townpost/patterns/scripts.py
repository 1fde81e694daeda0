"""Loads Lua scripts. Each is a file beside its pattern, and begins with its keys, arguments and result."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from townpost.redis.connection import Command, Connection

__all__ = ["Script"]

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(rb"^--#include (\S+)$", re.MULTILINE)


class Script:
    """One script; its keys are declared with every call."""

    def __init__(self, path: str, *, when_full: bool = False) -> None:
        """Read the file and what it includes; paths start at this folder.

        Args:
            path: of the file.
            when_full: it may run although maxmemory is reached. The script must then only free or move.
        """
        text = _INCLUDE.sub(lambda name: (_FOLDER / name[1].decode()).read_bytes(), (_FOLDER / path).read_bytes())
        self._text = text.replace(b"#!lua\n", b"#!lua flags=allow-oom\n", 1) if when_full else text
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()

    def load(self, connection: Connection) -> None:
        """Load it, once for each connection: a restarted server has lost it."""
        connection.call("SCRIPT", "LOAD", self._text)

    def head(self, keys: int) -> Command:
        """The part of the command before this many keys, for commands that are made for each batch."""
        return ("EVALSHA", self._sha, keys)

    def command(self, keys: Sequence[str | bytes], *arguments: str | bytes | float) -> Command:
        """The command with its hash, for connections that have loaded it."""
        return ("EVALSHA", self._sha, len(keys), *keys, *arguments)

    def whole(self, keys: Sequence[str | bytes], *arguments: str | bytes | float) -> Command:
        """The command with its text, for rare calls."""
        return ("EVAL", self._text, len(keys), *keys, *arguments)

    def read_only(self, keys: Sequence[str | bytes], *arguments: str | bytes | float) -> Command:
        """The same, read-only: it also runs on a replica, and for a user who may only read."""
        return ("EVAL_RO", self._text, len(keys), *keys, *arguments)
