"""What every handler of the lab does, whoever calls it: write down a message when it is done, and misbehave on order.

It is written down before the caller can acknowledge anything. Only the standard library, as consumers that know
nothing of Townpost use it, too. The environment says:

JOURNAL        folder of the journals; each process has a file of its own, ``LISTENER-PID``
LISTENER       who this is; a restarted process is the same listener
WORK_SECONDS   how long each message takes
POISON         the id of a message that kills the process

Each line is ``begun`` or ``done``, the id, and the time by the monotonic clock, which all processes of a machine
share. While there is a file ``hold`` in the folder, handlers wait for its end before they finish a message.
"""

import os
import time
from pathlib import Path

from lab.trials.poison import POISONED

__all__ = ["work"]

_FOLDER = Path(os.environ["JOURNAL"])
_SECONDS = float(os.environ.get("WORK_SECONDS", "0"))
_POISON = os.environ.get("POISON", "")
_HOLD = str(_FOLDER / "hold")
_FILE = os.open(
    _FOLDER / f"{os.environ['LISTENER']}-{os.getpid()}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
)


def work(message_id: str) -> None:
    """Handle one message."""
    os.write(_FILE, f"begun {message_id} {time.monotonic():.6f}\n".encode())
    if message_id == _POISON:
        os._exit(POISONED)
    if _SECONDS:
        time.sleep(_SECONDS)
    while os.path.exists(_HOLD):  # noqa: PTH110 - for each message, and four times as fast
        time.sleep(0.01)
    os.write(_FILE, f"done {message_id} {time.monotonic():.6f}\n".encode())
