"""One trace leads from the HTTP request through Redis to the write into the index."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_client import Api
from opentelemetry.sdk.trace import ReadableSpan
from spans import recorded
from testbed import until

from lab.server import Server
from tasks.api.database import ready
from tasks.api.outbox import Outbox
from tasks.index import index_of
from tasks.index.contract import Criteria
from tasks.indexer.indexer import Indexer
from tasks.settings import TasksSettings


@contextmanager
def running(settings: TasksSettings) -> Iterator[Api]:
    """API, outbox and indexer, as threads of this process: only here their spans can be read."""
    stop = threading.Event()
    engine = ready(settings)
    outbox, indexer = Outbox(engine, settings, stop), Indexer(settings, index_of(settings), stop)
    threads = [threading.Thread(target=loop.run) for loop in (outbox, indexer)]
    for thread in threads:
        thread.start()
    try:
        with Api(engine) as api:
            yield api
    finally:
        stop.set()
        outbox.served.set()
        outbox.wake()
        for thread in threads:
            thread.join()
        engine.dispose()


def spans() -> dict[str, ReadableSpan]:
    """Those of the story, by name."""
    return {span.name: span for span in recorded().get_finished_spans() if "changes" not in span.name}


@pytest.mark.parametrize("pattern", ["reliable", "stream"])
def test_request_publishing_and_index_write_are_one_trace(server: Server, tmp_path: Path, pattern: str) -> None:
    # Given somebody who records
    recorded().clear()
    settings = TasksSettings.read(
        redis_url=server.url,
        pattern=pattern,
        database_url=f"sqlite:///{tmp_path}/tasks.db",
        index_url=f"sqlite:///{tmp_path}/index.db",
    )

    # When a task is created, and its event indexed
    with running(settings) as api:
        api.create("buy milk")
        until(lambda: "index task" in spans())

    # Then it is all one trace
    request, publish, write = (spans()[name] for name in ("POST /tasks", "publish tasks.event.created", "index task"))
    assert request.context is not None
    assert {span.context.trace_id for span in (publish, write) if span.context} == {request.context.trace_id}
    assert write.parent is not None
    assert write.parent.span_id == request.context.span_id
    assert write.start_time is not None
    assert request.start_time is not None
    assert write.start_time >= request.start_time

    # And what it says was written can be found
    index = index_of(settings)
    index.open()
    assert index.search(Criteria(text="milk")).total == 1
    index.close()
