"""A script that Redis refuses half-way loses nothing: what a hostile review proved once."""

import time
from collections.abc import Iterator

import pytest
import redis
import reliable_driver
from driver import messages
from reliable_driver import Consumer, MakeConsumer, Q, dead_letters, leftovers

from lab.server import Server
from townpost import keys
from townpost.errors import RefusedError, WrongTypeError
from townpost.patterns.reliable.claims import Claim
from townpost.publishing.publisher import Publisher
from townpost.verdicts import Reject

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


@pytest.fixture
def guest_url(server: Server, client: redis.Redis) -> Iterator[str]:
    """A user whose rights a test takes away."""
    client.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "+@all", "~*", "&*")
    yield f"redis://guest:any@127.0.0.1:{server.port}"
    client.execute_command("ACL", "DELUSER", "guest")


@pytest.mark.parametrize("right", ["rpush", "ltrim", "zadd", "zrange", "lrange"])
def test_a_claim_without_a_right_loses_nothing(
    guest_url: str, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, right: str
) -> None:
    # Given messages in the list, urgent ones, one that is due, and one on its way
    publisher.send(messages("a", "b"))
    publisher.send(messages("urgent", priority=5))
    publisher.send(messages("due"), delay=0.01)
    client.lmove(Q, keys.of(Q).handoff, "LEFT", "RIGHT")
    client.execute_command("ACL", "SETUSER", "guest", f"-{right}")

    # When a consumer without a right tries again and again
    one = consumer(guest_url)
    time.sleep(0.02)
    for _ in range(3):
        with pytest.raises(RefusedError):
            one.listener.take(10)

    # Then one with all rights gets everything
    heard = consumer().drain(seconds=1)
    assert set(heard) == {"a", "b", "urgent", "due"}
    # what was copied and could not be taken away is there twice, at worst, and then blamed for claims nobody handled
    assert set(leftovers(client)) <= {keys.of(Q).dead.encode()}


def test_a_key_of_another_type_loses_nothing(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    one = consumer()
    publisher.send(messages("due"), delay=0.01)
    client.set(Q, "a string")
    time.sleep(0.02)

    for _ in range(3):
        with pytest.raises(WrongTypeError):
            one.listener.take(10)
    client.delete(Q)

    assert one.handle() == ["due"]


def test_a_refused_settlement_can_be_done_again_and_strands_nobody(
    guest_url: str, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a message that is to die, while nothing may be written to the dead letters
    client.execute_command("ACL", "SETUSER", "guest", "-xadd")
    publisher.send(messages("bad", "next"))
    one = consumer(guest_url, max_attempts=1, max_crashes=1, lease_seconds=2)
    batch = one.take(1)
    for delivery in batch:
        delivery.fail(ValueError())
    one.listener.settle(batch)
    for _ in range(3):
        with pytest.raises(RefusedError):
            one.listener.take(1)

    # When that is mended
    client.execute_command("ACL", "SETUSER", "guest", "+xadd")

    # Then one is dead of its failure, once, and the other is handled
    assert one.drain(seconds=0.5) == ["next"]
    (dead_letter,) = dead_letters(one)
    assert (dead_letter.reason, dead_letter.attempts) == ("failed", 1)
    assert leftovers(client) == [keys.of(Q).dead.encode()]


def test_a_refused_recovery_can_be_done_again(
    guest_url: str, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    client.execute_command("ACL", "SETUSER", "guest", "-xadd")
    publisher.send(messages("fatal"))
    gone = consumer(lease_seconds=0.2)
    gone.take()
    gone.die()
    other: Consumer = consumer(guest_url, max_crashes=1)
    with pytest.raises(RefusedError):
        other.take(seconds=2)

    client.execute_command("ACL", "SETUSER", "guest", "+xadd")
    other.take(seconds=0.5)

    (dead_letter,) = dead_letters(other)
    assert dead_letter.reason == "crashed"
    assert leftovers(client) == [keys.of(Q).dead.encode()]


@pytest.mark.parametrize("rest", [0, 20])
def test_of_a_part_refused_half_way_nothing_but_its_messages_is_recovered(
    guest_url: str, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, rest: int
) -> None:
    # Given a batch of which one is at work, one is to die and one was not begun, while no dead letter may be written
    client.execute_command("ACL", "SETUSER", "guest", "-xadd")
    publisher.send(messages("at work", "bad", "not begun", *map(str, range(rest))))
    one = consumer(guest_url, lease_seconds=0.2)
    batch = one.take()
    assert isinstance(batch, Claim)
    batch.position = 2
    batch.answered(1, Reject("no"))
    part = batch.part(range(2, len(batch)), 16)
    assert part is not None

    # When what is answered is refused half-way, and its consumer dies
    one.listener._pipeline.unconfirmed.append(part)
    with pytest.raises(RefusedError):
        one.listener._pipeline.exchange([])
    assert client.lrange(batch.name, -1, -1) == [batch.name.encode()]
    one.die()

    # Then others get each message, and nothing else
    other = consumer()
    assert sorted(other.drain(seconds=1)) == sorted(["at work", "bad", "not begun", *map(str, range(rest))])
    assert dead_letters(other) == []
    assert client.hgetall(keys.of(Q).crashes) == {}


def test_an_error_that_cannot_be_told_is_a_failure_like_any_other(consumer: MakeConsumer, publisher: Publisher) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    batch = one.take()
    for delivery in batch:
        delivery.fail(MuteError())
    one.flush(batch)

    (dead_letter,) = dead_letters(one)
    assert dead_letter.error == "MuteError: (its text cannot be had: RuntimeError)"


def test_what_was_answered_in_time_is_not_called_stalled(consumer: MakeConsumer, publisher: Publisher) -> None:
    # Given a batch that was answered, and whose settlement has to wait for long
    publisher.send(messages("done"))
    one, other = consumer(handler_timeout=0.1), consumer()
    batch = one.take()
    for delivery in batch:
        delivery.ack()
    one.listener.settle(batch)

    assert other.take(seconds=1).payloads == []
    one.listener._pipeline.exchange([])
    assert one.counts.late == 0
