"""What docs/operations.md says of a service that runs, and no other test shows."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from conftest import Start
from messages import wire

from lab.processes import ROOT
from lab.server import Server
from townpost import keys

DOCUMENT = " ".join((ROOT / "docs" / "operations.md").read_text().split())


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _instances(client: redis.Redis) -> list[str]:
    found: Any = client.zrange(keys.instances(), 0, -1)
    return [name.decode() for name in found]


def test_an_instance_writes_its_counts_with_a_short_life_and_leaves_its_last(start: Start, client: redis.Redis) -> None:
    # Given an instance that reports, as JSON with 5 s to live
    assert "under `townpost:instance:<id>` with 5 s to live" in DOCUMENT
    service = start("subscriber", PATTERN="queue")
    until(lambda: _instances(client))
    [name] = _instances(client)
    key = keys.instance(name)
    report: Any = client.get(key)
    assert json.loads(report)["id"] == name
    assert 0 < client.pttl(key) <= 5_000

    # When it ends
    service.stop()

    # Then its id moves among those that have ended, and its last counts stay for 15 s
    assert "one that ends leaves its last counts for 15 s, and its id in `townpost:ended`" in DOCUMENT
    assert _instances(client) == []
    assert client.zrange(keys.ended(), 0, -1) == [name.encode()]
    assert 5_000 < client.pttl(key) <= 15_000


@pytest.mark.parametrize("module", ["publisher", "subscriber"])
def test_a_password_that_changes_is_one_line_and_waited_for(start: Start, own_server: Server, module: str) -> None:
    # Given a service that has done something
    assert "| the same, later | one line, then a retry every 1 to 15 s until it is corrected |" in DOCUMENT
    with redis.Redis(port=own_server.port) as client:
        client.rpush("message_queue", wire("hi"))
        service = start(module, url=own_server.url, PATTERN="queue", PUBLISH_INTERVAL="0.2")
        service.wait_for("sent #2" if module == "publisher" else "[Received #1 from queue]")

        # When Redis wants a password from now on
        client.config_set("requirepass", "secret")
        client.client_kill_filter(_type="normal", skipme=True)
        service.wait_for("ERROR", "REDIS_URL")

        # Then that is one line, and it goes on when that is mended
        client.config_set("requirepass", "")
        service.wait_for("WARNING", " after ", timeout=20)  # "Redis is back" or "it works again"
    assert len(service.matching("ERROR", "REDIS_URL")) == 1
    assert not service.matching("Traceback")


def test_a_key_that_is_forbidden_later_is_one_line_and_waited_for(start: Start, own_server: Server) -> None:
    # Given a publisher that works
    assert "| the same, later | one line, then a retry every 1 to 15 s until it is corrected |" in DOCUMENT
    with redis.Redis(port=own_server.port) as client:
        service = start("publisher", url=own_server.url, PATTERN="queue", PUBLISH_INTERVAL="0.1")
        service.wait_for("sent #2")

        # When its user loses the right to push
        client.execute_command("ACL", "SETUSER", "default", "-rpush")
        service.wait_for("QUEUE=message_queue: the ACL of this Redis user forbids it")

        # Then it goes on when it has it again
        client.execute_command("ACL", "SETUSER", "default", "+rpush")
    service.wait_for("it works again", timeout=20)
    sent = len(service.matching("sent #"))
    service.wait_for("sent #", count=sent + 2)
    assert len(service.matching("the ACL of this Redis user forbids it")) == 1
