"""Makes the snapshot that a page gets of what was collected and what is remembered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from townpost import PATTERNS, Depth, Latency, choose_patterns

from .collector import Collected
from .instances import BUSY_SECONDS, Instance, Instances
from .paths import Counters, Path, share
from .reports import COUNTED, number_of
from .schemas.live import Difference, InstanceStatus, Latencies, Missed, PathStatus, RedisStatus, Totals

__all__ = ["Counted", "difference", "instance_status", "path_status", "redis_status"]


@dataclass(frozen=True, slots=True)
class Counted:
    """The sums of one path."""

    totals: Counters
    rising: Counters
    lost: int
    certain: bool


def path_status(path: Path, collected: Collected, instances: Instances, counted: Counted) -> PathStatus:
    pattern = PATTERNS[path.pattern]
    guarantees = pattern.guarantees
    depth = collected.depths.get(path, Depth())
    now = collected.now
    mine = instances.on(path)
    alive = [i for i in mine if i.gone_at is None]
    rates: Counter[str] = Counter()
    for instance in alive:
        for other, speeds in instance.rates(now).items():
            rates.update(share({other: Counter(speeds)}, path))
    return PathStatus(
        id=path.id,
        name=path.pattern,
        label=pattern.label,
        key=path.name,
        group=path.group,
        setting=pattern.setting,
        promise=guarantees.promise,
        durable=guarantees.durable,
        redelivers=guarantees.redelivers,
        fan_out=guarantees.fan_out,
        schedules=guarantees.schedules,
        totals=_totals(counted.totals),
        since_start=_totals(counted.rising),
        lost=counted.lost,
        lost_certain=counted.certain,
        sent_rate=rates["sent"],
        received_rate=rates["received"],
        handled_rate=rates["handled"],
        failed_rate=rates["failed"],
        latency=_latencies(path, alive, now),
        depth=depth.depth,
        oldest_seconds=max(0.0, now - depth.oldest) if depth.oldest is not None and depth.depth else None,
        in_flight=depth.in_flight,
        scheduled=depth.scheduled,
        dead_letters=depth.dead,
        stored=depth.stored,
        instances=[i.id for i in mine],
        publishers=sum(not i.takes and i.role != "dashboard" for i in alive),
        subscribers=sum(i.takes for i in alive),
        listeners=depth.listeners,
    )


def difference(statuses: Mapping[Path, PathStatus], instances: Instances) -> Difference | None:
    """Between a pub/sub path and a queue that the same senders use, where there are such."""
    pair = _pair(statuses, instances)
    if pair is None:
        return None
    pubsub, queue = statuses[pair[0]], statuses[pair[1]]
    missed = [
        Missed(instance=i.id, received=counts["received"], missed=counts["missed"])
        for i in instances
        if (counts := i.counts.get(pair[0])) and (counts["received"] or counts["missed"])
    ]
    return Difference(
        sent=queue.totals.sent,
        unheard=pubsub.totals.unheard,
        missed=missed,
        lost_pubsub=pubsub.lost,
        lost_queue=queue.lost,
        lost_queue_certain=queue.lost_certain,
    )


def _pair(statuses: Mapping[Path, PathStatus], instances: Instances) -> tuple[Path, Path] | None:
    ours = [[path for path in statuses if path.pattern == pattern.name] for pattern in choose_patterns("both")]
    pairs = [(pubsub, queue) for pubsub in ours[0] for queue in ours[1]]
    used = [
        (pubsub, queue)
        for pubsub, queue in pairs
        if any(
            i.counts[pubsub]["sent"] and i.counts[queue]["sent"] for i in instances if {*i.counts} >= {pubsub, queue}
        )
    ]
    return next(iter([*used, *pairs]), None)


def instance_status(instance: Instance, now: float, depths: Mapping[Path, Depth]) -> InstanceStatus:
    rates: Counter[str] = Counter()
    for mine in instance.rates(now).values():
        rates.update(mine)
    total: Counters = Counter()
    for counts in instance.counts.values():
        total.update(counts)
    waiting = [depth.depth for path, depth in depths.items() if path in instance.counts and depth.depth is not None]
    latest = instance.latest
    return InstanceStatus(
        id=instance.id,
        role=latest.role,
        host=latest.host,
        pid=latest.pid,
        state=instance.state(now),
        left=instance.left,
        gone_at=instance.gone_at,
        started=latest.started,
        uptime=max(0.0, (instance.gone_at or now) - latest.started),
        last_seen=instance.last_seen,
        pattern=latest.pattern,
        patterns=list(dict.fromkeys(path.pattern for path in instance.counts)),
        totals=_totals(total),
        by_path={path.id: _totals(counts) for path, counts in instance.counts.items()},
        sent_rate=rates["sent"],
        received_rate=rates["received"],
        handled_rate=rates["handled"],
        takes=instance.takes,
        lag=sum(waiting) if instance.takes and waiting else None,
        idle_seconds={name: seconds for name, seconds in latest.idle_seconds.items() if seconds > BUSY_SECONDS},
        clock_offset=latest.clock_offset,
        error=latest.error,
        error_at=latest.error_at,
    )


def redis_status(collected: Collected, *, since: float | None, rate: float | None) -> RedisStatus:
    about = collected.info

    def number(name: str) -> int | None:
        return number_of(about[name]) if about.get(name, "").isdecimal() else None

    return RedisStatus(
        up=True,
        problem="",
        since=since,
        round_trip_ms=collected.round_trip * 1000,
        version=about.get("valkey_version") or about.get("redis_version", ""),
        role=about.get("role", ""),
        uptime=number("uptime_in_seconds"),
        used_memory=number("used_memory"),
        max_memory=number("maxmemory"),
        clients=number("connected_clients"),
        commands_rate=rate,
    )


def _totals(counters: Counters) -> Totals:
    return Totals(**{name: counters[name] for name in COUNTED})


def _latencies(path: Path, alive: Sequence[Instance], now: float) -> Latencies | None:
    together = Latency()
    for instance in alive:
        for index, count in enumerate(instance.recent_buckets(now).get(path, [])[: Latency.SIZE]):
            together.buckets[index] += count
    p50, p99 = together.quantile(0.5), together.quantile(0.99)
    return None if p50 is None or p99 is None else Latencies(p50_ms=p50, p99_ms=p99)
