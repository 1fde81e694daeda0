"""A state machine tries every order of events: each message is always in exactly one place, and none disappears."""

import select
import time
from collections import Counter

import pytest
import redis
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from reliable_driver import leftovers

from lab.server import Server
from townpost import keys
from townpost.counts import Counts
from townpost.message import Message, read
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetters
from townpost.patterns.reliable import listener as listener_module
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.listener import ReliableListener
from townpost.patterns.reliable.once import mark_known
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

Q = "model_queue"
LEASE = 3600.0
"""Leases run out when the model says so, not by the clock."""


def asked_ahead(listener: ReliableListener) -> str:
    """The name of the claim whose reply has yet to be read, if there is one."""
    return listener._state.name if isinstance(listener._state, listener_module._Asked) else ""


class Model(RuleBasedStateMachine):
    """Several consumers on one queue; time passes by moving deadlines, a crash is a claim nobody renews."""

    server: Server

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.Redis(port=self.server.port)
        self.client.flushall()
        self.settings = Settings.read(
            redis_url=self.server.url,
            pattern="reliable",
            reliable_queue=Q,
            lease_seconds=LEASE,
            backoff_seconds=LEASE,
            max_attempts=2,
            max_crashes=2,
        )
        self.publisher = Publisher(settings=self.settings)
        self.publisher.open()
        # one that handles each id once, and one that does not
        once = self.settings.model_copy(update={"once_seconds": LEASE})
        self.listeners = [
            ReliableListener(chosen, Connection(self.server.url), Counts()) for chosen in (self.settings, once)
        ]
        for listener in self.listeners:
            listener._forwarder._stop.set()  # its thread would work when it likes, and no two runs were alike
            listener.open()
        self.connection = Connection(self.server.url)
        self.connection.connect()
        self.dead_letters = DeadLetters(self.connection, PATTERNS["reliable"], Q)
        self.alive: set[str] = set()
        self.ids: dict[str, str] = {}
        self.number = 0

    def teardown(self) -> None:
        for listener in self.listeners:
            listener._pipeline.unconfirmed = []
            listener.close()
        self.publisher.close()
        self.connection.close()
        self.client.flushall()
        self.client.close()

    @rule(
        count=strategies.integers(1, 3),
        priority=strategies.sampled_from([None, 0, 5, 9]),
        delay=strategies.sampled_from([None, LEASE]),
    )
    def publish(self, count: int, priority: int | None, delay: float | None) -> None:
        made = []
        for _ in range(count):
            self.number += 1
            made.append(Message.create(str(self.number), count=self.number, priority=priority))
        self.alive.update(message.message for message in made)
        self.ids.update({message.message: str(message.id) for message in made})
        self.publisher.send(made, delay=delay)

    @rule(target=claims, who=strategies.integers(0, 1), limit=strategies.integers(1, 3), ahead=strategies.booleans())
    def claim(self, who: int, limit: int, *, ahead: bool) -> object:
        listener = self.listeners[who]
        claim = self._claimed(listener, limit)
        if claim is not None and ahead:
            listener._ask(limit, behind=claim)
            listener._renewer.release(asked_ahead(listener))  # time is ours here
            select.select([listener._connection._socket()], [], [], 5)  # carried out, and the reply not read
        return multiple() if claim is None else (who, claim)

    @rule(
        target=claims,
        held=consumes(claims),
        answers=strategies.lists(strategies.sampled_from(["ack", "fail", "leave"]), min_size=3),
    )
    def settle(self, held: tuple[int, Claim], answers: list[str]) -> object:
        who, claim = held
        listener = self.listeners[who]
        ahead = self._claimed(listener, 1) if asked_ahead(listener) else None
        before = self._everything()
        self._answer(claim, answers)
        mine = self.client.zscore(keys.of(Q).leases, claim.name) is not None
        listener.settle(claim)
        listener._pipeline.exchange([])
        if mine:
            acked = set(range(len(claim))) - set(claim.open) - set(claim.failures)
            self.alive -= {read(claim.payloads[index]).message for index in acked}
        else:
            assert self._everything() == before, "a late answer changed something"
        return multiple() if ahead is None else (who, ahead)

    @rule(
        target=claims,
        held=consumes(claims),
        answers=strategies.lists(strategies.sampled_from(["ack", "fail", "leave"]), max_size=3),
    )
    def split(self, held: tuple[int, Claim], answers: list[str]) -> object:
        """As the renewer does while the handler is busy: what is not begun goes back, and what was claimed ahead."""
        who, claim = held
        listener = self.listeners[who]
        self._answer(claim, answers)
        ahead = [name] if (name := asked_ahead(listener)) else []
        held_before = self.client.llen(claim.name)
        kept = claim.stop_beginning()
        listener._renewer._upkeep.split(self.connection, claim, kept, ahead)
        assert self.client.llen(claim.name) == min(held_before, kept)
        return multiple((who, claim))

    @rule()
    def leases_run_out(self) -> None:
        """Whoever holds a claim now is too late."""
        self._now(keys.of(Q).leases)

    @rule()
    def everything_falls_due(self) -> None:
        self._now(keys.of(Q).scheduled)

    @rule()
    def a_consumer_dies_between_wait_and_claim(self) -> None:
        if self.client.lmove(Q, keys.of(Q).handoff, "LEFT", "RIGHT"):
            self.client.zadd(
                keys.of(Q).leases, {keys.of(Q).handoff: (time.time() + LEASE) * 1000}
            )  # else 250 ms by the clock

    @rule()
    def requeue_the_dead(self) -> None:
        self.dead_letters.requeue([dead_letter.id for dead_letter in self.dead_letters.all()])

    @invariant()
    def each_message_is_in_exactly_one_place(self) -> None:
        assert self._everything() == Counter(self.alive)

    @invariant()
    def every_claim_has_a_lease_and_every_lease_a_claim(self) -> None:
        held = set(self._members(keys.of(Q).leases)) - {keys.of(Q).handoff.encode()}
        assert set(self._keys("claim:*")) == held

    @invariant()
    def every_mark_of_an_id_is_forgotten_some_day(self) -> None:
        assert all(self.client.pttl(key) > 0 for key in self._keys("once:*"))

    @invariant()
    def nothing_that_is_there_is_marked_as_done(self) -> None:
        marks = self.client.mget([keys.of(Q).once(self.ids[text]) for text in self.alive] or ["none"])
        assert b"done" not in marks

    def _claimed(self, listener: ReliableListener, limit: int) -> Claim | None:
        claim, _, expired, _ = listener._claim(limit)
        if expired:
            listener._recovery.take_over(listener._connection, expired)
        if claim is not None and listener._once:
            mark_known(listener._connection, keys.of(Q), claim, listener._in_flight_ms)
            assert not claim.skipped, "no id comes twice, yet one was taken for done, or for another's"
        return claim

    @staticmethod
    def _answer(claim: Claim, answers: list[str]) -> None:
        for answer, delivery in zip(answers, claim, strict=False):
            if answer == "ack":
                delivery.ack()
            elif answer == "fail":
                delivery.fail(ValueError("no"))

    def _keys(self, pattern: str) -> list[bytes]:
        return [key for key in self.client.keys(f"{{{Q}}}:{pattern}") if isinstance(key, bytes)]

    def _members(self, name: str) -> list[bytes]:
        return [member for member in self.client.zrange(name, 0, -1) if isinstance(member, bytes)]

    def _now(self, name: str) -> None:
        for member in self._members(name):
            self.client.zadd(name, {member: 1.5})  # half a millisecond: it was seen to run out

    def _everything(self) -> Counter[str]:
        lists: list[str | bytes] = [Q, keys.of(Q).handoff, keys.of(Q).suspects, *self._keys("claim:*")]
        payloads = [item for name in lists for item in self.client.lrange(name, 0, -1) if isinstance(item, bytes)]
        for name in (keys.of(Q).priority, keys.of(Q).scheduled):
            payloads += [member[21:] for member in self._members(name)]
        payloads += [dead_letter.payload for dead_letter in self.dead_letters.all()]
        return Counter(read(payload).message for payload in payloads)


