"""The command `townpost`: what it prints, and one line where it cannot do its work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from conftest import Run, Start
from dead_letter_box import Q, S, bury, left, waiting
from messages import wire
from workers import until

from lab.processes import ROOT
from lab.server import Server
from townpost import keys
from townpost.cli.command import COMMANDS
from townpost.schema import documents

SHADOWED = 'raise ModuleNotFoundError("No module named \'{0}\'", name="{0}")'


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where neither rich nor FastAPI is installed."""
    for name in ("rich", "fastapi"):
        (tmp_path / f"{name}.py").write_text(SHADOWED.format(name))
    return {"PYTHONPATH": f"{tmp_path}:{ROOT / 'shared'}"}


def test_the_help_is_one_screen_with_every_command(run: Run) -> None:
    said = run("townpost", "--help")

    assert said.status == 0
    assert len(said.lines) <= 24
    for name, command in COMMANDS.items():
        assert said.matching(f"  {name} ", command.help)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(run: Run, name: str) -> None:
    said = run("townpost", name, "--help")

    assert said.status == 0
    assert said.lines[0].startswith(f"usage: townpost {name}")


def test_the_version_is_one_line(run: Run) -> None:
    said = run("townpost", "--version")

    assert said.status == 0
    assert len(said.lines) == 1
    assert said.lines[0].startswith("townpost")


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("dead",), ("dead", "list", "--nothing")])
def test_what_it_does_not_know_is_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    said = run("townpost", *arguments)

    assert said.status == 2
    assert len(said.matching("error: ")) == 1


@pytest.mark.parametrize(
    "arguments",
    [("dead", "list"), ("scheduled",), ("in-flight",), ("publish", "hi"), ("health",), ("run", "a:b"), ("dashboard",)],
)
def test_a_setting_that_cannot_be_used_is_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    said = run("townpost", *arguments, LEASE_SECONDS="long")

    assert said.status == 2
    (line,) = said.lines
    assert "LEASE_SECONDS cannot be used" in line


@pytest.mark.parametrize("arguments", [("dead", "list"), ("scheduled",), ("in-flight",)])
def test_without_redis_it_is_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    said = run("townpost", *arguments, url="redis://127.0.0.1:1")

    assert (said.status, said.lines) == (1, ["townpost: no Redis at redis://127.0.0.1:1: connection refused"])


def test_publishing_without_redis_ends_with_the_remedy(run: Run) -> None:
    said = run("townpost", "publish", "hi", url="redis://127.0.0.1:1", CONNECT_TIMEOUT="0.1")

    assert said.status == 1
    assert "start Redis there, or say in REDIS_URL (or REDIS_HOST and REDIS_PORT)" in said.lines[-1]
    assert not said.matching("Traceback")


# dead letters, scheduled, in flight


@pytest.mark.parametrize("of", [("--of", "orders"), ("--of=orders",)])
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_queue_is_named_before_or_after_the_action(
    run: Run, client: redis.Redis, where: str, of: tuple[str, ...]
) -> None:
    # Given a dead letter of another queue than that of the settings
    dead_letter = bury(client, origin="orders")
    bury(client)

    words = (*of, "list") if where == "before" else ("list", *of)
    listed = run("townpost", "dead", *words, "--json")

    assert [json.loads(line)["id"] for line in listed.lines] == [dead_letter]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_stream_is_named_with_its_pattern(run: Run, client: redis.Redis, where: str) -> None:
    bury(client, origin="events")
    which = ("--pattern", "stream", "--of", "events")

    said = run("townpost", "dead", *((*which, "purge") if where == "before" else ("purge", *which)), "--all", "--yes")

    assert (said.status, said.lines) == (0, ["purged 1"])
    assert left(client, "events") == 0


def test_without_a_name_it_is_that_of_the_setting(run: Run, client: redis.Redis) -> None:
    bury(client, "one")

    said = run("townpost", "dead", "requeue", "--all", "--yes")

    assert (said.status, said.lines) == (0, ["requeued 1"])
    assert waiting(client) == ["one"]


def test_a_dead_letter_that_is_not_there_is_named(run: Run) -> None:
    said = run("townpost", "dead", "show", "1-1")

    assert (said.status, said.lines) == (1, ["townpost: there is no dead letter 1-1"])


@pytest.mark.parametrize(
    ("command", "line"), [("scheduled", "nothing is scheduled"), ("in-flight", "nothing is in flight")]
)
def test_nothing_there_is_said(run: Run, command: str, line: str) -> None:
    said = run("townpost", command, "--of", "orders")

    assert (said.status, said.lines) == (0, [line])


def test_scheduled_and_in_flight_are_those_of_the_queue(run: Run, client: redis.Redis) -> None:
    claim = keys.of("orders").claim("host-1-abc", 1)
    client.rpush(claim, "a", "b")
    client.zadd(keys.of("orders").leases, {claim: 1e12})
    client.zadd(keys.of("orders").scheduled, {"1763800000123456" + "0001" + "0" + "tea": 1e12})

    flying = run("townpost", "in-flight", "--of", "orders", "--json")
    scheduled = run("townpost", "scheduled", "--of", "orders", "--json")

    assert [(row["claim"], row["messages"]) for row in map(json.loads, flying.lines)] == [(claim, 2)]
    assert [json.loads(line)["payload"] for line in scheduled.lines] == ["tea"]


@pytest.mark.parametrize("arguments", ["dead list --json", "dead list", "schema", "schema --asyncapi"])
def test_a_reader_that_has_seen_enough_is_no_error(server: Server, client: redis.Redis, arguments: str) -> None:
    for n in range(1_200):
        bury(client, f"{n} " + 200 * "x")

    said = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m townpost {arguments} | head -1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": server.url},
    )

    assert (said.returncode, said.stderr, len(said.stdout.splitlines())) == (0, "", 1)


