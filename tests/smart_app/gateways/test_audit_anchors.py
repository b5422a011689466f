"""Anchors of the audit chain in a file outside the database: what nobody can take back by changing the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Table, select

from smart_app.gateways import audit_log
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.audit_anchors import (
    ALERT,
    EVERY,
    AnchorFileError,
    AnchorKeeper,
    AnchorSigner,
    read_file,
    read_line,
)
from smart_app.gateways.audit_log import Anchor, AuditLog
from smart_app.gateways.cipher import MasterKey
from smart_app.gateways.tables import audit_head, audit_row

MASTER = MasterKey(bytes(range(32)))
SIGNER = AnchorSigner(MASTER, "hc1")
MASTER_TIME = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def fill(world, rows: int) -> None:
    with world.engine.begin() as connection:
        AuditLog(world.cipher).append(connection, [{"number": n} for n in range(rows)], world.now)


def keeper(world, file: Path) -> AnchorKeeper:
    alerts = SqlAlerts(world.engine, "hc1", lambda: world.now)
    return AnchorKeeper(file, SIGNER, lambda: audit_log.anchor(world.engine, "hc1"), alerts, now=lambda: world.now)


def flipped(value: object) -> object:
    """The value with one bit changed; a number gets one that no row has."""
    if isinstance(value, int):
        return value ^ (1 << 20)
    if isinstance(value, str):
        return chr(ord(value[0]) ^ 1) + value[1:]
    assert isinstance(value, bytes)
    return value[:-1] + bytes([value[-1] ^ 1])


def write_anew(world, table: Table, rows: list[dict[str, object]]) -> None:
    """What the owner of the database can do."""
    with world.engine.begin() as connection:
        connection.execute(table.delete())
        connection.execute(table.insert(), rows)


@pytest.mark.rule("R26")
def test_rule_R26_one_flipped_bit_of_any_stored_column_is_found_and_its_row_named(world):
    """Whatever is changed in a row of the log, however little, the row is named. The columns are those of the table, so
    a new one cannot be forgotten. Break: leave the month out of audit_log._link."""
    fill(world, 5)
    world.unlock_audit()
    with world.engine.begin() as connection:
        rows = [row._asdict() for row in connection.execute(select(audit_row))]
    for column in (column.name for column in audit_row.columns):
        for position in (1, 3, 5):
            changed = [row | ({column: flipped(row[column])} if row["position"] == position else {}) for row in rows]
            write_anew(world, audit_row, changed)
            found = audit_log.verify(world.engine, world.cipher)
            assert (found.holds, found.table, found.position) == (False, "audit_row", position), column
    write_anew(world, audit_row, rows)
    assert audit_log.verify(world.engine, world.cipher) == audit_log.Verification(5)


@pytest.mark.rule("R26")
def test_rule_R26_one_flipped_bit_of_the_head_is_found(world):
    """The note of how far the log reaches cannot be changed unseen either, nor put out of sight.

    Break: take out the second look at the head in audit_log.verify."""
    fill(world, 5)
    with world.engine.begin() as connection:
        (row,) = [row._asdict() for row in connection.execute(select(audit_head))]
    for column in row:
        write_anew(world, audit_head, [row | {column: flipped(row[column])}])
        assert not audit_log.verify(world.engine, world.cipher).holds, column
    write_anew(world, audit_head, [row])
    assert audit_log.verify(world.engine, world.cipher).holds


@pytest.mark.rule("R26")
def test_rule_R26_rows_without_their_head_are_found(world):
    """A head that is gone is no new beginning. Break: as above."""
    fill(world, 5)
    world.run("DELETE FROM audit_head")
    found = audit_log.verify(world.engine, world.cipher)
    assert (found.holds, found.table, found.position) == (False, "audit_head", 5)


@pytest.mark.rule("R26")
def test_rule_R26_a_cut_tail_is_found_by_the_file_the_worker_keeps(world, tmp_path):
    """Who takes off the newest rows, and the head with them, is found out by the file on another host.

    Break: return False from AnchorKeeper.look."""
    file, start = tmp_path / "anchors.jsonl", world.now
    keep = keeper(world, file)
    fill(world, 3)
    cut_to = audit_log.anchor(world.engine, "hc1")
    assert keep.look()
    fill(world, 2)
    assert not keep.look()  # not yet time
    world.now = start + EVERY
    assert keep.look()
    world.now = start + 2 * EVERY
    assert not keep.look()  # nothing was added
    anchors = read_file(file, SIGNER)
    assert [anchor.position for anchor in anchors] == [3, 5]
    assert audit_log.verify(world.engine, world.cipher, anchors=anchors).holds
    world.unlock_audit()
    world.run("DELETE FROM audit_row WHERE position > 3")
    world.run("UPDATE audit_head SET position = 3, row_hash = :hash", hash=cut_to.row_hash)
    assert audit_log.verify(world.engine, world.cipher).holds  # alone, the chain cannot know
    found = audit_log.verify(world.engine, world.cipher, anchors=anchors)
    assert (found.holds, found.position) == (False, 4)


@pytest.mark.rule("R26")
def test_rule_R26_a_tail_that_was_written_anew_is_found_by_the_anchor(world):
    """Cutting rows off and writing others with the same key is found too: the anchored row is another one.

    Break: take the anchors out of audit_log._problem."""
    fill(world, 3)
    cut_to = audit_log.anchor(world.engine, "hc1")
    fill(world, 2)
    kept = audit_log.anchor(world.engine, "hc1")
    world.unlock_audit()
    world.run("DELETE FROM audit_row WHERE position > 3")
    world.run("UPDATE audit_head SET position = 3, row_hash = :hash", hash=cut_to.row_hash)
    fill(world, 4)
    assert audit_log.verify(world.engine, world.cipher).holds
    found = audit_log.verify(world.engine, world.cipher, anchors=[kept])
    assert (found.holds, found.position) == (False, 5)


@pytest.mark.rule("R26")
@pytest.mark.parametrize("member", ["tenant", "position", "row_hash", "at", "signature"])
def test_rule_R26_a_line_of_the_file_that_was_altered_is_refused(tmp_path, member):
    """An anchor cannot be written by hand. Break: take the signature's check out of read_line."""
    line = SIGNER.line(Anchor(7, bytes(32)), MASTER_TIME)
    said = orjson.loads(line)
    value = said[member]
    said[member] = value + 1 if isinstance(value, int) else value[:-1] + ("1" if value[-1] != "1" else "2")
    file = tmp_path / "anchors.jsonl"
    file.write_bytes(line + orjson.dumps(said) + b"\n")
    with pytest.raises(AnchorFileError, match="line 2"):
        read_file(file, SIGNER)


