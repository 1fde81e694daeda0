"""Debian's Chromium looks at a real dashboard over a real server; what it asks and complains of is kept."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, expect, sync_playwright

from lab.processes import Process

START_SECONDS = 20.0
EXPECT_MS = 15_000
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """One open page, with what it asked for and what it complained of."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, screen: str) -> None:
        self.page.goto(f"{self.url}/#/{screen}")

    def figure(self, pattern: str, name: str) -> str:
        """What a card says, e.g. of pubsub and lost."""
        return self.page.locator(f"[data-pattern={pattern}] [data-figure={name}]").inner_text()

    def until(self, script: str, seconds: float = 15) -> None:
        """Wait for a condition in the page: a function, since its policy allows no eval."""
        self.page.wait_for_function(f"() => {script}", timeout=seconds * 1000)


class Serve(Protocol):
    def __call__(self, url: str | None = None, **environment: str) -> str: ...


class Look(Protocol):
    def __call__(self, url: str, *, width: int = 1280, height: int = 900, **options: str) -> Visit: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while it is open, no other event loop can run in this thread."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("BROWSER TESTS SKIPPED: there is no chromium (apt-get install chromium)")
    expect.set_options(timeout=EXPECT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def serve(start: Callable[..., Process]) -> Serve:
    """Starts a dashboard that may change things, on the shared server or where ``url`` says; where its page is."""

    def _serve(url: str | None = None, **environment: str) -> str:
        given = {"DASHBOARD_PORT": "0", "DASHBOARD_WRITE": "on"} | environment
        process = start("dashboard", url=url, **given)
        return process.wait_for("open http://", timeout=START_SECONDS)[0].split()[-1]

    return _serve


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Opens a page; at the end none may have asked for anything elsewhere, nor complained."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def _look(url: str, *, width: int = 1280, height: int = 900, **options: str) -> Visit:
        size = ViewportSize(width=width, height=height)
        # without a graphics card, drawing what moves takes a core to itself
        asked = {"reduced_motion": "reduce"} | options
        context = browser.new_context(viewport=size, **asked)  # type: ignore[arg-type]  # literals of playwright's
        contexts.append(context)
        visit = Visit(context.new_page(), url)
        visits.append(visit)
        visit.page.on("request", lambda request: visit.requests.append(request))  # noqa: PLW0108 - it sets attributes
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda line: visit.complaints.append(line.text) if line.type == "error" else None)
        visit.page.goto(url)
        return visit

    yield _look
    for context in contexts:
        context.close()
    for visit in visits:
        assert [r.url for r in visit.requests if not r.url.startswith((visit.url, "data:"))] == []
        assert [words for words in visit.complaints if not _outage(words)] == []


def _outage(words: str) -> bool:
    """What a browser says by itself of a server that is away, or refuses, where a test makes it so."""
    return words.startswith("Failed to load resource:")
