"""The limit: the fewest bytes through redis-py's connection and hiredis, and of all the rest only the validation.

No outages, no stop, no counts, no handler: a loop that nobody could run, to see what ours costs on top. The
next batch is always asked for before the last one is read, so that Redis works meanwhile.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import hiredis
import redis
from redis.connection import Connection

from lab.bench import tally
from townpost import Message

__all__: list[str] = []

BATCH = 500

_validate = Message.__pydantic_validator__.validate_json

_CLAIM = """
local taken = redis.call('LPOP', KEYS[1], ARGV[1])
if not taken then return false end
redis.call('RPUSH', KEYS[2], unpack(taken))
redis.call('ZADD', KEYS[3], ARGV[2], KEYS[2])
return taken
"""


class _Wire:
    """One connection of redis-py's; commands packed by hiredis, replies as its parser gives them."""

    def __init__(self) -> None:
        url = os.environ["REDIS_URL"]
        self._connection: Any = redis.ConnectionPool.from_url(url, protocol=2).make_connection()  # it has no types
        assert isinstance(self._connection, Connection)  # noqa: S101 - it narrows the type
        self._connection.connect()

    def send(self, *commands: tuple[str | bytes | int, ...]) -> None:
        packed = b"".join(hiredis.pack_command(command) for command in commands)  # type: ignore[arg-type]  # its stub wants a 1-tuple
        self._connection.send_packed_command([packed], check_health=False)

    def reply(self) -> Any:  # noqa: ANN401 - whatever the command answers
        return self._connection.read_response(disable_decoding=True)

    @property
    def socket(self) -> Any:  # noqa: ANN401 - redis-py has no type for it
        return self._connection._sock  # noqa: SLF001 - redis-py has no public name for it


def _queue(wire: _Wire, _: int) -> None:
    done = tally.counter()
    ask = ("LPOP", "message_queue", BATCH)
    wire.send(ask)
    while True:
        taken = wire.reply()
        if taken is None:
            wire.send(("BLPOP", "message_queue", 0))
            taken = wire.reply()[1:]
        wire.send(ask)
        for raw in taken:
            done(_validate(raw).count)


def _reliable(wire: _Wire, _: int) -> None:
    done = tally.counter()
    wire.send(("SCRIPT", "LOAD", _CLAIM))
    sha = wire.reply()
    deadline = int((time.time() + 30) * 1000)

    def claiming(number: int) -> tuple[str | bytes | int, ...]:
        return ("EVALSHA", sha, 3, "reliable_queue", f"claim:{number}", "leases", BATCH, deadline)

    wire.send(claiming(1))
    taken = wire.reply()
    wire.send(claiming(2))
    for number in itertools.count(1):
        for raw in taken:
            done(_validate(raw).count)
        wire.send(("DEL", f"claim:{number}"), ("ZREM", "leases", f"claim:{number}"), claiming(number + 2))
        taken = wire.reply()
        if taken is None:
            return
        wire.reply()
        wire.reply()


def _stream(wire: _Wire, _: int) -> None:
    done = tally.counter()
    wire.send(("XGROUP", "CREATE", "message_stream", "limit", "0", "MKSTREAM"))
    wire.reply()
    ask = ("XREADGROUP", "GROUP", "limit", "one", "COUNT", BATCH, "STREAMS", "message_stream", ">")
    wire.send(ask)
    reply = wire.reply()
    wire.send(ask)
    while reply is not None:
        ids = []
        for entry_id, fields in reply[0][1]:
            ids.append(entry_id)
            done(_validate(fields[1]).count)
        reply = wire.reply()
        wire.send(("XACK", "message_stream", "limit", *ids), ask)
        wire.reply()


def _pubsub(wire: _Wire, _: int) -> None:
    """Frames are taken from the socket in bulk, which redis-py has no way to do."""
    done = tally.counter()
    wire.send(("SUBSCRIBE", "messages"))
    wire.reply()
    sock, reader = wire.socket, hiredis.Reader()
    sock.settimeout(None)
    while data := sock.recv(256 * 1024):
        reader.feed(data)
        while (frame := reader.gets()) is not False:
            done(_validate(frame[2]).count)


def _batches(count: int) -> Iterable[list[bytes]]:
    for first in range(1, count + 1, BATCH):
        yield [
            Message.create(f"Hello from Python #{n}", sender="bench", count=n, epoch="b1f0c7").encode()
            for n in range(first, min(first + BATCH, count + 1))
        ]


def _publish(wire: _Wire, count: int) -> None:
    """Variadic RPUSH; the model's construction and serialisation are all that is done besides."""
    acknowledged = tally.many()
    for batch in _batches(count):
        wire.send(("RPUSH", "message_queue", *batch))
        wire.reply()
        acknowledged(len(batch))


def _publish_stream(wire: _Wire, count: int) -> None:
    acknowledged = tally.many()
    for batch in _batches(count):
        wire.send(*[("XADD", "message_stream", "*", "message", raw) for raw in batch])
        for _ in batch:
            wire.reply()
        acknowledged(len(batch))


def _publish_pubsub(wire: _Wire, count: int) -> None:
    acknowledged = tally.many()
    for batch in _batches(count):
        wire.send(*[("PUBLISH", "messages", raw) for raw in batch])
        for _ in batch:
            wire.reply()
        acknowledged(len(batch))


def _publish_both(wire: _Wire, count: int) -> None:
    acknowledged = tally.many()
    for batch in _batches(count):
        wire.send(("RPUSH", "message_queue", *batch), *[("PUBLISH", "messages", raw) for raw in batch])
        for _ in range(len(batch) + 1):
            wire.reply()
        acknowledged(len(batch))


def _publish_one(wire: _Wire, count: int) -> None:
    """One prepared message a round trip."""
    made = [raw for batch in _batches(count) for raw in batch]
    acknowledged = tally.many()
    for raw in made:
        wire.send(("RPUSH", "message_queue", raw))
        wire.reply()
        acknowledged(1)


def _answer(wire: _Wire, _: int) -> None:
    """One BLPOP a message, as soon as it comes: the floor of the latency."""
    done = tally.counter()
    ask = ("BLPOP", "message_queue", 0)
    while True:
        wire.send(ask)
        done(_validate(wire.reply()[1]).count)


_ROLES: dict[str, Callable[[_Wire, int], None]] = {
    "queue": _queue,
    "reliable": _reliable,
    "stream": _stream,
    "pubsub": _pubsub,
    "publish": _publish,
    "publish-stream": _publish_stream,
    "publish-pubsub": _publish_pubsub,
    "publish-both": _publish_both,
    "publish-one": _publish_one,
    "answer": _answer,
}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](_Wire(), int(sys.argv[2]) if len(sys.argv) > 2 else 0)  # noqa: PLR2004 - the third argument is optional
