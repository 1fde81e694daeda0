"""What a channel says, and what it does not: confirmations, PONG, and frames that nobody should send."""

from collections.abc import Callable, Sequence

import hiredis
import pytest

from townpost.errors import RefusedError
from townpost.message import Message
from townpost.patterns.pubsub import PubsubSender, _channel, _payload
from townpost.redis.connection import Reply
from townpost.settings import Settings


@pytest.mark.parametrize(
    ("frame", "payload"),
    [
        ([b"message", b"news", b"hello"], b"hello"),
        ([b"pmessage", b"n*", b"news", b"hello"], b"hello"),
        ([b"subscribe", b"news", 1], None),
        ([b"message", b"news", 1], None),
        (b"PONG", None),
    ],
)
def test_only_messages_have_a_payload(frame: Reply, payload: bytes | None) -> None:
    assert _payload(frame) == payload


def test_a_refusal_is_raised() -> None:
    with pytest.raises(RefusedError):
        _payload(hiredis.ReplyError("NOPERM this user has no permissions"))


@pytest.mark.parametrize(
    ("frame", "channel"),
    [
        ([b"pmessage", b"n*", b"news", b"hello"], "news"),
        ([b"pmessage", b"n*", b"\xff", b"hello"], r"\xff"),
        ([b"pmessage", b"n*", 1, b"hello"], None),
        ([b"message", b"news", b"hello"], None),
        (b"PONG", None),
    ],
)
def test_only_messages_of_a_glob_name_their_channel(frame: Reply, channel: str | None) -> None:
    assert _channel(frame) == channel


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([2], "channel 'messages': 2 receivers"),
        ([1], "channel 'messages': 1 receiver"),
        ([1, 3], "channel 'messages': 1 to 3 receivers"),
        ([0], "channel 'messages': nobody is listening, it is gone"),
        ([0, 2], "channel 'messages': 1 had no receiver"),
    ],
)
def test_a_receipt_says_who_received_it(replies: Sequence[Reply], said: str) -> None:
    sender = PubsubSender(Settings.read())

    receipt = sender.receipt([], replies, [], len(replies))

    assert (receipt.said, receipt.unheard) == (said, replies.count(0))


def test_messages_of_a_routed_channel_go_each_to_its_own() -> None:
    class Routed(Settings):
        @property
        def route(self) -> Callable[[Message], str]:
            return lambda message: f"tasks.{message.type}"

    sender = PubsubSender(Routed.read())
    messages = [Message.create("x", type=kind) for kind in ("created", "deleted", "created")]

    commands = sender.commands(messages, [b"1", b"2", b"3"], None)

    assert commands == [
        ("PUBLISH", "tasks.created", b"1"),
        ("PUBLISH", "tasks.deleted", b"2"),
        ("PUBLISH", "tasks.created", b"3"),
    ]
    assert "channel 'tasks.created', 'tasks.deleted'" in sender.receipt(commands, [1, 1, 1], [], 3).said