def test_a_reader_that_is_gone_is_no_error() -> None:
    said = subprocess.run(
        ["bash", "-c", f"set -o pipefail; (sleep 0.5; exec {sys.executable} -m townpost --help) | true"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert (said.returncode, said.stderr) == (0, "")


def test_a_table_needs_rich_and_json_does_not(run: Run, client: redis.Redis, without: dict[str, str]) -> None:
    bury(client)

    table = run("townpost", "dead", "list", **without)
    lines = run("townpost", "dead", "list", "--json", **without)

    assert (table.status, table.lines) == (
        1,
        ["townpost: a table needs rich, which is not installed: pip install 'townpost[cli]', or use --json"],
    )
    assert (lines.status, len(lines.lines)) == (0, 1)


# publish


def test_a_text_is_published_to_a_reliable_queue_by_name(run: Run, client: redis.Redis) -> None:
    said = run("townpost", "publish", "tea", "--to", "orders", "--type", "order.placed", "--key", "customer-7")

    assert said.status == 0
    assert said.matching("publisher: sent #1 to ", "'orders'")
    (sent,) = map(json.loads, client.lrange("orders", 0, -1))
    assert (sent["message"], sent["type"], sent["key"]) == ("tea", "order.placed", "customer-7")
    assert client.keys("*queue*") == []


def test_the_pattern_says_what_a_name_is_of(run: Run, client: redis.Redis) -> None:
    assert run("townpost", "publish", "tea", "--to", "events", "--pattern", "stream").status == 0
    assert run("townpost", "publish", "tea", "--to", "plain", PATTERN="queue").status == 0

    assert (client.type("events"), client.type("plain")) == (b"stream", b"list")


def test_without_a_name_they_are_those_of_the_settings(run: Run, client: redis.Redis) -> None:
    assert run("townpost", "publish", "tea", PATTERN="stream").status == 0

    assert client.xlen(S) == 1


def test_one_name_is_not_that_of_several_keys(run: Run, client: redis.Redis) -> None:
    said = run("townpost", "publish", "tea", "--to", "orders", "--pattern", "all")

    assert said.status == 2
    assert said.lines == [
        "townpost: --to orders is one key, and queue and reliable and stream need one each: choose one with --pattern"
    ]
    assert client.keys("orders*") == []


def test_lines_keep_the_type_and_key_they_have(run: Run, client: redis.Redis, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text('"one"\n{"message": "two", "type": "own", "key": "mine"}\n')

    said = run("townpost", "publish", "--file", str(file), "--to", Q, "--type", "given", "--key", "k")

    assert said.status == 0
    sent = [json.loads(payload) for payload in client.lrange(Q, 0, -1)]
    assert [(one["type"], one["key"]) for one in sent] == [("given", "k"), ("own", "mine")]


@pytest.mark.parametrize("option", ["--type", "--key"])
@pytest.mark.parametrize("value", ["", "x" * 257, "\udcff"], ids=["empty", "long", "no UTF-8"])
def test_a_type_or_key_that_is_none_is_one_line(run: Run, option: str, value: str) -> None:
    said = run("townpost", "publish", "tea", f"{option}={value}")

    assert said.status == 2
    (line,) = said.lines
    assert line.startswith(f"townpost: {option} cannot be used: ")


@pytest.mark.parametrize("arguments", [(), ("text", "--file", "-")])
def test_either_a_text_or_a_file_is_published(run: Run, arguments: tuple[str, ...]) -> None:
    said = run("townpost", "publish", *arguments)

    assert said.status == 2
    assert said.lines[-1] == "townpost publish: error: give either a text or --file"


# health, schema, dashboard


def test_health_is_that_of_the_file(start: Start, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "health"
    unhealthy = run("townpost", "health", HEALTH_FILE=str(file))
    start("subscriber", HEALTH_FILE=str(file))
    until(file.exists)

    healthy = run("townpost", "health", HEALTH_FILE=str(file))

    assert (unhealthy.status, unhealthy.matching("unhealthy: no report")) == (1, unhealthy.lines)
    assert (healthy.status, healthy.lines) == (0, [])


@pytest.mark.parametrize(("option", "name"), [((), "message.schema"), (("--asyncapi",), "asyncapi")])
def test_the_schema_is_that_of_the_documents(run: Run, option: tuple[str, ...], name: str) -> None:
    said = run("townpost", "schema", *option)

    assert said.status == 0
    assert "\n".join(said.lines) + "\n" == documents()[ROOT / "docs" / f"{name}.json"]


def test_what_is_published_is_valid_under_the_schema(run: Run) -> None:
    schema = json.loads("\n".join(run("townpost", "schema").lines))

    assert set(json.loads(wire())) <= set(schema["properties"])


def test_the_dashboard_is_that_of_the_folder_beside_the_library(start: Start, tmp_path: Path) -> None:
    # Given a package of the user's by the same name
    (tmp_path / "dashboard.py").write_text("1 / 0")

    page = start(
        "townpost",
        "dashboard",
        DASHBOARD_PORT="0",
        PYTHONPATH=f"{tmp_path}:{ROOT / 'shared'}",
    )

    page.wait_for("http://")
    assert page.stop() == 0


def test_the_dashboard_without_fastapi_names_the_extra(run: Run, without: dict[str, str]) -> None:
    said = run("townpost", "dashboard", **without)

    assert (said.status, said.lines) == (
        1,
        ["townpost: the dashboard needs fastapi, which is not installed: pip install 'townpost[dashboard]'"],
    )
