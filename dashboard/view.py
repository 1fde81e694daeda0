"""From what was read and remembered to what a page is told."""

from collections import Counter
from collections.abc import Sequence

from dashboard.instances import COUNTED, Instance, Instances, Tally
from dashboard.reading import Depth, Reading
from dashboard.snapshot import Difference, InstanceView, Latencies, Missed, PatternView, RedisView, Totals
from shared.counts import Latency
from shared.patterns import PATTERNS
from shared.settings import Settings

__all__ = ["difference", "instance_view", "pattern_view", "redis_view"]


def pattern_view(
    name: str, settings: Settings, reading: Reading, instances: Instances, lost: tuple[int, bool]
) -> PatternView:
    pattern = PATTERNS[name]
    guarantees = pattern.guarantees
    depth = reading.depths.get(name, Depth())
    now = reading.now
    alive = [i for i in instances if i.gone_at is None and name in i.counts]
    rates: Counter[str] = Counter()
    for instance in alive:
        rates.update(instance.rates(now).get(name, {}))
    return PatternView(
        name=name,
        label=pattern.label,
        key=settings.name_of(pattern),
        setting=pattern.setting,
        promise=guarantees.promise,
        durable=guarantees.durable,
        redelivers=guarantees.redelivers,
        fan_out=guarantees.fan_out,
        schedules=guarantees.schedules,
        totals=_totals(instances.totals(name)),
        lost=lost[0],
        lost_certain=lost[1],
        sent_rate=rates["sent"],
        received_rate=rates["received"],
        handled_rate=rates["handled"],
        failed_rate=rates["failed"],
        latency=_latencies(name, alive, now),
        depth=depth.depth,
        oldest_seconds=max(0.0, now - depth.oldest) if depth.oldest is not None and depth.depth else None,
        in_flight=depth.in_flight,
        scheduled=depth.scheduled,
        dead_letters=depth.dead,
        stored=depth.stored,
        publishers=sum(i.role not in ("subscriber", "dashboard") for i in alive),
        subscribers=sum(i.role == "subscriber" for i in alive),
        listeners=depth.listeners,
    )


def difference(views: Sequence[PatternView], instances: Instances) -> Difference | None:
    by_name = {view.name: view for view in views}
    if not {"pubsub", "queue"} <= by_name.keys():
        return None
    pubsub, queue = by_name["pubsub"], by_name["queue"]
    missed = [
        Missed(instance=i.id, received=counts["received"], missed=counts["missed"])
        for i in instances
        if (counts := i.counts.get("pubsub")) and (counts["received"] or counts["missed"])
    ]
    return Difference(
        sent=queue.totals.sent,
        unheard=pubsub.totals.unheard,
        missed=missed,
        lost_pubsub=pubsub.lost,
        lost_queue=queue.lost,
    )


def instance_view(instance: Instance, now: float, depths: dict[str, Depth]) -> InstanceView:
    rates: Counter[str] = Counter()
    for mine in instance.rates(now).values():
        rates.update(mine)
    total: Tally = Counter()
    for counts in instance.counts.values():
        total.update(counts)
    waiting = [depth.depth for name, depth in depths.items() if name in instance.counts and depth.depth is not None]
    latest = instance.latest
    offset, error, error_at = latest.get("clock_offset"), latest.get("error"), latest.get("error_at")
    return InstanceView(
        id=instance.id,
        role=instance.role,
        host=instance.host,
        pid=instance.pid,
        state=instance.state(now),
        left=instance.left,
        gone_at=instance.gone_at,
        started=instance.started,
        uptime=max(0.0, (instance.gone_at or now) - instance.started),
        last_seen=instance.last_seen,
        pattern=instance.pattern,
        patterns=list(instance.counts),
        totals=_totals(total),
        by_pattern={name: _totals(counts) for name, counts in instance.counts.items()},
        sent_rate=rates["sent"],
        received_rate=rates["received"],
        handled_rate=rates["handled"],
        lag=sum(waiting) if instance.role == "subscriber" and waiting else None,
        standing={name: seconds for name, seconds in instance.standing.items() if seconds > 2},  # noqa: PLR2004
        clock_offset=float(offset) if isinstance(offset, int | float) else None,
        error=error[:300] if isinstance(error, str) else "",
        error_at=float(error_at) if isinstance(error_at, int | float) else None,
    )


def redis_view(reading: Reading, *, since: float | None, rate: float | None) -> RedisView:
    about = reading.info

    def number(name: str) -> int | None:
        return int(about[name]) if about.get(name, "").isdecimal() else None

    return RedisView(
        up=True,
        problem="",
        since=since,
        round_trip_ms=reading.round_trip * 1000,
        version=about.get("valkey_version") or about.get("redis_version", ""),
        role=about.get("role", ""),
        uptime=number("uptime_in_seconds"),
        used_memory=number("used_memory"),
        max_memory=number("maxmemory"),
        clients=number("connected_clients"),
        commands_rate=rate,
    )


def _totals(tally: Tally) -> Totals:
    return Totals(**{name: tally[name] for name in COUNTED})


def _latencies(name: str, alive: Sequence[Instance], now: float) -> Latencies | None:
    together = Latency()
    for instance in alive:
        for index, count in enumerate(instance.recent_buckets(now).get(name, [])[: Latency.SIZE]):
            together.buckets[index] += count
    p50, p99 = together.quantile(0.5), together.quantile(0.99)
    return None if p50 is None or p99 is None else Latencies(p50_ms=p50, p99_ms=p99)
