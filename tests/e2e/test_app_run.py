"""A real app under `townpost run`: how it starts, fails and ends."""

import time

import pytest
import redis
from messages import wire
from user_apps import Folder

from lab.server import Server

APP = """
import asyncio, contextlib
from townpost import App, Message

@contextlib.asynccontextmanager
async def lifespan(app):
    {before}
    yield
    {after}

app = App(lifespan=lifespan)

@app.handler("orders", timeout=0.2)
async def handle(message: Message):
    {body}

@app.handler("mails")
def mail(message: Message): ...
"""


def source(before: str = "pass", after: str = "pass", body: str = "pass") -> str:
    return APP.format(before=before, after=after, body=body)


def test_a_lifespan_that_fails_is_named_with_its_place(folder: Folder, server: Server) -> None:
    folder.write("worker.py", source(before="raise OSError('no database')"))

    service = folder.run("worker:app", REDIS_URL=server.url)

    assert service.wait() == 1
    (line,) = service.matching("ERROR")
    assert "the lifespan failed with OSError: no database at " in line
    assert line.endswith("worker.py:7")
    assert not service.matching("asyncio/runners.py")


def test_a_lifespan_that_fails_at_the_end_makes_a_status_of_1(folder: Folder, server: Server) -> None:
    folder.write("worker.py", source(after="raise OSError('no farewell')"))
    service = folder.run("worker:app", REDIS_URL=server.url)
    service.wait_for("listening on", count=2)

    assert service.stop() == 1
    assert service.matching("the lifespan failed with OSError: no farewell at ")


@pytest.mark.parametrize("lifespan", ["async def lifespan(app): yield", "def lifespan(app): ..."])
def test_a_lifespan_of_another_kind_is_one_line(folder: Folder, lifespan: str) -> None:
    folder.write("worker.py", f"from townpost import App\n{lifespan}\napp = App(lifespan=lifespan)")
    with (folder.path / "worker.py").open("a") as file:
        file.write("\n@app.handler('q')\ndef handle(message): ...\n")

    service = folder.run("worker:app")

    assert service.wait() == 2
    assert service.lines == [
        "subscriber: the lifespan lifespan is no async context manager: decorate it with contextlib.asynccontextmanager"
    ]


def test_an_idle_app_stops_without_a_word_of_waiting(folder: Folder, server: Server) -> None:
    folder.write("worker.py", source())
    service = folder.run("worker:app", REDIS_URL=server.url)
    service.wait_for("listening on", count=2)

    assert service.stop() == 0
    assert not service.matching("waiting for what is at work")


def test_what_a_stop_waits_for_is_named_by_its_queue(folder: Folder, server: Server, client: redis.Redis) -> None:
    folder.write("worker.py", source(body="print('begun', flush=True); await asyncio.sleep(60)").replace("0.2", "60"))
    service = folder.run("worker:app", REDIS_URL=server.url, STOP_SECONDS="2")
    client.rpush("orders", wire("one"))
    service.wait_for("begun")

    assert service.stop() == 0
    (line,) = service.matching("waiting for what is at work")
    assert line.endswith("waiting for what is at work: reliable orders (a second signal ends it at once)")


def test_a_handler_that_swallows_every_cancellation_does_not_hold_up_the_end(
    folder: Folder, server: Server, client: redis.Redis
) -> None:
    # Given a handler that nothing cancels
    body = """
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            print('at it', flush=True)
            await asyncio.sleep(60)
"""
    folder.write("worker.py", source(body=body))
    service = folder.run("worker:app", REDIS_URL=server.url, STOP_SECONDS="0.5")
    client.rpush("orders", wire("one"))
    service.wait_for("it must let CancelledError pass")

    # When the app is stopped, it ends by itself
    started = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - started < 8
    assert not service.matching("Traceback")


def test_a_failure_is_told_once_with_lines_that_can_be_read(
    folder: Folder, server: Server, client: redis.Redis
) -> None:
    folder.write("worker.py", source(body="raise ValueError('no good')"))
    service = folder.run("worker:app", REDIS_URL=server.url, BACKOFF_SECONDS="0.01", MAX_ATTEMPTS="3")
    client.rpush("orders", wire("one"))
    service.wait_for("1 more dead")

    assert len(service.matching("orders: handle failed with ValueError: no good at ")) == 3
    assert service.matching("  |   File ", "worker.py")
    assert len(service.matching("  | ValueError: no good")) == 1
    assert not service.matching(r"\n")
