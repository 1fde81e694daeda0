"""Every committed change is told, whatever happens between the commit and Redis; with real processes."""

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from api_process import ApiProcess, until
from conftest import Start

from lab.server import Server
from tasks.api.database import ready
from tasks.api.outbox import Outbox
from tasks.api.store import Store
from tasks.events import Event, event_in
from tasks.settings import TasksSettings
from tasks.task import TaskIn
from townpost.message import read


def in_stream(client: redis.Redis) -> list[Event]:
    entries: Any = client.xrange("tasks_stream")
    return [event_in(read(fields[b"message"])) for _, fields in entries]


def test_each_kind_of_event_has_its_channel(start: Start, server: Server, client: redis.Redis, tmp_path: Path) -> None:
    # Given a listener to all of them
    listener = client.pubsub()
    listener.psubscribe("tasks.*")
    listener.get_message(timeout=5)
    api = ApiProcess(
        start, f"sqlite:///{tmp_path}/tasks.db", server.url, PATTERN="both"
    )  # of which the first is pubsub

    # When a task is created, changed and deleted
    task = api.create()
    changed = api.ask("PUT", f"/tasks/{task['id']}", {"description": "changed"})
    api.ask("DELETE", f"/tasks/{task['id']}")

    # Then each is told on its own
    frames = [listener.get_message(timeout=5) or {} for _ in range(3)]
    assert [frame["channel"] for frame in frames] == [
        b"tasks.event.created",
        b"tasks.event.updated",
        b"tasks.event.deleted",
    ]
    told = [json.loads(frame["data"])["data"] for frame in frames]
    assert [each.get("task") for each in told] == [task, changed, None]
    assert [each["id"] for each in told] == [task["id"]] * 3
    until(lambda: api.pending() == 0)
    listener.close()


@pytest.mark.parametrize(
    ("pattern", "key"), [("reliable", "tasks_reliable_queue"), ("queue", "tasks_queue"), ("stream", "tasks_stream")]
)
def test_where_events_wait_all_kinds_wait_in_their_order(
    start: Start, server: Server, client: redis.Redis, pattern: str, key: str, tmp_path: Path
) -> None:
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", server.url, PATTERN=pattern)

    for _ in range(3):
        api.ask("DELETE", f"/tasks/{api.create()['id']}")
    until(lambda: api.pending() == 0)

    entries: Any = client.xrange(key) if pattern == "stream" else client.lrange(key, 0, -1)
    raw = [fields[b"message"] for _, fields in entries] if pattern == "stream" else entries
    events = [event_in(read(payload)) for payload in raw]
    assert [event.event for event in events] == ["created", "deleted"] * 3
    assert [event.change for event in events] == [1, 2, 3, 4, 5, 6]


def test_a_request_succeeds_without_redis_and_its_event_follows(
    start: Start, own_server: Server, database_url: str
) -> None:
    # Given an API that has sent an event already
    api = ApiProcess(start, database_url, own_server.url, PATTERN="stream")
    api.create()
    until(lambda: api.pending() == 0)

    # When Redis is away
    own_server.stop()
    api.create()
    api.create()

    # Then that is seen, and the events follow in their order when it is back
    assert api.pending() == 2
    api.process.wait_for("outbox: WARNING")
    own_server.start()
    until(lambda: api.pending() == 0)
    with redis.Redis(port=own_server.port) as client:
        assert [event.change for event in in_stream(client)] == [1, 2, 3]
    api.process.wait_for("Redis is back")


def test_it_starts_without_redis_too(start: Start, own_server: Server, tmp_path: Path) -> None:
    own_server.stop()
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", own_server.url, PATTERN="stream", CONNECT_TIMEOUT="0.1")

    api.create()
    api.process.wait_for("no Redis at", count=2)
    own_server.start()

    until(lambda: api.pending() == 0)
    with redis.Redis(port=own_server.port) as client:
        assert [event.change for event in in_stream(client)] == [1]


