"""What is not a message is refused with a reason of one line, and with no other error ever."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from townpost.errors import UnreadableError
from townpost.message import MAX_MESSAGE_BYTES, Message, read

SMALLEST: dict[str, JsonValue] = {
    "id": "8d5e7f0a-0000-4000-8000-000000000001",
    "timestamp": "2025-03-29T08:32:00Z",
    "message": "Hello",
    "sender": "python-publisher",
    "count": 1,
}
FIELDS = [*SMALLEST, "epoch", "priority", "data", "traceparent"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def wire(**changes: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(SMALLEST | changes).encode()


def wire_raw(field: str, raw: bytes) -> bytes:
    """The smallest message with a field of exactly these bytes."""
    rest = {name: value for name, value in SMALLEST.items() if name != field}
    return b'{"%s":%s,%s' % (field.encode(), raw, json.dumps(rest).encode()[1:])


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in SMALLEST.items() if name != field}).encode()


UNREADABLE = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"Hello",
    "cut short": wire()[:-1],
    "two messages": wire() + wire(),
    "array": b"[" + wire() + b"]",
    "null": b"null",
    "string": b'"Hello"',
    "number": b"1",
    "empty object": b"{}",
    "byte order mark": b"\xef\xbb\xbf" + wire(),
    "UTF-16": wire().decode().encode("utf-16"),
    "invalid UTF-8": wire_raw("message", b'"\xff"'),
    "overlong UTF-8": wire_raw("message", b'"\xc0\xaf"'),
    "half a surrogate pair": wire_raw("message", rb'"\ud800"'),
    "half a surrogate pair in a key": wire_raw("data", rb'{"\ud800":1}'),
    "deeply nested arrays": b"[" * 100_000,
    "deeply nested objects": b'{"a":' * 100_000,
    "deeply nested data": wire_raw("data", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deeply nested unknown field": wire_raw("unknown", b"[" * 100_000 + b"]" * 100_000),
    "count as string": wire(count="5"),
    "count as float": wire(count=1.0),
    "count as boolean": wire(count=True),
    "count null": wire(count=None),
    "count 0": wire(count=0),
    "count -1": wire(count=-1),
    "count over 64 bits": wire(count=2**63),
    "count of 60 digits": wire(count=10**60),
    "count of 5,000 digits": wire_raw("count", b"1" * 5000),
    "count NaN": wire(count=float("nan")),
    "count Infinity": wire(count=float("inf")),
    "id malformed": wire(id="8d5e7f0a"),
    "id a number": wire(id=1),
    "id a line end": wire(id="\n"),
    "id a terminal code": wire(id="\x1b[31m"),
    "timestamp a number": wire(timestamp=1743237120),
    "timestamp a word": wire(timestamp="yesterday"),
    "timestamp of a 13th month": wire(timestamp="2025-13-29T08:32:00Z"),
    "message a number": wire(message=1),
    "message an object": wire(message={}),
    "sender null": wire(sender=None),
    "epoch empty": wire(epoch=""),
    "epoch too long": wire(epoch="e" * 65),
    "data an array": wire(data=[]),
    "data a string": wire(data="{}"),
    "NaN in data": wire(data={"a": float("nan")}),
    "Infinity in data": wire(data={"a": float("inf")}),
    "-Infinity in data": wire(data={"a": float("-inf")}),
    "1e999 in data": wire_raw("data", b'{"a":1e999}'),
    "NaN deeper in data": wire(data={"a": [{"b": [1, float("nan")]}]}),
    "1e999 deeper in data": wire_raw("data", b'{"a":[{"b":[1,-1e999]}]}'),
    **{f"no {field}": without(field) for field in SMALLEST},
}


def assert_is_one_line(error: UnreadableError) -> None:
    assert str(error).strip()
    assert str(error).isprintable()


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_it_is_unreadable_with_a_reason_of_one_line(raw: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(raw)

    assert_is_one_line(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("field", SMALLEST)
def test_the_reason_names_the_missing_field(field: str) -> None:
    with pytest.raises(UnreadableError, match=field):
        read(without(field))


def test_the_reason_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(UnreadableError) as caught:
        read(wire(count="hunter2"))

    assert "hunter2" not in str(caught.value)


def test_exactly_the_limit_is_read() -> None:
    raw = wire(message="x" * (MAX_MESSAGE_BYTES - len(wire(message=""))))

    assert len(raw) == MAX_MESSAGE_BYTES
    assert len(read(raw).message) > 0


def test_one_byte_over_the_limit_is_not() -> None:
    raw = wire(message="x" * (MAX_MESSAGE_BYTES - len(wire(message="")) + 1))

    with pytest.raises(UnreadableError, match=r"1,048,577 bytes.*MAX_MESSAGE_BYTES"):
        read(raw)


def test_the_limit_can_be_set() -> None:
    raw = wire()

    assert read(raw, max_bytes=len(raw)).message == "Hello"
    with pytest.raises(UnreadableError, match="MAX_MESSAGE_BYTES"):
        read(raw, max_bytes=len(raw) - 1)


def read_or_reason(raw: bytes) -> Message | None:
    try:
        return read(raw)
    except UnreadableError as error:
        assert_is_one_line(error)
        return None


@given(st.binary())
@example(b"\x00")
def test_arbitrary_bytes_raise_nothing_else(raw: bytes) -> None:
    read_or_reason(raw)


@given(before=st.integers(0, len(wire())), cut=st.integers(0, 20), noise=st.binary(max_size=20))
def test_a_damaged_message_raises_nothing_else(before: int, cut: int, noise: bytes) -> None:
    whole = wire()

    read_or_reason(whole[:before] + noise + whole[before + cut :])


@given(field=st.sampled_from(FIELDS), value=json_values)
def test_any_json_in_any_field_raises_nothing_else(field: str, value: JsonValue) -> None:
    message = read_or_reason(wire(**{field: value}))

    if message is not None:  # then it can be passed on
        assert read(message.encode()) == message
