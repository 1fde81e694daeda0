"""The indexer as a process beside a real API and a real Redis: what it saves, what it heals, and what it says."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from town import Town, until

from lab.server import Server
from tasks.events import Event
from tasks.indexer.__main__ import main

PATTERNS = ("pubsub", "reliable", "stream")
MakeTown = Callable[..., Town]


@pytest.fixture
def town(server: Server, tmp_path: Path) -> Iterator[MakeTown]:
    """Makes towns on the shared server, or where ``redis_url`` says."""
    with ExitStack() as towns:
        yield lambda *arguments, redis_url=None, **settings: towns.enter_context(
            Town(redis_url or server.url, tmp_path, *arguments, **settings)
        )


@pytest.fixture
def elastic() -> Iterator[ElasticStandIn]:
    with ElasticStandIn() as elastic:
        yield elastic


def event(kind: str = "created", **fields: Any) -> bytes:  # noqa: ANN401
    """As the API would write it."""
    change = put(**fields)
    return Event.model_validate({**dict(change), "event": kind}).message().encode()


class TestFollowing:
    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_search_follows_what_customers_do(self, town: MakeTown, pattern: str) -> None:
        here = town(pattern)
        here.start()

        milk, tea = here.create("buy milk"), here.create("buy tea", priority="high")
        here.until_found("buy milk", "buy tea")
        here.replace(milk, "buy bread")
        here.until_found("buy bread", "buy tea")
        here.delete(tea)
        here.until_found("buy bread")

        assert here.found(text="milk") == []

    def test_it_says_saved_with_the_number_of_the_change(self, town: MakeTown) -> None:
        here = town("reliable")
        indexer = here.start()

        here.create()

        indexer.wait_for("saved 1: change 1")

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_an_event_that_comes_late_overwrites_nothing(
        self, town: MakeTown, client: redis.Redis, pattern: str
    ) -> None:
        # Given a task of version 2
        here = town(pattern)
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

    def test_an_event_for_a_task_that_was_never_seen_is_taken(self, town: MakeTown, client: redis.Redis) -> None:
        here = town("reliable")
        here.start()

        client.rpush("tasks_reliable_queue", event("updated", description="from nowhere", version=7))

        here.until_found("from nowhere")


class TestUnreadable:
    def test_each_is_told_and_goes_to_the_dead_letters(self, town: MakeTown, client: redis.Redis) -> None:
        here = town("reliable")
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

    def test_on_pubsub_it_is_told_and_the_next_is_taken(self, town: MakeTown, client: redis.Redis) -> None:
        here = town("pubsub")
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


class TestHealing:
    def test_what_pubsub_forgot_while_the_indexer_was_away_is_healed(self, town: MakeTown) -> None:
        # Given an indexer that was stopped
        here = town("pubsub")
        indexer = here.start()
        kept, gone = here.create("kept"), here.create("gone")
        here.until_found("kept", "gone")
        indexer.stop()

        # When things change, and it starts again
        here.replace(kept, "changed")
        here.delete(gone)
        here.create("new")
        assert sorted(here.found()) == ["gone", "kept"]
        indexer = here.start_indexer()

        # Then it heals, and says so
        indexer.wait_for("stale for", "healed 3 (at the start)")
        assert sorted(here.found()) == ["changed", "new"]

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_where_events_wait_there_is_nothing_to_heal(self, town: MakeTown, pattern: str) -> None:
        here = town(pattern)
        indexer = here.start()
        kept = here.create("kept")
        here.until_found("kept")
        indexer.stop()

        here.replace(kept, "changed")
        here.create("new")
        indexer = here.start_indexer()

        here.until_found("changed", "new")
        indexer.stop()
        assert indexer.matching("total: ", ", 0 tasks healed")

    def test_events_that_redis_lost_are_healed_where_they_should_have_waited(
        self, town: MakeTown, client: redis.Redis
    ) -> None:
        here = town("reliable", CHECK_SECONDS="0.2")
        indexer = here.start()
        here.create("before")
        here.until_found("before")
        indexer.stop()
        here.create("meanwhile")
        until(lambda: client.llen("tasks_reliable_queue") == 1)

        client.flushall()
        indexer = here.start_indexer()

        indexer.wait_for("healed 1 (changes of which nobody told)")
        assert sorted(here.found()) == ["before", "meanwhile"]

    def test_a_restart_of_redis_leaves_a_gap_that_is_healed(self, town: MakeTown, own_server: Server) -> None:
        here = town("pubsub", redis_url=own_server.url)
        indexer = here.start()
        here.create("before")
        here.until_found("before")

        own_server.kill()
        here.create("meanwhile")
        own_server.start()

        here.until_found("before", "meanwhile")
        indexer.wait_for("(the connection to Redis was lost)")

    def test_a_skipped_number_is_healed_at_once(self, town: MakeTown, client: redis.Redis) -> None:
        # Given events of which the indexer hears none, as they go another way
        here = town("pubsub", CHECK_SECONDS="3600")
        here.start_api(PATTERN="reliable")
        indexer = here.start_indexer()
        indexer.wait_for("nothing was missed (at the start)")
        task = here.create("unheard")
        second = here.create("heard of")

        # When one comes after all
        change = {"id": second["id"], "version": 1, "change": 2, "task": second}
        client.publish("tasks.event.created", Event.model_validate(change | {"event": "created"}).message().encode())

        # Then the one before it is missed, and fetched
        indexer.wait_for("healed 1 (change 2 came after change 0)")
        assert sorted(here.found()) == ["heard of", "unheard"]
        assert task["change"] == 1

    def test_a_last_event_that_was_lost_is_found_without_any_other(self, town: MakeTown) -> None:
        here = town("pubsub", CHECK_SECONDS="0.2")
        here.start_api(PATTERN="reliable")
        indexer = here.start_indexer()
        indexer.wait_for("nothing was missed (at the start)")

        here.create("unheard")

        indexer.wait_for("healed 1 (changes of which nobody told)")
        assert here.found() == ["unheard"]

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_an_index_that_was_deleted_is_made_anew(self, town: MakeTown, pattern: str) -> None:
        here = town(pattern)
        indexer = here.start()
        here.create("buy milk")
        here.until_found("buy milk")
        indexer.stop()

        assert here.api is not None
        here.api.stop()
        for file in here.folder.glob("index.db*"):
            file.unlink()
        here.start()

        here.until_found("buy milk")

    def test_without_the_api_it_says_so_and_heals_when_it_is_there(self, town: MakeTown) -> None:
        here = town("pubsub")
        here.start_api()
        here.create("buy milk")
        assert here.api is not None
        here.api.stop()

        indexer = here.start_indexer()
        indexer.wait_for(f"the API at {here.environment['API_URL']} (API_URL) does not answer")
        here.start_api()

        indexer.wait_for("healed 1")
        assert len(indexer.matching("does not answer")) == 1

    def test_what_answers_is_not_the_api(self, town: MakeTown, elastic: ElasticStandIn) -> None:
        indexer = town("pubsub", API_URL=elastic.url).start_indexer()

        indexer.wait_for("(API_URL) answered 405; the index is stale until it does")

    def test_an_api_with_another_database_is_told(self, town: MakeTown) -> None:
        here = town("pubsub")
        here.start()
        here.create("old")
        here.create("old, too")
        here.until_found("old", "old, too")
        for process in (here.api, here.indexer):
            assert process is not None
            process.stop()
        (here.folder / "tasks.db").unlink()

        here.start_api()
        here.create("new")
        indexer = here.start_indexer()

        indexer.wait_for("the index has seen change 2, but the API has made only 1", "INDEX_URL")
        here.until_found("new", text="new")


class TestOutagesOfTheIndex:
    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_nothing_is_called_saved_before_it_is(self, town: MakeTown, elastic: ElasticStandIn, pattern: str) -> None:
        # Given an index that refuses
        here = town(pattern, INDEX_URL=elastic.url)
        indexer = here.start()
        here.create("before")
        here.until_found("before")
        elastic.faults = [503] * 1000

        # When a task is created
        here.create("meanwhile")
        indexer.wait_for("answered 503", "nothing is saved until it is mended")
        assert len(indexer.matching("saved 1: ")) == 1

        # Then it is saved, or healed, as soon as the index is back
        elastic.faults = []
        indexer.wait_for("the index is back after")
        here.until_found("before", "meanwhile")
        saved = "healed 1 (" if pattern == "pubsub" else "saved 1: change 2"
        indexer.wait_for(saved)

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_what_was_in_hand_at_a_stop_comes_again(
        self, town: MakeTown, elastic: ElasticStandIn, pattern: str
    ) -> None:
        here = town(pattern, INDEX_URL=elastic.url)
        indexer = here.start()
        elastic.faults = [503] * 1000
        here.create("buy milk")
        indexer.wait_for("nothing is saved")

        assert indexer.stop() == 0
        elastic.faults = []
        here.start_indexer()

        here.until_found("buy milk")

    def test_an_index_that_vanishes_is_made_anew_and_filled(self, town: MakeTown, elastic: ElasticStandIn) -> None:
        here = town("reliable", INDEX_URL=elastic.url, CHECK_SECONDS="0.2")
        here.start()
        here.create("first")
        here.until_found("first")

        elastic.indexes.clear()
        here.create("second")

        until(lambda: bool(elastic.indexes))
        here.until_found("first", "second")

    def test_without_an_index_at_the_start_it_waits(self, town: MakeTown, elastic: ElasticStandIn) -> None:
        elastic.faults = [503] * 9
        here = town("pubsub", INDEX_URL=elastic.url)
        indexer = here.start()

        indexer.wait_for("the index is back after")
        here.create("buy milk")

        here.until_found("buy milk")


class TestProcess:
    def test_a_stop_is_clean_and_tells_what_was_done(self, town: MakeTown) -> None:
        here = town("stream")
        indexer = here.start()
        here.create()
        indexer.wait_for("saved 1")

        assert indexer.stop() == 0

        assert indexer.matching("total: 1 events, 1 saved (0 known before), 0 tasks healed, 0 unreadable")

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_what_a_killed_indexer_had_in_hand_is_indexed_by_the_next(
        self, town: MakeTown, elastic: ElasticStandIn, pattern: str
    ) -> None:
        here = town(pattern, INDEX_URL=elastic.url)
        indexer = here.start()
        elastic.faults = [503] * 1000
        here.create("in hand")
        indexer.wait_for("nothing is saved")

        os.kill(indexer.pid, signal.SIGKILL)
        indexer.wait()
        elastic.faults = []
        here.start_indexer()

        here.until_found("in hand")

    def test_health_is_progress(self, town: MakeTown, run: Run) -> None:
        here = town("pubsub")
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

    def test_without_redis_it_gives_up_after_connect_timeout(self, town: MakeTown) -> None:
        indexer = town("pubsub", redis_url=f"redis://127.0.0.1:{free_port()}", CONNECT_TIMEOUT="0.3").start_indexer()

        assert indexer.wait() == 1

        assert indexer.matching("gave up after CONNECT_TIMEOUT=0.3 s", "REDIS_URL")
        assert not indexer.matching("Traceback")
