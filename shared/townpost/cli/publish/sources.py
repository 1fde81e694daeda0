"""Where messages come from: a running greeting, a text, or JSON lines of a file or standard input.

A source yields lists of messages that are there now; how fast they are sent is up to the loop.
"""

import codecs
import logging
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from townpost.errors import SettingError, UnreadableError
from townpost.message import Message, read
from townpost.text import excerpt, printable

__all__ = ["Lines", "Numbering", "first", "texts"]

_READ_BYTES = 256 * 1024
_LIST_BYTES = 1024 * 1024
"""About how much text one list of messages may have: more would keep a slow link busy for too long."""
_GLANCE_SECONDS = 0.1


class Numbering:
    """Makes the messages of one run: one sender, one epoch, the numbers 1, 2, 3 and so on."""

    def __init__(
        self, sender: str, priority: int | None = None, *, type_: str | None = None, key: str | None = None
    ) -> None:
        """Nothing is made yet; the fields are those of messages that bring none of their own.

        Raises:
            SettingError: the type or the key is not what the schema wants.
        """
        self._sender = sender
        self._priority = priority
        self._type = type_
        self._key = key
        given = {"priority": priority, "type": type_, "key": key}
        self._fields: dict[str, object] = {name: value for name, value in given.items() if value is not None}
        self._epoch = uuid4().hex[:8]
        self._count = 0
        _check(self._fields)

    def make(self, text: str) -> Message:
        """The next message; ``#N`` in the text stands for its number."""
        count = self._count + 1
        message = Message.create(
            text.replace("#N", f"#{count}"),
            sender=self._sender,
            count=count,
            epoch=self._epoch,
            priority=self._priority,
            type=self._type,
            key=self._key,
        )
        self._count = count
        return message

    def complete(self, line: bytes, max_bytes: int) -> Message:
        """The message of a JSON line: a string is its text, an object gives all fields or some of them.

        Raises:
            UnreadableError: it is neither, or a field is not what the schema wants. It takes no number then.
        """
        if len(line) > max_bytes:
            raise UnreadableError(f"longer than MAX_MESSAGE_BYTES={max_bytes:,}")
        try:
            value = from_json(line)
        except ValueError as error:
            raise UnreadableError(f"not JSON: {error}") from None
        if isinstance(value, str):
            value = {"message": value}
        if not isinstance(value, dict):
            raise UnreadableError("a line is a JSON object or a string")
        numbered = "count" not in value
        if numbered:
            value = {"count": self._count + 1, "epoch": self._epoch} | value
        made: dict[str, object] = {"id": uuid4(), "timestamp": datetime.now(UTC), "sender": self._sender}
        message = read(to_json(made | self._fields | value), max_bytes)
        self._count += numbered
        return message


def _check(fields: dict[str, object]) -> None:
    try:
        Message.model_validate(
            {"id": uuid4(), "timestamp": datetime.now(UTC), "message": "", "sender": "", "count": 1, **fields}
        )
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [f"--{problem['loc'][0]} cannot be used: {problem['msg']}" for problem in problems]
        raise SettingError(printable("; ".join(lines))) from None


def texts(numbering: Numbering, text: str, count: int | None, size: int) -> Iterator[list[Message]]:
    """The text again and again, ``count`` times or without end, ``size`` messages at a time."""
    size = max(1, min(size, _LIST_BYTES // max(len(text), 1)))
    left = count
    while left is None or left > 0:
        now = size if left is None else min(size, left)
        yield [numbering.make(text) for _ in range(now)]
        left = None if left is None else left - now


def first(source: Iterable[list[Message]], count: int) -> Iterator[list[Message]]:
    """The first ``count`` messages of a source."""
    left = count
    for messages in source:
        yield messages[:left]
        left -= len(messages)
        if left <= 0:
            return


class Lines:
    """JSON lines of a file, or of standard input for ``-``, as they come: a slow pipe is sent line by line."""

    def __init__(self, path: str, numbering: Numbering, stop: threading.Event, max_bytes: int) -> None:
        """Open it.

        Raises:
            SettingError: it cannot be opened.
        """
        if path == "-" and sys.stdin is None:  # the parent process has closed it
            raise SettingError("--file - cannot be read: standard input is closed")
        try:
            self._file = sys.stdin.fileno() if path == "-" else os.open(path, os.O_RDONLY)
        except OSError as error:
            raise SettingError(f"--file {path} cannot be opened: {error.strerror}") from None
        if stat.S_ISDIR(os.fstat(self._file).st_mode):
            raise SettingError(f"--file {path} cannot be read: it is a folder")
        self._numbering = numbering
        self._stop = stop
        self._max_bytes = max_bytes
        self._log = logging.getLogger("townpost.publisher")
        self._line = 0
        self.unreadable = 0
        self.tick: Callable[[], None] = lambda: None
        """Called again and again while nothing arrives."""

    def __iter__(self) -> Iterator[list[Message]]:
        """Messages as they arrive; what is not one is logged with its line number, counted and passed over."""
        for lines in self._arriving():
            messages = [message for line in lines if (message := self._message(line)) is not None]
            if messages:
                yield messages

    def _arriving(self) -> Iterator[list[bytes]]:
        """Whole lines as they come; of one that is too long only the beginning is kept."""
        rest = b""
        while not self._stop.is_set():
            ready, _, _ = select.select([self._file], [], [], _GLANCE_SECONDS)
            self.tick()
            if not ready:
                continue
            try:
                chunk = os.read(self._file, _READ_BYTES)
            except OSError as error:
                raise SettingError(f"--file cannot be read: {error.strerror}") from None
            *whole, new = chunk.split(b"\n")
            if whole:
                whole[0] = rest + whole[0]
                rest = new
            elif len(rest) <= self._max_bytes:
                rest += new
            if not chunk and rest:
                whole.append(rest)
            yield whole
            if not chunk:
                return

    def _message(self, line: bytes) -> Message | None:
        self._line += 1
        if self._line == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            return None
        try:
            return self._numbering.complete(line, self._max_bytes)
        except UnreadableError as error:
            self.unreadable += 1
            self._log.error("line %d is not a message (%s): %s", self._line, error, excerpt(line))
            return None
