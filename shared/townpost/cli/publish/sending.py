"""The publisher's one loop: takes messages from a source and sends them, one per interval or as fast as it goes."""

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from townpost.cli.publish.progress import Progress
from townpost.cli.publish.receipts import Receipts
from townpost.cli.publish.remainder import Remainder
from townpost.counts import Counts
from townpost.errors import FullError, HalfSentError
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.publishing.publisher import Publisher
from townpost.receipts import Receipt
from townpost.redis.connection import Connection, endpoint
from townpost.redis.reconnector import Reconnector
from townpost.settings import Settings

__all__ = ["BATCH", "Sending"]

BATCH = 500
_GLANCE_SECONDS = 1.0
_WARN_SECONDS = 10.0

T = TypeVar("T")


class Sending:
    """Implements `townpost.heartbeat.Loop`."""

    name = "publisher"

    def __init__(
        self,
        source: Iterable[list[Message]],
        settings: Settings,
        stop: threading.Event,
        progress: Progress | None,
        *,
        due: Due | None = None,
        endless: bool = False,
        receipts: Receipts | None = None,
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            source: lists of messages, as they come.
            settings: with the interval; 0 sends each list at once.
            stop: ends it after the message in flight.
            progress: None logs a line for each message instead.
            due: when they are to be handed out; None for now.
            endless: a stop is the only end there is.
            receipts: gets the ids that Redis has acknowledged.
        """
        self.turned = time.monotonic()
        self.counts = {pattern.name: Counts() for pattern in settings.patterns}
        self._source = source
        self._interval = settings.publish_interval
        self._stop = stop
        self._progress = progress
        self._due = due or Due()
        self._warned_at = -_WARN_SECONDS
        self._publisher = Publisher(settings=settings, report=False)
        self._session = Reconnector(
            self.name,
            self._publisher.open,
            stop,
            connect_timeout=settings.connect_timeout,
            where=endpoint(settings.url),
            lost=lambda: "what was being sent is sent again under the same id, so it may be there twice",
        )
        self._log = logging.getLogger("townpost.publisher")
        self._started = time.monotonic()
        self._sent = 0
        self._finished = False
        self._endless = endless
        self._receipts = receipts

    @property
    def abandonable(self) -> bool:
        return self._session.connecting

    def interrupt(self, control: Connection) -> None:
        pass

    def run(self) -> None:
        with self._progress or contextlib.nullcontext():
            for messages in self._paced():
                if self._stop.is_set():
                    return
                self.turned = time.monotonic()
                self._send(messages)
        self._finished = True
        self._publisher.close()

    def tick(self) -> None:
        """Waiting for something to send is progress, too."""
        self.turned = time.monotonic()

    def totals(self) -> list[str]:
        if not self._session.worked and not any(counts.sent for counts in self.counts.values()):
            return []
        seconds = max(time.monotonic() - self._started, 1e-9)
        lines = [] if self._finished or self._endless else ["stopped before everything was sent"]
        rate = _rate(self._sent / seconds)
        lines.append(f"total: {self._sent:,} messages acknowledged by Redis in {seconds:.1f} s ({rate}/s)")
        for name, counts in self.counts.items():
            unheard = f", {counts.unheard:,} of them without a receiver" if counts.unheard else ""
            lines.append(f"total on {name}: {counts.sent:,}{unheard}")
        return lines

    def _paced(self) -> Iterator[list[Message]]:
        if self._interval == 0:
            for messages in self._source:
                yield from _parts(messages, BATCH)
            return
        one_by_one = itertools.chain.from_iterable(self._source)
        due = time.monotonic()
        while True:
            self._wait_until(due)
            message = next(one_by_one, None)  # made now, so that its timestamp is that of its sending
            if message is None:
                return
            yield [message]
            # after an outage the pace goes on from now: no burst to catch up
            due = max(due + self._interval, time.monotonic())

    def _wait_until(self, due: float) -> None:
        while not self._stop.is_set() and (left := due - time.monotonic()) > 0:
            self._stop.wait(min(left, _GLANCE_SECONDS))
            self.turned = time.monotonic()

    def _send(self, messages: Sequence[Message]) -> None:
        """Until Redis has acknowledged them on every pattern, or a stop."""
        remainder = Remainder(messages)
        while remainder.part and not self._stop.is_set():
            self._session.run(partial(self._send_part, remainder))

    def _send_part(self, remainder: Remainder) -> None:
        part = remainder.part
        try:
            receipts = self._publisher.send(part, on=remainder.missing, delay=self._due.delay, at=self._due.at)
        except HalfSentError as error:
            remainder.half_sent(error.missing)
            self._account(error.receipts, part)
            raise
        except FullError as error:
            if not remainder.fits(error.room):
                raise
            return
        remainder.sent()
        self._account(receipts, part)
        self._sent += len(part)
        if self._receipts is not None:
            self._receipts.add(part)
        if self._progress is not None:
            self._progress.sent(len(part))

    def _account(self, receipts: Sequence[Receipt], messages: Sequence[Message]) -> None:
        for receipt in receipts:
            counts = self.counts[receipt.pattern]
            counts.sent += receipt.sent
            counts.unheard += receipt.unheard
            counts.recent.see(messages[0].encode())
            if receipt.warning and time.monotonic() - self._warned_at >= _WARN_SECONDS:
                self._warned_at = time.monotonic()
                self._log.warning("%s", receipt.warning)
            if self._progress is None:
                level = logging.WARNING if receipt.unheard else logging.INFO
                self._log.log(level, "sent #%d to %s", messages[0].count, receipt.said)


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}"  # noqa: PLR2004 - two digits
