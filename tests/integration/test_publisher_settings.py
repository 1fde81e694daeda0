"""Publishers at the top level of a module: the environment is read when they are first used."""

import asyncio

import pytest
import redis

from lab.server import Server
from townpost import AsyncPublisher, Message, Publisher, SettingError


def test_publisher_reads_the_environment_at_its_first_send(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "no url at all")
    publisher = Publisher("reliable")
    monkeypatch.setenv("REDIS_URL", own_server.url)

    publisher.send(Message.create("Good morning"), to="lazy")

    publisher.close()
    with redis.Redis(port=own_server.port) as client:
        assert client.llen("lazy") == 1
    assert publisher.counts["reliable"].sent == 1


def test_async_publisher_reads_the_environment_at_its_first_send(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "no url at all")
    publisher = AsyncPublisher("reliable")
    monkeypatch.setenv("REDIS_URL", own_server.url)

    async def send() -> None:
        async with publisher:
            await publisher.send(Message.create("Good morning"), to="lazy")

    asyncio.run(send())

    with redis.Redis(port=own_server.port) as client:
        assert client.llen("lazy") == 1
    assert publisher.counts["reliable"].sent == 1


def test_wrong_settings_are_one_line_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "no url at all")
    publisher, async_publisher = Publisher(), AsyncPublisher()

    with pytest.raises(SettingError, match=r"^REDIS_URL cannot be used: [^\n]+$"):
        publisher.send(Message.create("lost"))
    with pytest.raises(SettingError, match=r"^REDIS_URL cannot be used: [^\n]+$"):
        asyncio.run(async_publisher.open())


def test_closing_what_was_never_used_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "no url at all")

    Publisher().close()
    asyncio.run(AsyncPublisher().close())


def test_an_unknown_pattern_is_refused_at_once() -> None:
    for kind in (Publisher, AsyncPublisher):
        with pytest.raises(SettingError, match="pigeon"):
            kind("pigeon")
