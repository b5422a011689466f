"""PostgreSQL's own row security: whoever does not say whose rows they want sees none, whatever statement they run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databases import PostgresServer
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

import launch.launch_watch  # noqa: F401 - its tables join the list
from launch.tables import metadata as launch_metadata
from smart_app.gateways.engine import make_engine
from smart_app.gateways.migrations_runner import migrate
from smart_app.gateways.row_walls import is_above_walls
from smart_app.gateways.tables import metadata

TABLES = sorted({*metadata.tables, *launch_metadata.tables})
A_ROW = {
    "vault_case": "INSERT INTO vault_case"
    " (tenant_id, case_id, month, kind, is_open, needs_person, author_index, details)"
    " VALUES (:tenant, :id, '2026-11', 'referral', true, false, '\\x00', '\\x00')",
    "audit_row": "INSERT INTO audit_row (tenant_id, position, month, body, prev_hash, row_hash)"
    " VALUES (:tenant, 1, '2026-11', '\\x00', '\\x00', '\\x00')",
    "fact": "INSERT INTO fact (tenant_id, site_id, month, kind, outcome, total)"
    " VALUES (:tenant, :id, '2026-11', 'k', 'o', 1)",
}
Connect = Callable[[str | None], Engine]


@pytest.fixture
def owned(postgres: PostgresServer) -> str:
    """A database of an ordinary role, set up by that role."""
    url = postgres.role("owner_of_walls", of=postgres.create(f"walls_{uuid.uuid4().hex}"))
    migrate(url)
    return url


@pytest.fixture
def connect(owned: str) -> Iterator[Connect]:
    """Connect as the owner, as one health center, or as nobody."""
    made: list[Engine] = []

    def to(tenant_id: str | None) -> Engine:
        made.append(make_engine(owned, tenant_id=tenant_id))
        return made[-1]

    yield to
    for engine in made:
        engine.dispose()


def add(engine: Engine, table: str, tenant: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(A_ROW[table]), {"tenant": tenant, "id": str(uuid.uuid4())})


def count(engine: Engine, table: str) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.mark.rule("attack 10")
def test_attack_10_every_table_has_its_wall(postgres: PostgresServer, owned: str) -> None:
    """No table can be forgotten: all that the code knows, and all that the database has, show own rows only.

    Break: in a migration that makes a table leave out ``raise_walls``.
    """
    with make_engine(owned).begin() as connection:
        walled = connection.execute(
            text(
                "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid"
                " WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.polwithcheck IS NOT NULL"
            )
        )
        assert sorted(walled.scalars()) == TABLES


@pytest.mark.rule("attack 10")
@pytest.mark.parametrize("table", A_ROW)
def test_attack_10_another_health_center_and_nobody_count_zero(connect: Connect, table: str) -> None:
    """A statement that forgets the tenant shows nothing of another health center, and cannot write for it.

    Break: in ``raise_walls`` leave out FORCE ROW LEVEL SECURITY.
    """
    ours, theirs, nobody = connect("hc1"), connect("hc2"), connect(None)
    add(ours, table, "hc1")
    assert [count(one, table) for one in (ours, theirs, nobody)] == [1, 0, 0]
    for engine in (theirs, nobody):
        with pytest.raises(DBAPIError, match="row-level security"):
            add(engine, table, "hc1")


@pytest.mark.rule("R26")
def test_rule_R26_the_apps_role_cannot_rewrite_the_log_even_without_the_trigger(
    postgres: PostgresServer, owned: str, connect: Connect
) -> None:
    """Where the app has a role of its own it may read and add rows of the log, and neither change, remove nor cut them.

    Break: in ``grant_to`` give UPDATE on every table.
    """
    postgres.role("app_of_walls")
    migrate(owned, app_role="app_of_walls")
    with connect(None).begin() as connection:
        connection.execute(text("DROP TRIGGER audit_row_no_change ON audit_row"))
    app = make_engine(owned.replace("owner_of_walls@", "app_of_walls@"), tenant_id="hc1")
    add(app, "audit_row", "hc1")
    add(app, "vault_case", "hc1")
    assert count(app, "audit_row") == 1
    for change in (
        "UPDATE audit_row SET month = '2026-10'",
        "DELETE FROM audit_row",
        "TRUNCATE audit_row",
        "ALTER TABLE audit_row DISABLE ROW LEVEL SECURITY",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"), app.begin() as connection:
            connection.execute(text(change))
    app.dispose()


def test_a_superuser_is_known_as_one(postgres: PostgresServer, owned: str) -> None:
    """Production does not run as a role for which no wall holds."""
    for url, is_above in ((owned, False), (postgres.url("postgres"), True), ("sqlite://", False)):
        engine: Any = make_engine(url)
        with engine.begin() as connection:
            assert is_above_walls(connection) is is_above
        engine.dispose()
