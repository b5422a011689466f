"""Statements of the busiest paths: compiled once for each database, then run on the driver's own cursor.

SQLAlchemy makes the SQL, and converts what goes in and comes out as it always does. What is left out is what it does
for each call of ``Connection.execute``: an execution context and a result object cost more than a small statement
does. The caller's transaction, its rollback and the pool stay SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table, text
from sqlalchemy.exc import DBAPIError

Row = tuple[Any, ...]
_Convert = Callable[[Any], Any]


class Prepared:
    """One statement. ``columns``: the values it takes, where its own bound parameters do not name them (an INSERT)."""

    def __init__(self, make: Callable[[str], Any], columns: Sequence[str] | None = None) -> None:
        """``make`` gives the statement for a dialect's name."""
        self._make = make
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Once for each of ``rows``; how many rows of the table it met. Inside ``Engine.begin``."""
        compiled = self._for(connection)
        values = [compiled.values(row) for row in rows]
        cursor = _cursor(connection, compiled.sql, values)
        try:
            if len(values) == 1:
                cursor.execute(compiled.sql, values[0])
            else:
                cursor.executemany(compiled.sql, values)
            return int(cursor.rowcount)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, compiled.sql, error) from None
        finally:
            cursor.close()

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Row | None:
        """The first row of what it finds."""
        compiled = self._for(connection)
        asked = compiled.values(values)
        cursor = _cursor(connection, compiled.sql, [asked])
        try:
            cursor.execute(compiled.sql, asked)
            return compiled.row(cursor.fetchone())
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, compiled.sql, error) from None
        finally:
            cursor.close()

    def _for(self, connection: Connection) -> _Compiled:
        name = connection.dialect.name
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = _Compiled(self._make(name), connection.dialect, self._columns)
        return found


def prepared(statement: Any) -> Prepared:
    """A statement that is the same for every dialect and names its own parameters."""
    return Prepared(lambda _: statement)


def prepared_insert(table: Table, *, but: Collection[str] = ()) -> Prepared:
    """One row or many into ``table``, with a value for every column but those."""
    return Prepared(lambda _: table.insert(), [column.name for column in table.columns if column.name not in but])


class _Compiled:
    """SQL of one dialect with the conversions of its values."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str] | None) -> None:
        made = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(made)
        self._order: list[str] | None = made.positiontup
        self._names = list(made.binds)
        self._fixed = {name: bind.value for name, bind in made.binds.items() if not bind.required}
        into = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in made.binds.items()}
        self._into: dict[str, _Convert] = {name: convert for name, convert in into.items() if convert is not None}
        taken = statement.selected_columns if isinstance(statement, Select) else ()
        out: list[_Convert | None] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in taken
        ]
        self._out = out if any(out) else []

    def values(self, row: Mapping[str, Any]) -> Any:
        """Its parameters in the driver's form. A value that is missing is a KeyError."""
        given = {**self._fixed, **row} if self._fixed else row
        if self._into:
            given = {**given, **{name: convert(given[name]) for name, convert in self._into.items()}}
        if self._order is not None:
            return tuple([given[name] for name in self._order])
        return {name: given[name] for name in self._names}

    def row(self, found: Sequence[Any] | None) -> Row | None:
        """A row of the driver's, converted."""
        if found is None or not self._out:
            return None if found is None else tuple(found)
        return tuple(
            value if convert is None else convert(value) for value, convert in zip(found, self._out, strict=True)
        )


def _cursor(connection: Connection, sql: str, values: Sequence[Any]) -> Any:
    cursor = connection.connection.cursor()
    for listener in connection.dispatch.before_cursor_execute:  # whoever counts statements counts these too
        listener(connection, cursor, sql, values, None, len(values) > 1)
    return cursor


def _told(connection: Connection, sql: str, error: Exception) -> BaseException:
    """The error as SQLAlchemy tells it, without a bound value."""
    raw = connection.connection.dbapi_connection
    if connection.dialect.is_disconnect(error, raw, None):  # type: ignore[arg-type]
        connection.execute(text("SELECT 1"))  # fails too, and SQLAlchemy empties its pool
    base: Any = connection.dialect.loaded_dbapi.Error
    return DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=connection.dialect)
