"""A clock that can be set, for a process of our own: libfaketime (the Debian package of that name).

Only the wall clock is shifted. The monotonic one, by which the process measures pauses, runs on.
"""

from pathlib import Path

__all__ = ["Clock", "library"]

_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
_NAMES = ("*/faketime/libfaketimeMT.so.1", "faketime/libfaketimeMT.so.1", "libfaketimeMT.so.1")


def library() -> Path | None:
    """Where libfaketime for programs with threads is; None where it is not installed."""
    return next((found for place in _PLACES for name in _NAMES for found in Path(place).glob(name)), None)


class Clock:
    """Says in a file how far off the clock is; the process reads it whenever it asks for the time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on the process is so many seconds ahead of everybody else; behind if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self._file)  # nobody reads the half of it

    def environment(self) -> dict[str, str]:
        """What the process is to be started with.

        Raises:
            RuntimeError: libfaketime is not installed.
        """
        preloaded = library()
        if preloaded is None:
            raise RuntimeError("libfaketime is not installed")
        return {
            # libc right behind it: Debian's redis-server allocates with jemalloc, which asks for the time before
            # libfaketime is ready to tell it
            "LD_PRELOAD": f"{preloaded}:libc.so.6",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
