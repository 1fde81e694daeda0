"""The migrations make what `tables` says, whoever starts first."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from own_postgres import Postgres
from sqlalchemy import Engine, text

from tasks.api.database import connect, migrate, ready
from tasks.api.tables import METADATA
from tasks.settings import TasksSettings
from townpost.errors import SettingError


def test_from_empty_they_make_the_tables_of_the_program(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_second_start_finds_nothing_to_do(engine: Engine) -> None:
    assert migrate(engine) == ("0001", "0001")


def test_instances_that_start_together_make_them_once(database_url: str) -> None:
    engines = [connect(database_url) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(migrate, engines))

    for engine in engines:
        engine.dispose()
    assert sorted(before or "" for before, _ in versions) == ["", "0001", "0001", "0001"]


def test_tables_of_a_newer_program_are_left_alone(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SettingError, match="another version"):
        ready(TasksSettings.read(database_url=database_url))


def test_a_database_without_an_encoding_of_its_own_takes_ours(postgres: Postgres) -> None:
    # Given what initdb makes where no locale is set
    url = postgres.make_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")

    engine = ready(TasksSettings.read(database_url=url))

    with engine.connect() as connection:
        assert connection.execute(text("SELECT 'Grüße'")).scalar_one() == "Grüße"
    engine.dispose()
    postgres.drop(url)
