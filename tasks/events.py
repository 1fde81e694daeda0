"""The event of each change: converted to a message, and back.

On pub/sub each kind of event has its own channel, `tasks.event.created|updated|deleted`, so that one pattern
subscription (`tasks.*`) hears all of them; a list or a stream takes all of them in their order.

`count` of the message is the change's number, and `data` is
``{"event": "updated", "id": "...", "version": 2, "change": 7, "task": {...}}``, without a task when deleted.
Change numbers have no gaps: an event with the number after the last one heard says that none was missed.
"""

from typing import Any, Literal, Self, TypeAlias, get_args

from pydantic import ValidationError, model_validator

from tasks.task import Change
from townpost import Message, UnreadableError, printable

__all__ = ["KINDS", "SENDER", "Event", "Kind", "event_in", "kind_of"]

Kind: TypeAlias = Literal["created", "updated", "deleted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SENDER = "tasks-api"


class Event(Change):
    """A change, and what kind it was."""

    event: Kind

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.task is None) != (self.event == "deleted"):
            raise ValueError("a task belongs to created and updated, and only there")
        if self.task is not None and (self.task.id, self.task.version) != (self.id, self.version):
            raise ValueError("the task is another than the event's, or of another version")
        return self

    def message(self, traceparent: str | None = None) -> Message:
        """A new message that tells of it."""
        text = f"task {self.id} {self.event}, version {self.version}"
        data: dict[str, Any] = self.model_dump(mode="json", exclude_none=self.task is None)
        message = Message.create(text, sender=SENDER, count=self.change, data=data)
        return message if traceparent is None else message.model_copy(update={"traceparent": traceparent})


def event_in(message: Message) -> Event:
    """The event that a message tells of.

    Raises:
        UnreadableError: it tells of none; the text says why.
    """
    if message.data is None:
        raise UnreadableError("no event of a task: the message has no data")
    try:
        return Event.model_validate(message.data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, problem["loc"]))
        text = problem["msg"].removeprefix("Value error, ")
        raise UnreadableError(
            printable(f"no event of a task: {where}: {text}" if where else f"no event of a task: {text}")
        ) from None


def kind_of(message: Message) -> str:
    """The kind, without a look at the rest; for messages that this service made."""
    return str((message.data or {}).get("event"))
