"""Environments for the peers, apart from Townpost's own: some want an older redis-py than it, or none.

Each is made on demand from a lock file with hashes, into .venv-peers/NAME, and kept for the next run.
"""

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from lab.processes import ROOT

__all__ = ["ready"]

_FOLDER = ROOT / ".venv-peers"
_LOCKS = {"bench": ROOT / "requirements-bench.lock"}
_INSTALL_SECONDS = 300.0


def ready(name: str, package: str, say: Callable[[str], None]) -> tuple[str, str, str]:
    """The interpreter of an environment that has the package, the package's version, and else why it has not."""
    lock = _LOCKS.get(name, Path(__file__).parent / "locks" / f"{name}.lock")
    if not lock.exists():
        return "", "", _why_not(name)
    python = _FOLDER / name / "bin" / "python"
    stamp = _FOLDER / name / "lock.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"installing {name} from {lock.name} into {_FOLDER.name}/{name}")
        if problem := _made(name, python, lock):
            return "", "", f"could not be installed: {problem}"
        stamp.write_text(wanted)
    asking = f"import importlib.metadata as m; print(m.version('{package}'))"
    asked = subprocess.run([str(python), "-c", asking], capture_output=True, text=True, check=False)
    if asked.returncode:
        return "", "", "is not installed"
    return str(python), asked.stdout.strip(), ""


def _made(name: str, python: Path, lock: Path) -> str:
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(_FOLDER / name)],
        [
            str(python),
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(lock),
        ],
    )
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return "it took too long"
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1][:120]
    return ""


def _why_not(name: str) -> str:
    """As its entry in the folder of locks says: a text file where there is no lock."""
    table = tomllib.loads((Path(__file__).parent / "locks" / "missing.toml").read_text())
    return str(table.get(name, "is not to be had"))
