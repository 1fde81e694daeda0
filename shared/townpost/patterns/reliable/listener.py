"""Takes batches from a reliable queue: each in a claim with a lease, settled together with a later claim.

While a backlog is worked off by a fast handler, the next claim is asked for before this one is handed out.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

from townpost import keys
from townpost.counts import Counts
from townpost.errors import FullError, RefusedError, TownpostError, UnavailableError, WrongTypeError
from townpost.patterns.ack_pipeline import AckPipeline
from townpost.patterns.contract import Batch
from townpost.patterns.dead_list import command_to_list
from townpost.patterns.foreign import set_aside
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.patterns.leased import Part
from townpost.patterns.options import Options
from townpost.patterns.reliable.attempts import find_attempts
from townpost.patterns.reliable.claiming import Answer, Claiming
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.forwarder import Forwarder
from townpost.patterns.reliable.once import mark_known
from townpost.patterns.reliable.recovery import Recovery
from townpost.patterns.reliable.scripts import ADOPT, ATTEMPTS, CLAIM, LOOK, ONCE, SETTLE, SETTLE_WHEN_FULL
from townpost.patterns.reliable.settlement import Settlement
from townpost.patterns.reliable.upkeep import ClaimUpkeep
from townpost.prefetch import OVERRUN_SECONDS
from townpost.redis.connection import Connection, Reply
from townpost.text import printable

__all__ = ["ReliableListener"]

_BLOCK_SECONDS = 2.0
_IDLE_SECONDS = 2.0
"""How often an idle consumer looks for expired claims."""
_FORWARDER_IDLE_SECONDS = 5.0
"""The same for the forwarder, which then sends no more commands than the others."""
_LEAST_IDLE_SECONDS = 0.25
"""The shortest pause before a lease that is about to expire is checked: it is usually renewed."""
_FULL_SECONDS = 0.2
_SUSPECTS_SECONDS = 0.01
"""The pause before a consumer asks for the next suspect: a wait on an idle server takes 100 ms at least."""
_AHEAD = 100
"""If a handler handles so many messages in 50 ms, the next claim is requested before this one is delivered."""


class _Asked(NamedTuple):
    """A claim was requested; its reply was not read yet."""

    name: str
    limit: int
    at: float
    ahead: bool
    """It was requested while another claim is in flight."""


class _Unsure(NamedTuple):
    """A claim was requested and the reply was lost: the claim may exist."""

    name: str


class ReliableListener:
    """Takes claims, settles them and recovers expired ones; docs/reliable.md explains the protocol."""

    can_requeue = True

    def __init__(self, settings: Options, connection: Connection, counts: Counts) -> None:
        self._keys = queue = keys.of(settings.reliable_queue)
        self._connection = connection
        self._counts = counts
        self._max_bytes = settings.max_message_bytes
        self._lease = lease = settings.lease_seconds
        self._once = settings.once_seconds > 0
        # PREFETCH bounds what is in flight; with ONCE_SECONDS, ids are looked up between two claims
        self._ahead = _AHEAD if settings.prefetch is None and not self._once else None
        self._overrun = OVERRUN_SECONDS if settings.prefetch is None else None
        # longer than the pause between two renewals of the mark; whether the claim exists decides about an id in flight
        self._in_flight_ms = int(1000 * (settings.once_seconds + settings.handler_timeout + lease))
        self.tells_attempts = False
        """Whether batches look up how often their messages were tried, which costs a round trip for each batch."""
        consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._claiming = Claiming(queue, consumer, lease=lease, max_bytes=self._max_bytes)
        self._recovery = Recovery(queue, counts, lease=lease, max_crashes=settings.max_crashes, by=consumer)
        self._renewer = LeaseRenewer(
            "reliable",
            Connection(settings.url, name="townpost-reliable-renewer"),
            ClaimUpkeep(queue, self._recovery, once_ms=self._in_flight_ms),
            lease=lease,
            handler_timeout=settings.handler_timeout,
        )
        self._forwarder = Forwarder(
            queue, Connection(settings.url, name="townpost-reliable-forwarder"), consumer=consumer
        )
        settlement = Settlement(queue, by=consumer, policy=settings.policy, remember=settings.once_seconds)
        self._pipeline = AckPipeline[Claim](connection, self._renewer, settlement.command, self._note_settled)
        self._state: _Asked | _Unsure | None = None
        """None while no claim is requested."""
        self._claim_at = 0.0
        self._log = logging.getLogger("townpost.reliable")

    def acknowledge_apart(self, connection: Connection) -> tuple[AckPipeline[Claim], Callable[[], None]]:
        self._claiming.many_in_flight, self._ahead, self._overrun = True, None, None
        return self._pipeline.apart(connection, SETTLE, SETTLE_WHEN_FULL)

    def open(self) -> None:
        self._connection.connect()
        self._pipeline.opened()
        self._claim_at = 0.0
        if self._state is not None:
            self._state = _Unsure(self._state.name)
        for script in (ADOPT, ATTEMPTS, CLAIM, LOOK, ONCE, SETTLE, SETTLE_WHEN_FULL):
            script.load(self._connection)

    def take(self, limit: int) -> Batch:
        try:
            claim = self._take(limit)
        except WrongTypeError:
            if not set_aside(self._connection, keys.types(self._keys.queue), self._log):
                raise
            claim = None
        return Batch("reliable", []) if claim is None else claim

    def _take(self, limit: int) -> Claim | None:
        claim: Claim | None = None
        expired: Sequence[bytes] = ()
        if time.monotonic() >= self._claim_at:
            claim, wait, expired, _ = self._claim(limit)
            self._claim_at = 0.0 if claim or expired else time.monotonic() + self._idle(wait)
        if claim is None and not expired:
            claim = self._wait(max(self._claim_at - time.monotonic(), 0.001))
        try:
            if expired:
                self._recovery.take_over(self._connection, expired)
            if claim is not None and self._once:
                self._counts.duplicates += mark_known(self._connection, self._keys, claim, self._in_flight_ms)
            if claim is not None and self.tells_attempts:
                claim.attempts = find_attempts(self._connection, self._keys, claim)
        except TownpostError:
            # when connected again, the listener looks up the claim as after a lost reply
            self._state = None if claim is None else _Unsure(claim.name)
            raise
        if claim is not None:
            self._hold(claim, limit)
        return claim

    def _hold(self, claim: Claim, limit: int) -> None:
        claim.take_up(self._overrun, claim.leased_until)
        self._renewer.hold(claim.name, claim, claim.leased_until)
        if claim.more and self._ahead is not None and limit >= self._ahead:
            with contextlib.suppress(UnavailableError):  # the next take gets the same error, with no claim requested
                self._ask(limit, behind=claim)

    def _claim(self, limit: int) -> Answer:
        while True:
            if isinstance(self._state, _Unsure):
                return Answer(self._look_up(self._state.name))
            if self._state is None:
                self._ask(limit)
            answer = self._answer()
            if answer is not None:
                return answer

    def _idle(self, wait: float) -> float:
        """Seconds until the next claim if no message wakes the consumer."""
        if self._claiming.suspects_wait:
            return _SUSPECTS_SECONDS if self._renewer.holds(self._claiming.suspect) else 0.0
        if self._forwarder.elected and not self._forwarder.running:
            self._forwarder.start()  # an outage has ended it
        most = _FORWARDER_IDLE_SECONDS if self._forwarder.elected else _IDLE_SECONDS
        return most if wait < 0 else min(max(wait / 1000, _LEAST_IDLE_SECONDS), most)

    def _wait(self, seconds: float) -> Claim | None:
        """Wait for a message; return the claim that holds it, or None when the time is up.

        Both commands are sent at once. Redis runs the second as soon as the first no longer blocks. So the message that
        wakes a consumer has a lease, and is sent, without a further round trip.
        """
        if self._claiming.suspects_wait:
            time.sleep(min(seconds, _SUSPECTS_SECONDS))
            return None
        # the lease of the message is counted from the request on
        seconds = min(seconds, _BLOCK_SECONDS, self._lease / 3)
        # each message wakes exactly one consumer, and never leaves Redis
        waiting = ("BLMOVE", self._keys.queue, self._keys.handoff, "LEFT", "RIGHT", seconds)
        name, adopting = self._claiming.adopt()
        self._state = _Unsure(name)
        asked_at = time.monotonic()
        self._connection.longest = self._max_bytes  # the reply of BLMOVE contains the message, too
        try:
            moved, found = self._pipeline.exchange([waiting, adopting], seconds)
        except FullError:
            time.sleep(min(seconds, _FULL_SECONDS))  # a full Redis refuses BLMOVE, but not claims
            self._claim_at = 0.0
            return None
        finally:
            self._connection.longest = None
        self._state = None
        if moved is not None:
            self._claim_at = 0.0  # more messages may have come with it
        return self._claiming.made(name, found, asked_at + self._lease)

    def settle(self, batch: Batch) -> None:
        """Queue the settlement: it is sent together with the next claim, or by `close`."""
        if isinstance(batch, Claim):
            if self._state is not None and batch.open:
                self._give_back_what_comes()  # otherwise it would be handled before what this batch gives back
            self._pipeline.unconfirmed.append(batch)

    def lost(self) -> str:
        return "nothing is lost; what others had in flight comes again when its lease has run out"

    def interrupt(self, control: Connection) -> None:
        self._connection.unblock(control)

    def close(self) -> None:
        try:
            self._give_back_what_comes()
            self._pipeline.finish([], self._log)
            with contextlib.suppress(TownpostError):  # otherwise another consumer takes over a little later
                self._forwarder.close(self._connection)
        finally:
            self._renewer.close()
            self._connection.close()

    def _give_back_what_comes(self) -> None:
        if not isinstance(self._state, _Asked):
            return
        try:
            answer = self._answer()
        except TownpostError as error:
            self._log.warning("what was on its way comes again when its lease has run out: %s", error)
        else:
            if answer is not None and answer.claim is not None:
                # first, so that the unstarted messages of the last batch come before it
                self._pipeline.unconfirmed.insert(0, answer.claim)

    def _ask(self, limit: int, behind: Claim | None = None) -> None:
        claiming = self._claiming
        suspect_in_flight = claiming.suspects_wait and self._renewer.holds(claiming.suspect)
        name, command = claiming.ask(limit, ahead=behind is not None, suspect_in_flight=suspect_in_flight)
        at = time.monotonic()
        self._state = _Unsure(name)
        if behind is not None:
            self._renewer.hold(name, behind, at + self._lease)
        self._pipeline.ask([command])
        self._state = _Asked(name, limit, at, behind is not None)

    def _answer(self) -> Answer | None:
        """The answer of claim.lua; None if the claim was made ahead and is no longer ours."""
        asked = self._state
        assert isinstance(asked, _Asked)  # noqa: S101 - only a requested claim has an answer
        self._state = _Unsure(asked.name)
        try:
            (reply,) = self._pipeline.answer()
        except RefusedError:
            if not self._pipeline.refused:  # Redis refused the claim, not the settlement before it
                self._sure(asked)
            raise
        leased_until = self._sure(asked)
        answer = self._claiming.answered(asked.name, asked.limit, reply, leased_until or 0.0)
        if answer.forward:
            self._forwarder.start()
        return None if leased_until is None else answer

    def _sure(self, asked: _Asked) -> float | None:
        """Note that there is an answer. Returns the end of the lease; None if the claim was made ahead and is lost."""
        self._state = None
        return self._renewer.release(asked.name) if asked.ahead else asked.at + self._lease

    def _look_up(self, name: str) -> Claim | None:
        """After a lost reply: return the claim if it was made."""
        asked_at = time.monotonic()
        (found,) = self._pipeline.exchange([self._claiming.look(name)])
        self._state = None
        self._renewer.release(name)  # a claim made ahead is held already
        return self._claiming.made(name, found, asked_at + self._lease)

    def _note_settled(self, settled: Claim | Part, reply: Reply, repeated: bool) -> None:  # noqa: FBT001 - AckPipeline passes its arguments in order
        if isinstance(settled, Part):
            settled.batch.part_settled(settled)
        match reply:
            case [1, int(died), int(again), int(uncounted)]:
                if died or again:
                    self._counts.add(retried=again, dead=died)
                if died:
                    self._log.error("%d more dead: see `%s`", died, command_to_list("reliable", self._keys.queue))
                if uncounted:
                    self._log.warning(
                        "Redis is full: %d failed messages go to the end of %s, the attempt is not counted",
                        uncounted,
                        printable(self._keys.queue),
                    )
            case _ if not repeated:
                self._counts.add(late=1)
                self._log.warning(
                    "too late: the lease of %d messages of %s had run out (LEASE_SECONDS), they go to others again",
                    len(settled.batch if isinstance(settled, Part) else settled),
                    printable(self._keys.queue),
                )
