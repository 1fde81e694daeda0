"""What anyone wrote under the keys that the dashboard reads is input: it never ends, stalls or answers 500."""

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import board as boards
import httpx
import pytest
import redis
from board import MakeBoard, until
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import wire

from dashboard.application import application
from dashboard.bursts import Bursts
from dashboard.hub import Hub
from dashboard.poller import Poller
from dashboard.schemas.live import Snapshot
from dashboard.settings import DashboardSettings
from lab.server import Server
from townpost import keys

board = boards.board

Q, S = "reliable_queue", "message_stream"
SURROGATE = "\ud800"
K = keys.of(Q)
OWN = [
    *("message_queue", Q, S, keys.instances(), keys.ended(), keys.instance("x"), keys.instance("y")),
    *(K.handoff, K.leases, K.priority, K.scheduled, K.suspects, K.attempts, K.crashes, K.history, K.dead),
    *("{reliable_queue}:forwarder", "{reliable_queue}:bell", keys.of(Q).claim("c", 1), keys.of(S).dead),
]
TABLES = [
    f"/api/{table}/{pattern}" for table in ("dead", "scheduled", "in-flight") for pattern in ("reliable", "stream")
]
ROUTES = ["/api/snapshot", "/api/history", "/api/messages", "/metrics", "/healthz", *TABLES]
TOLD = frozenset({200, 404, 409})
"""Redis refuses what it is asked about a key of another type."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8) | st.just(SURROGATE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("id", "role", "host", "pid", "at", "started", "client_id", "pattern", "names", "group", "patterns", "recent")
REPORTS = st.dictionaries(
    st.sampled_from((*FIELDS, "elsewhere", "idle_seconds", "error", "ended", "clock_offset")), JSON
).map(lambda told: json.dumps({"id": "x", "patterns": {"queue": {"sent": 1}}, **told}).encode())
BYTES = st.binary(max_size=40) | REPORTS | st.sampled_from([wire(), b"9" * 5000, b"\xff", b"x" * 3000, b"+inf"])
SCORES = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60)
NAMED = BYTES | st.sampled_from([b"x", b"y", keys.of(Q).claim("c", 1).encode(), keys.of(Q).handoff.encode()])
VALUES = st.one_of(
    st.tuples(st.just("string"), BYTES),
    st.tuples(st.just("list"), st.lists(BYTES, min_size=1, max_size=3)),
    st.tuples(st.just("hash"), st.dictionaries(BYTES, BYTES, min_size=1, max_size=3)),
    st.tuples(st.just("zset"), st.dictionaries(NAMED, SCORES, min_size=1, max_size=3)),
    st.tuples(st.just("set"), st.lists(BYTES, min_size=1, max_size=3)),
    st.tuples(
        st.just("stream"),
        st.dictionaries(
            st.sampled_from([b"payload", b"reason", b"attempts", b"history"]) | BYTES, BYTES, min_size=1, max_size=4
        ),
    ),
)


def _write(client: redis.Redis, key: str, kind: str, value: object) -> None:
    writes: dict[str, Callable[[object], object]] = {
        "string": lambda v: client.set(key, v),  # type: ignore[arg-type]  # as the strategy made it
        "list": lambda v: client.rpush(key, *v),  # type: ignore[misc]  # redis-py's annotations are narrower than what it takes
        "hash": lambda v: client.hset(key, mapping=v),  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes
        "zset": lambda v: client.zadd(key, v),  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes
        "set": lambda v: client.sadd(key, *v),  # type: ignore[misc]  # redis-py's annotations are narrower than what it takes
        "stream": lambda v: client.xadd(key, v),  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes
    }
    client.delete(key)
    writes[kind](value)


class Pages:
    """Asks the application without a socket; a bug is an answer 500, as for a browser."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(path)

        return asyncio.run(ask())


Inside: TypeAlias = tuple[Poller, Pages]


@pytest.fixture
def inside(server: Server) -> Iterator[Inside]:
    """The dashboard inside this process, whose turns we make."""
    chosen = DashboardSettings(redis_url=server.url, pattern="all")
    stop = threading.Event()
    told: list[bytes] = []

    def tell(snapshot: Snapshot, _lines: Sequence[object]) -> int:
        told.append(snapshot.model_dump_json(ensure_ascii=True).encode())
        return 0

    poller = Poller(chosen, stop, tell)
    app = application(chosen, poller, Hub(), Bursts(chosen, stop))
    yield poller, Pages(app)
    poller.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.dictionaries(st.sampled_from(OWN), VALUES, min_size=1, max_size=8))
def test_whatever_stands_under_our_keys_every_page_is_served(
    inside: Inside, client: redis.Redis, written: dict[str, tuple[str, object]]
) -> None:
    # Given anything under any of the keys that are read
    poller, pages = inside
    client.flushall()
    for key, (kind, value) in written.items():
        _write(client, key, kind, value)
    now = client.time()[0]
    if written.get(keys.instances(), ("zset",))[0] == "zset":
        client.zadd(keys.instances(), {"x": now, "y": now})
    if written.get(S, ("",))[0] == "stream":
        client.xgroup_create(S, "townpost", id="0")
        client.xreadgroup("townpost", "someone", {S: ">"})

    # When the dashboard looks, twice
    number = poller.snapshot.number
    poller.turn()
    poller.turn()

    # Then it has seen, and answers every question
    assert poller.snapshot.number == number + 2
    assert poller.snapshot.redis.up
    for route in ROUTES:
        answer = pages.get(route)
        assert answer.status_code in TOLD, (route, answer.text)


