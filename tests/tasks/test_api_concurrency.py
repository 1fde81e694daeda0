"""Many at once: versions and change numbers keep their order and have no gaps."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from own_postgres import Postgres
from sqlalchemy import Engine, update

from tasks.api.database import DatabaseUnavailableError, ready
from tasks.api.store import ConflictError, Store
from tasks.api.tables import COUNTER
from tasks.settings import TasksSettings
from tasks.task import TaskIn

TASK = TaskIn(description="x")


def at_once(count: int, action: Callable[[int], object]) -> list[object]:
    """What each of them gave or raised; all begin together."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> object:
        barrier.wait()
        try:
            return action(number)
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_of_those_who_expect_the_same_version_one_wins(engine: Engine) -> None:
    store = Store(engine)
    task = store.create(TASK)

    answers = at_once(8, lambda n: store.replace(task.id, TaskIn(description=f"by {n}"), versions={1}))

    winners = [answer for answer in answers if not isinstance(answer, ConflictError)]
    assert winners == [store.get(task.id)]


def test_of_those_who_expect_none_all_write_one_after_the_other(engine: Engine) -> None:
    store = Store(engine)
    task = store.create(TASK)

    at_once(8, lambda n: store.replace(task.id, TaskIn(description=f"by {n}")))

    now = store.get(task.id)
    assert (now.version, now.change) == (9, 9)


@pytest.mark.slow
def test_an_instance_that_is_frozen_amid_a_change_keeps_the_others_waiting_only_for_a_while(postgres: Postgres) -> None:
    # Given one that has taken a number, and does nothing more
    url = postgres.make_database()
    frozen, living = (ready(TasksSettings.read(database_url=url)) for _ in range(2))
    connection = frozen.connect()
    connection.execute(update(COUNTER).values(latest=COUNTER.c.latest + 1))
    store = Store(living)

    # When another writes
    with pytest.raises(DatabaseUnavailableError, match="lock timeout"):
        store.create(TASK)

    # Then it can, as soon as PostgreSQL has lost patience
    assert store.create(TASK).change == 1
    connection.invalidate()
    frozen.dispose()
    living.dispose()
    postgres.drop(url)


def test_two_instances_number_without_gaps(engine: Engine) -> None:
    stores = [Store(engine), Store(engine)]

    tasks = [store.create(TASK) for store in stores]
    at_once(8, lambda n: [stores[n % 2].create(TASK) for _ in range(5)])

    numbers = [change.change for change in stores[0].changes(0, 1000).changes]
    assert numbers == list(range(1, len(tasks) + 41))


def test_who_follows_the_changes_misses_none(engine: Engine) -> None:
    # Given a reader that follows by the number it is told
    store = Store(engine)
    done = threading.Event()
    heard: dict[int, int] = {}

    def follow() -> None:
        after = 0
        while True:
            ending = done.is_set()
            found = store.changes(after, 7)
            heard.update({change.change: change.version for change in found.changes})
            after = found.next
            if ending and after == found.last:
                return

    reader = threading.Thread(target=follow)
    reader.start()

    # When four write at once, each task once
    at_once(4, lambda _: [store.create(TASK) for _ in range(25)])
    done.set()
    reader.join()

    # Then it has heard of every one
    assert sorted(heard) == list(range(1, 101))
