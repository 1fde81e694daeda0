"""What a hostile reading found: each was a bug once."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import Start
from messages import wire

from lab.processes import ROOT
from lab.proxy import Proxy
from lab.server import Server
from townpost.message import Message


def test_without_leave_for_multi_nothing_is_sent(start: Start, server: Server, client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "+@all", "-multi", "~*", "&*")
    try:
        publisher = start("publisher", "hi", url=f"redis://guest:any@127.0.0.1:{server.port}")

        assert publisher.wait() == 1
        assert publisher.matching("the ACL of this Redis user forbids it", "multi")
        assert client.llen("message_queue") == 0
    finally:
        client.execute_command("ACL", "DELUSER", "guest")


def test_a_reader_that_goes_away_leaves_the_rest_in_the_queue(server: Server, client: redis.Redis) -> None:
    # Given a backlog, and a reader that wants 3,000 lines
    client.rpush("message_queue", *[wire(f"m{n}") for n in range(20_000)])
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m subscriber | head -3000 | tail -1"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATTERN": "queue", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    # Then everything that was never written is where it was
    assert " m2999 " in done.stdout
    first = Message.model_validate_json(client.lindex("message_queue", 0) or "")
    assert client.llen("message_queue") >= 20_000 - 3_000 - 2_000  # at most what fitted into the pipe is gone
    assert client.llen("message_queue") + int(first.message.removeprefix("m")) == 20_000


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "asyncio.CancelledError", "SystemExit"])
def test_a_handler_may_raise_anything(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]], error: str
) -> None:
    environment = handler(
        f"import asyncio\ndef handle(message):\n    if message.message == 'bad':\n        raise {error}('no')\n"
        "    print('handled', message.message, flush=True)\n"
    )
    client.rpush("message_queue", wire("bad"), wire("good"))
    subscriber = start("subscriber", PATTERN="queue", **environment)

    subscriber.wait_for("handled good")
    assert subscriber.stop() == 0
    assert subscriber.matching("2 received, 1 handled, 1 failed")


def test_a_traceback_cannot_steer_the_terminal(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    environment = handler("def handle(message):\n    raise ValueError('bad order: ' + message.message)\n")
    client.rpush("message_queue", wire("\x1b[2J\x07\n[2026-01-01 00:00:00] queue: forged"))
    subscriber = start("subscriber", PATTERN="queue", **environment)

    subscriber.wait_for("ValueError: bad order", count=2)
    subscriber.stop()
    assert not [line for line in subscriber.lines if "\x1b" in line or "\x07" in line]
    assert not [line for line in subscriber.lines if line.startswith("[2026-01-01 00:00:00] queue: forged")]


def test_a_prefetch_is_kept_on_a_slow_link(
    start: Start, server: Server, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    environment = handler(
        "from townpost.message import Message\n"
        "def handle(messages: list[Message]):\n"
        "    print('batch of', len(messages), flush=True)\n"
    )
    client.rpush("message_queue", *[wire() for _ in range(101)])
    with Proxy(server.port) as proxy:
        proxy.latency = 0.01
        subscriber = start("subscriber", url=proxy.url, PATTERN="queue", PREFETCH="100", **environment)

        subscriber.wait_for("batch of 100")


def test_a_stop_while_it_connects_takes_nothing(start: Start, server: Server, client: redis.Redis) -> None:
    client.rpush("message_queue", *[wire() for _ in range(5)])
    with Proxy(server.port) as proxy:
        # Given a subscriber whose connection hangs in its first step
        proxy.latency = 0.5
        subscriber = start("subscriber", url=proxy.url, PATTERN="queue")
        deadline = time.monotonic() + 5
        while not proxy.connections:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert subscriber.stop() == 0

    assert client.llen("message_queue") == 5


def test_large_bulk_batches_get_through(start: Start, server: Server, client: redis.Redis) -> None:
    with Proxy(server.port) as proxy:
        proxy.bandwidth = 4_000_000
        text = "x" * 50_000
        publisher = start("publisher", text, "--count", "300", url=proxy.url, PATTERN="queue")

        assert publisher.wait(60) == 0
        assert client.llen("message_queue") == 300
        assert not publisher.matching("attempt")


def test_a_passing_refusal_does_not_end_the_reports(start: Start, own_server: Server) -> None:
    with redis.Redis(port=own_server.port, decode_responses=True) as client:
        publisher = start("publisher", url=own_server.url, PUBLISH_INTERVAL="0.2", PATTERN="queue")
        publisher.wait_for("sent #2")
        client.config_set("maxmemory", "1")
        publisher.wait_for("Redis is full")
        client.config_set("maxmemory", "0")
        publisher.wait_for("it works again")

        publisher.wait_for("sent #5")
        publisher.stop()
        assert publisher.matching("total on queue")


def test_a_quiet_pipe_is_healthy(server: Server, tmp_path: Path) -> None:
    health = tmp_path / "health"
    environment = {"REDIS_URL": server.url, "PATTERN": "queue", "HEALTH_FILE": str(health), "HEALTH_SECONDS": "2"}
    with subprocess.Popen(
        [sys.executable, "-m", "publisher", "--file", "-"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as publisher:
        time.sleep(5)  # longer than HEALTH_SECONDS is the subject
        check = subprocess.run([sys.executable, "-m", "publisher", "health"], cwd=ROOT, env=environment, check=False)
        publisher.terminate()

    assert check.returncode == 0


@pytest.mark.parametrize("module", ["publisher", "subscriber"])
def test_a_host_with_a_password_in_it_is_not_shown(start: Start, module: str) -> None:
    service = start(module, REDIS_URL="", REDIS_HOST="redis://:s3cret@host")

    assert service.wait() == 2
    assert service.matching("REDIS_HOST cannot be used")
    assert not service.matching("s3cret")


def test_a_port_of_kubernetes_does_not_matter_beside_a_url(start: Start, client: redis.Redis) -> None:
    assert start("publisher", "hi", REDIS_PORT="tcp://10.0.0.1:6379", PATTERN="queue").wait() == 0
    assert client.llen("message_queue") == 1


def test_a_demo_whose_reader_goes_away_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lab demo | head -3"],
        cwd=ROOT,
        env={**os.environ, "PUBLISH_INTERVAL": "0.1", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout.count("\n") == 3
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("townpost-*"))
