"""What a service does when it is told to stop."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping

import pytest
from apps import settings, until

from lab.server import Server
from townpost.counts import Counts
from townpost.redis.connection import Connection
from townpost.service import Service


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signal handlers of the tests' own process are as before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Stopped:
    """Implements `townpost.heartbeat.Loop`: stops its own process while the lock of the stop is held."""

    name = "stopped"
    turned = 0.0
    counts: Mapping[str, Counts] = {}
    abandonable = False
    holds = False

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.noticed = threading.Event()

    def run(self) -> None:
        with self._stop._cond:  # type: ignore[attr-defined]  # as whoever waits for the stop does
            os.kill(os.getpid(), signal.SIGTERM)
            until(lambda: signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, 5)
            self.noticed.set()
        assert self._stop.wait(10)

    def interrupt(self, control: Connection) -> None: ...

    def totals(self) -> list[str]:
        return []


def test_a_signal_is_noticed_while_the_lock_of_the_stop_is_held(server: Server) -> None:
    stop = threading.Event()
    loop = Stopped(stop)

    assert Service("test", settings(server.url), [loop], stop).run() == 0

    assert loop.noticed.is_set()
