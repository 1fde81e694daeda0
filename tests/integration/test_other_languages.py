"""A Node program without any library, on plain Redis types: what it sends is printed, what we send it reads."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Start

from lab.server import Server

NODE = Path(__file__).with_name("client.mjs")
FIELDS = {"id", "timestamp", "message", "sender", "count"}
OPTIONAL = {"epoch", "priority", "data", "traceparent"}
RFC_3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


def _node(server: Server, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["node", str(NODE), str(server.port), *arguments], stdout=subprocess.PIPE, text=True)


def test_what_node_sends_is_printed(start: Start, server: Server) -> None:
    subscriber = start("subscriber")
    subscriber.wait_for("connected", count=2)

    with _node(server, "send", "Hello from Node") as node:
        node.communicate(timeout=20)

    subscriber.wait_for("[node-publisher] Hello from Node", "from pub-sub")
    subscriber.wait_for("[node-publisher] Hello from Node", "from queue")


@pytest.mark.parametrize("command", ["blpop", "subscribe"])
def test_what_we_send_is_read_by_node(start: Start, server: Server, command: str) -> None:
    with _node(server, command) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
        start("publisher", "to node").wait()
        document = json.loads(node.stdout.readline())
    parsed = document.pop("parsed")

    assert FIELDS <= set(document) <= FIELDS | OPTIONAL
    assert document["message"] == "to node"
    assert RFC_3339.match(document["timestamp"])
    assert parsed > 1_700_000_000_000
