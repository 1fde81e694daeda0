"""Dramatiq on Redis.

Promises: at least once, settled message by message (a worker that is gone is noticed by its missing heartbeat).
Tuned: no middleware, 500 messages fetched at once instead of two for each of its eight threads (with one thread
and the usual two it was slower).
"""

import logging
import os
import threading
from typing import Any

from lab.bench.peers.role import batches, done, tuned, url

if tuned:
    os.environ["dramatiq_queue_prefetch"] = "500"  # noqa: SIM112 - its name is its own

import dramatiq
from dramatiq.brokers.redis import RedisBroker

_broker = RedisBroker(url=url, middleware=[]) if tuned else RedisBroker(url=url)
dramatiq.set_broker(_broker)
logging.disable(logging.INFO)


@dramatiq.actor
def handle(message: dict[str, Any]) -> None:
    done(message["count"])


def work() -> None:
    dramatiq.Worker(_broker, worker_threads=8).start()
    threading.Event().wait()


def publish() -> None:
    for batch in batches():
        for message in batch:
            handle.send(message)
