"""Looks up how often the messages of a claim were tried before, for handlers that ask."""

from collections.abc import Mapping

from townpost.keys import QueueKeys
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.scripts import ATTEMPTS
from townpost.redis.connection import Connection

__all__ = ["find_attempts"]


def find_attempts(connection: Connection, keys: QueueKeys, claim: Claim) -> Mapping[int, int]:
    """The number of earlier attempts by position, without those never tried; one round trip."""
    names = [claim.name, keys.counted, keys.attempts, keys.crashes]
    reply = connection.call(*ATTEMPTS.command(names))
    numbers = [one for one in reply if isinstance(one, int)] if isinstance(reply, list) else []
    return dict(zip(numbers[::2], numbers[1::2], strict=False))
