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


def test_what_its_handler_has_answered_and_was_settled_stays_settled() -> None:
    # Given a message whose handler acknowledged it, and which has left its batch since
    shared, slot, batch = backlog(), Slot(), claim(2)
    shared.add(batch)
    work = shared.next(slot)
    assert work is not None
    batch.answered(0, None)
    part = batch.part((), 16)
    assert part is not None
    batch.part_settled(part)

    # When the handler returns, then it is not counted among those that are still there
    shared.ended(slot, work)
    assert batch.settled == [0]


def test_a_batch_that_goes_back_shows_that_the_workers_were_taken_for_quicker_than_they_are() -> None:
    # Given handlers that were so quick that one worker does as much as many
    shared, slot = backlog(), Slot()
    shared._demand._prefetch.limit = 1_000
    assert shared.quick
    shared.add(claim(10))
    work = shared.next(slot)
    assert work is not None

    shared.cut(work.flight)

    assert not shared.quick


def test_a_part_holds_each_message_once_however_many_failed() -> None:
    # Given more failures than one part takes, among messages that go back
    batch = claim(60)
    for index in range(10, 50):
        batch.answered(index, ValueError())

    # When part after part is settled
    returned: list[int] = []
    failed: list[int] = []
    while (part := batch.part(range(5, 60), 16)) is not None:
        returned += part.returned
        failed += [index for index, _ in part.failed]
        batch.part_settled(part)

    # Then each failure was settled as one, and nothing of it went back
    assert sorted(failed) == list(range(10, 50))
    assert sorted(returned) == [*range(5, 10), *range(50, 60)]
    assert batch.open == list(range(5))
