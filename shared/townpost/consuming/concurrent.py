"""Runs one subscription concurrently: one thread takes, workers call handlers, one thread acknowledges."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from townpost.consuming.acknowledging import Acknowledging
from townpost.consuming.backlog import Backlog, Sift
from townpost.consuming.listening import Listening
from townpost.consuming.runners import Runner
from townpost.consuming.tracker import Tracker
from townpost.counts import Counts
from townpost.errors import TownpostError, UnreadableError
from townpost.patterns.ack_pipeline import AcknowledgesApart
from townpost.patterns.contract import Batch
from townpost.redis.connection import Connection, endpoint
from townpost.settings import Settings
from townpost.text import excerpt

__all__ = ["Concurrent"]

_MOST = 1_000
"""The most messages of one take."""


class Concurrent:
    """Implements `townpost.heartbeat.Loop`."""

    def __init__(
        self,
        pattern: str,
        settings: Settings,
        make_runner: Callable[[], Runner],
        stop: threading.Event,
        *,
        concurrency: int,
        whole: bool,
        sift: Sift,
        tells_attempts: bool,
    ) -> None:
        """Nothing runs before `run`.

        Args:
            pattern: its name.
            settings: with the name of the queue, stream or channel.
            make_runner: called in `run`.
            stop: ends `run`.
            concurrency: how many workers at most.
            whole: a worker gets a batch at once.
            sift: see `Backlog`.
            tells_attempts: whether deliveries know the number of their attempt.
        """
        self.name = pattern
        self._settings = settings
        self._make_runner = make_runner
        self._stop = stop
        self._counts = Counts()
        self._listening = Listening(pattern, settings, stop, self._counts)
        self._source = settings.name_of(self._listening.pattern)
        self._log = logging.getLogger(f"townpost.{pattern}")
        guarantees = self._listening.pattern.guarantees
        self._redelivers = guarantees.redelivers
        tracker = Tracker(guarantees, self._counts, self._log)
        self._backlog = Backlog(
            self._counts,
            stop,
            concurrency=concurrency,
            whole=whole,
            sift=sift,
            ahead=self._redelivers and not whole,
            unreadable=self._unreadable,
            hear=tracker.hear if tracker.watches_gaps else None,
            settles=self._redelivers,
        )
        self._acknowledging = self._made_acknowledging(tells_attempts=tells_attempts)
        self._turned: tuple[object, float] = (None, time.monotonic())
        self._takes = 0
        self.broken = False

    def _made_acknowledging(self, *, tells_attempts: bool) -> Acknowledging | None:
        listener = self._listening.listener
        if not isinstance(listener, AcknowledgesApart):
            return None
        listener.tells_attempts = listener.tells_attempts or tells_attempts
        connection = Connection(self._settings.url, name=f"townpost-{self.name}-ack")
        pipeline, open_ = listener.acknowledge_apart(connection)
        return Acknowledging(
            self._backlog,
            connection,
            pipeline,
            open_,
            name=self.name,
            connect_timeout=self._settings.connect_timeout,
            where=endpoint(self._settings.url),
            failed=self._break,
        )

    def _break(self) -> None:
        """End taking, because messages are not acknowledged any more."""
        self.broken = True
        self._stop.set()

    @property
    def turned(self) -> float:
        """Sampled when read."""
        self._backlog.count()
        seen = (self._takes, self._counts.received, self._counts.handled, self._counts.failed)
        if seen != self._turned[0]:
            self._turned = (seen, time.monotonic())
        return self._turned[1]

    @property
    def counts(self) -> Mapping[str, Counts]:
        self._backlog.count()
        return {self.name: self._counts}

    @property
    def holds(self) -> bool:
        """Whether some taken messages are not answered."""
        return bool(self._backlog.flights)

    @property
    def abandonable(self) -> bool:
        return self._listening.reconnector.connecting and not self._backlog.running

    def run(self) -> None:
        self._run()
        if self.broken:
            raise TownpostError(f"acknowledging on {self._source} broke")

    def _run(self) -> None:
        runner = self._make_runner()
        runner.start(self._backlog)
        if self._acknowledging is not None:
            self._acknowledging.start()
        try:
            self._take_all(runner)
        finally:
            self._end(runner)

    def _take_all(self, runner: Runner) -> None:
        while wanted := self._backlog.wanted(partial(runner.wake, 1)):
            batch = self._listening.take(min(wanted, self._settings.prefetch or _MOST))
            if batch is None:
                return
            self._takes += 1
            self._counts.reconnects = self._listening.reconnector.outages
            if len(batch):
                batch.source = self._source
                if not self._redelivers:
                    batch.until = math.inf  # every taken message is begun: no thread is free to give one back
                self._counts.recent.see(batch.payloads[0])
                runner.wake(self._backlog.add(batch))

    def _end(self, runner: Runner) -> None:
        if left := runner.end(self._settings.stop_seconds):
            fate = "their leases run out, then others get them" if self._redelivers else "they are lost"
            self._log.warning("stopped with %d messages of %s in flight (STOP_SECONDS): %s", left, self._source, fate)
        if self._acknowledging is not None:
            self._acknowledging.close()
        else:
            for batch in self._backlog.cut_all():
                self._give_back(batch)
        self._listening.close()

    def _give_back(self, batch: Batch) -> None:
        count = len(batch.unstarted)
        if not count:
            return
        if self._listening.listener.can_requeue:
            self._listening.settle_if_possible(batch)
        else:
            self._counts.dropped += count
            self._log.warning("stopped with %d received messages of %s unhandled; they are lost", count, self._source)

    def interrupt(self, control: Connection) -> None:
        self._backlog.wake()
        self._listening.listener.interrupt(control)

    def totals(self) -> list[str]:
        if not self._listening.reconnector.worked:
            return []
        line = self.counts[self.name].in_words({}, redelivers=self._redelivers)
        return [f"total from {self._listening.pattern.label} {self._source}: {line}"]

    def _unreadable(self, batch: Batch, index: int, problem: UnreadableError) -> None:
        self._counts.unreadable += 1
        self._log.warning("unreadable message of %s (%s): %s", self._source, problem, excerpt(batch.payloads[index]))
        batch.answered(index, problem)
