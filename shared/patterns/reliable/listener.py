"""Takes batches from a reliable queue: each in a claim with a lease, settled together with a later claim.

While a backlog is worked off by a fast handler, the next claim is asked for before this one is handed out.
"""

import contextlib
import itertools
import logging
import os
import socket
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from shared import keys
from shared.connection import Link, Reply
from shared.counts import Counts
from shared.errors import FullError, RefusedError, TownpostError, UnavailableError, UnreadableError
from shared.message import read
from shared.patterns.contract import Batch, Command
from shared.patterns.leased import Keeper, Settling
from shared.patterns.reliable.claims import BusyError, Claim, Rules
from shared.patterns.reliable.recovery import Recovery
from shared.patterns.reliable.scripts import CLAIM, ONCE, SETTLE

if TYPE_CHECKING:
    from shared.settings import Settings

__all__ = ["ReliableListener"]

_BLOCK_SECONDS = 1.0
_CLAIM_BYTES = 16 * 1024 * 1024
_IDLE_SECONDS = 2.0
"""How often an idle consumer looks for what fell due that it has not been told of."""
_FULL_SECONDS = 0.2
_AHEAD = 100
"""From how many messages in 50 ms the next claim is asked for ahead: not where a handler takes its time."""
_DONE, _BUSY = 2, 3  # what once.lua answers


