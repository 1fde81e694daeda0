"""pubsub: every subscriber that is connected gets each message. Redis stores nothing.

Commands:      PUBLISH; SUBSCRIBE, or PSUBSCRIBE when the channel has a *, ? or [; PING.
Keys:          none: a channel (CHANNEL) is a name, and nothing is stored.
Guarantee:     at most once, to every subscriber connected at that moment, in order.
How it fails:  a subscriber misses messages for good while it is not connected, and when Redis disconnects it because
               its output buffer is full. PUBLISH counts connections, not messages that were read.
Use when:      every listener needs each message, and the next message replaces a missed one.
"""

import time
from collections.abc import Sequence

import hiredis

from townpost.counts import Counts
from townpost.errors import UnavailableError
from townpost.message import Message
from townpost.patterns.contract import Batch, Due, Guarantees, Pattern
from townpost.patterns.options import Options
from townpost.receipts import Receipt
from townpost.redis.connection import REPLY_SECONDS, Command, Connection, Reply, pack, refusal

__all__ = ["PUBSUB", "PubsubListener", "PubsubSender"]

GUARANTEES = Guarantees(
    durable=False, redelivers=False, fan_out=True, ordered=True, replays=False, groups=False, schedules=False
)

_PING_AFTER = 1.5
"""Seconds of silence after which the listener sends PING. With the deadline for the reply, it detects a half-open
connection within 4.5 s. redis-py's own health check never detects one."""

_GLANCE_SECONDS = 0.2
"""How long one wait for bytes may last: the listener notices a stop that soon, and Redis has no work from it."""


class PubsubSender:
    """Publishes to the channel; with a route, each message to the channel that the route returns."""

    def __init__(self, settings: Options) -> None:
        self._channel = settings.channel
        self._route = settings.route

    def commands(self, messages: Sequence[Message], payloads: Sequence[bytes], _due: Due | None) -> list[Command]:
        if self._route is not None:
            return [("PUBLISH", self._route(m), payload) for m, payload in zip(messages, payloads, strict=True)]
        return [("PUBLISH", self._channel, payload) for payload in payloads]

    def joins(self, _messages: Sequence[Message], _due: Due | None) -> bool:
        return False

    def upkeep(self) -> list[Command]:
        return []

    def receipt(
        self, commands: Sequence[Command], replies: Sequence[Reply], _upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        channels = self._channel
        if self._route is not None:
            channels = "', '".join(dict.fromkeys(str(command[1]) for command in commands))
        receivers = [reply for reply in replies if isinstance(reply, int)]
        unheard = receivers.count(0)
        if unheard:
            who = "nobody is listening, it is gone" if count == 1 else f"{unheard:,} had no receiver"
        else:
            least, most = min(receivers), max(receivers)
            who = f"{least} receiver{'s' * (least != 1)}" if least == most else f"{least} to {most} receivers"
        return Receipt("pubsub", count, f"channel '{channels}': {who}", unheard)


class PubsubListener:
    """Listens on the channel, or on all channels a glob matches."""

    can_requeue = False

    def __init__(self, settings: Options, connection: Connection, _counts: Counts) -> None:
        self._channel = settings.channel
        self._glob = any(c in self._channel for c in "*?[")
        self._max_bytes = settings.max_message_bytes
        self._connection = connection
        connection.longest, connection.pushed = settings.max_message_bytes, True
        self._heard_at = 0.0
        self._pinged_at: float | None = None

    def open(self) -> None:
        self._connection.connect()
        self._heard()
        self._connection.call("PSUBSCRIBE" if self._glob else "SUBSCRIBE", self._channel)

    def take(self, limit: int) -> Batch:  # noqa: ARG002 - the server decides how many frames a read returns
        frames = self._connection.receive(_GLANCE_SECONDS, payloads=not self._glob)
        if frames is None:
            self._check_alive()
            frames = []
        else:
            self._heard()
        # most frames are payloads: a call for each of them would cost as much as the parser
        found = [frame if type(frame) is bytes else _payload(frame) for frame in frames]
        payloads = [payload for payload in found if payload is not None]
        batch = Batch("pubsub", payloads, self._max_bytes)
        if self._glob:
            batch.channels = [channel for frame in frames if (channel := _channel(frame)) is not None]
        return batch

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._pinged_at = None

    def _check_alive(self) -> None:
        now = time.monotonic()
        if self._pinged_at is None:
            if now - self._heard_at > _PING_AFTER:
                self._connection.send(pack(("PING",)))
                self._pinged_at = now
        elif now - self._pinged_at > REPLY_SECONDS:
            self._connection.close()
            raise UnavailableError(f"no answer to PING for {REPLY_SECONDS:g} s, the connection is dead")

    def settle(self, batch: Batch) -> None:
        pass

    def lost(self) -> str:
        return "what was published meanwhile was not heard: a gap is possible"

    def interrupt(self, control: Connection) -> None:
        pass

    def close(self) -> None:
        self._connection.close()


def _payload(frame: Reply) -> bytes | None:
    """The payload of a message frame; None for confirmations and PONG."""
    if isinstance(frame, hiredis.ReplyError):
        raise refusal(str(frame))
    if isinstance(frame, list) and frame[0] in (b"message", b"pmessage"):
        payload = frame[-1]
        return payload if isinstance(payload, bytes) else None
    return None


def _channel(frame: Reply) -> str | None:
    """The channel of a message that matched a glob; None for every other frame."""
    if isinstance(frame, list) and frame[0] == b"pmessage":
        channel = frame[2]
        return channel.decode(errors="backslashreplace") if isinstance(channel, bytes) else None
    return None


PUBSUB = Pattern("pubsub", "pub-sub", "CHANNEL", GUARANTEES, PubsubSender, PubsubListener)
