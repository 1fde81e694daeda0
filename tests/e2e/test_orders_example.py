"""The shop of examples/orders: a web service that publishes, two workers in groups of their own."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
from apps import dead, until
from conftest import Start
from ports import free_port

from lab.processes import ROOT, Process
from lab.server import Server
from townpost import Message

FOLDER = ROOT / "examples" / "orders"


class Shop:
    def __init__(self, server: Server) -> None:
        self._environment = {"REDIS_URL": server.url, "PYTHONPATH": str(ROOT / "shared"), "BACKOFF_SECONDS": "0.05"}
        self._started: list[Process] = []

    def start(self, *command: str) -> Process:
        process = Process(*command, environment=self._environment, folder=FOLDER)
        self._started.append(process)
        return process

    def worker(self, name: str) -> Process:
        process = self.start("townpost", "run", f"{name}:app")
        process.wait_for("connected")
        return process

    def web(self) -> str:
        port = free_port()
        self.start("uvicorn", "orders:app", "--port", str(port), "--no-access-log")
        url = f"http://127.0.0.1:{port}"

        def alive() -> bool:
            try:
                return httpx.get(f"{url}/alive").status_code == 200
            except httpx.HTTPError:
                return False

        until(alive, 30)
        return url

    def close(self) -> None:
        for process in self._started:
            process.kill()


@pytest.fixture
def shop(server: Server) -> Iterator[Shop]:
    one = Shop(server)
    yield one
    one.close()


def order(number: int, **others: object) -> dict[str, object]:
    return {"number": number, "email": "ada@example.org", "total": 9.5, **others}


def put(client: redis.Redis, *orders: dict[str, object]) -> None:
    pipeline = client.pipeline()
    for one in orders:
        pipeline.xadd("orders", {"message": Message.create("order", data=one).encode()})  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes
    pipeline.execute()


def test_each_group_gets_each_order_and_a_slow_bank_delays_one_alone(shop: Shop, client: redis.Redis) -> None:
    # Given all three services
    url, billing, mails = shop.web(), shop.worker("billing"), shop.worker("mails")

    # When twenty orders are placed, one with a slow bank, one for nothing
    others: dict[int, dict[str, object]] = {3: {"email": "slow-bank@example.org"}, 5: {"total": 0}}
    with ThreadPoolExecutor(8) as pool:
        placed = pool.map(lambda n: httpx.post(f"{url}/orders", json=order(n, **others.get(n, {}))), range(20))
    assert [one.status_code for one in placed] == [202] * 20

    # Then each is charged once, that one at its second attempt, and each has its mail
    until(lambda: len(billing.matching("charged order")) == 19 and len(mails.matching("wrote to")) == 20)
    assert len(billing.matching("(attempt 2)")) == 1
    assert billing.matching("charged order 3:", "(attempt 2)")
    ((_, reason, error),) = dead(client, "orders")
    assert (reason, error) == ("rejected", "there is nothing to pay")


def test_the_page_shows_both_services_and_their_groups(shop: Shop, start: Start) -> None:
    # Given all three services, two processes of one of them, and the page
    url, billing = shop.web(), shop.worker("billing")
    shop.start("townpost", "run", "mails:app", "--processes", "2").wait_for("connected", count=2)
    page = start("dashboard", DASHBOARD_PORT="0").wait_for("open http")[0].rpartition("open ")[2]

    # When twenty orders are placed, one for nothing
    for n in range(20):
        httpx.post(f"{url}/orders", json=order(n, total=0 if n == 5 else 9.5))
    billing.wait_for("charged order", count=19)

    # Then each group has had all of them, and one of them a dead letter
    def seen() -> dict[str, dict[str, Any]]:
        snapshot = httpx.get(f"{page}/api/snapshot", trust_env=False).json()
        return {view["group"]: view for view in snapshot["patterns"] if view["key"] == "orders"}

    def told() -> bool:
        return [sum(view["totals"][name] for name in ("handled", "dead")) for view in seen().values()] == [20, 20]

    until(told)
    until(lambda: [view["totals"]["sent"] for view in seen().values()] == [20, 20])
    views = seen()
    assert set(views) == {"billing", "email"}
    assert [views[group]["subscribers"] for group in ("billing", "email")] == [1, 2]
    assert [views[group]["publishers"] for group in ("billing", "email")] == [1, 1]
    assert [views[group]["totals"]["dead"] for group in ("billing", "email")] == [1, 0]
    assert [views[group]["lost"] for group in ("billing", "email")] == [0, 0]
    assert [views[group]["depth"] for group in ("billing", "email")] == [0, 0]
    instances = httpx.get(f"{page}/api/snapshot", trust_env=False).json()["instances"]
    roles = Counter(one["role"] for one in instances if one["role"] != "dashboard")
    assert roles == {"publisher": 1, "subscriber": 3}


@pytest.mark.alone
def test_a_hundred_mails_of_two_tenths_of_a_second_take_less_than_six(shop: Shop, client: redis.Redis) -> None:
    mails = shop.worker("mails")
    put(client, order(0))
    until(lambda: mails.matching("wrote to"))

    started = time.monotonic()
    put(client, *map(order, range(1, 101)))
    until(lambda: len(mails.matching("wrote to")) == 101)

    assert time.monotonic() - started < 0.6


@pytest.mark.alone
def test_a_pause_of_redis_does_not_hold_up_the_web_service(shop: Shop, client: redis.Redis) -> None:
    # Given orders on their way when Redis pauses for two seconds
    url = shop.web()
    httpx.post(f"{url}/orders", json=order(0))
    client.client_pause(2_000)
    with ThreadPoolExecutor(10) as pool, httpx.Client() as other:
        placing = [pool.submit(httpx.post, f"{url}/orders", json=order(n), timeout=10) for n in range(10)]
        took: list[float] = []
        until_ = time.monotonic() + 1.8
        while time.monotonic() < until_:
            started = time.monotonic()
            other.get(f"{url}/alive")
            took.append(time.monotonic() - started)
            threading.Event().wait(0.005)

        # Then other requests are answered meanwhile, and the orders arrive after it
        assert [one.result().status_code for one in placing] == [202] * 10
    assert sorted(took)[int(len(took) * 0.99)] < 0.05
    assert client.xlen("orders") == 11


def test_its_own_tests_need_no_redis() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", ".", "tests"],
        cwd=FOLDER,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "shared"), "REDIS_URL": "redis://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
