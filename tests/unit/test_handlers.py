"""A user's own code gets each message, and its failures stay its own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from townpost.consuming.handlers import Handler, load
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.settings import Settings
from townpost.verdicts import Policy


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Handler]]:
    """Loads the function `handle` of a module of this source."""

    def write_and_load(source: str) -> Handler:
        (tmp_path / "users_code.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return load(Settings(handler="users_code:handle"))

    yield write_and_load
    sys.modules.pop("users_code", None)


def heard() -> list[object]:
    """What the user's code kept in its list `heard`."""
    kept: list[object] = sys.modules["users_code"].heard
    return kept


def answers(handler: Handler, *texts: str) -> list[str | None]:
    """What became of messages with these texts: None, or the error in words."""
    said: list[str | None] = [None] * len(texts)

    def failed(index: int, error: Exception, _policy: Policy | None = None) -> None:
        said[index] = repr(error)

    handler(Batch("queue", []), enumerate(Message.create(text) for text in texts), 0, failed)
    return said


EACH = """
heard = []
def handle(message):
    if message.message == "raise":
        raise ValueError("no good")
    if message.message == "exit":
        raise SystemExit(3)
    heard.append(message.message)
"""

LISTS = """
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.verdicts import Policy
heard = []
def handle(messages: list[Message]) -> None:
    texts = [message.message for message in messages]
    if "raise" in texts:
        raise ValueError("no good")
    if "exit" in texts:
        raise SystemExit(3)
    heard.append(texts)
"""


def test_a_function_gets_one_message_after_the_other(loaded: Callable[[str], Handler]) -> None:
    handler = loaded(EACH)

    assert answers(handler, "a", "b") == [None, None]
    assert heard() == ["a", "b"]


def test_the_next_message_is_asked_for_when_the_last_one_is_handled(loaded: Callable[[str], Handler]) -> None:
    handler = loaded(EACH)
    handled: list[int] = []

    def messages() -> Iterator[tuple[int, Message]]:
        for index in range(2):
            yield index, Message.create(str(index))
            handled.append(len(heard()))

    handler(Batch("queue", []), messages(), 0, lambda _index, _error, _policy=None: None)

    assert handled == [1, 2]
    assert not handler.whole


def test_one_that_raises_has_failed_and_the_others_go_on(loaded: Callable[[str], Handler]) -> None:
    handler = loaded(EACH)

    assert answers(handler, "a", "raise", "b") == [None, "ValueError('no good')", None]
    assert heard() == ["a", "b"]


def test_one_that_exits_has_failed_and_the_service_goes_on(loaded: Callable[[str], Handler]) -> None:
    handler = loaded(EACH)

    assert answers(handler, "exit", "b") == ["RuntimeError('SystemExit: 3')", None]
    assert heard() == ["b"]


def test_a_function_that_takes_a_list_gets_the_batch(loaded: Callable[[str], Handler]) -> None:
    handler = loaded(LISTS)

    assert answers(handler, "a", "b") == [None, None]
    assert heard() == [["a", "b"]]


@pytest.mark.parametrize("hint", ["list[Message]", "list", "'list[Message]'", "typing.List[Message]"])
def test_a_list_can_be_declared_in_any_way(loaded: Callable[[str], Handler], hint: str) -> None:
    handler = loaded(LISTS.replace("list[Message]", hint, 1).replace("heard =", "import typing; heard ="))

    assert answers(handler, "a", "b") == [None, None]
    assert heard() == [["a", "b"]]


@pytest.mark.parametrize(("text", "error"), [("raise", "ValueError"), ("exit", "RuntimeError")])
def test_a_list_that_fails_has_failed_as_a_whole(loaded: Callable[[str], Handler], text: str, error: str) -> None:
    handler = loaded(LISTS)

    said = answers(handler, "a", text)

    assert [str(answer).split("(")[0] for answer in said] == [error, error]
    assert answers(handler, "b") == [None]


@pytest.mark.parametrize("source", [EACH, LISTS], ids=["each", "lists"])
def test_of_nothing_nothing_is_called(loaded: Callable[[str], Handler], source: str) -> None:
    handler = loaded(source)

    assert answers(handler) == []
    assert heard() == []


@pytest.mark.parametrize(
    "parameters", ["message", "message, more=1", "*messages", "message: object"], ids=lambda text: text
)
def test_whatever_takes_one_argument_will_do(loaded: Callable[[str], Handler], parameters: str) -> None:
    handler = loaded(f"def handle({parameters}): pass")

    assert answers(handler, "a") == [None]


@pytest.mark.parametrize("name", ["users_code", "users_code:", ":handle", "users_code.handle"])
def test_a_name_without_its_two_parts_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"HANDLER=.* cannot be used: write it as package.module:function"):
        load(Settings(handler=name))


def test_an_unknown_module_is_refused() -> None:
    with pytest.raises(SettingError, match=r"HANDLER=no_such_module:handle cannot be imported"):
        load(Settings(handler="no_such_module:handle"))


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('no good')",
        "raise ValueError('two\\nlines')",
        "import sys; sys.exit(0)",
        "import no_such_module",
        "def handle(message:",
        "def another(message): pass",
        "handle = 5",
        "def handle(): pass",
        "def handle(message, another): pass",
        "def handle(*, message): pass",
        "def handle(message: 'Nowhere'): pass",
    ],
    ids=[
        "raises",
        "raises two lines",
        "exits",
        "imports what is not there",
        "is no Python",
        "has no such function",
        "not callable",
        "takes nothing",
        "takes two",
        "takes a keyword",
        "declares an unknown type",
    ],
)
def test_code_that_cannot_be_used_is_refused_in_one_line(loaded: Callable[[str], Handler], source: str) -> None:
    with pytest.raises(SettingError) as caught:
        loaded(source)

    assert str(caught.value).startswith("HANDLER=users_code:handle")
    assert str(caught.value).isprintable()
