"""The overview: what is promised, what happens, what is lost, at a glance."""

from browsing import Look, Serve
from conftest import Run, Start
from playwright.sync_api import expect
from redis import Redis


def test_cards_show_what_flows(start: Start, serve: Serve, look: Look) -> None:
    # Given a publisher and two subscribers on both patterns
    for _ in range(2):
        start("subscriber").wait_for("listening")
    start("publisher", PUBLISH_INTERVAL="0.1")

    # When somebody opens the page
    visit = look(serve())

    # Then each pattern has a card with its promise, and pub/sub reaches both subscribers
    for pattern, promise in (("pubsub", "nobody else ever will"), ("queue", "waits")):
        expect(visit.page.locator(f"article[data-pattern={pattern}] header p")).to_contain_text(promise)
    visit.until("document.querySelectorAll('article[data-pattern=pubsub] .scene .house').length === 2")
    visit.until("Number(document.querySelector('[data-pattern=queue] [data-figure=received]').textContent) > 20")
    assert visit.figure("pubsub", "lost") == "0"
    assert int(visit.figure("pubsub", "received")) > int(visit.figure("queue", "received"))
    expect(visit.page.locator("h1")).to_have_text("So far the same on both paths.")
    assert visit.page.title() == "all is well · Townpost"


def test_what_pubsub_loses_is_shown_exactly(client: Redis, start: Start, run: Run, serve: Serve, look: Look) -> None:
    # Given a page that watches, and nobody who listens
    visit = look(serve())
    expect(visit.page.locator("h1")).to_have_text("No service is running yet.")

    # When ten messages are sent both ways, and then a subscriber comes
    run("publisher", "--count", "10", "--interval", "0.2")
    start("subscriber").wait_for("Received #10 from queue")

    # Then the queue kept them, and pubsub did not
    expect(visit.page.locator("h1")).to_have_text("pubsub lost 10 more than the queue.")
    assert visit.figure("pubsub", "lost") == "10"
    assert visit.figure("queue", "lost") == "0"
    visit.until("document.title === '10 lost · Townpost'")
    assert client.llen("message_queue") == 0


def test_all_four_patterns_have_their_cards(start: Start, serve: Serve, look: Look) -> None:
    start("subscriber", PATTERN="all").wait_for("'message_stream'")
    start("publisher", PATTERN="all", PUBLISH_INTERVAL="0.2")

    visit = look(serve(PATTERN="all"), reduced_motion="no-preference")

    for title in ("The town crier", "The post office", "Registered mail", "The town ledger"):
        expect(visit.page.get_by_role("article", name=title)).to_be_visible()
    visit.until("document.querySelectorAll('.pattern .uplot canvas').length === 8")
    visit.until("document.querySelectorAll('.scene .dot').length > 0")


def test_nothing_moves_for_those_who_want_it_so(start: Start, serve: Serve, look: Look) -> None:
    start("subscriber").wait_for("listening")
    start("publisher", PUBLISH_INTERVAL="0.05")

    visit = look(serve())

    # the rates stand on the roads instead
    visit.until("/[0-9]\\/s/.test(document.querySelector('[data-pattern=queue] .scene .rate')?.textContent)")
    visit.until("Number(document.querySelector('[data-pattern=queue] [data-figure=received]').textContent) > 20")
    assert visit.page.locator(".scene .dot").count() == 0
