"""Messages of whatever a test gives."""

from collections.abc import Mapping
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from townpost.message import Message

__all__ = ["Given", "as_message"]

Given: TypeAlias = Message | BaseModel | Mapping[str, JsonValue]
"""A message; or what is to be its `data`, as a model or as it is."""


def as_message(given: Given, type: str | None = None) -> Message:  # noqa: A002 - the message's field
    """Made as `Publisher.send` makes it: the type of a model's message is by default the name of its class."""
    if isinstance(given, Message):
        return given if type is None else given.model_copy(update={"type": type})
    if isinstance(given, BaseModel):
        kind = type or given.__class__.__name__
        return Message.create(kind, data=given.model_dump(mode="json"), type=kind)
    return Message.create(type or "test", data=dict(given), type=type)
