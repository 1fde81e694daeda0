"""A consumer with a loop of its own over `listen`, as the README shows it, and no handler: what raises ends the loop.

Usage: python -m lab.trials.loop

The pattern is PATTERN. An exception in the body of the loop ends the process, as it does in most programs; whatever
supervises it starts it again.
"""

import os
import signal
import sys
import threading

from lab.trials.journal import work
from lab.trials.poison import RAISED, CannotHandleError
from townpost import Settings, listen, logs


def run() -> int:
    """The exit status: `RAISED` when the body of the loop raised."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    logs.set_up(Settings.read())
    try:
        for delivery in listen(os.environ["PATTERN"], stop=stop):
            if delivery.message is None:
                delivery.fail(delivery.problem or ValueError("unreadable"))
                continue
            work(str(delivery.message.id))
            delivery.ack()
    except CannotHandleError as error:
        sys.stderr.write(f"the loop ended: {error}\n")
        return RAISED
    return 0


if __name__ == "__main__":
    sys.exit(run())
