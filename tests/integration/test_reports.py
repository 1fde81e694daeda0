"""What services tell of themselves on Redis: it says what they use, and it is gone soon after them."""

import json
import time
from typing import Any

import redis
from conftest import Start

from townpost import keys

_SECONDS = 20.0


def _until_reported(client: redis.Redis) -> tuple[str, Any]:
    """The one instance's id and report."""
    deadline = time.monotonic() + _SECONDS
    while True:
        for member in client.zrange(keys.instances(), 0, -1):
            name = member.decode() if isinstance(member, bytes) else ""
            if report := client.get(keys.instance(name)):
                return name, json.loads(report)
        assert time.monotonic() < deadline, "nobody reports"
        time.sleep(0.02)


def test_a_report_names_what_it_uses(client: redis.Redis, start: Start) -> None:
    start("subscriber", PATTERN="stream", STREAM="events", CONSUMER_GROUP="billing")

    _, report = _until_reported(client)

    assert (report["names"], report["group"]) == ({"stream": "events"}, "billing")


def test_a_report_expires_with_its_service(client: redis.Redis, start: Start) -> None:
    # Given one that reports
    service = start("subscriber", PATTERN="queue")
    name, _ = _until_reported(client)

    # Then its report lives a few seconds; and when it is killed, it is gone soon
    assert 0 < client.pttl(keys.instance(name)) <= 5_000
    service.kill()
    deadline = time.monotonic() + 6
    while client.exists(keys.instance(name)):
        assert time.monotonic() < deadline, "a report outlives its service"
        time.sleep(0.02)


def test_the_last_words_of_one_that_ends_expire_as_well(client: redis.Redis, start: Start) -> None:
    service = start("subscriber", PATTERN="queue")
    name, _ = _until_reported(client)

    assert service.stop() == 0

    assert json.loads(client.get(keys.instance(name)) or b"")["ended"] is True
    assert 0 < client.pttl(keys.instance(name)) <= 15_000
    assert 0 < client.pttl(keys.ended()) <= 15_000
    assert not client.zrange(keys.instances(), 0, -1)
