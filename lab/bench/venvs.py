"""Environments for the peers, apart from Townpost's own: some want an older redis-py than it, or none.

Each is made on demand from a lock file with hashes, into .venv-peers/NAME, and kept for the next run.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.processes import ROOT

__all__ = ["ready"]

_FOLDER = ROOT / ".venv-peers"
_LOCKS = {"bench": ROOT / "requirements" / "bench.lock"}
_NEWER = {"ardiq": (3, 12)}
"""Those for whom our own interpreter may be too old."""
_INSTALL_SECONDS = 300.0


def ready(name: str, package: str, say: Callable[[str], None]) -> tuple[str, str, str]:
    """The interpreter of an environment that has the package, the package's version, and else why it has not."""
    lock = _LOCKS.get(name, Path(__file__).parent / "locks" / f"{name}.lock")
    python = _FOLDER / name / "bin" / "python"
    stamp = _FOLDER / name / "lock.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        maker = _interpreter(_NEWER.get(name, (3, 11)))
        if not maker:
            return "", "", "wants a newer Python than ours, and there is none on PATH"
        say(f"installing {name} from {lock.name} into {_FOLDER.name}/{name}")
        if problem := _made(maker, name, python, lock):
            return "", "", f"could not be installed: {problem}"
        stamp.write_text(wanted)
    asking = f"import importlib.metadata as m; print(m.version('{package}'))"
    asked = subprocess.run([str(python), "-c", asking], capture_output=True, text=True, check=False)
    if asked.returncode:
        return "", "", "is not installed"
    return str(python), asked.stdout.strip(), ""


def _made(maker: str, name: str, python: Path, lock: Path) -> str:
    commands = (
        [maker, "-m", "venv", "--clear", str(_FOLDER / name)],
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


def _interpreter(least: tuple[int, int]) -> str:
    """Ours, or the oldest on PATH that is new enough and really runs."""
    if sys.version_info >= least:
        return sys.executable
    for minor in range(least[1], least[1] + 4):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return ""
