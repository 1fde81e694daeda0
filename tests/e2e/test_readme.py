"""The README's commands and snippets, run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import redis
from conftest import Start

from lab.processes import ROOT
from lab.server import Server
from townpost import Message

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_python_snippets_send_and_receive(server: Server) -> None:
    publish, listen, _ = PYTHON
    environment = {"REDIS_URL": server.url, "PYTHONUNBUFFERED": "1"}
    subprocess.run([sys.executable, "-c", publish], cwd=ROOT, env=environment, check=True, timeout=20)

    with subprocess.Popen(
        [sys.executable, "-c", listen], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert re.match(r"<Message me #1 [0-9a-f-]{36}>", line)


def test_the_service_of_the_readme_charges(server: Server, client: redis.Redis, tmp_path: Path) -> None:
    # Given its lines in a folder of their own, and an order
    (tmp_path / "charging.py").write_text(PYTHON[2])
    client.rpush("orders", Message.create("order", data={"number": 7}).encode())
    environment = {"REDIS_URL": server.url, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "shared")}

    with subprocess.Popen(
        [sys.executable, "charging.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()

    assert line == "charged 7\n"
    assert process.returncode == 0


def test_the_python_snippet_about_patterns_sends(server: Server, client: redis.Redis) -> None:
    (publish,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "patterns.md").read_text(), re.DOTALL)
    environment = {"REDIS_URL": server.url, "PYTHONPATH": str(ROOT / "shared")}

    subprocess.run([sys.executable, "-c", publish], cwd=ROOT, env=environment, check=True, timeout=20)

    assert (client.llen("reliable_queue"), client.llen("orders")) == (1, 1001)


def test_the_commands_of_the_publisher_send(start: Start, client: redis.Redis) -> None:
    lengths = {'"Good morning"': 1, "--count 100000 --interval 0": 100_000, "--file examples/messages.jsonl": 3}
    for arguments, length in lengths.items():
        assert f"python -m publisher {arguments}" in README

        assert start("publisher", *shlex.split(arguments), PATTERN="queue").wait() == 0
        assert client.llen("message_queue") == length
        client.delete("message_queue")


def test_the_example_handler_shouts(start: Start) -> None:
    assert "HANDLER=examples.shout:shout python -m subscriber" in README
    subscriber = start("subscriber", HANDLER="examples.shout:shout", PATTERN="queue")

    start("publisher", "hello", PATTERN="queue").wait()

    subscriber.wait_for("HELLO")
