"""The names on Redis are a contract: other versions and other languages find the same keys."""

from collections.abc import Callable

import pytest

from townpost import keys


@pytest.fixture(autouse=True)
def no_cache() -> None:
    """Names are remembered; here each is made anew."""
    keys.of.cache_clear()


@pytest.mark.parametrize(
    "part",
    [
        "handoff",
        "leases",
        "priority",
        "scheduled",
        "suspects",
        "attempts",
        "crashes",
        "history",
        "dead",
        "counted",
        "forwarder",
        "bell",
    ],
)
def test_a_companion_carries_the_queues_name_as_its_hash_tag(part: str) -> None:
    assert getattr(keys.of("orders"), part) == f"{{orders}}:{part}"


def test_a_queue_is_named_as_it_is_and_its_claims_start_alike() -> None:
    assert (keys.of("orders").queue, keys.of("orders").claims) == ("orders", "{orders}:claim:")
    assert keys.of("orders").claims_of("c1") == "{orders}:claim:c1:"


@pytest.mark.parametrize(
    ("name", "key"),
    [(keys.retries, "{log}:retries:audit"), (keys.wake, "{log}:wake:audit"), (keys.deaths, "{log}:deaths:audit")],
)
def test_a_companion_of_a_stream_names_the_group(name: Callable[[str, str], str], key: str) -> None:
    assert name("log", "audit") == key


def test_the_mark_of_a_message_names_its_id() -> None:
    assert keys.of("orders").once("4711") == "{orders}:once:4711"


def test_a_claim_names_its_consumer_and_says_when_it_was_made_ahead() -> None:
    assert keys.of("orders").claim("c1", 7) == "{orders}:claim:c1:7"
    assert keys.of("orders").claim("c1", 8, ahead=True) == "{orders}:claim:c1:8:ahead"


def test_heartbeats_have_names_that_no_queue_can_take() -> None:
    assert (keys.instances(), keys.ended()) == ("townpost:instances", "townpost:ended")
    assert keys.instance("a1") == "townpost:instance:a1"


@pytest.mark.parametrize(
    ("queue", "key"),
    [
        ("{shop}:orders", "{shop}:orders:dead"),
        ("{a}", "{a}:dead"),
        ("{}orders", "{{}orders}:dead"),
        ("{orders", "{{orders}:dead"),
        ("}{o}", "}{o}:dead"),
        ("orders}", "{orders}}:dead"),
    ],
)
def test_a_name_that_has_a_hash_tag_keeps_it(queue: str, key: str) -> None:
    assert keys.of(queue).dead == key


def test_every_companion_of_a_queue_has_a_type() -> None:
    assert keys.types("q") == {
        "{q}:handoff": "list",
        "{q}:suspects": "list",
        "{q}:bell": "list",
        "{q}:leases": "zset",
        "{q}:priority": "zset",
        "{q}:scheduled": "zset",
        "{q}:counted": "zset",
        "{q}:attempts": "hash",
        "{q}:crashes": "hash",
        "{q}:history": "hash",
        "{q}:dead": "stream",
        "{q}:forwarder": "string",
    }


def test_every_companion_of_a_stream_has_a_type() -> None:
    assert keys.stream_types("s", "g") == {
        "{s}:retries:g": "zset",
        "{s}:wake:g": "stream",
        "{s}:deaths:g": "hash",
        "{s}:dead": "stream",
    }
