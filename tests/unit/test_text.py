"""Nothing that came over the wire steers a terminal or breaks a log line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.text import excerpt, printable, told

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # half surrogate pairs too


@given(ANY_TEXT)
def test_whatever_comes_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(ANY_TEXT.filter(str.isprintable))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),
        ("one\ntwo\r\n", r"one\ntwo\r\n"),
        ("a\tb", r"a\tb"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066\u2069", r"\u2066\u2069"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        ("\u200bhidden", r"\u200bhidden"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
    ],
    ids=[
        "escape sequence",
        "one-byte escape sequence",
        "line ends",
        "tab",
        "control characters",
        "right-to-left override",
        "isolates",
        "Unicode line ends",
        "zero width",
        "tag character",
        "half a surrogate pair",
        "other scripts stay",
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(raw=st.binary(), limit=st.integers(1, 50))
def test_an_excerpt_is_printable_and_short(raw: bytes, limit: int) -> None:
    shown = excerpt(raw, limit)

    assert shown.isprintable()
    assert len(shown) <= 4 * limit + len("... (100,000 bytes)")


def test_a_payload_within_the_limit_is_shown_whole() -> None:
    assert excerpt(b"x" * 120) == "x" * 120


def test_a_longer_one_is_cut_and_its_length_told() -> None:
    assert excerpt(b"x" * 1234) == "x" * 120 + "... (1,234 bytes)"


def test_a_character_cut_in_two_is_shown_as_bytes() -> None:
    assert excerpt("ü".encode(), 1) == r"\xc3... (2 bytes)"


def test_invalid_utf_8_is_shown_as_bytes() -> None:
    assert excerpt(b"ok \xff\xfe") == r"ok \xff\xfe"


def test_only_what_steers_a_terminal_is_escaped() -> None:
    assert printable("Grüße\n") == r"Grüße\n"


def test_an_error_tells_what_it_says_or_that_it_cannot() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise KeyError("no text")

    assert told(ValueError("bad")) == "bad"
    assert told(SilentError()) == "(its text cannot be had: KeyError)"
