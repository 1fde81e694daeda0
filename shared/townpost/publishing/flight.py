"""Sends of one event loop that share a command, or one that has commands of its own, from `send` to its receipt.

They are kept in lists, one entry for each `send`, and not as an object for each: of a thousand objects that wait at the
same time, each costs more in the garbage collector than to make.
"""

import asyncio
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, islice

from townpost.errors import HalfSentError, TownpostError, UnavailableError
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.publishing.core import Core
from townpost.publishing.destinations import Destination
from townpost.publishing.exchange import Exchange
from townpost.receipts import Receipt
from townpost.redis.connection import pack_all

__all__ = ["MOST_SENDS", "Flight"]

MOST_SENDS = 5_000
"""How many sends share a round trip: to write them takes about 10 ms, for which the loop does nothing else."""
_SENDS_FOR_A_COMMAND = 4
"""A command of its own, and its reply, take as long as so many sends that join another."""

_SOME = 32
"""How many sends are written before their bytes are counted again."""


class Flight:
    """To one destination. Numbers are given when it is written: a send that was cancelled before takes none."""

    __slots__ = ("awaited", "deadlines", "destination", "due", "exchange", "futures", "messages", "replies", "sizes")

    def __init__(self, destination: Destination, due: Due | None) -> None:
        self.destination = destination
        self.due = due
        self.messages: list[Message] = []
        """Of all sends."""
        self.sizes: list[int] = []
        """How many messages each send has."""
        self.futures: list[asyncio.Future[list[Receipt]]] = []
        self.deadlines: list[float | None] = []
        """By the monotonic clock; None: the first failure is final."""
        self.exchange: Exchange
        self.replies = 0
        """How many come to its commands."""
        self.awaited = 0
        """The same with those to the upkeep, which come after them."""

    def add(self, messages: Sequence[Message], future: asyncio.Future[list[Receipt]], deadline: float | None) -> None:
        self.messages += messages
        self.sizes.append(len(messages))
        self.futures.append(future)
        self.deadlines.append(deadline)

    def parts(self, count: int) -> "Iterator[Flight]":
        """So many sends each, in order."""
        start = 0
        for first in range(0, len(self.futures), count):
            part = Flight(self.destination, self.due)
            part.sizes = self.sizes[first : first + count]
            end = start + sum(part.sizes)
            part.messages = self.messages[start:end]
            part.futures = self.futures[first : first + count]
            part.deadlines = self.deadlines[first : first + count]
            start = end
            yield part

    def _extend(self, other: "Flight") -> None:
        self.messages += other.messages
        self.sizes += other.sizes
        self.futures += other.futures
        self.deadlines += other.deadlines

    def waiting(self) -> "Flight":
        """Those that are not over: neither cancelled nor failed."""
        if not any([future.done() for future in self.futures]):  # noqa: C419 - twice as fast as a generator
            return self
        left = Flight(self.destination, self.due)
        for index, (future, end) in enumerate(zip(self.futures, accumulate(self.sizes), strict=True)):
            if not future.done():
                left.add(self.messages[end - self.sizes[index] : end], future, self.deadlines[index])
        return left

    def fail(self, error: Exception, *, until: float | None = math.inf) -> None:
        """Raise this where they are awaited, if their time ended ``until`` then; None: if they try only once.

        Each raises a copy, which has a traceback of its own.
        """
        for index, (future, end) in enumerate(zip(self.futures, accumulate(self.sizes), strict=True)):
            deadline = self.deadlines[index]
            if future.done() or not (
                until == math.inf or (deadline is None if until is None else deadline is not None and deadline <= until)
            ):
                continue
            mine = error
            if isinstance(error, TownpostError) and not isinstance(error, HalfSentError):  # which only one can get
                mine = copy.copy(error)
            if isinstance(mine, UnavailableError):
                mine.messages = tuple(self.messages[end - self.sizes[index] : end])
            future.set_exception(mine)

    @property
    def work(self) -> int:
        """What it takes to write it and to read its replies, in sends that join another."""
        return len(self.futures) + _SENDS_FOR_A_COMMAND * self.awaited

    def next_deadline(self) -> float:
        return min((deadline for deadline in self.deadlines if deadline is not None), default=math.inf)

    def write(self, core: Core, room: int) -> "tuple[list[Flight], int, Flight]":
        """Build the exchanges of as many sends as fill so many bytes, or a few more; those that cannot be sent fail.

        Returns:
            one flight for all of them, or one for each; their bytes; what is left.
        """
        written, left = Flight(self.destination, self.due), Flight(self.destination, self.due)
        payloads: list[bytes] = []
        size = 0
        sender = self.destination.only
        most = MOST_SENDS if sender is not None and sender.joins((), self.due) else MOST_SENDS // _SENDS_FOR_A_COMMAND
        for some in self.parts(_SOME):
            if size >= room or len(written.futures) >= most:
                left._extend(some)
                continue
            for part, lines in some.encoded(core):
                written._extend(part)
                payloads += lines
                size += sum(map(len, lines))
        return written.exchanges(payloads), size, left

    def encoded(self, core: Core) -> "list[tuple[Flight, list[bytes]]]":
        """All that can be written, with its bytes."""
        try:
            return [(self, core.write(self.destination, self.messages))]
        except Exception as error:  # noqa: BLE001 - is raised where the caller is
            if len(self.futures) == 1:
                self.fail(error)
                return []
            return [one for part in self.parts(1) for one in part.encoded(core)]

    def exchanges(self, payloads: list[bytes]) -> "list[Flight]":
        """With the exchange built: itself, if all can be one, or else a flight for each."""
        if len(self.futures) > 1:
            sender = self.destination.only
            if sender is None or not sender.joins(self.messages, self.due):
                lines = iter(payloads)
                return [
                    one for part in self.parts(1) for one in part.exchanges(list(islice(lines, len(part.messages))))
                ]
        if not self.futures:
            return []
        try:
            self.exchange = exchange = Exchange(self.destination, self.messages, payloads, self.due)
        except Exception as error:  # noqa: BLE001 - is raised where the caller is
            self.fail(error)
            return []
        self.replies = len(exchange.commands)
        self.awaited = self.replies + len(exchange.upkeep_commands)
        return [self]

    def packed(self) -> bytes:
        """The commands, then their upkeep."""
        return pack_all((*self.exchange.commands, *self.exchange.upkeep_commands))

    def land(self, receipts: Sequence[Receipt]) -> None:
        """Hand out what Redis has answered to all of them; those with as many messages share a list."""
        alike: dict[int, list[Receipt]] = {}
        for future, size in zip(self.futures, self.sizes, strict=True):
            if future.done():
                continue
            mine = alike.get(size)
            if mine is None:
                mine = alike[size] = [replace(receipt, sent=size) for receipt in receipts]
            future.set_result(mine)
