"""A file of the ids that Redis has acknowledged: after a crash it shows which messages were sent."""

import contextlib
import os
from collections.abc import Sequence

from townpost.errors import SettingError, TownpostError
from townpost.message import Message

__all__ = ["Receipts"]


class Receipts:
    """Appends one id a line; what stands there was acknowledged on every pattern, whatever happens to us next."""

    def __init__(self, path: str) -> None:
        """Open it, or make it.

        Raises:
            SettingError: it cannot be opened.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise SettingError(f"--receipts {path} cannot be opened: {error.strerror}") from None
        with contextlib.suppress(OSError):  # a pipe has no end to look at
            if os.lseek(self._file, 0, os.SEEK_END) and not _ends_a_line(path):
                os.write(self._file, b"\n")  # a process that wrote there before was killed amid an id

    def add(self, messages: Sequence[Message]) -> None:
        """Write down these.

        Raises:
            TownpostError: the file cannot be written; the messages were sent.
        """
        left = "".join(f"{message.id}\n" for message in messages).encode()
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise TownpostError(
                f"--receipts {self._path} cannot be written: {error.strerror}; stopped after #{messages[-1].count}, "
                "which was sent"
            ) from None


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123 - a word from the command line, as it is
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
