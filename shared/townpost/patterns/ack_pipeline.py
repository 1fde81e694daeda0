"""Settles batches together with the next commands, in one round trip, and again after a lost reply."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

import hiredis

from townpost.errors import FullError, TownpostError, UnavailableError
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.patterns.leased import LeasedBatch, Part
from townpost.patterns.scripts import Script
from townpost.redis.connection import Command, Connection, Reply, refusal

__all__ = ["AckPipeline", "AcknowledgesApart"]

B = TypeVar("B", bound=LeasedBatch)


class AckPipeline(Generic[B]):
    """The settlement of a batch travels in front of the next commands, in one round trip.

    If the reply is lost, the settlement is sent again. The script changes nothing if it ran before.
    """

    def __init__(
        self,
        connection: Connection,
        renewer: LeaseRenewer,
        command: Callable[[B | Part], Command],
        note: Callable[[B | Part, Reply, bool], None],
    ) -> None:
        """Nothing is sent before `ask`.

        Args:
            connection: of the listener.
            renewer: to release a batch once it is settled.
            command: makes the command that settles a batch.
            note: called with the batch, the reply, and whether the settlement was sent more than once.
        """
        self._connection = connection
        self._renewer = renewer
        self._command = command
        self._note = note
        self._travelling: tuple[Sequence[B | Part], int] | None = None
        self.unconfirmed: list[B | Part] = []
        """Handled; the acknowledgement is not confirmed."""
        self.refused = False
        """Redis refused the last settlement."""

    def apart(self, connection: Connection, *scripts: Script) -> tuple[Self, Callable[[], None]]:
        """A second pipeline for another thread, and a function that opens its connection and loads these scripts."""
        pipeline = type(self)(connection, self._renewer, self._command, self._note)

        def open_() -> None:
            connection.connect()
            pipeline.opened()
            for script in scripts:
                script.load(connection)

        return pipeline, open_

    def release(self, batch: B) -> None:
        """Give up the lease of a batch that needs no settlement."""
        self._renewer.release(batch.name)

    def opened(self) -> None:
        """The connection is new: no reply is outstanding."""
        self._travelling = None

    def ask(self, commands: Sequence[Command], block: float = 0.0) -> None:
        """Send the unconfirmed settlements, then these commands; nothing else may use the connection until `answer`.

        Raises:
            UnavailableError: an interruption of the last caller left its replies unread.
        """
        if self._travelling is not None:
            self._travelling = None
            self._connection.close()
            raise UnavailableError("an exchange with Redis was interrupted, its connection is closed")
        if self.refused:
            # a claim behind a settlement that is refused again would raise, and its messages would not be handled
            self.refused = False
            self.exchange([])
        batches = tuple(self.unconfirmed)
        settlements = list(map(self._command, batches))
        if batches and self._connection.connected:
            for batch in batches:
                batch.sent += 1
        self._travelling = (batches, len(commands))
        self._connection.send_commands([*settlements, *commands], block)

    def answer(self, block: float = 0.0) -> list[Reply]:
        """The replies to the commands of the last `ask`; the first error among all replies is raised."""
        batches, count = self._travelling or ((), 0)
        try:
            replies = self._connection.replies(len(batches) + count, block)
        except TownpostError:
            self._travelling = None
            raise
        self._travelling = None
        for batch, reply in zip(batches, replies, strict=False):
            if isinstance(reply, hiredis.ReplyError):
                self.refused = True
                batch.full = isinstance(refusal(str(reply)), FullError)
                batch.sent -= 1
            else:
                self.unconfirmed.remove(batch)
                if not isinstance(batch, Part):  # the rest of a part's batch stays under its lease
                    self._renewer.release(batch.name)
                self._note(batch, reply, batch.sent > 1)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(str(reply))
        return replies[len(batches) :]

    def exchange(self, commands: Sequence[Command], block: float = 0.0) -> list[Reply]:
        """`ask`, then `answer`."""
        self.ask(commands, block)
        return self.answer(block)

    def finish(self, commands: Sequence[Command], log: logging.Logger) -> None:
        """Acknowledge what was handled last. If Redis does not answer, it will be delivered again."""
        try:
            if self.unconfirmed or commands:
                self.exchange(commands)
        except TownpostError as error:
            if self.unconfirmed:
                log.warning("what was handled last could not be acknowledged, it will come again: %s", error)


@runtime_checkable
class AcknowledgesApart(Protocol):
    """A listener whose batches another thread may settle, in any order and in parts."""

    tells_attempts: bool
    """Whether its batches look up how often their messages were tried."""

    def acknowledge_apart(self, connection: Connection) -> tuple[AckPipeline[Any], Callable[[], None]]:
        """Settle batches through this connection from now on; returns the pipeline and the function that opens it."""
        ...
