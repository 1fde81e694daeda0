"""Who may ask, and for what."""

import hashlib
import hmac
import socket
from collections.abc import Callable, Iterator

import board as boards
import pytest
import redis
from board import Board, MakeBoard, opened, until
from conftest import Run
from messages import wire

from dashboard.guard import COOKIE, Keys
from lab.processes import Process
from lab.server import Server
from townpost import keys

board = boards.board

READS = ["/api/snapshot", "/api/messages", "/api/history", "/api/dead/reliable", "/metrics"]
BEARER = {"Authorization": "Bearer open sesame"}
MESSAGE = {"pattern": "queue", "text": "hi"}


@pytest.fixture(scope="module")
def page(shared_server: Server) -> Iterator[Board]:
    """One for all that only ask."""
    environment = {"REDIS_URL": shared_server.url, "PATTERN": "queue", "DASHBOARD_PORT": "0", "DASHBOARD_WRITE": "1"}
    process = Process("dashboard", environment=environment)
    one = Board(process)
    yield one
    one.client.close()
    process.stop()


@pytest.fixture(scope="module")
def guarded(shared_server: Server) -> Iterator[Board]:
    """One with a token, and names of its own."""
    environment = {"DASHBOARD_TOKEN": "open sesame", "DASHBOARD_HOSTS": "townpost.example, other"}
    process = Process("dashboard", environment={"REDIS_URL": shared_server.url, "DASHBOARD_PORT": "0"} | environment)
    one = Board(process)
    yield one
    one.client.close()
    process.stop()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "user@localhost",
        "",
        "[::",
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/index.html", "/healthz", "/metrics", "/api/snapshot", "/api/events"])
def test_another_host_name_is_refused(page: Board, host: str, path: str) -> None:
    assert page.get(path, Host=host).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8321", "127.0.0.1:1", "[::1]:8321", "LOCALHOST", "townpost.example:80"]
)
def test_its_own_names_are_taken(guarded: Board, host: str) -> None:
    assert guarded.get("/healthz", Host=host).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Townpost": None}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
    ],
)
def test_a_post_from_another_site_changes_nothing(
    page: Board, client: redis.Redis, headers: dict[str, str | None], status: int
) -> None:
    # Given what a page of another site can have a browser send
    given = {"X-Townpost": "1", "Content-Type": "application/json"} | headers

    answer = page.client.post(
        "/api/publish",
        content='{"pattern": "queue", "text": "hi"}',
        headers={name: value for name, value in given.items() if value is not None},
    )

    assert (answer.status_code, client.llen("message_queue")) == (status, 0)
    assert answer.json()["problem"]


def test_a_post_from_the_page_itself_is_taken(page: Board, client: redis.Redis) -> None:
    answer = page.post("/api/publish", MESSAGE, Origin=page.url, **{"Sec-Fetch-Site": "same-origin"})

    assert (answer.status_code, client.llen("message_queue")) == (200, 1)


def test_other_sites_get_no_stream_either(page: Board) -> None:
    assert page.get("/api/events", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(page: Board, method: str) -> None:
    assert page.client.request(method, "/api/publish", headers={"X-Townpost": "1"}).status_code in (403, 405, 415)


WRITES = {
    "/api/publish": MESSAGE,
    "/api/dead/reliable/requeue": {"all": True},
    "/api/dead/reliable/purge": {"all": True},
    "/api/dead/reliable/1-1/edit": {"payload": wire().decode()},
    "/api/scheduled/reliable/now": {"members": ["1-a"]},
    "/api/scheduled/reliable/purge": {"members": ["1-a"]},
}


@pytest.mark.parametrize("path", WRITES)
def test_read_only_is_the_default(guarded: Board, path: str) -> None:
    answer = guarded.post(path, WRITES[path], **BEARER)

    assert (answer.status_code, "DASHBOARD_WRITE" in answer.json()["problem"]) == (403, True)
    assert guarded.json("/api/session")["write"] is False


def test_every_route_that_changes_something_is_in_the_test_above(page: Board) -> None:
    posts = {path for path, methods in page.json("/openapi.json")["paths"].items() if "post" in methods}

    named = {path.replace("reliable", "{pattern}").replace("1-1", "{dead_letter_id}") for path in WRITES}
    assert posts - {"/api/login", "/api/logout"} == named


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "open sesame"},
        {"Cookie": "townpost_session=open sesame"},
        {"Cookie": 'townpost_session="\\'},
    ],
)
def test_a_token_is_asked_for(guarded: Board, path: str, given: dict[str, str]) -> None:
    assert guarded.get(path, **given).status_code == 401
    assert guarded.get(path, **BEARER).status_code == 200


