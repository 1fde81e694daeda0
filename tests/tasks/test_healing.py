"""What was missed is made up for, whoever was away; and nothing is called saved before it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from elastic_stand_in import ElasticStandIn
from testbed import MakeTestbed, making_testbeds, until

from lab.processes import Process
from lab.server import Server
from tasks.events import Event

PATTERNS = ("pubsub", "reliable", "stream")


@pytest.fixture
def testbed(server: Server, tmp_path: Path) -> Iterator[MakeTestbed]:
    yield from making_testbeds(server.url, tmp_path)


@pytest.fixture
def elastic() -> Iterator[ElasticStandIn]:
    with ElasticStandIn() as elastic:
        yield elastic


def _saved(indexer: Process) -> list[str]:
    """What it has said of single tasks that are in the index now, however it came to know of them."""
    return [*indexer.matching("saved 1: "), *indexer.matching("healed 1 (")]


class TestHealing:
    def test_what_pubsub_forgot_while_the_indexer_was_away_is_healed(self, testbed: MakeTestbed) -> None:
        # Given an indexer that was stopped
        here = testbed("pubsub")
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

    def test_more_than_one_page_is_healed(self, testbed: MakeTestbed) -> None:
        # Given more changes than the API tells at a time, of which the indexer hears none
        here = testbed("pubsub")
        here.start_api(PATTERN="reliable")
        total = 505
        for number in range(total):
            here.create(f"task {number}")

        # When it starts
        indexer = here.start_indexer()

        # Then a search finds the first and the last, and all of them
        indexer.wait_for("healed 505 (at the start)", timeout=40)
        here.until_found("task 0", text="0")
        here.until_found("task 504", text="504")
        assert here.total() == total

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_where_events_wait_there_is_nothing_to_heal(self, testbed: MakeTestbed, pattern: str) -> None:
        here = testbed(pattern, CHECK_SECONDS="3600")
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
        self, testbed: MakeTestbed, client: redis.Redis
    ) -> None:
        here = testbed("reliable", CHECK_SECONDS="0.2")
        indexer = here.start()
        here.create("before")
        here.until_found("before")
        indexer.stop()
        here.create("meanwhile")
        until(lambda: client.llen("tasks_reliable_queue") == 1)

        client.flushall()
        indexer = here.start_indexer()

        indexer.wait_for("healed 1 (changes without an event)")
        assert sorted(here.found()) == ["before", "meanwhile"]

    def test_a_restart_of_redis_leaves_a_gap_that_is_healed(self, testbed: MakeTestbed, own_server: Server) -> None:
        here = testbed("pubsub", redis_url=own_server.url)
        indexer = here.start()
        here.create("before")
        here.until_found("before")

        own_server.kill()
        here.create("meanwhile")
        own_server.start()

        here.until_found("before", "meanwhile")
        indexer.wait_for("(the connection to Redis was lost)")

    def test_a_skipped_number_is_healed_at_once(self, testbed: MakeTestbed, client: redis.Redis) -> None:
        # Given events of which the indexer hears none, as they go another way
        here = testbed("pubsub", CHECK_SECONDS="3600")
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

    def test_a_last_event_that_was_lost_is_found_without_any_other(self, testbed: MakeTestbed) -> None:
        here = testbed("pubsub", CHECK_SECONDS="0.2")
        here.start_api(PATTERN="reliable")
        indexer = here.start_indexer()
        indexer.wait_for("nothing was missed (at the start)")

        here.create("unheard")

        indexer.wait_for("healed 1 (changes without an event)")
        assert here.found() == ["unheard"]

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_an_index_that_was_deleted_is_made_anew(self, testbed: MakeTestbed, pattern: str) -> None:
        here = testbed(pattern)
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

    def test_without_the_api_it_says_so_and_heals_when_it_is_there(self, testbed: MakeTestbed) -> None:
        here = testbed("pubsub")
        here.start_api()
        here.create("buy milk")
        assert here.api is not None
        here.api.stop()

        indexer = here.start_indexer()
        indexer.wait_for(f"the API at {here.environment['API_URL']} (API_URL) does not answer")
        here.start_api()

        indexer.wait_for("healed 1")
        assert len(indexer.matching("does not answer")) == 1

    def test_what_answers_is_not_the_api(self, testbed: MakeTestbed, elastic: ElasticStandIn) -> None:
        indexer = testbed("pubsub", API_URL=elastic.url).start_indexer()

        indexer.wait_for("(API_URL) answered 405; the index is stale until it does")

    def test_an_api_with_another_database_is_told(self, testbed: MakeTestbed) -> None:
        here = testbed("pubsub")
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
    def test_nothing_is_called_saved_before_it_is(
        self, testbed: MakeTestbed, elastic: ElasticStandIn, pattern: str
    ) -> None:
        # Given an index that refuses
        here = testbed(pattern, INDEX_URL=elastic.url, CHECK_SECONDS="3600")
        indexer = here.start()
        here.create("before")
        until(lambda: len(_saved(indexer)) == 1)
        elastic.faults = [503] * 1000

        # When a task is created
        here.create("meanwhile")
        indexer.wait_for("answered 503", "nothing is saved until it is mended")
        assert len(_saved(indexer)) == 1

        # Then it is saved, or healed, as soon as the index is back
        elastic.faults = []
        indexer.wait_for("the index is back after")
        here.until_found("before", "meanwhile")
        saved = "healed 1 (" if pattern == "pubsub" else "saved 1: change 2"
        indexer.wait_for(saved)

    @pytest.mark.parametrize("pattern", ["reliable", "stream"])
    def test_what_was_in_flight_at_a_stop_comes_again(
        self, testbed: MakeTestbed, elastic: ElasticStandIn, pattern: str
    ) -> None:
        here = testbed(pattern, INDEX_URL=elastic.url, CHECK_SECONDS="3600")
        indexer = here.start()
        here.create("before")
        here.until_found("before")
        elastic.faults = [503] * 1000
        here.create("buy milk")
        indexer.wait_for("nothing is saved")

        assert indexer.stop() == 0
        elastic.faults = []
        indexer = here.start_indexer()

        # Then as an event: healing would hide a lost one
        indexer.wait_for("saved 1: change 2")
        here.until_found("before", "buy milk")
        indexer.stop()
        assert indexer.matching("total: ", ", 0 tasks healed")

    def test_an_index_that_vanishes_is_made_anew_and_filled(
        self, testbed: MakeTestbed, elastic: ElasticStandIn
    ) -> None:
        here = testbed("reliable", INDEX_URL=elastic.url, CHECK_SECONDS="0.2")
        here.start()
        here.create("first")
        here.until_found("first")

        elastic.indexes.clear()
        here.create("second")

        until(lambda: bool(elastic.indexes))
        here.until_found("first", "second")

    def test_without_an_index_at_the_start_it_waits(self, testbed: MakeTestbed, elastic: ElasticStandIn) -> None:
        elastic.faults = [503] * 9
        here = testbed("pubsub", INDEX_URL=elastic.url)
        indexer = here.start()

        indexer.wait_for("the index is back after")
        here.create("buy milk")

        here.until_found("buy milk")
