"""The second wall on PostgreSQL: row-level security by health center, and a role that cannot rewrite the log.

Every query of ours names its tenant. Where one is forgotten, or where somebody gets a statement of their own through,
the database still shows no row of another health center, and none at all to a connection that does not say whose it
is. Superusers and roles with BYPASSRLS walk through any wall: production refuses to run as one.
See https://www.postgresql.org/docs/15/ddl-rowsecurity.html
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, inspect, text

from smart_app.gateways.engine import SETTING

POLICY = "only_own_tenant"
APPEND_ONLY = "audit_row"
_OURS = f"tenant_id = current_setting('{SETTING}', true)"


def tables_of_tenants(connection: Connection) -> list[str]:
    """All tables that hold rows of a health center, as they are in the database now."""
    inspector = inspect(connection)
    return [
        table
        for table in sorted(inspector.get_table_names())
        if any(column["name"] == "tenant_id" for column in inspector.get_columns(table))
    ]


def raise_walls(connection: Connection, tables: Iterable[str]) -> None:
    """Let each of these tables show and take rows of the connection's own tenant only, from its owner too. Nothing on
    SQLite, which has one file for one health center."""
    if connection.dialect.name != "postgresql":
        return
    quote = connection.dialect.identifier_preparer.quote
    for table in map(quote, tables):
        connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
        connection.execute(text(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"))
        connection.execute(text(f"DROP POLICY IF EXISTS {POLICY} ON {table}"))
        connection.execute(text(f"CREATE POLICY {POLICY} ON {table} USING ({_OURS}) WITH CHECK ({_OURS})"))


def grant_to(connection: Connection, role: str) -> None:
    """What the app's own role may do: everything with the rows of every table, but only read and add rows of the log.
    It owns nothing, so it cannot take a wall or a trigger away."""
    quote = connection.dialect.identifier_preparer.quote
    for table in tables_of_tenants(connection):
        allowed = "SELECT, INSERT" if table == APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        connection.execute(text(f"REVOKE ALL ON {quote(table)} FROM {quote(role)}"))
        connection.execute(text(f"GRANT {allowed} ON {quote(table)} TO {quote(role)}"))
    connection.execute(text(f"GRANT SELECT ON alembic_version TO {quote(role)}"))


def is_above_walls(connection: Connection) -> bool:
    """Does this connection's role walk through row-level security?"""
    if connection.dialect.name != "postgresql":
        return False
    asked = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    return bool(connection.execute(asked).scalar_one())
