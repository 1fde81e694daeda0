"""The wire format: one JSON object in UTF-8, the same for every pattern and every language."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NaiveDatetime,
    ValidationError,
    WithJsonSchema,
)

from shared.errors import UnreadableError

__all__ = ["MAX_MESSAGE_BYTES", "Message", "read"]

MAX_MESSAGE_BYTES = 1024 * 1024

_TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


# Other Python producers send naive timestamps and mean UTC. As the second branch of a union they cost the usual
# message, which has an offset, no call into Python.
_Timestamp = Annotated[
    AwareDatetime | Annotated[NaiveDatetime, AfterValidator(_as_utc)],
    Field(
        union_mode="left_to_right",
        description="When it was created, RFC 3339. Written in UTC with Z; one without an offset is read as UTC.",
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _finite(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # pydantic's JSON parser takes NaN, Infinity and 1e999, which no other language can read back
    todo: list[JsonValue] = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("NaN and Infinity are not JSON")
    return data


class Message(BaseModel):
    """One message: five required fields, and four that are left out of the JSON when unset."""

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
        Annotated[dict[str, JsonValue], AfterValidator(_finite), Field(description="Any JSON object: your payload.")]
        | None
    ) = None
    traceparent: Annotated[str | None, Field(pattern=_TRACEPARENT, description="W3C trace context.")] = None

    @classmethod
    def create(
        cls,
        text: str,
        *,
        sender: str = "python-publisher",
        count: int = 1,
        epoch: str | None = None,
        priority: int | None = None,
        data: dict[str, JsonValue] | None = None,
    ) -> Self:
        """A new message with an id of its own, stamped now.

        Raises:
            pydantic.ValidationError: a value is outside the schema.
        """
        return cls.model_validate(
            {
                "id": uuid4(),
                "timestamp": datetime.now(UTC),
                "message": text,
                "sender": sender,
                "count": count,
                "epoch": epoch,
                "priority": priority,
                "data": data,
            }
        )

    def encode(self) -> bytes:
        """The bytes that go over the wire."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    def __repr__(self) -> str:
        return f"<Message {self.sender} #{self.count} {self.id}>"


_validate_json = Message.__pydantic_validator__.validate_json  # model_validate_json costs half as much again


def read(raw: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> Message:
    """The message in these bytes.

    Raises:
        UnreadableError: they are longer than ``max_bytes``, or not a message; the text says why.
    """
    if len(raw) > max_bytes:
        raise UnreadableError(f"{len(raw):,} bytes are over the limit of {max_bytes:,} (MAX_MESSAGE_BYTES)")
    try:
        return _validate_json(raw)  # type: ignore[no-any-return]  # typed Any in pydantic
    except ValidationError as error:
        raise UnreadableError(_why(error)) from None


def _why(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    parts = []
    for problem in problems[:3]:
        where = ".".join(str(step) for step in problem["loc"])
        text = re.sub(r"^(Input should be|Value error,) ", "", problem["msg"])
        parts.append(f"{where}: {text}" if where else text)
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""  # noqa: PLR2004 - shown above
    return "; ".join(parts) + more
