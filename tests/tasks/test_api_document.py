"""The OpenAPI document says what the API does, as a program finds out that believes it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_client import Api

from lab.processes import ROOT
from tasks.api.database import ready
from tasks.settings import TasksSettings


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    engine = ready(TasksSettings.read(database_url=f"sqlite:///{tmp_path_factory.mktemp('api')}/tasks.db"))
    with Api(engine) as api:
        yield api
    engine.dispose()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_schemathesis_finds_nothing(api: Api, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json", "--no-color"]
    bounds = ["--max-examples", "10", "--seed", "1", "--generation-database", "none"]

    done = subprocess.run(
        [*command, *bounds],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={"HOME": str(tmp_path)},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 8" in done.stdout


def test_every_error_has_the_one_shape(api: Api) -> None:
    document = api.get("/openapi.json")

    errors = [
        response
        for operation in operations(document)
        for status, response in operation["responses"].items()
        if status >= "400"
    ]

    shape = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert len(errors) > 20
    assert all(response["content"] == shape for response in errors)
    assert not any("Validation" in name for name in document["components"]["schemas"])


def test_every_operation_says_what_it_does(api: Api) -> None:
    document = api.get("/openapi.json")

    assert all(operation["summary"] for operation in operations(document))
    assert api.http.get("/docs").status_code == 200
