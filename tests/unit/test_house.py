"""The project stays easy to read: few entries at the top, small data, short functions, a reason for each exception."""

import ast
import io
import re
import shutil
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lab.processes import ROOT

LONGEST = 50
LONGER = {
    "dashboard/application.py:_live_routes": "the routes, whose functions share what it is given",
    "lab/bench/pairs.py:_pairs": "one line per pair that is measured",
    "shared/townpost/schema.py:asyncapi": "the document as one literal",
    "tasks/api/app.py:make": "the routes, whose functions share what it is given",
}
"""Functions of more than 50 lines without their docstrings, and why."""
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no)")
REASON = re.compile(
    r"# (noqa: [A-Z0-9, ]+ - \S.*|type: ignore\[[a-z, -]+\] +# \S.*|pragma: no (cover|branch|mutate) - \S.*)"
)


@cache
def _tracked() -> tuple[str, ...]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone: what belongs to the project is not known")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(path for path in listed.stdout.splitlines() if (ROOT / path).exists())


def _modules() -> list[str]:
    return [path for path in _tracked() if path.endswith(".py")]


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    all_of_it = function.end_lineno - function.lineno + 1
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    return all_of_it - ((docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0)


def test_the_top_level_has_at_most_twenty_entries_besides_hidden_ones() -> None:
    top = {path.partition("/")[0] for path in _tracked()}

    assert len([name for name in top if not name.startswith(".")]) <= 20


def test_generated_figures_stay_small() -> None:
    assert (ROOT / "docs" / "data" / "bench.json").stat().st_size < 100_000
    assert (ROOT / "docs" / "data" / "faults.json").stat().st_size < 30_000


def test_every_file_that_make_mutants_names_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    modules = [path.replace("src/", "shared/", 1) for path in settings["only_mutate"]]

    for path in [*modules, *settings["pytest_add_cli_args_test_selection"]]:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("comment", "reasoned"),
    [
        ("# noqa: S101", False),
        ("# noqa", False),
        ("# noqa: S101, T201", False),
        ("# noqa: S101 - it narrows the type", True),
        ("# type: ignore", False),
        ("# type: ignore[misc]", False),
        ("# type: ignore[arg-type, misc]  # its stub is wrong", True),
        ("# pragma: no cover", False),
        ("# pragma: no cover - the loop returns", True),
    ],
)
def test_what_counts_as_a_reason(comment: str, reasoned: bool) -> None:
    assert bool(REASON.fullmatch(comment)) is reasoned


def test_every_suppression_has_a_reason() -> None:
    bare = [
        f"{path}:{number}: {comment}"
        for path in _modules()
        for number, comment in _comments(ROOT / path)
        if SUPPRESSION.match(comment) and not REASON.fullmatch(comment)
    ]

    assert bare == []


def test_functions_are_short_but_for_those_with_a_reason() -> None:
    long = {
        f"{path}:{node.name}"
        for path in _modules()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > LONGEST
    }

    assert long == set(LONGER)
