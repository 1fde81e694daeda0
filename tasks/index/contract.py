"""What a search index does, whichever it is: takes changes in bulk, finds tasks, knows how far it got."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from tasks.task import Change, Moment, Priority, Task, Text
from townpost import TownpostError

__all__ = ["Criteria", "Hits", "Index", "IndexUnavailableError", "Range"]


class IndexUnavailableError(TownpostError):
    """The index did not answer, or did not accept: nothing may be called saved. Trying again later may help."""


def _number(value: object) -> object:
    if isinstance(value, bool | str):  # which pydantic would take
        raise ValueError("a whole number")  # noqa: TRY004 - pydantic wants a ValueError
    return value


_Number = BeforeValidator(_number)  # not StrictInt: JSON Schema takes 5.0 for a whole number


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Closed):
    """Both ends belong to it; without either, any task that has such a date."""

    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError("until is before since")
        return self


class Criteria(_Closed):
    """All that are given must hold; none given finds every task."""

    text: Annotated[
        Text,
        Field(
            max_length=1_000,
            description="Words of the description, sub-tasks or categories; all must occur, in any order. "
            "No character has a meaning of its own.",
        ),
    ] = ""
    priority: Priority | None = None
    is_done: StrictBool | None = None
    start: Range | None = None
    due: Range | None = None
    limit: Annotated[int, Field(ge=1, le=100), _Number] = 20
    offset: Annotated[int, Field(ge=0, le=9_900), _Number] = 0


@dataclass(frozen=True, slots=True)
class Hits:
    total: int
    """Of all that match, of which ``tasks`` are those from the offset up to the limit."""
    tasks: Sequence[Task]
    """Best first where there is a text; the newest creation first otherwise. The id decides between equals."""


class Index(Protocol):
    """`search` may be called by many threads at once; the rest by one."""

    def open(self) -> None:
        """Connect, and make or check what it is kept in.

        Raises:
            SettingError: INDEX_URL names something that can never be an index.
            IndexUnavailableError: no server answers there now.
        """
        ...

    def apply(self, changes: Sequence[Change]) -> int:
        """Take the newer of what is there and what is given, task by task, tombstones included.

        When it returns, all of them are accepted; how many made a difference is what it returns.

        Raises:
            IndexUnavailableError: some may have been accepted; giving all of them again does no harm.
        """
        ...

    def search(self, criteria: Criteria) -> Hits:
        """Raises IndexUnavailableError."""
        ...

    def cursor(self) -> int:
        """The number up to which every change is applied, as `move` said it; 0 at first.

        Raises:
            IndexUnavailableError
        """
        ...

    def move(self, cursor: int) -> None:
        """Remember it, as durably as the tasks themselves.

        Raises:
            IndexUnavailableError
        """
        ...

    def close(self) -> None: ...
