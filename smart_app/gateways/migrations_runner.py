"""Bring a database to this version's schema, and say whether it is there. Works from an installed wheel."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from smart_app.gateways import row_walls
from smart_app.gateways.engine import make_engine

FOLDER = Path(__file__).parent / "migrations"


def migrate(url: str, *, app_role: str | None = None) -> None:
    """Apply what is missing, in one transaction; a second process waits for the first and finds nothing to do.
    ``app_role``: the role on PostgreSQL by which the app connects, where it is not the one that owns the tables."""
    engine = make_engine(url)
    with engine.begin() as connection:
        command.upgrade(_config(connection), "head")
        if app_role is not None:
            row_walls.grant_to(connection, app_role)
    engine.dispose()


def schema_is_current(url: str) -> bool:
    """True when the database at ``url`` has exactly the newest revision. Changes nothing."""
    engine = make_engine(url)
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_heads()
    engine.dispose()
    return set(current) == set(ScriptDirectory.from_config(_config()).get_heads())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
