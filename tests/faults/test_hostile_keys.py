"""Whatever others write under our keys, no service ends, stalls or prints a traceback, and the rest is handled.

Each service and pattern is a case of its own: ``pytest tests/faults/test_hostile_keys.py -k reliable``. With THOROUGH=1
the attack is ten times as long.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import redis
from conftest import Start
from driving import until
from hostile import DIGITS, INSTANCE, OWN, REPORT, STALL_SECONDS, Own, Watched, Write, attack, owned
from loopback import NO_TLS
from messages import wire

from townpost import keys

WORKS_SECONDS = 3.0
HANDLED_SECONDS = 15.0
NAMES = {"queue": "message_queue", "reliable": "reliable_queue", "stream": "message_stream"}


@pytest.fixture
def watch(start: Start, tmp_path: Path) -> Callable[..., Watched]:
    def _watch(module: str, **environment: str) -> Watched:
        report = tmp_path / f"health-{module}"
        return Watched(start(module, HEALTH_FILE=str(report), LEASE_SECONDS="1", **environment), report)

    return _watch


def _send(client: redis.Redis, pattern: str, text: str) -> None:
    """As any other program sends."""
    payload = wire(text)
    if pattern == "pubsub":
        client.publish("messages", payload)
    elif pattern == "stream":
        client.xadd(NAMES["stream"], {"message": payload})
    else:
        client.rpush(NAMES[pattern], payload)


def _works_on(client: redis.Redis, pattern: str, service: Watched) -> None:
    """What is sent is handled, also while what is due is promoted and what has expired is recovered: for 3 s."""
    started = time.monotonic()
    number = 0
    while time.monotonic() < started + WORKS_SECONDS:
        number += 1
        text = f"message {started} {number}"
        _send(client, pattern, text)
        try:
            until(lambda: service.process.matching(text), HANDLED_SECONDS)  # noqa: B023 - called at once
        except TimeoutError:
            pytest.fail(f"{text} is not handled:\n" + "\n".join(service.process.lines[-40:]))
        time.sleep(0.2)  # the time that passes is the subject


def _own_of(pattern: str) -> list[Own]:
    if pattern == "pubsub":
        return owned("messages", "string")[1:]
    return owned(NAMES[pattern], "stream" if pattern == "stream" else "list")


@pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])
def test_a_subscriber_survives_what_others_write(
    watch: Callable[..., Watched], client: redis.Redis, pattern: str
) -> None:
    # Given a subscriber that works
    subscriber = watch("subscriber", PATTERN=pattern)
    subscriber.process.wait_for("connected to Redis")

    # When others write at random under every key, and publish what they like
    def check(recent: list[Write]) -> None:
        for write in recent[-5:]:
            client.publish("messages", write.value)
        subscriber.check(recent)

    attack(client, _own_of(pattern), check)

    # Then it handles what comes
    _works_on(client, pattern, subscriber)
    subscriber.check([])
    assert subscriber.process.stop() == 0


@pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])
def test_a_publisher_survives_what_others_write(
    watch: Callable[..., Watched], client: redis.Redis, pattern: str
) -> None:
    publisher = watch("publisher", PATTERN=pattern, PUBLISH_INTERVAL="0.1")

    attack(client, _own_of(pattern), publisher.check)

    sent = len(publisher.process.matching("sent #"))
    until(lambda: len(publisher.process.matching("sent #")) > sent + 3, 30)
    assert publisher.process.stop() == 0


PAGES = (
    "/api/snapshot",
    "/metrics",
    *(f"/api/{what}/{name}" for what in ("dead", "scheduled", "in-flight") for name in ("reliable", "stream")),
)


def test_the_dashboard_survives_what_others_write(
    watch: Callable[..., Watched], start: Start, client: redis.Redis
) -> None:
    # Given a dashboard, and services that it shows
    start("subscriber", PATTERN="all")
    board = watch("dashboard", DASHBOARD_PORT="0", DASHBOARD_WRITE="1")
    url = board.process.wait_for("open http")[0].rpartition("open ")[2]
    own = [*_own_of("reliable"), *_own_of("stream")[:1], *[key for key in _own_of("stream") if "stream" in key.name]]

    with httpx.Client(base_url=url, timeout=STALL_SECONDS, trust_env=False, verify=NO_TLS) as browser:

        def check(recent: list[Write]) -> None:
            client.zadd(keys.instances(), {INSTANCE: time.time()})
            board.check(recent)
            for page in PAGES:
                answer = browser.get(page)
                assert answer.status_code == 200, f"{page}: {answer.text}\n" + "\n".join(board.process.lines[-40:])

        attack(client, own, check)
    assert board.process.stop() == 0


KNOWN: dict[str, Callable[[redis.Redis], object]] = {
    "a lease that is no text": lambda client: client.zadd(keys.of(NAMES["reliable"]).leases, {b"\xff": 1}),
    "a lease of the handoff": lambda client: client.zadd(
        keys.of(NAMES["reliable"]).leases, {keys.of(NAMES["reliable"]).handoff: 1}
    ),
    "a scheduled message that is too short": lambda client: client.zadd(
        keys.of(NAMES["reliable"]).scheduled, {"short": 1}
    ),
    "an urgent message that is too short": lambda client: client.zadd(keys.of(NAMES["reliable"]).priority, {b"": 1}),
    "attempts of 5,000 digits": lambda client: client.hset(keys.of(NAMES["reliable"]).attempts, "0" * 40, DIGITS),
    "a suspect that is no message": lambda client: client.rpush(keys.of(NAMES["reliable"]).suspects, b"\xff"),
}


@pytest.mark.parametrize("how", KNOWN)
def test_reliable_goes_on_beside(watch: Callable[..., Watched], client: redis.Redis, how: str) -> None:
    # Given a backlog, beside which it falls due
    for number in range(1_000):
        _send(client, "reliable", f"backlog {number}")
    KNOWN[how](client)

    # When a subscriber starts
    subscriber = watch("subscriber", PATTERN="reliable")

    subscriber.process.wait_for("connected to Redis")

    # Then all of it is handled, and what comes later
    _works_on(client, "reliable", subscriber)
    assert len(subscriber.process.matching("backlog")) == 1_000
    subscriber.check([])


@pytest.mark.parametrize("field", ["host", "role", "pattern", "error", "recent", "names", "patterns", "idle_seconds"])
def test_the_dashboard_goes_on_beside_a_report_with_half_a_surrogate_pair(
    watch: Callable[..., Watched], client: redis.Redis, field: str
) -> None:
    board = watch("dashboard", DASHBOARD_PORT="0")
    url = board.process.wait_for("open http")[0].rpartition("open ")[2]
    value = REPORT[field]
    spoiled = {"\ud800": value, "reliable": "\ud800"} if isinstance(value, dict) else "\ud800"

    client.set(keys.instance(INSTANCE), json.dumps(REPORT | {field: spoiled}))
    client.zadd(keys.instances(), {INSTANCE: time.time()})

    with httpx.Client(base_url=url, timeout=STALL_SECONDS, trust_env=False, verify=NO_TLS) as browser:
        for _ in range(5):
            for page in PAGES:
                assert browser.get(page).status_code == 200, page
            time.sleep(0.5)  # it looks at Redis once a second
    board.check([])


def test_every_key_of_shared_is_written_to() -> None:
    assert {key.kind for key in OWN} == {"string", "list", "zset", "hash", "stream"}
    assert keys.of("reliable_queue").leases in {key.name for key in OWN}
