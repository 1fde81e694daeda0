"""The page as such: light, quick, usable with a keyboard, on a phone and in the dark."""

import gzip
import json
from pathlib import Path

import pytest
from browsing import Look, Serve
from conftest import Start
from playwright.sync_api import expect

SCREENS = ("overview", "instances", "messages", "queues", "try-it", "doctor")
STATIC = Path(__file__).parents[2] / "dashboard" / "static"
MOST_BYTES = 150_000
PAINT = """() => new Promise(resolve => {
    const seen = () => document.querySelector(".pattern [data-figure=sent]");
    const look = () => seen() ? resolve(performance.now()) : requestAnimationFrame(look);
    look();
})"""


def test_the_whole_page_weighs_little(serve: Serve, look: Look) -> None:
    visit = look(serve())
    for screen in SCREENS:
        visit.go(screen)
    expect(visit.page.locator("#live")).to_have_text("live")

    sizes = visit.page.evaluate(
        """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
            .filter(entry => !entry.name.includes("/api/"))
            .map(entry => [new URL(entry.name).pathname, entry.encodedBodySize])"""
    )

    total = sum(size for _, size in sizes)
    print(f"{total:,} bytes over {len(sizes)} files")
    assert len(sizes) > 20
    assert total < MOST_BYTES


def test_no_file_of_it_is_without_use(serve: Serve, look: Look) -> None:
    visit = look(serve())
    expect(visit.page.locator("#live")).to_have_text("live")

    asked = {request.url.split("/static/")[1] for request in visit.requests if "/static/" in request.url}

    kept = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
    unused = {name for name in kept - asked if "LICENSE" not in name and not name.endswith("README.md")}
    assert unused <= {"index.html", "icon.svg"}


@pytest.mark.alone
def test_something_useful_is_seen_within_a_second(start: Start, serve: Serve, look: Look) -> None:
    start("subscriber").wait_for("listening")
    start("publisher").wait_for("sent #1")
    url = serve()
    look(url)  # the first page wakes the poller

    visit = look(url)
    figures = visit.page.evaluate(PAINT)
    paint = visit.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")

    print(f"first paint after {paint:.0f} ms, first figures after {figures:.0f} ms")
    assert paint < 1000


def test_it_can_be_used_with_the_keyboard_alone(serve: Serve, look: Look) -> None:
    visit = look(serve())
    page = visit.page
    expect(page.locator("#live")).to_have_text("live")

    # the first Tab offers to skip what is the same everywhere, visibly
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Tab")
    names = []
    for _ in SCREENS:
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.getAttribute('href')"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    assert names == [f"#/{name}" for name in SCREENS]

    # Enter goes there, and what comes next is the screen
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Doctor")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_hangs_over_the_edge_of_a_phone(start: Start, serve: Serve, look: Look, width: int) -> None:
    start("subscriber", PATTERN="all").wait_for("'message_stream'")
    start("publisher", PATTERN="all", PUBLISH_INTERVAL="0.5").wait_for("sent #2")
    visit = look(serve(PATTERN="all"), width=width, height=800)
    visit.until("document.querySelectorAll('.scene .house').length >= 4")

    for screen in SCREENS:
        visit.go(screen)
        visit.until("document.querySelector('main').children.length > 0")
        over = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over == 0, screen


@pytest.mark.parametrize(("system", "switched"), [("light", "dark"), ("dark", "light")])
def test_the_colours_follow_the_system_until_the_switch_says_otherwise(
    serve: Serve, look: Look, system: str, switched: str
) -> None:
    paper = {"light": "rgb(244, 245, 247)", "dark": "rgb(14, 19, 25)"}
    visit = look(serve(), color_scheme=system)
    shown = "getComputedStyle(document.documentElement).backgroundColor"
    assert visit.page.evaluate(shown) == paper[system]

    visit.page.get_by_role("button", name=f"Switch to {switched} colours").click()
    assert visit.page.evaluate(shown) == paper[switched]
    visit.page.reload()
    assert visit.page.evaluate(shown) == paper[switched]


def test_every_answer_of_a_page_fits_its_own_documentation(serve: Serve, look: Look) -> None:
    visit = look(serve())

    described = json.loads(visit.page.request.get(f"{visit.url}/openapi.json").text())["paths"]

    asked = {request.url.removeprefix(visit.url).split("?")[0] for request in visit.requests if "/api/" in request.url}
    assert asked <= set(described)


def test_text_files_travel_compressed(serve: Serve, look: Look) -> None:
    visit = look(serve())

    answer = visit.page.request.get(f"{visit.url}/static/app.js")

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text() == (STATIC / "app.js").read_text()
    assert len(gzip.compress(answer.body())) < len(answer.body())
