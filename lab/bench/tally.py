"""A few numbers in a file that contestants write and the bench watches: the one clock for all of them.

A contestant's handler adds to a counter in shared memory (about 0.1 us a message); the bench looks at it every two
milliseconds and stamps the first and the last message by its own clock. Standard library only.

Words of 8 bytes: 0 is how many slots are taken; then for each slot a count, a sum of message numbers, how many are in
flight and the most that ever were; and by message number when it was sent and when it arrived (monotonic clock, ns, the
same for all processes).
"""

import fcntl
import itertools
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["MOST_STAMPS", "Tally", "counter", "handled", "in_flight", "many", "stamp_sent", "stopwatch"]

_SLOTS = 64
MOST_STAMPS = 4096
_SUMS = _SLOTS
_IN_FLIGHT = 2 * _SLOTS
_MOST = 3 * _SLOTS
_SENT = 4 * _SLOTS
_ARRIVED = _SENT + MOST_STAMPS
_WORDS = _ARRIVED + MOST_STAMPS
_WORD = 8
_mine = threading.local()


class Tally:
    """The file as the bench sees it."""

    def __init__(self, path: Path) -> None:
        """Make it, all zeros."""
        path.write_bytes(bytes(_WORDS * _WORD))
        self.path = path
        self._words = _words(path)

    @property
    def total(self) -> int:
        return sum(self._words[1:_SLOTS])

    @property
    def each(self) -> list[int]:
        """By process (or thread, where each counts), in the order they came."""
        return list(self._words[1 : self._words[0] + 1])

    @property
    def sum(self) -> int:
        """Of the numbers of all messages handled, where the contestant was told to check."""
        return sum(self._words[_SUMS:_IN_FLIGHT])

    @property
    def most_in_flight(self) -> int:
        """Of each process, added up."""
        return sum(self._words[_MOST:_SENT])

    def delays(self, count: int) -> list[float]:
        """Seconds from sent to arrived, of the messages 1 to ``count``."""
        sent, arrived = self._words[_SENT + 1 :], self._words[_ARRIVED + 1 :]
        return [(arrived[n] - sent[n]) / 1e9 for n in range(count)]

    def kept(self) -> list[float]:
        """The delays that a stopwatch has kept; one that is just being written is left out."""
        count = sum(map(bool, self._words[_SENT + 1 : _ARRIVED]))
        return [delay for delay in self.delays(count) if delay > 0]

    def sent(self, number: int) -> None:
        self._words[_SENT + number] = time.monotonic_ns()

    def reset(self) -> None:
        for index in range(_WORDS):
            self._words[index] = 0


def counter() -> Callable[[int], None]:
    """What a contestant calls with the number of each message it has handled; BENCH_TALLY says where it counts.

    BENCH_MODE: ``count``; ``check`` also sums the numbers; ``stamp`` also notes when the message came.
    """
    words, slot = _taken()

    # one += has no point at which the interpreter would switch threads: no lock is needed, and the check would show it
    def count(_number: int) -> None:
        words[slot] += 1

    def check(number: int) -> None:
        words[slot] += 1
        words[_SUMS + slot] += number

    def stamp(number: int) -> None:
        words[_ARRIVED + number] = time.monotonic_ns()
        words[slot] += 1

    return {"count": count, "check": check, "stamp": stamp}[os.environ.get("BENCH_MODE", "count")]


def in_flight() -> Callable[[int], None]:
    """What a handler calls with 1 when it begins, and with -1 when it ends."""
    words, slot = _taken()

    def change(by: int) -> None:
        now = words[_IN_FLIGHT + slot] + by
        words[_IN_FLIGHT + slot] = now
        if now > words[_MOST + slot]:  # noqa: PLR1730 - nor has this such a point, and it is quicker
            words[_MOST + slot] = now

    return change


def stopwatch() -> Callable[[int], None]:
    """What is called at an end with when it began (monotonic clock, ns); the last of them are kept as delays."""
    words = _words(Path(os.environ["BENCH_TALLY"]))
    numbers = itertools.cycle(range(1, MOST_STAMPS))

    def stop(begun: int) -> None:
        number = next(numbers)
        words[_SENT + number] = begun
        words[_ARRIVED + number] = time.monotonic_ns()

    return stop


def many() -> Callable[[int], None]:
    """The same for publishers, which are told how many Redis has acknowledged."""
    words, slot = _taken()

    def count(messages: int) -> None:
        words[slot] += messages

    return count


def handled() -> int:
    """How many messages are handled by now."""
    return sum(_words(Path(os.environ["BENCH_TALLY"]))[1:_SLOTS])


def stamp_sent() -> Callable[[int], None]:
    """What a publisher calls with a message's number right before it sends it."""
    words = _words(Path(os.environ["BENCH_TALLY"]))

    def stamp(number: int) -> None:
        words[_SENT + number] = time.monotonic_ns()

    return stamp


def _taken() -> "tuple[memoryview[int], int]":
    """The slot of this thread: a process that counts in its main thread has one."""
    path = Path(os.environ["BENCH_TALLY"])
    words = _words(path)
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not hasattr(_mine, "slot"):
            words[0] += 1
            _mine.slot = words[0]
        return words, _mine.slot


def _words(path: Path) -> "memoryview[int]":
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
