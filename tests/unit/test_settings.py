"""Every setting comes from one place, and a wrong one is told in one line."""

from pathlib import Path

import pytest

from townpost.errors import PermissionDeniedError, RefusedError, SettingError, WrongTypeError
from townpost.settings import Settings


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_without_any_setting_the_defaults_hold() -> None:
    settings = Settings.read()

    assert settings.url == "redis://localhost:6379"
    assert [pattern.name for pattern in settings.patterns] == ["pubsub", "queue"]
    assert settings.publish_interval == 2.0
    assert settings.prefetch is None
    assert settings.handler is None


def test_the_environment_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLISH_INTERVAL", "0.5")

    assert Settings.read().publish_interval == 0.5


@pytest.mark.parametrize("field", Settings.model_fields)
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(field.upper(), "")

    assert Settings.read() == Settings()


def test_a_given_value_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN", "pubsub")

    assert Settings.read(pattern="queue").pattern == "queue"
    assert Settings.read(pattern=None).pattern == "pubsub"


@pytest.mark.parametrize(("value", "limit"), [("auto", None), ("100", 100)])
def test_prefetch_is_auto_or_a_number(monkeypatch: pytest.MonkeyPatch, value: str, limit: int | None) -> None:
    monkeypatch.setenv("PREFETCH", value)

    assert Settings.read().prefetch == limit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLISH_INTERVAL", "-1"),
        ("PUBLISH_INTERVAL", "abc"),
        ("PUBLISH_INTERVAL", "nan"),
        ("PUBLISH_INTERVAL", "inf"),
        ("CONNECT_TIMEOUT", "-0.1"),
        ("REDIS_PORT", "0"),
        ("REDIS_PORT", "65536"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("REDIS_PORT", "6379\n6380"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "localhost"),
        ("REDIS_URL", "redis://localhost:port"),
        ("REDIS_URL", "redis://localhost:99999"),
        ("PATTERN", "qeue"),
        ("PATTERN", "queue\npubsub"),
        ("PREFETCH", "0"),
        ("PREFETCH", "some"),
        ("MAX_MESSAGE_BYTES", "1MB"),
        ("LOG_FORMAT", "xml"),
        ("HEALTH_SECONDS", "0"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError) as caught:
        Settings.read()

    assert str(caught.value).startswith(f"{name} cannot be used")
    assert str(caught.value).isprintable()


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLISH_INTERVAL", "x")
    monkeypatch.setenv("LOG_FORMAT", "xml")

    with pytest.raises(SettingError, match=r"PUBLISH_INTERVAL.*LOG_FORMAT"):
        Settings.read()


def test_an_unknown_pattern_is_told_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN", "qeue")

    with pytest.raises(SettingError, match=r"'qeue' is not a pattern: choose pubsub, queue"):
        Settings.read()


def test_a_env_file_in_the_working_directory_is_read(env_file: Path) -> None:
    env_file.write_text("SENDER=from-file\nREDIS_PORT=\nSOMETHING_ELSE=1\n")

    assert Settings.read().sender == "from-file"


def test_the_environment_wins_over_the_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("SENDER=from-file\n")
    monkeypatch.setenv("SENDER", "from-environment")

    assert Settings.read().sender == "from-environment"


def test_an_empty_variable_leaves_it_to_the_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("SENDER=from-file\n")
    monkeypatch.setenv("SENDER", "")

    assert Settings.read().sender == "from-file"


def test_a_file_that_is_not_utf_8_is_a_setting_error(env_file: Path) -> None:
    env_file.write_bytes(b"SENDER=\xff\n")

    with pytest.raises(SettingError, match=r"\.env"):
        Settings.read()


def test_a_refusal_names_the_setting_that_met_it() -> None:
    settings = Settings(queue="orders", channel="news")

    wrong_type = settings.explain("queue", WrongTypeError("the key holds another type of value"))
    forbidden = settings.explain("pubsub", PermissionDeniedError("no"))

    assert str(wrong_type).startswith("QUEUE=orders")
    assert str(forbidden).startswith("CHANNEL=news")
    assert type(settings.explain("queue", RefusedError("no"))) is RefusedError
