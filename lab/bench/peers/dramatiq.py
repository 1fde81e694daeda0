"""Dramatiq on Redis.

Promises: at least once, settled message by message (a worker that is gone is noticed by its missing heartbeat).
Tuned: one worker thread instead of eight (handlers that only compute get in each other's way), no middleware.
"""

import logging
import threading
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from lab.bench.peers.role import batches, done, tuned, url

_broker = RedisBroker(url=url, middleware=[]) if tuned else RedisBroker(url=url)
dramatiq.set_broker(_broker)
logging.disable(logging.INFO)


@dramatiq.actor
def handle(message: dict[str, Any]) -> None:
    done(message["count"])


def work() -> None:
    dramatiq.Worker(_broker, worker_threads=1 if tuned else 8).start()
    threading.Event().wait()


def publish() -> None:
    for batch in batches():
        for message in batch:
            handle.send(message)
