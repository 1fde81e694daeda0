"""The publisher's --file: JSON lines as they come, good and bad."""

import itertools
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.cli.publish.sources import Lines, Numbering
from townpost.errors import SettingError
from townpost.message import Message

MAX_BYTES = 1000


def flat(source: Lines) -> list[Message]:
    return list(itertools.chain.from_iterable(source))


@pytest.fixture
def numbering() -> Numbering:
    return Numbering("me")


@pytest.fixture
def lines_of(tmp_path: Path, numbering: Numbering) -> Callable[[bytes], Lines]:
    """The source that reads a file of this content."""

    def write(content: bytes) -> Lines:
        path = tmp_path / "messages.jsonl"
        path.write_bytes(content)
        return Lines(str(path), numbering, threading.Event(), MAX_BYTES)

    return write


def test_a_file_is_read_line_by_line(lines_of: Callable[[bytes], Lines]) -> None:
    lines = lines_of(b'"one"\n{"message": "two"}\r\n\n  \n"three"\n')

    assert [message.message for message in flat(lines)] == ["one", "two", "three"]
    assert lines.unreadable == 0


@pytest.mark.parametrize("end", [b"", b"\n", b" \n", b"\n\n"], ids=["none", "one", "space", "two"])
def test_the_last_line_may_lack_its_end(lines_of: Callable[[bytes], Lines], end: bytes) -> None:
    assert [message.message for message in flat(lines_of(b'"one"\n"two"' + end))] == ["one", "two"]


@pytest.mark.parametrize("content", [b"", b"\n"], ids=["empty", "an empty line"])
def test_an_empty_file_has_no_messages(lines_of: Callable[[bytes], Lines], content: bytes) -> None:
    assert flat(lines_of(content)) == []


def test_bad_lines_are_told_by_number_counted_and_passed_over(
    lines_of: Callable[[bytes], Lines], caplog: pytest.LogCaptureFixture
) -> None:
    lines = lines_of(b'"one"\n\nnot JSON\x1b[31m\n"two"\n5')

    assert [message.message for message in flat(lines)] == ["one", "two"]
    assert lines.unreadable == 2
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [error[: len("line 3")] for error in errors] == ["line 3", "line 5"]
    assert errors[0].isprintable()


def test_a_line_over_the_limit_is_passed_over(lines_of: Callable[[bytes], Lines]) -> None:
    lines = lines_of(b'"%s"\n"short"\n' % (b"x" * 1_000_000))

    assert [message.message for message in flat(lines)] == ["short"]
    assert lines.unreadable == 1


@given(st.lists(st.text(max_size=50).map(lambda text: json.dumps(text).encode()), max_size=5))
def test_every_text_comes_through(encoded: list[bytes]) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\n".join(encoded))
    os.close(writing)

    messages = flat(Lines(f"/dev/fd/{reading}", Numbering("me"), threading.Event(), MAX_BYTES))

    os.close(reading)
    assert [message.count for message in messages] == list(range(1, len(encoded) + 1))


def test_a_slow_pipe_is_read_as_its_lines_come(numbering: Numbering) -> None:
    reading, writing = os.pipe()
    lists = iter(Lines(f"/dev/fd/{reading}", numbering, threading.Event(), MAX_BYTES))

    os.write(writing, b'"one"\n"tw')
    assert [message.message for message in next(lists)] == ["one"]
    os.write(writing, b'o"\n')
    assert [message.message for message in next(lists)] == ["two"]
    os.close(writing)
    assert list(lists) == []
    os.close(reading)


def test_a_stop_ends_the_wait_for_a_pipe(numbering: Numbering) -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    stop.set()

    assert list(Lines(f"/dev/fd/{reading}", numbering, stop, MAX_BYTES)) == []
    os.close(reading)
    os.close(writing)


def test_a_missing_file_is_a_setting_error(tmp_path: Path, numbering: Numbering) -> None:
    with pytest.raises(SettingError, match=r"--file .*nowhere.* cannot be opened: No such file"):
        Lines(str(tmp_path / "nowhere"), numbering, threading.Event(), MAX_BYTES)


def test_a_folder_is_a_setting_error(tmp_path: Path, numbering: Numbering) -> None:
    with pytest.raises(SettingError, match=r"--file .* cannot be"):
        flat(Lines(str(tmp_path), numbering, threading.Event(), MAX_BYTES))
