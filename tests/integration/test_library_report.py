"""What uses the library in a program of its own is known to the dashboard as a service is, and that costs nothing."""

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from lab.server import Server
from townpost import keys
from townpost.counts import Counts
from townpost.library_heartbeat import LibraryHeartbeat
from townpost.settings import Settings

T = TypeVar("T")


class Owner:
    """Stands for a publisher."""


@pytest.fixture
def counts() -> dict[tuple[str, str], Counts]:
    return {("reliable", "orders"): Counts(), ("reliable", "mails"): Counts()}


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def report(server: Server, owner: Owner, counts: dict[tuple[str, str], Counts]) -> Iterator[LibraryHeartbeat]:
    settings = Settings(redis_url=server.url, pattern="reliable", reliable_queue="orders")
    one = LibraryHeartbeat("publisher", owner, settings, lambda: counts)
    yield one
    one.close()


def _until(look: Callable[[], T]) -> T:
    deadline = time.monotonic() + 10
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come to that in 10 s"
        time.sleep(0.01)
    return seen


def _reports(client: redis.Redis) -> list[Any]:
    found = [client.get(key) for key in client.keys(keys.instance("*")) if isinstance(key, bytes)]
    return [json.loads(report) for report in found if report]


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "report"]


@pytest.mark.usefixtures("report")
def test_nothing_runs_before_the_first_send(client: redis.Redis) -> None:
    assert _threads() == []
    # one of the test before this may be about to vanish; one of this would stay
    _until(lambda: all(row["name"] != "townpost-publisher-control" for row in client.client_list()))


def test_what_was_sent_is_reported_with_where(
    report: LibraryHeartbeat, client: redis.Redis, counts: dict[tuple[str, str], Counts]
) -> None:
    # When twelve are sent, and three to another queue, from several threads at once
    counts["reliable", "mails"].sent = 3
    counts["reliable", "orders"].sent = 12
    threads = [threading.Thread(target=report.begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then one thread reports them
    (told,) = _until(lambda: _reports(client))
    assert _threads() == ["report"]
    assert (told["role"], told["names"], told["patterns"]["reliable"]["sent"]) == (
        "publisher",
        {"reliable": "orders"},
        12,
    )
    assert told["elsewhere"] == [{"pattern": "reliable", "name": "mails", "sent": 3, "unheard": 0}]
    assert client.zscore(keys.instances(), told["id"])


def test_its_last_counts_outlive_a_short_run(
    report: LibraryHeartbeat, client: redis.Redis, counts: dict[tuple[str, str], Counts]
) -> None:
    counts["reliable", "orders"].sent = 3
    report.begin()

    report.close()

    (told,) = _until(lambda: [one for one in _reports(client) if one["ended"]])
    assert told["patterns"]["reliable"]["sent"] == 3
    assert _until(lambda: not _threads())


def test_one_that_sends_again_goes_on_under_its_name(
    report: LibraryHeartbeat, client: redis.Redis, counts: dict[tuple[str, str], Counts]
) -> None:
    # Given one that was closed
    counts["reliable", "orders"].sent = 3
    report.begin()
    report.close()
    (before,) = _until(lambda: [one for one in _reports(client) if one["ended"]])

    # When it sends more, nothing is counted twice
    counts["reliable", "orders"].sent = 5
    report.begin()

    (told,) = _until(lambda: [one for one in _reports(client) if not one["ended"]])
    assert (told["id"], told["patterns"]["reliable"]["sent"]) == (before["id"], 5)


def test_it_ends_with_a_publisher_that_nobody_closed(server: Server, counts: dict[tuple[str, str], Counts]) -> None:
    owner = Owner()
    report = LibraryHeartbeat("publisher", owner, Settings(redis_url=server.url, pattern="reliable"), lambda: counts)
    report.begin()
    assert _threads() == ["report"]

    del owner
    gc.collect()

    assert _until(lambda: not _threads())


def test_without_redis_it_neither_fails_nor_holds_up_the_end(
    owner: Owner, counts: dict[tuple[str, str], Counts]
) -> None:
    report = LibraryHeartbeat("publisher", owner, Settings(redis_url="redis://127.0.0.1:1"), lambda: counts)

    report.begin()
    began = time.monotonic()
    report.close()

    assert time.monotonic() - began < 1


@pytest.mark.alone
def test_telling_it_costs_less_than_a_microsecond_a_send(report: LibraryHeartbeat) -> None:
    report.begin()

    began = time.perf_counter()
    for _ in range(100_000):
        report.begin()

    assert (time.perf_counter() - began) / 100_000 < 1e-6


def test_it_writes_no_health_file(
    server: Server, owner: Owner, counts: dict[tuple[str, str], Counts], tmp_path: Path
) -> None:
    file = tmp_path / "health"
    report = LibraryHeartbeat(
        "publisher", owner, Settings(redis_url=server.url, pattern="reliable", health_file=file), lambda: counts
    )

    report.begin()
    with redis.Redis(port=server.port) as client:
        _until(lambda: _reports(client))
    report.close()

    assert not file.exists()
