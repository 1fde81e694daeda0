"""The words PATTERN takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.patterns import GROUPS, PATTERNS, choose


def names(words: str) -> list[str]:
    return [pattern.name for pattern in choose(words)]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_name_of_a_pattern_chooses_it(name: str) -> None:
    assert names(name) == [name]


def test_both_is_pubsub_and_queue() -> None:
    assert names("both") == ["pubsub", "queue"]


def test_all_is_every_pattern() -> None:
    assert names("all") == list(PATTERNS)


@pytest.mark.parametrize(
    "words",
    ["queue,pubsub", "pubsub, queue", " PubSub ,QUEUE ", "queue,pubsub,queue", "both,queue"],
    ids=["other order", "space", "capitals", "twice", "group and its member"],
)
def test_a_list_names_each_once_in_one_order(words: str) -> None:
    assert names(words) == ["pubsub", "queue"]


@pytest.mark.parametrize("words", ["", "qeue", "queue,", "queue pubsub", "queue;pubsub", "pub-sub"])
def test_an_unknown_word_is_told_the_choices(words: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern") as caught:
        choose(words)

    assert all(choice in str(caught.value) for choice in (*PATTERNS, *GROUPS))


@given(st.lists(st.sampled_from([*PATTERNS, *GROUPS]), min_size=1))
def test_any_list_of_known_words_is_their_union(words: list[str]) -> None:
    assert set(names(",".join(words))) == {name for word in words for name in names(word)}


@pytest.mark.parametrize("name", PATTERNS)
def test_the_registry_knows_each_by_its_own_name(name: str) -> None:
    assert PATTERNS[name].name == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pubsub", {"everyone", "right now", "nobody else"}),
        ("queue", {"waits", "one listener", "taken is taken"}),
        ("reliable", {"waits", "one listener", "may come twice"}),
        ("stream", {"read again", "of each group", "may come twice"}),
    ],
)
def test_a_promise_says_in_words_what_the_guarantees_say(name: str, words: set[str]) -> None:
    promise = PATTERNS[name].guarantees.promise

    assert {word for word in words if word in promise} == words
