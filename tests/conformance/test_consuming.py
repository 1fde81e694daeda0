"""What each pattern promises holds however its handlers are called: inline, in threads, in the event loop."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from apps import RUNNERS, dead, handler, leftovers, put, running, settings, until

from lab.server import Server
from townpost import App, Message, Reject, Retry, keys
from townpost.counts import Counts
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Pattern
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.redis.connection import Connection

Q = "orders"


def _of(wanted: Callable[[Pattern], bool]) -> pytest.MarkDecorator:
    chosen = [pattern for pattern in PATTERNS.values() if wanted(pattern)]
    return pytest.mark.parametrize("pattern", chosen, ids=[pattern.name for pattern in chosen])


ALL = _of(lambda _: True)
DURABLE = _of(lambda pattern: pattern.guarantees.durable)
REDELIVERS = _of(lambda pattern: pattern.guarantees.redelivers)
GROUPS = _of(lambda pattern: pattern.guarantees.groups)
RUNNER = pytest.mark.parametrize("runner", RUNNERS)
AT_ONCE = pytest.mark.parametrize("runner", [runner for runner in RUNNERS if runner != "inline"])
ONE_BY_ONE = pytest.mark.parametrize("runner", [runner for runner in RUNNERS if runner != "threads"])
"""Threads come with more than one message at work."""


class Subject:
    """Apps of one pattern and one runner, and the messages they get."""

    def __init__(self, url: str, client: redis.Redis, pattern: Pattern, runner: str) -> None:
        self.client = client
        self.pattern = pattern
        self.runner = runner
        self.workers = 1 if runner == "inline" else 20
        self._url = url

    @contextmanager
    def listening(
        self, body: Callable[[Message], Any], options: dict[str, Any] | None = None, **given: object
    ) -> Iterator[None]:
        """An app with these settings whose handler, with these options, does that."""
        app = App(settings=settings(self._url, **given))
        before = self._subscribers()
        handler(app, self.runner, Q, body, **{"pattern": self.pattern.name, **(options or {})})
        with running(app):
            until(lambda: self.pattern.guarantees.durable or self._subscribers() > before)
            yield

    def _subscribers(self) -> int:
        return int(self.client.pubsub_numsub(Q)[0][1])

    def put(self, *messages: Message | bytes) -> None:
        put(self.client, self.pattern.name, Q, *messages)

    def put_texts(self, *texts: str) -> None:
        self.put(*(Message.create(text, count=number) for number, text in enumerate(texts, 1)))

    def takes(self, seconds: float) -> object:
        """What a handler returns that takes so long."""
        if self.runner == "loop":
            return asyncio.sleep(seconds)
        time.sleep(seconds)
        return None

    def waits(self, event: threading.Event) -> object:
        """What a handler returns that ends with this event."""
        return asyncio.to_thread(event.wait, 20) if self.runner == "loop" else event.wait(20)

    def in_flight(self) -> int:
        if self.pattern.name == "stream":
            return int(self.client.xpending(Q, "townpost")["pending"])
        return sum(self.client.llen(key) for key in self.client.keys("{orders}:claim:*"))

    def dead(self) -> list[tuple[str, str, str]]:
        return dead(self.client, Q)

    def leftovers(self) -> list[str]:
        return [key for key in leftovers(self.client, self.pattern.name, Q) if key != keys.of(Q).dead]


@pytest.fixture
def subject(server: Server, client: redis.Redis, pattern: Pattern, runner: str) -> Subject:
    return Subject(server.url, client, pattern, runner)


TEXTS = [str(n) for n in range(300)]


@ALL
@RUNNER
def test_each_message_is_handled_once_and_nothing_stays(subject: Subject) -> None:
    heard: list[str] = []
    with subject.listening(lambda message: heard.append(message.message)):
        subject.put_texts(*TEXTS)
        until(lambda: len(heard) >= len(TEXTS))

    assert Counter(heard) == Counter(TEXTS)
    assert subject.leftovers() == []


@ALL
@ONE_BY_ONE
def test_one_at_a_time_keeps_the_order(subject: Subject) -> None:
    heard: list[str] = []
    with subject.listening(lambda message: heard.append(message.message), {"concurrency": 1}):
        subject.put_texts(*TEXTS)
        until(lambda: len(heard) >= len(TEXTS))

    assert subject.pattern.guarantees.ordered
    assert heard == TEXTS


@DURABLE
@RUNNER
def test_what_was_sent_before_it_started_is_handled(subject: Subject) -> None:
    heard: list[str] = []
    subject.put_texts(*TEXTS)

    with subject.listening(lambda message: heard.append(message.message)):
        until(lambda: len(heard) >= len(TEXTS))

    assert Counter(heard) == Counter(TEXTS)


@ALL
@RUNNER
def test_two_apps_share_the_messages_or_get_all_as_promised(subject: Subject) -> None:
    heard: list[str] = []
    times = 2 if subject.pattern.guarantees.fan_out else 1

    def work(message: Message) -> object:
        heard.append(message.message)
        return subject.takes(0.001)

    with subject.listening(work), subject.listening(work):
        subject.put_texts(*TEXTS)
        until(lambda: len(heard) >= times * len(TEXTS))

    assert Counter(heard) == Counter(times * TEXTS)


@GROUPS
@RUNNER
def test_each_group_gets_every_message(subject: Subject) -> None:
    heard: dict[str, list[str]] = {"billing": [], "audit": []}

    with (
        subject.listening(lambda message: heard["billing"].append(message.message), {"group": "billing"}),
        subject.listening(lambda message: heard["audit"].append(message.message), {"group": "audit"}),
    ):
        subject.put_texts("a", "b")
        until(lambda: all(len(texts) >= 2 for texts in heard.values()))

    assert {group: sorted(texts) for group, texts in heard.items()} == {"billing": ["a", "b"], "audit": ["a", "b"]}


@ALL
@RUNNER
def test_one_that_fails_is_tried_again_as_promised_and_keeps_nobody_waiting(subject: Subject) -> None:
    # Given a handler with delays of its own that fails one message of ten
    calls: list[tuple[str, float]] = []

    def work(message: Message) -> None:
        calls.append((message.message, time.monotonic()))
        if message.message == "bad":
            raise ValueError("no such customer")

    texts = ["bad" if n == 4 else str(n) for n in range(10)]
    redelivers = subject.pattern.guarantees.redelivers

    # When it has that one, until it is dead if it can be
    with subject.listening(work, {"attempts": 3, "backoff": [0.3, 0.05]}):
        subject.put_texts(*texts)
        until(lambda: subject.dead() if redelivers else len(calls) == len(texts))

    # Then the others were handled once, and where it is tried again, the pauses were those
    assert Counter(text for text, _ in calls) == Counter(texts) + Counter(bad=2 if redelivers else 0)
    if redelivers:
        first, second, third = (moment for text, moment in calls if text == "bad")
        assert second - first >= 0.29
        assert third - second >= 0.04
        assert subject.dead() == [("bad", "failed", "ValueError: no such customer")]
    assert subject.leftovers() == []


@REDELIVERS
@RUNNER
def test_a_handler_says_when_to_try_again_and_when_never(subject: Subject) -> None:
    calls: list[tuple[str, float]] = []

    def work(message: Message) -> None:
        calls.append((message.message, time.monotonic()))
        if message.message == "never":
            raise Reject("not ours")
        if message.message == "later" and sum(text == "later" for text, _ in calls) == 1:
            raise Retry("closed today", after=0.4)

    with subject.listening(work, backoff_seconds=0):
        subject.put_texts("never", "later")
        until(lambda: len(calls) >= 3)

    first, second = (moment for text, moment in calls if text == "later")
    assert second - first >= 0.39
    assert subject.dead() == [("never", "rejected", "not ours")]


@REDELIVERS
@RUNNER
def test_a_pause_may_be_longer_than_a_lease(subject: Subject) -> None:
    calls: list[float] = []

    def work(_: Message) -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise Retry(after=1.2)

    with subject.listening(work, lease_seconds=0.3):
        subject.put_texts("x")
        until(lambda: len(calls) == 2)

    assert calls[1] - calls[0] >= 1.19


@ALL
@RUNNER
def test_what_cannot_be_read_stops_nobody_and_is_kept_where_there_are_dead_letters(subject: Subject) -> None:
    heard: list[str] = []
    with subject.listening(lambda message: heard.append(message.message)):
        subject.put(b"rubbish")
        subject.put_texts("good")
        until(lambda: heard and (subject.client.xlen(keys.of(Q).dead) or not subject.pattern.guarantees.redelivers))

    assert heard == ["good"]
    assert subject.leftovers() == []


@REDELIVERS
@RUNNER
def test_a_lease_is_kept_while_the_handler_works(subject: Subject) -> None:
    # Given two apps, and a message that takes several leases' time
    begun, done = [], []

    def work(message: Message) -> object:
        begun.append(message.message)
        taken = subject.takes(1.2)
        done.append(message.message)
        return taken

    with subject.listening(work, lease_seconds=0.4), subject.listening(work, lease_seconds=0.4):
        subject.put_texts("long")
        until(lambda: done and not subject.in_flight())

    # Then only one of them gets it
    assert begun == ["long"]


@REDELIVERS
@RUNNER
def test_what_a_lost_consumer_had_comes_again(server: Server, subject: Subject) -> None:
    # Given a consumer that took a message and is never heard of again
    given = settings(server.url, lease_seconds=0.3, **{subject.pattern.setting.lower(): Q})
    gone = subject.pattern.listener(given, Connection(server.url), Counts())
    gone.open()
    subject.put_texts("left")
    while not len(gone.take(1)):
        pass
    renewer = getattr(gone, "_renewer", None)
    assert isinstance(renewer, LeaseRenewer)
    renewer.close()

    # Then another gets it
    heard: list[str] = []
    with subject.listening(lambda message: heard.append(message.message), lease_seconds=0.3):
        until(lambda: heard)
    assert heard == ["left"]


@pytest.mark.parametrize("pattern", [PATTERNS["reliable"]], ids=["reliable"])
@RUNNER
def test_an_id_is_handled_once_where_that_is_asked_for(subject: Subject) -> None:
    heard: list[str] = []
    message = Message.create("charge")

    with subject.listening(lambda message: heard.append(message.message), {"once": 60}):
        subject.put(message, message, Message.create("other"), message)
        until(lambda: len(heard) >= 2 and [key for key in subject.leftovers() if ":once:" not in key] == [])

    assert sorted(heard) == ["charge", "other"]


@pytest.mark.parametrize("pattern", [PATTERNS["reliable"]], ids=["reliable"])
@AT_ONCE
def test_what_leaves_a_batch_early_is_not_kept_from_others_by_its_once_mark(subject: Subject) -> None:
    # Given a batch handled once, of which one message is at work for long and one fails
    release, calls = threading.Event(), []

    def work(message: Message) -> object:
        calls.append(message.message)
        if message.message == "bad" and calls.count("bad") == 1:
            raise ValueError
        return subject.waits(release) if message.message == "slow" else None

    subject.put_texts("slow", "bad", "good")
    with subject.listening(work, {"once": 60}):
        # Then the one that failed is handled again while the other is still at work
        until(lambda: calls.count("bad") == 2, 5)
        assert not release.is_set()
        release.set()

    assert Counter(calls) == {"slow": 1, "bad": 2, "good": 1}


@REDELIVERS
@AT_ONCE
def test_what_is_answered_leaves_its_batch_though_another_of_it_takes_long(subject: Subject) -> None:
    # Given a batch of one slow and nine quick messages
    release, begun = threading.Event(), []

    def work(message: Message) -> object:
        begun.append(message.message)
        return subject.waits(release) if message.message == "3" else None

    with subject.listening(work):
        subject.put_texts(*TEXTS[:10])
        until(lambda: len(begun) == 10)

        # Then what a crash would bring back is the slow one alone
        until(lambda: subject.in_flight() == 1)
        release.set()

    assert subject.leftovers() == []


@ALL
@RUNNER
def test_a_broken_connection_ends_nothing_and_loses_no_more_than_promised(subject: Subject) -> None:
    # Given an app that is at work
    heard: list[str] = []
    before, after = TEXTS[:100], TEXTS[100:200]
    with subject.listening(lambda message: heard.append(message.message)):
        subject.put_texts(*before)
        until(lambda: len(heard) >= (1 if subject.pattern.guarantees.redelivers else len(before)))

        # When every connection to Redis breaks
        for kind in ("normal", "pubsub"):
            subject.client.client_kill_filter(_type=kind, skipme=True)
        until(lambda: subject.pattern.guarantees.durable or subject._subscribers())
        subject.put_texts(*after)

        # Then what comes afterwards is handled, and nothing is lost
        until(lambda: set(heard) >= {*before, *after})
    assert subject.leftovers() == []


@DURABLE
@RUNNER
def test_a_stop_waits_for_what_is_at_work_and_leaves_the_rest_to_others(subject: Subject) -> None:
    # Given an app that is stopped with all its workers at work
    begun: list[str] = []

    def work(message: Message) -> object:
        begun.append(message.message)
        return subject.takes(0.02)

    options = {"concurrency": subject.workers}
    with subject.listening(work, options, lease_seconds=30):
        subject.put_texts(*TEXTS)
        until(lambda: len(begun) >= subject.workers)
    at_work = list(begun)

    # When another starts at once
    with subject.listening(lambda message: begun.append(message.message), options, lease_seconds=30):
        until(lambda: len(begun) >= len(TEXTS))

    # Then each message was handled by one of them
    assert len(at_work) < len(TEXTS)
    assert Counter(begun) == Counter(TEXTS)
    assert subject.leftovers() == []


@REDELIVERS
@AT_ONCE
def test_what_is_at_work_longer_than_a_stop_may_take_is_left_to_its_lease(subject: Subject) -> None:
    # Given more messages than workers, all of which are at work for long
    release, begun = threading.Event(), []

    def work(message: Message) -> object:
        begun.append(message.message)
        return asyncio.sleep(60) if subject.runner == "loop" else release.wait(60)

    with subject.listening(work, {"concurrency": subject.workers}, stop_seconds=0.3, lease_seconds=30):
        subject.put_texts(*TEXTS[:50])
        until(lambda: len(begun) == subject.workers)
        stopped = time.monotonic()
    at_work = list(begun)

    # Then it ends in time
    assert time.monotonic() - stopped < 3
    release.set()

    # And others get at once what was not begun, and nothing else
    with subject.listening(lambda message: begun.append(message.message), lease_seconds=30):
        until(lambda: len(begun) >= 50)
    assert len(at_work) == subject.workers
    assert Counter(begun) == Counter(TEXTS[:50])
    assert subject.in_flight() == subject.workers
