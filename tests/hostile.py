"""What anybody could write under our keys, of every type, random or made to hurt; and a watch over who must bear it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from extent import thorough
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.processes import Process
from lab.trials.hostile import owned as every_key
from townpost import keys

__all__ = ["DIGITS", "INSTANCE", "OWN", "REPORT", "STALL_SECONDS", "Own", "Watched", "Write", "attack", "owned"]

STALL_SECONDS = 5.0
START_SECONDS = 30.0
ATTACKS = thorough(400, 40)
PAUSE = 0.05

INSTANCE = "subscriber-elsewhere-0badf00d"
MESSAGE_ID = "0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11"
KINDS = ("string", "list", "set", "zset", "hash", "stream")
DIGITS = b"9" * 5_000


@dataclass(frozen=True)
class Own:
    """One key of ours."""

    name: str
    kind: str


@dataclass(frozen=True)
class Write:
    """One command of somebody else."""

    key: Own
    kind: str
    field: bytes
    value: bytes
    score: float
    instead: bool
    """Of what was there."""


def owned(queue: str, kind: str) -> list[Own]:
    """The queue or stream itself, and each key of ours beside it."""
    beside = every_key(queue, stream="message_stream", instance=INSTANCE, consumer="elsewhere-1", message_id=MESSAGE_ID)
    found = {queue: kind, **beside}
    return [Own(name, type_) for name, type_ in found.items()]


OWN = owned("reliable_queue", "list")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["\ud800", "\x1b[2J", "", "x" * 3_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pubsub", "reliable", "a"]), inner),
    max_leaves=5,
)
REPORT: dict[str, object] = {
    "id": INSTANCE,
    "role": "subscriber",
    "host": "elsewhere",
    "pid": 7,
    "started": 1.7e9,
    "at": 1.7e9,
    "client_id": 7,
    "clock_offset": 0.0,
    "pattern": "all",
    "names": {"pubsub": "messages", "reliable": "reliable_queue"},
    "patterns": {"pubsub": {"received": 1}, "reliable": {"received": 1, "handled": 1}},
    "recent": {"reliable": []},
    "error": "",
    "error_at": None,
    "ended": False,
    "stall_seconds": 30.0,
    "idle_seconds": {"reliable": 0.1},
}
"""As an instance writes it."""
_reports = st.dictionaries(st.sampled_from(sorted(REPORT)), _json, min_size=1, max_size=3).map(
    lambda changed: json.dumps(REPORT | changed).encode()
)
_message = {"id": MESSAGE_ID, "timestamp": "2025-03-29T08:32:00", "message": "hi", "sender": "s"}
_messages = st.fixed_dictionaries(
    {"count": st.sampled_from([1, 2**63 - 1, 2**70, -1]), "epoch": st.sampled_from(["e", "f", "\x1b"]), "data": _json}
).map(lambda fields: json.dumps({**_message, **fields}).encode())
_values = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"\xff", b"short", DIGITS, b"-1", b"nan", b"1e999", b"\xed\xa0\x80", b"[" * 3_000]),
    _reports,
    _messages,
)
_scores = st.sampled_from([0.0, 1.0, -1.0, 1e12, 1e15, 9e15, 1e300, float("inf"), float("-inf"), 1.7e9])


def writes(own: list[Own]) -> st.SearchStrategy[list[Write]]:
    """Mostly of the type that the key has, as a wrong type is refused before it does harm."""

    def one(key: Own) -> st.SearchStrategy[Write]:
        kinds = st.sampled_from([key.kind] * 5 + list(KINDS))
        fields = _values | st.sampled_from([b"message", b"payload", b"attempts", b"history", INSTANCE.encode()])
        instead = st.sampled_from([False] * 5 + [True])
        values = _reports if key.name == keys.instance(INSTANCE) else _values
        return st.builds(Write, st.just(key), kinds, fields, values, _scores, instead)

    return st.lists(st.sampled_from(own).flatmap(one), min_size=10, max_size=40)


def apply(client: redis.Redis, batch: list[Write]) -> None:
    """Whatever of it the server takes."""
    pipeline: Any = client.pipeline(transaction=False)
    for write in batch:
        name = write.key.name
        if write.instead:
            pipeline.delete(name)
        match write.kind:
            case "string":
                pipeline.set(name, write.value)
            case "list":
                pipeline.rpush(name, write.value)
            case "set":
                pipeline.sadd(name, write.value)
            case "zset":
                pipeline.zadd(name, {write.value: write.score})
            case "hash":
                pipeline.hset(name, write.field, write.value)
            case "stream":
                pipeline.xadd(name, {write.field: write.value})
    pipeline.execute(raise_on_error=False)


def mend(client: redis.Redis, own: list[Own]) -> None:
    """What an operator does once told: keys of a wrong type go; what stands in those of the right type stays."""
    for key in own:
        if client.type(key.name) not in (key.kind.encode(), b"none"):
            client.delete(key.name)


class Watched:
    """A service under attack: it must go on turning."""

    def __init__(self, process: Process, report: Path) -> None:
        self.process = process
        self._report = report
        deadline = time.monotonic() + START_SECONDS
        while not report.exists():
            assert time.monotonic() < deadline, process.lines
            time.sleep(0.02)

    def check(self, recent: list[Write]) -> None:
        """Fail, with what was written last, unless it runs, turns and is silent about tracebacks."""
        said = "\n".join([*self.process.lines[-60:], "", "written last:", *map(repr, recent)])
        assert self.process.status is None, f"it ended with {self.process.status}:\n{said}"
        assert not self.process.matching("Traceback"), said
        report = json.loads(self._report.read_text())
        for name, moment in {"report": report["at"], **report["turns"]}.items():
            assert time.monotonic() - moment < STALL_SECONDS, f"{name} stalled:\n{said}"


def attack(client: redis.Redis, own: list[Own], check: Callable[[list[Write]], None]) -> None:
    """Write at random while the services run; each wrong type stays for a moment."""
    recent: list[Write] = []

    # no shrinking: what is dead stays dead, so every smaller example would fail as well
    @settings(
        max_examples=ATTACKS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(writes(own))
    def strike(batch: list[Write]) -> None:
        recent[:] = [*recent[-30:], *batch]
        apply(client, batch)
        time.sleep(PAUSE)  # services are to see it
        mend(client, own)
        check(recent)

    strike()
