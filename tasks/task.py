"""What a task is: as a customer writes it, as it is kept, and what became of it."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

__all__ = ["LARGEST_EVENT_BYTES", "Change", "Dates", "Moment", "Priority", "SubTask", "Task", "TaskIn", "Text"]

LARGEST_EVENT_BYTES = 1024 * 1024
"""No task within the bounds below makes a longer event, though each of its characters be written as six bytes."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc3339(value: object) -> object:
    # pydantic alone would take 5, "5" and "2026-01-01" as moments, too
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise ValueError("a moment with its offset, e.g. 2026-01-31T08:00:00Z")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its offset, e.g. Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range in UTC") from None


Moment: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_rfc3339),
    AfterValidator(_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T08:00:00Z"]}),
]
"""Written with its offset, kept in UTC."""

Text: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Without NUL, for which PostgreSQL has no place."""
Priority: TypeAlias = Literal["none", "low", "medium", "high"]
Label: TypeAlias = Annotated[Text, Field(min_length=1, max_length=100)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dates(_Closed):
    """When to begin, and when to be done."""

    start: Moment | None = None
    due: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start is not None and self.due is not None and self.due < self.start:
            raise ValueError("due is before start")
        return self


class SubTask(_Closed):
    description: Annotated[Text, Field(min_length=1, max_length=1_000)]
    is_done: StrictBool = False


class TaskIn(_Closed):
    """A task as a customer writes it."""

    description: Annotated[Text, Field(min_length=1, max_length=10_000)]
    priority: Priority = "none"
    dates: Dates = Dates()
    is_done: StrictBool = False
    categories: Annotated[list[Label], Field(max_length=50)] = []
    sub_tasks: Annotated[list[SubTask], Field(max_length=100)] = []


Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""As a database counts: an event may come from anybody."""


class Task(TaskIn):
    """A task as it is kept."""

    id: UUID
    version: Annotated[Number, Field(description="Of this task: 1 when created, one more with each change.")]
    change: Annotated[Number, Field(description="The number of its latest change among those of all tasks.")]
    created_at: Moment
    updated_at: Moment


class Change(_Closed):
    """The latest state of one task. The higher version wins, whatever the order of arrival."""

    id: UUID
    version: Number
    change: Annotated[Number, Field(description="Given in the order of the commits, without gaps.")]
    task: Annotated[Task | None, Field(description="None: it was deleted.")] = None

    @classmethod
    def to(cls, task: Task) -> Self:
        """The change that made this task what it is."""
        return cls(id=task.id, version=task.version, change=task.change, task=task)
