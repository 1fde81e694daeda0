"""Python imports this by itself when it starts, from PYTHONPATH: the clock of this process is off."""

import os
import time

_offset = float(os.environ["CLOCK_OFFSET"])
_time, _time_ns, _clock_gettime = time.time, time.time_ns, time.clock_gettime


def _skewed() -> float:
    return _time() + _offset


def _skewed_ns() -> int:
    return _time_ns() + int(_offset * 1e9)


def _skewed_clock(clock: int) -> float:
    return _clock_gettime(clock) + (_offset if clock == time.CLOCK_REALTIME else 0)


time.time, time.time_ns, time.clock_gettime = _skewed, _skewed_ns, _skewed_clock
