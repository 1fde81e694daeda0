"""The images of the Dockerfile: how large they are, and what they share. Needs a Docker engine and the base image."""

import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest

from lab.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]

BASE = "python:3.13-slim"
ADDED = {
    "publisher": 29_600_000,
    "subscriber": 29_600_000,
    "dashboard": 36_400_000,
    "tasks-api": 103_500_000,
    "tasks-indexer": 103_500_000,
}
"""Bytes above the base image: what the images had when each service had a Dockerfile of its own (29.5, 29.5, 36.3 and
twice 103.3 MB), and 0.3 % for what the library grows by."""


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@cache
def _image(target: str) -> dict[str, Any]:  # Any: JSON
    name = BASE if target == BASE else _docker("build", "--quiet", "--target", target, ".")
    (found,) = json.loads(_docker("image", "inspect", name))
    assert isinstance(found, dict)
    return found


def _layers(target: str) -> list[str]:
    layers: list[str] = _image(target)["RootFS"]["Layers"]
    return layers


def test_every_service_that_compose_builds_has_a_target_and_a_bound() -> None:
    targets = re.findall(r"build: \{context: \., target: (\S+)\}", (ROOT / "docker-compose.yml").read_text())

    assert sorted(targets) == sorted(ADDED)


@pytest.mark.parametrize("target", ADDED)
def test_an_image_is_as_small_as_it_was(target: str) -> None:
    assert _image(target)["Size"] - _image(BASE)["Size"] <= ADDED[target]


@pytest.mark.parametrize("target", ADDED)
def test_every_service_shares_the_layers_of_python_the_packages_and_the_library(target: str) -> None:
    common = len(_layers(BASE)) + len(("the folder", "the packages", "the library"))

    assert _layers(target)[:common] == _layers("publisher")[:common]


def test_the_two_services_of_the_tasks_differ_in_no_layer() -> None:
    assert _layers("tasks-api") == _layers("tasks-indexer")
