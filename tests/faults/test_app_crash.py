"""A process with fifty messages at work is killed, stopped or cut off from Redis: nothing is lost."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis
from apps import until
from conftest import Start
from messages import parsed, wire

from lab.processes import ROOT

ASYNC = """
import asyncio, os, pathlib
from townpost import Message

journal = open(pathlib.Path(os.environ["FOLDER"]) / str(os.getpid()), "a", buffering=1)

async def handle(message: Message) -> None:
    journal.write(f"begun {message.message}\\n")
    await asyncio.sleep(2 if message.message == "slow" else float(os.environ.get("WORK", "0.05")))
    journal.write(f"done {message.message}\\n")
"""
THREADS = ASYNC.replace("async def", "def").replace("await asyncio.sleep", "time.sleep").replace("asyncio", "time")

RUNNER = pytest.mark.parametrize("source", [ASYNC, THREADS], ids=["loop", "threads"])
KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
NAMES = {"reliable": "reliable_queue", "stream": "message_stream"}


def environment(folder: Path, source: str, pattern: str, **others: str) -> dict[str, str]:
    (folder / "work.py").write_text(source)
    given = {"PATTERN": pattern, "HANDLER": "work:handle", "CONCURRENCY": "50", "LEASE_SECONDS": "1"}
    return given | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT / 'shared'}", "FOLDER": str(folder)} | others


def said(folder: Path, word: str) -> list[str]:
    lines = [line for file in folder.iterdir() if file.name.isdecimal() for line in file.read_text().splitlines()]
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(word)]


def put(client: redis.Redis, pattern: str, texts: list[str]) -> list[str]:
    for text in texts:
        if pattern == "stream":
            client.xadd(NAMES[pattern], {"message": wire(text)})
        else:
            client.rpush(NAMES[pattern], wire(text))
    return texts


def in_flight(client: redis.Redis, pattern: str) -> set[str]:
    """What lies under a lease."""
    if pattern == "stream":
        pending = {one["message_id"] for one in client.xpending_range(NAMES[pattern], "townpost", "-", "+", 1000)}
        entries: Any = client.xrange(NAMES[pattern])
        return {parsed(fields[b"message"]).message for entry_id, fields in entries if entry_id in pending}
    claims = [client.lrange(key, 0, -1) for key in client.keys("*:claim:*")]
    return {parsed(payload).message for claim in claims for payload in claim}


@KEPT
@RUNNER
def test_killed_with_fifty_in_flight_nothing_is_lost_and_no_more_than_these_come_twice(
    start: Start, client: redis.Redis, tmp_path: Path, pattern: str, source: str
) -> None:
    # Given a subscriber with fifty messages at work, of which the first takes long
    texts = put(client, pattern, ["slow", *map(str, range(600))])
    first = start("subscriber", **environment(tmp_path, source, pattern))
    until(lambda: len(said(tmp_path, "done")) >= 400)

    # When it is killed, and another takes its place
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    begun, done, held = said(tmp_path, "begun"), said(tmp_path, "done"), in_flight(client, pattern)
    start("subscriber", **environment(tmp_path, source, pattern))
    until(lambda: set(texts) <= set(said(tmp_path, "done")), 30)

    # Then fifty at most were at work, and what was answered more than a moment before had left its lease
    assert len(begun) - len(done) <= 50
    assert not held & set(done[:-150])

    # And nothing came twice but what was in flight
    twice = {text for text, times in Counter(said(tmp_path, "begun")).items() if times > 1}
    assert twice <= held


@RUNNER
def test_a_stop_waits_for_what_is_at_work_and_loses_nothing(
    start: Start, client: redis.Redis, tmp_path: Path, source: str
) -> None:
    texts = put(client, "reliable", [str(n) for n in range(300)])
    one = start("subscriber", **environment(tmp_path, source, "reliable", WORK="0.2"))
    until(lambda: len(said(tmp_path, "begun")) >= 50)

    os.kill(one.pid, signal.SIGTERM)
    assert one.wait() == 0

    assert sorted(said(tmp_path, "begun")) == sorted(said(tmp_path, "done"))
    left = client.llen("reliable_queue")
    assert left + len(set(said(tmp_path, "done"))) == len(texts)
    assert not client.keys("*:claim:*")


@KEPT
@RUNNER
def test_redis_away_for_longer_than_a_lease_loses_nothing(
    start: Start, client: redis.Redis, tmp_path: Path, pattern: str, source: str
) -> None:
    # Given fifty at work, when Redis answers nobody for six seconds
    texts = put(client, pattern, [str(n) for n in range(400)])
    start("subscriber", **environment(tmp_path, source, pattern))
    until(lambda: len(said(tmp_path, "done")) >= 60)
    client.client_pause(6_000)

    # Then all are handled once it does, and what comes again was at work or not acknowledged when it went
    until(lambda: set(texts) <= set(said(tmp_path, "done")), 40)
    twice = sum(times > 1 for times in Counter(said(tmp_path, "done")).values())
    assert twice <= 150
