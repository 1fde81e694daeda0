"""One HEALTH_FILE for several processes: each child writes a file of its own, the parent what they say together."""

import contextlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from townpost.health import HealthFile

__all__ = ["JointHealth"]

_REPORT_SECONDS = 1.0
_LOG = logging.getLogger("townpost.processes")


class JointHealth:
    """As bad as the worst of them: a child that has died shows as a loop that has stalled."""

    def __init__(self, path: Path, count: int) -> None:
        self._file = HealthFile(path, _LOG)
        self._paths = {number: path.with_name(f"{path.name}.{number}") for number in range(1, count + 1)}
        now = time.monotonic()
        self._heard = dict.fromkeys(self._paths, now)
        self._redis = dict.fromkeys(self._paths, now)
        self._written_at = -_REPORT_SECONDS

    def environment(self, number: int) -> Mapping[str, str]:
        """For the child of this number."""
        return {"HEALTH_FILE": str(self._paths[number])}

    def write(self) -> None:
        """Once a second at most."""
        if time.monotonic() - self._written_at < _REPORT_SECONDS:
            return
        self._written_at = time.monotonic()
        turns: dict[str, float] = {}
        for number in self._paths:
            turns |= self._read(number)
        self._file.write(turns, min(self._redis.values()))

    def close(self) -> None:
        """Remove what the children have written."""
        for path in self._paths.values():
            path.unlink(missing_ok=True)

    def _read(self, number: int) -> dict[str, float]:
        """The turns of one child, and its last report as a turn: a report that is missing leaves the last one known."""
        turns: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError, KeyError):  # it has not started yet
            report = json.loads(self._paths[number].read_text())
            self._heard[number], self._redis[number] = report["at"], report["redis"]
            turns = {f"{name} of process {number}": turn for name, turn in report["turns"].items()}
        return turns | {f"process {number}": self._heard[number]}
