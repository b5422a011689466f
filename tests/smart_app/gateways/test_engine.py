"""What every connection must have: one writer waits for the other, nothing is half written, nothing is shown."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, text
from sqlalchemy.exc import IntegrityError, OperationalError

from smart_app.gateways.engine import database_now, insert_ignoring, insert_or_add, make_engine

WRITER = """
import sys
from sqlalchemy import text
from smart_app.gateways.engine import make_engine

engine = make_engine(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with engine.begin() as connection:
        value = connection.execute(text("SELECT value FROM counter")).scalar_one()
        connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})
"""


@pytest.fixture
def engine(tmp_path):
    made = make_engine(f"sqlite:///{tmp_path / 'some.sqlite3'}")
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", 10000),
    ],
)
def test_each_connection_is_durable_and_overwrites_what_it_deletes(engine, pragma, value):
    """A power cut loses nothing that was said to be saved, and what is deleted is really gone."""
    with engine.begin() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value


def test_a_transaction_begins_at_once_and_by_us(engine):
    """Who comes second waits, instead of failing later. Break: remove ``do_begin``, or the isolation_level line."""
    seen = []
    raw = engine.raw_connection()
    assert raw.driver_connection.isolation_level is None
    raw.close()
    with engine.connect() as connection:
        connection.connection.driver_connection.set_trace_callback(seen.append)
        connection.execute(text("SELECT 1"))
        connection.commit()
        with engine.execution_options(is_read_only=True).begin() as reader:
            assert reader.execute(text("SELECT 1")).scalar_one() == 1
    assert seen[0] == "BEGIN IMMEDIATE"


@pytest.mark.parametrize(("promise", "begun"), [(False, ["BEGIN IMMEDIATE"]), (True, ["BEGIN"]), ("once", [])])
def test_who_promises_to_read_does_not_queue_behind_a_writer(engine, promise, begun):
    """A page that only reads waits for nobody, and keeps no writer waiting.

    Break: let ``_BY_PROMISE`` give a promise the dialect of another.
    """
    reading, seen = engine.execution_options(is_read_only=promise), []
    with engine.begin() as writer:
        writer.execute(text("CREATE TABLE counter (value INTEGER)"))
    with reading.connect() as connection:
        connection.connection.driver_connection.set_trace_callback(seen.append)
        assert connection.execute(text("SELECT count(*) FROM counter")).scalar_one() == 0
    assert [one for one in seen if one.startswith("BEGIN")] == begun


def test_a_writer_who_waits_too_long_is_told_in_our_own_kind_of_error(engine, monkeypatch):
    """A database that stays busy is an ordinary refusal, which shows no value.

    Break: begin behind SQLAlchemy's back, so that the driver's own error comes out.
    """
    monkeypatch.setattr("smart_app.gateways.engine.PRAGMAS", ("PRAGMA busy_timeout = 1",))
    with engine.begin(), pytest.raises(OperationalError), engine.begin():
        pytest.fail("two writers at once")


def test_two_processes_read_change_and_write_without_losing_one(tmp_path, engine):
    """Two parts of the app that count the same thing at the same time lose no count.

    Break: BEGIN instead of BEGIN IMMEDIATE.
    """
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    url = f"sqlite:///{tmp_path / 'some.sqlite3'}"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, "150"]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with engine.begin() as connection:
        assert connection.execute(text("SELECT value FROM counter")).scalar_one() == 450


def test_an_error_never_shows_the_values(engine):
    """An error of the database names no patient."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE thing (name TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO thing VALUES (:name)"), {"name": "canary"})
    with pytest.raises(IntegrityError) as caught, engine.begin() as connection:
        connection.execute(text("INSERT INTO thing VALUES (:name)"), {"name": "canary"})
    assert "canary" not in str(caught.value)


def test_upserts_add_and_ignore(database):
    """A count that exists grows; a number that is taken stays as it was, and who came second is told so.

    Break: count with ``rowcount`` in insert_ignoring: PostgreSQL's driver has none for an insert.
    """
    engine = make_engine(database.url)
    table = Table("t", MetaData(), Column("key", String, primary_key=True), Column("total", Integer))
    with engine.begin() as connection:
        table.create(connection)
        for _ in range(3):
            insert_or_add(connection, table, {"key": "a", "total": 2}, column="total")
        assert insert_ignoring(connection, table, [{"key": "a", "total": 9}, {"key": "b", "total": 9}]) == 1
        assert dict(connection.execute(table.select()).all()) == {"a": 6, "b": 9}
    engine.dispose()


def test_the_database_has_its_own_clock(database):
    """What is due is decided by one clock, the database's."""
    import time

    engine = make_engine(database.url)
    with engine.begin() as connection:
        assert abs(connection.execute(database_now().select()).scalar_one() - time.time()) < 2
    engine.dispose()


def test_postgresql_is_spoken_by_psycopg_3():
    """The address of a PostgreSQL database needs no driver's name in it."""
    assert make_engine("postgresql://somewhere/vault").dialect.driver == "psycopg"
