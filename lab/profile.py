"""`make profile`: where a subscriber's time goes, as a flame graph. It drains a queue with a handler that does nothing.

PATTERN chooses the pattern (default: reliable).
"""

import os
import subprocess
import sys
from pathlib import Path

from lab.processes import ROOT
from lab.server import Server
from townpost import Message, Publisher, Settings

__all__ = ["handle"]

_SECONDS = 8
_MESSAGES = 400_000
"""More than it drains while it is watched, so that it never waits."""
_AT_ONCE = 10_000
_SAMPLES_PER_SECOND = 500


def handle(message: Message) -> None:
    """What HANDLER names: nothing is done."""


def main(picture: Path) -> int:
    pattern = os.environ.get("PATTERN", "reliable")
    with Server(appendfsync=None) as server:
        with Publisher(
            settings=Settings.read(redis_url=server.url, pattern=pattern, reliable_limit=_MESSAGES)
        ) as publisher:
            for _ in range(_MESSAGES // _AT_ONCE):
                publisher.send([Message.create("Good morning") for _ in range(_AT_ONCE)])
        environment = {
            "REDIS_URL": server.url,
            "PATTERN": pattern,
            "HANDLER": "lab.profile:handle",
            "STREAM_START": "beginning",
        }
        watching = ["py-spy", "record", "--output", str(picture), "--rate", str(_SAMPLES_PER_SECOND)]
        watched = ["--duration", str(_SECONDS), "--", sys.executable, "-m", "subscriber"]
        command = [str(Path(sys.executable).with_name(watching[0])), *watching[1:], *watched]
        return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(ROOT / "profile.svg"))
