"""The one way to a database engine: what must hold on every connection is set here, the tests' engines included.

SQLite has one writer. A deferred BEGIN under several processes fails by the hundred thousand, BEGIN IMMEDIATE waits
its turn, so our dialect begins every transaction that way and the driver's own transaction handling is off.
See https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#sqlite-transactions, which does it in an event hook; an
engine with one stops at five places of every statement to see who listens, and a launch runs fifty statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from launch.prepared import Prepared

BUSY_TIMEOUT_SECONDS = 15
SETTING = "app.tenant"  # what row-level security asks for (``row_walls``)
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",  # what is emptied is overwritten (attack 14)
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 10000",
)
DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite+one_writer"}


class OneWriterDialect(SQLiteDialect_pysqlite):
    """Python's own driver, with transactions that queue for the one writer's place when they begin."""

    supports_statement_cache = True
    begins_with: str | None = "BEGIN IMMEDIATE"

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin in the way of this class."""
        if self.begins_with is not None:
            dbapi_connection.driver_connection.execute(self.begins_with)

    def set_engine_execution_options(self, engine: Engine, opts: Mapping[str, Any]) -> None:
        """An engine that promised to read (``is_read_only``) begins otherwise. It shares all else with its parent, also
        what is learnt at the first connection later on."""
        super().set_engine_execution_options(engine, opts)
        if "is_read_only" in opts:
            engine.dialect = object.__new__(_BY_PROMISE[opts["is_read_only"]])
            engine.dialect.__dict__ = self.__dict__


class _ReadingDialect(OneWriterDialect):
    """Whoever only reads does not queue for the one writer's place."""

    supports_statement_cache = True
    begins_with = "BEGIN"


class _ReadingOnceDialect(OneWriterDialect):
    """A single statement needs no transaction of ours around it."""

    supports_statement_cache = True
    begins_with = None


_BY_PROMISE = {False: OneWriterDialect, True: _ReadingDialect, "once": _ReadingOnceDialect}
registry.register("sqlite.one_writer", __name__, OneWriterDialect.__name__)


def make_engine(url: str, *, tenant_id: str | None = None) -> Engine:
    """An engine for ``url``; "postgresql://" means psycopg 3. Bound values never reach an error's text or a log.

    ``tenant_id``: whose rows PostgreSQL shows to its connections (``row_walls``); without one, none. It is said at the
    connection's start, so a pooler in front must keep sessions apart.
    """
    parsed = make_url(url)
    parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
    is_sqlite = parsed.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {}
    if not is_sqlite and tenant_id is not None:
        arguments["options"] = f"-c {SETTING}={tenant_id}"  # settings allow letters, digits and hyphens in it
    options: dict[str, Any] = {"connect_args": arguments}
    engine = create_engine(parsed, hide_parameters=True, **options)
    if is_sqlite:
        event.listen(engine.pool, "connect", _prepare_sqlite)
    return engine


def empty_wal(engine: Engine) -> None:
    """Move the write-ahead log into the database file and cut it to nothing, so that no old page with an exact time
    outlives the row it stood in. Best effort: a busy reader only means that the next call does it."""
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout = 100")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.execute(PRAGMAS[0])
        cursor.close()
    finally:
        raw.close()


def insert_ignoring(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> int:
    """Insert rows whose key is not taken yet; returns how many were new.

    Counted by what comes back: PostgreSQL's driver tells no row count for an insert.
    """
    statement = _ignoring(connection.dialect.name, table)
    return sum(connection.execute(statement, row).one_or_none() is not None for row in rows)


def insert_or_add(connection: Connection, table: Any, row: dict[str, Any], *, column: str) -> None:
    """Insert ``row``, or add its ``column`` to the row that has the same primary key."""
    _adding(table, column).run(connection, [row])


def insert_or_replace(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or give the row that has the same primary key the new values."""
    if rows:
        statement = _insert(connection.dialect.name, table)
        key = {column.name for column in table.primary_key.columns}
        new = {name: statement.excluded[name] for name in rows[0] if name not in key}
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new), rows)


def claim(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> bool:
    """Insert rows whose key is not taken yet, in one statement; True when all were new."""
    return _claiming(table).run(connection, rows) == len(rows)


# Built once for each table: to make a statement and its cache key costs more than a small insert does.
@lru_cache(maxsize=32)
def _ignoring(dialect: str, table: Any) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing().returning(*table.primary_key.columns)


@lru_cache(maxsize=32)
def _claiming(table: Any) -> Prepared:
    return Prepared(lambda dialect: _insert(dialect, table).on_conflict_do_nothing(), _names(table))


@lru_cache(maxsize=32)
def _adding(table: Any, column: str) -> Prepared:
    def made(dialect: str) -> Any:
        statement = _insert(dialect, table)
        added = {column: table.c[column] + statement.excluded[column]}
        return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=added)

    return Prepared(made, _names(table))


def _names(table: Any) -> list[str]:
    return [column.name for column in table.columns]


def _insert(dialect: str, table: Any) -> Any:
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver begins nothing by itself; our dialect does
    cursor = dbapi_connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


class database_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Unix seconds by the database's clock: workers on several machines agree on what is due."""

    type = Float()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _now_sqlite(_element: Any, _compiler: SQLCompiler, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _now_postgresql(_element: Any, _compiler: SQLCompiler, **_: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"
