"""What an operator does from the page: read, requeue, edit, delete, publish; each exactly that."""

import json
import time
from collections.abc import Callable, Iterator

import board as boards
import pytest
import redis
from board import Board, MakeBoard, until
from conftest import Start
from dead_letter_box import NASTY, Q, S, bury
from messages import wire

from lab.processes import Process
from lab.server import Server
from townpost import keys

board = boards.board


@pytest.fixture(scope="module")
def page(shared_server: Server) -> Iterator[Board]:
    environment = {"REDIS_URL": shared_server.url, "PATTERN": "all", "DASHBOARD_PORT": "0", "DASHBOARD_WRITE": "1"}
    process = Process("dashboard", environment=environment)
    one = Board(process)
    yield one
    one.client.close()
    process.stop()


def _waiting(client: redis.Redis, pattern: str) -> list[str]:
    """The texts that are back."""
    if pattern == "reliable":
        payloads = client.lrange(Q, 0, -1)
    else:
        payloads = [fields[b"message"] for _, fields in client.xrange(S) or () if fields]
    return [json.loads(payload)["message"] for payload in payloads]


def _origin(pattern: str) -> str:
    return {"reliable": Q, "stream": S}[pattern]


both = pytest.mark.parametrize("pattern", ["reliable", "stream"])


@both
def test_dead_letters_are_listed_page_by_page(page: Board, client: redis.Redis, pattern: str) -> None:
    ids = [bury(client, f"text {n}", origin=_origin(pattern), error=f"error {n}") for n in range(25)]

    found, after, pages = [], "", 0
    while True:
        answer = page.json(f"/api/dead/{pattern}?limit=10{after}")
        found += answer["dead_letters"]
        pages += 1
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"

    assert [dead_letter["id"] for dead_letter in found] == ids
    assert (pages, answer["total"]) == (3, 25)
    assert found[3]["error"] == "error 3"
    assert json.loads(found[3]["payload"])["message"] == "text 3"
    assert abs(found[3]["at"] - time.time()) < 60


def test_they_are_listed_by_reason(page: Board, client: redis.Redis) -> None:
    for n in range(20):
        bury(client, reason="crashed" if n % 5 == 0 else "failed")

    answer = page.json("/api/dead/reliable?reason=crashed&limit=3")
    rest = page.json(f"/api/dead/reliable?reason=crashed&limit=3&after={answer['next']}")

    assert [dead_letter["reason"] for dead_letter in answer["dead_letters"] + rest["dead_letters"]] == ["crashed"] * 4
    assert rest["next"] is None


def test_what_a_dead_letter_holds_is_shown_as_it_is(page: Board, client: redis.Redis) -> None:
    hostile = bury(client, payload=NASTY, error="<script>alert(1)</script>")
    long = bury(client, "x" * 1_000_000)

    (first, second) = page.json("/api/dead/reliable")["dead_letters"]

    assert first["payload"] == NASTY.decode("utf-8", "backslashreplace")
    assert first["error"] == "<script>alert(1)</script>"
    assert (second["truncated"], len(second["payload"]) <= 200) == (True, True)
    whole = page.json(f"/api/dead/reliable/{long}")
    assert (whole["truncated"], json.loads(whole["payload"])["message"]) == (False, "x" * 1_000_000)
    assert page.json(f"/api/dead/reliable/{hostile}")["history"] == []
    assert page.get("/api/dead/reliable/1-1").status_code == 404


CHOICES: dict[str, Callable[[list[str]], object]] = {
    "one": lambda ids: {"ids": ids[:1]},
    "selected": lambda ids: {"ids": [*ids[1:3], "1-1"]},
    "reason": lambda _: {"reason": "crashed"},
    "all": lambda _: {"all": True},
}
CHOSEN = {"one": {0}, "selected": {1, 2}, "reason": {2, 3}, "all": {0, 1, 2, 3}}


