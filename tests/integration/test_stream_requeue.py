"""A dead letter of a stream goes back to the group it died in, and to no other."""

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import Consumer, MakeConsumer, S, ids, pending, text_of

from townpost import keys
from townpost.patterns.dead_letters import DeadLetters
from townpost.publishing.publisher import Publisher

consumer = stream_driver.consumer
publisher = stream_driver.publisher
dead = stream_driver.dead


@pytest.fixture
def groups(consumer: MakeConsumer, publisher: Publisher) -> tuple[Consumer, Consumer]:
    """Two groups that have had a message; it died in the first."""
    mail, bills = (consumer(consumer_group=name, max_attempts=1) for name in ("mail", "bills"))
    publisher.send(messages("a"))
    assert mail.fail(ValueError("first")) == 1
    assert bills.handle() == ["a"]
    return mail, bills


def requeue(dead: DeadLetters) -> int:
    return dead.requeue([dead_letter.id for dead_letter in dead.all()])


def test_it_goes_to_the_group_it_died_in(
    groups: tuple[Consumer, Consumer], dead: DeadLetters, client: redis.Redis
) -> None:
    mail, bills = groups

    assert requeue(dead) == 1

    assert mail.handle() == ["a"]
    assert bills.handle(seconds=0.5) == []
    assert pending(client, "mail") == 0
    assert client.xlen(S) == 1
    assert client.exists(keys.deaths(S, "mail"), keys.retries(S, "mail"), keys.of(S).dead) == 0


def test_it_keeps_its_history(groups: tuple[Consumer, Consumer], dead: DeadLetters) -> None:
    mail, _ = groups
    for error in ("second", "third"):
        requeue(dead)
        assert mail.fail(ValueError(error)) == 1

    (dead_letter,) = dead.all()
    assert dead_letter.error == "ValueError: third"
    assert [past["error"] for past in dead_letter.history] == ["ValueError: first", "ValueError: second"]


@pytest.mark.parametrize("how", ["trimmed", "edited"])
def test_when_its_entry_cannot_come_again_a_new_one_is_for_its_group_alone(
    groups: tuple[Consumer, Consumer], dead: DeadLetters, client: redis.Redis, how: str
) -> None:
    mail, bills = groups
    (dead_letter,) = dead.all()
    if how == "trimmed":
        client.xtrim(S, maxlen=0)
        assert requeue(dead) == 1
    else:
        assert dead.replace(dead_letter.id, dead_letter.payload.replace(b'"a"', b'"b"')) == 1

    assert bills.handle(seconds=0.5) == []
    assert pending(client, "bills") == 0
    assert mail.fail(ValueError("second")) == 1
    (again,) = dead.all()
    assert text_of(again) == ("a" if how == "trimmed" else "b")
    assert [past["error"] for past in again.history] == ["ValueError: first"]


def test_when_its_group_is_gone_it_goes_to_every_group_and_that_is_said(
    groups: tuple[Consumer, Consumer], dead: DeadLetters, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    _, bills = groups
    client.xgroup_destroy(S, "mail")

    assert requeue(dead) == 1

    assert bills.handle() == ["a"]
    assert "1 dead letters go to every group" in caplog.text
    assert "mail" in caplog.text


def test_a_dead_letter_of_an_older_version_goes_to_every_group(
    groups: tuple[Consumer, Consumer], dead: DeadLetters, client: redis.Redis
) -> None:
    mail, bills = groups
    (dead_letter,) = dead.all()
    client.delete(keys.of(S).dead)
    client.xadd(keys.of(S).dead, {"payload": dead_letter.payload, "reason": "failed", "history": "[]"})

    assert requeue(dead) == 1

    assert mail.handle() == bills.handle() == ["a"]


def test_the_same_entry_requeued_twice_comes_twice(
    groups: tuple[Consumer, Consumer], dead: DeadLetters, client: redis.Redis
) -> None:
    # Given two dead letters of one entry, as a copy of the dead letters would have them
    mail, bills = groups
    fields = client.xrange(keys.of(S).dead)[0][1]  # type: ignore[index]  # redis-py's annotations are narrower than what it takes
    client.xadd(keys.of(S).dead, fields)  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes

    assert requeue(dead) == 2

    assert mail.handle() + mail.handle() == ["a", "a"]
    assert bills.handle(seconds=0.5) == []


def test_more_than_a_page_of_dead_letters_is_requeued(
    consumer: MakeConsumer, publisher: Publisher, dead: DeadLetters, client: redis.Redis
) -> None:
    publisher.send(messages(*[str(n) for n in range(1_201)]))
    one = consumer(max_attempts=1, lease_seconds=30)
    while one.fail(ValueError(), seconds=0.3):
        pass
    assert len(dead.all()) == 1_201

    assert requeue(dead) == 1_201

    assert sorted(map(int, one.drain(seconds=0.5))) == list(range(1_201))
    assert pending(client) == 0
    assert len(ids(client)) == 1_201
