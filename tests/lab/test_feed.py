"""Messages reach the publisher whole and in order, and are attempted from the moment it has begun to take them."""

import json
import random
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.processes import Process
from lab.trials.feed import Feed
from lab.trials.poison import SLOW
from lab.trials.records import Records
from townpost.message import read


class Pipe:
    """Stands for a publisher's standard input; takes so many bytes and no more."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.taken = b""
        self.status: int | None = None

    def feed(self, data: bytes) -> int:
        size = min(len(data), self.room)
        self.taken += data[:size]
        self.room -= size
        return size

    @property
    def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.taken.splitlines()]


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("lab.trials.feed.time.monotonic", clock.monotonic)
    return clock


def made(seed: int = 1) -> Feed:
    return Feed(Records(Path("unused")), random.Random(seed))


def advance(feed: Feed, pipe: Pipe) -> None:
    feed.advance(cast("Process", pipe))  # of a process it needs the two that a pipe has


def attempted(feed: Feed) -> dict[str, float]:
    return feed._records.attempted


def test_a_burst_is_handed_over_in_its_order() -> None:
    feed, pipe = made(), Pipe()
    ids = feed.burst(5)

    advance(feed, pipe)

    assert pipe.ids == ids
    assert list(attempted(feed)) == ids


def test_every_line_is_a_message_of_ours() -> None:
    feed, pipe = made(), Pipe()
    feed.burst(2, size=100)

    advance(feed, pipe)

    first, second = (read(line, 1_000_000) for line in pipe.taken.splitlines())
    assert (first.count, second.count) == (1, 2)
    assert first.epoch == second.epoch


def test_the_same_seed_sends_the_same_ids() -> None:
    assert made(1).burst(3) == made(1).burst(3) != made(2).burst(3)


def test_what_is_not_taken_is_not_attempted() -> None:
    feed, pipe = made(), Pipe(room=0)
    feed.burst(1)

    advance(feed, pipe)

    assert not attempted(feed)
    assert feed.waiting == 1


def test_what_is_taken_in_part_is_attempted_and_still_waits() -> None:
    feed, pipe = made(), Pipe(room=10)
    ids = feed.burst(2)

    advance(feed, pipe)

    assert list(attempted(feed)) == ids[:1]
    assert feed.waiting == 2


@given(rooms=st.lists(st.integers(min_value=0, max_value=700), max_size=30))
def test_however_little_is_taken_at_a_time_lines_arrive_whole(rooms: list[int]) -> None:
    feed, pipe = made(), Pipe(0)
    ids = feed.burst(4)

    for room in [*rooms, 10_000]:
        pipe.room = room
        advance(feed, pipe)

    assert pipe.ids == ids
    assert list(attempted(feed)) == ids
    assert feed.waiting == 0


def test_a_new_process_gets_the_whole_of_a_line_that_the_dead_one_had_in_part() -> None:
    feed = made()
    ids = feed.burst(1)
    advance(feed, Pipe(room=10))

    feed.forget_the_half()
    advance(feed, pipe := Pipe())

    assert pipe.ids == ids


def test_nothing_is_handed_to_a_process_that_has_ended() -> None:
    feed, pipe = made(), Pipe()
    pipe.status = -9
    feed.burst(1)

    advance(feed, pipe)

    assert pipe.taken == b""
    assert feed.waiting == 1


def test_the_first_attempt_is_the_attempt(clock: Clock) -> None:
    feed, pipe = made(), Pipe()
    (once,) = feed.burst(1)
    advance(feed, pipe)
    clock.now += 5

    feed.again(once)
    advance(feed, pipe)

    assert pipe.ids == [once, once]
    assert attempted(feed) == {once: 100.0}


def test_a_flow_is_so_many_a_second(clock: Clock) -> None:
    feed, pipe = made(), Pipe()
    feed.flow(200)

    for _ in range(100):
        clock.now += 0.01
        advance(feed, pipe)

    assert len(pipe.ids) in (199, 200)  # as floats add up


def test_a_flow_of_none_is_none(clock: Clock) -> None:
    feed, pipe = made(), Pipe()
    feed.flow(200)
    feed.flow(0)
    clock.now += 1

    advance(feed, pipe)

    assert pipe.taken == b""


def test_a_stalled_flow_is_not_made_up_for(clock: Clock) -> None:
    feed, pipe = made(), Pipe(room=0)
    feed.flow(200)
    clock.now += 0.05
    advance(feed, pipe)
    for _ in range(100):
        clock.now += 1
        advance(feed, pipe)

    pipe.room = 1_000_000
    clock.now += 0.01
    advance(feed, pipe)

    assert len(pipe.ids) < 100 * 200 * 0.15


def test_padding_makes_a_message_larger() -> None:
    small, large = Pipe(), Pipe()
    for size, pipe in ((0, small), (500, large)):
        feed = made()
        feed.burst(1, size)
        advance(feed, pipe)

    def text(pipe: Pipe) -> str:
        line: dict[str, Any] = json.loads(pipe.taken)
        return str(line["message"])

    assert len(text(large)) - len(text(small)) == 500


def test_slow_messages_can_be_told_by_their_ids_and_others_are_not_slow() -> None:
    feed, pipe = made(), Pipe()
    slow = feed.burst(3, slow=True)
    quick = feed.burst(3)

    advance(feed, pipe)

    assert pipe.ids == slow + quick
    assert all(each.startswith(SLOW) for each in slow)
    assert not any(each.startswith(SLOW) for each in quick)
    assert [str(read(line).id) for line in pipe.taken.splitlines()] == slow + quick


def test_a_priority_is_written_into_the_message() -> None:
    feed, pipe = made(), Pipe()
    feed.burst(1, priority=7)
    feed.burst(1)

    advance(feed, pipe)

    assert [read(line).priority for line in pipe.taken.splitlines()] == [7, None]


def test_what_another_process_hands_over_is_attempted_and_not_handed_over_again() -> None:
    feed, pipe = made(), Pipe()

    lines = feed.apart(2, 100)
    advance(feed, pipe)

    assert [str(read(line).id) for line in lines] == list(attempted(feed))
    assert min(map(len, lines)) > 100
    assert pipe.taken == b""
