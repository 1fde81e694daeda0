"""What the tests of faults share: the journal of all handlers, and both ends of a pattern that keeps messages."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from lab.server import Server
from townpost import keys
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
NAMES = {"reliable": "reliable_queue", "stream": "message_stream"}
LEASE = 1.0


class Journal:
    """What all handlers wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "JOURNAL": str(folder),
            "HANDLER": "journal:handle",
            "PYTHONPATH": str(Path(__file__).parent),
            "LEASE_SECONDS": str(LEASE),
            "BACKOFF_SECONDS": "0.05",
        }

    def counts(self) -> Counter[int]:
        """How often each message was handled, by its number."""
        lines = (line for file in self.folder.glob("*.journal") for line in file.read_text().splitlines())
        return Counter(int(line.split()[0]) for line in lines if line)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def until(condition: Callable[[], object], seconds: float = 60) -> float:
    """Wait for it; how long that took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError
        time.sleep(0.02)
    return time.monotonic() - started


def publish(server: Server, pattern: str, *texts: str) -> None:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern=pattern)) as publisher:
        messages = [Message.create(text, count=number) for number, text in enumerate(texts, 1)]
        for start in range(0, len(messages), 500):
            publisher.send(messages[start : start + 500])


def settled(client: redis.Redis, pattern: str) -> bool:
    """Whether nothing waits and nothing is in flight."""
    if pattern == "stream":
        (group,) = client.xinfo_groups(NAMES[pattern])
        return group["lag"] == 0 and group["pending"] == 0  # type: ignore[no-any-return]  # redis-py's Any
    k = keys.of(NAMES[pattern])
    return not client.exists(k.queue, k.leases, k.suspects, k.scheduled, k.handoff, k.priority)


def dead(client: redis.Redis, pattern: str) -> int:
    return int(client.xlen(keys.of(NAMES[pattern]).dead))
