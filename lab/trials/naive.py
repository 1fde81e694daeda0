"""The two designs that tutorials teach, with redis-py as it comes: what the patterns are compared with.

Usage: python -m lab.trials.naive send queue|pubsub RECEIPTS     lines of standard input, one command each
       python -m lab.trials.naive listen queue|pubsub            one BLPOP per message; pubsub.listen()

Nothing here is made worse than it is usually written. The sender notes which of its calls returned, and passes over
those that raised, as a web request would that answers with an error.
"""

import json
import os
import sys
from urllib.parse import urlsplit

import redis

_QUEUE = "message_queue"
_CHANNEL = "messages"


def connect() -> redis.Redis:
    # with a host and a port redis-py 8 retries ten times by itself; made by `from_url` it does not retry at all
    where = urlsplit(os.environ["REDIS_URL"])
    return redis.Redis(host=where.hostname or "localhost", port=where.port or 6379)


def send(pattern: str, receipts: str) -> None:
    client = connect()
    with open(receipts, "a", buffering=1) as written:  # noqa: PTH123 - as short as the rest
        for line in sys.stdin:
            payload = line.rstrip("\n")
            try:
                if pattern == "queue":
                    client.rpush(_QUEUE, payload)
                else:
                    client.publish(_CHANNEL, payload)
            except redis.RedisError as error:
                print(f"not sent: {error}", file=sys.stderr)
            else:
                written.write(json.loads(payload)["id"] + "\n")


def listen(pattern: str) -> None:
    from lab.trials.journal import work  # noqa: PLC0415 - only a listener has one

    client = connect()
    client.ping()
    print("connected", flush=True)
    if pattern == "queue":
        while True:
            item = client.blpop([_QUEUE], timeout=0)
            if item:
                work(json.loads(item[1])["id"])
    pubsub = client.pubsub()
    pubsub.subscribe(_CHANNEL)
    for message in pubsub.listen():
        if message["type"] == "message":
            work(json.loads(message["data"])["id"])


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(*sys.argv[2:4])
    else:
        listen(sys.argv[2])