@pytest.fixture(scope="module")
def given_cookie(guarded: Board) -> str:
    """One that this dashboard gave."""
    answer = guarded.post("/api/login", {"token": "open sesame"})
    guarded.client.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


def _last_digit_changed(cookie: str) -> str:
    return cookie[:-1] + ("0" if cookie[-1] != "0" else "1")


@pytest.mark.parametrize(
    "forge",
    [
        lambda given: "0" * len(given),
        _last_digit_changed,
        lambda given: given[:-1],
        lambda given: given + "0",
        lambda _: hashlib.sha256(b"open sesame").hexdigest(),
        lambda _: hmac.new(b"", b"open sesame", hashlib.sha256).hexdigest(),
        lambda _: Keys("open sesame").cookie,
        lambda _: "opensesame",
    ],
    ids=["noughts", "one digit", "shorter", "longer", "hash of the token", "hmac of it", "another process's", "text"],
)
def test_only_a_cookie_that_it_gave_opens_the_page(
    guarded: Board, given_cookie: str, forge: Callable[[str], str]
) -> None:
    # Given a cookie that parses, of the right form, and was not given here
    forged = forge(given_cookie)

    assert guarded.get("/api/snapshot", Cookie=f"{COOKIE}={forged}").status_code == 401
    assert guarded.get("/api/snapshot", Cookie=f"{COOKIE}={given_cookie}").status_code == 200


def test_without_the_token_there_is_no_stream_and_nothing_is_changed(guarded: Board) -> None:
    assert guarded.get("/api/events").status_code == 401
    assert guarded.post("/api/publish", MESSAGE).status_code == 401
    assert guarded.json("/api/session")["authenticated"] is False
    assert guarded.get("/").status_code == guarded.get("/healthz").status_code == 200


def test_a_login_puts_a_cookie_that_is_not_the_token(guarded: Board) -> None:
    assert guarded.post("/api/login", {"token": "wrong"}).status_code == 401
    answer = guarded.post("/api/login", {"token": "open sesame"})

    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "sesame" not in cookie
    assert guarded.json("/api/snapshot")
    assert guarded.post("/api/logout", {}).json()["authenticated"] is False
    assert guarded.get("/api/snapshot").status_code == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/snapshot", "/openapi.json", "/nowhere", "/static/index.html"])
def test_every_answer_has_its_safety_headers(page: Board, path: str) -> None:
    headers = page.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/static/../__main__.py", "/static/%2e%2e/__main__.py", "/nowhere"]
)
def test_there_is_nothing_else(page: Board, path: str) -> None:
    answer = page.get(path)

    assert answer.status_code == 404
    assert answer.json()["problem"]


