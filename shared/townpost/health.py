"""Health is progress, not a ping: every loop reports its last turn, Redis its last answer.

The service writes both to HEALTH_FILE once a second; the container's health check reads it with
``python -m publisher health`` or ``python -m subscriber health``.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["HealthFile", "check", "diagnose", "write"]

_REPORT_SECONDS = 10.0


def write(path: Path, turns: Mapping[str, float], redis_answered: float) -> None:
    """Replace the file in one step; times are of the monotonic clock, which all processes of a machine share."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps({"at": time.monotonic(), "turns": dict(turns), "redis": redis_answered}))
    draft.replace(path)


class HealthFile:
    """Written at each call; a failure is logged once, and tried again at the next call."""

    def __init__(self, path: Path, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self._failing = False

    def write(self, turns: Mapping[str, float], redis_answered: float) -> None:
        try:
            write(self._path, turns, redis_answered)
        except OSError as error:
            if not self._failing:
                self._log.error(
                    "HEALTH_FILE=%s cannot be written: %s; it is tried again each second", self._path, error.strerror
                )
            self._failing = True
        else:
            if self._failing:
                self._log.warning("HEALTH_FILE=%s is written again", self._path)
            self._failing = False


def diagnose(path: Path, stall_seconds: float) -> str | None:
    """What is wrong, in one line; None when all is well."""
    try:
        return _judge(json.loads(path.read_text()), stall_seconds)
    except FileNotFoundError:
        return f"no report at HEALTH_FILE={path}: the service has not started"
    except (OSError, ValueError, RecursionError) as error:
        return f"no report can be read at HEALTH_FILE={path}: {error}"
    except (KeyError, TypeError, AttributeError):
        return f"no report can be read at HEALTH_FILE={path}: it is not one of ours"


def _judge(report: dict[str, Any], stall_seconds: float) -> str | None:
    now = time.monotonic()
    if now - report["at"] > _REPORT_SECONDS:
        return f"the service has not reported for {now - report['at']:.0f} s"
    if now - report["redis"] > _REPORT_SECONDS:
        return f"Redis has not answered for {now - report['redis']:.0f} s"
    for name, turned in report["turns"].items():
        if now - turned > stall_seconds:
            return f"the {name} loop has stalled for {now - turned:.0f} s (HEALTH_SECONDS={stall_seconds:g})"
    return None


def check(path: Path | None, stall_seconds: float) -> int:
    """The exit status of a health check, with the reason on stderr."""
    problem = "HEALTH_FILE is not set: there is no report to check" if path is None else diagnose(path, stall_seconds)
    if problem is not None:
        sys.stderr.write(f"unhealthy: {problem}\n")
    return 0 if problem is None else 1
