"""Huey on a Redis list.

Promises: at most once (BRPOP, nothing remembers what was taken).
Tuned: no results, no scheduler work for periodic tasks, no check of its workers' health.
"""

import logging
from typing import Any

from huey import RedisHuey

from lab.bench.peers.role import batches, done, tuned, url

_huey = RedisHuey("bench", url=url, results=not tuned)
logging.disable(logging.INFO)


@_huey.task()
def handle(message: dict[str, Any]) -> None:
    done(message["count"])


def work() -> None:
    better = {"periodic": False, "check_worker_health": False} if tuned else {}
    _huey.create_consumer(workers=1, worker_type="thread", **better).run()


def publish() -> None:
    for batch in batches():
        for message in batch:
            handle(message)
