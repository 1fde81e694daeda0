"""Without a HANDLER the subscriber prints a line for each message."""

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from townpost.consuming.handlers import _id, _Printer, load
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.settings import Settings
from townpost.verdicts import Policy

ID = "8d5e7f0a-0000-4000-8000-000000000001"


def wire(**changes: object) -> bytes:
    fields = {"id": ID, "timestamp": "2025-03-29T08:32:00Z", "message": "Hello", "sender": "me", "count": 1}
    return json.dumps(fields | changes).encode()


HELLO = wire(message="Hello from Python #1", sender="python-publisher")
LINE = f"[2025-03-29 08:32:00] [python-publisher] Hello from Python #1 (ID: {ID}) [Received #1 from pub-sub]\n"

Printed = Callable[..., str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """What is printed for these payloads."""

    def print_(*payloads: bytes, pattern: str = "pubsub", already: int = 0, settings: Settings | None = None) -> str:
        def failed(index: int, error: Exception, _policy: Policy | None = None) -> None:
            raise AssertionError(f"{index} failed") from error

        batch = Batch(pattern, payloads)
        messages = [(index, message) for index, message in batch.reading() if isinstance(message, Message)]
        load(settings or Settings())(batch, messages, already, failed)
        return capsys.readouterr().out

    return print_


def test_the_line_of_a_message_from_pub_sub(printed: Printed) -> None:
    assert printed(HELLO) == LINE


def test_the_line_of_a_message_from_the_queue(printed: Printed) -> None:
    assert printed(HELLO, pattern="queue") == LINE.replace("from pub-sub", "from queue")


def test_messages_are_numbered_on(printed: Printed) -> None:
    lines = printed(HELLO, HELLO, already=41).splitlines()

    assert [line.split("[Received ")[1] for line in lines] == ["#42 from pub-sub]", "#43 from pub-sub]"]


def test_nothing_prints_nothing(printed: Printed) -> None:
    assert printed() == ""


@pytest.mark.parametrize(
    "timestamp",
    ["2025-03-29T10:32:00+02:00", "2025-03-29T08:32:00", "2025-03-29T08:32:00.999999Z", "2025-03-28T22:32:00-10:00"],
    ids=["+02:00", "naive", "with microseconds", "the day before"],
)
def test_timestamps_are_shown_in_utc_and_whole_seconds(printed: Printed, timestamp: str) -> None:
    assert printed(wire(timestamp=timestamp)).startswith("[2025-03-29 08:32:00] ")


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_timestamp_at_the_end_of_time_breaks_nothing(printed: Printed, timestamp: str) -> None:
    """Whether it is printed or unreadable: the message after it is printed."""
    lines = printed(wire(timestamp=timestamp), HELLO).splitlines()

    assert "Hello from Python #1" in lines[-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("message", "\x1b[31mred\nnext \u202egnp"), ("sender", "\x1b]0;title\x07\r\n")],
    ids=["text", "sender"],
)
def test_terminal_codes_are_shown_not_obeyed(printed: Printed, field: str, value: str) -> None:
    line = printed(wire(**{field: value}))

    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert r"\x1b" in line


def test_in_a_pipe_there_is_no_colour(printed: Printed) -> None:
    assert "\x1b" not in printed(HELLO)


def test_force_color_colours_a_pipe(printed: Printed) -> None:
    assert "\x1b[" in printed(HELLO, settings=Settings(force_color="1"))


def test_no_color_wins_over_force_color(printed: Printed) -> None:
    assert printed(HELLO, settings=Settings(force_color="1", no_color="1")) == LINE


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_colour(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())

    printed(HELLO)

    assert "\x1b[" in terminal.getvalue()


@pytest.mark.parametrize("setting", [{"no_color": "1"}, {"log_format": "json"}], ids=["NO_COLOR", "JSON"])
def test_no_color_and_json_have_none_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, printed: Printed, setting: dict[str, str]
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())

    printed(HELLO, settings=Settings.read(**setting))

    assert terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


def test_colour_does_not_change_the_words(printed: Printed) -> None:
    coloured = printed(HELLO, settings=Settings(force_color="1"))

    for code in ("\x1b[2m", "\x1b[0m", "\x1b[36m"):
        coloured = coloured.replace(code, "")
    assert coloured == LINE


def test_json_is_one_object_a_line_with_the_whole_message(printed: Printed) -> None:
    message = Message.create("Hello\n\x1b[31m", data={"a": [None, "\u2028"]}, epoch="e1")

    lines = printed(HELLO, message.encode(), settings=Settings(log_format="json")).split("\n")

    assert len(lines) == 3
    assert lines[2] == ""
    assert json.loads(lines[0])["received"] == 1
    assert json.loads(lines[1])["from"] == "pub-sub"
    assert json.loads(lines[1])["message"] == json.loads(message.encode())


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])  # `printed` empties itself
@given(text=st.text(), sender=st.text())
def test_whatever_comes_it_is_one_line(printed: Printed, text: str, sender: str) -> None:
    line = printed(wire(message=text, sender=sender))

    assert line.endswith("\n")
    assert line[:-1].isprintable()


@given(st.uuids(), st.datetimes(timezones=st.just(UTC)))
def test_ids_and_moments_are_printed_as_python_would(message_id: UUID, moment: datetime) -> None:
    printer = _Printer(Settings())

    assert _id(message_id) == str(message_id)
    for _ in range(2):  # formatted, and remembered
        assert printer._moment(moment) == str(moment.replace(tzinfo=None))[:19]
