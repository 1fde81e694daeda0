"""What `send` takes: messages, or pydantic models of the user's own that it makes messages of.

A model becomes a message whose `data` is the model as JSON. Its `type` is the argument ``type=``, or else the name of
the model's class; its text is the same. Its sender is SENDER.
"""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from pydantic import BaseModel, ValidationError

from townpost.errors import SettingError, UnsendableError
from townpost.message import Message
from townpost.text import printable

__all__ = ["NO_LABELS", "Labels", "Sendable", "messages_of"]

Sendable: TypeAlias = BaseModel | Sequence[BaseModel]
"""A `Message` or a model, or several."""

Labels: TypeAlias = tuple[str | None, str | None, int | None, UUID | str | None]
"""The type, key, priority and id of a model's message; None leaves each to its default."""

NO_LABELS: Labels = (None, None, None, None)


def messages_of(sendable: Sendable, labels: Labels, sender: str) -> Sequence[Message]:
    """The messages that are given, or those made of the models that are.

    Raises:
        SettingError: a label that no message can have, one id for several models, or a label for a `Message`.
        UnsendableError: this is neither a message nor a model, or a model is no JSON object.
    """
    if sendable.__class__ is Message and labels == NO_LABELS:
        return (sendable,)
    try:
        several: Sequence[object] = [sendable] if isinstance(sendable, BaseModel) else list(sendable)
    except TypeError:
        several = [sendable]
    if labels == NO_LABELS:
        return [one if isinstance(one, Message) else _message(one, labels, sender) for one in several]
    if any(isinstance(one, Message) for one in several):
        raise SettingError("type=, key=, priority= and id= are for models: a Message has its own")
    if labels[3] is not None and len(several) > 1:
        raise SettingError(f"id= names one message, not {len(several):,}: send each with its own")
    return [_message(one, labels, sender) for one in several]


def _message(model: object, labels: Labels, sender: str) -> Message:
    name = type(model).__name__
    if not isinstance(model, BaseModel):
        raise UnsendableError(f"an object of type {name} cannot be sent: give a Message, a pydantic model or a list")
    kind, key, priority, id_ = labels
    kind = name if kind is None else kind
    try:
        data = model.model_dump(mode="json")
    except (ValueError, RecursionError) as error:
        raise UnsendableError(printable(f"the model {name} cannot be written as JSON: {error}")) from None
    try:
        return Message.create(kind, sender=sender, data=data, type=kind, key=key, priority=priority, id=_uuid(id_))
    except ValidationError as error:
        raise _refusal(name, error) from None


def _uuid(id_: UUID | str | None) -> UUID | None:
    try:
        return UUID(id_) if isinstance(id_, str) else id_
    except ValueError:
        raise SettingError(printable(f"id={id_!r} cannot be used: it is no UUID")) from None


def _refusal(name: str, error: ValidationError) -> SettingError | UnsendableError:
    """The first problem in one line: with the payload, or else with a label."""
    problem = error.errors(include_url=False)[-1]
    field, why = str(problem["loc"][0]), problem["msg"].removeprefix("Value error, ")
    if field == "data":
        return UnsendableError(printable(f"the model {name} cannot be sent: as JSON it is no object of ours: {why}"))
    return SettingError(printable(f"{field}={problem['input']!r} cannot be used: {why}"))
