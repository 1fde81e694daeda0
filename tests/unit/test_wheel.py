"""The wheel has every package and every file that the library and the dashboard are made of."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.application import _VERSION
from lab.processes import ROOT
from townpost.cli import main

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {"townpost": ROOT / "shared" / "townpost", "townpost_dashboard": ROOT / "dashboard"}


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder)


def _packages() -> Iterator[str]:
    for name, folder in FOLDERS.items():
        for file in _files(folder):
            if file.name == "__init__.py":
                yield ".".join((name, *file.parent.parts))


def test_every_package_is_listed() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(_packages())


@pytest.mark.parametrize("name", FOLDERS)
def test_every_module_is_in_a_package(name: str) -> None:
    for file in _files(FOLDERS[name]):
        if file.suffix == ".py":
            assert ".".join((name, *file.parent.parts)) in SETUPTOOLS["packages"], file


@pytest.mark.parametrize("name", FOLDERS)
def test_every_other_file_is_package_data(name: str) -> None:
    folder = FOLDERS[name]
    listed = {path.relative_to(folder) for pattern in SETUPTOOLS["package-data"][name] for path in folder.glob(pattern)}

    for file in _files(folder):
        if file.suffix != ".py":
            assert file in listed, file


def test_the_command_is_the_one_of_the_package() -> None:
    module, _, function = PROJECT["project"]["scripts"]["townpost"].partition(":")

    assert (module, function) == (main.__module__.removesuffix(".command"), main.__name__)


def test_the_core_needs_no_more_than_five_packages() -> None:
    names = [requirement.partition(">=")[0] for requirement in PROJECT["project"]["dependencies"]]

    assert sorted(names) == ["hiredis", "pydantic", "pydantic-settings", "python-dotenv", "redis"]


def test_the_dashboard_says_the_version_of_the_project() -> None:
    assert PROJECT["project"]["version"] == _VERSION
