"""The doctor's screen: what is wrong, how badly, and the command that mends it."""

from browsing import Look, Serve
from playwright.sync_api import expect
from redis import Redis


def test_a_finding_comes_with_its_remedy_and_goes_when_it_is_mended(client: Redis, serve: Serve, look: Look) -> None:
    # Given a server that may evict queues
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        visit = look(serve())
        visit.go("doctor")

        # Then the page says so first, with what to do
        finding = visit.page.locator(".finding", has_text="evict")
        expect(finding.locator(".command code")).to_contain_text("CONFIG SET maxmemory-policy noeviction")
        expect(visit.page.locator("nav a", has_text="Doctor").locator(".badge")).to_be_visible()
    finally:
        # When somebody does it
        client.config_set("maxmemory-policy", "noeviction")

    # Then it is gone, without a reload
    expect(visit.page.locator(".finding", has_text="evict")).to_have_count(0, timeout=30_000)


def test_a_queue_without_a_listener_is_a_finding(client: Redis, serve: Serve, look: Look) -> None:
    client.rpush("message_queue", "a", "b")

    visit = look(serve(PATTERN="queue"))
    visit.go("doctor")

    expect(visit.page.locator(".finding", has_text="message_queue").first).to_be_visible(timeout=30_000)
