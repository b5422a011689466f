"""What lies in the vault: never shown without a label it can trust, never readable without its keys."""

from __future__ import annotations

import json
import struct
from decimal import Decimal

import orjson
import pytest

from smart_app.errors import NothingToShowError
from smart_app.gateways.engine import empty_wal
from smart_app.gateways.vault import UNKNOWN, _number, label_text, labels_in
from smart_app.ports import CaseKind

BAD_LABELS = [
    "",
    "[C|V]",
    "[A|SDV]",
    "[C|N][A|SDV]",
    "[C|V][C|R][A|SDV]",
    "[C|V][A|SDV][A|MADEUP]",
    "[X|V][A|SDV]",
    "[C|v][A|sdv]",
    "nonsense",
    "[C|R]",
    "[C|N]",
]


def set_labels(world, reference: str, labels: str) -> None:
    """Write labels by hand, past the table's own check."""
    kind, resource_id = reference.split("/")
    world.database.run_unchecked(
        "UPDATE vault_resource SET labels = :labels WHERE resource_type = :kind AND resource_id = :id",
        {"labels": labels, "kind": kind, "id": resource_id},
    )


@pytest.mark.rule("R5")
@pytest.mark.parametrize("labels", BAD_LABELS)
def test_rule_R05_a_row_without_a_label_we_know_is_never_returned(world, labels):
    """A record whose privacy label is gone or strange is shown to nobody, not even opened, and the privacy officer
    is told.

    Break: drop the NONE/UNKNOWN guard in Judge.judge.
    """
    ids = world.refer()
    set_labels(world, ids.task, labels)
    for asks in (world.clinician(), world.clinician("dr-2", is_treating=True), world.program()):
        with pytest.raises(NothingToShowError), world.door.open_for(asks, world.now) as work:
            work.read(ids.task)
        reads = [row["entities"][0] for row in world.audit() if row["action"] == "read"]
        assert (reads[-1]["result"], reads[-1]["rule"]) == ("deny", "R5")  # decided on the label, nothing opened
        with world.door.open_for(asks, world.now) as work:
            assert work.in_case(ids.case_id, "Task") == []
    assert "vault-row-not-trusted" in world.alerts()
    assert any(row["action"] == "incident" and row["rule"] == "R5" for row in world.audit())


@pytest.mark.rule("R5")
def test_rule_R05_a_label_that_was_weakened_by_hand_is_noticed(world):
    """A label written down by hand does not open a record: it is compared with the sealed one.

    Break: drop the comparison in Vault._content.
    """
    ids = world.refer()
    set_labels(world, ids.task, "[C|R][A|SDV][A|NORDSCLCD][A|NOREUSE][A|PERSISTLABEL][R|COC]")
    with pytest.raises(NothingToShowError), world.door.open_for(world.clinician(), world.now) as work:
        work.read(ids.task)
    assert world.alerts() == ["vault-row-not-trusted"]


@pytest.mark.rule("R5")
def test_rule_R05_a_release_without_its_label_opens_nothing(world):
    """A release that cannot be trusted counts as no release. Break: skip the comparison in Vault._content."""
    ids = world.refer()
    set_labels(world, ids.consent, "[C|R][A|SDV]")
    with pytest.raises(NothingToShowError), world.door.open_for(world.program(), world.now) as work:
        work.read(ids.task)


@pytest.mark.rule("R5")
def test_rule_R05_an_error_of_the_policy_is_a_no(world, monkeypatch):
    """When the rules themselves break, nobody gets in. Break: re-raise in Judge.judge."""
    ids = world.refer()

    def broken(**_):
        raise KeyError("policy")

    monkeypatch.setattr("smart_app.policy.access.decide", broken)
    with pytest.raises(NothingToShowError), world.door.open_for(world.clinician(), world.now) as work:
        work.read(ids.task)
    assert world.audit()[-1]["entities"][0]["rule"] == "policy-error"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vault_resource SET body = (SELECT body FROM vault_resource WHERE resource_type = 'Patient')"
        " WHERE resource_type = 'Task'",
        "UPDATE vault_key SET wrapped = :zeros",
        "DELETE FROM vault_key",
        "UPDATE vault_resource SET body = :zeros WHERE resource_type = 'Task'",
    ],
)
def test_content_that_was_moved_or_lost_its_key_is_an_incident_not_a_crash(world, statement):
    """A record that was swapped by hand is not shown in the other's place."""
    ids = world.refer()
    world.run(statement)
    with pytest.raises(NothingToShowError), world.door.open_for(world.clinician(), world.now) as work:
        work.read(ids.task)
    assert world.alerts() == ["vault-row-not-trusted"]


