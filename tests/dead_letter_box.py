"""What the tests of dead letters share: dead letters, where they went, and a terminal."""

import json
import os
import pty
import subprocess
import sys
from typing import TypeAlias

import redis
from messages import wire

from lab.processes import ROOT
from lab.server import Server
from townpost import keys

Q = "reliable_queue"
S = "message_stream"
WIDE = "250"
"""COLUMNS, so that nothing is wrapped."""
NASTY = b"\xff\x1b[2J\x1b]0;owned\x07[red]fake[/red] :smile:\r\nline\xe2\x80\xae"

Field: TypeAlias = "bytes | bytearray | memoryview[int] | str | int | float"


def bury(client: redis.Redis, text: str = "hi", reason: str = "failed", **changed: bytes | str) -> str:
    """Add a dead letter as settle.lua does; its id."""
    name = str(changed.pop("origin", Q))
    fields: dict[Field, Field] = {
        "payload": wire(text),
        "reason": reason,
        "error": "ValueError: no good",
        "attempts": "3",
        "crashes": "1",
        "history": "[]",
        "by": "host-1-abc",
    }
    fields |= dict(changed.items())
    entry_id = client.xadd(keys.of(name).dead, fields)
    assert isinstance(entry_id, bytes)
    return entry_id.decode()


def waiting(client: redis.Redis) -> list[str]:
    """The texts in the reliable queue."""
    return [json.loads(payload)["message"] for payload in client.lrange(Q, 0, -1)]


def due(client: redis.Redis) -> float:
    """The time of the one scheduled message, in seconds."""
    (milliseconds,) = [float(pair[1]) for pair in client.zrange(keys.of(Q).scheduled, 0, -1, withscores=True)]
    return milliseconds / 1000


def left(client: redis.Redis, origin: str = Q) -> int:
    return int(client.xlen(keys.of(origin).dead))


def on_terminal(server: Server, *arguments: str, answer: bytes | None = None) -> tuple[int, str]:
    """What the subscriber does and shows at a terminal where somebody types this answer."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "subscriber", *arguments],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATH": "", "TERM": "xterm", "COLUMNS": WIDE},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
            if answer is not None and b"[y/N]" in shown:
                os.write(ours, answer)
                answer = None
    except OSError:
        pass  # it has closed its end
    os.close(ours)
    return process.wait(30), shown.decode(errors="backslashreplace")
