"""Run by Alembic: on the connection of the service that starts, or of DATABASE_URL for `python -m alembic`."""

from alembic import context
from sqlalchemy import Connection

from tasks.api.database import connect
from tasks.api.tables import METADATA
from tasks.settings import TasksSettings


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    with connect(TasksSettings.read().database_url).begin() as _own:
        _run(_own)
