"""What was taken and is not begun: each message is begun by one worker, or goes back, never both."""

from collections import deque
from collections.abc import Callable, Iterable

from backlogs import backlog, claim

from townpost.consuming.backlog import Backlog
from townpost.consuming.flights import Slot, Work


class Interleaved(deque[Work]):
    """A worker helps itself each time that another thread has taken something out."""

    def __init__(self, shared: Backlog, ready: Iterable[Work]) -> None:
        super().__init__(ready)
        self.begun: list[int] = []
        self._shared = shared
        self._slot = shared.slot()
        self._nested = False

    def pop(self) -> Work:  # type: ignore[override]  # what the test looks at
        return self._and_begin(super().pop)

    def popleft(self) -> Work:
        return self._and_begin(super().popleft)

    def _and_begin(self, take: Callable[[], Work]) -> Work:
        work = take()
        if not self._nested and self:
            self._nested = True
            begun = self._shared.next(self._slot)
            self._nested = False
            if begun is not None:
                self.begun.append(begun.indexes[0])
        return work


def test_while_a_batch_is_cut_what_workers_begin_does_not_go_back() -> None:
    # Given a batch of ten that are ready, of which workers begin some
    shared, slot = backlog(), Slot()
    shared.add(claim(10))
    first = shared.next(slot)
    assert first is not None
    ready = shared._ready = Interleaved(shared, shared._ready)

    # When it is cut at the same moment
    shared.cut(first.flight)

    # Then each message is begun, or goes back
    assert ready.begun
    assert sorted([*first.indexes, *ready.begun, *first.flight.left]) == list(range(10))


def test_of_a_batch_whose_lease_is_lost_nothing_is_begun() -> None:
    # Given a batch of which all is ready, and one message is at work
    shared, slot, batch = backlog(), Slot(), claim(10)
    shared.add(batch)
    work = shared.next(slot)
    assert work is not None

    # When its lease is lost
    batch.lose()

    # Then nothing more of it is begun, and it is over as soon as that one is answered
    assert shared.next(slot) is None
    assert not shared.completed
    shared.ended(slot, work)
    assert list(shared.completed) == [work.flight]


def test_of_the_batch_behind_a_lost_one_everything_is_begun() -> None:
    shared, slot = backlog(), Slot()
    lost, good = claim(2), claim(2)
    shared.add(lost)
    shared.add(good)
    lost.lose()

    begun = [shared.next(slot), shared.next(slot)]

    assert [work.flight.batch for work in begun if work is not None] == [good, good]
    assert shared.next(slot) is None
