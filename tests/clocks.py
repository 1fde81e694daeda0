"""A server whose wall clock jumps when a test says so; its monotonic clock goes on."""

import pytest

import lab.server
from lab.clock import library

__all__ = ["NEEDED", "Server"]

NEEDED = pytest.mark.skipif(library() is None, reason="NOT TESTED: needs libfaketime (Debian's package of that name)")


class Server(lab.server.Server):
    """Use it in a `with`."""

    def __init__(self) -> None:
        super().__init__(appendfsync=None, shifted=True)

    def jump(self, seconds: int) -> None:
        """From now on its clock differs by so much from ours."""
        assert self.clock is not None
        self.clock.set(seconds)
