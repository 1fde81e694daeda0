"""What the doctor sees on a real server whose settings are wrong, and that its remedies help."""

import os
import shlex
import signal
from collections.abc import Iterator, Mapping

import board as boards
import pytest
import redis
from board import Board, MakeBoard, until
from conftest import Start
from messages import wire

from dashboard.collector import Collected
from dashboard.doctor import examine
from dashboard.schemas.live import Finding
from lab.processes import Process
from lab.server import Server
from townpost import keys

board = boards.board


@pytest.fixture(scope="module")
def ill_server() -> Iterator[Server]:
    """Its settings are changed, so it is nobody else's."""
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def page(ill_server: Server) -> Iterator[Board]:
    environment = {"REDIS_URL": ill_server.url, "PATTERN": "both", "DASHBOARD_PORT": "0"}
    process = Process("dashboard", environment=environment)
    one = Board(process)
    yield one
    one.client.close()
    process.stop()


@pytest.fixture
def patient(ill_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=ill_server.port) as client:
        yield client
        client.flushall()


def _finding(page: Board, name: str) -> dict[str, str] | None:
    found: list[dict[str, str]] = page.snapshot()["findings"]
    return next((finding for finding in found if finding["id"] == name), None)


SETTINGS = {
    "eviction-policy": ("maxmemory-policy", "allkeys-lru"),
    "aof-off": ("appendonly", "no"),
    "output-buffer": ("client-output-buffer-limit", "pubsub 1048576 524288 5"),
    "memory": ("maxmemory", "4mb"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_endangers_messages_is_found_and_its_remedy_helps(
    page: Board, patient: redis.Redis, name: str
) -> None:
    # Given a server that is well
    setting, value = SETTINGS[name]
    until(lambda: page.snapshot()["redis"]["up"])
    until(lambda: _finding(page, name) is None, seconds=25)

    # When somebody changes it
    if name == "memory":
        patient.set("big", "x" * 2_500_000)
    patient.config_set(setting, value)
    finding = until(lambda: _finding(page, name), seconds=25)
    assert finding is not None
    assert finding["title"]
    assert finding["remedy"]

    # Then the command that it names makes it well again
    patient.execute_command(*shlex.split(finding["command"]))
    until(lambda: _finding(page, name) is None, seconds=25)
    patient.config_set("maxmemory", 0)


def test_a_queue_that_nobody_empties_is_found(page: Board, patient: redis.Redis) -> None:
    patient.rpush("message_queue", *[wire() for _ in range(3)])

    finding = until(lambda: _finding(page, "no-consumer-queue:message_queue"))

    assert finding is not None
    assert finding["title"].startswith("3 messages wait on queue")


def test_dead_letters_that_grow_are_found(board: MakeBoard, client: redis.Redis) -> None:
    page = board(PATTERN="reliable")
    until(lambda: page.pattern("reliable"))

    client.xadd(keys.of("reliable_queue").dead, {"payload": wire(), "reason": "failed", "error": "x"})

    until(lambda: _finding(page, "dead-growing-reliable:reliable_queue"))


def test_dead_letters_of_a_stream_are_found_once_though_several_groups_read_it(
    board: MakeBoard, start: Start, client: redis.Redis
) -> None:
    # Given a stream read by two groups
    page = board(PATTERN="stream", STREAM="events")
    for group in ("billing", "email"):
        start("subscriber", PATTERN="stream", STREAM="events", CONSUMER_GROUP=group).wait_for("connected")
    until(lambda: page.pattern("stream")["subscribers"] == 1 and len(page.instances("subscriber")) == 2)

    # When a message cannot be read
    client.xadd(keys.of("events").dead, {"payload": wire(), "reason": "failed", "error": "x"})

    # Then one finding says so, with the command that lists them
    def growing() -> list[dict[str, str]]:
        return [one for one in page.snapshot()["findings"] if one["id"].startswith("dead-growing-")]

    (finding,) = until(growing)
    assert finding["title"].startswith("Dead letters of stream 'events' grow")
    assert finding["command"] == "python -m townpost dead list --pattern stream --of events"


def test_a_channel_without_subscribers_is_found(board: MakeBoard, start: Start) -> None:
    page = board(PATTERN="pubsub")
    start("publisher", PATTERN="pubsub", PUBLISH_INTERVAL="0.05")

    until(lambda: _finding(page, "no-listener-pubsub:messages"))


def test_a_replica_that_is_behind_is_found(board: MakeBoard, own_server: Server) -> None:
    # Given a replica that keeps up
    page = board(url=own_server.url, PATTERN="queue")
    with (
        Server("--replicaof", "127.0.0.1", str(own_server.port)) as replica,
        redis.Redis(port=own_server.port) as master,
    ):
        until(lambda: _online(master))
        until(lambda: _finding(page, "replica-lag-slave0") is None)

        # When it freezes, and more is written than it gets
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            for _ in range(4):
                master.set("big", "x" * 4_000_000)

            until(lambda: _finding(page, "replica-lag-slave0"), seconds=20)
        finally:
            os.kill(replica.pid, signal.SIGCONT)


def _online(master: redis.Redis) -> bool:
    about = master.info("replication")
    return any(isinstance(value, dict) and value.get("state") == "online" for value in about.values())


def _examined(**info: str) -> list[Finding]:
    reading = Collected(now=0, round_trip=0, entered={}, reports={}, connected=None, depths={}, info=info)
    return examine(reading, {}, [], [], {})


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"aof_last_write_status": "err"}, "aof-last-write-status"),
        ({"rdb_last_bgsave_status": "err"}, "rdb-last-bgsave-status"),
        ({"role": "slave", "master_host": "10.0.0.1"}, "replica"),
        ({"slave0": "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0", "role": "master"}, "replica-lag-slave0"),
        ({"slave0": "ip=10.0.0.2,port=6379,state=online,offset=5,lag=60", "role": "master"}, "replica-lag-slave0"),
    ],
)
def test_what_a_healthy_server_cannot_show(info: Mapping[str, str], name: str) -> None:
    assert [finding.id for finding in _examined(**info)] == [name]


@pytest.mark.parametrize(
    "info",
    [
        {
            "role": "master",
            "connected_slaves": "0",
            "aof_last_write_status": "ok",
            "used_memory": "5",
            "maxmemory": "0",
        },
        {"role": "master", "slave0": "ip=a,port=1,state=online,offset=90,lag=1", "master_repl_offset": "100"},
        {"used_memory": "much", "maxmemory": "?", "slave0": "nonsense,state=online", "slave_read_only": "1"},
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(info: Mapping[str, str]) -> None:
    assert _examined(**info) == []
