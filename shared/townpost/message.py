"""The wire format: one JSON object in UTF-8, the same for every pattern and every language."""

import math
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import core_schema

from townpost.errors import UnreadableError
from townpost.text import printable

__all__ = ["MAX_MESSAGE_BYTES", "Message", "read", "too_long", "validate_json"]

MAX_MESSAGE_BYTES = 1024 * 1024

_MAX_DEPTH = 128
_TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)  # other Python producers send naive timestamps, and mean UTC
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range in UTC") from None


class _InUtc:
    """Takes only what has the offset zero already."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> core_schema.CoreSchema:
        return core_schema.datetime_schema(tz_constraint=0)


# The usual timestamp is in UTC. Only what is not pays for a call into Python, as the second branch of a union.
_Timestamp = Annotated[
    Annotated[datetime, _InUtc] | Annotated[datetime, AfterValidator(_as_utc)],
    Field(
        union_mode="left_to_right",
        description="When it was created, RFC 3339. Written in UTC with Z; one without an offset is read as UTC.",
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _portable(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what other languages, or our own reader, could not read back."""
    todo: list[tuple[JsonValue, int]] = [(data, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        if isinstance(value, dict):
            for key in value:
                key.encode()  # pydantic would write half a surrogate pair as three replacement characters
            todo.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            todo.extend((inner, depth + 1) for inner in value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("NaN and Infinity are not JSON")  # pydantic's parser takes them, and 1e999
    return data


class Message(BaseModel):
    """One message: five required fields, and six that are left out of the JSON when unset."""

    model_config = ConfigDict(
        strict=True,  # "5", 1.0 and true are not a count
        frozen=True,
        extra="ignore",  # versions meet
        title="Townpost message",
        json_schema_extra={"additionalProperties": True},
    )

    id: Annotated[UUID, Field(description="Unique per message; the key for deduplication.")]
    timestamp: _Timestamp
    message: Annotated[str, Field(description="The human-readable text.")]
    sender: Annotated[str, Field(description="Who sent it.")]
    count: Annotated[int, Field(ge=1, le=2**63 - 1, description="The sender's running number, from 1.")]
    epoch: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="One short id per run of the sender: (sender, epoch, count) has no gaps.",
        ),
    ] = None
    priority: Annotated[int | None, Field(ge=0, le=9, description="0 to 9, higher first.")] = None
    data: (
        Annotated[dict[str, JsonValue], AfterValidator(_portable), Field(description="Any JSON object: your payload.")]
        | None
    ) = None
    traceparent: Annotated[str | None, Field(pattern=_TRACEPARENT, description="W3C trace context.")] = None
    type: Annotated[
        str | None, Field(min_length=1, max_length=256, description="What kind of event, e.g. order.placed.")
    ] = None
    key: Annotated[
        str | None,
        Field(min_length=1, max_length=256, description="What must stay in order together, e.g. a customer's id."),
    ] = None

    @classmethod
    def create(
        cls,
        text: str,
        *,
        sender: str = "python-publisher",
        count: int | None = None,
        epoch: str | None = None,
        priority: int | None = None,
        data: dict[str, JsonValue] | None = None,
        type: str | None = None,  # noqa: A002 - the field's name
        key: str | None = None,
        id: UUID | None = None,  # noqa: A002 - the field's name
    ) -> Self:
        """A new message with an id of its own, stamped now.

        Args:
            text: for people.
            sender: who sends it.
            count: its running number; None leaves it to `Publisher.send`, which gives the epoch as well.
            epoch: one for each run of the sender.
            priority: 0 to 9, 9 is the most urgent.
            data: any JSON object.
            type: what kind of event it is: what handlers are chosen by.
            key: what must stay in order together.
            id: a business key of yours; None makes a new one.

        Raises:
            pydantic.ValidationError: a value is outside the schema.
        """
        message = cls.model_validate(
            {
                "id": uuid4() if id is None else id,
                "timestamp": datetime.now(UTC),
                "message": text,
                "sender": sender,
                "count": 1 if count is None else count,
                "epoch": epoch,
                "priority": priority,
                "data": data,
                "type": type,
                "key": key,
            }
        )
        if count is None and epoch is None:
            message.__pydantic_fields_set__.discard("count")
        return message

    @property
    def numbered(self) -> bool:
        """Whether it has its running number; `Publisher.send` gives one to a message that was made without."""
        return "count" in self.__pydantic_fields_set__

    def set_number(self, count: int, epoch: str) -> None:
        """Once, for a message that has none: the rest of it never changes."""
        self.__dict__.update(count=count, epoch=epoch)
        self.__pydantic_fields_set__.add("count")

    def clear_number(self) -> None:
        """It was not sent with the number that it got."""
        self.__pydantic_fields_set__ -= {"count", "epoch"}
        self.__dict__.update(count=1, epoch=None)

    def encode(self) -> bytes:
        """The bytes that go over the wire."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    def __repr__(self) -> str:
        return f"<Message {self.sender} #{self.count} {self.id}>"

    __str__ = __repr__


validate_json = Message.__pydantic_validator__.validate_json
"""Without a limit, and raising pydantic's own ValidationError: for loops over millions. `model_validate_json` costs
half as much again."""


def read(raw: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> Message:
    """The message in these bytes.

    Raises:
        UnreadableError: they are longer than ``max_bytes``, or not a message; the text says why.
    """
    if len(raw) > max_bytes:
        raise too_long(len(raw), max_bytes)
    try:
        return validate_json(raw)  # type: ignore[no-any-return]  # typed Any in pydantic
    except ValidationError as error:
        raise UnreadableError(_why(error)) from None


def too_long(size: int, max_bytes: int) -> UnreadableError:
    """Why a message of so many bytes is not read."""
    return UnreadableError(f"{size:,} bytes are over the limit of {max_bytes:,} (MAX_MESSAGE_BYTES)")


def _why(error: ValidationError) -> str:
    reasons: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = str(problem["loc"][0]) if problem["loc"] else ""
        text = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
        reasons[where] = printable(f"{where}: {text}" if where else text)
    return "; ".join(reasons.values())
