"""What the server sends to a page, once a second: see the list in dashboard/schemas/__init__.py."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Difference",
    "Finding",
    "History",
    "InstanceStatus",
    "Latencies",
    "Missed",
    "PathStatus",
    "Problem",
    "RedisStatus",
    "Seen",
    "SeenWhole",
    "Session",
    "Snapshot",
    "Totals",
]

State = Literal["working", "idle", "stalled", "silent", "gone"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(BaseModel):
    """Why not, in one line that can be shown as it is."""

    problem: str


class Session(_Model):
    """What does not change from second to second."""

    version: str
    write: bool
    """DASHBOARD_WRITE: otherwise every POST but login is refused."""
    token: bool
    """Whether DASHBOARD_TOKEN is set."""
    authenticated: bool
    """False: only /api/session and /api/login answer."""
    redis: str
    """Where it is, without a password."""
    max_burst: int
    max_message_bytes: int


class RedisStatus(_Model):
    """The server."""

    up: bool
    problem: str
    """Why not; empty when up."""
    since: float | None
    """When it stopped answering, or answered again."""
    round_trip_ms: float | None
    version: str
    role: str
    uptime: float | None
    used_memory: int | None
    max_memory: int | None
    """0: no limit."""
    clients: int | None
    commands_rate: float | None
    """Of all clients together, per second."""


class Totals(_Model):
    """Sums over all instances, those that are gone included, since each of them started. See `Counts`."""

    sent: int = 0
    unheard: int = 0
    """Published while no subscriber was connected."""
    received: int = 0
    handled: int = 0
    failed: int = 0
    unreadable: int = 0
    duplicates: int = 0
    missed: int = 0
    """Numbers that a subscriber never received, each subscriber counted apart (pubsub)."""
    dropped: int = 0
    retried: int = 0
    dead: int = 0
    """Ever put among the dead letters."""
    late: int = 0
    recovered: int = 0
    reconnects: int = 0


class Latencies(_Model):
    """From a message's timestamp to its handler, over the last ten seconds; upper edges of buckets that double."""

    p50_ms: float
    p99_ms: float


class PathStatus(_Model):
    """One path: a pattern, the name of its channel, list or stream, and on a stream a consumer group. Those of the
    dashboard's own settings, and those that instances report.
    """

    id: str
    """Of the path."""
    name: str
    """Of the pattern."""
    label: str
    key: str
    """Its channel, list or stream."""
    group: str
    """Empty where there are none."""
    setting: str
    """The variable that names it."""
    promise: str
    """In one plain sentence."""
    durable: bool
    redelivers: bool
    fan_out: bool
    schedules: bool
    totals: Totals
    """What was received, and what became of it, as of the last moment for which every sender is known."""
    since_start: Totals
    """The same counts since this dashboard started; they never fall when an instance ends."""
    lost: int
    """pubsub: `missed` and `unheard`. Others: sent since this dashboard started, and for three seconds neither waiting,
    in flight, dead nor handled (queue: received) by an instance that reports; consumers of other programs report
    nothing. queue: also what a subscriber that vanished had received and not handled."""
    lost_certain: bool
    """False: at most so many; a subscriber that vanished took the counts of its last second with it."""
    sent_rate: float
    received_rate: float
    handled_rate: float
    failed_rate: float
    latency: Latencies | None
    """None: nothing was handled lately."""
    depth: int | None
    """Waiting now, urgent ones and those of dead consumers included; None for pubsub, which stores nothing."""
    oldest_seconds: float | None
    """How long the oldest waiting message has waited; None: nothing waits, or it cannot be read."""
    in_flight: int | None
    """Taken by a consumer and not finished, where Redis knows that (reliable, stream)."""
    scheduled: int | None
    """Delayed, or waiting for another attempt."""
    dead_letters: int | None
    """There now."""
    stored: int | None
    """Entries of the stream, handled ones included."""
    instances: list[str]
    """Ids of the instances that send or take here, the gone included."""
    publishers: int
    """Instances that run and use this path."""
    subscribers: int
    listeners: int | None
    """Connections subscribed to the channel, of any program (pubsub)."""


class Missed(_Model):
    """One subscriber's share of the difference."""

    instance: str
    received: int
    missed: int


class Difference(_Model):
    """pubsub beside queue, when both are active: the same ids on both paths."""

    sent: int
    """On the queue; pubsub was sent the same."""
    unheard: int
    """Lost on pubsub for every subscriber: none was connected."""
    missed: list[Missed]
    """Lost on pubsub for one subscriber."""
    lost_pubsub: int
    """unheard, and the sum of missed."""
    lost_queue: int
    lost_queue_certain: bool


class InstanceStatus(_Model):
    """One publisher, subscriber or other service that reports; gone ones are kept for five minutes."""

    id: str
    role: str
    host: str
    pid: int
    state: State
    """stalled: it reports, but one of its loops has not turned for longer than its HEALTH_SECONDS. silent: connected,
    but does not report (stopped, or starved). gone: see `left`."""
    left: Literal["stopped", "vanished"] | None
    """stopped: it reported its end. vanished: killed, crashed or cut off."""
    gone_at: float | None
    started: float
    uptime: float
    last_seen: float
    pattern: str
    """Its PATTERN setting."""
    patterns: list[str]
    totals: Totals
    """Over its paths: a message that was sent on two counts twice."""
    by_path: dict[str, Totals]
    """By the id of the path."""
    sent_rate: float
    received_rate: float
    handled_rate: float
    takes: bool
    """Whether it consumes: a subscriber, or another program that does."""
    lag: int | None
    """Messages that wait on its paths (where it takes)."""
    idle_seconds: dict[str, float]
    """Seconds since each of its loops last turned, where that is over two."""
    clock_offset: float | None
    """Seconds its machine's clock is ahead of Redis's."""
    error: str
    """The last error it logged; empty: none."""
    error_at: float | None


class Finding(_Model):
    """What the doctor found."""

    id: str
    """Of the kind, e.g. eviction-policy; with the pattern where it is about one."""
    level: Literal["bad", "warning", "note"]
    title: str
    detail: str
    remedy: str
    command: str
    """To be copied; empty: none."""


class Snapshot(_Model):
    """Everything that changes, once a second."""

    number: int
    """Rises by one."""
    at: float
    redis: RedisStatus
    patterns: list[PathStatus]
    difference: Difference | None
    instances: list[InstanceStatus]
    """Living ones first, by role and id."""
    findings: list[Finding]
    """Worst first; empty: all is well."""
    unreadable_reports: int
    """What stands where the report of an instance should, and is none."""
    pages: int
    """How many are open."""


class Seen(_Model):
    """One message that passed by: a sample where there are many, every one where there are few."""

    number: int
    at: float
    pattern: str
    key: str
    """Its channel, list or stream."""
    kind: Literal["sent", "received"]
    instance: str
    id: str
    """Of the message; empty if it cannot be read."""
    sender: str
    count: int | None
    text: str
    """Its first 200 characters; of what cannot be read, its first bytes."""
    size: int
    """Bytes."""
    readable: bool
    """Whether it is a message as far as it was kept."""


class SeenWhole(_Model):
    """The same with its bytes."""

    seen: Seen
    payload: str
    """Up to 2 KiB of it."""
    truncated: bool


class History(_Model):
    """One value a second and path for each chart, oldest first; all lists are of one length."""

    at: list[float]
    paths: dict[str, dict[str, list[float | None]]]
    """Id of the path -> sent_rate, received_rate, handled_rate, failed_rate, depth, dead_letters, p50_ms, p99_ms."""
