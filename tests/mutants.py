"""`make mutants`: whether the tests notice a change in the pure modules, which [tool.mutmut] of pyproject.toml names.

mutmut makes one small change at a time and runs the tests that reach it. This ends with status 1 when fewer than nine
in ten of the changes make a test fail.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LEAST = 0.9
ROOT = Path(__file__).parents[1]


def _copy(folder: Path) -> None:
    shutil.copytree(ROOT / "shared", folder / "src")
    for name in ("dashboard", "lab", "tasks", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    settings = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(
        settings.replace('pythonpath = [".", "shared",', 'pythonpath = [".", "src",')
    )


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout)
    return done.stdout


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="townpost-mutants-") as name:
        folder = Path(name)
        _copy(folder)
        _mutmut(folder, "run", "--max-children", "2")
        survivors = _mutmut(folder, "results")
        _mutmut(folder, "export-cicd-stats")
        stats = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
    print(survivors)
    share = stats["killed"] / stats["total"]
    print(f"{stats['killed']:,} of {stats['total']:,} changes made a test fail: {share:.0%}")
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
