"""Consumers of a list with a fault planted in each: the lab must convict them, or its acquittals are worth nothing.

Usage: python -m lab.trials.planted acks-first|drops-every-100th|handles-twice

But for the planted fault they do what a decent consumer does: move a message to a list of its own, handle it, remove
it there. What a killed one left behind in its list is pushed back when it starts again.
"""

import json
import os
import sys

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.trials.journal import work

_QUEUE = "message_queue"


def run(bug: str) -> None:
    client = redis.Redis.from_url(os.environ["REDIS_URL"], retry=Retry(NoBackoff(), 0), socket_timeout=None)
    mine = f"planted:{os.environ['LISTENER']}"
    while client.lmove(mine, _QUEUE, "RIGHT", "LEFT"):
        pass
    print("connected", flush=True)
    taken = 0
    while True:
        moved = client.blmove(_QUEUE, mine, 1, "LEFT", "RIGHT")
        if moved is None:
            continue
        raw = moved.decode() if isinstance(moved, bytes) else moved
        taken += 1
        message_id = json.loads(raw)["id"]
        if bug == "acks-first":
            client.lrem(mine, 1, raw)
        if bug != "drops-every-100th" or taken % 100:
            work(message_id)
        if bug == "handles-twice" and taken % 100 == 0:
            work(message_id)
        client.lrem(mine, 1, raw)


if __name__ == "__main__":
    run(sys.argv[1])
