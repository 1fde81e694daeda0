"""What the patterns that redeliver share: a batch whose messages are open until answered, and the thread that
keeps its lease while the handler works.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import hiredis

from shared.connection import Link, Reply, pack, refusal
from shared.errors import TownpostError, UnreadableError
from shared.patterns.contract import Batch, Command
from shared.text import printable, told

__all__ = ["CrashedError", "Keeper", "LeasedBatch", "Settling", "describe", "reason"]

_TURN_SECONDS = 1.0
_ERROR_CHARACTERS = 1_000


class CrashedError(Exception):
    """Whoever had this message in hand died, again and again."""


def reason(error: Exception) -> str:
    """Why a message died, in one word: what the command line selects by."""
    if isinstance(error, UnreadableError):
        return "unreadable"
    return "crashed" if isinstance(error, CrashedError) else "failed"


def describe(error: Exception) -> str:
    """For a dead letter: one line, not too long."""
    return printable(f"{type(error).__name__}: {told(error)}")[:_ERROR_CHARACTERS]


class LeasedBatch(Batch):
    """Payloads under one lease; each is open until it is answered."""

    def __init__(self, pattern: str, name: str, payloads: Sequence[bytes], max_bytes: int) -> None:
        super().__init__(pattern, payloads, max_bytes)
        self.name = name
        self.failed: list[tuple[int, Exception]] = []
        self.closed: set[int] = set()
        self.sent = 0
        """How often its settlement was sent, whether or not a reply came."""
        self._answered = bytearray(len(payloads))
        self._answers = 0
        self._seen = (0, 0, 0)
        self._seen_at = time.monotonic()

    @property
    def open(self) -> list[int]:
        """Positions without an answer."""
        return [index for index in range(self.done, len(self.payloads)) if not self._answered[index]]

    @property
    def left(self) -> Sequence[bytes]:
        return [self.payloads[index] for index in self.open]

    @property
    def begun(self) -> int:
        """How many are in the handler's hands: more than one only for a handler of lists."""
        return max(0, self.position - max(self._answers, self.done))

    def idle(self, now: float) -> float:
        """Seconds since a message was begun or answered, as far as whoever asks from time to time can know."""
        seen = (self.position, self._answers, self.done)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at

    def answered(self, index: int, error: Exception | None) -> None:
        if self._answered[index]:
            return
        self._answered[index] = 1
        self._answers += 1
        if index >= self.position:
            self.closed.add(index)
        if error is not None:
            self.failed.append((index, error))


B = TypeVar("B", bound=LeasedBatch)


class Keeper:
    """A thread and a link of its own, at work only while a batch is held."""

    def __init__(
        self,
        name: str,
        link: Link,
        renew: Callable[[Link, Mapping[str, LeasedBatch]], None],
        *,
        lease: float,
        handler_timeout: float,
    ) -> None:
        """Nothing runs before `hold`.

        Args:
            name: of the pattern, for the log.
            link: its own, connected when needed.
            renew: extends the leases of these names, each with the batch whose handler still gets anywhere.
            lease: seconds.
            handler_timeout: seconds one message may take.
        """
        self._link = link
        self._renew = renew
        self._turn = min(_TURN_SECONDS, lease / 3)
        self._handler_timeout = handler_timeout
        self._held: dict[str, LeasedBatch] = {}
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = logging.getLogger(f"townpost.{name}")
        self._hung = ""

    def hold(self, name: str, by: LeasedBatch) -> None:
        """Keep this lease for as long as that batch gets anywhere: its own, or that of the next one behind it."""
        with self._lock:
            self._held[name] = by
            self._work.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
            self._thread.start()

    def release(self, name: str) -> None:
        with self._lock:
            self._held.pop(name, None)
            if not self._held:
                self._work.clear()

    def close(self) -> None:
        self._closed.set()
        self._work.set()

    def _run(self) -> None:
        while not self._closed.wait(self._turn):
            self._work.wait()
            with self._lock:
                held = list(self._held.items())
            if self._closed.is_set():
                break
            try:
                if held:
                    if not self._link.connected:
                        self._link.connect()
                    self._renew(self._link, {name: batch for name, batch in held if self._alive(batch)})
            except TownpostError as error:
                self._link.close()
                self._log.warning("leases cannot be renewed: %s", error)
        self._link.close()

    def _alive(self, batch: LeasedBatch) -> bool:
        """Whether its handler still gets anywhere."""
        seconds = batch.idle(time.monotonic())
        if not batch.open or seconds <= self._handler_timeout * max(1, batch.begun):
            return True
        if batch.name != self._hung:
            self._hung = batch.name
            self._log.error(
                "the handler has been at one message for %.0f s (HANDLER_TIMEOUT=%g): its lease is left to run out",
                seconds,
                self._handler_timeout,
            )
        return False


class Settling(Generic[B]):
    """The settlement of a batch travels in front of the next commands, in one round trip.

    If the reply is lost it is sent again, which changes nothing where it was carried out.
    """

    def __init__(
        self, link: Link, keeper: Keeper, command: Callable[[B], Command], note: Callable[[B, Reply, bool], None]
    ) -> None:
        """Nothing is sent before `ask`.

        Args:
            link: of the listener.
            keeper: to release a batch once it is settled.
            command: that settles a batch.
            note: told of the batch, the reply, and whether it may be the reply to a repetition.
        """
        self._link = link
        self._keeper = keeper
        self._command = command
        self._note = note
        self._travelling: tuple[Sequence[B], int] = ((), 0)
        self.due: list[B] = []
        """Handled, and not known to be settled."""
        self.refused = False
        """The last settlement was."""

    def ask(self, commands: Sequence[Command], block: float = 0.0) -> None:
        """Send these behind whatever is due; nothing else may use the link until `answer`."""
        if self.refused:
            # nothing may be taken behind a settlement that is refused again: nobody would handle it
            self.refused = False
            self.exchange([])
        batches = tuple(self.due)
        packed = b"".join(map(pack, [*map(self._command, batches), *commands]))
        for batch in batches:
            batch.sent += self._link.connected
        self._travelling = (batches, len(commands))
        self._link.send(packed, block)

    def answer(self, block: float = 0.0) -> list[Reply]:
        """The replies to the commands of the last `ask`; the first error among all replies is raised."""
        (batches, count), self._travelling = self._travelling, ((), 0)
        replies = self._link.replies(len(batches) + count, block)
        for batch, reply in zip(batches, replies, strict=False):
            if isinstance(reply, hiredis.ReplyError):
                self.refused = True
                batch.sent -= 1
            else:
                self.due.remove(batch)
                self._keeper.release(batch.name)
                self._note(batch, reply, batch.sent > 1)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(str(reply))
        return replies[len(batches) :]

    def exchange(self, commands: Sequence[Command], block: float = 0.0) -> list[Reply]:
        """The same at once."""
        self.ask(commands, block)
        return self.answer(block)

    def finish(self, commands: Sequence[Command], log: logging.Logger) -> None:
        """At the end: what was handled last is acknowledged if Redis answers, and comes again if not."""
        try:
            if self.due or commands:
                self.exchange(commands)
        except TownpostError as error:
            if self.due:
                log.warning("what was handled last could not be acknowledged, it will come again: %s", error)
