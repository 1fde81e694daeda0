"""What every handler of the lab does, whoever calls it: write down a message when it is done, and misbehave on order.

It is written down before the caller can acknowledge anything. Only the standard library, as consumers that know
nothing of Townpost use it, too. The environment says:

JOURNAL        folder of the journals; each process has a file of its own, ``LISTENER-PID``
LISTENER       who this is; a restarted process is the same listener
WORK_SECONDS   how long each message takes
SLOW_SECONDS   how long one takes whose id begins with `SLOW`
POISON         the id of a message that kills the process
RAISES         share of messages, e.g. 0.01, whose handling raises an exception; the poison then raises as well, always

Each line is ``begun`` or ``done``, the id, and the time by the monotonic clock, which all processes of a machine
share. While there is a file ``hold`` in the folder, handlers wait for its end before they finish a message. Once there
is a file ``calm``, nothing raises any more but the poison.
"""

import os
import random
import time
from pathlib import Path

from lab.trials.poison import POISONED, SLOW, CannotHandleError

__all__ = ["work"]

_FOLDER = Path(os.environ["JOURNAL"])
_SECONDS = float(os.environ.get("WORK_SECONDS", "0"))
_SLOW_SECONDS = float(os.environ.get("SLOW_SECONDS", "0"))
_RAISES = float(os.environ.get("RAISES", "0"))
_POISON = os.environ.get("POISON", "")
_HOLD = str(_FOLDER / "hold")
_CALM = str(_FOLDER / "calm")
_FILE = os.open(
    _FOLDER / f"{os.environ['LISTENER']}-{os.getpid()}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
)


def work(message_id: str) -> None:
    """Handle one message.

    Raises:
        CannotHandleError: where RAISES says so.
    """
    os.write(_FILE, f"begun {message_id} {time.monotonic():.6f}\n".encode())
    if message_id == _POISON:
        _die_of_it()
    if _SECONDS:
        time.sleep(_SECONDS)
    if _SLOW_SECONDS and message_id.startswith(SLOW):
        time.sleep(_SLOW_SECONDS)
    if _RAISES and random.random() < _RAISES and not os.path.exists(_CALM):  # noqa: PTH110, S311 - no secret
        raise CannotHandleError(message_id)
    while os.path.exists(_HOLD):  # noqa: PTH110 - for each message, and four times as fast
        time.sleep(0.01)
    os.write(_FILE, f"done {message_id} {time.monotonic():.6f}\n".encode())


def _die_of_it() -> None:
    if _RAISES:
        raise CannotHandleError("the poison")
    os._exit(POISONED)
