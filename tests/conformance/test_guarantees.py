"""What each pattern promises, tried out: one suite, told by the pattern's own data what to expect."""

import threading
import time
from collections.abc import Iterator
from importlib import import_module

import pytest

from lab.server import Server
from townpost.consuming.listening import listen
from townpost.counts import Counts
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Listener, Pattern
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

HEADINGS = ["Commands", "Keys", "Guarantee", "How it fails", "Use when"]


@pytest.fixture(params=list(PATTERNS.values()), ids=list(PATTERNS))
def pattern(request: pytest.FixtureRequest) -> Pattern:
    assert isinstance(request.param, Pattern)
    return request.param


@pytest.fixture
def settings(server: Server, pattern: Pattern) -> Settings:
    return Settings.read(redis_url=server.url, pattern=pattern.name, prefetch=1000)


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    with Publisher(settings=settings) as publisher:
        yield publisher


class Ears:
    """An open listener, and the texts it took."""

    def __init__(self, pattern: Pattern, settings: Settings) -> None:
        self._listener: Listener = pattern.listener(settings, Connection(settings.url), Counts())
        self._listener.open()
        self.heard: list[str] = []

    def listen(self, seconds: float = 0) -> list[str]:
        """Take for so long, and until a turn brings nothing, acknowledging everything."""
        until = time.monotonic() + seconds
        while len(batch := self._listener.take(1000)) or time.monotonic() < until:
            for delivery in batch:
                assert delivery.message is not None
                self.heard.append(delivery.message.message)
                delivery.ack()
            self._listener.settle(batch)
        return self.heard

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def ears(pattern: Pattern, settings: Settings) -> Iterator[list[Ears]]:
    both = [Ears(pattern, settings), Ears(pattern, settings)]
    yield both
    for each in both:
        each.close()


def _stop_renewing(listener: Listener) -> None:
    """As if its process had died."""
    renewer = getattr(listener, "_renewer", None)
    if isinstance(renewer, LeaseRenewer):
        renewer.close()


def _messages(*texts: str) -> list[Message]:
    return [Message.create(text, count=number) for number, text in enumerate(texts, 1)]


def test_a_sequence_arrives_in_order(publisher: Publisher, ears: list[Ears]) -> None:
    publisher.send(_messages(*"abcdef"))

    assert ears[0].listen() == list("abcdef")


def test_fan_out_is_as_promised(pattern: Pattern, publisher: Publisher, ears: list[Ears]) -> None:
    publisher.send(_messages(*"abc"))

    heard = sorted(ears[0].listen() + ears[1].listen())
    assert heard == sorted("abcabc" if pattern.guarantees.fan_out else "abc")


def test_durability_is_as_promised(pattern: Pattern, settings: Settings, publisher: Publisher) -> None:
    # Given a message sent while nobody listens
    publisher.send(_messages("early"))

    # When a listener comes
    late = Ears(pattern, settings)
    heard = late.listen()
    late.close()

    assert heard == (["early"] if pattern.guarantees.durable else [])


def test_redelivery_is_as_promised(pattern: Pattern, settings: Settings) -> None:
    # Given a listener that took a message and is never heard of again
    hasty = settings.model_copy(update={"lease_seconds": 0.3})
    gone = pattern.listener(hasty, Connection(hasty.url), Counts())
    gone.open()
    with Publisher(settings=hasty) as publisher:
        publisher.send(_messages("once"))
    while not len(gone.take(1)):
        pass
    _stop_renewing(gone)

    # When another listens for longer than its lease
    other = Ears(pattern, hasty)
    heard = other.listen(seconds=1.5)
    other.close()

    assert heard == (["once"] if pattern.guarantees.redelivers else [])


