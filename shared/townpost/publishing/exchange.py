"""The commands of one exchange with Redis, and the replies that belong to them."""

from collections.abc import Sequence
from itertools import chain

import hiredis

from townpost.errors import RefusedError
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.publishing.destinations import Destination
from townpost.redis.connection import Command, Reply
from townpost.redis.refusals import refusal

__all__ = ["Exchange"]


class Exchange:
    """The commands that send messages, of one `send` or of several that join, to one destination."""

    def __init__(
        self, destination: Destination, messages: Sequence[Message], payloads: Sequence[bytes], due: Due | None
    ) -> None:
        self.destination = destination
        self.size = len(messages)
        """How many messages."""
        self.parts = [sender.commands(messages, payloads, due) for sender in destination.senders]
        """The commands of each pattern."""
        self.upkeep = upkeep = [sender.upkeep() for sender in destination.senders]
        """The commands that tidy up afterwards, in any case; their replies say nothing about the messages."""
        # of several commands that write, Redis may take some and refuse the rest: it fills up amid them
        self.whole = len(self.parts) > 1 or (len(self.parts[0]) > 1 and destination.durable)
        """Whether all parts run or none: in MULTI and EXEC."""
        commands = list(chain.from_iterable(self.parts))
        self.commands: list[Command] = [("MULTI",), *commands, ("EXEC",)] if self.whole else commands
        """Without the upkeep."""
        self.upkeep_commands: list[Command] = list(chain.from_iterable(upkeep))

    def outcome(self, replies: Sequence[Reply]) -> Sequence[Reply]:
        """The replies to the commands themselves, also of those in a MULTI.

        Raises:
            UnavailableError, RefusedError: none was run.
        """
        if not self.whole:
            return replies
        if isinstance(replies[0], hiredis.ReplyError):
            return replies[1:-1]  # without MULTI each was run, or refused, on its own
        if isinstance(replies[-1], list):
            return replies[-1]
        why = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), replies[-1])
        error = refusal(str(why))
        if isinstance(error, RefusedError):
            raise type(error)(f"nothing was sent on {', '.join(self.destination.names)}: {error}")
        raise error
