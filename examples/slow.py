"""A handler that takes two seconds, to have something in flight when its process is killed."""

import time

from townpost import Message


def slow(message: Message) -> None:
    print("begun", message.message, flush=True)  # noqa: T201 - to be seen
    time.sleep(2)
    print("done ", message.message, flush=True)  # noqa: T201 - to be seen
