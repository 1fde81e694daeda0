"""What other sites, other hosts and people without the token get: nothing."""

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from browsing import Look, Serve
from conftest import Start
from playwright.sync_api import Browser, expect
from redis import Redis

MESSAGE = {"pattern": "queue", "text": "from another site"}


class Elsewhere(BaseHTTPRequestHandler):
    """Another site: an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


def status(url: str, method: str, path: str, headers: dict[str, str], body: object = None) -> int:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse().status
    connection.close()
    return answer


def test_a_page_of_another_site_can_send_nothing(client: Redis, serve: Serve, browser: Browser, elsewhere: str) -> None:
    # Given somebody on another site's page, with the dashboard running
    url = serve()
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere)

    # When that page tries what pages can do
    tries = [
        {"mode": "no-cors", "headers": {"Content-Type": "text/plain"}},
        {"mode": "cors", "headers": {"Content-Type": "application/json", "X-Townpost": "1"}},
    ]
    for options in tries:
        page.evaluate(
            "([url, options]) => fetch(url, options).catch(() => null)",
            [f"{url}/api/publish", {"method": "POST", "body": json.dumps(MESSAGE), "credentials": "include"} | options],
        )
    page.evaluate(
        """url => {
            const form = document.body.appendChild(document.createElement("form"));
            Object.assign(form, {method: "post", action: url, enctype: "text/plain", target: "_blank"});
            form.submit();
        }""",
        f"{url}/api/publish",
    )
    page.wait_for_timeout(500)
    read = page.evaluate("url => fetch(url).then(() => 'read', () => 'refused')", f"{url}/api/messages")

    # Then nothing was sent, and nothing can be read
    assert client.llen("message_queue") == 0
    assert read == "refused"
    context.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_name_is_refused(serve: Serve, host: str) -> None:
    assert status(serve(), "GET", "/", {"Host": host}) == 403


def test_a_post_without_our_header_is_refused(client: Redis, serve: Serve) -> None:
    url = serve()
    good = {"Content-Type": "application/json", "X-Townpost": "1"}

    assert status(url, "POST", "/api/publish", {"Content-Type": "application/json"}, MESSAGE) == 403
    assert status(url, "POST", "/api/publish", good | {"Origin": "https://evil.example"}, MESSAGE) == 403
    assert status(url, "POST", "/api/publish", good | {"Sec-Fetch-Site": "cross-site"}, MESSAGE) == 403
    assert client.llen("message_queue") == 0
    assert status(url, "POST", "/api/publish", good, MESSAGE) == 200
    assert client.llen("message_queue") == 1


def test_the_token_opens_the_page(serve: Serve, look: Look) -> None:
    # Given a dashboard with a token
    visit = look(serve(DASHBOARD_TOKEN="open sesame"))  # noqa: S106 - of this test
    token = visit.page.get_by_label("Token")
    enter = visit.page.get_by_role("button", name="Sign in")

    # When a wrong one is given
    token.fill("open barley")
    enter.click()
    expect(visit.page.locator(".login .bad")).to_contain_text("not the token")

    # Then only the right one opens it, and no script can read the cookie
    token.fill("open sesame")
    enter.click()
    expect(visit.page.locator("#live")).to_have_text("live")
    expect(visit.page.locator("h1")).to_have_text("No service is running yet.")
    assert visit.page.evaluate("document.cookie") == ""


def test_a_page_whose_login_has_ended_asks_for_the_token_again(start: Start, serve: Serve, look: Look) -> None:
    # Given a page that is signed in
    secret = {"DASHBOARD_TOKEN": "open sesame"}
    dashboard = start("dashboard", DASHBOARD_PORT="0", **secret)
    visit = look(dashboard.wait_for("open http://")[0].split()[-1])
    visit.page.get_by_label("Token").fill("open sesame")
    visit.page.get_by_role("button", name="Sign in").click()
    expect(visit.page.locator("#live")).to_have_text("live")

    # When the dashboard starts anew, and with it all logins end
    dashboard.kill()
    serve(DASHBOARD_PORT=visit.url.rsplit(":", 1)[-1], **secret)

    # Then it asks, and does not claim to be cut off
    expect(visit.page.get_by_label("Token")).to_be_visible(timeout=30_000)
    expect(visit.page.locator("#banner")).not_to_be_visible()


def test_the_policy_lets_nothing_inline_or_foreign_run(serve: Serve, look: Look) -> None:
    visit = look(serve())

    visit.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            document.body.append(script);
        }"""
    )

    assert visit.page.evaluate("window.broken") is None
    assert any("Content Security Policy" in words for words in visit.complaints)
    visit.complaints.clear()
