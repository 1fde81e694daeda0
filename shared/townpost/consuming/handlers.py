"""The handlers of the subscriber: one prints each message, others call the code that HANDLER names."""

import importlib
import inspect
import json
import os
import sys
import threading
import typing
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from townpost.consuming.routes import failure
from townpost.errors import SettingError, TownpostError
from townpost.logs import wants_colour
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Batch
from townpost.settings import Settings
from townpost.text import printable
from townpost.verdicts import Policy

__all__ = ["Failed", "Handler", "import_handler", "load"]


class Failed(typing.Protocol):
    """Called for a failed message: its position, the error, and the policy of its handler, if that has its own."""

    def __call__(self, index: int, error: Exception, policy: Policy | None = None, /) -> None: ...


class Handler(typing.Protocol):
    """Handles messages. Each one counts as handled unless the handler reports its failure."""

    @property
    def whole(self) -> bool:
        """Whether all messages count as handled when it returns; otherwise each one does when the next is requested."""
        ...

    @property
    def logs_failures(self) -> bool:
        """Whether it logs a failure before it reports it."""
        ...

    def __call__(self, batch: Batch, messages: Iterable[tuple[int, Message]], already: int, failed: Failed, /) -> None:
        """Handle messages, each with its position in the batch; ``already`` is how many came before on this pattern."""
        ...


_DIM, _CYAN, _GREEN, _YELLOW, _MAGENTA, _RESET = (
    "\x1b[2m",
    "\x1b[36m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[35m",
    "\x1b[0m",
)
_COLOURS = dict(zip(PATTERNS, (_CYAN, _GREEN, _YELLOW, _MAGENTA), strict=False))


def load(settings: Settings) -> Handler:
    """The handler that HANDLER names, or the one that prints; for one message, or one batch, at a time.

    Raises:
        SettingError: it cannot be imported, or not be called with a message or a list of them.
    """
    if settings.handler is None:
        if sys.stdout is None:  # the parent process has closed it
            raise SettingError("standard output is closed: there is nowhere to print to")
        return _Printer(settings)
    function = import_handler(settings.handler)
    return _Lists(function) if _takes_list(function, settings.handler) else _Each(function)


def import_handler(name: str) -> Callable[..., object]:
    """The object that HANDLER names.

    Raises:
        SettingError: it cannot be imported, or not be called.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise SettingError(f"HANDLER={name} cannot be used: write it as package.module:function")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"HANDLER={name} cannot be imported: {type(error).__name__}: {printable(str(error))}; "
            "is its folder on PYTHONPATH (or mounted at /app in the container)?"
        ) from error
    if not callable(function):
        raise SettingError(f"HANDLER={name} is a {type(function).__name__}, not a function")
    return typing.cast("Callable[..., object]", function)


def _takes_list(function: Callable[..., object], name: str) -> bool:
    try:
        signature = inspect.signature(function, eval_str=True)
        signature.bind(None)
    except (TypeError, ValueError, NameError) as error:
        raise SettingError(f"HANDLER={name} cannot be called with one message: {error}") from error
    hint = next(iter(signature.parameters.values())).annotation
    return hint is list or typing.get_origin(hint) is list


class _Each:
    """Calls a function with one message after the other."""

    whole = False
    logs_failures = False

    def __init__(self, function: Callable[[Message], object]) -> None:
        self._function = function

    def __call__(self, _batch: Batch, messages: Iterable[tuple[int, Message]], _already: int, failed: Failed) -> None:
        function = self._function
        for index, message in messages:
            try:
                function(message)
            except BaseException as error:  # noqa: BLE001 - whatever a user's code does ends here
                failed(index, failure(error))


class _Lists:
    """Calls a function with all of a batch."""

    whole = True
    logs_failures = False

    def __init__(self, function: Callable[[list[Message]], object]) -> None:
        self._function = function

    def __call__(self, _batch: Batch, messages: Iterable[tuple[int, Message]], _already: int, failed: Failed) -> None:
        taken = list(messages)
        if not taken:
            return
        try:
            self._function([message for _, message in taken])
        except BaseException as error:  # noqa: BLE001 - as above
            failed_with = failure(error)
            for index, _ in taken:
                failed(index, failed_with)


class _Printer:
    """Prints a line for each message; one write for a batch."""

    whole = True
    logs_failures = False

    def __init__(self, settings: Settings) -> None:
        self._write = threading.Lock()  # the threads of all patterns share it
        self._broken = ""
        self._second: tuple[tuple[int, ...], str] = ((), "")
        self._json = settings.log_format == "json"
        self._colour = wants_colour(sys.stdout, settings)

    def __call__(self, batch: Batch, messages: Iterable[tuple[int, Message]], already: int, _failed: Failed) -> None:
        line = self._json_line if self._json else self._text_line
        pattern = batch.pattern
        lines = [line(message, pattern, number) for number, (_, message) in enumerate(messages, already + 1)]
        if lines:
            with self._write:
                self._print("".join(lines))

    def _print(self, text: str) -> None:
        if self._broken:
            raise TownpostError(self._broken)
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            self._broken = f"cannot write to standard output: {error.strerror or error}"
            # or Python would fail once more when it flushes at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise TownpostError(self._broken) from error

    def _text_line(self, message: Message, pattern: str, number: int) -> str:
        moment = self._moment(message.timestamp)
        source = PATTERNS[pattern].label
        text = message.message
        sender = message.sender
        if not (text.isprintable() and sender.isprintable()):
            text, sender = printable(text), printable(sender)
        if not self._colour:
            return f"[{moment}] [{sender}] {text} (ID: {_id(message.id)}) [Received #{number} from {source}]\n"
        return (
            f"{_DIM}[{moment}]{_RESET} [{sender}] {text} {_DIM}(ID: {_id(message.id)}){_RESET} "
            f"{_COLOURS[pattern]}[Received #{number} from {source}]{_RESET}\n"
        )

    def _moment(self, timestamp: datetime) -> str:
        """The time to the second. It is cached, because formatting costs as much as parsing a message."""
        second = (timestamp.year, timestamp.month, timestamp.day, timestamp.hour, timestamp.minute, timestamp.second)
        known, text = self._second
        if second != known:
            text = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*second)
            self._second = (second, text)  # at once, for the other threads
        return text

    def _json_line(self, message: Message, pattern: str, number: int) -> str:
        source = json.dumps(PATTERNS[pattern].label)
        text = message.encode().decode()
        if not text.isprintable():
            text = json.dumps(json.loads(text))  # with every character that could steer a terminal as an escape
        return f'{{"received":{number},"from":{source},"message":{text}}}\n'


def _id(message_id: UUID) -> str:
    """The same as str(), in half the time."""
    pairs = message_id.int.to_bytes(16, "big").hex("-", 2)
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"
