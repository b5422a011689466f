"""Statements on the driver's own cursor give and take what SQLAlchemy would."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Date, LargeBinary, MetaData, String, Table, bindparam, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from launch.prepared import Prepared

NOTE = Table(
    "prepared_note",
    MetaData(),
    Column("name", String(20), primary_key=True),
    Column("due_on", Date),
    Column("is_open", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
ADD = Prepared(lambda _: NOTE.insert(), [column.name for column in NOTE.columns])
CLAIM = Prepared(
    lambda name: (postgresql if name == "postgresql" else sqlite).insert(NOTE).on_conflict_do_nothing(),
    [column.name for column in NOTE.columns],
)
FIND = Prepared(lambda _: select(*NOTE.columns).where(NOTE.c.name == bindparam("wanted")))
SECRET = "not-for-a-log"


def note(name: str) -> dict[str, Any]:
    return {"name": name, "due_on": date(2026, 11, 24), "is_open": True, "body": b"\x00\x01"}


@pytest.fixture
def notes(each_engine: Any) -> Any:
    NOTE.metadata.create_all(each_engine)
    yield each_engine
    NOTE.metadata.drop_all(each_engine)


def test_values_come_back_as_they_went_in(notes: Any) -> None:
    """Days, yes or no, and bytes are the same after a round through either database, one row or several.

    Breaks when a value is not converted, as SQLite's days are.
    """
    with notes.begin() as connection:
        assert ADD.run(connection, [note("a")]) == 1
        assert ADD.run(connection, [note("b"), {**note("c"), "due_on": None}]) == 2
        assert FIND.first(connection, {"wanted": "b"}) == tuple(note("b").values())
        assert FIND.first(connection, {"wanted": "c"}) == ("c", None, True, b"\x00\x01")
        assert FIND.first(connection, {"wanted": "d"}) is None


def test_claim_tells_how_many_were_new(notes: Any) -> None:
    """A name that is taken does not count, so a repeated referral is never taken for a new one.

    Breaks when the number of rows sent is given back.
    """
    with notes.begin() as connection:
        assert CLAIM.run(connection, [note("a"), note("b")]) == 2
        assert CLAIM.run(connection, [note("b"), note("c")]) == 1
        assert CLAIM.run(connection, [note("a")]) == 0


def test_transaction_around_it_undoes_it(notes: Any) -> None:
    """What failed leaves nothing behind, and the error is SQLAlchemy's own, without the SQL's values in its text.

    Breaks when the statement runs outside the caller's transaction.
    """

    def twice() -> None:
        with notes.begin() as connection:
            ADD.run(connection, [note("a")])
            ADD.run(connection, [{**note("a"), "body": SECRET.encode()}])

    with pytest.raises(IntegrityError) as told:
        twice()
    assert SECRET not in str(told.value)
    with notes.begin() as connection:
        assert FIND.first(connection, {"wanted": "a"}) is None


def test_whoever_counts_statements_counts_these(notes: Any) -> None:
    """A test that holds denied and absent to the same statements sees these too.

    Breaks when the listeners are not told.
    """
    seen: list[str] = []
    event.listen(notes, "before_cursor_execute", lambda _c, _cursor, sql, *_: seen.append(sql))
    with notes.begin() as connection:
        ADD.run(connection, [note("a")])
        FIND.first(connection, {"wanted": "a"})
    assert [sql.split()[0] for sql in seen if NOTE.name in sql] == ["INSERT", "SELECT"]


def test_missing_value_is_an_error(notes: Any) -> None:
    """A column that the caller forgot is not silently empty."""
    with notes.begin() as connection, pytest.raises(KeyError):
        ADD.run(connection, [{"name": "a"}])
