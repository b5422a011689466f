"""SQL statements that are built once and run often. Building one costs more than running it on a small table, and a
launch runs fifty.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Delete, Insert, Select, Table, Update, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite


@lru_cache(maxsize=256)
def insert_into(table: Table) -> Insert:
    """An insert of whatever columns are given when it is run."""
    return insert(table)


@lru_cache(maxsize=64)
def upsert_into(table: Table, dialect: str, replaced: tuple[str, ...]) -> Insert:
    """An insert of whatever columns are given, or, where the key is taken, a change of the ``replaced`` columns. In one
    statement: with two, somebody else's insert fits in between. ``dialect`` is "postgresql" or "sqlite"."""
    made: postgresql.Insert | sqlite.Insert
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    values = {name: made.excluded[name] for name in replaced}
    return made.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)


@lru_cache(maxsize=256)
def update_where(table: Table, where: tuple[str, ...], columns: tuple[str, ...]) -> Update:
    """An update of ``columns`` in the rows that equal ``where``; run it with ``bound``."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(table).where(*_equal(table, where)).values(values)


@lru_cache(maxsize=256)
def delete_where(table: Table, where: tuple[str, ...]) -> Delete:
    """A delete of the rows that equal ``where``; run it with ``bound``."""
    return delete(table).where(*_equal(table, where))


@lru_cache(maxsize=256)
def select_where(table: Table, where: tuple[str, ...], later_than: tuple[str, ...] = ()) -> Select[Any]:
    """The rows that equal ``where`` and whose ``later_than`` columns are greater than what is given for them."""
    later = [table.c[name] > bindparam(f"where_{name}") for name in later_than]
    return select(table).where(*_equal(table, where), *later)


def bound(where: dict[str, Any], columns: dict[str, Any] | None = None) -> dict[str, Any]:
    """The values of one run."""
    return {f"where_{name}": value for name, value in where.items()} | {
        f"new_{name}": value for name, value in (columns or {}).items()
    }


def _equal(table: Table, where: tuple[str, ...]) -> list[Any]:
    return [table.c[name] == bindparam(f"where_{name}") for name in where]