def test_anchors_can_be_read_with_the_public_key_alone():
    """An outside auditor needs no secret of the health center to read the file, and no other's key opens it."""
    line = SIGNER.line(Anchor(7, bytes(32)), MASTER_TIME)
    assert read_line(line, SIGNER.public_key, "hc1") == Anchor(7, bytes(32))
    for other in (AnchorSigner(MASTER, "hc2"), AnchorSigner(MasterKey(bytes(32)), "hc1")):
        with pytest.raises(ValueError, match="anchor"):
            other.anchor(line)


@pytest.mark.parametrize("content", [None, b"", b"{}\n", b"[]\n", b"not json\n", b'{"signature": "zz"}\n'])
def test_a_missing_empty_or_foreign_file_of_anchors_is_said(tmp_path, content):
    """A file that was emptied or replaced is no proof, and the check says so."""
    file = tmp_path / "anchors.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AnchorFileError):
        read_file(file, SIGNER)


def test_the_officer_is_told_when_the_file_cannot_be_written(world, tmp_path):
    """A full or unplugged disk is told to the privacy officer, once, and the worker goes on."""
    fill(world, 1)
    keep = keeper(world, tmp_path / "no-such-folder" / "anchors.jsonl")
    assert not keep.look()
    world.now += timedelta(minutes=1)
    assert not keep.look()
    assert world.alerts() == [ALERT]
