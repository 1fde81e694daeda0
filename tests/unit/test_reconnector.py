"""The loop that retries: pauses grow, differ from each other, and a connection that dies at once is no success."""

import threading
import time

import pytest

from townpost.errors import RefusedError, UnavailableError
from townpost.redis.reconnector import Reconnector


class Clock(threading.Event):
    """A stop that is never set by others, and notes how long it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pauses: int) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._most = pauses
        self._now = 1000.0
        monkeypatch.setattr("townpost.redis.reconnector.time.monotonic", lambda: self._now)

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0)
        self._now += timeout or 0
        if len(self.pauses) >= self._most:
            self.set()
        return self.is_set()


def session(stop: threading.Event, open_: object = lambda: None) -> Reconnector:
    made = Reconnector("test", open_, stop, connect_timeout=1e9, where="here")  # type: ignore[arg-type]  # a stand-in for a connection
    made.worked = True
    return made


def fails() -> None:
    raise UnavailableError("away")


def test_pauses_grow_up_to_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Clock(monkeypatch, 30)

    session(stop, fails).run(lambda: None)

    assert 0.2 <= stop.pauses[0] <= 0.4
    assert stop.pauses[0] < stop.pauses[2]
    assert all(1.5 <= pause <= 3 for pause in stop.pauses[5:])


def test_pauses_are_jittered_so_that_not_all_come_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Clock(monkeypatch, 30)

    session(stop, fails).run(lambda: None)

    assert len({round(pause, 3) for pause in stop.pauses[5:]}) > 15


def test_a_connection_that_dies_right_after_each_open_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a server that lets us in and hangs up on the first command
    stop = Clock(monkeypatch, 10)
    opened: list[float] = []

    session(stop, lambda: opened.append(time.monotonic())).run(fails)

    # Then there is a pause before each attempt, and the pauses grow
    assert len(opened) == 10
    assert stop.pauses[-1] >= 1.5


def test_a_refusal_is_asked_again_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Clock(monkeypatch, 12)

    def refused() -> None:
        raise RefusedError("no")

    session(stop).run(refused)

    assert 0.5 <= stop.pauses[0] <= 2
    assert all(7.5 <= pause <= 15 for pause in stop.pauses[6:])
