"""RQ.

Promises: a job that was begun when its worker died is put among the failed ones and not run again by itself.
Settled message by message. Its recommended worker forks a process for each job. Tuned: SimpleWorker, which does
not, JSON instead of pickle, no results, many jobs enqueued at once.
"""

import logging

from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from lab.bench.peers.role import batches, handle, tuned, url

_serializer = {"serializer": JSONSerializer} if tuned else {}
_queue = Queue("bench", connection=Redis.from_url(url), **_serializer)
logging.disable(logging.INFO)


def work() -> None:
    worker = SimpleWorker if tuned else Worker
    worker([_queue], connection=_queue.connection, **_serializer).work(logging_level="WARNING")


def publish() -> None:
    for batch in batches():
        if tuned and len(batch) > 1:
            _queue.enqueue_many([Queue.prepare_data(handle, (message,), result_ttl=0) for message in batch])
            continue
        for message in batch:
            _queue.enqueue(handle, message, result_ttl=0 if tuned else None)