def test_a_failure_comes_again_as_promised(pattern: Pattern, settings: Settings, ears: list[Ears]) -> None:
    # Given a handler that fails
    hasty = settings.model_copy(update={"backoff_seconds": 0.01})
    listener = pattern.listener(hasty, Connection(hasty.url), Counts())
    listener.open()
    with Publisher(settings=hasty) as publisher:
        publisher.send(_messages("bad"))
    while not len(batch := listener.take(1)):
        pass
    for delivery in batch:
        delivery.fail(ValueError("no"))
    listener.settle(batch)
    listener.close()

    # Then somebody else gets it, or nobody: ears that were open heard what everyone hears
    heard = ears[0].listen(seconds=1.5)
    assert heard == (["bad"] if pattern.guarantees.redelivers or pattern.guarantees.fan_out else [])


def test_replay_is_as_promised(pattern: Pattern, settings: Settings, publisher: Publisher, ears: list[Ears]) -> None:
    # Given a message that was handled
    publisher.send(_messages("past"))
    assert ears[0].listen() == ["past"]

    # When somebody new, of another group where there are groups, begins to listen
    new = Ears(pattern, settings.model_copy(update={"consumer_group": "historians"}))
    heard = new.listen()
    new.close()

    assert heard == (["past"] if pattern.guarantees.replays else [])


def test_groups_are_as_promised(pattern: Pattern, settings: Settings, publisher: Publisher, ears: list[Ears]) -> None:
    others = Ears(pattern, settings.model_copy(update={"consumer_group": "others"}))
    publisher.send(_messages("news"))

    heard = [ears[0].listen(), others.listen()]
    others.close()

    everybody = pattern.guarantees.fan_out or pattern.guarantees.groups
    assert heard == [["news"], ["news"] if everybody else []]


def test_delays_are_taken_or_refused_as_promised(pattern: Pattern, publisher: Publisher, ears: list[Ears]) -> None:
    if not pattern.guarantees.schedules:
        with pytest.raises(SettingError, match="cannot delay"):
            publisher.send(_messages("later"), delay=0.3)
        return

    publisher.send(_messages("later"), delay=0.3)
    publisher.send(_messages("now"))

    assert ears[0].listen(seconds=1) == ["now", "later"]


def test_the_receipt_counts_what_was_sent(pattern: Pattern, publisher: Publisher) -> None:
    (receipt,) = publisher.send(_messages(*"abc"))

    assert (receipt.pattern, receipt.sent) == (pattern.name, 3)
    assert receipt.unheard == (0 if pattern.guarantees.durable else 3)


def test_an_empty_wait_returns_within_the_promised_second(ears: list[Ears]) -> None:
    assert ears[0].listen() == []


def test_what_cannot_be_read_comes_with_its_reason(pattern: Pattern, settings: Settings, ears: list[Ears]) -> None:
    connection = Connection(settings.url)
    connection.connect()
    for command in pattern.sender(settings).commands([Message.create("rubbish")], [b"rubbish"], None):
        connection.call(*command)
    connection.close()

    listener = ears[0]._listener
    deliveries = [delivery for _ in range(3) for delivery in listener.take(10)]
    assert [(d.message, d.raw, str(d.problem)) for d in deliveries] == [
        (None, b"rubbish", "Invalid JSON: expected value at line 1 column 1")
    ]


def test_listening_from_python_takes_what_publishing_sent(
    pattern: Pattern, settings: Settings, publisher: Publisher
) -> None:
    stop = threading.Event()
    texts: list[str] = []

    def work() -> None:
        for delivery in listen(pattern.name, settings=settings, stop=stop):
            assert delivery.message is not None
            texts.append(delivery.message.message)
            delivery.ack()
            stop.set()

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():  # pub/sub keeps nothing for a listener that has yet to come
        publisher.send(_messages("hello"))
        thread.join(0.05)

    assert set(texts) == {"hello"}


def test_the_docstring_has_the_five_headings(pattern: Pattern) -> None:

    text = import_module(f"townpost.patterns.{pattern.name}").__doc__ or ""

    lines = [line.split(":")[0] for line in text.splitlines() if line[:1].isupper() and ":" in line]
    assert [line for line in lines if line in HEADINGS] == HEADINGS
