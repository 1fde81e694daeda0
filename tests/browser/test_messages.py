"""The feed: what passes by, as text and nothing but text."""

import json
from uuid import uuid4

import pytest
from browsing import Look, Serve, Visit
from conftest import Start
from playwright.sync_api import expect
from redis import Redis

HOSTILE = {
    "a script": "<script>window.broken = 1</script>",
    "an image": "<img src=x onerror='window.broken = 1'>",
    "quotes": "\"'`</textarea></title>${window.broken = 1}",
    "right to left": "\u202egnp.exe\u202c שלום",
    "control characters": "\x1b[31mred\x07\x00end",
    "a template": "{{constructor.constructor('window.broken=1')()}}",
}


def wire(text: str, sender: str = "me", **more: object) -> str:
    fields = {"id": str(uuid4()), "timestamp": "2026-01-01T00:00:00Z", "message": text, "sender": sender, "count": 1}
    return json.dumps(fields | more)


def line(visit: Visit, text: str) -> None:
    expect(visit.page.locator(".feed li", has_text=text).first).to_be_visible()


def test_the_feed_can_be_filtered_paused_and_opened(client: Redis, start: Start, serve: Serve, look: Look) -> None:
    # Given a page that shows what passes by
    start("subscriber").wait_for("listening on 'messages'")
    visit = look(serve())
    visit.go("messages")
    expect(visit.page.locator(".empty:visible")).to_contain_text("Nothing has passed by yet")
    client.rpush("message_queue", wire("to the office", sender="anna", data={"order": 7}))
    client.publish("messages", wire("to the square", sender="bert"))
    line(visit, "to the office")
    line(visit, "to the square")

    # When it is filtered
    rows = visit.page.locator(".feed li")
    for name, value, left in (
        ("Pattern", "pubsub", "to the square"),
        ("Sender contains", "ann", "to the office"),
        ("Text or id contains", "SQUARE", "to the square"),
    ):
        control = visit.page.get_by_label(name, exact=True)
        if name == "Pattern":
            control.select_option(value)
        else:
            control.fill(value)

        # Then only what was asked for is left
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text(left)
        if name == "Pattern":
            control.select_option("")
        else:
            control.fill("")

    # And a click shows the JSON
    visit.page.locator(".feed li", has_text="to the office").get_by_role("button").click()
    expect(visit.page.locator("dialog pre")).to_contain_text('"order": 7')
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("dialog")).to_have_count(0)

    # And while it is paused nothing is added
    visit.page.get_by_role("button", name="Pause").click()
    client.publish("messages", wire("unseen so far"))
    expect(visit.page.locator(".head p")).to_contain_text("1 line came since")
    assert visit.page.locator(".feed li", has_text="unseen so far").count() == 0
    visit.page.get_by_role("button", name="Go on").click()
    line(visit, "unseen so far")


def test_hostile_text_is_shown_as_text(client: Redis, start: Start, serve: Serve, look: Look) -> None:
    # Given a page on the feed
    start("subscriber", PATTERN="queue").wait_for("listening")
    visit = look(serve(PATTERN="queue"))
    visit.go("messages")

    # When messages bring markup in every field, and bytes that are no message; one by one, as a batch shows but one
    payloads = [wire(text, sender=text).encode() for text in HOSTILE.values()]
    for number, payload in enumerate([*payloads, b"<script>window.broken = 1</script>\xff\xfe"], start=1):
        client.rpush("message_queue", payload)
        expect(visit.page.locator(".feed li")).to_have_count(number)

    # Then each is there to be read, and nothing of it is alive
    shown = visit.page.locator(".feed .clip").all_text_contents()
    for name in ("a script", "an image", "quotes", "right to left", "a template"):
        assert HOSTILE[name] in shown, name
    for number in range(len(HOSTILE) + 1):
        visit.page.locator(".feed li button").nth(number).click()
        expect(visit.page.locator("dialog pre")).to_be_visible()
        visit.page.keyboard.press("Escape")
    assert visit.page.evaluate("window.broken") is None
    assert visit.page.locator("main script, main img, dialog script").count() == 0


def test_a_message_of_a_mebibyte_is_cut_short(client: Redis, start: Start, serve: Serve, look: Look) -> None:
    start("subscriber", PATTERN="queue", HANDLER="builtins:id").wait_for("listening")
    visit = look(serve(PATTERN="queue"))
    visit.go("messages")

    client.rpush("message_queue", wire("x" * (1024 * 1024 - 200)))

    visit.page.locator(".feed li button").click()
    expect(visit.page.locator("dialog .facts")).to_contain_text("KiB, shown in part")
    assert len(visit.page.locator("dialog pre").inner_text()) <= 4096


@pytest.mark.parametrize("field", ["error", "payload"])
def test_hostile_dead_letters_are_text_too(client: Redis, serve: Serve, look: Look, field: str) -> None:
    text = HOSTILE["an image"]
    dead_letter = {"payload": wire("x"), "reason": "failed", "error": "x", "attempts": "5", "by": "y"} | {field: text}
    client.xadd("{reliable_queue}:dead", dead_letter)  # type: ignore[arg-type]  # its types are not covariant
    visit = look(serve(PATTERN="reliable"))

    visit.go("queues")

    expect(visit.page.locator("tbody tr")).to_contain_text("onerror='window.broken = 1'")
    visit.page.locator("tbody .plain").click()
    expect(visit.page.locator("dialog")).to_contain_text("onerror='window.broken = 1'")
    assert visit.page.evaluate("window.broken") is None
    assert visit.page.locator("img").count() == 0
