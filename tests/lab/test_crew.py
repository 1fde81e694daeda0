"""What died is started again, and when the crew is gone nothing of it is left."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.processes import Process
from lab.trials import crew as crew_module
from lab.trials.crew import Crew, Member

WAITS = "import sys, time; print('here', flush=True)\nwhile True: time.sleep(0.05)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
ENDS = "print('short life', flush=True)"


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


@pytest.fixture
def starting(tmp_path: Path) -> Callable[[str], Callable[[], Process]]:
    """How to start a process that runs this source."""

    def make(source: str) -> Callable[[], Process]:
        module = f"member{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{module}.py").write_text(source)
        return lambda: Process(module, environment={"PYTHONPATH": str(tmp_path)})

    return make


Starting = Callable[[str], Callable[[], Process]]


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def here(member: Member) -> bool:
    return bool(member.process.matching("here"))


def test_a_killed_member_is_replaced(crew: Crew, starting: Starting) -> None:
    member = crew.add("a", starting(WAITS))
    first = member.process

    first.kill()
    until(lambda: member.process is not first)

    assert member.ends == [-signal.SIGKILL]
    assert member.process.status is None


def test_nobody_is_replaced_at_once(crew: Crew, starting: Starting) -> None:
    member = crew.add("a", starting(WAITS))
    first = member.process

    first.kill()
    died = time.monotonic()
    until(lambda: member.process is not first)

    assert time.monotonic() - died > crew_module._RESTART_SECONDS / 2


def test_whoever_dies_again_is_replaced_again(crew: Crew, starting: Starting) -> None:
    member = crew.add("a", starting(ENDS))

    until(lambda: len(member.statuses) >= 2)

    assert member.lines.count("short life") >= 1


def test_who_is_expected_to_end_stays_away(crew: Crew, starting: Starting) -> None:
    ending, dying = crew.add("a", starting(ENDS)), crew.add("b", starting(ENDS))
    ending.expected_to_end = True

    until(lambda: len(dying.ends) >= 2)

    assert ending.ends == []


def test_a_rolled_member_ends_in_good_order_and_is_replaced(crew: Crew, starting: Starting) -> None:
    member = crew.add("a", starting(f"import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); {WAITS}"))
    until(lambda: here(member))
    first = member.process

    crew.roll(member)

    assert member.process.pid != first.pid
    assert "here" in member.lines
    assert member.ends == [7]


def test_the_end_tells_how_each_of_them_ended(starting: Starting) -> None:
    crew = Crew()
    member = crew.add("a", starting(WAITS))
    until(lambda: here(member))

    crew.close()

    assert member.statuses == [-signal.SIGTERM]


@pytest.mark.parametrize("how", ["deaf", "frozen"])
def test_the_end_is_the_end_also_of_who_does_not_listen(
    how: str, starting: Starting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "_STOP_SECONDS", 0.3)
    crew = Crew()
    member = crew.add("a", starting(DEAF if how == "deaf" else WAITS))
    until(lambda: here(member))
    if how == "frozen":
        member.process.signal(signal.SIGSTOP)

    crew.close()

    assert member.statuses[-1] == -(signal.SIGKILL if how == "deaf" else signal.SIGTERM)
    assert not is_there(member.process.pid)


def test_nobody_is_left_and_nobody_is_started_any_more(starting: Starting) -> None:
    started: list[Process] = []

    def start() -> Process:
        started.append(begin())
        return started[-1]

    begin = starting(WAITS)
    crew = Crew()
    for name in "abc":
        crew.add(name, start)
    crew.members[0].process.kill()  # is to be replaced any moment

    crew.close()

    assert not any(is_there(process.pid) for process in started)
    assert not crew._thread.is_alive()


def test_it_can_be_closed_twice(starting: Starting) -> None:
    crew = Crew()
    crew.add("a", starting(WAITS))
    crew.close()

    crew.close()


def test_one_that_cannot_be_started_again_is_told_and_takes_nobody_with_it(crew: Crew, starting: Starting) -> None:
    other = crew.add("a", starting(WAITS))
    begin = [starting(ENDS)]

    def start() -> Process:
        return begin.pop()()

    crew.add("b", start)
    until(lambda: crew.trouble is not None)

    assert isinstance(crew.trouble, IndexError)
    assert other.process.status is None
