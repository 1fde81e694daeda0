"""What an operator should know about this server and these queues, each with its remedy: from data to findings.

Nothing is asked of Redis here. What is not known (an ACL may forbid INFO or CONFIG GET) is no finding, except that.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from .collector import Collected
from .schemas.live import Finding, InstanceStatus, PathStatus

__all__ = ["Config", "examine"]

Config: TypeAlias = Mapping[str, str]
"""What CONFIG GET answered; empty where it is forbidden."""

_NEAR_FULL = 0.8
_SMALL_BUFFER = 8 * 1024 * 1024
_BEHIND_BYTES = 1024 * 1024
_BEHIND_SECONDS = 10
_CLOCK_SECONDS = 1.0
_WAITING_SECONDS = 60.0
_CLASS_FIELDS = 4
_ORDER = {"bad": 0, "warning": 1, "note": 2}


def examine(
    collected: Collected,
    config: Config,
    patterns: Sequence[PathStatus],
    instances: Sequence[InstanceStatus],
    dead_before: Mapping[str, int],
) -> list[Finding]:
    """Worst first; `dead_before` is how many dead letters each pattern had a minute ago."""
    found = [*_server(collected.info, config, patterns), *_replicas(collected.info)]
    found += [*_queues(patterns, dead_before), *_instances(instances)]
    return sorted(found, key=lambda finding: _ORDER[finding.level])


def _server(info: Mapping[str, str], config: Config, patterns: Sequence[PathStatus]) -> Iterator[Finding]:
    stores = any(status.durable for status in patterns)
    if not info:
        yield Finding(
            id="info-forbidden",
            level="note",
            title="The doctor may not examine this server",
            detail="INFO is forbidden to the user of REDIS_URL, so memory, persistence and replicas are not known.",
            remedy="Grant it.",
            command="ACL SETUSER <user> +info +config|get",
        )
    policy = config.get("maxmemory-policy") or info.get("maxmemory_policy", "")
    if stores and policy and policy != "noeviction":
        yield Finding(
            id="eviction-policy",
            level="bad",
            title=f"Redis may evict your queues (maxmemory-policy {policy})",
            detail="When memory runs out it deletes keys to make room, and a queue is a key like any other.",
            remedy="Set noeviction: writes are then refused instead, and the publisher waits.",
            command="CONFIG SET maxmemory-policy noeviction",
        )
    if stores and (config.get("appendonly") == "no" or info.get("aof_enabled") == "0"):
        yield Finding(
            id="aof-off",
            level="warning",
            title="A restart of Redis empties the queues (AOF is off)",
            detail="What was acknowledged since the last RDB snapshot, if there is one, is kept in memory only.",
            remedy="Turn the append-only file on, here and in the server's configuration.",
            command="CONFIG SET appendonly yes",
        )
    yield from _memory(info)
    failing = {"aof_last_write_status": "append-only file", "rdb_last_bgsave_status": "RDB snapshot"}
    for field, what in failing.items():
        if info.get(field, "ok") != "ok":
            yield Finding(
                id=field.replace("_", "-"),
                level="bad",
                title=f"Redis could not write its {what}",
                detail="Most often the disk is full or not writable. Redis then refuses writes (MISCONF).",
                remedy="Make room on the server's disk and look into its log.",
                command="",
            )
    yield from _output_buffer(config, patterns)


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    used, limit = info.get("used_memory", ""), info.get("maxmemory", "0")
    if used.isdecimal() and limit.isdecimal() and int(limit) and int(used) > _NEAR_FULL * int(limit):
        share = int(used) / int(limit)
        yield Finding(
            id="memory",
            level="bad" if share >= 1 else "warning",
            title=f"Memory is {share:.0%} full",
            detail=f"{int(used) / 2**20:,.0f} MiB of maxmemory {int(limit) / 2**20:,.0f} MiB are used; at 100% Redis "
            "refuses to take messages, while subscribers can still drain.",
            remedy="Raise maxmemory, add subscribers, or bound the queues with RELIABLE_LIMIT and STREAM_MAXLEN.",
            command=f"CONFIG SET maxmemory {int(limit) * 2}",
        )


def _output_buffer(config: Config, patterns: Sequence[PathStatus]) -> Iterator[Finding]:
    words = config.get("client-output-buffer-limit", "").split()
    classes = {words[i]: words[i + 1 : i + _CLASS_FIELDS] for i in range(0, len(words) - 3, _CLASS_FIELDS)}
    numbers = [int(word) for word in classes.get("pubsub", []) if word.isdecimal()]
    if len(numbers) != _CLASS_FIELDS - 1 or not any(status.fan_out for status in patterns):
        return
    hard, soft, seconds = numbers
    limits = [limit for limit in (hard, soft) if limit]
    if limits and min(limits) < _SMALL_BUFFER:
        yield Finding(
            id="output-buffer",
            level="warning",
            title="Slow pubsub subscribers are cut off early",
            detail=f"With more than {min(limits) / 2**20:.1f} MiB unread a subscriber is disconnected and misses what "
            "comes until it is back.",
            remedy="Raise the limit for the class pubsub to 32 MiB, or 8 MiB for a minute, which is the default.",
            command=f"CONFIG SET client-output-buffer-limit 'pubsub {32 * 2**20} {8 * 2**20} {max(60, seconds)}'",
        )


def _replicas(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield Finding(
            id="replica",
            level="bad",
            title="This is a replica: it refuses to take messages",
            detail=f"Its master is {info.get('master_host', '?')}:{info.get('master_port', '?')}.",
            remedy="Point REDIS_URL to the master.",
            command="",
        )
    written = info.get("master_repl_offset", "")
    for name, text in info.items():
        if not name.removeprefix("slave").isdecimal():
            continue
        replica = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
        offset, lag = replica.get("offset", ""), replica.get("lag", "")
        behind = int(written) - int(offset) if offset.isdecimal() and written.isdecimal() else 0
        silent = int(lag) if lag.isdecimal() else 0
        if behind > _BEHIND_BYTES or silent > _BEHIND_SECONDS or replica.get("state") != "online":
            yield Finding(
                id=f"replica-lag-{name}",
                level="warning",
                title=f"Replica {replica.get('ip', '?')}:{replica.get('port', '?')} lags behind",
                detail=f"State {replica.get('state', 'unknown')}, {behind:,} bytes behind, last answer {silent} s "
                "ago. A failover to it would lose what it has not got.",
                remedy="Look at its network, disk and log; WAIT or min-replicas-to-write bound the loss.",
                command="INFO replication",
            )


def _queues(patterns: Sequence[PathStatus], dead_before: Mapping[str, int]) -> Iterator[Finding]:
    growing: set[tuple[str, str]] = set()
    for status in patterns:
        if status.depth and not status.subscribers and not status.in_flight:
            yield Finding(
                id=f"no-consumer-{status.id}",
                level="bad",
                title=f"{status.depth:,} messages wait on {_where(status)}, and no subscriber takes them",
                detail=f"No subscriber of '{status.key}' reports; consumers of other programs do not report.",
                remedy=f"Start a subscriber with PATTERN={status.name} and {status.setting}={status.key}.",
                command=f"docker compose up -d --scale subscriber=1   # PATTERN={status.name}",
            )
        elif status.depth and status.subscribers and (status.oldest_seconds or 0) > _WAITING_SECONDS:
            yield Finding(
                id=f"behind-{status.id}",
                level="warning",
                title=f"The oldest message on {_where(status)} has waited for {status.oldest_seconds or 0:,.0f} s",
                detail=f"{status.depth:,} wait, {status.handled_rate:,.1f} a second are handled, "
                f"{status.sent_rate:,.1f} a second are sent.",
                remedy="Add subscribers, or make the handler faster.",
                command=f"docker compose up -d --scale subscriber={status.subscribers + 1}",
            )
        if status.fan_out and status.listeners == 0 and status.sent_rate and status.totals.unheard:  # a glob may listen
            yield Finding(
                id=f"no-listener-{status.id}",
                level="bad",
                title=f"No subscribers: messages published on '{status.key}' are dropped",
                detail="Pub/sub stores nothing, so a message without a subscriber is lost.",
                remedy=f"Start a subscriber with PATTERN={status.name}.",
                command="",
            )
        now, before = status.dead_letters or 0, dead_before.get(status.id, 0)
        if now > before and (status.name, status.key) not in growing:  # the groups of a stream share its dead letters
            growing.add((status.name, status.key))
            yield Finding(
                id=f"dead-growing-{status.id}",
                level="warning",
                title=f"Dead letters of {status.name} '{status.key}' grow: {now - before:,} more in the last minute",
                detail=f"{now:,} are there. Messages die after MAX_ATTEMPTS failures or MAX_CRASHES crashes.",
                remedy="Read their errors, mend the handler, then requeue them.",
                command=f"python -m townpost dead list --pattern {status.name} --of {shlex.quote(status.key)}",
            )


def _where(status: PathStatus) -> str:
    """The pattern and the name: there may be several queues of one pattern, and groups of one stream."""
    return f"{status.name} '{status.key}'" + (f" for {status.group}" if status.group else "")


def _instances(instances: Sequence[InstanceStatus]) -> Iterator[Finding]:
    for one in instances:
        if one.state == "stalled":
            loop, seconds = max(one.idle_seconds.items(), key=lambda item: item[1])
            yield Finding(
                id=f"stalled-{one.id}",
                level="bad",
                title=f"{one.role} {one.host} is stalled",
                detail=f"Its {loop} loop has not turned for {seconds:,.0f} s, though it reports.",
                remedy="Its handler does not return: look at its log, set HANDLER_TIMEOUT, restart it.",
                command="",
            )
        if one.state != "gone" and one.clock_offset is not None and abs(one.clock_offset) > _CLOCK_SECONDS:
            ahead = "ahead of" if one.clock_offset > 0 else "behind"
            yield Finding(
                id=f"clock-{one.id}",
                level="warning",
                title=f"The clock of {one.role} {one.host} is {abs(one.clock_offset):,.1f} s {ahead} Redis's",
                detail="Timestamps, ages and latencies of its messages are off by as much; leases are not.",
                remedy="Set the clock by NTP on that machine.",
                command="",
            )
