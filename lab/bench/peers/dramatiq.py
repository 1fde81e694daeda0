"""Dramatiq on Redis.

Promises: at least once, settled message by message (a worker that is gone is noticed by its missing heartbeat).
Tuned: no middleware (but for async handlers), 500 messages fetched at once instead of two for each of its eight
threads (with one thread and the usual two it was slower).
"""

import logging
import os
import threading

from lab.bench.peers.role import at_once, batches, handle, handler, tuned, url

if tuned:
    os.environ["dramatiq_queue_prefetch"] = str(max(500, 2 * at_once))  # noqa: SIM112 - its name is its own

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

_broker = RedisBroker(url=url, middleware=[AsyncIO()] if at_once else []) if tuned else RedisBroker(url=url)
dramatiq.set_broker(_broker)
logging.disable(logging.INFO)


_actor = dramatiq.actor(handler if at_once else handle, actor_name="handle")


def work() -> None:
    dramatiq.Worker(_broker, worker_threads=at_once or 8).start()
    threading.Event().wait()


def publish() -> None:
    for batch in batches():
        for message in batch:
            _actor.send(message)
