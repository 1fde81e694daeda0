"""What an import of the library costs a program that wants to be quick."""

import subprocess
import sys
import time

import pytest

from lab.processes import ROOT

PEERS = "import redis, pydantic"
RUNS = 5


def seconds(code: str) -> float:
    """The best of several runs of a new Python."""
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT / "shared")})
        best = min(best, time.perf_counter() - started)
    return best


@pytest.mark.alone
@pytest.mark.parametrize("code", ["import townpost", "from townpost import Message, Publisher, listen"])
def test_an_import_costs_at_most_twice_that_of_what_it_is_made_of(code: str) -> None:
    assert seconds(code) <= 2 * seconds(PEERS)


@pytest.mark.parametrize("code", ["import townpost", "import townpost.cli"])
def test_nothing_is_imported_before_it_is_needed(code: str) -> None:
    heavy = "{'redis', 'pydantic', 'pydantic_settings', 'rich', 'asyncio'}"
    check = f"import sys; {code}; print(sorted({heavy} & set(sys.modules)))"

    said = subprocess.run(
        [sys.executable, "-c", check],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "shared")},
    )

    assert said.stdout == "[]\n"


@pytest.mark.parametrize("command", ["dead list --json", "publish --help", "run --help"])
def test_a_command_imports_no_tables_and_no_pages(command: str) -> None:
    check = (
        "import sys; from townpost.cli import main\n"
        f"try: main({command.split()})\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'fastapi', 'uvicorn'} & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", check],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "shared"), "REDIS_URL": "redis://127.0.0.1:1"},
    )

    assert said.stdout.endswith("[]\n")
