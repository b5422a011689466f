"""The tables that the migrations make are the tables the code speaks to."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect

from launch import store
from smart_app.gateways import tables
from smart_app.settings import Settings


def engine_of(settings: Settings) -> Engine:
    return create_engine(settings.database_url)


def test_migrated_database_has_exactly_the_tables_of_the_code(settings: Settings) -> None:
    """An upgrade leaves the database as the code expects it: no table, column, key or index more or less."""
    with engine_of(settings).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, [store.metadata, tables.metadata])
    assert differences == []


def test_primary_keys_begin_with_the_tenant(settings: Settings) -> None:
    """Every row belongs to one health center first, so that two of them can never read each other's."""
    found = inspect(engine_of(settings))
    wrong = {
        table: found.get_pk_constraint(table)["constrained_columns"]
        for table in found.get_table_names()
        if table != "alembic_version" and found.get_pk_constraint(table)["constrained_columns"][:1] != ["tenant_id"]
    }
    assert wrong == {}


def test_no_stored_resource_can_be_without_labels(settings: Settings) -> None:
    """The database itself refuses an unlabelled row."""
    columns = {column["name"]: column for column in inspect(engine_of(settings)).get_columns("vault_resource")}
    assert columns["labels"]["nullable"] is False
