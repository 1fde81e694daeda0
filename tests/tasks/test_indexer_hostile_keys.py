"""Whatever others write under the keys of the worked application, its indexer goes on: see tests/faults."""

from pathlib import Path

import pytest
import redis
from hostile import Watched, Write, attack, owned
from testbed import Testbed

from lab.server import Server


@pytest.mark.parametrize("pattern", ["pubsub", "reliable", "stream"])
def test_the_indexer_of_tasks_survives_what_others_write(
    server: Server, client: redis.Redis, tmp_path: Path, pattern: str
) -> None:
    # Given the worked application
    report = tmp_path / "health-indexer"
    with Testbed(server.url, tmp_path, pattern) as testbed:
        indexer = Watched(testbed.start(HEALTH_FILE=str(report)), report)
        testbed.create("before")
        testbed.until_found("before")
        queue = {"stream": "tasks_stream"}.get(pattern, "tasks_reliable_queue")
        own = owned(queue, "stream" if pattern == "stream" else "list")

        # When others write and publish what they like
        def check(recent: list[Write]) -> None:
            for write in recent[-5:]:
                client.publish("tasks.event.created", write.value)
            indexer.check(recent)

        attack(client, own, check)

        # Then it follows what customers do
        testbed.create("after")
        testbed.until_found("before", "after")
        assert indexer.process.stop() == 0
