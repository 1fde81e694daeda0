"""What a handler gets follows from its signature; which handler gets a message follows from the message's type.

def handle(message: Message) -> None                         the message
def handle(order: Order, delivery: Delivery) -> None         `message.data` as a pydantic model; and how it came
def handle(orders: list[Order]) -> None                      a batch
"""

import inspect
import typing
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeGuard

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError, RootModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from townpost.errors import SettingError, UnreadableError
from townpost.message import Message
from townpost.patterns.contract import Delivery
from townpost.text import printable, told
from townpost.verdicts import Policy, Reject

__all__ = ["Middleware", "Route", "Routes", "check_middleware", "failure", "finish", "start"]

Middleware: typing.TypeAlias = Callable[..., Iterator[None]]
"""A generator function: what stands before its one `yield` runs before the handler, which may raise there."""

_FORMS = "Message, Delivery, a pydantic model, or list[...] of a message or model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One handler: how it is called, and what happens to a message that it fails."""

    function: Callable[..., object]
    name: str
    """For the log."""
    kinds: tuple[object, ...]
    """Of its arguments, in order: `Message`, `Delivery` or a model."""
    batch: bool
    is_async: bool
    policy: Policy
    timeout: float
    """Seconds."""
    middleware: Sequence[Middleware] = ()
    bare: bool = field(init=False)
    """Its function can be called with a message as it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bare", self.kinds == (Message,) and not self.batch and not self.middleware)

    @property
    def wants_delivery(self) -> bool:
        return bool(self.middleware) or Delivery in self.kinds

    @property
    def model(self) -> type[BaseModel] | None:
        """What its payloads are."""
        return next((kind for kind in self.kinds if _is_model(kind)), None)

    def arguments(self, message: Message, delivery: Delivery | None) -> list[object]:
        """The arguments of the call.

        Raises:
            UnreadableError: the payload is not what the model takes; the text is pydantic's.
        """
        found: list[object] = []
        for kind in self.kinds:
            if kind is Message:
                found.append(message)
            elif kind is Delivery:
                found.append(delivery)
            else:
                found.append(_payload(typing.cast("type[BaseModel]", kind), message))
        return found

    @classmethod
    def of(  # noqa: D417 - the rest are its fields
        cls, function: Callable[..., object], *, policy: Policy, timeout: float, middleware: Sequence[Middleware] = ()
    ) -> "Route":
        """Read its signature.

        Args:
            function: ``def`` or ``async def``, or an object with such a ``__call__``.

        Raises:
            SettingError: it cannot be served; the text says why.
        """
        name = _name(function)
        forms = (function, getattr(function, "__call__", None))  # noqa: B004 - an object's own may be async
        if any(inspect.isgeneratorfunction(form) or inspect.isasyncgenfunction(form) for form in forms):
            raise SettingError(f"the handler {name} is a generator: write a plain or an async function")
        kinds, batch = _kinds(function, name)
        for kind in kinds:
            if _is_model(kind):
                _check_model(kind, name)
        return cls(
            function=function,
            name=name,
            kinds=kinds,
            batch=batch,
            is_async=any(inspect.iscoroutinefunction(form) for form in forms),
            policy=policy,
            timeout=timeout,
            middleware=middleware,
        )


def _name(function: Callable[..., object]) -> str:
    if isinstance(function, partial):
        return _name(function.func)
    return printable(str(getattr(function, "__qualname__", type(function).__qualname__)))


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, Message)


def _kinds(function: Callable[..., object], name: str) -> tuple[tuple[object, ...], bool]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (TypeError, ValueError, NameError) as error:
        raise SettingError(f"the signature of the handler {name} cannot be read: {error}") from None
    kinds: list[object] = []
    batch = False
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        hint = Message if parameter.annotation is parameter.empty and not kinds else parameter.annotation
        if hint is list or typing.get_origin(hint) is list:
            batch, hint = True, next(iter(typing.get_args(hint)), Message)
        if parameter.kind is parameter.KEYWORD_ONLY or not (hint in (Message, Delivery) or _is_model(hint)):
            if parameter.default is not parameter.empty:
                continue
            raise SettingError(
                f"the handler {name} cannot be served: its parameter '{parameter.name}' is not one of {_FORMS}"
            )
        kinds.append(hint)
    if not kinds or (batch and len(kinds) > 1):
        why = "a list comes alone" if kinds else "it takes no argument"
        raise SettingError(f"the handler {name} cannot be served: {why}; it may take {_FORMS}")
    return tuple(kinds), batch


def _check_model(model: type[BaseModel], name: str) -> None:
    """Whether the data of a message, a JSON object, can be one of these."""
    why = ""
    try:
        model.model_rebuild()
        if issubclass(model, RootModel):
            kind = model.model_json_schema().get("type", "object")
            why = f"the data of a message is a JSON object, and this is of type {kind}" if kind != "object" else ""
    except PydanticInvalidForJsonSchema:
        return  # no schema says what it is; it may validate all the same
    except PydanticUserError as error:
        why = str(error.message)
    except PydanticUndefinedAnnotation as error:
        why = str(error)
    if why:
        raise SettingError(printable(f"the handler {name} cannot be served: its model {model.__name__}: {why}"))


def check_middleware(function: Middleware) -> None:
    """Refuse what is no generator function of one delivery.

    Raises:
        SettingError
    """
    name = _name(function)
    forms = [inspect.unwrap(one) for one in (function, getattr(function, "__call__", None)) if one is not None]  # noqa: B004 - its signature is looked at, not whether it can be called
    if any(inspect.isasyncgenfunction(form) or inspect.iscoroutinefunction(form) for form in forms):
        raise SettingError(f"the middleware {name} is async: write it as def, it wraps plain and async handlers alike")
    if not any(inspect.isgeneratorfunction(form) for form in forms):
        raise SettingError(f"the middleware {name} has no yield: the handler runs there")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise SettingError(f"the middleware {name} takes one argument, the delivery") from None


def _payload(model: type[BaseModel], message: Message) -> BaseModel:
    try:
        return model.model_validate({} if message.data is None else message.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        why = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'data'}: {one['msg']}" for one in problems)
        raise UnreadableError(printable(f"not a {model.__name__}: {why}")) from None


@dataclass(slots=True)
class Routes:
    """The handlers of one subscription, by the type of message."""

    by_type: dict[str | None, Route] = field(default_factory=dict)
    """By type; the handler of None gets the messages of all other types."""

    def add(self, kind: str | None, route: Route) -> None:
        """One more.

        Raises:
            SettingError: there is one for that type already, or they do not go together.
        """
        if kind in self.by_type:
            both = f"{route.name} and {self.by_type[kind].name}"
            what = "all messages" if kind is None else f"messages of type '{kind}'"
            raise SettingError(f"{both} handle {what} of the same subscription: one message has one handler")
        if route.batch and kind is not None:
            raise SettingError(f"{route.name} takes a list, which may hold messages of every type: leave out type=")
        for other in self.by_type.values():
            both = f"{route.name} and {other.name}"
            if other.is_async != route.is_async:
                raise SettingError(f"{both} share a subscription: either both are async, or neither is")
            if other.batch or route.batch:
                raise SettingError(f"{both} share a subscription: a handler of lists needs one of its own")
        self.by_type[kind] = route

    @property
    def only(self) -> Route | None:
        """The handler of every message, if there is only one."""
        return self.by_type.get(None) if len(self.by_type) == 1 else None

    @property
    def is_async(self) -> bool:
        return next(iter(self.by_type.values())).is_async

    @property
    def batch(self) -> bool:
        return next(iter(self.by_type.values())).batch

    @property
    def wants_delivery(self) -> bool:
        return any(route.wants_delivery for route in self.by_type.values())

    def of(self, message: Message) -> Route:
        """The handler of this message.

        Raises:
            Reject: there is none.
        """
        route = self.by_type.get(message.type) or self.by_type.get(None)
        if route is None:
            known = ", ".join(str(kind) for kind in self.by_type)
            raise Reject(f"no handler for messages of type {message.type!r}: there are those for {known}")
        return route


def start(middleware: Sequence[Middleware], delivery: Delivery) -> list[Generator[None, None, None]]:
    """Run the code before each `yield`, the outermost first."""
    started: list[Generator[None, None, None]] = []
    try:
        for function in middleware:
            one = typing.cast("Generator[None, None, None]", function(delivery))
            next(one)
            started.append(one)
    except StopIteration:
        error: BaseException = RuntimeError(f"the middleware {_name(function)} ended before its yield")
        raise finish(started, error) or error from None
    except BaseException as error:  # noqa: BLE001 - those that have begun see it
        raise finish(started, error) or error from None
    return started


def finish(started: Sequence[Generator[None, None, None]], error: BaseException | None = None) -> BaseException | None:
    """Run the code after each `yield`, the innermost first. Returns the error that is left."""
    for one in reversed(started):
        try:
            if error is None:
                next(one)
            else:
                one.throw(error)
        except StopIteration:
            error = None
        except BaseException as raised:  # noqa: BLE001 - it takes the place of the handler's
            error = raised
        else:
            one.close()
            error = RuntimeError(f"the middleware {getattr(one, '__name__', one)} yields more than once")
    return error


def failure(error: BaseException) -> Exception:
    """SystemExit, CancelledError and their like are failures of this message, and no reason to end."""
    if isinstance(error, Exception):
        return error
    said = f": {told(error)}" if str(error) else ""
    return RuntimeError(f"{type(error).__name__}{said}").with_traceback(error.__traceback__)
