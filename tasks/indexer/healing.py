"""Makes up for what was never heard: asks the API for what has changed since the index's cursor.

On pub/sub, which forgets, it is due at the start, after each gap in the connection, and when a number is skipped. On
the patterns that keep what they are given, the events themselves will come. On all of them a look at the API from
time to time finds what no event tells: a last event that was lost, an index that was deleted.
"""

import logging
import threading
import time

from redis.backoff import EqualJitterBackoff

from tasks.indexer.api import Api, ApiAwayError, Page
from tasks.indexer.writing import Writing

__all__ = ["Healing"]

_BACKOFF = EqualJitterBackoff(base=0.2, cap=5.0)
_SECOND_LOOK_SECONDS = 1.0


class Healing:
    """For the indexer's thread, which calls `turn` between two batches."""

    def __init__(
        self, api: Api, writing: Writing, stop: threading.Event, *, check_seconds: float, forgetful: bool
    ) -> None:
        """Nothing is asked before `turn`.

        Args:
            api: whom to ask.
            writing: where to.
            stop: ends it between two pages.
            check_seconds: how often to check for changes without an event.
            forgetful: whether an event that was not heard will never come.
        """
        self._api = api
        self._writing = writing
        self._stop = stop
        self._check_seconds = check_seconds
        self._forgetful = forgetful
        self._due: str | None = None
        self._next_at = 0.0
        self._failures = 0
        self._suspected: int | None = None
        self._in_step_at: float | None = None
        self._met = False
        self._log = logging.getLogger("townpost.indexer")
        self.healed = 0
        self.missed = 0
        """Changes without an event."""
        self.asking = False
        """True while nothing is in flight but a question to the API."""

    def want(self, reason: str) -> None:
        """Heal at the next turn, if this pattern forgets; otherwise what was missed will come."""
        if self._forgetful and self._due is None:
            self._due = reason
            self._next_at = 0.0

    def in_step(self) -> None:
        """Everything up to now was saved."""
        if self._due is None:
            self._in_step_at = time.time()

    def turn(self) -> None:
        """Do what is due."""
        if time.monotonic() < self._next_at or self._writing.resting:
            return
        if self._writing.run(self._writing.opened, 0) is None:
            return
        try:
            if not self._met:
                self._meet()
            elif self._due is None:
                self._check()
            if self._due is not None:
                self._heal(self._due)
        except ApiAwayError as error:
            self._failures += 1
            pause = _BACKOFF.compute(self._failures)
            self._next_at = time.monotonic() + pause
            if self._failures == 1:
                state = "the index is stale" if self._due is not None else "the index may be stale"
                self._log.warning("%s; %s until it does", error, state)
        else:
            self._failures = 0

    def _ask(self, after: int, limit: int | None = None) -> Page:
        self.asking = True
        try:
            return self._api.changes(after) if limit is None else self._api.changes(after, limit)
        finally:
            self.asking = False

    def _meet(self) -> None:
        """The first look: do index and API belong together, and is the index new?"""
        last, cursor = self._ask(0, 1).last, self._writing.progress.cursor
        if last < cursor:
            self._log.error(
                "the index has seen change %d, but the API has made only %d: it has another database now; "
                "to be rid of the old one's tasks, delete the index (INDEX_URL) and start again",
                cursor,
                last,
            )
            if self._writing.run(self._writing.restart, 0) is None:
                return
        self._met = True
        if self._due is not None:
            return
        self._next_at = time.monotonic() + self._check_seconds
        if last and not self._writing.progress.cursor:
            self._due = "the index is new"

    def _check(self) -> None:
        """Heal if the cursor does not move although there are newer changes; one look may just be too early."""
        cursor = self._writing.progress.cursor
        if self._ask(cursor, 1).last <= cursor:
            self._suspected = None
            self._next_at = time.monotonic() + self._check_seconds
            self.in_step()
        elif self._suspected == cursor:
            self._due = "changes without an event"
        else:
            self._suspected = cursor
            patience = _SECOND_LOOK_SECONDS if self._forgetful else self._check_seconds
            self._next_at = time.monotonic() + min(patience, self._check_seconds)

    def _heal(self, reason: str) -> None:
        oldest: list[float] = []
        healed = missed = 0
        while not self._stop.is_set():
            progress = self._writing.progress
            cursor = progress.cursor
            page = self._ask(cursor)
            missing = [change for change in page.changes if not progress.has(change.change)]
            oldest += [change.task.updated_at.timestamp() for change in missing if change.task is not None]
            fresh = self._writing.run(lambda page=page: self._write(page), 0)  # type: ignore[misc]  # mypy infers no lambda that has a default
            if fresh is None:
                return  # the index is away: again, when it is back
            healed += fresh
            missed += len(missing)
            oldest = [min(oldest)] if oldest else []
            if page.next >= page.last:
                # events are sent after their change is made, so all that were heard before the question are among these
                self._writing.progress.end_at(page.last)
                self._done(reason, healed, oldest[0] if oldest else self._in_step_at)
                self.healed += healed
                self.missed += missed
                return

    def _write(self, page: Page) -> int:
        fresh = self._writing.index.apply(page.changes)
        self._writing.move(page.next)
        return fresh

    def _done(self, reason: str, healed: int, oldest: float | None) -> None:
        self._due = None
        self._suspected = None
        self._next_at = time.monotonic() + self._check_seconds
        now = time.time()
        if healed and oldest is not None:
            self._log.warning("stale for %.1f s, healed %d (%s)", max(0.0, now - oldest), healed, reason)
        elif healed:
            self._log.warning("stale, healed %d (%s)", healed, reason)
        else:
            self._log.info("nothing was missed (%s)", reason)
        self._in_step_at = now
