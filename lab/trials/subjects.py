"""What is tried: Townpost's patterns as they declare themselves, the tutorials' designs, and the planted faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from townpost import PATTERNS, Guarantees, Settings

__all__ = ["BASELINES", "LEASE_SECONDS", "PLANTED", "SUBJECTS", "SUSPECTS", "Subject"]

LEASE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Two commands, and what they promise."""

    name: str
    title: str
    key: str
    """The channel, list or stream."""
    fan_out: bool
    promises: Guarantees | None
    """None where nobody promised anything."""
    ours: bool
    """Townpost's own services, which are also to end in good order and to own to no bug."""
    listen: tuple[str, ...]
    """A module and its arguments; it prints a line with `connected`."""
    send: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 1
    """How many messages are at work at once in one consumer."""

    @property
    def groups(self) -> bool:
        """Whether it writes to a stream."""
        return self.promises is not None and self.promises.groups

    @property
    def redelivers(self) -> bool:
        return self.promises is not None and self.promises.redelivers

    def at_once(self, concurrency: int, runner: str) -> "Subject":
        """The same with so many messages at work at once, in threads or in an event loop, so in no order."""
        if not self.ours or self.promises is None:
            return self
        function = "handle_async" if runner == "loop" else "handle"
        more = {"CONCURRENCY": str(concurrency), "HANDLER": f"lab.trials.handler:{function}"}
        promises = replace(self.promises, ordered=False)
        return replace(self, concurrency=concurrency, promises=promises, environment={**self.environment, **more})

    def sender(self, receipts: Path) -> tuple[str, ...]:
        """The publishing command; it takes JSON lines on its standard input."""
        return (*self.send, str(receipts))


def _pattern(name: str) -> Subject:
    pattern = PATTERNS[name]
    return Subject(
        name=name,
        title=name,
        key=str(Settings.model_fields[pattern.setting.lower()].default),
        fan_out=pattern.guarantees.fan_out and not pattern.guarantees.groups,
        promises=pattern.guarantees,
        ours=True,
        listen=("subscriber",),
        send=("publisher", "--file", "-", "--receipts"),
        environment={
            "PATTERN": name,
            "HANDLER": "lab.trials.handler:handle",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "BACKOFF_SECONDS": "0.05",
        },
    )


def _naive(name: str, key: str) -> Subject:
    return Subject(
        name=f"naive-{name}",
        title=f"naive {name}",
        key=key,
        fan_out=PATTERNS[name].guarantees.fan_out,
        promises=None,
        ours=False,
        listen=("lab.trials.naive", "listen", name),
        send=("lab.trials.naive", "send", name),
    )


def _planted(bug: str) -> Subject:
    return Subject(
        name=bug,
        title=bug.replace("-", " "),
        key="message_queue",
        fan_out=False,
        promises=PATTERNS["reliable"].guarantees,  # what they would have to keep, and do not
        ours=False,
        listen=("lab.trials.planted", bug),
        send=("lab.trials.naive", "send", "queue"),
    )


BASELINES = (_naive("pubsub", "messages"), _naive("queue", "message_queue"))
SUBJECTS = {
    subject.name: subject
    for subject in (BASELINES[0], _pattern("pubsub"), BASELINES[1], *map(_pattern, ("queue", "reliable", "stream")))
}
PLANTED = {"acks-first": "killed-at-work", "drops-every-100th": "nothing", "handles-twice": "nothing"}
"""Each planted fault, and what brings it to light."""
SUSPECTS = {bug: _planted(bug) for bug in PLANTED}
