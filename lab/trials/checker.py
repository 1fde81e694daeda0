"""Judges what became of messages, from journals alone: it knows nothing of Redis, of Townpost, or of any pattern.

The vocabulary is that of Jepsen's total-queue checker:

=============  =================================================================================================
attempted      handed to the publisher
acknowledged   Redis said yes to the publisher, which wrote that down
delivered      a handler finished with it, and wrote that down before anything was acknowledged to Redis
lost           acknowledged, but not delivered (to every listener, where every listener is to hear everything)
unexpected     delivered, but never attempted
duplicated     deliveries beyond the first, of the same message to the same listener
recovered      delivered, though the publisher was never told that it had been taken
=============  =================================================================================================

Of our own: *dead* (set aside with a reason, among the dead letters, so neither delivered nor lost), *forgotten*
(lost, and Redis itself had it no more after its restart) and *reordered* (first deliveries that came to one process
after a message that was sent later).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Delivered", "Evidence", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One line of a journal."""

    id: str
    listener: str
    """Whom it was delivered to; a restarted process is the same listener."""
    process: str
    at: float
    """Seconds, by a clock that all processes share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a trial left behind."""

    attempted: Mapping[str, float]
    """Id -> when, in the order they were handed over."""
    acknowledged: Collection[str]
    delivered: Sequence[Delivered]
    """In the order of each process's journal."""
    dead: Collection[str] = ()
    """Ids among the dead letters."""
    forgotten: Collection[str] = ()
    """Ids that Redis had acknowledged and did not find on its disk after a crash."""
    listeners: Collection[str] = ()
    """Everybody who is to be at work at the end."""
    fan_out: bool = False
    """Each of them is to hear everything; otherwise each message goes to one of them."""
    over: float = 0.0
    """When the fault was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts of messages, and one time in seconds."""

    attempted: int
    acknowledged: int
    delivered: int
    lost: int
    """By the way, not by Redis itself: those are `forgotten`."""
    lost_later: int
    """Of these, sent after the first message that the same listener heard once the fault was over."""
    forgotten: int
    unexpected: int
    duplicated: int
    recovered: int
    dead: int
    reordered: int
    recovery: float | None
    """From the end of the fault until whatever was sent before it was delivered, and every listener had one that was
    sent after it; None if some listener never had one."""


def judge(evidence: Evidence) -> Verdict:
    """Count."""
    by_listener: dict[str, dict[str, float]] = {}
    times: Counter[tuple[str, str]] = Counter()
    for delivery in evidence.delivered:
        times[delivery.listener, delivery.id] += 1
        journal = by_listener.setdefault(delivery.listener, {})
        journal[delivery.id] = min(delivery.at, journal.get(delivery.id, delivery.at))
    everyone = [by_listener.get(name, {}) for name in evidence.listeners]
    if evidence.fan_out:
        heard = everyone
        duplicated = sum(number - 1 for number in times.values())
    else:
        heard = [_earliest(by_listener.values())]
        duplicated = sum(sum(times[who, what] for who in by_listener) - 1 for what in heard[0])
    everywhere = set(heard[0]).intersection(*heard[1:])
    somewhere = set().union(*heard)
    missing = {what for what in evidence.acknowledged if what not in everywhere and what not in evidence.dead}
    forgotten = missing.intersection(evidence.forgotten)
    return Verdict(
        attempted=len(evidence.attempted),
        acknowledged=len(set(evidence.acknowledged)),
        delivered=len(somewhere),
        lost=len(missing) - len(forgotten),
        lost_later=len(set().union(*(_later(evidence, journal, missing - forgotten) for journal in heard))),
        forgotten=len(forgotten),
        unexpected=len(somewhere.difference(evidence.attempted)),
        duplicated=duplicated,
        recovered=len(somewhere.intersection(evidence.attempted).difference(evidence.acknowledged)),
        dead=len(evidence.dead),
        reordered=_reordered(evidence),
        recovery=_recovery(evidence, everyone or heard),
    )


def _earliest(journals: Collection[Mapping[str, float]]) -> dict[str, float]:
    earliest: dict[str, float] = {}
    for journal in journals:
        for what, at in journal.items():
            earliest[what] = min(at, earliest.get(what, at))
    return earliest


def _reordered(evidence: Evidence) -> int:
    place = {what: number for number, what in enumerate(evidence.attempted)}
    highest: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    count = 0
    for delivery in evidence.delivered:
        number = place.get(delivery.id)
        if number is None or (delivery.listener, delivery.id) in seen:
            continue
        seen.add((delivery.listener, delivery.id))
        before = highest.get(delivery.process, -1)
        count += number < before
        highest[delivery.process] = max(number, before)
    return count


def _recovery(evidence: Evidence, everyone: Sequence[Mapping[str, float]]) -> float | None:
    longest = 0.0
    for journal in everyone:
        since = [at for what, at in journal.items() if evidence.attempted.get(what, 0.0) >= evidence.over]
        if not since:
            return None
        before = [at for what, at in journal.items() if evidence.attempted.get(what, evidence.over) < evidence.over]
        longest = max(longest, min(since) - evidence.over, max(before, default=evidence.over) - evidence.over)
    return longest


def _later(evidence: Evidence, journal: Mapping[str, float], missing: Collection[str]) -> set[str]:
    sent = evidence.attempted
    since = min((sent[what] for what in journal if what in sent and sent[what] >= evidence.over), default=None)
    if since is None:
        return set()
    return {what for what in missing if what not in journal and sent.get(what, 0.0) > since}
