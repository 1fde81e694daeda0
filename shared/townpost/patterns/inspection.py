"""The questions of an operator about one channel, list or stream, and the types of the answers.

Each pattern answers in an `Inspector` of its own, beside the pattern; inspectors.py finds it. Payloads are cut inside
Redis, because any client may have written one of any size.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from townpost.errors import SettingError
from townpost.redis.connection import Command, Connection, Reply

__all__ = [
    "CUT",
    "MOST_CLAIMS",
    "Action",
    "Depth",
    "Excerpt",
    "InFlight",
    "Inspector",
    "Page",
    "Query",
    "Question",
    "Remaining",
    "Scheduled",
    "ask",
    "refuse",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CUT = 2048
"""How many bytes of a payload leave Redis."""
MOST_CLAIMS = 2_000

Action: TypeAlias = Literal["now", "purge"]
Query: TypeAlias = Generator[list[Command], list[Reply], T]
"""A question without I/O: it yields the commands of one round trip, gets their replies, and returns the answer."""


class Question(Generic[T_co]):
    """A query in progress; several share each round trip."""

    answer: T_co

    def __init__(self, query: Query[T_co]) -> None:
        self._query = query
        self.commands = next(query)
        self.answered = False

    def reply(self, replies: list[Reply]) -> None:
        try:
            self.commands = self._query.send(replies)
        except StopIteration as end:
            self.commands, self.answered, self.answer = [], True, end.value


def ask(connection: Connection, questions: Sequence[Question[object]]) -> None:
    """Run these queries, in as many round trips as the longest of them needs. A refusal is a reply.

    Raises:
        UnavailableError
    """
    while any(not question.answered for question in questions):
        open_ = [question for question in questions if not question.answered]
        commands = [command for question in open_ for command in question.commands]
        replies = connection.pipeline(commands) if commands else []
        for question in open_:
            count = len(question.commands)
            question.reply(replies[:count])
            replies = replies[count:]


@dataclass(slots=True)
class Depth:
    """How much there is now. None: the pattern has no such figure, or Redis did not return it."""

    depth: int | None = None
    """Waiting."""
    oldest: float | None = None
    """When the oldest waiting message was created."""
    in_flight: int | None = None
    scheduled: int | None = None
    dead: int | None = None
    stored: int | None = None
    listeners: int | None = None
    estimated: bool = False
    """Whether there were too many claims to count."""
    group: bool = True
    """Whether the consumer group exists (stream)."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a payload, and the size of the whole in bytes."""

    beginning: bytes = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A delayed message, or one that waits for another attempt."""

    member: str
    """Its name for `Inspector.reschedule`; empty where the pattern refuses that."""
    due: float
    """Seconds since 1970. Another program may have written it, so it may be infinite."""
    level: int
    """Of its priority."""
    attempts: int
    payload: Excerpt


@dataclass(frozen=True, slots=True)
class InFlight:
    """A claim (reliable) or an entry (stream) that a consumer has not answered yet."""

    id: str
    consumer: str
    messages: int
    until: float | None
    """The end of its lease as stored in Redis; None on the stream."""
    idle: float | None
    """Seconds since it was delivered or renewed (stream)."""
    attempts: int | None
    payload: Excerpt
    """Of the first of its messages."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of the items, and how many there are."""

    rows: list[T]
    total: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """What the consumers still have to handle."""

    waiting: int = 0
    in_flight: int = 0
    """Claims of the reliable queue, entries of a stream."""
    due: int = 0
    """Scheduled messages and retries that are due within the requested time."""

    def __bool__(self) -> bool:
        return bool(self.waiting or self.in_flight or self.due)

    def __str__(self) -> str:
        numbers = {"waiting": self.waiting, "in flight": self.in_flight, "due": self.due}
        return ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)


class Inspector(Protocol):
    """Answers questions about one channel, list or stream. Only `reschedule` writes.

    Keep it and ask again: the inspector of a stream remembers what it need not read twice.
    """

    def depths(self) -> Query[dict[str, Depth]]:
        """How much there is, by consumer group; under "" where there are none."""
        ...

    def scheduled(self, connection: Connection, offset: int, limit: int) -> Page[Scheduled]:
        """The scheduled messages, soonest first; empty where the pattern has none."""
        ...

    def in_flight(self, connection: Connection, offset: int, limit: int) -> Page[InFlight]:
        """The messages in flight; empty where Redis does not know them."""
        ...

    def reschedule(self, connection: Connection, action: Action, members: Sequence[str]) -> int:
        """Make these scheduled messages due now, or delete them. Returns how many were found.

        Raises:
            SettingError: the pattern does not schedule.
        """
        ...

    def remaining_commands(self, until: float) -> list[Command]:
        """For `remaining`, to be run as of one moment; `until` (ms of Redis TIME): what is due later is not counted."""
        ...

    def remaining(self, replies: Sequence[Reply]) -> Remaining:
        """Raises:
        RefusedError
        """
        ...

    def payloads(self, connection: Connection) -> list[bytes]:
        """Yield whole payloads in order: those that wait, or all that a stream keeps.

        Raises:
            SettingError: the pattern keeps nothing.
        """
        ...


def refuse(pattern: str) -> int:
    """What `Inspector.reschedule` does where nothing is scheduled by name."""
    raise SettingError(f"what is scheduled on {pattern} cannot be changed: choose reliable")
