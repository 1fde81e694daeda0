"""What is public is documented, and enough to write this project's own services."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import townpost
from lab.processes import ROOT

SERVICES = ("publisher", "subscriber", "tasks", "dashboard", "lab", "examples")
MODULES = {"cli", "keys", "logs", "schema", "testing"}
"""Of the library, which may be imported as such."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "townpost":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("townpost."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (one.name.split(".")[1] for one in node.names if one.name.startswith("townpost."))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_public_names_alone(service: str) -> None:
    files = list((ROOT / service).rglob("*.py"))
    assert files

    private = {
        f"{path}: {name}" for path in files for name in imported(path) if name not in {*townpost.__all__, *MODULES}
    }

    assert private == set()


@pytest.mark.parametrize("name", townpost.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(townpost, name) is not None
    assert f"`{name}`" in (ROOT / "docs" / "library.md").read_text()


def test_an_unknown_name_is_refused_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        townpost.nothing  # noqa: B018 - the subject
