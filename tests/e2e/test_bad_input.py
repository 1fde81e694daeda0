"""Settings and messages that cannot be used: a clear outcome for each, and nothing lost or dead."""

import pytest
import redis
from conftest import Start
from messages import wire

BOTH = pytest.mark.parametrize("module", ["publisher", "subscriber"])

SETTINGS = {
    "unknown pattern": (
        {"PATTERN": "pigeon"},
        "PATTERN cannot be used: 'pigeon' is not a pattern: choose pubsub, queue",
    ),
    "negative interval": ({"PUBLISH_INTERVAL": "-1"}, "PUBLISH_INTERVAL cannot be used: greater than or equal to 0"),
    "interval that is no number": ({"PUBLISH_INTERVAL": "abc"}, "PUBLISH_INTERVAL cannot be used: a valid number"),
    "port out of range": (
        {"REDIS_PORT": "70000", "REDIS_URL": ""},
        "REDIS_PORT cannot be used: less than or equal to 65535",
    ),
    "url without a scheme": ({"REDIS_URL": "localhost:6379"}, "REDIS_URL cannot be used: write it as redis://"),
    "log format": ({"LOG_FORMAT": "xml"}, "LOG_FORMAT cannot be used: 'text' or 'json'"),
}


@BOTH
@pytest.mark.parametrize(("environment", "line"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_cannot_be_used_is_named(
    start: Start, module: str, environment: dict[str, str], line: str
) -> None:
    service = start(module, **environment)

    assert service.wait() == 2
    assert len(service.lines) == 1
    assert service.lines[0].startswith(f"{module}: {line}")


def test_an_empty_port_counts_as_unset(start: Start) -> None:
    service = start("publisher", url="", REDIS_HOST="127.0.0.1", REDIS_PORT="", CONNECT_TIMEOUT="0")

    service.wait()
    assert service.matching("redis://127.0.0.1:6379")


@pytest.mark.parametrize(
    ("handler", "reason"),
    {
        "no colon": ("json.dumps", "write it as package.module:function"),
        "no module": ("no_such_module:handle", "ModuleNotFoundError"),
        "no function": ("json:no_such_function", "AttributeError"),
        "not callable": ("sys:path", "not a function"),
        "two arguments": ("townpost.patterns:Pattern", "cannot be called with one message"),
    }.values(),
)
def test_a_handler_that_cannot_be_loaded_is_named(start: Start, handler: str, reason: str) -> None:
    subscriber = start("subscriber", HANDLER=handler)

    assert subscriber.wait() == 2
    assert len(subscriber.lines) == 1
    assert f"HANDLER={handler}" in subscriber.lines[0]
    assert reason in subscriber.lines[0]


UNREADABLE = {
    "not JSON": b"hello",
    "an array": b"[1, 2]",
    "null": b"null",
    "nested too deep": b'{"a":' * 100_000,
    "not UTF-8": wire("X").replace(b"X", b"\xff\xfe"),
    "a lone surrogate": wire("X").replace(b'"X"', rb'"\ud800"'),
    "count of text": wire(count="5"),
    "count of 1.0": wire(count=1.0),
    "negative count": wire(count=-1),
    "no sender": wire().replace(b'"sender"', b'"from"'),
    "NaN": wire(data={"x": float("nan")}),
    "nothing": b"",
}
TOO_LONG = wire("x" * 5 * 1024 * 1024)
ESCAPES = b"\x1b[31mred\x1b]0;owned\x07\x00\r\nfake line"


@pytest.mark.parametrize("pattern", ["pubsub", "queue"])
def test_what_cannot_be_read_is_logged_counted_and_passed_over(start: Start, client: redis.Redis, pattern: str) -> None:
    subscriber = start("subscriber", PATTERN=pattern)
    subscriber.wait_for("connected")
    unreadable = [*UNREADABLE.values(), TOO_LONG, ESCAPES]

    for payload in [*unreadable, wire("after all that")]:
        _send(client, pattern, payload)

    subscriber.wait_for("after all that", "[Received #1 from")
    assert len(subscriber.wait_for("unreadable message", count=len(unreadable))) == len(unreadable)
    assert all(len(line) < 500 for line in subscriber.lines)
    assert not any("\x1b" in line or "\x07" in line for line in subscriber.lines)
    assert subscriber.matching(r"\x1b[31mred\x1b]0;owned\x07\x00\r\nfake line")
    assert subscriber.matching("bytes are over the limit of 1,048,576 (MAX_MESSAGE_BYTES)")
    subscriber.stop()
    assert subscriber.matching(f"1 received, 1 handled, 0 failed, {len(unreadable)} unreadable")


@pytest.mark.parametrize(
    ("payload", "line"),
    {
        "terminal escapes": (wire("a\x1b[31mb\nc"), r"[a-test] a\x1b[31mb\nc (ID:"),
        "extra fields": (wire("extra", colour="blue", nested={"a": [1]}), "[a-test] extra (ID:"),
        "naive timestamp": (
            wire("naive", timestamp="2025-03-29T08:32:00.123456"),
            "[2025-03-29 08:32:00] [a-test] naive",
        ),
        "other zone": (wire("zone", timestamp="2025-03-29T10:32:00+02:00"), "[2025-03-29 08:32:00] [a-test] zone"),
    }.values(),
)
def test_what_can_be_read_is_printed_safely(start: Start, client: redis.Redis, payload: bytes, line: str) -> None:
    subscriber = start("subscriber", PATTERN="queue")

    _send(client, "queue", payload)

    assert len(subscriber.wait_for(line, "from queue")) == 1


def _send(client: redis.Redis, pattern: str, payload: bytes) -> None:
    if pattern == "pubsub":
        client.publish("messages", payload)
    else:
        client.rpush("message_queue", payload)
