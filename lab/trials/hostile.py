"""A client that writes under keys that are not its own, as an older version, another program or an attacker might.

It adds, and makes what does not exist; it deletes and overwrites nothing that holds a message.
"""

import random
import typing

import redis

from lab.trials.subjects import Subject
from townpost import Settings, keys

__all__ = ["HostileHand", "owned"]

_FOREIGN = (
    b"",
    b"\xff",
    b"short",
    b"0" * 5000,
    b"9" * 21,
    b"[" * 5000,
    b'{"id": "\\ud800"}',
    b"\x1b[31m",
    b"townpost:instances",
)
_GROUP = str(Settings.model_fields["consumer_group"].default)
_SCORES = ("1", "-inf", "inf", "0.5", "1e15")
_MAKE_IF_ABSENT = (
    "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end return redis.call(ARGV[1], KEYS[1], ARGV[2]) and 1"
)


def owned(
    queue: str, *, stream: str = "", instance: str = "mallory", consumer: str = "mallory", message_id: str = "mallory"
) -> dict[str, str]:
    """Every key that is ours to name, beside a queue and a stream (of the same name, by default) -> its type."""
    k = keys.of(queue)
    return {
        keys.instances(): "zset",
        keys.ended(): "zset",
        keys.instance(instance): "string",
        k.claim(consumer, 1): "list",
        k.once(message_id): "string",
        **keys.types(queue),
        **keys.stream_types(stream or queue, _GROUP),
    }


class HostileHand:
    """For one thread."""

    def __init__(self, client: redis.Redis, subject: Subject, chance: random.Random) -> None:
        self._client = client
        self._subject = subject
        self._chance = chance
        self._keys = owned(subject.key)
        self._usurped: dict[str, bytes] = {}

    def add(self) -> None:
        """Something foreign under every key, in the type that the key has or should have."""
        self._send(self._some())
        for name, kind in self._keys.items():
            self._add(name, kind)

    def usurp(self) -> None:
        """Make what does not exist, in a wrong type."""
        for name, kind in self._keys.items():
            command = "RPUSH" if kind == "string" else "SET"
            if self._client.eval(_MAKE_IF_ABSENT, 1, name, command, b"usurped"):
                self._usurped[name] = b"list" if kind == "string" else b"string"

    def withdraw(self) -> None:
        """Take away what `usurp` made, as an operator would."""
        for name, kind in self._usurped.items():
            if self._client.type(name) == kind:
                self._client.delete(name)
        self._usurped.clear()

    def _some(self) -> bytes:
        return self._chance.choice((*_FOREIGN, self._chance.randbytes(self._chance.randrange(1, 60))))

    def _send(self, payload: bytes) -> None:
        """What cannot be read, where messages are."""
        if self._subject.groups:
            self._client.xadd(self._subject.key, {self._some(): payload})
        elif self._subject.fan_out:
            self._client.publish(self._subject.key, payload)
        else:
            self._client.rpush(self._subject.key, payload)

    def _add(self, name: str, kind: str) -> None:
        there = typing.cast("bytes", self._client.type(name)).decode()
        kind = kind if there == "none" else there
        foreign = self._some()
        if kind == "list":
            self._client.rpush(name, foreign)
        elif kind == "zset":
            self._client.execute_command("ZADD", name, self._chance.choice(_SCORES), foreign)
        elif kind == "hash":
            self._client.hset(name, foreign, self._some())
        elif kind == "stream":
            self._client.xadd(name, {foreign: self._some()})
        else:
            self._client.set(name, foreign, nx=True)
