"""Urgent and delayed messages of the reliable queue come in their order and at their time."""

import time

import pytest
import reliable_driver
from driver import messages
from reliable_driver import MakeConsumer

from townpost.message import Message
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_urgent_messages_overtake_by_level_then_by_age(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("plain1", "plain2"))
    publisher.send(messages("low1", "low2", priority=1))
    publisher.send(messages("high1", "high2", priority=9))
    publisher.send(messages("zero", priority=0))

    assert consumer().drain(seconds=0.5) == ["high1", "high2", "low1", "low2", "plain1", "plain2", "zero"]


@pytest.mark.alone
def test_a_delayed_message_comes_when_it_is_due_and_not_before(consumer: MakeConsumer, publisher: Publisher) -> None:
    started = time.monotonic()
    publisher.send(messages("later"), delay=0.5)
    publisher.send(messages("now"))
    one = consumer()

    assert one.handle() == ["now"]
    assert one.handle() == ["later"]
    assert 0.45 < time.monotonic() - started < 1


def test_a_delayed_urgent_message_is_still_urgent_when_due(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("urgent", priority=5), delay=0.05)
    publisher.send(messages("plain"))
    time.sleep(0.1)  # until it is due: nothing else is waited for

    assert consumer().handle() == ["urgent", "plain"]


def test_equal_payloads_are_kept_apart_while_they_wait(consumer: MakeConsumer, publisher: Publisher) -> None:
    message = Message.create("twin", priority=3)
    publisher.send([message] * 3, delay=0.05)

    assert consumer().drain() == ["twin"] * 3
