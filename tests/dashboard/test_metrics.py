"""What Prometheus reads."""

import re

import board as boards
import redis
from board import MakeBoard, until
from conftest import Start
from messages import wire

from dashboard.instances import Instance
from dashboard.metrics import exposition
from dashboard.poller import NOTHING_YET
from dashboard.presenters import instance_status
from dashboard.reports import Report

board = boards.board

LINE = re.compile(r'^(townpost_[a-z0-9_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+-]+)$')


def _values(text: str) -> dict[str, float]:
    """By name and labels; every line is one of the format."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, f"{name} is there twice"
            typed.add(name)
        elif not line.startswith("# HELP "):
            match = LINE.match(line)
            assert match, line
            assert match[1] in typed, line
            assert match[1] + (match[2] or "") not in found, line
            found[match[1] + (match[2] or "")] = float(match[3])
    assert text.endswith("\n")
    return found


def test_the_figures_are_those_of_the_page(board: MakeBoard, start: Start, client: redis.Redis) -> None:
    # Given five messages handled, three that wait elsewhere, and a dead letter
    page = board(PATTERN="all")
    start("subscriber", PATTERN="queue").wait_for("connected")
    client.rpush("message_queue", *[wire() for _ in range(5)])
    client.rpush("reliable_queue", *[wire() for _ in range(3)])
    client.xadd("{reliable_queue}:dead", {"payload": wire(), "reason": "failed"})

    until(lambda: page.pattern("queue")["totals"]["handled"] == 5 and page.pattern("reliable")["depth"] == 3)
    answer = page.get("/metrics")
    values = _values(answer.text)

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert values["townpost_redis_up"] == 1
    assert values['townpost_handled_total{pattern="queue",name="message_queue"}'] == 5
    assert values['townpost_depth{pattern="reliable",name="reliable_queue"}'] == 3
    assert values['townpost_dead_letters{pattern="reliable",name="reliable_queue"}'] == 1
    assert values['townpost_oldest_message_age_seconds{pattern="reliable",name="reliable_queue"}'] > 0
    assert sum(values[f'townpost_instances{{role="subscriber",state="{state}"}}'] for state in ("idle", "working")) == 1
    assert values['townpost_findings{level="bad"}'] >= 1


def test_without_redis_it_says_so(board: MakeBoard) -> None:
    page = board(url="redis://127.0.0.1:1")

    assert _values(page.get("/metrics").text)["townpost_redis_up"] == 0


def test_a_label_cannot_break_out() -> None:
    role = 'a"} 1\nevil 2 \\'
    one = instance_status(Instance(Report(id="a", role=role, at=1.0)), 1.0, {})
    snapshot = NOTHING_YET.model_copy(update={"instances": [one]})

    assert 'townpost_instances{role="a\\"} 1\\nevil 2 \\\\",state="idle"} 1' in exposition(snapshot).splitlines()
