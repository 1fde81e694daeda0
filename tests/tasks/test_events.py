"""An event survives the way through a message, and nothing else passes for one."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from tasks.events import Event, event_in
from tasks.settings import TasksSettings
from tasks.task import LARGEST_EVENT_BYTES, Change, Dates, SubTask, Task, TaskIn
from townpost.errors import UnreadableError
from townpost.message import MAX_MESSAGE_BYTES, Message, read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=50)
_moment = st.none() | st.datetimes(
    timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-7))),
    min_value=NOW.replace(year=2, tzinfo=None),
    max_value=NOW.replace(year=9998, tzinfo=None),
)


@st.composite
def _tasks(draw: st.DrawFn) -> Task:
    start, due = draw(_moment), draw(_moment)
    if start is not None and due is not None and due < start:
        start, due = due, start
    return Task(
        description=draw(_text),
        priority=draw(st.sampled_from(["none", "low", "medium", "high"])),
        dates=Dates(start=start, due=due),
        is_done=draw(st.booleans()),
        categories=draw(st.lists(_text, max_size=3)),
        sub_tasks=draw(st.lists(st.builds(SubTask, description=_text, is_done=st.booleans()), max_size=3)),
        id=draw(st.uuids()),
        version=draw(st.integers(1, 10)),
        change=draw(st.integers(1, 2**63 - 1)),
        created_at=NOW,
        updated_at=NOW,
    )


def _task(**fields: object) -> Task:
    given = {"description": "x", "id": uuid4(), "version": 1, "change": 1, "created_at": NOW, "updated_at": NOW}
    return Task.model_validate(given | fields)


@given(_tasks(), st.sampled_from(["created", "updated"]))
def test_an_event_arrives_as_it_was_sent(task: Task, kind: str) -> None:
    event = Event.model_validate({"event": kind, **dict(Change.to(task))})

    message = read(event.message().encode())

    assert event_in(message) == event
    assert (message.sender, message.count) == ("tasks-api", task.change)


def test_a_deletion_arrives_without_a_task() -> None:
    event = Event(event="deleted", id=uuid4(), version=3, change=7)

    message = read(event.message().encode())

    assert event_in(message) == event
    assert message.data == {"event": "deleted", "id": str(event.id), "version": 3, "change": 7}


def test_the_trace_travels_in_the_message() -> None:
    trace = f"00-{1:032x}-{2:016x}-01"

    message = Event(event="deleted", id=uuid4(), version=1, change=1).message(trace)

    assert read(message.encode()).traceparent == trace


ID = str(UUID(int=1))
TASK = _task(id=UUID(int=1)).model_dump(mode="json")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "no data"),
        ({}, "id: Field required"),
        ({"event": "renamed", "id": ID, "version": 1, "change": 1, "task": TASK}, "event"),
        ({"event": "created", "id": ID, "version": 1, "change": 1}, "a task belongs to created"),
        ({"event": "deleted", "id": ID, "version": 1, "change": 1, "task": TASK}, "a task belongs to created"),
        ({"event": "updated", "id": str(UUID(int=2)), "version": 1, "change": 1, "task": TASK}, "another"),
        ({"event": "updated", "id": ID, "version": 2, "change": 1, "task": TASK}, "another"),
        ({"event": "deleted", "id": "nobody", "version": 1, "change": 1}, "id"),
        ({"event": "deleted", "id": ID, "version": 0, "change": 1}, "version"),
        ({"event": "deleted", "id": ID, "version": 1, "change": 1, "\x1b[31m": 1}, r"\\x1b\[31m"),
    ],
)
def test_what_is_no_event_says_why(data: dict[str, JsonValue] | None, why: str) -> None:
    message = Message.create("x", data=data)

    with pytest.raises(UnreadableError, match=f"no event of a task: .*{why}"):
        event_in(message)


def test_the_largest_task_makes_an_event_that_can_be_sent() -> None:
    # Given a task at all its bounds, of characters that JSON writes as six bytes each
    worst = "\x01"
    task = _task(
        description=worst * 10_000,
        categories=[worst * 100] * 50,
        sub_tasks=[{"description": worst * 1_000}] * 100,
        version=2**31,
        change=2**63 - 1,
    )

    message = Event(event="created", **dict(Change.to(task))).message()

    assert len(message.encode()) < LARGEST_EVENT_BYTES == TasksSettings().max_message_bytes == MAX_MESSAGE_BYTES


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([*TaskIn.model_fields, "start", "due", "x"]), inner)
        ),
    )
)
def test_whatever_is_given_is_a_task_or_refused(value: object) -> None:
    try:
        task = TaskIn.model_validate(value)
    except ValidationError:
        return
    assert TaskIn.model_validate_json(task.model_dump_json()) == task
