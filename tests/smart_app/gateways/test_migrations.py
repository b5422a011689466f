"""The schema comes from the migrations alone and is what the code believes it is."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.exc import IntegrityError

import launch.launch_watch  # noqa: F401 - its tables join the list
from launch.tables import metadata as launch_metadata
from smart_app.gateways.engine import make_engine
from smart_app.gateways.migrations_runner import migrate, schema_is_current
from smart_app.gateways.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'vault.sqlite3'}"
    return str(request.getfixturevalue("postgres").create(f"empty_{uuid.uuid4().hex}"))


def test_an_empty_database_is_not_current_until_it_was_migrated(url: str):
    """The app refuses to start on a database that was not set up."""
    assert not schema_is_current(url)
    migrate(url)
    assert schema_is_current(url)
    migrate(url)  # a second time changes nothing
    assert schema_is_current(url)


def test_migrations_make_exactly_the_tables_of_both_lists(url: str):
    """What the migrations create and what the code asks for are the same tables and columns."""
    migrate(url)
    both = MetaData()
    for table in [*metadata.tables.values(), *launch_metadata.tables.values()]:
        table.to_metadata(both)
    with make_engine(url).begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, both) == []


def test_tenant_is_first_in_every_key_and_index(url: str):
    """No health center's rows can be reached by a key that does not begin with that health center."""
    migrate(url)
    inspector = inspect(make_engine(url))
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        keys = [inspector.get_pk_constraint(table)["constrained_columns"]]
        keys += [index["column_names"] for index in inspector.get_indexes(table)]
        keys += [unique["column_names"] for unique in inspector.get_unique_constraints(table)]
        assert all(key[0] == "tenant_id" for key in keys), table


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    "labels",
    [None, "", "[C|V]", "[A|SDV]", "[C|N][A|SDV]", "[C|V][C|R][A|SDV]", "[C|V][A|SDV][A|MADEUP]", "[C|V][A|SDV]x"],
)
def test_rule_R03_the_table_itself_refuses_a_row_without_a_known_label_set(url: str, labels: str | None):
    """A record without its privacy label cannot even be written by hand. Break: drop ck_vault_resource_labels."""
    migrate(url)
    engine = make_engine(url)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        _row(connection, labels)


def test_the_table_takes_a_row_with_its_label_set(url: str):
    """The check that refuses odd labels lets the right ones in."""
    migrate(url)
    with make_engine(url).begin() as connection:
        _row(connection, "[C|V][A|SDV][A|NORDSCLCD][A|NOREUSE][A|PERSISTLABEL][R|COC]")


def _row(connection, labels: str | None) -> None:
    connection.execute(
        text(
            "INSERT INTO vault_case (tenant_id, case_id, month, kind, is_open, needs_person, author_index, details)"
            " VALUES ('hc1', 'c', '2026-11', 'referral', true, false, :body, :body)"
        ),
        {"body": b"0"},
    )
    connection.execute(
        text(
            "INSERT INTO vault_resource (tenant_id, resource_type, resource_id, version, case_id, ordinal, month,"
            " is_current, labels, body) VALUES ('hc1', 'Task', 't', 1, 'c', 1, '2026-11', true, :labels, :body)"
        ),
        {"labels": labels, "body": b"0"},
    )
