"""Tasks, the counter of changes, and the outbox."""

import sqlalchemy as sa
from alembic import op

from tasks.api.tables import Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="its first change: the order of creation"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False, comment="its latest change"),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("updated_at", Utc(), nullable=False),
        sa.Column("deleted_at", Utc(), comment="set: a tombstone, without the columns below"),
        sa.Column("description", sa.Text()),
        sa.Column("priority", sa.String(6)),
        sa.Column("start", Utc()),
        sa.Column("due", Utc()),
        sa.Column("is_done", sa.Boolean()),
        sa.Column("categories", sa.JSON()),
        sa.Column("sub_tasks", sa.JSON()),
        sa.CheckConstraint(
            "(deleted_at IS NULL) = (description IS NOT NULL)", name=op.f("ck_tasks_tombstone_is_empty")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("number", name=op.f("uq_tasks_number")),
        sa.UniqueConstraint("change", name=op.f("uq_tasks_change")),
    )
    counter = op.create_table(
        "change_counter",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("latest", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_counter_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_counter")),
    )
    op.bulk_insert(counter, [{"id": 1, "latest": 0}])
    op.create_table(
        "outbox",
        sa.Column("change", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.Text(), nullable=False, comment="as it goes over the wire"),
        sa.Column("created_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("change", name=op.f("pk_outbox")),
    )


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("change_counter")
    op.drop_table("tasks")
