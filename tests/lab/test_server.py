"""Which server the lab and the tests start is a choice of whoever runs them."""

import sys
from pathlib import Path

import pytest

from lab.server import binary


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A redis-server in PATH."""
    program = tmp_path / "bin" / "redis-server"
    program.parent.mkdir()
    program.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    return program


def test_one_in_path_is_taken_unless_another_is_named(on_path: Path) -> None:
    assert binary() == on_path


def test_the_packaged_one_can_be_named_beside_it(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", "packaged")

    assert binary() != on_path
    assert "valkey" in str(binary())


@pytest.mark.usefixtures("on_path")
def test_any_program_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "another-server"
    other.symlink_to(sys.executable)
    monkeypatch.setenv("REDIS_SERVER", str(other))

    assert binary() == other


@pytest.mark.usefixtures("on_path")
def test_what_is_no_program_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", "/nowhere/redis-server")

    with pytest.raises(RuntimeError, match="REDIS_SERVER=/nowhere/redis-server is no program"):
        binary()
