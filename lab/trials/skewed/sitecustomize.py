"""Python imports this by itself when it starts, from PYTHONPATH: the clock of this process is off."""

import os
import time

_offset = float(os.environ["CLOCK_OFFSET"])
_time = time.time


def _skewed() -> float:
    return _time() + _offset


time.time = _skewed
