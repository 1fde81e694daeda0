"""Messages of whatever a test gives."""

from collections.abc import Mapping
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from townpost.message import Message
from townpost.publishing.models import messages_of

__all__ = ["Given", "as_message"]

_SENDER = "python-publisher"  # as SENDER by default

Given: TypeAlias = Message | BaseModel | Mapping[str, JsonValue]
"""A message; or what is to be its `data`, as a model or as it is."""


def as_message(given: Given, type: str | None = None) -> Message:  # noqa: A002 - the message's field
    """Made as `Publisher.send` makes it."""
    if isinstance(given, Message):
        return given if type is None else given.model_copy(update={"type": type})
    if isinstance(given, BaseModel):
        (made,) = messages_of(given, (type, None, None, None), _SENDER)
        return made
    return Message.create(type or "test", data=dict(given), type=type)
