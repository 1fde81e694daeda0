"""However large a message is, the dashboard fetches its beginning alone."""

import time
from collections.abc import Iterator
from pathlib import Path

import board as boards
import pytest
import redis
from board import MakeBoard, until

from lab.server import Server
from townpost import keys

board = boards.board

_LARGE = 48 * 1024 * 1024
_GROWTH = 24 * 1024 * 1024
Q, S = "reliable_queue", "message_stream"


@pytest.fixture
def large() -> Iterator[tuple[Server, redis.Redis]]:
    """A server with messages of 48 MiB wherever one can lie."""
    with Server(appendfsync=None) as server, redis.Redis(port=server.port) as client:
        payload = b"x" * _LARGE
        client.rpush("message_queue", payload, payload)
        client.rpush(Q, payload)
        client.rpush(keys.of(Q).claim("house", 1), payload)
        client.zadd(keys.of(Q).leases, {keys.of(Q).claim("house", 1): time.time() * 1000 + 9e6, b"y" * _LARGE: 1})
        client.zadd(keys.of(Q).scheduled, {b"0" * 21 + payload: time.time() * 1000 + 9e6})
        for dead in (keys.of(Q).dead, keys.of(S).dead):
            client.xadd(dead, {"payload": payload, "reason": "unreadable"})
        for _ in range(2):
            client.xadd(S, {"message": payload})
        client.xgroup_create(S, "townpost", id="0")
        client.xreadgroup("townpost", "house", {S: ">"}, count=1)
        client.set(keys.instance("large"), payload)
        client.zadd(keys.instances(), {"large": time.time()})
        del payload
        yield server, client


def _peak(pid: int) -> int:
    """Bytes that a process had resident at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_no_page_fetches_a_large_message(board: MakeBoard, large: tuple[Server, redis.Redis]) -> None:
    # Given a dashboard that has looked at an empty server and served each kind of page
    server, client = large
    with Server(appendfsync=None) as empty:
        before = board(url=empty.url, PATTERN="all")
        until(lambda: before.snapshot()["number"] > 3)
        usual = _peak(before.process.pid)
        before.process.stop()

    # When one looks at 48 MiB wherever a message can lie, and every table is opened
    page = board(url=server.url, PATTERN="all")
    until(lambda: page.snapshot()["number"] > 4)
    sizes = []
    for pattern in ("reliable", "stream"):
        (dead_letter,) = page.json(f"/api/dead/{pattern}")["dead_letters"]
        whole = page.json(f"/api/dead/{pattern}/{dead_letter['id']}")
        assert whole["truncated"]
        flights = page.json(f"/api/in-flight/{pattern}")["messages"]
        sizes += [dead_letter["size"], len(flights)]
    (message,) = page.json("/api/scheduled/reliable")["messages"]
    moved = page.post("/api/scheduled/reliable/now", {"members": [message["member"]]}).json()

    # Then it shows them, and its memory is as usual
    assert sizes == [_LARGE, 1, _LARGE, 1]
    assert (message["size"], message["truncated"], moved["done"]) == (_LARGE, True, 1)
    assert [view["depth"] for view in page.snapshot()["patterns"]] == [None, 2, 1, 1]
    growth = _peak(page.process.pid) - usual
    scripts = [row for row in client.slowlog_get(128) if row["command"].startswith(b"EVAL")]
    slow = max((row["duration"] for row in scripts), default=0) / 1000
    print(f"{growth / 2**20:.1f} MiB more than usual; the slowest script took {slow:.0f} ms")
    assert growth < _GROWTH