def test_a_body_without_end_is_refused(page: Board) -> None:
    answer = page.client.post(
        "/api/publish",
        content=b'{"pattern": "queue", "text": "' + b"x" * (17 * 1024 * 1024),
        headers={"X-Townpost": "1", "Content-Type": "application/json"},
    )

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "content",
    [
        {"pattern": "pigeon", "text": "hi"},
        {"pattern": "queue", "text": "hi", "delay": 5},
        {"pattern": "queue", "text": "hi", "count": 10_001},
        {"pattern": "queue", "text": "hi", "count": "5"},
        {"pattern": "queue", "text": "hi", "priority": 10},
        {"pattern": "queue", "text": "hi", "unknown": 1},
        {"pattern": "queue"},
        [],
        "hi",
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_told_in_one_line(page: Board, client: redis.Redis, content: object) -> None:
    answer = page.post("/api/publish", content)

    assert answer.status_code in (400, 422)
    assert "\n" not in answer.json()["problem"]
    assert client.llen("message_queue") == 0


def test_half_a_character_is_told_in_one_line(page: Board) -> None:
    answer = page.client.post(
        "/api/publish",
        content='{"pattern": "queue", "text": "\\ud800"}',
        headers={"X-Townpost": "1", "Content-Type": "application/json"},
    )

    assert answer.status_code in (400, 422), answer.text


def test_a_hundred_pages_may_be_open_and_no_more(page: Board) -> None:
    with opened(page, 100):
        assert page.get("/api/events").status_code == 503
    until(lambda: page.snapshot()["pages"] == 0)


def test_a_page_that_does_not_read_holds_up_nobody(page: Board) -> None:
    # Given a page that never reads a byte, with a small window
    host, port = page.url.removeprefix("http://").split(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

        # When another one reads
        with opened(page) as (stream,):
            until(lambda: len(stream.named("snapshot")) > 5)

    # Then it got what it asked for, and the lazy one is forgotten
    until(lambda: page.snapshot()["pages"] == 0)


def test_a_report_that_anyone_could_have_written_breaks_nothing(page: Board, client: redis.Redis) -> None:
    # Given instances that tell nonsense
    nonsense = [
        b"\xff\xfe",
        b"[1, 2]",
        b'{"id": 5}',
        b'{"id": "a", "patterns": {"queue": {"received": "many", "latency_ms": {"buckets": [1, "x"]}}}, "at": 1e999}',
        b'{"id": "b", "patterns": [], "recent": {"queue": [[1, 2, 3, 4], "x", [1, 0, "{", 9]]}, "idle_seconds": 5}',
        b'{"id": "c", "role": "<script>", "host": "\\u001b[2J", "client_id": -1, "patterns": {"<b>": {"sent": 3}}}',
        b'{"id": "d", "patterns": {"queue": {"received": ' + b"9" * 400 + b"}}}",
        b"[" * 100_000,
    ]
    now = client.time()[0]
    for number, report in enumerate(nonsense):
        client.set(keys.instance(f"n{number}"), report)
        client.zadd(keys.instances(), {f"n{number}": now})

    # When the page looks
    number = page.snapshot()["number"]
    snapshot = until(lambda: (s := page.snapshot())["number"] > number + 2 and s)

    # Then it shows what can be shown
    assert {"a", "b", "c", "d"} <= {one["id"] for one in snapshot["instances"]}
    assert snapshot["redis"]["up"]
    assert not page.process.matching("Traceback")
    assert page.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DASHBOARD_PORT": "http"}, "DASHBOARD_PORT"),
        ({"DASHBOARD_PORT": "70000"}, "DASHBOARD_PORT"),
        ({"DASHBOARD_HOST": "192.0.2.1"}, "DASHBOARD_HOST"),
        ({"DASHBOARD_HOSTS": "http://townpost.example"}, "DASHBOARD_HOSTS"),
        ({"DASHBOARD_TOKEN": "s3cret"}, "DASHBOARD_TOKEN"),
        ({"DASHBOARD_WRITE": "perhaps"}, "DASHBOARD_WRITE"),
        ({"PATTERN": "pigeon"}, "PATTERN"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(run: Run, environment: dict[str, str], named: str) -> None:
    process = run("dashboard", **environment)

    assert process.status == 2
    (line,) = process.lines
    assert named in line
    assert "s3cret" not in line


def test_a_port_that_is_taken_is_one_line(page: Board, run: Run) -> None:
    process = run("dashboard", DASHBOARD_PORT=page.url.rpartition(":")[2])

    assert process.status == 2
    (line,) = process.lines
    assert "DASHBOARD_PORT" in line
    assert "address already in use" in line


def test_it_does_not_print_its_token(guarded: Board) -> None:
    guarded.get("/api/snapshot", **BEARER)

    assert not guarded.process.matching("sesame")


def test_health_is_for_the_container(board: MakeBoard, run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = str(tmp_path_factory.mktemp("health") / "health")
    board(HEALTH_FILE=file)

    until(lambda: run("dashboard", "health", HEALTH_FILE=file).status == 0)
