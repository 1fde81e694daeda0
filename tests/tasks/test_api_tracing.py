"""One trace goes from the request into the message, whoever began it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from api_client import Api
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id
from spans import recorded
from sqlalchemy import Engine

from lab.server import Server
from tasks import tracing
from tasks.api.database import ready
from tasks.api.outbox import Outbox
from tasks.settings import TasksSettings
from townpost.message import Message, read


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = ready(TasksSettings.read(database_url=f"sqlite:///{tmp_path}/tasks.db"))
    yield engine
    engine.dispose()


def sent(engine: Engine, server: Server, client: redis.Redis) -> Message:
    """What the outbox sends."""
    settings = TasksSettings.read(pattern="stream", redis_url=server.url)
    stop = threading.Event()
    outbox = Outbox(engine, settings, stop)
    thread = threading.Thread(target=outbox.run)
    thread.start()
    while not client.exists("tasks_stream"):
        time.sleep(0.01)
    stop.set()
    outbox.served.set()
    outbox.wake()
    thread.join()
    entries: Any = client.xrange("tasks_stream")
    return read(entries[0][1][b"message"])


def named(name: str) -> ReadableSpan:
    [span] = [span for span in recorded().get_finished_spans() if span.name == name]
    return span


def test_a_request_and_what_is_published_are_one_trace(engine: Engine, server: Server, client: redis.Redis) -> None:
    # Given somebody who records
    recorded().clear()

    # When a task is created, and its event sent
    with Api(engine) as api:
        api.create()
    message = sent(engine, server, client)

    # Then the message continues the request's trace, and so does the publishing
    request, publish = named("POST /tasks"), named("publish tasks.event.created")
    assert request.context is not None
    assert publish.parent is not None
    assert message.traceparent is not None
    _, trace_id, span_id, _ = message.traceparent.split("-")
    assert trace_id == format_trace_id(request.context.trace_id)
    assert span_id == format_span_id(request.context.span_id)
    assert publish.parent.span_id == request.context.span_id
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 201


def test_a_span_is_named_for_the_route_not_for_the_task(engine: Engine) -> None:
    recorded().clear()

    with Api(engine) as api:
        api.get(f"/tasks/{api.create()['id']}")
        api.http.get("/nothing/here")

    names = {span.name for span in recorded().get_finished_spans()}
    assert names == {"POST /tasks", "GET /tasks/{task_id}", "GET"}


def test_a_callers_trace_goes_on(engine: Engine, server: Server, client: redis.Redis) -> None:
    recorded().clear()  # this process may not have recorded before
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}

    with Api(engine) as api:
        api.http.post("/tasks", json={"description": "x"}, headers=headers)

    assert f"-{trace_id}-" in (sent(engine, server, client).traceparent or "")


@pytest.mark.parametrize("traceparent", ["nonsense", "00-0-0-00", f"00-{0:032x}-{0:016x}-01", "\x00"])
def test_a_trace_that_is_none_is_left_out(traceparent: str) -> None:
    with tracing.span("work", parent=traceparent):
        own = tracing.traceparent()

    assert own is None or Message.create("x").model_copy(update={"traceparent": own}).traceparent == own


def test_outside_of_any_span_there_is_no_trace() -> None:
    assert tracing.traceparent() is None
