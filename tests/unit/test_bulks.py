"""A reply with an overlong bulk string: it is cut short, whatever stands around it and however it comes in pieces."""

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from townpost.redis.bulks import cut

LONGEST = 40


def bulk(payload: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(payload), payload)


def frame(*payloads: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(payloads), b"".join(map(bulk, payloads)))


def pushed(payload: bytes) -> bytes:
    return frame(b"message", b"news", payload)


small = st.binary(max_size=LONGEST) | st.sampled_from([b"*3\r\n$1\r\n", b"$99\r\n", b"\r\n", b"$-1\r\n"])


@given(before=st.lists(small, max_size=4), seen=st.integers(LONGEST + 1, 198))
def test_an_array_is_cut_at_its_overlong_element(before: list[bytes], seen: int) -> None:
    whole = frame(*before, b"x" * 200, b"after")
    start = len(frame(*before)) + len(b"$200\r\n")

    found = cut(whole[: start + seen], LONGEST, pushed=False)

    assert found is not None
    assert found.size == 200
    reader = hiredis.Reader()
    reader.feed(found.frame + whole[start + seen + found.missing :])
    assert reader.gets() == [*before, b"x" * (LONGEST + 1), b"after"]


@given(before=st.lists(st.binary(max_size=LONGEST), max_size=4), lost=st.integers(0, 10))
def test_a_published_message_is_found_behind_others(before: list[bytes], lost: int) -> None:
    # Given what one read brought: the end of one message, some whole ones, and the beginning of a long one
    data = pushed(b"earlier")[lost:] + b"".join(map(pushed, before)) + pushed(b"x" * 200)[:-100]

    found = cut(data, LONGEST, pushed=True)

    assert found is not None
    reader = hiredis.Reader()
    reader.feed(found.frame)
    assert reader.gets() == [b"message", b"news", b"x" * (LONGEST + 1)]
    assert found.missing == 100


@given(st.lists(small, max_size=5), st.integers(0, 300))
def test_what_is_short_is_left_alone(payloads: list[bytes], seen: int) -> None:
    assert cut(frame(*payloads)[:seen], LONGEST, pushed=False) is None
