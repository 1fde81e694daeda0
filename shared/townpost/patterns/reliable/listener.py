"""Takes batches from a reliable queue: each in a claim with a lease, settled together with a later claim.

While a backlog is worked off by a fast handler, the next claim is asked for before this one is handed out.
"""

import contextlib
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast
from uuid import uuid4

from townpost import keys
from townpost.counts import Counts
from townpost.errors import FullError, RefusedError, TownpostError, UnavailableError, WrongTypeError
from townpost.patterns.ack_pipeline import AckPipeline
from townpost.patterns.contract import Batch, Command
from townpost.patterns.foreign import set_aside
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.patterns.leased import Part
from townpost.patterns.reliable.attempts import find_attempts
from townpost.patterns.reliable.bounds import SCRIPT_BYTES
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.forwarder import TRUSTED_MS, Forwarder
from townpost.patterns.reliable.once import mark_known
from townpost.patterns.reliable.recovery import Recovery, grace_ms
from townpost.patterns.reliable.scripts import ADOPT, ATTEMPTS, CLAIM, LOOK, ONCE, SETTLE, SETTLE_WHEN_FULL
from townpost.patterns.reliable.turns import Turns
from townpost.patterns.reliable.upkeep import ClaimUpkeep
from townpost.prefetch import OVERRUN_SECONDS
from townpost.redis.connection import Connection, Reply

if TYPE_CHECKING:
    from townpost.settings import Settings

__all__ = ["ReliableListener"]

_BLOCK_SECONDS = 2.0
_IDLE_SECONDS = 2.0
"""How often an idle consumer looks for what others left behind."""
_FORWARDER_IDLE_SECONDS = 5.0
"""The same for the one that forwards, which so sends no more than the others."""
_LEAST_IDLE_SECONDS = 0.25
"""A lease that is about to run out is looked at no more often: mostly it is renewed."""
_FULL_SECONDS = 0.2
_NO_SUSPECT, _SUSPECT_ALONE = 2, 3
"""How a consumer with many batches in flight asks, see claim.lua."""
_MORE_SUSPECTS = 2
"""And what it is told then."""
_SUSPECTS_SECONDS = 0.1
_AHEAD = 100
"""From how many messages in 50 ms the next claim is asked for ahead: not where a handler takes its time."""


class _Claimed(NamedTuple):
    """What one answer of claim.lua says."""

    claim: Claim | None
    wait: float = 0
    """ms until a lease is to be looked at; -1 when there is none."""
    expired: tuple[bytes, ...] = ()
    """Names of claims to recover."""


