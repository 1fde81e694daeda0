"""A key of ours that another program wrote with another type is renamed, so that our work goes on."""

import logging

import pytest
import redis

from lab.server import Server
from townpost.patterns.foreign import set_aside
from townpost.redis.connection import Connection

LOG = logging.getLogger("townpost.test")
TYPES = {"{q}:dead": "stream", "{q}:leases": "zset", "{q}:bell": "list"}


def test_only_what_has_another_type_is_renamed(
    connection: Connection, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.set("{q}:dead", "somebody's")
    client.zadd("{q}:leases", {"c1:1": 5})

    assert set_aside(connection, TYPES, LOG)

    assert client.get("{q}:dead:foreign") == b"somebody's"
    assert client.zscore("{q}:leases", "c1:1") == 5
    assert "the key {q}:dead is no stream: renamed to {q}:dead:foreign" in caplog.text


def test_where_all_types_are_right_nothing_is_found(connection: Connection, client: redis.Redis) -> None:
    client.rpush("{q}:bell", "x")

    assert not set_aside(connection, TYPES, LOG)


def test_a_user_who_may_not_rename_is_told_which_key(
    server: Server, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.set("{q}:dead", "somebody's")
    client.acl_setuser("plain", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-rename"])
    connection = Connection(server.url.replace("redis://", "redis://plain:x@"))
    try:
        connection.connect()

        assert not set_aside(connection, TYPES, LOG)
    finally:
        connection.close()
        client.acl_deluser("plain")

    assert "the key {q}:dead is no stream, and cannot be renamed" in caplog.text
    assert client.exists("{q}:dead")
