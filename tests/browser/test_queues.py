"""Dead letters, what is scheduled, what is in flight: seen, and acted on."""

import json
from collections.abc import Callable
from uuid import uuid4

from browsing import Look, Serve, Visit
from conftest import Start
from playwright.sync_api import Locator, expect
from redis import Redis

QUEUE = "reliable_queue"
DEAD = "{reliable_queue}:dead"


def bury(client: Redis, text: str, reason: str = "failed") -> str:
    """One dead letter; its payload."""
    fields = {"id": str(uuid4()), "timestamp": "2026-01-01T00:00:00Z", "message": text, "sender": "me", "count": 1}
    payload = json.dumps(fields)
    dead_letter = {
        "payload": payload,
        "reason": reason,
        "error": f"{reason} on purpose",
        "attempts": "5",
        "by": "somebody",
    }
    client.xadd(DEAD, dead_letter)  # type: ignore[arg-type]  # its types are not covariant
    return payload


def opened(serve: Serve, look: Look) -> Visit:
    visit = look(serve(PATTERN="reliable"))
    visit.go("queues")
    return visit


def row(visit: Visit, text: str) -> Locator:
    return visit.page.locator("tbody tr", has_text=text)


def confirm(visit: Visit) -> None:
    visit.page.locator("dialog").get_by_role("button", name="Delete").click()


def test_one_dead_letter_is_requeued(client: Redis, serve: Serve, look: Look) -> None:
    payload = bury(client, "again, please")
    visit = opened(serve, look)

    row(visit, "again, please").get_by_role("button", name="Requeue").click()

    expect(visit.page.locator(".empty:visible")).to_contain_text("No dead letters")
    assert client.lrange(QUEUE, 0, -1) == [payload.encode()]


def test_one_dead_letter_is_deleted_only_when_that_is_confirmed(client: Redis, serve: Serve, look: Look) -> None:
    bury(client, "hopeless")
    visit = opened(serve, look)
    delete = row(visit, "hopeless").get_by_role("button", name="Delete")

    delete.click()
    visit.page.get_by_role("button", name="Cancel").click()
    assert client.xlen(DEAD) == 1
    delete.click()
    visit.page.keyboard.press("Escape")
    assert client.xlen(DEAD) == 1
    delete.click()
    confirm(visit)

    expect(visit.page.locator(".empty:visible")).to_contain_text("No dead letters")
    assert not client.exists(DEAD, QUEUE)


def test_the_selected_ones_are_requeued_or_deleted(client: Redis, serve: Serve, look: Look) -> None:
    for text in ("one", "two", "three", "four"):
        bury(client, text)
    visit = opened(serve, look)

    row(visit, "one").get_by_role("checkbox").check()
    row(visit, "three").get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Requeue 2 selected").click()
    expect(visit.page.locator("tbody tr")).to_have_count(2)
    assert client.llen(QUEUE) == 2

    visit.page.get_by_role("checkbox", name="Select all that are shown").check()
    visit.page.get_by_role("button", name="Delete 2 selected").click()
    confirm(visit)
    expect(visit.page.locator("tbody tr")).to_have_count(0)
    assert client.llen(QUEUE) == 2


def test_all_of_a_reason_and_then_all(client: Redis, serve: Serve, look: Look) -> None:
    for number in range(3):
        bury(client, f"failed {number}")
        bury(client, f"unreadable {number}", "unreadable")
    visit = opened(serve, look)

    visit.page.get_by_label("Reason").select_option("unreadable")
    expect(visit.page.locator("tbody tr")).to_have_count(3)
    visit.page.get_by_role("button", name="Delete all unreadable").click()
    confirm(visit)
    expect(visit.page.locator(".empty:visible")).to_contain_text("None for this reason")
    assert client.xlen(DEAD) == 3

    visit.page.get_by_label("Reason").select_option("")
    visit.page.get_by_role("button", name="Requeue all").click()
    expect(visit.page.locator(".empty:visible")).to_contain_text("No dead letters")
    assert client.llen(QUEUE) == 3


def test_a_dead_letter_is_edited_and_requeued(client: Redis, serve: Serve, look: Look) -> None:
    # Given a dead letter whose text is wrong
    payload = json.loads(bury(client, "wrnog"))
    visit = opened(serve, look)
    row(visit, "wrnog").get_by_role("button", name="Edit").click()
    area = visit.page.get_by_label("The message as JSON")
    requeue = visit.page.locator("dialog").get_by_role("button", name="Requeue")

    # When it is made unreadable, that is refused and nothing is lost
    area.fill("{")
    requeue.click()
    expect(visit.page.locator("dialog .bad")).not_to_be_empty()
    assert client.xlen(DEAD) == 1

    # And when it is mended, it goes back
    area.fill(json.dumps(payload | {"message": "right"}))
    requeue.click()
    expect(visit.page.locator("dialog")).to_have_count(0)
    (back,) = client.lrange(QUEUE, 0, -1)
    assert json.loads(back)["message"] == "right"
    assert json.loads(back)["id"] == payload["id"]
    assert client.xlen(DEAD) == 0


def test_what_is_scheduled_is_handed_out_or_deleted(client: Redis, start: Start, serve: Serve, look: Look) -> None:
    for text in ("soon", "never"):
        start("publisher", text, "--delay", "3600", PATTERN="reliable").wait()
    visit = opened(serve, look)

    visit.page.get_by_role("tab", name="Scheduled").click()
    expect(row(visit, "soon")).to_contain_text("in 60 min")
    row(visit, "soon").get_by_role("button", name="Hand out now").click()
    expect(row(visit, "soon")).to_contain_text("due")  # the next subscriber takes it
    row(visit, "never").get_by_role("button", name="Delete").click()
    confirm(visit)
    expect(visit.page.locator("tbody tr")).to_have_count(1)

    start("subscriber", PATTERN="reliable").wait_for("soon")
    expect(visit.page.locator(".empty:visible")).to_contain_text("Nothing is scheduled")
    assert client.zcard("{reliable_queue}:scheduled") == 0


def test_what_is_in_flight_is_shown_with_its_lease(
    start: Start, serve: Serve, look: Look, handler: Callable[[str], dict[str, str]]
) -> None:
    slow = handler("import time\n\ndef handle(message):\n    time.sleep(600)\n")
    start("subscriber", PATTERN="reliable", **slow).wait_for("listening")
    start("publisher", "in my hands", PATTERN="reliable").wait()
    visit = opened(serve, look)

    visit.page.get_by_role("tab", name="In flight").click()

    expect(row(visit, "in my hands")).to_contain_text("left")


def test_a_read_only_page_offers_nothing_that_changes(client: Redis, serve: Serve, look: Look) -> None:
    bury(client, "look, do not touch")
    visit = look(serve(PATTERN="reliable", DASHBOARD_WRITE="off"))

    visit.go("queues")
    expect(row(visit, "look, do not touch")).to_be_visible()
    expect(visit.page.locator("#mode")).to_have_text("read-only")
    assert visit.page.get_by_role("button", name="Requeue").count() == 0
    assert visit.page.get_by_role("button", name="Delete").count() == 0
    visit.go("try-it")
    expect(visit.page.locator("main")).to_contain_text("This dashboard is read-only")
    expect(visit.page.get_by_role("button", name="Send")).to_have_count(0)
