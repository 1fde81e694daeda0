"""What a page may ask for beyond the snapshot, and the answers: see the list in dashboard/schemas/__init__.py."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

__all__ = [
    "MAX_BURST",
    "Choice",
    "DeadLetter",
    "DeadPage",
    "Done",
    "Edit",
    "InFlight",
    "InFlightPage",
    "Login",
    "Members",
    "Publish",
    "Published",
    "Reason",
    "ScheduledMessage",
    "ScheduledPage",
    "Went",
]

MAX_BURST = 10_000

Reason = Literal["failed", "crashed", "unreadable"]
DeadLetterId = Annotated[str, Field(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Login(_Asked):
    token: Annotated[str, Field(max_length=1024)]


class Choice(_Asked):
    """Exactly one of them."""

    ids: Annotated[list[DeadLetterId], Field(min_length=1, max_length=1000)] | None = None
    reason: Annotated[str, Field(max_length=100)] | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Choice":
        if sum(value is not None for value in (self.ids, self.reason, self.all)) != 1:
            raise ValueError("give ids, reason or all, one of them")
        return self


class Done(BaseModel):
    done: int
    """How many there still were."""
    said: str
    """The same in words."""


class Edit(_Asked):
    """The whole message as it is to be; it must be one (see docs/message.schema.json)."""

    payload: Annotated[str, Field(max_length=16 * 1024 * 1024)]


class DeadLetter(BaseModel):
    """In a list the payload is cut to 200 characters and history is empty; alone it has up to MAX_MESSAGE_BYTES."""

    id: str
    at: float
    reason: str
    error: str
    attempts: int
    crashes: int
    by: str
    message_id: str
    """Empty if it cannot be read."""
    sender: str
    payload: str
    size: int
    truncated: bool
    history: list[dict[str, JsonValue]]


class DeadPage(BaseModel):
    dead_letters: list[DeadLetter]
    """Oldest first."""
    total: int
    """All there are, whatever the reason."""
    next: str | None
    """For ?after=; None: this was the last page."""


class ScheduledMessage(BaseModel):
    member: str
    """Names it in `Members`; empty where nothing can be done with it."""
    due: float
    priority: int
    attempts: int | None
    """Failed so often; 0: it was delayed by its sender."""
    message_id: str
    sender: str
    payload: str
    size: int
    truncated: bool


class ScheduledPage(BaseModel):
    messages: list[ScheduledMessage]
    """Soonest first."""
    total: int


class Members(_Asked):
    members: Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=1000)]


class InFlight(BaseModel):
    """A claim (reliable) or an entry (stream) that a consumer has not answered yet."""

    id: str
    consumer: str
    messages: int
    until: float | None
    """When its lease runs out; on the stream None."""
    idle: float | None
    """Seconds since it was handed out or renewed (stream)."""
    attempts: int | None
    payload: str
    """The first of its messages, cut short."""


class InFlightPage(BaseModel):
    messages: list[InFlight]
    total: int


class Publish(_Asked):
    """One message, or with `count` a burst of them over `seconds`; #N in the text becomes its number."""

    pattern: Annotated[str, Field(max_length=100)]
    text: Annotated[str, Field(max_length=1024 * 1024)]
    sender: Annotated[str, Field(min_length=1, max_length=100)] = "dashboard"
    priority: Annotated[int, Field(ge=0, le=9)] | None = None
    delay: Annotated[float, Field(ge=0, le=315_360_000, strict=False)] | None = None
    data: dict[str, JsonValue] | None = None
    count: Annotated[int, Field(ge=1, le=MAX_BURST)] = 1
    seconds: Annotated[float, Field(ge=0, le=600, strict=False)] = 0
    """0: in small portions as fast as it goes without holding up others."""


class Went(BaseModel):
    """Where it went on one pattern."""

    pattern: str
    sent: int
    unheard: int
    said: str
    """As Redis answered, e.g. channel 'messages': 2 receivers."""
    warning: str


class Published(BaseModel):
    number: int
    """Of the burst, for /api/bursts/{number}."""
    ids: list[str]
    """Of the first ten messages."""
    asked: int
    sent: int
    finished: bool
    went: list[Went]
    problem: str
    """Why it ended early; empty: it did not."""