def test_an_older_version_cannot_be_put_back(world):
    """Nobody can undo a withdrawal by copying the old record over the new one."""
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.task, lambda task: {**task, "status": "cancelled"})
    world.run(
        "UPDATE vault_resource SET body = (SELECT body FROM vault_resource WHERE resource_type = 'Task' AND"
        " version = 1) WHERE resource_type = 'Task' AND version = 2"
    )
    with pytest.raises(NothingToShowError), world.door.open_for(world.clinician(), world.now) as work:
        work.read(ids.task)


def test_a_case_whose_key_was_destroyed_is_gone_for_good(world):
    """Erasing a case is deleting one key: nobody reads it again, from no backup."""
    case_id, _ = world.disclose()
    kept, _ = world.disclose()
    world.run("DELETE FROM vault_key WHERE case_id = :id", id=case_id)
    with world.door.open_for(world.clinician(), world.now) as work:
        found = [case.case_id for case in work.find_cases(CaseKind.DISCLOSURE, patient=world.patient)]
    assert found == [kept]


def test_label_text_and_labels_are_the_same_thing():
    """A label set is one line of text, and comes back as the same set."""
    text = "[C|V][A|NORDSCLCD][A|SDV][R|COC]"
    assert label_text(labels_in(text)) == text
    assert labels_in("") == ()
    assert UNKNOWN in labels_in("[Z|V]")
    assert UNKNOWN in labels_in("C|V")


def test_numbers_keep_their_digits(world):
    """A number is stored as it was written: 0.40 stays 0.40."""
    raw = orjson.dumps({"value": Decimal("0.40")}, default=_number)
    assert json.loads(raw, parse_float=Decimal)["value"].as_tuple() == Decimal("0.40").as_tuple()


@pytest.mark.rule("attack 14")
def test_a_copy_of_the_database_shows_no_person_no_partner_and_no_time_of_closed_work(world):
    """Who steals the disk learns no name, no number, no program of a case, and no hour of anything that is done.

    Break: store the payload unsealed in Vault._insert, or drop EMPTY in SqlJobStore.complete.
    """
    ids, sent = world.refer(), world.inbound()
    world.disclose()
    with world.door.open_for(world.clinician(), world.now) as work:
        work.note_ehr_copy(ids.service_request, "ServiceRequest/canary-ehr-copy")
    with world.door.open_for(world.scheduler(), world.now) as work:
        work.close_case(sent.case_id)
    (job,) = world.jobs.claim(limit=5, lease_seconds=60)
    with world.engine.begin() as connection:
        due = connection.exec_driver_sql("SELECT due_at, lane FROM delivery").one()
    assert world.jobs.complete(job, outcome="delivered")
    assert world.jobs.claim(limit=5, lease_seconds=60) == []  # idle: the write-ahead log is emptied
    world.run("DELETE FROM partner")  # the public directory names programs; a case must not
    empty_wal(world.engine)
    raw = world.database.raw()
    gone = ["Canary", "canary", "555-0142777", "harbor", "Harbor", "dr-lee", "2026-11-24T", "2026-11-25", "15:00"]
    assert [word for word in gone if word.encode() in raw] == []
    assert bytes(due[1]) not in raw
    assert struct.pack(">d", due[0]) not in raw
    assert ids.task.split("/")[1].encode() in raw  # the search does find what is there: opaque ids


def test_the_search_for_canaries_finds_one_that_was_planted(world):
    """The test above would notice: a name in clear text in the file is found."""
    world.run(
        "INSERT INTO alert (tenant_id, alert_id, month, kind, is_open) VALUES ('hc1', 'x', '2026-11', 'Canary', true)"
    )
    raw = world.database.raw()
    assert b"Canary" in raw
