"""The ACL rules of docs/operations.md, as they stand: what they allow is enough."""

import re
from collections.abc import Iterator

import pytest
import redis
from conftest import Start

from lab.processes import ROOT
from lab.server import Server

BLOCK = re.search(r"<!-- acl.*?```\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
assert BLOCK is not None
LINES = BLOCK.group(1).splitlines()
SERVICES = ("publisher", "subscriber", "dashboard")
RULES = {tuple(line.split()[:2]): line.split()[2:] for line in LINES if line.startswith(SERVICES)}
COUNTS = next(line.split()[1:] for line in LINES if line.startswith("counts"))
OPTIONAL = next(line.split()[1:] for line in LINES if line.startswith("optional"))


@pytest.fixture
def users(client: redis.Redis) -> Iterator[redis.Redis]:
    yield client
    client.execute_command("ACL", "DELUSER", "publisher", "subscriber")


@pytest.mark.parametrize("pattern", ["both", "reliable", "stream"])
@pytest.mark.parametrize("more", [[], COUNTS, COUNTS + OPTIONAL], ids=["least", "counts", "optional"])
def test_the_documented_rules_are_enough(
    start: Start, server: Server, users: redis.Redis, pattern: str, more: list[str]
) -> None:
    # Given a user with just these rights for each service
    for name in ("publisher", "subscriber"):
        users.execute_command("ACL", "SETUSER", name, "on", "nopass", *RULES[name, pattern], *more)
    urls = {name: f"redis://{name}:any@127.0.0.1:{server.port}" for name in ("publisher", "subscriber")}

    # When they exchange messages, one of them urgent
    subscriber = start("subscriber", url=urls["subscriber"], PATTERN=pattern)
    subscriber.wait_for("connected", count=2 if pattern == "both" else 1)
    settings = {"PATTERN": pattern, "STREAM_MAXLEN": "100"}
    assert start("publisher", "hi", "--priority", "5", url=urls["publisher"], **settings).wait() == 0
    subscriber.wait_for("hi", "[Received #1 from")
    assert subscriber.stop() == 0

    # Then nothing was refused but what was not granted
    complaints = {line.split("WARNING: ")[-1][:36] for line in subscriber.matching("WARNING")}
    assert complaints <= ({"counts are not reported to Redis: th"} if not more else set())
    assert not subscriber.matching("ERROR")


SCRIPTS = ROOT / "shared" / "townpost" / "patterns"
PUBLISHERS = {"reliable": "publish.lua", "stream": "trim.lua"}
OPERATORS = {"requeue.lua", "reschedule.lua", "inspect_claims.lua", "inspect_scheduled.lua"}


@pytest.mark.parametrize("pattern", ["reliable", "stream"])
def test_the_documented_rules_allow_every_command_of_the_scripts(pattern: str) -> None:
    for path in SCRIPTS.glob(f"{pattern}/*.lua"):
        if path.name not in OPERATORS:
            service = "publisher" if path.name == PUBLISHERS[pattern] else "subscriber"
            called = {name.lower() for name in re.findall(r"redis\.p?call\('(\w+)'", path.read_text())}
            assert {f"+{name}" for name in called} <= set(RULES[service, pattern]), path.name


@pytest.mark.parametrize("name", sorted(OPERATORS - {"requeue.lua"}))
def test_the_documented_rules_allow_what_an_operator_asks(name: str) -> None:
    text = (SCRIPTS / "reliable" / name).read_text()
    called = {word.lower() for word in re.findall(r"redis\.p?call\('(\w+)'", text)}

    assert {f"+{word}" for word in called} <= {*RULES["dashboard", "reads"], *RULES["dashboard", "writes"]}
