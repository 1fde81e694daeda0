"""Celery with Redis as its broker.

Promises: by default at most once: a message is acknowledged before its task runs. (``acks_late`` would make that at
least once, with a visibility timeout of an hour that nothing renews.) Message by message.
Tuned: the solo pool (threads where several are to be at work), prefetching 500 messages, no gossip, mingle and
heartbeat, no events, results ignored.
"""

import logging

from celery import Celery

from lab.bench.peers.role import at_once, batches, handle, tuned, url

_app = Celery("bench", broker=url)
_app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
if tuned:
    _app.conf.update(worker_prefetch_multiplier=500, worker_send_task_events=False, worker_disable_rate_limits=True)
logging.disable(logging.INFO)


_task = _app.task(name="handle")(handle)


def work() -> None:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if tuned else []
    pool = [f"--pool={'threads' if at_once else 'solo'}"] if tuned else []
    _app.worker_main(["worker", f"--concurrency={at_once or 1}", "--loglevel=WARNING", *quiet, *pool])


def publish() -> None:
    with _app.producer_or_acquire() as producer:
        for batch in batches():
            for message in batch:
                _task.apply_async((message,), producer=producer)
