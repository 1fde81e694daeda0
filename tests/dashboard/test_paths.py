"""Everything is counted by path: pattern, name and consumer group; and the sums on a page agree with each other."""

import itertools
from collections import Counter
from collections.abc import Callable

import board as boards
import redis
from board import Board, MakeBoard, opened, until
from conftest import Start
from hypothesis import given
from hypothesis import strategies as st
from messages import wire

from dashboard.collector import Collected
from dashboard.instances import Instances
from dashboard.paths import Path, own_path, share
from dashboard.reports import Report, read_report
from dashboard.sums import Sums
from lab.server import Server
from townpost import Message, Publisher, Settings

board = boards.board


def _views(page: Board, pattern: str) -> dict[tuple[str, str], dict[str, object]]:
    """By name and group."""
    return {(view["key"], view["group"]): view for view in page.snapshot()["patterns"] if view["name"] == pattern}


def test_a_queue_of_another_name_is_shown_beside_our_own(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    # Given a dashboard that knows nothing of `orders`, and a publisher and a subscriber that use it
    page = board(PATTERN="queue")
    start("subscriber", PATTERN="reliable", RELIABLE_QUEUE="orders").wait_for("connected")

    # When twelve are sent there, and one waits in the queue of the dashboard's own settings
    assert start("publisher", "hi", "--count", "12", PATTERN="reliable", RELIABLE_QUEUE="orders").wait() == 0
    client.rpush("message_queue", wire())

    # Then each is counted where it is, and nothing is lost
    view = until(
        lambda: (v := _views(page, "reliable").get(("orders", ""))) and v["totals"]["handled"] == 12 and v  # type: ignore[index]  # JSON
    )
    assert (view["totals"]["sent"], view["lost"]) == (12, 0)  # type: ignore[index]  # a view is typed as JSON, not as its schema
    assert set(_views(page, "reliable")) == {("orders", "")}
    assert _views(page, "queue")["message_queue", ""]["depth"] == 1


def test_what_a_publisher_sends_elsewhere_is_counted_there(board: MakeBoard, server: Server) -> None:
    # Given a publisher of twelve messages to a queue that its settings do not name, and of two to the one they do
    page = board(PATTERN="queue")
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="queue")) as publisher:
        publisher.send([Message.create("elsewhere") for _ in range(12)], to="orders")
        publisher.send([Message.create("here") for _ in range(2)])

        # Then each is counted where it is, and nothing seems lost
        sent = {("orders", ""): 12, ("message_queue", ""): 2}
        until(lambda: {name: v["totals"]["sent"] for name, v in _views(page, "queue").items()} == sent)  # type: ignore[index]  # JSON
        views = _views(page, "queue")
    assert [view["lost"] for view in views.values()] == [0, 0]
    assert publisher.counts["queue"].sent == 14


def test_names_beyond_what_a_page_shows_are_counted_together(server: Server) -> None:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="queue"), report=False) as publisher:
        for n in range(100):
            publisher.send(Message.create("hi"), to=f"queue-{n}")

    told = publisher._read().core._by_name
    assert len(told) == 60
    assert told["queue", "message_queue"].sent == 41
    assert publisher.counts["queue"].sent == 100


def test_each_group_of_a_stream_has_its_own_lag(board: MakeBoard, start: Start) -> None:
    # Given a stream read by two groups, neither of them the dashboard's
    page = board(PATTERN="stream", STREAM="events")
    for group in ("billing", "email"):
        start("subscriber", PATTERN="stream", STREAM="events", CONSUMER_GROUP=group).wait_for("connected")

    # When a hundred are sent
    assert start("publisher", "hi", "--count", "100", PATTERN="stream", STREAM="events").wait() == 0

    # Then each group has handled all of them, and none lags behind
    def done() -> object:
        views = _views(page, "stream")
        return all(view["totals"]["handled"] == 100 for view in views.values()) and len(views) == 2 and views  # type: ignore[index]  # JSON

    views = until(done)
    assert set(views) == {("events", "billing"), ("events", "email")}  # type: ignore[call-overload]  # a dict
    assert [(view["depth"], view["lost"], view["totals"]["sent"]) for view in views.values()] == [(0, 0, 100)] * 2  # type: ignore[attr-defined]  # a view is typed as JSON, not as its schema
    assert [view["subscribers"] for view in views.values()] == [1, 1]  # type: ignore[attr-defined]  # a view is typed as JSON, not as its schema


def test_dead_letters_of_another_queue_can_be_listed_and_no_other_key(
    board: MakeBoard, start: Start, client: redis.Redis
) -> None:
    page = board(PATTERN="reliable")
    start("subscriber", PATTERN="reliable", RELIABLE_QUEUE="orders").wait_for("connected")
    client.xadd("{orders}:dead", {"payload": wire("late"), "reason": "failed"})
    client.xadd("{secret}:dead", {"payload": wire("secret"), "reason": "failed"})

    until(lambda: _views(page, "reliable").get(("orders", "")))

    assert page.json("/api/dead/reliable?name=orders")["total"] == 1
    assert page.json("/api/dead/reliable")["total"] == 0
    assert page.get("/api/dead/reliable?name=secret").status_code == 404
    assert page.post("/api/dead/reliable/requeue?name=orders", {"all": True}).json()["done"] == 1
    until(lambda: _views(page, "reliable")["orders", ""]["totals"]["handled"] == 1)  # type: ignore[index]  # JSON


