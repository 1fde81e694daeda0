"""Starting, stopping and being well: what an operator sees."""

import re
import socket
from pathlib import Path

import httpx
import pytest
from api_process import ApiProcess, until
from conftest import Run, Start
from own_postgres import Postgres

from lab.server import Server


def complaint(process_lines: list[str]) -> str:
    """The one line it said on its way out."""
    told = [line for line in process_lines if line.startswith("tasks-api: ")]
    assert len(told) == 1, process_lines
    assert not any("Traceback" in line for line in process_lines)
    return told[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"DATABASE_URL": "mysql://user:secret@host/db"}, ["DATABASE_URL", "postgresql://user:password@host"]),
        ({"DATABASE_URL": "postgresql://host:5432"}, ["DATABASE_URL", "/database"]),
        ({"DATABASE_URL": "postgresql://u:secret@host:port/db"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "sqlite:////no/such/folder/tasks.db"}, ["DATABASE_URL", "/no/such/folder does not exist"]),
        ({"DATABASE_URL": "sqlite:////proc/version"}, ["DATABASE_URL"]),
        ({"INDEX_URL": "redis://host"}, ["INDEX_URL", "Elasticsearch"]),
        ({"PATTERN": "smoke"}, ["PATTERN", "pubsub, queue, reliable, stream"]),
        ({"API_PORT": "65536"}, ["API_PORT"]),
        ({"API_HOST": "192.0.2.1"}, ["API_HOST=192.0.2.1", "API_PORT"]),
        ({"API_HOST": "no such host"}, ["API_HOST", "no such address"]),
        ({"TASKS_PREFIX": "a*b"}, ["TASKS_PREFIX"]),
        ({"MAX_MESSAGE_BYTES": "1000"}, ["MAX_MESSAGE_BYTES", "1048576"]),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    run: Run, tmp_path: Path, settings: dict[str, str], words: list[str]
) -> None:
    given = {"DATABASE_URL": f"sqlite:///{tmp_path}/tasks.db", "API_PORT": "0"} | settings

    process = run("tasks.api", url="redis://127.0.0.1:1", **given)

    line = complaint(process.lines)
    assert process.status == 2
    assert all(word in line for word in words), line
    assert "secret" not in line


def test_a_port_that_another_has_is_named(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        process = run(
            "tasks.api", url="redis://127.0.0.1:1", DATABASE_URL=f"sqlite:///{tmp_path}/tasks.db", API_PORT=port
        )

    assert process.status == 2
    assert re.search(f"API_PORT={port} cannot be used: address already in use", complaint(process.lines))


def test_a_database_that_never_answers_is_waited_for_and_named(run: Run) -> None:
    process = run(
        "tasks.api",
        url="redis://127.0.0.1:1",
        DATABASE_URL="postgresql://user:secret@127.0.0.1:1/tasks",
        API_PORT="0",
        CONNECT_TIMEOUT="1",
    )

    line = complaint(process.lines)
    assert process.status == 1
    assert all(word in line for word in ("CONNECT_TIMEOUT=1", "DATABASE_URL", "postgresql://user:***@127.0.0.1:1"))


@pytest.mark.parametrize("change", [("townpost:", "townpost:wrong"), ("/postgres", "/nothing")])
def test_a_refusal_of_postgresql_is_not_waited_for(run: Run, postgres: Postgres, change: tuple[str, str]) -> None:
    url = f"{postgres.url}postgres".replace(*change)

    process = run("tasks.api", url="redis://127.0.0.1:1", DATABASE_URL=url, API_PORT="0", CONNECT_TIMEOUT="60")

    line = complaint(process.lines)
    assert process.status == 2
    assert "DATABASE_URL" in line
    assert postgres.password not in line


def test_a_file_that_is_no_database_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_text("some text, not a database" * 100)

    process = run("tasks.api", url="redis://127.0.0.1:1", DATABASE_URL=f"sqlite:///{tmp_path}/tasks.db", API_PORT="0")

    assert process.status == 2
    assert "not a database" in complaint(process.lines)


def test_it_waits_for_a_database_that_comes_later(start: Start, server: Server, postgres: Postgres) -> None:
    # Given PostgreSQL away
    url = postgres.make_database()
    postgres.stop()
    process = start("tasks.api", url=server.url, DATABASE_URL=url, API_PORT="0")
    process.wait_for("the database does not answer")

    # When it comes
    postgres.start()

    # Then the service does, too
    process.wait_for("listening on")
    process.stop()
    postgres.drop(url)


def test_two_instances_may_start_together(start: Start, server: Server, database_url: str) -> None:
    processes = [start("tasks.api", url=server.url, DATABASE_URL=database_url, API_PORT="0") for _ in range(2)]

    for process in processes:
        process.wait_for("listening on")

    assert sorted("made now" in process.matching("tables of version")[0] for process in processes) == [False, True]


def test_a_stop_answers_what_is_being_asked(start: Start, server: Server, tmp_path: Path) -> None:
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", server.url)

    # Given a request whose body is on its way
    with socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2]))) as sock:
        body = b'{"description": "at the last moment"}'
        head = f"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        sock.sendall(head.encode() + b"\r\n" + body[:5])
        httpx.get(f"{api.url}/healthz")  # by now the request before this one has begun

        # When the service is stopped, and the rest arrives
        api.process.signal(15)
        api.process.wait_for("waiting for what is in flight")
        sock.sendall(body[5:])

        # Then it is answered
        assert sock.recv(1000).startswith(b"HTTP/1.1 201")
    assert api.process.wait() == 0


def test_the_health_check_tells_of_a_service_that_is_well(
    start: Start, run: Run, server: Server, tmp_path: Path
) -> None:
    health = tmp_path / "health"
    assert run("tasks.api", "health", HEALTH_FILE=str(health)).status == 1

    ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", server.url, HEALTH_FILE=str(health))
    until(health.exists)

    assert run("tasks.api", "health", HEALTH_FILE=str(health)).status == 0


def test_the_log_names_what_was_asked_without_letting_it_steer_the_terminal(
    start: Start, server: Server, tmp_path: Path
) -> None:
    api = ApiProcess(start, f"sqlite:///{tmp_path}/tasks.db", server.url)

    httpx.get(f"{api.url}/%1B[31m")

    [line] = api.process.wait_for("GET /")
    assert r"GET /\x1b[31m: 404 in" in line


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["dance"], 2)])
def test_help_is_given(run: Run, arguments: list[str], status: int) -> None:
    process = run("tasks.api", *arguments, url="redis://127.0.0.1:1")

    assert process.status == status
    assert any("python -m tasks.api health" in line for line in process.lines)
