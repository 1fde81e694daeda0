"""The documents that describe a message, read by the tools of the people who will use them: AsyncAPI's parser and ajv.

npm fetches both into pytest's cache. Without Node, npm or a registry the tests are skipped, and say so.
"""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest
from messages import wire

from lab.processes import ROOT
from townpost.message import Message
from townpost.patterns import PATTERNS

PARSER = ("@asyncapi/parser@3.6.6",)
AJV = ("ajv@8.17.1", "ajv-formats@3.0.1")
SCRIPT = Path(__file__).with_name("documents.mjs")
ASYNCAPI = ROOT / "docs" / "asyncapi.json"
SCHEMA = ROOT / "docs" / "message.schema.json"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None,
    reason="neither @asyncapi/parser nor ajv READ THE DOCUMENTS: there is no node or no npm on this machine",
)


def _installed(config: pytest.Config, packages: tuple[str, ...]) -> Path:
    """The folder with these packages; each set has its own, as the parser brings another ajv."""
    assert config.cache is not None
    folder = config.cache.mkdir("-".join(["npm", *packages]).translate(str.maketrans("@/", "__")))
    stamp = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers want them too
        if not stamp.exists():
            command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-save", *packages]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
            if done.returncode:
                pytest.skip(
                    f"{' and '.join(packages)} did NOT read the document: npm says {done.stderr.strip()[-300:]}"
                )
            stamp.touch()
    return folder


@pytest.fixture(scope="module")
def parser(request: pytest.FixtureRequest) -> Path:
    return _installed(request.config, PARSER)


@pytest.fixture(scope="module")
def ajv(request: pytest.FixtureRequest) -> Path:
    return _installed(request.config, AJV)


def _said(tools: Path, *arguments: str) -> list[str]:
    command = ["node", str(SCRIPT), str(tools), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_asyncapis_own_parser_reads_the_document_without_a_remark(parser: Path) -> None:
    assert _said(parser, "asyncapi", str(ASYNCAPI)) == [
        f"read {len(PATTERNS)} channels, {2 * len(PATTERNS)} operations"
    ]


def test_the_parser_is_asked_in_earnest(parser: Path, tmp_path: Path) -> None:
    # Given the document with a reference that leads nowhere
    broken = tmp_path / "broken.json"
    broken.write_text(ASYNCAPI.read_text().replace("#/components/schemas/JsonValue", "#/$defs/JsonValue"))

    said = _said(parser, "asyncapi", str(broken))

    assert [line for line in said if "'#/$defs/JsonValue' does not exist" in line] == said


def test_ajv_takes_what_we_take_and_refuses_what_we_refuse(ajv: Path) -> None:
    ours = Message.create("hi", epoch="e", priority=3, data={"a": [1, None]}).encode().decode()
    refused = [wire(count=0), wire(priority=10), wire(data=[]), wire(sender=None), wire(timestamp="yesterday")]

    said = _said(ajv, "schema", str(SCHEMA), ours, wire().decode(), *(each.decode() for each in refused))

    assert said == [
        "valid",
        "valid",
        *(f"invalid /{field}" for field in ("count", "priority", "data", "sender", "timestamp")),
    ]