@both
@pytest.mark.parametrize("action", ["requeue", "purge"])
@pytest.mark.parametrize("choice", CHOICES)
def test_exactly_the_chosen_ones_are_requeued_or_deleted(
    page: Board, client: redis.Redis, pattern: str, action: str, choice: str
) -> None:
    # Given four dead letters, two of them of crashes
    origin = _origin(pattern)
    reasons = ["failed", "failed", "crashed", "crashed"]
    ids = [bury(client, f"text {n}", reason=reason, origin=origin) for n, reason in enumerate(reasons)]

    answer = page.post(f"/api/dead/{pattern}/{action}", CHOICES[choice](ids))

    # Then those, and only those, went where they were to go
    chosen = CHOSEN[choice]
    assert answer.json()["done"] == len(chosen), answer.text
    left = {dead_letter["id"] for dead_letter in page.json(f"/api/dead/{pattern}")["dead_letters"]}
    assert left == {id_ for n, id_ in enumerate(ids) if n not in chosen}
    back = set(_waiting(client, pattern))
    assert back == ({f"text {n}" for n in chosen} if action == "requeue" else set())


@pytest.mark.parametrize("choice", [{}, {"ids": []}, {"ids": ["1-1"], "all": True}, {"all": False}, {"ids": ["*"]}])
def test_a_choice_is_clear_or_refused(page: Board, client: redis.Redis, choice: dict[str, object]) -> None:
    bury(client)

    assert page.post("/api/dead/reliable/purge", choice).status_code == 422
    assert page.json("/api/dead/reliable")["total"] == 1


@both
def test_an_edited_dead_letter_arrives(page: Board, client: redis.Redis, start: Start, pattern: str) -> None:
    # Given a dead letter that died unreadable
    dead_letter = bury(client, payload=b'{"message": "broken', reason="unreadable", origin=_origin(pattern))

    # When it is mended and requeued
    mended = wire("mended").decode()
    assert page.post(f"/api/dead/{pattern}/{dead_letter}/edit", {"payload": mended}).json()["done"] == 1

    # Then a subscriber gets it, and it is dead no more
    start("subscriber", PATTERN=pattern).wait_for("mended", "[Received #1 from")
    assert page.json(f"/api/dead/{pattern}")["total"] == 0
    assert page.post(f"/api/dead/{pattern}/{dead_letter}/edit", {"payload": mended}).json()["done"] == 0


@pytest.mark.parametrize("payload", ["", "{}", "null", '{"message": "broken', "\u0000"])
def test_what_is_no_message_is_not_requeued(page: Board, client: redis.Redis, payload: str) -> None:
    dead_letter = bury(client)

    assert page.post(f"/api/dead/reliable/{dead_letter}/edit", {"payload": payload}).status_code == 400
    assert page.json("/api/dead/reliable")["total"] == 1
    assert client.llen(Q) == 0


def test_scheduled_messages_are_handed_out_or_deleted(page: Board, client: redis.Redis) -> None:
    # Given three delayed messages, one of them urgent
    for number in range(3):
        asked = {"pattern": "reliable", "text": f"later {number}", "delay": 500 + number, "priority": number}
        assert page.post("/api/publish", asked).status_code == 200
    found = page.json("/api/scheduled/reliable")
    assert [json.loads(one["payload"])["message"] for one in found["messages"]] == ["later 0", "later 1", "later 2"]
    assert [one["priority"] for one in found["messages"]] == [0, 1, 2]
    assert 490 < found["messages"][0]["due"] - client.time()[0] < 510

    # When the first is to be handed out and the second deleted
    names = [one["member"] for one in found["messages"]]
    assert page.post("/api/scheduled/reliable/now", {"members": names[:1]}).json()["done"] == 1
    assert page.post("/api/scheduled/reliable/purge", {"members": [names[1], "1-x", "x"]}).json()["done"] == 1

    # Then the next claim gets the one, and the third still waits
    assert client.zcount(keys.of(Q).scheduled, "-inf", client.time()[0] * 1000) == 1
    assert page.json("/api/scheduled/reliable")["total"] == 2
    assert page.post("/api/scheduled/reliable/purge", {"members": names[1:2]}).json()["done"] == 0


@both
def test_retries_wait_and_say_how_often(
    page: Board, start: Start, handler: Callable[[str], dict[str, str]], pattern: str
) -> None:
    fails = handler("def handle(message): raise ValueError(message.message)")
    start("subscriber", PATTERN=pattern, BACKOFF_SECONDS="400", BACKOFF_CAP_SECONDS="400", LEASE_SECONDS="400", **fails)
    page.post("/api/publish", {"pattern": pattern, "text": "no stamp"})

    (one,) = until(lambda: page.json(f"/api/scheduled/{pattern}")["messages"])

    assert (one["attempts"], json.loads(one["payload"])["message"]) == (1, "no stamp")
    until(lambda: page.pattern(pattern)["scheduled"] == 1)


