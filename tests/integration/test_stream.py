"""The protocol of the stream, step by step on a real server; consumers that die are simply not asked again."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Protocol
from unittest.mock import Mock

import pytest
import redis
from messages import wire

from lab.proxy import Proxy
from lab.server import Server
from shared import keys
from shared.connection import Link
from shared.counts import Counts
from shared.errors import SettingError, UnavailableError
from shared.message import Message
from shared.patterns import PATTERNS
from shared.patterns.contract import Batch, Receipt
from shared.patterns.letters import DeadLetters, Letter
from shared.patterns.stream.listener import StreamListener
from shared.publishing import Publisher
from shared.settings import Settings

S = "message_stream"
GROUP = "townpost"


class Consumer:
    """A listener driven by hand."""

    def __init__(self, url: str, **settings: object) -> None:
        given = {"lease_seconds": 0.3, "backoff_seconds": 0.01, "redis_url": url, "pattern": "stream"} | settings
        self.counts = Counts()
        chosen = Settings.read(**given)
        self.listener = StreamListener(chosen, Link(chosen.url), self.counts)
        self.listener.open()

    @property
    def name(self) -> str:
        return self.listener._consumer

    def take(self, limit: int = 1000, seconds: float = 5) -> Batch:
        """The next batch that is not empty; empty only if none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            batch = self.listener.take(limit)
            if len(batch) or time.monotonic() > deadline:
                return batch

    def handle(self, limit: int = 1000, seconds: float = 5) -> list[str]:
        """Take one batch, acknowledge it and have that sent."""
        batch = self.take(limit, seconds)
        texts = []
        for delivery in batch:
            texts.append(delivery.message.message if delivery.message else "?")
            delivery.ack()
        self.flush(batch)
        return texts

    def fail(self, error: Exception, seconds: float = 5) -> int:
        """Take one batch, fail all of it and have that sent; how many there were."""
        batch = self.take(seconds=seconds)
        for delivery in batch:
            delivery.fail(delivery.problem or error)
        self.flush(batch)
        return len(batch)

    def flush(self, batch: Batch) -> None:
        self.listener.settle(batch)
        self.listener._settling.exchange([])

    def drain(self, seconds: float = 1) -> list[str]:
        """Everything there is, until nothing comes for so long."""
        texts: list[str] = []
        while found := self.handle(seconds=seconds):
            texts += found
        return texts

    def die(self) -> None:
        """Nothing renews what a dead process held."""
        self.listener._keeper.close()


class MakeConsumer(Protocol):
    def __call__(self, url: str | None = None, **settings: object) -> Consumer: ...


@pytest.fixture
def unhurried(server: Server) -> Iterator[MakeConsumer]:
    """Makes consumers that wait and look as long as real ones."""
    made: list[Consumer] = []

    def make(url: str | None = None, **settings: object) -> Consumer:
        made.append(Consumer(url or server.url, **settings))
        return made[-1]

    yield make
    for each in made:
        each.listener.close()


@pytest.fixture
def consumer(unhurried: MakeConsumer, monkeypatch: pytest.MonkeyPatch) -> MakeConsumer:
    """Makes consumers that look for what others left every tenth of a second: the tests need not wait."""
    monkeypatch.setattr("shared.patterns.stream.listener._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("shared.patterns.stream.listener._BLOCK_SECONDS", 0.1)
    return unhurried


@pytest.fixture
def publisher(server: Server) -> Iterator[Publisher]:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="stream")) as publisher:
        yield publisher


@pytest.fixture
def dead(server: Server) -> Iterator[DeadLetters]:
    link = Link(server.url)
    link.connect()
    yield DeadLetters(link, PATTERNS["stream"], S)
    link.close()


def messages(*texts: str) -> list[Message]:
    return [Message.create(text, count=n) for n, text in enumerate(texts, 1)]


def pending(client: redis.Redis, group: str = GROUP) -> int:
    return int(client.xpending(S, group)["pending"])


def members(client: redis.Redis) -> set[str]:
    return {fields["name"].decode() for fields in client.xinfo_consumers(S, GROUP)}


