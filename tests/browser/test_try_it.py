"""Send from the page, and see where it went."""

from browsing import Look, Serve
from conftest import Start
from playwright.sync_api import expect
from redis import Redis


def test_a_message_goes_both_ways_and_is_followed(start: Start, serve: Serve, look: Look) -> None:
    # Given two subscribers
    for _ in range(2):
        start("subscriber").wait_for("listening on 'messages'")
    visit = look(serve())
    visit.go("try-it")
    expect(visit.page.get_by_role("button", name="Send")).to_be_enabled()

    # When a message is sent
    visit.page.get_by_label("Text").fill("Is anybody there?")
    visit.page.get_by_role("button", name="Send").click()

    # Then the page tells what Redis said, and who got it: both of pubsub, one of the queue
    result = visit.page.locator(".sent").first
    expect(result).to_contain_text("Is anybody there?")
    went = result.locator(".went")
    expect(went.nth(0)).to_contain_text("2 receivers")
    visit.until("document.querySelectorAll('.went')[0].textContent.split('subscriber-').length === 3")
    visit.until("document.querySelectorAll('.went')[1].textContent.split('subscriber-').length === 2")


def test_nobody_listens_is_said(client: Redis, serve: Serve, look: Look) -> None:
    visit = look(serve())
    visit.go("try-it")

    visit.page.get_by_role("button", name="Send").click()

    expect(visit.page.locator(".went").nth(0)).to_contain_text("nobody is listening, it is gone")
    expect(visit.page.locator(".went").nth(1)).to_contain_text("length 1")
    assert client.llen("message_queue") == 1


def test_a_burst_is_sent_to_its_end(client: Redis, serve: Serve, look: Look) -> None:
    visit = look(serve(PATTERN="queue"))
    visit.go("try-it")

    visit.page.get_by_label("How many").fill("500")
    visit.page.get_by_role("button", name="Send").click()

    expect(visit.page.locator(".sent")).to_contain_text("500 messages")
    assert client.llen("message_queue") == 500


def test_priority_and_delay_are_offered_where_they_work(client: Redis, serve: Serve, look: Look) -> None:
    # Given a page of a pattern that can, and of one that cannot
    visit = look(serve(PATTERN="reliable,queue"))
    visit.go("try-it")
    expect(visit.page.get_by_label("queue")).to_be_checked()
    expect(visit.page.get_by_label("Delay")).to_have_count(1)
    expect(visit.page.get_by_label("Delay")).not_to_be_visible()

    # When only the one that can is chosen
    visit.page.get_by_label("queue").uncheck()
    visit.page.get_by_label("Delay").fill("60")
    visit.page.get_by_label("Priority").fill("9")
    visit.page.get_by_role("button", name="Send").click()

    # Then the message waits for its time
    expect(visit.page.locator(".sent .went")).to_be_visible()
    visit.until("document.querySelector('.sent .went').textContent.length > 12")
    assert client.zcard("{reliable_queue}:scheduled") == 1


def test_what_cannot_be_sent_is_said(serve: Serve, look: Look) -> None:
    visit = look(serve(PATTERN="queue", MAX_MESSAGE_BYTES="300"))
    visit.go("try-it")

    visit.page.get_by_label("Text").fill("x" * 1000)
    visit.page.get_by_role("button", name="Send").click()

    expect(visit.page.locator(".toast, .sent .bad").first).to_contain_text("MAX_MESSAGE_BYTES")
