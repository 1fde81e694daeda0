"""What the kernel knows of a session of processes: CPU time and memory (Linux; elsewhere nothing is known)."""

import math
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_seconds", "peak_bytes", "pids", "resident_bytes"]

_SESSION = 3
"""Where the session stands in /proc/PID/stat, counted from behind the name."""


def pids(session: int) -> list[int]:
    """Its processes; a process group of their own, as RQ gives its work horses, does not hide them."""
    return [int(process.name) for process in _processes(session)]


def cpu_seconds(session: int) -> float:
    """Of all threads of all its processes that are still there, to the nanosecond; NaN if unknown."""
    found = [
        int(text.split()[0])
        for process in _processes(session)
        for thread in _entries(process / "task")
        if (text := _text(thread / "schedstat"))
    ]
    return sum(found) / 1e9 if found else math.nan


def peak_bytes(session: int) -> int:
    """The most memory each of its processes ever had resident, added up."""
    return _status(session, "VmHWM:")


def resident_bytes(session: int) -> int:
    """What they have resident now, added up."""
    return _status(session, "VmRSS:")


def _status(session: int, field: str) -> int:
    kilobytes = 0
    for process in _processes(session):
        for line in _text(process / "status").splitlines():
            if line.startswith(field):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024


def _processes(session: int) -> Iterator[Path]:
    for entry in _entries(Path("/proc")):
        if entry.name.isdigit():
            _, _, rest = _text(entry / "stat").rpartition(")")
            fields = rest.split()
            if len(fields) > _SESSION and int(fields[_SESSION]) == session:
                yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""
