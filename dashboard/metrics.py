"""The newest snapshot as Prometheus reads it."""

from collections.abc import Iterator

from .reports import COUNTED
from .schemas.live import PathStatus, Snapshot

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES = {
    "depth": ("depth", "Messages that wait."),
    "oldest_seconds": ("oldest_message_age_seconds", "How long the oldest of them has waited."),
    "in_flight": ("in_flight", "Messages that consumers have taken and not finished."),
    "scheduled": ("scheduled", "Messages delayed or waiting for another attempt."),
    "dead_letters": ("dead_letters", "Dead letters there are now."),
    "stored": ("stored_entries", "Entries of the stream."),
    "listeners": ("listeners", "Connections subscribed to the channel."),
    "sent_rate": ("sent_per_second", "Messages sent, per second."),
    "received_rate": ("received_per_second", "Messages received, per second."),
    "handled_rate": ("handled_per_second", "Messages handled, per second."),
    "publishers": ("publishers", "Publishers that run."),
    "subscribers": ("subscribers", "Subscribers that run."),
    "lost": ("lost", "Messages lost, as far as is known."),
}
_STATES = ("working", "idle", "stalled", "silent", "gone")


def exposition(snapshot: Snapshot) -> str:
    return "".join(f"{line}\n" for line in _lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    yield from _head("redis_up", "gauge", "Whether Redis answers.")
    yield _line("redis_up", float(snapshot.redis.up))
    for field, (name, text) in _GAUGES.items() if snapshot.redis.up else ():
        values = [(status, getattr(status, field)) for status in snapshot.patterns]
        yield from _head(name, "gauge", text)
        yield from (_line(name, value, **_path(status)) for status, value in values if value is not None)
    for quantile in ("p50", "p99"):
        name = f"latency_{quantile}_seconds"
        yield from _head(name, "gauge", "From a message's timestamp to its handler, over ten seconds.")
        for status in snapshot.patterns:
            if status.latency is not None:
                yield _line(name, getattr(status.latency, f"{quantile}_ms") / 1000, **_path(status))
    for count in COUNTED:
        yield from _head(
            f"{count}_total",
            "counter",
            f"'{count}' of all instances since this started; see shared/townpost/counts.py.",
        )
        for status in snapshot.patterns:
            yield _line(f"{count}_total", getattr(status.since_start, count), **_path(status))
    yield from _head("instances", "gauge", "Instances by role and state.")
    for role in sorted({one.role for one in snapshot.instances}):
        for state in _STATES:
            number = sum(one.role == role and one.state == state for one in snapshot.instances)
            yield _line("instances", number, role=role, state=state)
    yield from _head("findings", "gauge", "Findings of the doctor, by level.")
    for level in ("bad", "warning", "note"):
        yield _line("findings", sum(finding.level == level for finding in snapshot.findings), level=level)


def _path(status: PathStatus) -> dict[str, str]:
    return {"pattern": status.name, "name": status.key} | ({"group": status.group} if status.group else {})


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP townpost_{name} {text}"
    yield f"# TYPE townpost_{name} {kind}"


def _line(name: str, value: float, /, **labels: str) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"townpost_{name}{f'{{{inner}}}' if inner else ''} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
