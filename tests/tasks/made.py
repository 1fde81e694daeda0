"""Tasks and their changes, as tests want them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tasks.task import Change, Task

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def task(description: str = "buy milk", *, version: int = 1, change: int = 1, **fields: Any) -> Task:  # noqa: ANN401 - of several types, validated where they go
    """With an id of its own unless one is given; created so many seconds after noon as its change says."""
    return Task.model_validate(
        {
            "id": uuid4(),
            "description": description,
            "version": version,
            "change": change,
            "created_at": NOON + timedelta(seconds=change),
            "updated_at": NOON + timedelta(seconds=change),
        }
        | fields
    )


def put(description: str = "buy milk", **fields: Any) -> Change:  # noqa: ANN401 - of several types, validated where they go
    return Change.to(task(description, **fields))


def deleted(task_id: UUID, *, version: int, change: int = 1) -> Change:
    return Change(id=task_id, version=version, change=change)
