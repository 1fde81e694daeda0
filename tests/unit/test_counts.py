"""Counts add up, and latency is right within a factor of two."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.counts import Counts, Latency


def latency_of(*seconds: float) -> Latency:
    latency = Latency()
    for one in seconds:
        latency.add(one)
    return latency


def test_without_messages_there_is_no_quantile() -> None:
    assert Latency().quantile(0.5) is None


@pytest.mark.parametrize(
    ("seconds", "edge_ms"),
    [(0.0, 0.1), (0.00005, 0.1), (0.00015, 0.2), (0.001, 1.6), (0.05, 51.2), (1.0, 1638.4)],
)
def test_one_message_is_in_the_bucket_up_to_its_edge(seconds: float, edge_ms: float) -> None:
    assert latency_of(seconds).quantile(0.5) == pytest.approx(edge_ms)


def test_a_clock_ahead_of_ours_counts_as_no_time() -> None:
    assert latency_of(-3600.0).quantile(1.0) == pytest.approx(0.1)


def test_what_took_days_is_in_the_last_bucket() -> None:
    latency = latency_of(1e6)

    assert latency.buckets[-1] == 1


def test_the_median_ignores_a_slow_few() -> None:
    latency = latency_of(*[0.001] * 90, *[5.0] * 10)

    assert latency.quantile(0.5) == pytest.approx(1.6)
    assert latency.quantile(0.9) == pytest.approx(1.6)
    assert latency.quantile(0.99) == pytest.approx(6553.6)


@given(st.lists(st.floats(0, 400), min_size=1))
def test_the_greatest_is_at_or_under_the_edge_and_over_half_of_it(seconds: list[float]) -> None:
    edge_ms = latency_of(*seconds).quantile(1.0)

    greatest_ms = max(seconds) * 1000
    assert edge_ms is not None
    assert greatest_ms <= edge_ms * 1.0001
    assert edge_ms <= max(0.1, 2 * greatest_ms) * 1.0001


@given(
    seconds=st.lists(st.floats(0, 400), min_size=1),
    shares=st.lists(st.floats(0.01, 1), min_size=2, max_size=2).map(sorted),
)
def test_quantiles_rise_with_the_share(seconds: list[float], shares: list[float]) -> None:
    lower, higher = (latency_of(*seconds).quantile(share) for share in shares)

    assert lower is not None
    assert higher is not None
    assert lower <= higher


def test_a_snapshot_is_json_with_every_number() -> None:
    counts = Counts(sent=3, missed=1)
    counts.latency.add(0.0)

    snapshot = json.loads(json.dumps(counts.snapshot()))

    assert snapshot["sent"] == 3
    assert snapshot["missed"] == 1
    assert snapshot["received"] == 0
    assert snapshot["latency_ms"] == {"first": 0.1, "buckets": [1, *[0] * 23]}


def test_a_snapshot_does_not_change_afterwards() -> None:
    counts = Counts()
    before = json.dumps(counts.snapshot())
    snapshot = counts.snapshot()

    counts.sent += 1
    counts.latency.add(0.0)

    assert json.dumps(snapshot) == before


def test_counts_do_not_share_a_latency() -> None:
    first, second = Counts(), Counts()

    first.latency.add(0.0)

    assert second.latency.quantile(1.0) is None


def test_totals_are_told_in_words() -> None:
    counts = Counts(received=1_200, handled=1_100, failed=3, unreadable=2, retried=4, dead=5, recovered=6, late=7)

    told = "1,200 received, 1,100 handled, 3 failed, 2 unreadable, 9 missed"
    assert counts.in_words({"missed": 9}, redelivers=False) == told
    assert counts.in_words({"missed": 9}, redelivers=True) == f"{told}, 4 retried, 5 dead, 6 recovered, 7 too late"
