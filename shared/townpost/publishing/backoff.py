"""How long a publisher waits before it tries again, by the rule that `townpost.redis.reconnector` follows."""

import math
import time

from redis.backoff import EqualJitterBackoff

from townpost.errors import SettingError

__all__ = ["Backoff", "checked_timeout"]

_BACKOFF = EqualJitterBackoff(base=0.2, cap=3.0)
_AT_ONCE_SECONDS = 1.0
"""How often a lost connection may be replaced without a pause."""


class Backoff:
    """Growing pauses. One broken connection says little about Redis, so the first attempt after a success has none."""

    def __init__(self) -> None:
        self._failures = 0
        self._proved = True
        self._at_once = -math.inf

    def worked(self) -> None:
        """Redis has answered."""
        self._failures = 0
        self._proved = True

    def pause(self) -> float:
        """Seconds to wait after one more failure."""
        now = time.monotonic()
        proved, self._proved = self._proved, False
        if proved and now - self._at_once >= _AT_ONCE_SECONDS:
            self._at_once = now
            return 0.0
        self._failures += 1
        return _BACKOFF.compute(self._failures)


def checked_timeout(seconds: float) -> float:
    """The same seconds.

    Raises:
        SettingError: it is no time in which anything could be sent.
    """
    if not seconds > 0:
        raise SettingError(f"timeout={seconds!r} cannot be used: give seconds above 0, or None to try only once")
    return seconds
