"""A page that stays open while the world around it ends."""

from browsing import Look, Serve
from conftest import Start
from playwright.sync_api import expect

from lab.server import Server


def test_a_restart_of_redis_is_told_and_survived(own_server: Server, start: Start, serve: Serve, look: Look) -> None:
    # Given an open page on services at work
    url = own_server.url
    start("subscriber", url=url).wait_for("listening")
    start("publisher", url=url, PUBLISH_INTERVAL="0.2").wait_for("sent #3")
    visit = look(serve(url))
    banner = visit.page.locator("#banner")
    expect(visit.page.locator("#live")).to_have_text("live")
    expect(banner).not_to_be_visible()

    # When Redis goes away
    own_server.kill()

    # Then the page says that what it shows is from before
    expect(banner).to_contain_text("Redis has not answered for")
    visit.until("document.title.startsWith('Redis is away')")
    visit.until("document.querySelector('main').hasAttribute('data-stale')")

    # And when it is back, all goes on by itself
    own_server.start()
    expect(banner).not_to_be_visible()
    expect(visit.page.locator("#live")).to_have_text("live")
    visit.until("Number(document.querySelector('[data-pattern=queue] [data-figure=received]').textContent) > 10")


def test_a_dashboard_that_is_gone_makes_the_page_stale_until_it_is_back(start: Start, serve: Serve, look: Look) -> None:
    # Given an open page
    dashboard = start("dashboard", DASHBOARD_PORT="0")
    url = dashboard.wait_for("open http://")[0].split()[-1]
    visit = look(url)
    expect(visit.page.locator("#live")).to_have_text("live")

    # When its server is killed
    dashboard.kill()

    # Then the page says so
    expect(visit.page.locator("#banner")).to_contain_text("The dashboard has not answered for")
    expect(visit.page.locator("#live")).to_have_text("stale")
    visit.until("document.title.startsWith('stale')")

    # And another one in its place is found without a reload
    serve(DASHBOARD_PORT=url.rsplit(":", 1)[-1])
    expect(visit.page.locator("#live")).to_have_text("live", timeout=30_000)
    expect(visit.page.locator("#banner")).not_to_be_visible()
