"""A handler that writes down what it handles before it is acknowledged, and behaves as the environment says.

JOURNAL         folder; each process has a file of its own in it
MISBEHAVE       "crash:TEXT" ends the process at that text, before it is written down; "crash-after:TEXT" once, after;
                "slow:TEXT" takes SECONDS for it; "raise:TEXT" always raises; "raise-once:TEXT" the first time
SECONDS         for each message, or for the slow one
"""

import os
import time
from pathlib import Path

from townpost.message import Message

FOLDER = Path(os.environ["JOURNAL"])
HOW, _, TEXT = os.environ.get("MISBEHAVE", "").partition(":")
SECONDS = float(os.environ.get("SECONDS", "0"))
FILE = os.open(FOLDER / f"{os.getpid()}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def handle(message: Message) -> None:
    hit = bool(HOW) and message.message == TEXT
    if hit and HOW == "crash":
        os._exit(9)
    if hit and HOW == "raise":
        raise ValueError(TEXT)
    if hit and HOW == "raise-once" and _first_time():
        raise ValueError(TEXT)
    if hit and HOW == "slow":
        (FOLDER / f"begun-{message.count}").touch()
        time.sleep(SECONDS)
    elif not HOW:
        time.sleep(SECONDS)
    latency = time.time() - message.timestamp.timestamp()
    os.write(FILE, f"{message.count} {message.message} {latency:.6f}\n".encode())
    if hit and HOW == "crash-after" and _first_time():
        os._exit(9)


def _first_time() -> bool:
    try:
        (FOLDER / "happened").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
