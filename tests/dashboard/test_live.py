"""What a page is told: counts that add up, who is there, what passes by; and what that costs."""

import itertools
import signal
import time
from collections.abc import Callable

import board as boards
import pytest
import redis
from board import MakeBoard, Page, opened, until
from conftest import Start
from messages import wire

from lab.server import Server

board = boards.board


def test_counts_add_up(board: MakeBoard, start: Start) -> None:
    # Given one publisher and two subscribers of every pattern
    subscribers = [start("subscriber", PATTERN="all") for _ in range(2)]
    for subscriber in subscribers:
        subscriber.wait_for("connected", count=4)
    page = board(PATTERN="all")

    # When it sends 300 messages and ends
    assert start("publisher", "hi #N", "--count", "300", PATTERN="all").wait() == 0

    # Then each subscriber got each publication, and one of them each queued message
    expected = {"pubsub": 600, "queue": 300, "reliable": 300, "stream": 300}
    until(lambda: page.pattern("stream")["totals"]["sent"] == 300)
    for name, received in expected.items():
        until(lambda name=name, received=received: page.pattern(name)["totals"]["received"] == received)  # type: ignore[misc]  # mypy infers no lambda that has a default
    for name, received in expected.items():
        view = page.pattern(name)
        totals = view["totals"]
        assert (totals["sent"], totals["handled"], view["lost"]) == (300, received, 0), name


def test_what_was_counted_stays_in_the_sum_when_its_subscriber_is_killed(
    board: MakeBoard, start: Start, client: redis.Redis
) -> None:
    page = board(PATTERN="queue")
    subscriber = start("subscriber", PATTERN="queue")
    client.rpush("message_queue", *[wire(f"hi #{n}") for n in range(20)])
    until(lambda: page.pattern("queue")["totals"]["handled"] == 20)

    subscriber.kill()

    until(lambda: page.states("subscriber") == ["gone"])
    assert page.pattern("queue")["totals"]["handled"] == 20


def test_both_shows_the_exact_difference(board: MakeBoard, start: Start) -> None:
    # Given a publisher whose first messages nobody hears
    page = board(PATTERN="both")
    assert start("publisher", "early", "--count", "7", PATTERN="both").wait() == 0

    # When a subscriber comes, and more is sent
    start("subscriber", PATTERN="both").wait_for("connected", count=2)
    assert start("publisher", "late", "--count", "5", PATTERN="both").wait() == 0

    # Then the queue brought all twelve, the channel five
    difference = until(lambda: (d := page.snapshot()["difference"])["unheard"] == 7 and d)
    until(lambda: page.pattern("queue")["totals"]["received"] == 12)
    difference = page.snapshot()["difference"]
    assert (difference["sent"], difference["lost_pubsub"], difference["lost_queue"]) == (12, 7, 0)
    assert [one["received"] for one in difference["missed"]] == [5]


