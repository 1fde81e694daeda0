"""The clock of a server of ours can be set, and only its wall clock."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clock import Clock, library
from lab.server import Server
from townpost.redis.connection import Connection

needs_libfaketime = pytest.mark.skipif(library() is None, reason="libfaketime is not installed")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(shifted=True) as server:
        yield server


def ahead(connection: Connection) -> float:
    """How many seconds the server is ahead of us."""
    said = connection.call("TIME")
    assert isinstance(said, list)
    seconds, micros = (float(each) for each in said if isinstance(each, bytes))
    return seconds + micros / 1e6 - time.time()


@needs_libfaketime
@pytest.mark.parametrize("shift", [60, -3600])
def test_a_server_tells_the_time_that_its_clock_was_set_to(server: Server, connection: Connection, shift: int) -> None:
    assert abs(ahead(connection)) < 1
    assert server.clock is not None

    server.clock.set(shift)

    deadline = time.monotonic() + 10
    while abs(ahead(connection) - shift) > 1:
        assert time.monotonic() < deadline


def test_a_server_has_no_clock_of_its_own_unless_it_was_asked_for() -> None:
    server = Server()

    assert server.clock is None
    server.remove()


def test_without_libfaketime_no_process_is_started_with_a_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.clock._PLACES", (str(tmp_path),))

    with pytest.raises(RuntimeError, match="libfaketime is not installed"):
        Clock(tmp_path / "clock").environment()
