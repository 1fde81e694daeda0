"""Lua scripts, each in a file beside the pattern that uses it, which opens with keys, arguments and result."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.connection import Link
from shared.patterns.contract import Command

__all__ = ["Script"]


class Script:
    """One script; its keys are declared with every call."""

    def __init__(self, path: str) -> None:
        """Read it; the path starts at this folder."""
        self._text = (Path(__file__).parent / path).read_bytes()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()

    def load(self, link: Link) -> None:
        """Once for each connection: a restarted server has forgotten it."""
        link.call("SCRIPT", "LOAD", self._text)

    def command(self, keys: Sequence[str], *arguments: str | bytes | float) -> Command:
        """By its hash: for links that have loaded it."""
        return ("EVALSHA", self._sha, len(keys), *keys, *arguments)

    def whole(self, keys: Sequence[str], *arguments: str | bytes | float) -> Command:
        """With its text: for callers that come now and then."""
        return ("EVAL", self._text, len(keys), *keys, *arguments)
