"""Where the publisher's messages come from."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.cli.publish.sources import Numbering, first, texts
from townpost.errors import UnreadableError
from townpost.message import Message

MAX_BYTES = 1000


def flat(source: Iterable[list[Message]]) -> list[Message]:
    return list(itertools.chain.from_iterable(source))


@pytest.fixture
def numbering() -> Numbering:
    return Numbering("me")


def test_a_run_numbers_its_messages_from_one(numbering: Numbering) -> None:
    messages = [numbering.make("Hello #N, #N") for _ in range(3)]

    assert [message.count for message in messages] == [1, 2, 3]
    assert messages[2].message == "Hello #3, #3"
    assert {message.sender for message in messages} == {"me"}
    assert len({message.epoch for message in messages}) == 1


def test_two_runs_have_two_epochs() -> None:
    assert Numbering("me").make("a").epoch != Numbering("me").make("a").epoch


@given(count=st.integers(1, 30), size=st.integers(1, 10))
def test_texts_come_in_lists_until_the_count_is_full(count: int, size: int) -> None:
    lists = list(texts(Numbering("me"), "#N", count, size))

    assert [len(messages) for messages in lists[:-1]] == [size] * (len(lists) - 1)
    assert [message.count for message in flat(lists)] == list(range(1, count + 1))


def test_without_a_count_texts_have_no_end(numbering: Numbering) -> None:
    endless = texts(numbering, "#N", None, 2)

    assert [len(messages) for messages in itertools.islice(endless, 100)] == [2] * 100


@given(count=st.integers(1, 30), size=st.integers(1, 10))
def test_first_takes_so_many_and_no_more(count: int, size: int) -> None:
    endless = texts(Numbering("me"), "#N", None, size)

    assert [message.count for message in flat(first(endless, count))] == list(range(1, count + 1))


def test_first_does_not_wait_for_what_it_does_not_need(numbering: Numbering) -> None:
    def source() -> Iterator[list[Message]]:
        yield [numbering.make("a"), numbering.make("b")]
        pytest.fail("asked for more")

    assert len(flat(first(source(), 2))) == 2


def test_first_of_a_short_source_is_all_of_it(numbering: Numbering) -> None:
    assert len(flat(first(texts(numbering, "a", 3, 2), 10))) == 3


def test_a_string_is_a_text(numbering: Numbering) -> None:
    message = numbering.complete(b'"Hello #N"', MAX_BYTES)

    assert (message.message, message.sender, message.count) == ("Hello #N", "me", 1)


def test_a_whole_message_stays_as_it_is(numbering: Numbering) -> None:
    whole = Message.create("Hello #N", sender="you", count=7, epoch="e1", priority=3, data={"a": None})

    assert numbering.complete(whole.encode(), MAX_BYTES) == whole


def test_what_an_object_leaves_out_is_filled_in(numbering: Numbering) -> None:
    message = numbering.complete(b'{"message": "Hello", "data": {"n": 1}}', MAX_BYTES)

    assert (message.message, message.data) == ("Hello", {"n": 1})
    assert (message.sender, message.count) == ("me", 1)
    assert message.epoch is not None


def test_a_count_of_its_own_takes_no_number_and_no_epoch_of_ours(numbering: Numbering) -> None:
    own = numbering.complete(b'{"message": "Hello", "count": 7}', MAX_BYTES)

    assert (own.count, own.epoch) == (7, None)
    assert numbering.make("next").count == 1


BAD_LINES = {
    "not JSON": b"Hello",
    "a number": b"1",
    "null": b"null",
    "an array": b'["Hello"]',
    "no text": b"{}",
    "text a number": b'{"message": 5}',
    "count a string": b'{"message": "a", "count": "1"}',
    "NaN in data": b'{"message": "a", "data": {"a": NaN}}',
    "1e999 in data": b'{"message": "a", "data": {"a": 1e999}}',
    "invalid UTF-8": b'"\xff"',
    "half a surrogate pair": rb'"\ud800"',
    "deeply nested": b"[" * (MAX_BYTES - 1),
    "too long": b'"%s"' % (b"x" * MAX_BYTES),
    "too long once it is a message": b'"%s"' % (b"x" * (MAX_BYTES - 2)),
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_what_is_no_message_is_unreadable_in_one_line(numbering: Numbering, line: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        numbering.complete(line, MAX_BYTES)

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_what_is_no_message_takes_no_number(numbering: Numbering, line: bytes) -> None:
    with pytest.raises(UnreadableError):
        numbering.complete(line, MAX_BYTES)

    assert numbering.make("next").count == 1
