"""What differs between patterns stands beside them: outside `patterns/` no name of one is compared."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import ROOT
from townpost import PATTERNS
from townpost.patterns.stream.scripts import WAITING

PLACES = ("shared/townpost", "publisher", "subscriber", "tasks", "dashboard", "lab", "examples")
NAMES = {*PATTERNS, WAITING.decode()}
EXCEPTIONS = {
    "lab/bench/": "its measures and the peers beside us are chosen by pattern: what is compared there is a plan",
    "lab/trials/naive.py": "a program without the library, as a user would write it: it has two ways and no registry",
    "lab/trials/hostile.py": "the type of a key, as TYPE answers it, is compared with 'stream'",
}
"""File or folder -> why it compares names all the same."""


def compared(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each comparison with a pattern's name: ==, in, and the cases of a match."""
    for node in ast.walk(ast.parse(source)):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        for operand in operands:
            elements = operand.elts if isinstance(operand, ast.Tuple | ast.List | ast.Set) else [operand]
            for one in elements:
                value = one.value if isinstance(one, ast.Constant) else None
                name = value.decode(errors="replace") if isinstance(value, bytes) else value
                if isinstance(name, str) and name in NAMES:
                    yield node.lineno if isinstance(node, ast.expr) else operand.lineno, name


def files() -> Iterator[Path]:
    for place in PLACES:
        for path in (ROOT / place).rglob("*.py"):
            if "patterns" not in path.relative_to(ROOT).parts:
                yield path


@pytest.mark.parametrize(
    "source",
    [
        'pattern == "reliable"',
        'place.pattern != "stream"',
        'pattern in ("queue", "reliable")',
        'name == b"waiting"',
        'match pattern:\n    case "pubsub":\n        pass',
    ],
)
def test_a_comparison_is_found(source: str) -> None:
    assert list(compared(source))


@pytest.mark.parametrize(
    "source", ['call("reliable")', 'names = ["queue", "stream"]', "pattern == other", 'role == "both"']
)
def test_what_compares_no_pattern_is_passed_over(source: str) -> None:
    assert list(compared(source)) == []


def test_no_name_is_compared_outside_the_patterns() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files()
        if not str(path.relative_to(ROOT)).startswith(tuple(EXCEPTIONS))
        for line, name in compared(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize("path", EXCEPTIONS)
def test_an_exception_is_still_needed(path: str) -> None:
    assert EXCEPTIONS[path]
    place = ROOT / path
    assert any(list(compared(one.read_text())) for one in ([place] if place.is_file() else place.rglob("*.py")))
