"""REDIS_URL, or REDIS_HOST and REDIS_PORT, say where Redis is; a wrong one gives no secret away."""

import pytest

from townpost.errors import SettingError
from townpost.redis.connection import Connection
from townpost.settings import Settings


def test_host_and_port_make_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "redis")
    monkeypatch.setenv("REDIS_PORT", "7000")

    assert Settings.read().url == "redis://redis:7000"


def test_the_url_wins_over_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "rediss://me:secret@elsewhere/2")
    monkeypatch.setenv("REDIS_HOST", "redis")
    monkeypatch.setenv("REDIS_PORT", "7000")

    assert Settings.read().url == "rediss://me:secret@elsewhere/2"


def test_an_ipv6_host_is_written_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "::1")

    assert Settings.read().url == "redis://[::1]:6379"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hush@host",
        "redis://me:hush@host:port",
        "redis://me:hush@host:99999",
        "redis://me:hu[sh@host",
        "redis://me:hush#more@host",
        "redis://me:hush/more@host",
        "redis://me:hush?more@host",
        "redis://me:hush\u2100@host",
        "redis://me:hush@host?socket_timeout=soon",
    ],
)
def test_a_wrong_url_does_not_show_the_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(SettingError) as caught:
        Settings.read()

    assert "hush" not in str(caught.value)
    assert "hu[sh" not in str(caught.value)


@pytest.mark.parametrize("option", ["socket_timeout=5", "protocol=3", "max_connections=10", "no_such_option=1"])
def test_an_option_in_the_url_works_or_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://host:7000?{option}")

    try:
        connection = Connection(Settings.read().url)
    except SettingError as error:
        assert "REDIS_URL" in str(error)  # noqa: PT017 - either is well
    else:
        assert not connection.connected