def test_who_is_killed_between_commit_and_publish_leaves_the_event_to_the_next(
    start: Start, own_server: Server, database_url: str
) -> None:
    # Given an API without Redis, killed as soon as the task is saved
    own_server.stop()
    api = ApiProcess(start, database_url, own_server.url, PATTERN="stream")
    task = api.create()
    api.process.kill()
    own_server.start()
    with redis.Redis(port=own_server.port) as client:
        assert in_stream(client) == []

        # When it is started again
        api = ApiProcess(start, database_url, own_server.url, PATTERN="stream")

        # Then the event is sent
        until(lambda: api.pending() == 0)
        [event] = in_stream(client)
        assert (event.event, str(event.id)) == ("created", task["id"])


def test_killed_at_any_moment_it_loses_no_event(
    start: Start, server: Server, client: redis.Redis, database_url: str
) -> None:
    # Given customers that do not stop when the API is killed amid them
    saved: list[int] = []

    def customer(api: ApiProcess) -> None:
        with contextlib.suppress(httpx.TransportError):  # it is killed: that is the test
            while True:
                saved.append(api.create()["change"])

    for target in (20, 40):
        api = ApiProcess(start, database_url, server.url, PATTERN="stream")
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(customer, api)
            until(lambda target=target: len(saved) >= target)  # type: ignore[misc]  # mypy has no types for such a default
            api.process.kill()

    # When it runs again
    api = ApiProcess(start, database_url, server.url, PATTERN="stream")
    until(lambda: api.pending() == 0)

    # Then every change that there is was told, those that were answered among them
    told = {event.change for event in in_stream(client)}
    last = api.ask("GET", "/tasks/changes?limit=1")["last"]
    assert told == set(range(1, last + 1))
    assert set(saved) <= told


def test_two_instances_keep_the_order(start: Start, server: Server, client: redis.Redis, database_url: str) -> None:
    apis = [ApiProcess(start, database_url, server.url, PATTERN="stream") for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: apis[n % 2].create(), range(80)))
    until(lambda: apis[0].pending() == 0)

    changes = [event.change for event in in_stream(client)]
    if database_url.startswith("postgresql"):
        assert changes == list(range(1, 81))
    else:  # nothing makes one wait for the other, and the versions sort it out
        assert set(changes) == set(range(1, 81))


def test_a_key_of_another_type_is_told_with_the_setting(
    start: Start, server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    # Given an API that works, and a key that somebody put in its way
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", server.url, PATTERN="stream")
    api.create()
    until(lambda: api.pending() == 0)
    client.delete("tasks_stream")
    client.set("tasks_stream", "some text")

    # When a task is created
    api.create()

    # Then it is saved, the trouble is named, and the event follows when it is mended
    api.process.wait_for("outbox: ERROR", "TASKS_PREFIX=tasks: 'tasks_stream'", "another type")
    client.delete("tasks_stream")
    until(lambda: [event.change for event in in_stream(client)] == [2])


def test_a_stop_sends_what_the_last_requests_left(
    start: Start, server: Server, client: redis.Redis, database_url: str
) -> None:
    api = ApiProcess(start, database_url, server.url, PATTERN="stream")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: api.create(), range(20)))
    status = api.process.stop()

    assert status == 0
    assert [event.change for event in in_stream(client)] == list(range(1, 21))
    assert api.process.matching("total: 20 events acknowledged by Redis")


@pytest.mark.parametrize("total", [1, 199, 200, 201, 400, 450])
def test_a_stop_sends_everything_that_is_pending_however_much(
    server: Server, client: redis.Redis, tmp_path: Path, total: int
) -> None:
    # Given an outbox that was told to stop, and events that it has not sent
    settings = TasksSettings.read(redis_url=server.url, pattern="stream", database_url=f"sqlite:///{tmp_path}/tasks.db")
    engine = ready(settings)
    store, stop = Store(engine), threading.Event()
    for number in range(total):
        store.create(TaskIn(description=f"task {number}"))
    outbox = Outbox(engine, settings, stop)
    stop.set()
    outbox.served.set()

    # When it ends
    outbox.run()

    # Then all were sent, each once, in their order
    assert [event.change for event in in_stream(client)] == list(range(1, total + 1))
    assert outbox.waiting().count == 0
    engine.dispose()


def test_a_stop_without_redis_says_what_stays(start: Start, own_server: Server, tmp_path: Path) -> None:
    own_server.stop()
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", own_server.url)
    api.create()

    status = api.process.stop()

    assert status == 0
    assert api.process.matching("1 events stay in the database")
