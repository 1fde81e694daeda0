"""The pauses before the next attempt after a failure of Redis."""

import math
import time

from redis.backoff import EqualJitterBackoff

__all__ = ["Backoff"]

_BACKOFF = EqualJitterBackoff(base=0.2, cap=3.0)
_REFUSED_BACKOFF = EqualJitterBackoff(base=1.0, cap=15.0)
_AT_ONCE_SECONDS = 1.0
"""How often a lost connection may be replaced without a pause."""


class Backoff:
    """Growing pauses. One broken connection says little about Redis, so the first attempt after a success has none."""

    def __init__(self, *, proved: bool = True) -> None:
        """Nothing has failed.

        Args:
            proved: already the first attempt counts as one after a success.
        """
        self.failures = 0
        """Pauses since the last success."""
        self.proved = proved
        """Redis has answered since the last failure."""
        self._at_once = -math.inf

    def worked(self) -> None:
        """Redis has answered."""
        self.failures = 0
        self.proved = True

    def pause(self) -> float:
        """Seconds to wait after Redis could not be reached; 0 for an attempt at once."""
        now = time.monotonic()
        proved, self.proved = self.proved, False
        if proved and now - self._at_once >= _AT_ONCE_SECONDS:
            self._at_once = now
            return 0.0
        self.failures += 1
        return _BACKOFF.compute(self.failures)

    def refused(self, *, passes: bool) -> float:
        """Seconds to wait after a refusal; fewer for one that passes by itself."""
        self.failures += 1
        return (_BACKOFF if passes else _REFUSED_BACKOFF).compute(self.failures)
