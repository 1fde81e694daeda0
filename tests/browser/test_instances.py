"""Who is there, and who no longer is."""

import signal
import time
from collections.abc import Callable

import pytest
from browsing import Look, Serve
from conftest import Start
from playwright.sync_api import expect


@pytest.mark.alone
def test_a_subscriber_is_seen_to_come_and_to_be_killed_within_three_seconds(
    start: Start, serve: Serve, look: Look
) -> None:
    # Given an open page and one subscriber
    start("subscriber").wait_for("listening")
    visit = look(serve())
    visit.go("instances")
    rows = visit.page.locator("tbody tr", has_text="subscriber")
    expect(rows).to_have_count(1)

    # When another comes
    other = start("subscriber")
    other.wait_for("listening")
    came = time.monotonic()
    expect(rows).to_have_count(2, timeout=3000)
    print(f"seen to come after {time.monotonic() - came:.1f} s")

    # And is killed
    other.kill()
    killed = time.monotonic()
    expect(visit.page.locator("tr[data-state=gone]")).to_contain_text("killed, crashed or cut off", timeout=3000)
    print(f"seen to be gone after {time.monotonic() - killed:.1f} s")


def test_one_that_stops_in_order_is_not_called_killed(start: Start, serve: Serve, look: Look) -> None:
    subscriber = start("subscriber")
    subscriber.wait_for("listening")
    visit = look(serve())
    visit.go("instances")
    expect(visit.page.locator("tbody tr", has_text="subscriber")).to_have_count(1)

    subscriber.stop()

    expect(visit.page.locator("tr[data-state=gone]")).to_contain_text("said goodbye")


def test_one_that_hangs_is_called_stalled(
    start: Start, serve: Serve, look: Look, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a handler that never comes back
    stalled = handler("import time\n\ndef handle(message):\n    time.sleep(3600)\n")
    start("subscriber", PATTERN="queue", HEALTH_SECONDS="2", **stalled).wait_for("listening")
    visit = look(serve(PATTERN="queue"))
    visit.go("instances")

    # When it gets a message
    start("publisher", "--count", "1", PATTERN="queue")

    # Then the page says so, and which loop
    row = visit.page.locator("tbody tr", has_text="subscriber")
    expect(row).to_contain_text("stalled")
    expect(row).to_contain_text("queue has not turned")


def test_one_that_is_frozen_is_called_silent(start: Start, serve: Serve, look: Look) -> None:
    subscriber = start("subscriber")
    subscriber.wait_for("listening")
    visit = look(serve())
    visit.go("instances")
    expect(visit.page.locator("tbody tr", has_text="subscriber")).to_have_count(1)

    subscriber.signal(signal.SIGSTOP)

    expect(visit.page.locator("tbody tr", has_text="subscriber")).to_contain_text("silent")
    subscriber.signal(signal.SIGCONT)


def test_nobody_is_an_answer_too(serve: Serve, look: Look) -> None:
    visit = look(serve())

    expect(visit.page.locator("h1")).to_have_text("No service is running yet.")
    visit.go("doctor")
    expect(visit.page.locator("main")).to_contain_text("Doctor")
