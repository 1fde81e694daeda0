"""Logging as a person reads it (text, coloured on a terminal) or a machine (one JSON object a line), on stderr."""

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from townpost.settings import Settings
from townpost.text import printable

__all__ = ["DIM", "RESET", "LastError", "set_up", "set_up_root", "wants_colour"]

RESET, DIM, RED, YELLOW = "\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[33m"
_ERROR_CHARACTERS = 300
_COLOURS = {logging.WARNING: YELLOW, logging.ERROR: RED, logging.CRITICAL: RED}


def wants_colour(stream: TextIO, settings: Settings) -> bool:
    """Colour where a person looks; NO_COLOR and FORCE_COLOR decide otherwise, in this order."""
    if settings.no_color or settings.log_format == "json":
        return False
    return bool(settings.force_color) or stream.isatty()


def set_up(settings: Settings) -> None:
    """Send everything logged under `townpost` to stderr."""
    handler = _Stderr()
    handler.setFormatter(_Json() if settings.log_format == "json" else _Text(wants_colour(sys.stderr, settings)))
    log = logging.getLogger("townpost")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def set_up_root(settings: Settings) -> None:
    """The same for everybody else's logs, unless somebody has set them up: a handler's own lines are to be seen."""
    root = logging.getLogger()
    if not root.handlers:
        handler = _Stderr()
        handler.setFormatter(_Json() if settings.log_format == "json" else _Text(wants_colour(sys.stderr, settings)))
        root.addHandler(handler)
        root.setLevel(logging.INFO)


class _Stderr(logging.Handler):
    """Writes to what `sys.stderr` is at that moment: a progress bar replaces it, to print lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # the reader of stderr is gone, and there is no other place to log
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()


class LastError(logging.Handler):
    """Remembers what was logged last as an error, for reports."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""
        self.at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.text = printable(f"{_source(record)}: {record.getMessage()}")[:_ERROR_CHARACTERS]
        self.at = record.created


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix("townpost.")


class _Text(logging.Formatter):
    def __init__(self, colour: bool) -> None:  # noqa: FBT001 - private, one caller
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        text = f"{_source(record)}: {level}{printable(record.getMessage())}"
        if record.exc_info:
            text += "".join(f"\n  | {printable(line)}" for line in self.formatException(record.exc_info).split("\n"))
        if not self._colour:
            return f"[{moment}] {text}"
        colour = _COLOURS.get(record.levelno, "")
        return f"{DIM}[{moment}]{RESET} {colour}{text}{RESET if colour else ''}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "source": _source(record),
            "text": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)
