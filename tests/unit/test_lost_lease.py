"""A handler that asks learns that the lease of its message is gone."""

import pytest

from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch


@pytest.fixture
def batch() -> LeasedBatch:
    return LeasedBatch("reliable", "c1:1", [b"one", b"two"], 1_000)


def test_an_event_that_was_asked_for_before_is_set(batch: LeasedBatch) -> None:
    event = batch.lost_event()
    assert not event.is_set()

    batch.lose()

    assert event.is_set()
    assert batch.lost_event() is event


def test_an_event_that_is_asked_for_afterwards_is_set(batch: LeasedBatch) -> None:
    batch.lose()

    assert batch.lost_event().is_set()


def test_without_a_lease_none_is_lost() -> None:
    assert not Batch("queue", [b"one"]).lost_event().is_set()
