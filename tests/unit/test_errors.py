"""Every error of Redis becomes one of ours, with words a user can act on and no secrets."""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost import errors
from townpost.errors import (
    FullError,
    PasswordError,
    PermissionDeniedError,
    RefusedError,
    TownpostError,
    UnavailableError,
    WrongTypeError,
)
from townpost.redis.connection import endpoint, refusal


def drawn_tree() -> dict[str, str | None]:
    """Each class drawn in the docstring, with the one it hangs from."""
    parents: dict[str, str | None] = {}
    branch: list[str] = []
    for line in inspect.getdoc(errors).splitlines() if errors.__doc__ else []:  # type: ignore[union-attr]  # the module has a docstring
        if found := re.match(r"([│ ├└─]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            branch[depth:] = [found[2]]
            parents[found[2]] = branch[depth - 1] if depth else None
    return parents


@pytest.mark.parametrize("name", errors.__all__)
def test_the_drawn_tree_is_the_real_one(name: str) -> None:
    parent = getattr(errors, name).__base__.__name__

    assert drawn_tree()[name] == (None if name == "TownpostError" else parent)


def test_nothing_is_drawn_that_does_not_exist() -> None:
    assert sorted(drawn_tree()) == sorted(errors.__all__)


def test_the_root_is_no_other_error_than_an_exception() -> None:
    assert TownpostError.__bases__ == (Exception,)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("LOADING Redis is loading the dataset in memory", UnavailableError),
        ("READONLY You can't write against a read only replica.", UnavailableError),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", UnavailableError),
        ("CLUSTERDOWN The cluster is down", UnavailableError),
        ("TRYAGAIN Multiple keys request during rehashing of slot", UnavailableError),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", UnavailableError),
        ("MISCONF Redis is configured to save RDB snapshots", UnavailableError),
        ("BUSY Redis is busy running a script.", UnavailableError),
        ("ERR no such key script: 5a, on @user_script:55.", UnavailableError),
        ("NOAUTH Authentication required.", PasswordError),
        ("WRONGPASS invalid username-password pair or user is disabled.", PasswordError),
        ("ERR invalid password", PasswordError),
        ("ERR Client sent AUTH, but no password is set", PasswordError),
        ("NOPERM this user has no permissions to run the 'rpush' command", PermissionDeniedError),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", WrongTypeError),
        ("OOM command not allowed when used memory > 'maxmemory'.", FullError),
        ("ERR unknown command 'FOO'", RefusedError),
        ("BUSYGROUP Consumer Group name already exists", RefusedError),
        ("", RefusedError),
    ],
    ids=lambda value: value.split(" ")[0] if isinstance(value, str) else value.__name__,
)
def test_each_error_reply_has_its_class(reply: str, error: type[TownpostError]) -> None:
    assert type(refusal(reply)) is error


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")))
def test_any_error_reply_is_one_line_of_ours(reply: str) -> None:
    error = refusal(reply)

    assert isinstance(error, TownpostError)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost:6379"),
        ("redis://host:7000/2", "redis://host:7000/2"),
        ("redis://me:secret@host:7000", "redis://host:7000"),
        ("redis://:secret@host", "redis://host:6379"),
        ("redis://me@host", "redis://host:6379"),
        ("rediss://me:secret@host/1", "rediss://host:6379/1"),
        ("redis://me:s%2Fecret@host", "redis://host:6379"),
        ("redis://host?password=secret", "redis://host:6379"),
        ("redis://me:secret@[::1]:7000", "redis://[::1]:7000"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://me:secret@/run/redis.sock?password=secret", "unix:///run/redis.sock"),
    ],
)
def test_an_endpoint_shows_where_and_not_who(url: str, shown: str) -> None:
    assert endpoint(url) == shown