def test_a_gap_counts_as_many_as_were_not_heard(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    page = board(PATTERN="pubsub")
    start("subscriber", PATTERN="pubsub").wait_for("connected")

    # When of one run of a sender's numbers four are never heard, in two gaps
    for count in (1, 2, 6, 8):
        client.publish("messages", wire(count=count, epoch="run"))

    until(lambda: page.pattern("pubsub")["totals"]["received"] == 4)
    view = page.pattern("pubsub")
    assert (view["totals"]["missed"], view["lost"], view["lost_certain"]) == (4, 4, True)


def test_a_batch_in_a_handlers_hands_is_in_flight(
    board: MakeBoard, start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a handler that hangs on the first of five messages that it took together
    page = board(PATTERN="reliable,stream")
    client.rpush("reliable_queue", *[wire() for _ in range(5)])
    for _ in range(5):
        client.xadd("message_stream", {"message": wire()})

    start(
        "subscriber", PATTERN="reliable,stream", PREFETCH="5", **handler("import time\ndef handle(m): time.sleep(60)")
    )

    # Then all five are in flight, and none of them waits or is lost
    for name in ("reliable", "stream"):
        view = until(lambda name=name: (v := page.pattern(name)) and v["in_flight"] == 5 and v)  # type: ignore[misc]  # bound
        assert (view["depth"], view["lost"]) == (0, 0)


def test_what_somebody_else_takes_is_missed(board: MakeBoard, client: redis.Redis) -> None:
    # Given a page that has been looking for a while, and five messages in the queue
    page = board(PATTERN="queue")
    until(lambda: page.snapshot()["number"] > 4)
    assert page.post("/api/publish", {"pattern": "queue", "text": "hi", "count": 5}).status_code == 200
    until(lambda: page.pattern("queue")["totals"]["sent"] == 5)
    assert page.pattern("queue")["lost"] == 0

    # When a program that reports nothing takes three
    client.lpop("message_queue", 3)

    until(lambda: page.pattern("queue")["lost"] == 3)
    assert page.pattern("queue")["lost_certain"]


def test_after_a_kill_the_loss_is_an_upper_bound(
    board: MakeBoard, start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a subscriber with one message in flight, and one that it has handled
    page = board(PATTERN="queue")
    until(lambda: page.snapshot()["number"] > 4)
    slow = handler("import time\ndef handle(message): time.sleep(60 if message.message == 'slow' else 0)")
    subscriber = start("subscriber", PATTERN="queue", **slow)
    page.post("/api/publish", {"pattern": "queue", "text": "quick"})
    until(lambda: page.pattern("queue")["totals"]["handled"] == 1)
    page.post("/api/publish", {"pattern": "queue", "text": "slow"})
    until(lambda: client.llen("message_queue") == 0)

    # When it is killed before it could say that it has it
    subscriber.kill()

    # Then at most one is lost, and the page says at most
    until(lambda: page.states("subscriber") == ["gone"])
    number = page.snapshot()["number"]
    view = until(lambda: (s := page.snapshot())["number"] > number + 4 and s)["patterns"][0]
    assert view["lost"] <= 1
    assert view["lost_certain"] is (view["lost"] == 0)


@pytest.mark.alone
@pytest.mark.parametrize("idle", [True, False], ids=["idle", "busy"])
def test_a_killed_subscriber_is_gone_within_three_seconds(board: MakeBoard, start: Start, idle: bool) -> None:
    page = board(PATTERN="both")
    subscriber = start("subscriber", PATTERN="both")
    if not idle:
        start("publisher", PATTERN="both", PUBLISH_INTERVAL="0.01")
    until(lambda: page.states("subscriber") in (["idle"], ["working"]))

    subscriber.kill()
    killed = time.monotonic()

    until(lambda: page.states("subscriber") == ["gone"])
    assert time.monotonic() - killed < 3
    assert page.instances("subscriber")[0]["left"] == "vanished"


@pytest.mark.alone
def test_one_that_is_stopped_said_goodbye(board: MakeBoard, start: Start) -> None:
    page = board(PATTERN="queue")
    subscriber = start("subscriber", PATTERN="queue")
    until(lambda: page.states("subscriber") == ["idle"])

    subscriber.stop()

    until(lambda: page.states("subscriber") == ["gone"], seconds=3)
    assert page.instances("subscriber")[0]["left"] == "stopped"


@pytest.mark.alone
def test_three_more_appear_within_three_seconds(board: MakeBoard, start: Start) -> None:
    page = board(PATTERN="queue")

    subscribers = [start("subscriber", PATTERN="queue") for _ in range(3)]
    for subscriber in subscribers:
        subscriber.wait_for("connected")

    until(lambda: len(page.instances("subscriber")) == 3, seconds=3)


def test_a_frozen_one_is_silent_and_comes_back(board: MakeBoard, start: Start) -> None:
    page = board(PATTERN="queue")
    subscriber = start("subscriber", PATTERN="queue")
    until(lambda: page.states("subscriber") == ["idle"])

    subscriber.signal(signal.SIGSTOP)
    until(lambda: page.states("subscriber") == ["silent"])
    subscriber.signal(signal.SIGCONT)

    until(lambda: page.states("subscriber") == ["idle"])


def test_one_whose_handler_hangs_is_stalled(
    board: MakeBoard, start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    page = board(PATTERN="queue")
    hangs = handler("import time\ndef handle(message): time.sleep(60)")
    start("subscriber", PATTERN="queue", HEALTH_SECONDS="1", **hangs)

    client.rpush("message_queue", wire())

    until(lambda: page.states("subscriber") == ["stalled"])
    assert page.instances("subscriber")[0]["idle_seconds"]["queue"] > 1
    assert any(finding["id"].startswith("stalled-") for finding in page.snapshot()["findings"])


def test_the_last_error_of_a_handler_is_shown(
    board: MakeBoard, start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    page = board(PATTERN="queue")
    start("subscriber", PATTERN="queue", **handler("def handle(message): raise ValueError('no\\x1b[2J stamp')"))

    client.rpush("message_queue", wire())

    until(lambda: page.instances("subscriber") and page.instances("subscriber")[0]["error"])
    assert r"ValueError: no\x1b[2J stamp" in page.instances("subscriber")[0]["error"]


def test_messages_pass_by_once_each(board: MakeBoard, start: Start) -> None:
    # Given an open page
    start("subscriber", PATTERN="queue").wait_for("connected")
    with opened(board(PATTERN="queue")) as (page,):
        # When a few messages are sent, slowly enough for a look at each
        publisher = start("publisher", "hi #N", "--count", "5", "--interval", "0.3", PATTERN="queue")
        assert publisher.wait() == 0

        # Then each was seen when it was sent and when it was received, once
        until(lambda: len([line for line in page.seen() if line["kind"] == "received"]) == 5)
        lines = page.seen()
    received = [line for line in lines if line["kind"] == "received"]
    assert [line["text"] for line in received] == [f"hi #{n}" for n in range(1, 6)]
    assert len({(line["id"], line["kind"]) for line in lines}) == len(lines)


def test_a_message_of_the_feed_can_be_read_in_whole(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    page = board(PATTERN="queue")
    start("subscriber", PATTERN="queue")
    payload = wire("hi", data={"a": 1})

    client.rpush("message_queue", payload)

    (line,) = until(lambda: page.json("/api/messages"))
    whole = page.json(f"/api/messages/{line['number']}")
    assert whole == {"seen": line, "payload": payload.decode(), "truncated": False}
    assert page.get("/api/messages/99999").status_code == 404


def test_hostile_messages_are_data_and_nothing_else(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    # Given messages that try to be a script, a terminal, another direction, or too long
    page = board(PATTERN="queue")
    subscriber = start("subscriber", PATTERN="queue")
    subscriber.wait_for("connected")
    texts = [
        "</script><script>alert(1)</script>",
        "\x1b[2J\x00\r\n\r\nevent: session",
        "\u202eright to left\u2028",
        "x" * 1_000_000,
    ]
    with opened(page) as (stream,):
        for text in texts:
            client.rpush("message_queue", wire(text, sender=text[:100]))
            until(lambda text=text: [line for line in stream.seen() if line["text"] == text[:200]])  # type: ignore[misc]  # mypy infers no lambda that has a default

        # Then each arrives as it was, in JSON, and nothing else came of it
        kinds = {kind for kind, _ in stream.events}
        long = next(line for line in stream.seen() if line["text"].startswith("xx"))
    assert kinds == {"session", "snapshot", "seen"}
    assert len(stream.named("session")) == 1
    assert long["size"] > 1_000_000
    whole = page.json(f"/api/messages/{long['number']}")
    assert whole["truncated"]
    assert len(whole["payload"]) == 2048
    assert not [line for line in page.process.lines if "\x1b" in line or "alert" in line]


def test_what_is_no_message_is_shown_as_that(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    page = board(PATTERN="queue")
    start("subscriber", PATTERN="queue")

    client.rpush("message_queue", b'\xff{"not": "one"')

    (line,) = until(lambda: page.json("/api/messages"))
    assert (line["readable"], line["id"], line["kind"]) == (False, "", "received")


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_it_costs_redis_little_however_many_look_and_however_much_flows(
    board: MakeBoard, start: Start, client: redis.Redis
) -> None:
    # Given every pattern, and a page that looks
    start("subscriber", PATTERN="all")
    one = board(PATTERN="all")
    costs = []
    with opened(one) as (stream,):
        costs.append(_cost(client, stream))

        # When messages flow as fast as they go, and when nine more pages are opened
        start("publisher", PATTERN="all", PUBLISH_INTERVAL="0", STREAM_MAXLEN="1000", RELIABLE_LIMIT="100000")
        costs.append(_cost(client, stream))
        with opened(one, 9):
            costs.append(_cost(client, stream))

    # Then less than fifty commands a second are run for the dashboard, those in its scripts included; and no more than
    # before, but for the claims that are counted
    idle, busy, ten = costs
    print(f"commands/s: {idle:.1f} idle, {busy:.1f} under load, {ten:.1f} with ten pages")
    assert 5 < max(costs) < 50
    assert max(costs) - min(costs) < 12


def _cost(client: redis.Redis, stream: Page) -> float:
    """Commands of the dashboard a second, over five."""
    until(lambda: len(stream.named("snapshot")) > 2)
    before, began = _of_the_dashboard(client), len(stream.named("snapshot"))
    until(lambda: len(stream.named("snapshot")) >= began + 5, seconds=20)
    return (_of_the_dashboard(client) - before) / 5


def _of_the_dashboard(client: redis.Redis) -> int:
    """Commands by its connections so far."""
    ours = [row for row in client.client_list() if row["name"].startswith("townpost-dashboard")]
    if "tot-cmds" not in ours[0]:
        pytest.skip("this server does not count commands by connection")
    return sum(int(row["tot-cmds"]) for row in ours)


def test_the_page_outlives_a_restart_of_redis(board: MakeBoard, start: Start, own_server: Server) -> None:
    # Given an open page and a subscriber
    page = board(url=own_server.url, PATTERN="queue")
    start("subscriber", url=own_server.url, PATTERN="queue")
    until(lambda: page.states("subscriber") == ["idle"])
    with opened(page) as (stream,):
        # When Redis goes
        own_server.kill()
        until(lambda: not stream.named("snapshot")[-1]["redis"]["up"])
        away = stream.named("snapshot")[-1]
        assert "no Redis at" in away["redis"]["problem"] or "broke" in away["redis"]["problem"]
        assert page.get("/healthz").json()["ok"]

        # and comes back
        own_server.start()

        # Then the same stream goes on, and the same subscriber is there
        until(lambda: stream.named("snapshot")[-1]["redis"]["up"])
        until(lambda: page.states("subscriber") == ["idle"])
        numbers = [snapshot["number"] for snapshot in stream.named("snapshot")]
    assert numbers == sorted(set(numbers))


def test_it_starts_without_redis(board: MakeBoard) -> None:
    page = board(url="redis://127.0.0.1:1", PATTERN="both")

    snapshot = until(lambda: (s := page.snapshot())["number"] and s)

    assert not snapshot["redis"]["up"]
    assert "no Redis at redis://127.0.0.1:1" in snapshot["redis"]["problem"]
    assert page.get("/").status_code == 200
    assert page.get("/api/dead/reliable").status_code == 503


def test_a_stop_ends_open_streams_in_order(board: MakeBoard) -> None:
    page = board()
    with opened(page, 3) as streams:
        assert page.process.stop(timeout=3) == 0

        for stream in streams:
            assert stream.ended.wait(3)
    assert not page.process.matching("ERROR")


def test_a_page_that_joins_later_finds_the_charts_filled(board: MakeBoard, start: Start) -> None:
    page = board(PATTERN="queue")
    start("publisher", PATTERN="queue", PUBLISH_INTERVAL="0.05")

    until(lambda: page.pattern("queue")["sent_rate"] > 1)
    history = until(lambda: (h := page.json("/api/history"))["paths"] and h)

    assert len(history["at"]) == len(history["paths"]["queue:message_queue"]["sent_rate"])
    assert max(history["paths"]["queue:message_queue"]["sent_rate"]) > 1


@pytest.mark.alone
def test_a_flood_does_the_page_no_harm_and_nothing_looks_lost(
    board: MakeBoard, start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a page, and every pattern that stores messages, as fast as it goes
    pattern = "queue,reliable,stream"
    start("subscriber", PATTERN=pattern, **handler("def handle(message): pass")).wait_for("connected", count=3)
    with opened(board(PATTERN=pattern)) as (stream,):
        start("publisher", "hi #N", "--count", "100000", PATTERN=pattern).wait(100)
        until(lambda: all(v["totals"]["handled"] >= 100_000 for v in stream.named("snapshot")[-1]["patterns"]), 60)
        ended = len(stream.events)
        until(lambda: len(stream.events) > ended + 5)
        snapshots, lines = stream.named("snapshot"), stream.named("seen")

    # Then a snapshot came every second, the feed stayed small, and what was on its way never looked lost
    gaps = [later["at"] - sooner["at"] for sooner, later in itertools.pairwise(snapshots)]
    rates = [max(view["handled_rate"] for view in snapshot["patterns"]) for snapshot in snapshots]
    print(f"at most {max(gaps):.2f} s between snapshots, {max(rates):,.0f} messages/s on one pattern")
    assert max(gaps) < 3
    assert max(map(len, lines)) <= 50
    assert {view["lost"] for snapshot in snapshots for view in snapshot["patterns"]} == {0}
    assert client.llen("message_queue") == 0
