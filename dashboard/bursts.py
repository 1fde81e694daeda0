"""What the page publishes: one message, or a burst of them that its own thread sends in small portions."""

import itertools
import threading
import time
from collections import OrderedDict
from uuid import uuid4

from pydantic import ValidationError

from townpost import (
    Counts,
    HalfSentError,
    Message,
    Publisher,
    Receipt,
    SettingError,
    Settings,
    TownpostError,
    UnsendableError,
    choose_patterns,
)

from .schemas.requests import Publish, Published, Went

__all__ = ["Bursts", "BusyError"]

_PORTION = 50
_PORTION_BYTES = 4 * 1024 * 1024
_PAUSE_SECONDS = 0.01
_ANSWER_SECONDS = 3.0
_AT_ONCE = 4
_KEPT = 50
_SHOWN_IDS = 10


class BusyError(TownpostError):
    """As many bursts run as are allowed."""


class Burst:
    """One burst: its thread writes it, requests read it."""

    def __init__(self, number: int, asked: Publish) -> None:
        self.number = number
        self.asked = asked
        self.sent = 0
        self.ids: list[str] = []
        self.went: dict[str, Went] = {}
        self.problem = ""
        self.finished = threading.Event()
        self.failed: TownpostError | None = None

    def progress(self) -> Published:
        return Published(
            number=self.number,
            ids=self.ids[:_SHOWN_IDS],
            asked=self.asked.count,
            sent=self.sent,
            finished=self.finished.is_set(),
            went=list(self.went.values()),
            problem=self.problem,
        )


class Bursts:
    """All bursts; the last fifty are remembered."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._numbers = itertools.count(1)
        self._known: OrderedDict[int, Burst] = OrderedDict()
        self._lock = threading.Lock()
        self.counts: dict[str, Counts] = {}
        """By pattern; replaced, never changed, when a pattern is used first: another thread reads it."""

    def one(self, number: int) -> Published | None:
        burst = self._known.get(number)
        return None if burst is None else burst.progress()

    def start(self, asked: Publish) -> Published:
        """Begin, and say where the first of it went; a single message has gone by then, or has not gone at all.

        Raises:
            SettingError, UnsendableError: it cannot be sent as it is; nothing was.
            BusyError: others are not finished.
            UnavailableError, RefusedError: nothing was sent, or for a lost reply it is not known.
        """
        try:
            names = tuple(pattern.name for pattern in choose_patterns(asked.pattern))
        except ValueError as error:
            raise SettingError(f"pattern: {error}") from None
        first = self._messages(asked, uuid4().hex[:8], 1, 1)[0]
        if asked.delay is not None and not all(p.guarantees.schedules for p in choose_patterns(asked.pattern)):
            raise SettingError(f"{', '.join(names)} cannot delay a message: use reliable alone")
        with self._lock:
            if sum(not burst.finished.is_set() for burst in self._known.values()) >= _AT_ONCE:
                raise BusyError(f"{_AT_ONCE} bursts are running: wait until one has ended")
            burst = Burst(next(self._numbers), asked)
            self._known[burst.number] = burst
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            for name in names:
                if name not in self.counts:
                    self.counts = {**self.counts, name: Counts()}
        begun = threading.Event()
        threading.Thread(target=self._run, args=(burst, first, begun), name="burst", daemon=True).start()
        begun.wait(_ANSWER_SECONDS * 2)
        if burst.failed is not None and not burst.sent:
            raise burst.failed
        return burst.progress()

    def _messages(self, asked: Publish, epoch: str, start: int, count: int) -> list[Message]:
        try:
            return [
                Message.create(
                    asked.text.replace("#N", f"#{number}"),
                    sender=asked.sender,
                    count=number,
                    epoch=epoch,
                    priority=asked.priority,
                    data=asked.data,
                )
                for number in range(start, start + count)
            ]
        except ValidationError as error:
            raise UnsendableError(f"it cannot be a message: {error.errors()[0]['msg']}") from None

    def _run(self, burst: Burst, first: Message, begun: threading.Event) -> None:
        asked = burst.asked
        settings = self._settings.model_copy(update={"pattern": asked.pattern})
        size = max(1, min(_PORTION, _PORTION_BYTES // max(1, len(asked.text))))
        if asked.seconds:  # evenly, where that is asked for
            size = max(1, min(size, int(asked.count * 0.1 / asked.seconds)))
        pause = max(_PAUSE_SECONDS, asked.seconds * size / asked.count)
        publisher = Publisher(settings=settings, report=False)
        try:
            portion = [first]
            due = time.monotonic()
            while portion:
                self._account(burst, publisher.send(portion, delay=asked.delay), portion)
                burst.sent += len(portion)
                if burst.sent == asked.count:
                    burst.finished.set()
                begun.set()
                due += pause
                if burst.sent < asked.count and self._stop.wait(max(0.0, due - time.monotonic())):
                    burst.problem = "the dashboard was stopped"
                    break
                count = min(size, asked.count - burst.sent)
                portion = self._messages(asked, first.epoch or "", burst.sent + 1, count)
        except HalfSentError as error:
            self._account(burst, error.receipts, portion)
            burst.failed, burst.problem = error, str(error)
        except TownpostError as error:
            burst.failed, burst.problem = error, str(error)
        finally:
            publisher.close()
            burst.finished.set()
            begun.set()

    def _account(self, burst: Burst, receipts: list[Receipt], portion: list[Message]) -> None:
        burst.ids += [str(message.id) for message in portion[: _SHOWN_IDS - len(burst.ids)]]
        with self._lock:
            for receipt in receipts:
                counts = self.counts[receipt.pattern]
                counts.sent += receipt.sent
                counts.unheard += receipt.unheard
                counts.recent.see(portion[0].encode())
                before = burst.went.get(receipt.pattern)
                burst.went[receipt.pattern] = Went(
                    pattern=receipt.pattern,
                    sent=receipt.sent + (before.sent if before else 0),
                    unheard=receipt.unheard + (before.unheard if before else 0),
                    said=receipt.said,
                    warning=receipt.warning or (before.warning if before else ""),
                )
