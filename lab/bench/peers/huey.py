"""Huey on a Redis list.

Promises: at most once (BRPOP, nothing remembers what was taken).
Tuned: no results, no scheduler work for periodic tasks, no check of its workers' health.
"""

import logging

from huey import RedisHuey

from lab.bench.peers.role import at_once, batches, handle, tuned, url

_huey = RedisHuey("bench", url=url, results=not tuned)
logging.disable(logging.INFO)


_task = _huey.task(name="handle")(handle)


def work() -> None:
    better = {"periodic": False, "check_worker_health": False} if tuned else {}
    _huey.create_consumer(workers=at_once or 1, worker_type="thread", **better).run()


def publish() -> None:
    for batch in batches():
        for message in batch:
            _task(message)