class ReliableListener:
    """See the design of the protocol in docs/reliable.md."""

    unhandled_return = True

    def __init__(self, settings: "Settings", link: Link, counts: Counts) -> None:
        self._queue = queue = settings.reliable_queue
        self._link = link
        self._counts = counts
        self._max_bytes = settings.max_message_bytes
        self._lease_ms = int(settings.lease_seconds * 1000)
        self._once = settings.once_seconds > 0
        # PREFETCH says how many one consumer has in hand; and what is handled once has to be asked about in between
        self._ahead = _AHEAD if settings.prefetch is None and not self._once else None
        # an id in hand is remembered for longer than anyone may have it there; whether its claim lives decides
        self._in_hand_ms = int(1000 * (settings.once_seconds + settings.handler_timeout + settings.lease_seconds))
        self._rules = Rules(
            max_attempts=settings.max_attempts,
            backoff=settings.backoff_seconds,
            backoff_cap=settings.backoff_cap_seconds,
            remember=settings.once_seconds,
        )
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._numbers = itertools.count(1)
        self._shared_keys = [
            keys.leases(queue),
            keys.priority(queue),
            keys.scheduled(queue),
            keys.suspects(queue),
        ]
        self._recovery, self._keepers_recovery = (
            Recovery(queue, lease=settings.lease_seconds, max_crashes=settings.max_crashes, by=self._consumer)
            for _ in range(2)  # one for each thread
        )
        self._keeper = Keeper(
            "reliable",
            Link(settings.url, name="townpost-reliable-keeper"),
            self._keepers_recovery.renew,
            lease=settings.lease_seconds,
            handler_timeout=settings.handler_timeout,
        )
        self._died = 0
        self._claim_at = 0.0
        self._settling = Settling(link, self._keeper, self._settlement, self._note_settled)
        self._unsure = ""
        """A claim that was asked for, and whose reply has not come, or never came."""
        self._asked = 0
        """How many messages were asked for, while the reply is on its way."""
        self._log = logging.getLogger("townpost.reliable")

    def open(self) -> None:
        self._link.connect()
        self._claim_at = 0.0
        self._asked = 0
        for script in (CLAIM, SETTLE, ONCE):
            script.load(self._link)

    def take(self, limit: int) -> Batch:
        claim, expired = self._ready(limit)
        try:
            if expired:
                self._recovery.take_over(self._link, expired)
            if claim is not None and self._once:
                self._mark_known(claim)
        except TownpostError:
            # once the link is back, the claim is looked up as if its reply had been lost
            self._unsure = claim.name if claim is not None else ""
            raise
        self._sum_up()
        if claim is None:
            return Batch("reliable", [])
        self._keeper.hold(claim.name, claim)
        if claim.full and self._ahead is not None and limit >= self._ahead:
            with contextlib.suppress(UnavailableError):  # the next turn will meet it again, with nothing in hand
                self._ask(limit, behind=claim)
        return claim

    def _ready(self, limit: int) -> tuple[Claim | None, list[str]]:
        """A claim, at once or after a wait, or None; and the names of expired claims."""
        claim, expired = None, list[str]()
        if time.monotonic() >= self._claim_at:
            claim, wait, expired = self._claim(limit)
            idle = _IDLE_SECONDS if wait < 0 else min(wait / 1000, _IDLE_SECONDS)
            self._claim_at = 0.0 if claim is not None or expired else time.monotonic() + idle
        if claim is None and not expired:
            seconds = min(_BLOCK_SECONDS, max(self._claim_at - time.monotonic(), 0.001))
            if self._wait(seconds):
                self._claim_at = 0.0
                claim, _, expired = self._claim(limit)
        return claim, expired

    def _wait(self, seconds: float) -> bool:
        """Whether something may have come before the time was up."""
        try:
            # exactly one consumer wakes for each message, and the message never leaves Redis
            moved = self._link.call(
                "BLMOVE", self._queue, keys.handoff(self._queue), "LEFT", "RIGHT", seconds, block=seconds
            )
        except FullError:
            time.sleep(min(seconds, _FULL_SECONDS))  # BLMOVE is refused then, claims are not
            return True
        return moved is not None

    def settle(self, batch: Batch) -> None:
        """Travels with the next claim, in one round trip; `close` sends what has none."""
        if isinstance(batch, Claim):
            self._settling.due.append(batch)

    def lost(self) -> str:
        return "nothing is lost; what others had in hand comes again when its lease has run out"

    def interrupt(self, control: Link) -> None:
        if self._link.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self._link.client_id)

    def close(self) -> None:
        try:
            self._give_back_what_comes()
            self._settling.finish([], self._log)
        finally:
            self._keeper.close()
            self._link.close()

    def _give_back_what_comes(self) -> None:
        if not self._asked:
            return
        try:
            claim, _, _ = self._claim(0)
        except TownpostError as error:
            self._log.warning("what was on its way comes again when its lease has run out: %s", error)
        else:
            if claim is not None:
                self._settling.due.insert(0, claim)  # first, so that what the last batch has left comes before it

    def _ask(self, limit: int, behind: Claim | None = None) -> None:
        name = keys.claim(self._queue, self._consumer, next(self._numbers), ahead=behind is not None)
        leases, priority, scheduled, suspects = self._shared_keys
        claiming = CLAIM.command(
            [self._queue, keys.handoff(self._queue), name, leases, priority, scheduled, suspects],
            limit,
            self._lease_ms,
            _CLAIM_BYTES,
            int(behind is not None),
        )
        self._unsure = name
        if behind is not None:
            self._keeper.hold(name, behind)
        self._settling.ask([claiming])
        self._asked = limit

    def _claim(self, limit: int) -> tuple[Claim | None, float, list[str]]:
        """A claim or None, ms until something falls due (-1: nothing), and the names of expired claims."""
        if not self._asked:
            if self._unsure:
                return self._look_up(self._unsure), 0, []
            self._ask(limit)
        asked, self._asked = self._asked, 0
        try:
            (claimed,) = self._settling.answer()
        except RefusedError:
            if not self._settling.refused:
                self._sure()  # it is the claim that was refused, not the settlement before it
            raise
        name = self._sure()
        if not isinstance(claimed, list):
            raise TypeError(f"claim.lua answered {claimed!r}")
        wait, expired, payloads = claimed
        batch = _bytes(payloads)
        claim = Claim(name, batch, self._max_bytes, full=len(batch) >= asked) if batch else None
        return claim, float(wait if isinstance(wait, int) else -1), [n.decode() for n in _bytes(expired)]

    def _sure(self) -> str:
        """The claim that was in doubt no longer is."""
        name, self._unsure = self._unsure, ""
        self._keeper.release(name)
        return name

    def _look_up(self, name: str) -> Claim | None:
        """After a lost reply: the batch that was claimed, if it was."""
        looking = [("ZSCORE", keys.leases(self._queue), name), ("LRANGE", name, 0, -1)]
        score, payloads = self._settling.exchange(looking)
        self._sure()
        return Claim(name, _bytes(payloads), self._max_bytes) if score is not None and payloads else None

    def _sum_up(self) -> None:
        recoveries = (self._recovery, self._keepers_recovery)
        self._counts.recovered = sum(recovery.recovered for recovery in recoveries)
        self._counts.dead = self._died + sum(recovery.died for recovery in recoveries)

    def _settlement(self, claim: Claim) -> Command:
        return claim.settlement(self._queue, self._consumer, self._rules)

    def _note_settled(self, claim: Claim, reply: Reply, repeated: bool) -> None:  # noqa: FBT001
        match reply:
            case [1, int(died), int(again)]:
                self._counts.retried += again
                self._died += died
                self._sum_up()
                if died:
                    self._log.error("%d more dead: see `python -m subscriber dead list`", died)
            case _ if not repeated:
                self._counts.late += 1
                self._log.warning(
                    "too late: the lease of %d messages had run out (LEASE_SECONDS), they go to others again",
                    len(claim),
                )

    def _mark_known(self, claim: Claim) -> None:
        """Answer those messages that were handled before, or are in other hands."""
        ids: dict[int, str] = {}
        for index, payload in enumerate(claim.payloads):
            try:
                ids[index] = str(read(payload, self._max_bytes).id)
            except UnreadableError:
                continue
        first = {message_id: index for index, message_id in reversed(ids.items())}
        fresh = {index: message_id for message_id, index in first.items()}
        for index in ids.keys() - fresh.keys():
            claim.answered(index, BusyError("the same id comes twice in one batch"))
        if not fresh:
            return
        verdicts = self._link.call(
            *ONCE.command(
                [keys.leases(self._queue), *(keys.once(self._queue, message_id) for message_id in fresh.values())],
                claim.name,
                self._in_hand_ms,
            )
        )
        if not isinstance(verdicts, list):
            raise TypeError(f"once.lua answered {verdicts!r}")
        known = {index for index, verdict in zip(fresh, verdicts, strict=True) if verdict == _DONE}
        for index, verdict in zip(fresh, verdicts, strict=True):
            if verdict == _DONE:
                claim.answered(index, None)
            elif verdict == _BUSY:
                claim.answered(index, BusyError("another consumer is handling this id"))
        self._counts.duplicates += len(known)
        claim.once = {index: message_id for index, message_id in fresh.items() if index not in known}


def _bytes(reply: Reply) -> list[bytes]:
    return [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []
