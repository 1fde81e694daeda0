"""python -m lab.bench.pairs: what each device of the hot path is worth, beside what it took the place of.

Microseconds a message, the least of many turns in one interleaved run. docs/performance.md quotes it.
"""

import sys
import time
from collections.abc import Callable

import hiredis
import redis
from rich.console import Console
from rich.table import Table

from lab.server import Server
from townpost import Connection, Message, validate_message

__all__: list[str] = []

_COUNT = 250
_TURNS = 60

_MADE = [Message.create(f"Hello from Python #{n}", count=n, epoch="b1f0c7") for n in range(1, _COUNT + 1)]
_RAW = [message.encode() for message in _MADE]
_FRAMES = b"".join(b"*3\r\n$7\r\nmessage\r\n$8\r\nmessages\r\n$%d\r\n%b\r\n" % (len(raw), raw) for raw in _RAW)
_ENTRIES = [[b"1-%d" % n, [b"message", raw]] for n, raw in enumerate(_RAW)]

Work = Callable[[], object]


def _pairs(connection: Connection, client: redis.Redis) -> list[tuple[str, str, Work, str, Work]]:
    def fill() -> None:
        connection.call("DEL", "pairs")
        connection.call("RPUSH", "pairs", *_RAW)

    def through_redis_py() -> None:
        for _ in range(_COUNT):
            client.lpop("pairs")

    def through_a_link() -> None:
        for _ in range(_COUNT):
            connection.call("LPOP", "pairs")

    def prepared(work: Work) -> Work:
        def run() -> float:
            fill()
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

        return run

    return [
        (
            "a command of its own for each message",
            "redis-py",
            prepared(through_redis_py),
            "socket and hiredis",
            prepared(through_a_link),
        ),
        (
            "taking from a list",
            "one LPOP each",
            prepared(through_a_link),
            "LPOP COUNT",
            prepared(lambda: connection.call("LPOP", "pairs", _COUNT)),
        ),
        (
            "sending to a list",
            "pipelined RPUSH each",
            prepared(lambda: connection.pipeline([("RPUSH", "pairs", raw) for raw in _RAW])),
            "one RPUSH",
            prepared(lambda: connection.call("RPUSH", "pairs", *_RAW)),
        ),
        (
            "reading a message",
            "model_validate_json",
            lambda: [Message.model_validate_json(raw) for raw in _RAW],
            "its core validator",
            lambda: [validate_message(raw) for raw in _RAW],
        ),
        (
            "writing a message",
            "model_dump_json",
            lambda: [message.model_dump_json(exclude_none=True).encode() for message in _MADE],
            "its core serializer",
            lambda: [message.encode() for message in _MADE],
        ),
        ("pub/sub frames", "each with gets()", _frames, "and in one list", _frames_listed),
        ("entries of a stream", "match", _matched, "indexing", _indexed),
    ]


def _frames() -> object:
    reader = hiredis.Reader()
    reader.feed(_FRAMES)
    found = []
    while (frame := reader.gets()) is not False:
        found.append(frame)
    return found


def _frames_listed() -> object:
    reader = hiredis.Reader()
    reader.feed(b"*%d\r\n" % _COUNT + _FRAMES)
    return reader.gets()


def _matched() -> object:
    found = []
    for entry in _ENTRIES:
        match entry:
            case [bytes(entry_id), [b"message", bytes(payload)]]:
                found.append((entry_id, payload))
    return found


def _indexed() -> object:
    found = []
    for entry in _ENTRIES:
        entry_id, fields = entry
        if isinstance(fields, list) and fields[0] == b"message":
            found.append((entry_id, fields[1]))
    return found


def _seconds(work: Work) -> float:
    """As the work says, if it times itself."""
    started = time.perf_counter()
    said = work()
    return said if isinstance(said, float) else time.perf_counter() - started


def main() -> int:
    """Measure and print; the exit status."""
    with Server() as server, redis.Redis(port=server.port) as client:
        connection = Connection(server.url)
        connection.connect()
        pairs = _pairs(connection, client)
        best = [[float("inf"), float("inf")] for _ in pairs]
        for _ in range(_TURNS):
            for least, (_, _, before, _, after) in zip(best, pairs, strict=True):
                least[0] = min(least[0], _seconds(before))
                least[1] = min(least[1], _seconds(after))
        connection.close()
    table = Table("what", "instead of", "us", "now", "us", "times")
    for (what, old, _, new, _), least in zip(pairs, best, strict=True):
        was, now = (seconds / _COUNT * 1e6 for seconds in least)
        table.add_row(what, old, f"{was:.2f}", new, f"{now:.2f}", f"{was / now:.1f}")
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
