"""The audit log: nothing leaves it unnoticed, and nothing readable stands in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smart_app.errors import NothingToShowError
from smart_app.gateways import audit_log
from smart_app.gateways.audit_log import AuditLog
from smart_app.gateways.cipher import MasterCipher, MasterKey, SealError
from smart_app.ports import CaseKind

SECRET = bytes(range(32))

APPENDER = """
import sys
from datetime import UTC, datetime
from smart_app.gateways.audit_log import AuditLog
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.engine import make_engine

engine = make_engine(sys.argv[1])
log = AuditLog(MasterCipher(MasterKey(bytes(range(32))), "hc1"))
now = datetime(2026, 11, 24, tzinfo=UTC)
for number in range(int(sys.argv[3])):
    with engine.begin() as connection:
        log.append(connection, [{"from": sys.argv[2], "number": number}], now)
"""


def fill(world, rows: int) -> None:
    with world.engine.begin() as connection:
        AuditLog(world.cipher).append(connection, [{"number": n} for n in range(rows)], world.now)


def unlocked(world, statement: str, **values) -> None:
    """What somebody can do who owns the database: the triggers are no obstacle for them."""
    world.unlock_audit()
    world.run(statement, **values)


@pytest.mark.rule("R26")
def test_rule_R26_the_table_itself_refuses_to_change_or_lose_a_row(world):
    """Nobody changes the log by accident or with the app's own rights. Break: drop the triggers in the migration."""
    fill(world, 3)
    for statement in ("UPDATE audit_row SET month = '2026-01'", "DELETE FROM audit_row"):
        with pytest.raises(Exception, match="append-only"):
            world.run(statement)
    assert audit_log.verify(world.engine, world.cipher) == audit_log.Verification(3)


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE audit_row SET body = (SELECT body FROM audit_row WHERE position = 4) WHERE position = 3", 3),
        ("UPDATE audit_row SET month = '2026-01' WHERE position = 2", 2),
        ("UPDATE audit_row SET row_hash = :zeros WHERE position = 5", 5),
        ("DELETE FROM audit_row WHERE position = 3", 3),
        ("DELETE FROM audit_row WHERE position = 1", 1),
        ("DELETE FROM audit_row WHERE position = 5", 5),
        ("UPDATE audit_row SET position = 99 WHERE position = 2", 2),
        ("UPDATE audit_head SET row_hash = :zeros", 5),
    ],
)
def test_rule_R26_an_edited_or_removed_row_is_found(world, statement, position):
    """Who changes, removes or moves a row of the log is found out. Break: return None from audit_log._problem."""
    fill(world, 5)
    assert audit_log.verify(world.engine, world.cipher).holds
    unlocked(world, statement)
    found = audit_log.verify(world.engine, world.cipher)
    assert not found.holds
    assert found.position == position


@pytest.mark.rule("R26")
def test_rule_R26_a_cut_tail_is_found_by_the_anchor_kept_elsewhere(world):
    """Even who takes off the newest rows and the head with them is found out, by the slip kept in another place."""
    fill(world, 3)
    earlier = audit_log.anchor(world.engine, "hc1")
    fill(world, 2)
    kept_elsewhere = audit_log.anchor(world.engine, "hc1")
    unlocked(world, "DELETE FROM audit_row WHERE position > 3")
    world.run("UPDATE audit_head SET position = 3, row_hash = :hash", hash=earlier.row_hash)
    assert audit_log.verify(world.engine, world.cipher).holds  # alone, the chain cannot know
    assert audit_log.verify(world.engine, world.cipher, since=earlier).holds
    assert not audit_log.verify(world.engine, world.cipher, since=kept_elsewhere).holds


@pytest.mark.rule("R26")
def test_rule_R26_nobody_without_the_key_can_make_a_chain_that_holds(world):
    """Writing the whole log anew does not help: the links need the health center's key."""
    fill(world, 2)
    forger = MasterCipher(MasterKey(bytes(32)), "hc1")
    unlocked(world, "DELETE FROM audit_row")
    world.run("DELETE FROM audit_head")
    with world.engine.begin() as connection:
        AuditLog(forger).append(connection, [{"number": 0}], world.now)
    assert audit_log.verify(world.engine, forger).holds
    assert not audit_log.verify(world.engine, world.cipher).holds
    with pytest.raises(SealError):
        world.audit()


@pytest.mark.rule("R26")
def test_rule_R26_two_processes_make_one_chain(world):
    """Two parts of the app that write at the same time make one unbroken log.

    Break: read the head without BEGIN IMMEDIATE.
    """
    url = world.database.url
    writers = [subprocess.Popen([sys.executable, "-c", APPENDER, url, name, "60"]) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = audit_log.verify(world.engine, world.cipher)
    assert (found.holds, found.rows) == (True, 120)
    rows = world.audit()
    for name in ("one", "two"):
        assert [row["number"] for row in rows if row["from"] == name] == list(range(60))


@pytest.mark.rule("R26")
def test_rule_R26_each_crossing_of_the_vault_is_one_row_with_who_what_and_why(world):
    """Every look, every store and every refusal stands in the log once, with its own number."""
    ids = world.refer()
    rows = len(world.audit())
    with world.door.open_for(world.clinician(), world.now) as work:
        work.read(ids.task)
        work.in_case(ids.case_id, "Consent")
        work.find_cases(CaseKind.REFERRAL, patient=world.patient)
        work.amend(ids.task, lambda task: {**task, "status": "cancelled"})
    with pytest.raises(NothingToShowError), world.door.open_for(world.program("northside"), world.now) as work:
        work.read(ids.task)
    new = world.audit()[rows:]
    assert [row["action"] for row in new] == ["read", "list", "find", "amend", "read"]
    assert len({row["crossing"] for row in new}) == 5
    assert [len(row["entities"]) for row in new] == [1, 1, 4, 1, 1]
    assert {row["who"] for row in new} == {"Practitioner/dr-lee", "Organization/northside"}
    assert new[-1]["entities"][0]["result"] == "deny"
    assert all(row["at"] == world.now.isoformat() for row in new)
    assert audit_log.verify(world.engine, world.cipher).holds


def test_a_unit_that_was_never_used_leaves_no_row(world):
    """Counting the cards that were handed out is about no patient and leaves no row about one."""
    with world.door.open_for(world.clinician(), world.now) as work:
        work.facts.count("card", "taken")
    assert world.audit() == []
    assert world.count("fact", "kind = 'card' AND outcome = 'taken' AND total = 1") == 1


@pytest.mark.rule("R26")
def test_rule_R26_a_launch_event_is_a_row_of_opaque_ids(world):
    """Who opened the app, and every refused key of a program, stands in the log too."""
    from launch.context import LaunchEvent

    event = LaunchEvent("partner-token-refused", reason="signature", client_id="harbor-system", jti_hash="ab" * 32)
    world.door.audit_launch_event(event, world.now)
    row = world.audit()[-1]
    assert (row["action"], row["reason"], row["client"]) == ("partner-token-refused", "signature", "harbor-system")


def test_the_log_holds_nothing_readable(world):
    """A copy of the log without its key shows no number, no person and no time."""
    world.refer()
    raw = world.database.raw()
    for word in (b"Practitioner/dr-lee", b"open-case", b"2026-11-24T", world.patient.patient_id.encode()):
        assert word not in raw