@pytest.mark.timeout(180)
def test_each_message_is_always_in_exactly_one_place(server: Server) -> None:
    Model.server = server

    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_after_a_drain_nothing_is_left(server: Server) -> None:
    """The end of the model's story: whatever happened, draining empties every key."""
    Model.server = server
    model = Model()
    try:
        for step in range(30):
            model.publish(3, (None, 5)[step % 2], None)
            listener = model.listeners[step % 2]
            claim, _, expired, _ = listener._claim(2)
            if expired:
                listener._recovery.take_over(listener._connection, expired)
            if claim is not None and step % 3:
                for delivery in claim:
                    delivery.fail(ValueError()) if step % 3 == 1 else delivery.ack()
                listener.settle(claim)
                listener._pipeline.exchange([])
            elif claim is not None:
                model.leases_run_out()
            model.everything_falls_due()
        deadline = time.monotonic() + 30
        while leftovers(model.client):
            assert time.monotonic() < deadline
            model.everything_falls_due()
            model.requeue_the_dead()
            listener = model.listeners[0]
            claim, _, expired, _ = listener._claim(100)
            if expired:
                listener._recovery.take_over(listener._connection, expired)
            if claim is not None:
                for delivery in claim:
                    delivery.ack()
                listener.settle(claim)
                listener._pipeline.exchange([])
    finally:
        model.teardown()
