"""What a person sees of queues and groups that the dashboard was not told of, and of a loss."""

import re
from collections.abc import Callable

from browsing import Look, Serve
from conftest import Run, Start
from playwright.sync_api import expect


def test_a_queue_of_the_librarys_has_a_card_of_its_own(start: Start, run: Run, serve: Serve, look: Look) -> None:
    # Given a page, and a queue that its settings do not name
    visit = look(serve())
    start("subscriber", PATTERN="reliable", RELIABLE_QUEUE="orders").wait_for("connected")

    # When three are sent there
    run("publisher", "hi", "--count", "3", PATTERN="reliable", RELIABLE_QUEUE="orders")

    # Then its card shows them, its dead letters can be chosen, and nobody says that nothing was sent
    card = visit.page.locator("article[data-path='reliable:orders']")
    expect(card.locator("[data-figure=received]")).to_have_text("3")
    expect(card.locator(".scene .key")).to_have_text("orders")
    visit.go("queues")
    expect(visit.page.get_by_role("tab", name="Dead letters")).to_be_visible()
    expect(visit.page.get_by_text("No dead letters")).to_be_visible()
    assert not visit.complaints


def test_each_group_of_a_stream_has_a_card(start: Start, run: Run, serve: Serve, look: Look) -> None:
    visit = look(serve(PATTERN="stream"))
    for group in ("billing", "email"):
        start("subscriber", PATTERN="stream", CONSUMER_GROUP=group).wait_for("connected")

    run("publisher", "hi", "--count", "5", PATTERN="stream")

    for group in ("billing", "email"):
        card = visit.page.locator(f"article[data-path='stream:message_stream:{group}']")
        expect(card.locator("header")).to_contain_text(group)
        expect(card.locator("[data-figure=received]")).to_have_text("5")
        expect(card.locator("[data-figure=depth]")).to_have_text("0")
    assert visit.page.locator("article").count() == 2


def test_a_message_is_not_counted_once_for_each_way_it_took(start: Start, run: Run, serve: Serve, look: Look) -> None:
    visit = look(serve())
    start("subscriber").wait_for("connected", count=2)

    run("publisher", "hi", "--count", "16")

    visit.go("instances")
    expect(visit.page.locator("tbody tr", has_text="publisher")).to_contain_text("16 + 16")


def test_the_page_denies_no_loss(
    start: Start, run: Run, serve: Serve, look: Look, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a subscriber of queue alone with a message in its hands
    visit = look(serve(PATTERN="queue"))
    hangs = handler("import time\ndef handle(message): time.sleep(60)")
    victim = start("subscriber", PATTERN="queue", **hangs)
    victim.wait_for("connected")
    run("publisher", "hi", "--count", "1", PATTERN="queue")
    expect(visit.page.locator("[data-pattern=queue] [data-figure=received]")).to_have_text("1")

    # When it is killed
    victim.kill()

    # Then the page says so, and how far it knows
    expect(visit.page.locator("h1")).to_have_text("1 message lost at most.")
    expect(visit.page.locator("[data-pattern=queue] [data-figure=lost]")).to_have_text(re.compile("^0.1$"))
