"""The ACL rules of docs/operations.md for the dashboard, as they stand: what they allow is enough."""

import re
from collections.abc import Iterator

import board as boards
import pytest
import redis
from board import MakeBoard, until
from dead_letter_box import Q, S, bury
from messages import wire

from lab.processes import ROOT
from lab.server import Server

board = boards.board

BLOCK = re.search(r"<!-- acl.*?```\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
assert BLOCK is not None
LINES = [line.split() for line in BLOCK.group(1).splitlines()]
READS = next(words[2:] for words in LINES if words[:2] == ["dashboard", "reads"])
WRITES = next(words[2:] for words in LINES if words[:2] == ["dashboard", "writes"])
COUNTS = next(words[1:] for words in LINES if words[0] == "counts")
OPTIONAL = next(words[1:] for words in LINES if words[0] == "optional")


@pytest.fixture
def admin(client: redis.Redis) -> Iterator[redis.Redis]:
    client.execute_command("ACL", "LOG", "RESET")
    yield client
    client.execute_command("ACL", "DELUSER", "dashboard")


def _url(server: Server) -> str:
    return f"redis://dashboard:any@127.0.0.1:{server.port}"


def _denied(admin: redis.Redis) -> list[object]:
    log = admin.execute_command("ACL", "LOG")
    return [entry for entry in (log if isinstance(log, list) else []) if b"dashboard" in repr(entry).encode()]


def test_the_documented_rules_are_enough_to_look(board: MakeBoard, server: Server, admin: redis.Redis) -> None:
    # Given a user with just these rights, and something on every pattern
    admin.execute_command("ACL", "SETUSER", "dashboard", "on", "nopass", *READS, *COUNTS, *OPTIONAL)
    admin.rpush("message_queue", wire())
    admin.rpush(Q, wire())
    admin.xadd(S, {"message": wire()})
    admin.xgroup_create(S, "townpost", id="0")
    for origin in (Q, S):
        bury(admin, origin=origin)

    # When everything there is to see is looked at
    page = board(url=_url(server), PATTERN="all", DASHBOARD_WRITE="0")
    until(lambda: page.pattern("reliable") and page.snapshot()["redis"]["version"])
    for name in ("reliable", "stream"):
        for table in ("dead", "scheduled", "in-flight"):
            page.json(f"/api/{table}/{name}")

    # Then it was seen, and nothing was denied
    views = {view["name"]: view for view in page.snapshot()["patterns"]}
    assert [views[name]["depth"] for name in ("queue", "reliable", "stream")] == [1, 1, 1]
    assert [views[name]["dead_letters"] for name in ("reliable", "stream")] == [1, 1]
    assert _denied(admin) == []


def test_the_documented_rules_are_enough_to_act(board: MakeBoard, server: Server, admin: redis.Redis) -> None:
    admin.execute_command("ACL", "SETUSER", "dashboard", "on", "nopass", *READS, *WRITES, *COUNTS, *OPTIONAL)
    page = board(url=_url(server), PATTERN="all")

    def post(path: str, content: object) -> None:
        answer = page.post(path, content)
        assert answer.status_code == 200, answer.text

    # When everything there is to do is done
    post("/api/publish", {"pattern": "all", "text": "hi"})
    post("/api/publish", {"pattern": "reliable", "text": "hi", "delay": 100, "priority": 3})
    for pattern, origin in (("reliable", Q), ("stream", S)):
        dead_letters = [bury(admin, origin=origin) for _ in range(3)]
        post(f"/api/dead/{pattern}/requeue", {"ids": dead_letters[:1]})
        post(f"/api/dead/{pattern}/{dead_letters[1]}/edit", {"payload": wire().decode()})
        post(f"/api/dead/{pattern}/purge", {"all": True})
    (delayed,) = page.json("/api/scheduled/reliable")["messages"]
    post("/api/scheduled/reliable/now", {"members": [delayed["member"]]})
    (delayed,) = page.json("/api/scheduled/reliable")["messages"]
    post("/api/scheduled/reliable/purge", {"members": [delayed["member"]]})

    # Then nothing was denied
    assert _denied(admin) == []


def test_with_next_to_no_rights_it_says_so(board: MakeBoard, server: Server, admin: redis.Redis) -> None:
    admin.execute_command("ACL", "SETUSER", "dashboard", "on", "nopass", "-@all", "+ping", "~*")

    page = board(url=_url(server), PATTERN="all")

    snapshot = until(lambda: (s := page.snapshot())["patterns"] and s)
    assert "info-forbidden" in [finding["id"] for finding in snapshot["findings"]]
    assert snapshot["patterns"][1]["depth"] is None
    assert page.get("/api/dead/reliable").status_code == 409
    assert not page.process.matching("Traceback")