class ReliableListener:
    """See the design of the protocol in docs/reliable.md."""

    can_requeue = True

    def __init__(self, settings: "Settings", connection: Connection, counts: Counts) -> None:
        self._queue = queue = settings.reliable_queue
        self._connection = connection
        self._counts = counts
        self._max_bytes = settings.max_message_bytes
        self._lease = settings.lease_seconds
        self._block = min(_BLOCK_SECONDS, self._lease / 3)  # what wakes it is trusted for a lease from the question on
        self._once = settings.once_seconds > 0
        # PREFETCH says how many one consumer has in flight; and what is handled once has to be asked about in between
        self._ahead = _AHEAD if settings.prefetch is None and not self._once else None
        self._overrun = OVERRUN_SECONDS if settings.prefetch is None else None
        # an id in flight is remembered for longer than it takes to renew its mark; whether its claim lives decides
        self._in_flight_ms = int(1000 * (settings.once_seconds + settings.handler_timeout + settings.lease_seconds))
        self._policy = settings.policy
        self._remember = settings.once_seconds
        self._at_once = False
        self._suspects_wait = False
        """While others are at work; one at a time is taken beside them."""
        self._suspect = ""
        """The claim of the last one."""
        self.tells_attempts = False
        """Whether batches are to know how often their messages were tried, at the price of a round trip each."""
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._numbers = itertools.count(1)
        self._turns = Turns()
        self._recovery, self._renewers_recovery = (
            Recovery(queue, lease=settings.lease_seconds, max_crashes=settings.max_crashes, by=self._consumer)
            for _ in range(2)  # one for each thread
        )
        self._renewer = LeaseRenewer(
            "reliable",
            Connection(settings.url, name="townpost-reliable-renewer"),
            ClaimUpkeep(queue, self._renewers_recovery, once_ms=self._in_flight_ms),
            lease=settings.lease_seconds,
            handler_timeout=settings.handler_timeout,
        )
        self._forwarder = Forwarder(
            queue, Connection(settings.url, name="townpost-reliable-forwarder"), consumer=self._consumer
        )
        self._died = 0
        self._claim_at = 0.0
        self._pipeline = self._acknowledging(connection)
        self._unsure = ""
        """A claim that was asked for, and whose reply has not come, or never came."""
        self._asked = 0
        """How many messages were asked for, while the reply is on its way."""
        self._asked_at = 0.0
        self._log = logging.getLogger("townpost.reliable")

    def _acknowledging(self, connection: Connection) -> "AckPipeline[Claim]":
        return AckPipeline(connection, self._renewer, self._settlement, self._note_settled)

    def acknowledge_apart(self, connection: Connection) -> tuple["AckPipeline[Claim]", Callable[[], None]]:
        pipeline = self._acknowledging(connection)
        self._at_once, self._ahead, self._overrun = True, None, None

        def open_() -> None:
            connection.connect()
            pipeline.opened()
            for script in (SETTLE, SETTLE_WHEN_FULL):
                script.load(connection)

        return pipeline, open_

    def open(self) -> None:
        self._connection.connect()
        self._pipeline.opened()
        self._claim_at = 0.0
        self._asked = 0
        for script in (ADOPT, ATTEMPTS, CLAIM, LOOK, ONCE, SETTLE, SETTLE_WHEN_FULL):
            script.load(self._connection)

    def take(self, limit: int) -> Batch:
        try:
            claim = self._take(limit)
        except WrongTypeError:
            if not set_aside(self._connection, keys.types(self._queue), self._log):
                raise
            claim = None
        self._sum_up()
        return Batch("reliable", []) if claim is None else claim

    def _take(self, limit: int) -> Claim | None:
        claim, _, expired = self._ready(limit)
        try:
            if expired:
                self._recovery.take_over(self._connection, expired)
            if claim is not None and self._once:
                self._counts.duplicates += mark_known(self._connection, self._queue, claim, self._in_flight_ms)
            if claim is not None and self.tells_attempts:
                claim.attempts = find_attempts(self._connection, self._queue, claim)
        except TownpostError:
            # once the link is back, the claim is looked up as if its reply had been lost
            self._unsure = claim.name if claim is not None else ""
            raise
        if claim is None:
            return None
        claim.at_once = self._at_once
        claim.take_up(self._overrun, claim.leased_until)
        self._renewer.hold(claim.name, claim, claim.leased_until)
        if claim.more and self._ahead is not None and limit >= self._ahead:
            with contextlib.suppress(UnavailableError):  # the next turn will meet it again, with nothing in flight
                self._ask(limit, behind=claim)
        return claim

    def _ready(self, limit: int) -> _Claimed:
        """A claim, at once or after a wait, or none; and the names of expired claims."""
        claimed = _Claimed(None)
        if time.monotonic() >= self._claim_at:
            claimed = self._claim(limit)
            self._claim_at = 0.0 if claimed.claim or claimed.expired else time.monotonic() + self._idle(claimed.wait)
        if not claimed.claim and not claimed.expired:
            claimed = _Claimed(self._wait(max(self._claim_at - time.monotonic(), 0.001)))
        return claimed

    def _idle(self, wait: float) -> float:
        """Seconds until it looks again though nothing wakes it."""
        if self._suspects_wait:
            return _SUSPECTS_SECONDS
        if self._forwarder.elected:
            self._forwarder.start()  # unless it runs
        most = _FORWARDER_IDLE_SECONDS if self._forwarder.elected else _IDLE_SECONDS
        return most if wait < 0 else min(max(wait / 1000, _LEAST_IDLE_SECONDS), most)

    def _wait(self, seconds: float) -> Claim | None:
        """The message that wakes this consumer before the time is up, if one does.

        Both commands are sent at once. Redis carries out the second as soon as the first no longer blocks, so that a
        message which wakes a consumer is under its lease, and on its way to it, without a further round trip.
        """
        seconds = min(seconds, _SUSPECTS_SECONDS if self._suspects_wait else self._block)
        handoff = keys.handoff(self._queue)
        name = keys.claim(self._queue, self._consumer, next(self._numbers), ahead=self._at_once)
        # exactly one consumer wakes for each message, and the message never leaves Redis
        waiting = ("BLMOVE", self._queue, handoff, "LEFT", "RIGHT", seconds)
        adopting = ADOPT.command([handoff, name, keys.leases(self._queue)], int(self._lease * 1000), self._max_bytes)
        self._unsure = name
        self._asked_at = time.monotonic()
        self._connection.longest = self._max_bytes  # the reply of BLMOVE is the message as well
        try:
            moved, found = self._pipeline.exchange([waiting, adopting], seconds)
        except FullError:
            time.sleep(min(seconds, _FULL_SECONDS))  # BLMOVE is refused then, claims are not
            self._claim_at = 0.0
            return None
        finally:
            self._connection.longest = None
        self._sure()
        if moved is not None:
            self._claim_at = 0.0  # more may have come with it
        return self._made(name, found) if isinstance(found, list) and found else None

    def settle(self, batch: Batch) -> None:
        """Travels with the next claim, in one round trip; `close` sends what has none."""
        if isinstance(batch, Claim):
            if self._asked and batch.open:
                self._give_back_what_comes()  # or it would overtake what this one gives back
            self._pipeline.due.append(batch)

    def lost(self) -> str:
        return "nothing is lost; what others had in flight comes again when its lease has run out"

    def interrupt(self, control: Connection) -> None:
        if self._connection.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self._connection.client_id)

    def close(self) -> None:
        try:
            self._give_back_what_comes()
            self._pipeline.finish([], self._log)
            with contextlib.suppress(TownpostError):  # then another takes its place a little later
                self._forwarder.close(self._connection)
        finally:
            self._renewer.close()
            self._connection.close()

    def _give_back_what_comes(self) -> None:
        if not self._asked:
            return
        try:
            claim = self._answer()
        except TownpostError as error:
            self._log.warning("what was on its way comes again when its lease has run out: %s", error)
        else:
            if claim is not None and claim.claim is not None:
                self._pipeline.due.insert(0, claim.claim)  # first, so that what the last batch has left comes before it

    def _ask(self, limit: int, behind: Claim | None = None) -> None:
        queue = self._queue
        mode = int(behind is not None)
        if self._at_once:
            mode = _SUSPECT_ALONE if self._suspects_wait and not self._renewer.holds(self._suspect) else _NO_SUSPECT
        # nothing is blamed for a crash that happened beside it
        name = keys.claim(queue, self._consumer, next(self._numbers), ahead=mode in (1, _NO_SUSPECT))
        companions = (keys.leases, keys.priority, keys.scheduled, keys.suspects, keys.forwarder)
        claiming = CLAIM.command(
            [queue, keys.handoff(queue), name, *(companion(queue) for companion in companions)],
            *(limit, int(self._lease * 1000), grace_ms(self._lease), SCRIPT_BYTES, self._max_bytes),
            *(mode, self._turns.plain(limit), int(self._turns.suspects)),
            *(self._consumer, TRUSTED_MS),
        )
        self._unsure = name
        self._asked_at = time.monotonic()
        if behind is not None:
            self._renewer.hold(name, behind, self._asked_at + self._lease)
        self._pipeline.ask([claiming])
        self._asked = limit

    def _claim(self, limit: int) -> _Claimed:
        while True:
            if not self._asked:
                if self._unsure:
                    return _Claimed(self._look_up(self._unsure))
                self._ask(limit)
            claimed = self._answer()
            if claimed is not None:
                return claimed

    def _answer(self) -> _Claimed | None:
        """What claim.lua answered; None if the claim was made ahead and is no longer ours."""
        asked, self._asked = self._asked, 0
        try:
            (reply,) = self._pipeline.answer()
        except RefusedError:
            if not self._pipeline.refused:
                self._sure()  # it is the claim that was refused, not the settlement before it
            raise
        name = self._unsure
        leased_until = self._sure()
        match reply:
            case [int(wait), list(expired), list(found), int(forward), int(suspect)]:
                pass
            case _:
                raise TypeError(f"claim.lua answered {reply!r}")
        if forward:
            self._forwarder.start()
        self._turns.took(suspect=suspect == 1)
        if leased_until is None and name.endswith(keys.AHEAD) and not self._at_once:
            return None
        self._suspects_wait = suspect == _MORE_SUSPECTS
        if suspect == 1:
            self._suspect = name
        names = tuple(one for one in expired if isinstance(one, bytes))
        claim = self._made(name, found, leased_until, more=len(found) >= asked) if found else None
        return _Claimed(claim, wait, names)

    def _made(self, name: str, found: list[Reply], leased_until: float | None = None, *, more: bool = False) -> Claim:
        # no test of each one's type: here it would cost as much as all the rest of taking a message
        claim = Claim(name, cast("list[bytes | int]", found), self._max_bytes, full=more)
        claim.leased_until = leased_until or self._asked_at + self._lease
        return claim

    def _sure(self) -> float | None:
        """The claim that was in doubt no longer is. Until when its lease runs, if it was kept."""
        name, self._unsure = self._unsure, ""
        return self._renewer.release(name)

    def _look_up(self, name: str) -> Claim | None:
        """After a lost reply: the batch that was claimed, if it was."""
        asked_at = time.monotonic()
        looking = LOOK.command([name, keys.leases(self._queue)], self._max_bytes, int(self._lease * 1000))
        (found,) = self._pipeline.exchange([looking])
        self._sure()
        return self._made(name, found, asked_at + self._lease) if isinstance(found, list) and found else None

    def _sum_up(self) -> None:
        recoveries = (self._recovery, self._renewers_recovery)
        self._counts.recovered = sum(recovery.recovered for recovery in recoveries)
        self._counts.dead = self._died + sum(recovery.died for recovery in recoveries)

    def _settlement(self, claim: Claim | Part) -> Command:
        part = claim if isinstance(claim, Part) else None
        whole = cast("Claim", claim.batch if isinstance(claim, Part) else claim)
        return whole.settlement(self._queue, self._consumer, self._policy, self._remember, part)

    def _note_settled(self, claim: Claim | Part, reply: Reply, repeated: bool) -> None:  # noqa: FBT001 - AckPipeline passes its arguments in order
        if isinstance(claim, Part):
            claim.batch.parted(claim)
        match reply:
            case [1, int(died), int(again), int(uncounted)]:
                self._counts.retried += again
                self._died += died
                self._sum_up()
                if died:
                    self._log.error("%d more dead: see `python -m subscriber dead list`", died)
                if uncounted:
                    self._log.warning(
                        "Redis is full: %d failed messages go to the end of the queue, the attempt is not counted",
                        uncounted,
                    )
            case _ if not repeated:
                self._counts.late += 1
                self._log.warning(
                    "too late: the lease of %d messages had run out (LEASE_SECONDS), they go to others again",
                    len(claim.batch if isinstance(claim, Part) else claim),
                )