REPORT: dict[str, object] = {"id": "evil", "role": "subscriber", "at": 1.0, "patterns": {"queue": {"received": 1}}}


@pytest.mark.parametrize(
    "told",
    [
        {"host": SURROGATE},
        {"role": f"a{SURROGATE}"},
        {"pattern": SURROGATE},
        {"error": SURROGATE},
        {"recent": {"queue": [[1, 2.0, SURROGATE, 3]]}},
        {"recent": {"queue": [[1, 2.0, '{"message": "\\ud800", "id": "a"}', 30]]}},
        {"idle_seconds": {SURROGATE: 40}},
        {"names": {"queue": SURROGATE}},
        {"names": {"stream": "{", "reliable": "}"}, "patterns": {"stream": {}, "reliable": {}}},
    ],
    ids=str,
)
def test_half_a_character_in_a_report_ends_nothing(
    inside: Inside, client: redis.Redis, told: dict[str, object]
) -> None:
    poller, pages = inside
    client.set(keys.instance("evil"), json.dumps(REPORT | told))
    client.zadd(keys.instances(), {"evil": client.time()[0]})

    poller.turn()

    assert [one.id for one in poller.snapshot.instances] == ["evil"]
    assert pages.get("/api/snapshot").status_code == 200
    assert pages.get("/api/messages").status_code == 200
    assert pages.get("/metrics").status_code == 200


def test_what_is_no_report_is_counted_and_told_once(
    inside: Inside, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    poller, _ = inside
    now = client.time()[0]
    for number, nonsense in enumerate((b"[]", b'{"id": ' + b"9" * 5000 + b"}", b"\xff")):
        client.set(keys.instance(f"n{number}"), nonsense)
        client.zadd(keys.instances(), {f"n{number}": now})

    for _ in range(3):
        poller.turn()

    assert poller.snapshot.unreadable_reports == 3
    assert [record.message for record in caplog.records if "cannot be read" in record.message] == [
        "3 reports of instances on Redis cannot be read, and are passed over"
    ]


def test_only_claims_are_in_flight(inside: Inside, client: redis.Redis) -> None:
    # Given one claim of two messages among members that are none: the handoff, bytes, another program's
    poller, pages = inside
    claim = keys.of(Q).claim("house", 7)
    client.rpush(claim, wire(), wire())
    client.rpush(keys.of(Q).handoff, wire())
    others = [keys.of(Q).handoff.encode(), b"\xff", b"other:claim", b"x" * 2000]
    leases = dict.fromkeys([*others, claim.encode()], 5.0)
    client.zadd(keys.of(Q).leases, leases)

    poller.turn()

    view = next(view for view in poller.snapshot.patterns if view.name == "reliable")
    assert (view.in_flight, view.depth) == (2, 1)
    page = pages.get("/api/in-flight/reliable").json()
    assert [(flight["consumer"], flight["messages"]) for flight in page["messages"]] == [("house", 2)]
    assert page["total"] == 1


def test_a_count_of_five_thousand_digits_is_none(inside: Inside, client: redis.Redis) -> None:
    _, pages = inside
    for dead in (keys.of(Q).dead, keys.of(S).dead):
        client.xadd(dead, {"payload": wire(), "reason": "failed", "attempts": "9" * 5000, "crashes": "3"})

    for pattern in ("reliable", "stream"):
        (dead_letter,) = pages.get(f"/api/dead/{pattern}").json()["dead_letters"]
        assert (dead_letter["attempts"], dead_letter["crashes"]) == (0, 3)
        assert pages.get(f"/api/dead/{pattern}/{dead_letter['id']}").json()["attempts"] == 0


@pytest.mark.parametrize("known", [True, False], ids=["senders that report", "senders that do not"])
def test_a_forged_number_cannot_set_what_was_lost(inside: Inside, client: redis.Redis, known: bool) -> None:
    # Given a subscriber that believes a forged number
    poller, _ = inside
    now = float(client.time()[0])
    told = {"pubsub": {"received": 3, "missed": 999_999_997}}
    client.set(
        keys.instance("s"), json.dumps({"id": "s", "role": "subscriber", "started": now, "at": now, "patterns": told})
    )
    client.zadd(keys.instances(), {"s": now})
    if known:
        sent = {"pubsub": {"sent": 10}}
        client.set(keys.instance("p"), json.dumps({"id": "p", "role": "publisher", "at": now, "patterns": sent}))
        client.zadd(keys.instances(), {"p": now})

    poller.turn()

    view = poller.snapshot.patterns[0]
    assert view.lost <= (10 if known else 100_000)
    assert not view.lost_certain


def test_a_dashboard_goes_on_whatever_is_written(board: MakeBoard, client: redis.Redis) -> None:
    # Given a page that runs, and under each of its keys a value of the wrong type, then bytes of the right one
    page = board(PATTERN="all")
    writes: list[Callable[[str], object]] = [
        lambda key: client.set(key, b"\xff" * 10),
        lambda key: client.rpush(key, b"\xff" * 10),
        lambda key: client.zadd(key, {b"\xff": 1, b"x": 9e12}),
        lambda key: client.hset(key, b"\xff", b"\xff"),
        lambda key: client.xadd(key, {b"\xff": b"\xff"}),
    ]
    for write in writes:
        client.flushall()
        for key in (*OWN, keys.instance(uuid.uuid4().hex)):
            write(key)
        number = page.snapshot()["number"]

        # When it looks, it sees within seconds
        until(lambda number=number: page.snapshot()["number"] > number + 1, seconds=8)  # type: ignore[misc]  # bound

        assert page.snapshot()["redis"]["up"]
        assert page.process.status is None
    assert not page.process.matching("Traceback")
