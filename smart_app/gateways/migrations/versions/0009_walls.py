"""Row-level security on every table, on PostgreSQL: see ``gateways/row_walls.py``. A later migration that makes a table
calls ``raise_walls`` for it; a test looks at all of them."""

from __future__ import annotations

from alembic import op

from smart_app.gateways.row_walls import raise_walls, tables_of_tenants

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    raise_walls(connection, tables_of_tenants(connection))
