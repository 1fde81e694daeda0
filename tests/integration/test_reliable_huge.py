"""A payload far beyond the limit takes no memory of a consumer: its size is enough to give it up.

It does not travel with a claim; as the reply to the BLMOVE of a consumer that waits it is discarded as it comes.
"""

from pathlib import Path

import pytest
import redis
from conftest import Start
from extent import thorough
from messages import wire
from reliable_driver import Q, leftovers

from lab.server import Server
from townpost import keys
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetters
from townpost.redis.connection import Connection

MIB = 1024 * 1024


def peak(pid: int) -> int:
    """Bytes of memory that this process had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.slow
@pytest.mark.parametrize("first", [[], ["wakes"]], ids=["itself wakes the consumer", "another wakes the consumer"])
def test_a_huge_payload_ends_among_the_dead_letters_without_taking_memory(
    server: Server, client: redis.Redis, start: Start, first: list[str]
) -> None:
    # Given a subscriber that waits
    size = thorough(250, 64) * MIB
    subscriber = start("subscriber", PATTERN="reliable")
    client.rpush(Q, wire("before"))
    subscriber.wait_for("before")
    before = peak(subscriber.pid)

    # When another program pushes a payload of many MiB
    client.rpush(Q, *map(wire, first), b"x" * size, wire("after"))

    # Then the message is handled, and the payload is dead
    subscriber.wait_for("after")
    subscriber.wait_for("MAX_MESSAGE_BYTES")
    subscriber.wait_for("more dead")
    assert peak(subscriber.pid) - before < 16 * MIB
    connection = Connection(server.url)
    connection.connect()
    (dead_letter,) = DeadLetters(connection, PATTERNS["reliable"], Q).all()
    connection.close()
    assert dead_letter.reason == "unreadable"
    assert len(dead_letter.payload) == size
    assert "MAX_MESSAGE_BYTES" in dead_letter.error
    assert leftovers(client) == [keys.of(Q).dead.encode()]
