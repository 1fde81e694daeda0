"""What is written can be read, here and in every other language."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from townpost.errors import UnreadableError
from townpost.message import Message, read

SMALLEST: dict[str, JsonValue] = {
    "id": "8d5e7f0a-0000-4000-8000-000000000001",
    "timestamp": "2025-03-29T08:32:00Z",
    "message": "Hello",
    "sender": "python-publisher",
    "count": 1,
}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
json_objects = st.dictionaries(st.text(), json_values)
messages = st.builds(
    Message.create,
    st.text(),
    sender=st.text(),
    count=st.integers(1, 2**63 - 1),
    epoch=st.none() | st.text(min_size=1, max_size=64),
    priority=st.none() | st.integers(0, 9),
    data=st.none() | json_objects,
)


def wire(**changes: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(SMALLEST | changes).encode()


@given(messages)
def test_what_is_encoded_reads_as_the_same_message(message: Message) -> None:
    again = read(message.encode())

    assert again == message
    assert again.encode() == message.encode()  # 1, 1.0 and true are equal in Python, and not on the wire


def test_the_smallest_message_is_five_fields() -> None:
    message = Message.create("Hello")

    assert list(json.loads(message.encode())) == list(SMALLEST)


def test_optional_fields_are_written_when_set() -> None:
    message = Message.create("Hello", epoch="e1", priority=0, data={})

    written = json.loads(message.encode())

    assert {name: written[name] for name in written.keys() - SMALLEST.keys()} == {
        "epoch": "e1",
        "priority": 0,
        "data": {},
    }


def test_nulls_inside_data_survive() -> None:
    message = Message.create("Hello", data={"a": None, "b": [None, {"c": None}]})

    assert json.loads(message.encode())["data"] == {"a": None, "b": [None, {"c": None}]}


def test_every_message_has_an_id_of_its_own() -> None:
    assert Message.create("Hello").id != Message.create("Hello").id


@given(messages)
def test_timestamps_are_written_in_utc_with_z(message: Message) -> None:
    written = json.loads(message.encode())["timestamp"]

    assert RFC_3339_UTC.fullmatch(written)
    assert datetime.fromisoformat(written) == message.timestamp


def test_a_timestamp_read_with_an_offset_is_written_in_utc_with_z() -> None:
    message = read(wire(timestamp="2025-03-29T10:32:00+02:00"))

    assert json.loads(message.encode())["timestamp"] == "2025-03-29T08:32:00Z"


def test_a_timestamp_with_an_offset_keeps_its_moment() -> None:
    message = read(wire(timestamp="2025-03-29T10:32:00+02:00"))

    assert message.timestamp == datetime(2025, 3, 29, 8, 32, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1970, 1, 1)))  # noqa: DTZ001 - naive is the point
def test_a_naive_timestamp_is_read_as_utc(naive: datetime) -> None:
    message = read(wire(timestamp=naive.isoformat()))

    assert message.timestamp == naive.replace(tzinfo=UTC)
    assert message.timestamp.utcoffset() == timedelta(0)


@given(st.dictionaries(st.text().filter(lambda name: name not in Message.model_fields), json_values))
def test_unknown_fields_are_ignored(unknown: dict[str, JsonValue]) -> None:
    assert read(wire(**unknown)) == read(wire())


@pytest.mark.parametrize("field", ["epoch", "priority", "data", "traceparent"])
def test_null_in_an_optional_field_counts_as_unset(field: str) -> None:
    assert read(wire(**{field: None})) == read(wire())


@pytest.mark.parametrize("priority", [0, 9])
def test_priorities_from_0_to_9_are_read(priority: int) -> None:
    assert read(wire(priority=priority)).priority == priority


@pytest.mark.parametrize("priority", [-1, 10, 1.0, "1", True])
def test_other_priorities_are_not(priority: object) -> None:
    with pytest.raises(UnreadableError, match="priority"):
        read(wire(priority=priority))


def test_trace_context_is_read_and_written() -> None:
    message = read(wire(traceparent=TRACEPARENT))

    assert json.loads(message.encode())["traceparent"] == TRACEPARENT


@pytest.mark.parametrize(
    "traceparent",
    ["", "00", TRACEPARENT.upper(), TRACEPARENT + "\n", " " + TRACEPARENT, TRACEPARENT + "-00"],
    ids=["empty", "version only", "upper case", "line end", "space", "a part too many"],
)
def test_what_is_not_trace_context_is_not_read(traceparent: str) -> None:
    with pytest.raises(UnreadableError, match="traceparent"):
        read(wire(traceparent=traceparent))


@pytest.mark.parametrize(
    "values",
    [{"count": 0}, {"priority": 10}, {"epoch": ""}, {"data": {"a": float("nan")}}, {"data": {"a": (1, 2)}}],
    ids=["count 0", "priority 10", "empty epoch", "NaN", "tuple"],
)
def test_nothing_outside_the_schema_is_created(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Message.create("Hello", **values)


def test_a_message_cannot_be_changed() -> None:
    message = Message.create("Hello")

    with pytest.raises(ValidationError, match="frozen"):
        message.count = 2  # type: ignore[misc]  # mypy says so too


@pytest.mark.parametrize(
    "values",
    [
        {"text": "\ud800"},
        {"text": "Hello", "sender": "\ud800"},
        {"text": "Hello", "epoch": "\ud800"},
        {"text": "Hello", "data": {"a": "\ud800"}},
        {"text": "Hello", "data": {"\ud800": 1}},
    ],
    ids=["text", "sender", "epoch", "value in data", "key in data"],
)
def test_half_a_surrogate_pair_is_refused_before_it_is_sent(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"surrogates|unicode"):
        Message.create(**values).encode()


def _nested(levels: int, kind: type[dict[str, JsonValue]] | type[list[JsonValue]]) -> dict[str, JsonValue]:
    """An object that is so many levels deep, the first being itself."""
    inner: JsonValue = kind()
    for _ in range(levels - 2):
        inner = {"a": inner} if kind is dict else [inner]
    return {"a": inner}


@pytest.mark.parametrize("kind", [dict, list])
def test_data_of_128_levels_is_created_and_read(kind: type[Any]) -> None:
    data = _nested(128, kind)

    assert read(Message.create("deep", data=data).encode()).data == data


@pytest.mark.parametrize("kind", [dict, list])
def test_data_of_129_levels_is_neither_created_nor_read(kind: type[Any]) -> None:
    data = _nested(129, kind)

    with pytest.raises(UnreadableError, match="nested deeper than 128 levels"):
        read(wire(data=data))
    with pytest.raises(ValidationError, match="nested deeper than 128 levels"):
        Message.create("deep", data=data)


def test_a_message_is_made_with_what_is_given_and_numbered_by_its_maker_or_later() -> None:
    number = uuid4()

    plain = Message.create("x")
    given = Message.create("x", id=number, count=4, key="customer 7")

    assert (plain.sender, plain.count, plain.numbered) == ("python-publisher", 1, False)
    assert (given.id, given.count, given.key, given.numbered) == (number, 4, "customer 7", True)
    assert Message.create("x", epoch="e").numbered


def test_the_time_of_a_message_is_now_in_utc() -> None:
    assert abs(Message.create("x").timestamp - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_number_is_given_and_taken_back() -> None:
    message = Message.create("x")

    message.set_number(3, "e1")
    assert (message.count, message.epoch, message.numbered) == (3, "e1", True)
    assert json.loads(message.encode())["epoch"] == "e1"

    message.clear_number()
    assert (message.count, message.epoch, message.numbered) == (1, None, False)
    assert "epoch" not in message.model_fields_set


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (wire(count="5"), "count: should be a valid integer"),
        (wire(count="5", sender=None), "sender: should be a valid string; count: should be a valid integer"),
        (wire(data={"a": 1e999}), "data: NaN and Infinity are not JSON"),
        (b"{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (wire(timestamp="0001-01-01T00:00:00+14:00"), "timestamp: out of range in UTC"),
    ],
    ids=["a field", "two fields", "a value", "no JSON", "a time"],
)
def test_what_cannot_be_read_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(raw)

    assert str(caught.value) == why