def test_what_a_killed_subscriber_had_in_flight_is_lost_on_queue(
    board: MakeBoard, start: Start, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given two subscribers of queue, one with a handler that hangs on one of twelve messages
    page = board(PATTERN="queue")
    slow = handler("import time\ndef handle(message): time.sleep(60 if message.message == 'slow' else 0)")
    victim = start("subscriber", PATTERN="queue", **slow)
    victim.wait_for("connected")
    assert page.post("/api/publish", {"pattern": "queue", "text": "slow"}).status_code == 200
    until(lambda: page.pattern("queue")["totals"]["received"] == 1)
    start("subscriber", PATTERN="queue").wait_for("connected")
    assert page.post("/api/publish", {"pattern": "queue", "text": "quick", "count": 11}).status_code == 200
    until(lambda: page.pattern("queue")["totals"]["handled"] == 11)

    # When it is killed in mid-handler
    victim.kill()

    # Then eleven of twelve were handled, and the page denies nothing: one is lost, or was handled in the last second
    until(lambda: "gone" in page.states("subscriber"))
    view = until(lambda: (v := page.pattern("queue"))["lost"] and v)
    totals = view["totals"]
    assert (totals["sent"], totals["received"], totals["handled"]) == (12, 12, 11)
    assert (view["lost"], view["lost_certain"]) == (1, False)


def test_no_more_is_ever_received_than_was_sent(board: MakeBoard, start: Start) -> None:
    # Given a page, and messages that flow
    page = board(PATTERN="queue,reliable")
    start("subscriber", PATTERN="queue,reliable").wait_for("connected", count=2)
    with opened(page) as (stream,):
        publisher = start("publisher", "hi", "--count", "3000", PATTERN="queue,reliable", PUBLISH_INTERVAL="0.001")
        assert publisher.wait(60) == 0
        until(lambda: all(v["totals"]["handled"] == 3000 for v in stream.named("snapshot")[-1]["patterns"]))
        snapshots = stream.named("snapshot")

    # Then in no snapshot the sums contradict each other, and none of them falls
    views = [view for snapshot in snapshots for view in snapshot["patterns"]]
    assert all(view["totals"]["handled"] <= view["totals"]["received"] <= view["totals"]["sent"] for view in views)
    for name in ("queue", "reliable"):
        mine = [view["totals"] for view in views if view["name"] == name]
        assert all(later[count] >= sooner[count] for sooner, later in itertools.pairwise(mine) for count in sooner)


OWN = own_path(Settings(), "queue")


def _seen(instances: Instances, now: float, *reports: Report, left: frozenset[str] = frozenset()) -> None:
    told = {report.id: report for report in reports}
    entered = dict.fromkeys((name for name in told if name not in left), now)
    instances.update(Collected(now, 0.001, entered, told, connected=set(), depths={}))


def _report(name: str, at: float, started: float, **counts: int) -> Report:
    told = {
        "id": name,
        "role": "publisher" if "sent" in counts else "subscriber",
        "at": at,
        "started": started,
        "patterns": {"queue": counts},
    }
    report = read_report(told, lambda pattern: own_path(Settings(), pattern))
    assert report is not None
    return report


@given(
    lives=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 400)), min_size=1, max_size=6),
    before=st.integers(0, 1000),
)
def test_counters_only_ever_rise_and_begin_when_we_do(lives: list[tuple[int, int]], before: int) -> None:
    # Given one that handled something before we began, and others that come, handle and go, some for long
    instances, sums = Instances(), Sums()
    now, handled = 1000.0, 0
    shown = [0]
    _seen(instances, now, _report("old", now, 1.0, handled=before))
    assert sums.rising(OWN, now, instances)["handled"] == 0

    # When each of them ends
    for number, (count, pause) in enumerate(lives):
        now += 1
        _seen(instances, now, _report(f"i{number}", now, now - 0.5, handled=count))
        handled += count
        shown.append(sums.rising(OWN, now, instances)["handled"])
        now += pause
        _seen(instances, now)
        sums.forget(instances)
        shown.append(sums.rising(OWN, now, instances)["handled"])

    # Then nothing that was counted is taken back, and nothing counted twice
    assert shown == sorted(shown)
    assert shown[-1] == handled


@given(
    sent=st.integers(0, 1000),
    more=st.integers(0, 1000),
    at=st.floats(0.0, 0.99),
    look=st.floats(0.0, 0.99),
    idle=st.booleans(),
)
def test_reports_of_different_moments_add_up_to_one(
    sent: int, more: int, at: float, look: float, *, idle: bool
) -> None:
    # Given a publisher's report from before, and a subscriber's that knows of what was sent since
    instances, sums = Instances(), Sums()
    now = 1010.0
    publisher = _report("p", now - (2.9 if idle else 0.9), now - 9, sent=sent)
    first = _report("s", now - 1.9 + at / 10, now - 9, received=sent, handled=sent)
    _seen(instances, now - 1, publisher, first)
    since = sent if idle else sent + more
    _seen(instances, now, publisher, _report("s", now - look / 10, now - 9, received=since, handled=since))

    # Then the page shows no more received than sent
    totals = sums.of(OWN, now, instances)
    assert totals["handled"] <= totals["received"] <= totals["sent"] == sent


def test_what_a_group_did_is_no_other_groups_and_what_was_sent_is_everyones() -> None:
    billing, email = Path("stream", "events", "billing"), Path("stream", "events", "email")
    counts = {billing: Counter(sent=5, handled=3), Path("stream", "other", "email"): Counter(handled=9)}

    assert share(counts, billing) == Counter(sent=5, handled=3)
    assert +share(counts, email) == Counter(sent=5)


def test_names_of_a_path_cannot_be_confused() -> None:
    assert Path("queue", "a:b").id != Path("queue", "a", "b").id
