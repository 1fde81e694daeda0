"""What is said to be lost never exceeds what is, and reaches it once all is quiet."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.collector import Collected
from dashboard.instances import Instances
from dashboard.losses import Losses
from dashboard.paths import Path
from dashboard.reports import Report, read_report
from townpost import Depth

_QUIET = 12


class Simulation:
    """A publisher, a queue and a subscriber in simulated seconds, each seen at a moment of its own."""

    def __init__(self, pattern: str, publisher_at: float, subscriber_at: float) -> None:
        self.pattern = pattern
        self.phases = {"publisher": publisher_at, "subscriber": subscriber_at}
        self.counts = {"publisher": 0, "subscriber": 0}
        self.path = Path(pattern, "orders", "house" if pattern == "stream" else "")
        self.reports: dict[str, Report] = {}
        self.instances, self.losses = Instances(), Losses()
        self.now, self.waiting, self.shown = 1000.0, 0, 0

    def second(self, sent: int, taken: int, lost: int = 0) -> None:
        """In ten steps, with each report, and our look at its end, where it falls."""
        for step in range(10):
            came = sent // 10 + (sent % 10 if step == 9 else 0)
            gone = min(lost if step == 5 else 0, self.waiting + came)
            self.counts["publisher"] += came
            self.waiting += came - gone
            done = min(self.waiting, taken // 10)
            self.counts["subscriber"] += done
            self.waiting -= done
            for name, phase in self.phases.items():
                if step == int(phase * 10):
                    self.reports[name] = self.report(name, self.now + (step + 1) / 10)
        self.now += 1
        reading = Collected(
            now=self.now,
            round_trip=0.001,
            entered=dict.fromkeys(self.reports, self.now),
            reports=dict(self.reports),
            connected={1, 2},
            depths={self.path: Depth(depth=self.waiting)},
        )
        self.instances.update(reading)
        self.shown, certain = self.losses.of(self.path, self.now, reading.depths[self.path], self.instances)
        assert certain

    def report(self, name: str, at: float) -> Report:
        count = self.counts[name]
        counted = {"sent": count} if name == "publisher" else {"received": count, "handled": count}
        client_id = 1 if name == "publisher" else 2
        told = {
            "id": name,
            "role": name,
            "at": at,
            "started": 1000.0,
            "client_id": client_id,
            "patterns": {self.pattern: counted},
        }
        report = read_report(told, lambda _: self.path)
        assert report is not None
        return report


PHASES = st.floats(0, 0.99)
RATES = st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 30_000)), min_size=1, max_size=12)


@pytest.mark.parametrize("pattern", ["queue", "reliable", "stream"])
def test_a_flood_from_the_first_second_on_is_no_loss(pattern: str) -> None:
    # Given reports that are most of a second apart
    simulation = Simulation(pattern, publisher_at=0.0, subscriber_at=0.9)

    for _ in range(10):
        simulation.second(sent=20_000, taken=20_000)
    for _ in range(_QUIET):
        simulation.second(sent=0, taken=30_000)

    assert simulation.shown == 0


@settings(deadline=None, max_examples=60)
@given(flow=RATES, losses=st.lists(st.integers(0, 3000), min_size=12, max_size=12), publisher=PHASES, subscriber=PHASES)
def test_no_more_is_said_to_be_lost_than_is(
    flow: list[tuple[int, int]], losses: list[int], publisher: float, subscriber: float
) -> None:
    simulation = Simulation("queue", publisher, subscriber)

    for (sent, taken), lost in zip(flow, losses, strict=False):
        simulation.second(sent, taken, lost)
        assert simulation.shown <= simulation.counts["publisher"] - simulation.waiting - simulation.counts["subscriber"]


@given(before=st.integers(1, 500), purged=st.integers(1, 500), after=st.integers(1, 500))
def test_what_was_lost_before_a_purge_stays_lost_and_what_was_purged_is_no_loss(
    before: int, purged: int, after: int
) -> None:
    # Given a queue from which some were lost
    simulation = Simulation("queue", 0.2, 0.6)
    for _ in range(_QUIET):
        simulation.second(0, 0)
    simulation.second(2000, 0, before)
    for _ in range(_QUIET):
        simulation.second(0, 0)
    assert simulation.shown == before

    # When somebody deletes others on purpose, and more are lost later
    simulation.losses.rebase(simulation.path.place)
    simulation.waiting -= purged
    for _ in range(_QUIET):
        simulation.second(0, 0)
    assert simulation.shown == before
    simulation.second(0, 0, after)
    for _ in range(_QUIET):
        simulation.second(0, 1000)

    # Then it is the sum of both
    assert simulation.shown == before + after


@given(lost=st.integers(1, 1000), publisher=PHASES, subscriber=PHASES)
def test_all_of_it_is_said_once_it_is_quiet(lost: int, publisher: float, subscriber: float) -> None:
    # Given a quiet beginning
    simulation = Simulation("queue", publisher, subscriber)
    for _ in range(_QUIET):
        simulation.second(0, 0)

    # When some of a flood are lost
    simulation.second(2000, 100, lost)
    for _ in range(_QUIET):
        simulation.second(0, 1000)

    assert simulation.shown == lost
