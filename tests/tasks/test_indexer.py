"""The indexer as a process beside a real API and a real Redis: what it saves, refuses, and says."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from conftest import Run
from elastic_stand_in import ElasticStandIn
from made import put
from messages import wire
from ports import free_port
from testbed import MakeTestbed, making_testbeds, until

from lab.processes import Process
from lab.server import Server
from tasks.events import Event
from tasks.indexer.__main__ import main

PATTERNS = ("pubsub", "reliable", "stream")


@pytest.fixture
def testbed(server: Server, tmp_path: Path) -> Iterator[MakeTestbed]:
    yield from making_testbeds(server.url, tmp_path)


@pytest.fixture
def elastic() -> Iterator[ElasticStandIn]:
    with ElasticStandIn() as elastic:
        yield elastic


def event(kind: str = "created", **fields: Any) -> bytes:  # noqa: ANN401 - of several types, validated where they go
    """As the API would write it."""
    change = put(**fields)
    return Event.model_validate({**dict(change), "event": kind}).message().encode()


class TestFollowing:
    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_search_follows_what_customers_do(self, testbed: MakeTestbed, pattern: str) -> None:
        # Given an indexer that asks the API for nothing once it knows the first task
        here = testbed(pattern, CHECK_SECONDS="3600")
        indexer = here.start()
        if pattern == "pubsub":
            indexer.wait_for("nothing was missed (at the start)")
        milk = here.create("buy milk")
        here.until_found("buy milk")

        # When customers go on
        tea = here.create("buy tea", priority="high")
        here.until_found("buy milk", "buy tea")
        here.replace(milk, "buy bread")
        here.until_found("buy bread", "buy tea")
        here.delete(tea)
        here.until_found("buy bread")

        # Then each change came as an event, and none was healed
        for number in (2, 3, 4):
            indexer.wait_for(f"saved 1: change {number}")
        assert here.found(text="milk") == []

    def test_it_says_saved_with_the_number_of_the_change(self, testbed: MakeTestbed) -> None:
        here = testbed("reliable")
        indexer = here.start()

        here.create()

        indexer.wait_for("saved 1: change 1")

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_an_event_that_comes_late_overwrites_nothing(
        self, testbed: MakeTestbed, client: redis.Redis, pattern: str
    ) -> None:
        # Given a task of version 2
        here = testbed(pattern)
        indexer = here.start()
        task = here.create("old")
        here.replace(task, "new")
        here.until_found("new")

        # When the event of version 1 comes once more
        late = event("created", description="old", id=task["id"], version=1, change=1)
        if pattern == "pubsub":
            client.publish("tasks.event.created", late)
        elif pattern == "reliable":
            client.rpush("tasks_reliable_queue", late)
        else:
            client.xadd("tasks_stream", {"message": late})

        # Then it is known for what it is
        indexer.wait_for("saved 0: change 1; 1 known before")
        assert here.found() == ["new"]

    def test_an_event_for_a_task_that_was_never_seen_is_taken(self, testbed: MakeTestbed, client: redis.Redis) -> None:
        here = testbed("reliable")
        here.start()

        client.rpush("tasks_reliable_queue", event("updated", description="from nowhere", version=7))

        here.until_found("from nowhere")


class TestUnreadable:
    def test_each_is_told_and_goes_to_the_dead_letters(self, testbed: MakeTestbed, client: redis.Redis) -> None:
        here = testbed("reliable")
        indexer = here.start()
        known = {"id": str(uuid4()), "version": 1, "change": 1}

        client.rpush(
            "tasks_reliable_queue",
            b"nonsense",
            wire(),
            wire(data=known | {"event": "eaten"}),
            wire(data=known | {"event": "created"}),
        )

        for why in ("Invalid JSON", "the message has no data", "event: Input should be", "a task belongs to created"):
            indexer.wait_for("not indexed", why)
        until(lambda: client.xlen("{tasks_reliable_queue}:dead") == 4)
        here.create()
        here.until_found("buy milk")

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize("field", ["version", "change"])
    def test_a_number_that_no_database_counts_to_is_unreadable(
        self, testbed: MakeTestbed, client: redis.Redis, pattern: str, field: str
    ) -> None:
        here = testbed(pattern)
        indexer = here.start()
        numbers = {"version": 1, "change": 1} | {field: 2**63}
        forged = wire(data={"event": "deleted", "id": str(uuid4())} | numbers)

        if pattern == "pubsub":
            client.publish("tasks.event.deleted", forged)
        elif pattern == "reliable":
            client.rpush("tasks_reliable_queue", forged)
        else:
            client.xadd("tasks_stream", {"message": forged})

        indexer.wait_for("not indexed", f"{field}: Input should be less than")
        here.create()
        here.until_found("buy milk")

    def test_a_forged_number_ahead_of_all_is_a_gap_once(self, testbed: MakeTestbed, client: redis.Redis) -> None:
        # Given an indexer that hears of change 1,000,000, which nobody has made
        here = testbed("pubsub", CHECK_SECONDS="3600")
        indexer = here.start()
        indexer.wait_for("nothing was missed (at the start)")
        client.publish("tasks.event.created", event(description="forged", change=1_000_000))
        indexer.wait_for("nothing was missed (change 1000000 came after change 0)")

        # When customers create tasks
        for number in (1, 2, 3):
            here.create(f"task {number}")
            indexer.wait_for(f"saved 1: change {number}")

        # Then no more is asked of the API
        indexer.stop()
        assert len(indexer.matching("came after change")) == 1

    def test_on_pubsub_it_is_told_and_the_next_is_taken(self, testbed: MakeTestbed, client: redis.Redis) -> None:
        here = testbed("pubsub")
        indexer = here.start()

        client.publish("tasks.event.created", b"nonsense")
        client.publish("tasks.weather", event())
        client.publish("tasks.event.deleted", event("created"))

        indexer.wait_for("not indexed", "Invalid JSON")
        indexer.wait_for("not indexed", "no kind of event has the channel 'tasks.weather'")
        indexer.wait_for("not indexed", "'created' on the channel 'tasks.event.deleted'")
        here.create()
        here.until_found("buy milk")
        indexer.stop()
        assert indexer.matching("total: 1 events, 1 saved", "3 unreadable")


class TestProcess:
    def test_a_stop_is_clean_and_tells_what_was_done(self, testbed: MakeTestbed) -> None:
        here = testbed("stream")
        indexer = here.start()
        here.create()
        indexer.wait_for("saved 1")

        assert indexer.stop() == 0

        assert indexer.matching("total: 1 events, 1 saved (0 known before), 0 tasks healed, 0 unreadable")

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_what_a_killed_indexer_had_in_flight_is_handed_to_the_next(
        self, testbed: MakeTestbed, elastic: ElasticStandIn, pattern: str
    ) -> None:
        here = testbed(pattern, INDEX_URL=elastic.url, CHECK_SECONDS="3600")
        indexer = here.start()
        here.create("before")
        here.until_found("before")
        elastic.faults = [503] * 1000
        here.create("in flight")
        indexer.wait_for("nothing is saved")

        os.kill(indexer.pid, signal.SIGKILL)
        indexer.wait()
        elastic.faults = []
        indexer = here.start_indexer()

        # Then it comes as an event: healing would hide a lost one
        indexer.wait_for("saved 1: change 2")
        here.until_found("before", "in flight")
        indexer.stop()
        assert indexer.matching("total: ", ", 0 tasks healed")

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_an_indexer_that_is_killed_again_and_again_needs_no_healing(
        self, testbed: MakeTestbed, pattern: str
    ) -> None:
        # Given an index that is not new, and an indexer that will not ask whether something is missing
        here = testbed(pattern, CHECK_SECONDS="3600")
        indexer = here.start()
        here.create("before")
        here.until_found("before")

        # When it is killed amid the events of customers, and the last may end in peace
        wanted = ["before"]
        successors: list[Process] = []
        for turn in range(4):
            for number in range(10):
                wanted.append(f"task {turn} {number}")
                here.create(wanted[-1])
            indexer.kill()
            indexer = here.start_indexer()
            successors.append(indexer)
        here.until_found(*wanted, limit=100)
        indexer.stop()

        # Then every change came as an event
        assert not [line for each in successors for line in each.matching(" healed ") if ", 0 tasks healed" not in line]

    def test_health_is_progress(self, testbed: MakeTestbed, run: Run) -> None:
        here = testbed("pubsub")
        health = {"HEALTH_FILE": str(here.folder / "health")}
        here.start_api()
        indexer = here.start_indexer(**health)
        until((here.folder / "health").exists)

        assert run("tasks.indexer", "health", **health).status == 0
        indexer.kill()
        (here.folder / "health").unlink()
        assert run("tasks.indexer", "health", **health).status == 1

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"INDEX_URL": "sqlite:////nowhere/index.db"}, "INDEX_URL cannot be used: there is no folder /nowhere"),
            ({"INDEX_URL": "index.db"}, "INDEX_URL cannot be used: write it as"),
            ({"API_URL": "localhost"}, "API_URL cannot be used: write it as http://host:port"),
            ({"PATTERN": "pigeon"}, "PATTERN cannot be used"),
            ({"CHECK_SECONDS": "0"}, "CHECK_SECONDS cannot be used"),
        ],
    )
    def test_a_wrong_setting_is_one_line(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        settings: dict[str, str],
        said: str,
    ) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

        assert main([]) == 2

        (line,) = capsys.readouterr().err.splitlines()
        assert said in line

    def test_without_redis_it_gives_up_after_connect_timeout(self, testbed: MakeTestbed) -> None:
        indexer = testbed("pubsub", redis_url=f"redis://127.0.0.1:{free_port()}", CONNECT_TIMEOUT="0.3").start_indexer()

        assert indexer.wait() == 1

        assert indexer.matching("gave up after CONNECT_TIMEOUT=0.3 s", "REDIS_URL")
        assert not indexer.matching("Traceback")