@both
def test_what_is_in_flight_is_shown_with_its_holder(
    page: Board, start: Start, handler: Callable[[str], dict[str, str]], pattern: str
) -> None:
    hangs = handler("import time\ndef handle(message): time.sleep(60)")
    start("subscriber", PATTERN=pattern, **hangs).wait_for("connected")
    page.post("/api/publish", {"pattern": pattern, "text": "in flight"})

    found = until(lambda: (f := page.json(f"/api/in-flight/{pattern}"))["messages"] and f)

    (flight,) = found["messages"]
    assert (found["total"], flight["messages"]) == (1, 1)
    assert json.loads(flight["payload"])["message"] == "in flight"
    assert flight["consumer"]
    until(lambda: page.pattern(pattern)["in_flight"] == 1)


def test_listings_of_nothing_are_empty(page: Board, server: Server) -> None:
    assert server.url
    for pattern in ("reliable", "stream"):
        assert page.json(f"/api/dead/{pattern}") == {"dead_letters": [], "total": 0, "next": None}
        assert page.json(f"/api/scheduled/{pattern}") == {"messages": [], "total": 0}
        assert page.json(f"/api/in-flight/{pattern}") == {"messages": [], "total": 0}
    assert page.get("/api/dead/queue").status_code == 422


def test_one_message_is_published_and_says_where_it_went(page: Board, client: redis.Redis) -> None:
    asked = {"pattern": "both", "text": "hi <b>there</b>", "sender": "me", "priority": 3, "data": {"a": [1]}}

    answer = page.post("/api/publish", asked).json()

    assert (answer["sent"], answer["finished"], answer["problem"]) == (1, True, "")
    said = {went["pattern"]: (went["sent"], went["unheard"], went["said"]) for went in answer["went"]}
    assert said["pubsub"] == (1, 1, "channel 'messages': nobody is listening, it is gone")
    assert said["queue"] == (1, 0, "list 'message_queue': length 1")
    (payload,) = client.lrange("message_queue", 0, -1)
    message = json.loads(payload)
    assert {"message": "hi <b>there</b>", "sender": "me", "priority": 3, "data": {"a": [1]}}.items() <= message.items()
    assert answer["ids"] == [message["id"]]


@pytest.mark.alone
def test_a_burst_goes_on_by_itself_and_counts_as_sent(board: MakeBoard, client: redis.Redis) -> None:
    page = board(PATTERN="queue")

    answer = page.post("/api/publish", {"pattern": "queue", "text": "hi #N", "count": 3000}).json()
    assert answer["asked"] == 3000
    until(lambda: page.json(f"/api/bursts/{answer['number']}")["finished"])

    messages = [json.loads(payload) for payload in client.lrange("message_queue", 0, -1)]
    assert [message["message"] for message in messages] == [f"hi #{n}" for n in range(1, 3001)]
    assert len({message["id"] for message in messages}) == 3000
    assert {(message["epoch"], message["sender"]) for message in messages} == {(messages[0]["epoch"], "dashboard")}
    until(lambda: page.pattern("queue")["totals"]["sent"] == 3000)


@pytest.mark.alone
def test_a_burst_is_spread_over_the_time_that_is_asked_for(page: Board, client: redis.Redis) -> None:
    started = time.monotonic()
    answer = page.post("/api/publish", {"pattern": "queue", "text": "hi", "count": 20, "seconds": 1.5}).json()
    assert answer["sent"] < 20

    until(lambda: page.json(f"/api/bursts/{answer['number']}")["finished"])

    assert 1.3 < time.monotonic() - started < 5
    assert client.llen("message_queue") == 20


def test_a_queue_of_another_type_is_told(page: Board, client: redis.Redis) -> None:
    client.set("message_queue", "x")

    answer = page.post("/api/publish", {"pattern": "queue", "text": "hi"})

    assert (answer.status_code, "QUEUE=message_queue names a key of another type" in answer.text) == (409, True)


def test_a_requeued_dead_letter_keeps_its_history(page: Board, client: redis.Redis) -> None:
    dead_letter = bury(client, error="the first time")

    page.post("/api/dead/reliable/requeue", {"ids": [dead_letter]})

    (past,) = client.hvals(keys.of(Q).history)
    assert [death["error"] for death in json.loads(past)] == ["the first time"]