def entries(client: redis.Redis) -> list[tuple[str, dict[bytes | str, bytes | str]]]:
    found = []
    for entry_id, fields in client.xrange(S) or []:
        assert isinstance(entry_id, bytes)
        found.append((entry_id.decode(), dict(fields or {})))
    return found


def ids(client: redis.Redis) -> list[str]:
    return [entry_id for entry_id, _ in entries(client)]


def held(client: redis.Redis) -> tuple[int, int]:
    """Of the one pending message: ms since it was handed out or renewed, how often it was handed out."""
    (fields,) = client.xpending_range(S, GROUP, "-", "+", 10)
    return int(fields["time_since_delivered"]), int(fields["times_delivered"])


def calls(client: redis.Redis) -> dict[str, int]:
    """How often each command was called since CONFIG RESETSTAT."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}


def text_of(letter: Letter) -> str:
    return str(json.loads(letter.payload)["message"])


def test_what_is_acknowledged_is_no_longer_pending_and_stays_readable(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a", "b", "c"))

    assert consumer().handle() == ["a", "b", "c"]

    assert pending(client) == 0
    assert client.xlen(S) == 3


def test_the_wire_format_gains_no_byte(publisher: Publisher, client: redis.Redis) -> None:
    message = Message.create("a")
    (receipt,) = publisher.send([message])

    ((entry_id, fields),) = entries(client)
    assert fields == {b"message": message.encode()}
    assert receipt.said == f"stream '{S}': id {entry_id}"


def test_any_program_can_fill_the_stream(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.xadd("elsewhere", {"message": wire("from elsewhere"), "more": "that is ignored"})

    assert consumer(stream="elsewhere").handle() == ["from elsewhere"]


def test_each_group_gets_everything(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    first, second = consumer(consumer_group="first"), consumer(consumer_group="second")
    publisher.send(messages("a", "b"))

    assert first.handle() == second.handle() == ["a", "b"]
    assert pending(client, "first") == pending(client, "second") == 0


def test_members_of_a_group_share(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*"abcd"))
    one, other = consumer(), consumer()

    assert one.handle(limit=2) == ["a", "b"]
    assert other.handle(limit=2) == ["c", "d"]
    assert one.handle(seconds=0) == other.handle(seconds=0) == []


def test_a_new_group_starts_where_it_is_told(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given three groups that start at the beginning, after the first entry, and now
    publisher.send(messages("a", "b"))
    after_the_first = ids(client)[0]
    starts = [consumer(consumer_group=start, stream_start=start) for start in ("beginning", after_the_first, "now")]

    publisher.send(messages("c"))

    assert [one.handle() for one in starts] == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_group_that_exists_goes_on_where_it_was(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("a"))
    first = consumer()
    assert first.handle() == ["a"]
    first.listener.close()
    publisher.send(messages("b"))

    assert consumer(stream_start="now").handle() == ["b"]


def test_a_start_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="STREAM_START"):
        Settings.read(stream_start="yesterday")


def test_what_a_dead_consumer_held_comes_again_after_the_lease_one_by_one(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a consumer that died with three messages in hand
    publisher.send(messages("a", "b", "c"))
    died = consumer()
    died.die()
    died.take()
    started = time.monotonic()

    # When another looks
    other = consumer()
    first = other.handle()

    # Then it gets them, each alone, when the lease has run out
    assert 0.25 < time.monotonic() - started < 2
    assert [first, other.handle(), other.handle()] == [["a"], ["b"], ["c"]]
    assert other.counts.recovered == 3
    assert pending(client) == 0


def test_what_a_dead_consumer_held_comes_although_another_is_at_work_on_older_messages(
    consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given a consumer that has a dozen messages in hand for long, and one that died with the next
    publisher.send(messages(*[f"m{n}" for n in range(12)], "left"))
    slow, died, other = consumer(), consumer(), consumer()
    assert len(slow.take(12)) == 12
    died.die()
    assert len(died.take()) == 1

    # Then a third gets what the dead one held
    assert other.handle(seconds=2) == ["left"]


def test_a_lease_is_kept_while_the_handler_works(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a handler that takes three leases' time
    publisher.send(messages("slow"))
    slow, other = consumer(), consumer()
    batch = slow.take()

    taken = other.take(seconds=0.9)

    assert len(taken) == 0
    for delivery in batch:
        delivery.ack()
    slow.flush(batch)
    assert slow.counts.late == 0
    assert pending(client) == 0


def test_renewing_does_not_count_as_handing_out(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("slow"))
    one = consumer()
    one.take()
    time.sleep(0.5)  # the keeper's turn comes every 0.1 s

    idle, handed_out = held(client)
    assert idle < 300
    assert handed_out == 1


def test_a_handler_that_hangs_loses_its_lease(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("stuck"))
    hung, other = consumer(handler_timeout=0.2), consumer()
    hung.take()

    assert other.handle(seconds=3) == ["stuck"]


def test_a_late_acknowledgement_is_counted_and_breaks_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a message whose lease ran out, and that another consumer has now
    publisher.send(messages("a"))
    slow, other = consumer(), consumer()
    slow.die()
    batches = [slow.take(), other.take()]
    assert [len(batch) for batch in batches] == [1, 1]

    # When both acknowledge it
    for one, batch in zip((slow, other), batches, strict=True):
        for delivery in batch:
            delivery.ack()
        one.flush(batch)

    # Then whoever came second knows, and it is handled
    assert (slow.counts.late, other.counts.late) == (0, 1)
    assert pending(client) == 0


def test_a_late_failure_changes_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("a"))
    slow, other = consumer(max_attempts=1), consumer()
    slow.die()
    batch, others = slow.take(), other.take()
    assert len(others) == 1

    for delivery in batch:
        delivery.fail(ValueError("too late anyway"))
    slow.flush(batch)

    assert (slow.counts.dead, slow.counts.retried, dead.all()) == (0, 0, [])
    for delivery in others:
        delivery.ack()
    other.flush(others)
    assert other.counts.late == 0
    assert pending(client) == 0


def test_a_failure_is_tried_again_and_then_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("bad", "good"))
    one = consumer(max_attempts=3)

    tries = 0
    while not dead.all():
        for delivery in (batch := one.take()):
            assert delivery.message is not None
            if delivery.message.message == "bad":
                tries += 1
                delivery.fail(ValueError("no good"))
            else:
                delivery.ack()
        one.flush(batch)

    (letter,) = dead.all()
    assert tries == 3
    assert (letter.reason, letter.error, letter.attempts) == ("failed", "ValueError: no good", 3)
    assert (text_of(letter), letter.by, letter.history) == ("bad", one.name, [])
    assert client.exists(keys.dead(S)) == 1
    assert pending(client) == 0
    assert (one.counts.retried, one.counts.dead) == (2, 1)


def test_the_pause_before_a_retry_doubles_up_to_the_lease(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no luck with the jitter, and nobody who renews
    monkeypatch.setattr("random.random", lambda: 1.0)
    publisher.send(messages("bad"))
    one = consumer(backoff_seconds=0.2, lease_seconds=0.6)
    one.die()

    pauses = []
    for _ in range(4):
        one.fail(ValueError())
        pauses.append(0.6 - held(client)[0] / 1000)

    assert pauses == pytest.approx([0.2, 0.4, 0.6, 0.6], abs=0.1)


def test_a_retry_comes_when_its_pause_is_over_not_when_the_lease_is(
    unhurried: MakeConsumer, publisher: Publisher
) -> None:
    # Given a failure, and nothing else to do; the keeper works on meanwhile
    publisher.send(messages("bad"))
    one = unhurried(lease_seconds=5, backoff_seconds=0.01)
    for delivery in (batch := one.take()):
        delivery.fail(ValueError())
    one.listener.settle(batch)

    assert one.handle(seconds=3) == ["bad"]


def test_what_cannot_be_read_is_dead_at_once(consumer: MakeConsumer, client: redis.Redis, dead: DeadLetters) -> None:
    # Given rubbish, and an entry that somebody wrote otherwise
    client.xadd(S, {"message": b"rubbish"})
    client.xadd(S, {"text": "hello", "from": "elsewhere"})
    client.xadd(S, {"message": wire("fine")})
    one = consumer()

    batch = one.take()
    for delivery in batch:
        if delivery.problem is None:
            delivery.ack()
        else:
            delivery.fail(delivery.problem)
    one.flush(batch)

    assert [(letter.payload, letter.reason, letter.attempts) for letter in dead.all()] == [
        (b"rubbish", "unreadable", 1),
        (b"text hello from elsewhere", "unreadable", 1),
    ]
    assert pending(client) == 0


def test_only_the_message_that_kills_its_consumers_is_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    # Given 200 messages, one of which kills whoever handles it
    publisher.send(messages(*[f"m{n}" for n in range(100)], "poison", *[f"m{n}" for n in range(100, 199)]))
    handled: list[str] = []

    # When consumers come and die
    deaths = 0
    one = consumer(max_attempts=3)
    while pending(client) or not deaths:
        died = False
        for delivery in (batch := one.take(seconds=0)):
            assert delivery.message is not None
            if delivery.message.message == "poison":
                died = True
                break
            delivery.ack()
            handled.append(delivery.message.message)
        if died:
            deaths += 1
            one.die()
            one = consumer(max_attempts=3)
        else:
            one.flush(batch)

    # Then it alone ends among the dead letters, and its neighbours were all handled
    (letter,) = dead.all()
    assert (text_of(letter), letter.reason) == ("poison", "crashed")
    assert "4 times" in letter.error
    assert deaths == 4  # once with its neighbours, when nobody is blamed, and three times alone
    assert set(handled) == {f"m{n}" for n in range(199)}
    assert pending(client) == 0


@pytest.mark.parametrize("max_attempts", [1, 5])
def test_neighbours_of_a_message_that_kills_are_not_blamed(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters, max_attempts: int
) -> None:
    # Given a consumer that died at the first of three messages
    publisher.send(messages("poison", "b", "c"))
    died = consumer(max_attempts=max_attempts)
    died.die()
    next(iter(died.take()))

    other = consumer(max_attempts=max_attempts)
    texts: list[str] = []
    while pending(client):
        texts += other.handle(seconds=0)

    assert [text_of(letter) for letter in dead.all() if text_of(letter) != "poison"] == []
    assert {"b", "c"} <= set(texts)


@pytest.mark.parametrize("max_attempts", [1, 5])
def test_what_was_not_begun_at_a_stop_is_others_at_once(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, max_attempts: int
) -> None:
    # Given leases that would take long to run out
    publisher.send(messages(*"abcd"))
    one, other = (consumer(lease_seconds=30, max_attempts=max_attempts) for _ in range(2))
    batch = one.take()
    next(iter(batch)).ack()

    # When one stops in the middle of its batch
    one.listener.settle(batch)
    one.listener.close()

    assert [other.handle(seconds=1) for _ in range(3)] == [["b"], ["c"], ["d"]]
    assert other.counts.dead == 0
    assert pending(client) == 0


def test_a_lost_reply_to_a_read_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))

        proxy.swallow(b"XREADGROUP")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert [one.handle(), one.handle()] == [["a"], ["b"]]
        assert proxy.swallowed == 1
        assert pending(client) == 0


def test_a_lost_reply_to_a_take_over_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a"))
    died = consumer()
    died.die()
    died.take()
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)

        proxy.swallow(b"XCLAIM")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert one.handle() == ["a"]
        assert proxy.swallowed == 1
        assert pending(client) == 0


def test_a_lost_reply_to_an_acknowledgement_neither_loses_nor_repeats(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        # Given an acknowledgement that travels with the next read
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))
        batch = one.take()
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        publisher.send(messages("c"))

        proxy.swallow(b"XACK")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert one.handle() == ["c"]
        assert proxy.swallowed == 1
        assert one.counts.late == 0
        assert pending(client) == 0


def test_a_lost_reply_to_a_settlement_makes_one_dead_letter(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url, max_attempts=1)
        publisher.send(messages("bad", "good"))
        bad, good = (batch := one.take())
        bad.fail(ValueError())
        good.ack()

        proxy.swallow(b"EVALSHA")
        with pytest.raises(UnavailableError):
            one.flush(batch)
        one.listener.open()
        one.listener._settling.exchange([])

        assert [text_of(letter) for letter in dead.all()] == ["bad"]
        assert one.counts.late == 0
        assert pending(client) == 0


def trimming(server: Server, length: int, *texts: str) -> Receipt:
    """The receipt of a publisher with STREAM_MAXLEN."""
    settings = Settings.read(redis_url=server.url, pattern="stream", stream_maxlen=length)
    with Publisher(settings=settings) as publisher:
        (receipt,) = publisher.send(messages(*texts))
        return receipt


def test_what_all_groups_have_acknowledged_is_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages(*["m"] * 1000))
    for group in ("first", "second"):
        assert len(consumer(consumer_group=group).drain(seconds=0.2)) == 1000
    newest = ids(client)[-300:]

    receipt = trimming(server, 300, "one more")

    # Redis cuts whole nodes of at most 100 entries
    assert 300 <= client.xlen(S) <= 400
    assert set(newest[1:]) <= set(ids(client))
    assert receipt.warning == ""


def test_without_a_limit_nothing_is_trimmed(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    publisher.send(messages(*["m"] * 500))
    consumer().drain(seconds=0.2)

    (receipt,) = publisher.send(messages("one more"))

    assert client.xlen(S) == 501
    assert receipt.warning == ""


def test_a_stream_without_groups_is_trimmed(server: Server, client: redis.Redis) -> None:
    receipt = trimming(server, 300, *["m"] * 1000)

    assert 300 <= client.xlen(S) <= 400
    assert receipt.warning == ""


def test_what_a_group_has_not_read_is_never_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a group that has everything, and one that has read nothing yet
    publisher.send(messages(*["m"] * 1000))
    consumer(consumer_group="quick").drain(seconds=0.2)
    consumer(consumer_group="absent")

    receipt = trimming(server, 300, "one more")

    assert client.xlen(S) == 1001
    assert receipt.warning == (
        f"stream '{S}' has 1,001 entries, more than STREAM_MAXLEN=300: group 'absent' has not acknowledged the oldest"
    )


def test_what_a_group_has_in_hand_is_never_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a group that handled all but the 501st message
    publisher.send(messages(*["m"] * 1000))
    one = consumer(lease_seconds=30)
    one.handle(limit=500)
    first, *others = (batch := one.take())
    for delivery in others:
        delivery.ack()
    wanted = ids(client)[500:]
    for entry_id in wanted[1:]:
        client.xack(S, GROUP, entry_id)

    receipt = trimming(server, 300, "one more")

    assert set(wanted) <= set(ids(client))
    assert 501 <= client.xlen(S) <= 601
    assert f"group '{GROUP}'" in receipt.warning
    first.ack()
    one.flush(batch)
    assert trimming(server, 300, "and another").warning == ""
    assert 300 <= client.xlen(S) <= 400


def test_a_requeued_letter_comes_again_and_keeps_its_history(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    # Given a message that died of its failures, was requeued, and dies again
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    for error in ("first", "second"):
        assert one.fail(ValueError(error)) == 1
        if error == "first":
            assert dead.requeue([letter.id for letter in dead.all()]) == 1
            assert client.exists(keys.dead(S)) == 0

    # Then the letter tells of both
    (letter,) = dead.all("failed")
    assert (letter.error, letter.attempts) == ("ValueError: second", 1)
    assert [(past["error"], past["attempts"]) for past in letter.history] == [("ValueError: first", 1)]

    # And handled at last, it leaves nothing
    dead.requeue([letter.id])
    assert one.handle() == ["bad"]
    assert dead.all() == []
    assert pending(client) == 0


def test_an_unreadable_letter_is_requeued_as_it_was(
    consumer: MakeConsumer, client: redis.Redis, dead: DeadLetters
) -> None:
    client.xadd(S, {"message": b"\xff\x00rubbish"})
    one = consumer()
    one.fail(ValueError())

    dead.requeue([letter.id for letter in dead.all()])
    one.fail(ValueError())

    (letter,) = dead.all()
    assert letter.payload == b"\xff\x00rubbish"
    assert [past["reason"] for past in letter.history] == ["unreadable"]


def test_a_consumer_that_leaves_is_removed_unless_it_holds_messages(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given one that has handled everything, and one that has not
    publisher.send(messages("a", "b"))
    done, holding = consumer(lease_seconds=30), consumer(lease_seconds=30)
    done.handle(limit=1)
    holding.take()
    assert members(client) == {done.name, holding.name}

    done.listener.close()
    holding.listener.close()

    assert members(client) == {holding.name}
    assert pending(client) == 1


def test_consumers_not_seen_for_an_hour_are_removed_by_the_next(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two that went without a word, one of them with a message; and hours that pass quickly
    publisher.send(messages("a"))
    monkeypatch.setattr("shared.patterns.stream.listener._GONE_MS", 100)
    client.xgroup_create(S, GROUP, id="0")
    client.xgroup_createconsumer(S, GROUP, "idle")
    client.xreadgroup(GROUP, "holding", {S: ">"})
    time.sleep(0.2)

    consumer(lease_seconds=30)

    assert members(client) == {"holding"}


@pytest.mark.parametrize("what", ["group", "stream"])
@pytest.mark.parametrize("waiting", [True, False], ids=["while it waits", "between two reads"])
def test_a_group_that_vanishes_is_made_again(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, what: str, *, waiting: bool
) -> None:
    publisher.send(messages("before"))
    one = consumer()
    assert one.handle() == ["before"]

    def vanish() -> None:
        if what == "group":
            client.xgroup_destroy(S, GROUP)
        else:
            client.delete(S)

    vanishing = threading.Timer(0.05 if waiting else 0, vanish)
    vanishing.start()
    if not waiting:
        vanishing.join()
    with pytest.raises(UnavailableError):
        one.take()
    vanishing.join()
    one.listener.open()
    publisher.send(messages("after"))

    assert one.handle() == (["before", "after"] if what == "group" else ["after"])


def test_forgotten_scripts_are_loaded_again(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    for delivery in (batch := one.take()):
        delivery.fail(ValueError())
    client.script_flush()

    with pytest.raises(UnavailableError):
        one.flush(batch)
    one.listener.open()
    one.listener._settling.exchange([])

    assert [text_of(letter) for letter in dead.all()] == ["bad"]


def test_a_batch_is_one_round_trip(
    unhurried: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.send(messages(*[str(n) for n in range(1000)]))
    one = unhurried(lease_seconds=30)
    batch = one.take(100)
    one.listener._look_at = time.monotonic() + 60
    exchange = Mock(wraps=one.listener._link.exchange)
    monkeypatch.setattr(one.listener._link, "exchange", exchange)
    client.config_resetstat()

    for _ in range(9):
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        batch = one.take(100)

    # then each of nine batches cost one acknowledgement and one read, in one write
    stats = calls(client)
    assert {name: stats[name] for name in stats if name.startswith(("x", "eval"))} == {"xack": 9, "xreadgroup": 9}
    assert exchange.call_count == 9


def test_an_idle_consumer_asks_for_little(unhurried: MakeConsumer, client: redis.Redis) -> None:
    one = unhurried(lease_seconds=30)
    client.config_resetstat()

    one.take(seconds=5.5)

    asked = {name: times for name, times in calls(client).items() if name.startswith(("x", "eval"))}
    assert set(asked) <= {"xreadgroup", "xpending", "xautoclaim"}
    assert 0 < sum(asked.values()) <= 12


def test_a_wait_is_ended_from_outside(server: Server, unhurried: MakeConsumer, publisher: Publisher) -> None:
    one = unhurried()
    control = Link(server.url)
    control.connect()
    ending = threading.Timer(0.1, one.listener.interrupt, [control])
    ending.start()
    started = time.monotonic()

    assert len(one.listener.take(10)) == 0

    assert time.monotonic() - started < 0.8
    ending.join()
    control.close()
    publisher.send(messages("a"))
    assert one.handle() == ["a"]


def test_draining_works_when_redis_is_full(own_server: Server, consumer: MakeConsumer) -> None:
    with Publisher(settings=Settings.read(redis_url=own_server.url, pattern="stream")) as publisher:
        publisher.send(messages(*[f"m{n}" for n in range(100)]))
    one = consumer(own_server.url)
    with redis.Redis(port=own_server.port) as client:
        client.config_set("maxmemory", "1")

        first, *others = (batch := one.take(50))
        first.fail(ValueError())
        for delivery in others:
            delivery.ack()
        one.flush(batch)

        assert sorted(one.handle() + one.handle()) == sorted(["m0", *[f"m{n}" for n in range(50, 100)]])
        assert pending(client) == 0
