"""`make screenshots`: a town at work and in trouble, photographed through a browser into docs/screenshots.

It needs the development environment (`make install`) and Debian's Chromium; `pngquant`, where it is there, makes the
files small.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from lab.processes import ROOT, Process
from lab.server import Server
from townpost import Connection

__all__ = ["main"]

_FOLDER = ROOT / "docs" / "screenshots"
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
_WARM_SECONDS = 40
_TROUBLE_SECONDS = 12
_DEAF_SECONDS = 1.5
_WIDE = ViewportSize(width=1280, height=820)
_TALL = ViewportSize(width=1280, height=1340)
_LOW = ViewportSize(width=1280, height=640)
_PHONE = ViewportSize(width=390, height=844)
_HANDLER = """
import time

def handle(message):
    if "lighthouse" in message.message:
        raise LookupError("no house of that name in this town")
    if "stone" in message.message:
        time.sleep(3600)
"""
_UNDELIVERABLE = ("A parcel for the lighthouse, #N", "Bread for the mill, #N", "A love letter to the lighthouse, #N")


class Town:
    """A server, services and a dashboard; each can be hurt."""

    def __init__(self, folder: Path, pattern: str) -> None:
        """Nothing runs before `subscribe`, `publish` and `open`."""
        (folder / "town_handler.py").write_text(_HANDLER)
        self._stack = ExitStack()
        self.server = self._stack.enter_context(Server())
        self._environment = {
            "REDIS_URL": self.server.url,
            "PATTERN": pattern,
            "DASHBOARD_PORT": "0",
            "DASHBOARD_WRITE": "on",
            "HANDLER": "town_handler:handle",
            "PYTHONPATH": str(folder),
            "MAX_ATTEMPTS": "2",
            "BACKOFF_SECONDS": "0.2",
            "HEALTH_SECONDS": "3",
        }
        self.subscribers: list[Process] = []

    def close(self) -> None:
        self._stack.close()

    def _start(self, module: str, *arguments: str, **more: str) -> Process:
        process = Process(module, *arguments, environment=self._environment | more)
        self._stack.callback(process.kill)
        return process

    def subscribe(self) -> None:
        process = self._start("subscriber")
        process.wait_for("listening")
        self.subscribers.append(process)

    def publish(self, text: str, *arguments: str, **more: str) -> Process:
        return self._start("publisher", text, *arguments, **more)

    def open(self, browser: Browser, size: ViewportSize, scheme: Literal["light", "dark"] = "light") -> Page:
        if not hasattr(self, "_url"):
            self._url = self._start("dashboard").wait_for("open http")[0].split()[-1]
        page = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=2).new_page()
        page.goto(self._url)
        return page

    def trouble(self) -> None:
        """One dies, one is stalled, two lose their pub/sub connection ; some messages end as dead letters."""
        self.subscribers.pop().kill()
        connection = Connection(self.server.url)
        connection.connect()
        for subscriber in self.subscribers[:2]:
            subscriber.signal(signal.SIGSTOP)
        connection.call("CLIENT", "KILL", "TYPE", "pubsub")
        time.sleep(_DEAF_SECONDS)
        for subscriber in self.subscribers[:2]:
            subscriber.signal(signal.SIGCONT)
        self.publish("A stone for the mason", PATTERN="queue").wait()
        for text in _UNDELIVERABLE:
            self.publish(text, "--count", "2", PATTERN="reliable").wait()
        connection.call("RPUSH", "reliable_queue", "Dear all, this is no JSON")
        connection.close()


@contextmanager
def _town(pattern: str) -> Iterator[Town]:
    with tempfile.TemporaryDirectory(prefix="townpost-screenshots-") as folder:
        town = Town(Path(folder), pattern)
        try:
            yield town
        finally:
            town.close()


def _take(page: Page, name: str) -> None:
    path = _FOLDER / f"{name}.png"
    page.bring_to_front()  # one that nobody sees is not drawn
    page.screenshot(path=path)
    if small := shutil.which("pngquant"):
        subprocess.run(  # 99: it would not get smaller without loss
            [small, "--force", "--skip-if-larger", "--speed", "1", "--output", str(path), "--", str(path)], check=False
        )
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")


def _healthy(browser: Browser) -> None:
    with _town("both") as town:
        for _ in range(3):
            town.subscribe()
        page = town.open(browser, _WIDE)
        phone = town.open(browser, _PHONE)
        town.publish("Good news #N", "--count", "1000000", "--interval", "0.5")
        page.wait_for_timeout(_WARM_SECONDS * 1000)
        _take(page, "overview")
        _take(phone, "phone")


def _in_trouble(browser: Browser) -> None:
    with _town("all") as town:
        for _ in range(4):
            town.subscribe()
        page = town.open(browser, _TALL)
        dark = town.open(browser, _TALL, "dark")
        town.publish("Good news #N", "--count", "1000000", "--interval", "0.05")
        page.wait_for_timeout(_WARM_SECONDS * 1000)
        _take(dark, "dark")
        dark.close()
        town.trouble()
        page.wait_for_timeout(_TROUBLE_SECONDS * 1000)
        _take(page, "fault")
        page.goto(page.url.split("#")[0] + "#/queues")
        page.set_viewport_size(_LOW)
        page.wait_for_selector("tbody tr")
        page.wait_for_timeout(2000)
        _take(page, "queues")


def main() -> int:
    """Write them all; the exit status."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("lab: there is no chromium: apt-get install chromium\n")
        return 2
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        _healthy(browser)
        _in_trouble(browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
