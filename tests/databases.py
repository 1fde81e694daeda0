"""The databases that tasks can be kept in; a test that asks for one runs on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_postgres import Postgres, programs
from sqlalchemy import Engine

from tasks.api.database import ready
from tasks.settings import TasksSettings


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed, so half of this is NOT TESTED: apt-get install postgresql")
    with Postgres(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/tasks.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.make_database()
    yield url
    server.drop(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The same, with its tables."""
    engine = ready(TasksSettings.read(database_url=database_url))
    yield engine
    engine.dispose()
