"""The door: who gets in, who learns nothing, and what is left of a transaction that failed."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from fhir_profiles.proposed_appointment import booked_appointment
from smart_app.errors import (
    InvalidError,
    NothingToShowError,
    PreconditionError,
    RefusedError,
    UnlabelledError,
)
from smart_app.gateways.door import VaultDoor
from smart_app.policy.access import Purpose, Role
from smart_app.ports import CaseKind, PatientKey


def accept(task):
    return {**task, "status": "accepted"}


# -- the people who may ---------------------------------------------------------------------------------------------


def test_the_author_reads_back_what_was_stored(world):
    """What a nurse recorded this morning is there in the afternoon, whole."""
    case_id, reference = world.disclose()
    with world.door.open_for(world.clinician(), world.now) as work:
        stored = work.read(reference)
    assert (stored.case_id, stored.version, stored.is_redacted) == (case_id, 1, False)
    assert stored.payload["code"]["coding"][0]["code"] == "violence-disclosed"
    assert len(stored.payload["meta"]["security"]) == 7


def test_the_treating_care_team_with_the_encounter_reads_it(world):
    """A doctor who treats the patient in this visit sees what a colleague recorded."""
    _, reference = world.disclose()
    with world.door.open_for(world.clinician("dr-second", is_treating=True), world.now) as work:
        assert work.read(reference).payload["resourceType"] == "Observation"
    row = world.audit()[-1]
    assert (row["entities"][0]["rule"], row["entities"][0]["link"]) == ("D7", "care-team")


def test_the_program_reads_the_referral_that_is_addressed_to_it(world):
    """The program a patient chose can look at the referral again, and the log names the release by which it did."""
    ids = world.refer()
    with world.door.open_for(world.program(), world.now) as work:
        assert work.read(ids.task).payload["status"] == "requested"
        assert work.read(ids.patient).payload["name"][0]["use"] == "anonymous"
    row = world.audit()[-1]
    assert row["consents"] == [ids.consent]
    assert row["is_disclosure"] is True


def test_a_program_sees_nothing_once_the_release_is_over(world):
    """After the last day of the release the program's door is shut, without anybody doing anything."""
    ids = world.refer(days=30)
    later = world.now + timedelta(days=32)
    with pytest.raises(NothingToShowError), world.door.open_for(world.program(), later) as work:
        work.read(ids.task)
    with world.door.open_for(world.clinician(), later) as work:
        assert work.read(ids.task).payload["status"] == "requested"  # expiry ends sharing, not the own record


def test_the_scheduler_sees_a_trimmed_request_of_a_program(world):
    """Whoever books the visit sees the name to use and the safe contact, not who sent it."""
    ids = world.inbound()
    with world.door.open_for(world.scheduler(), world.now) as work:
        (case,) = work.find_cases(CaseKind.INBOUND, is_open=True)
        (visit,) = work.in_case(case.case_id, "Appointment")
        (request,) = work.in_case(case.case_id, "ServiceRequest")
    assert case.case_id == ids.case_id
    assert visit.is_redacted
    assert "basedOn" not in visit.payload
    assert "requester" not in request.payload
    assert "Organization/harbor" not in str([visit.payload, request.payload])


def test_the_scheduler_books_although_the_request_is_trimmed(world):
    """Booking a visit keeps what the scheduler could not see."""
    ids = world.inbound()
    start = world.now + timedelta(days=1)
    with world.door.open_for(world.scheduler(), world.now) as work:
        shown = work.amend(ids.appointment, lambda now: booked_appointment(now, start, start + timedelta(hours=1)))
        work.amend(ids.task, accept)
    assert shown.is_redacted
    assert shown.payload["status"] == "booked"
    with world.door.open_for(world.program(), world.now) as work:
        assert work.read(ids.task).payload["requester"] == {"reference": "Organization/harbor"}


def test_cases_come_in_the_order_a_person_needs_them(world):
    """Who needs a person first comes first, then by day."""
    late, early = world.inbound(), world.inbound()
    urgent = world.inbound()
    world.run("UPDATE vault_case SET due_on = '2026-11-27' WHERE case_id = :id", id=late.case_id)
    world.run("UPDATE vault_case SET due_on = '2026-11-28', needs_person = true WHERE case_id = :id", id=urgent.case_id)
    with world.door.open_for(world.scheduler(), world.now) as work:
        found = [case.case_id for case in work.find_cases(CaseKind.INBOUND, is_open=True)]
    assert found == [urgent.case_id, early.case_id, late.case_id]


# -- the people who may not -----------------------------------------------------------------------------------------


def test_everybody_else_gets_the_same_nothing(world):
    """Nobody outside the referral can tell whether it exists: same error for a real and for an invented number."""
    ids = world.refer()
    _, observation = world.disclose()
    for who, asks in world.others().items():
        for reference in (ids.task, ids.service_request, ids.patient, ids.consent, observation, "Task/not-there"):
            with pytest.raises(NothingToShowError) as caught, world.door.open_for(asks, world.now) as work:
                work.read(reference)
            assert caught.value.said == "Nothing to show here.", who
        with world.door.open_for(asks, world.now) as work:
            assert work.find_cases(CaseKind.REFERRAL, patient=world.patient) == [], who
            assert work.find_cases(CaseKind.DISCLOSURE, patient=world.patient) == [], who
            assert work.in_case(ids.case_id, "Task") == [], who


@pytest.mark.parametrize("method", ["read", "in_case", "find_cases", "case_of", "amend"])
def test_denied_and_absent_take_the_same_number_of_sql_statements(world, method):
    """Nobody learns anything by counting what the database does.

    Break: skip the consent query when the head is absent.
    """
    ids = world.refer()
    asks = world.clinician("dr-other")
    calls = {
        "read": lambda work, there: work.read(ids.task if there else "Task/not-there"),
        "amend": lambda work, there: work.amend(ids.task if there else "Task/not-there", accept),
        "case_of": lambda work, there: work.case_of(ids.task if there else "Task/not-there"),
        "in_case": lambda work, there: work.in_case(ids.case_id if there else "not-there", "Task"),
        "find_cases": lambda work, there: work.find_cases(
            CaseKind.REFERRAL, patient=world.patient if there else PatientKey("a", "nobody")
        ),
    }
    counted = [count_statements(world, asks, lambda work, t=there: calls[method](work, t)) for there in (True, False)]
    assert counted[0] == counted[1] > 0


def count_statements(world, asks, call) -> int:
    seen = []

    def note(_connection, _cursor, statement, *_):
        seen.append(statement)

    event.listen(world.engine, "before_cursor_execute", note)
    with contextlib.suppress(NothingToShowError), world.door.open_for(asks, world.now) as work:
        call(work)
    event.remove(world.engine, "before_cursor_execute", note)
    return len(seen)


@pytest.mark.rule("attack 10")
def test_two_ehrs_with_the_same_patient_number_are_two_patients(world):
    """Patient 901 of one EHR is somebody else than patient 901 of another.

    Break: drop registration_id in patient_index.
    """
    world.disclose()
    elsewhere = world.clinician(registration_id="b", is_treating=True)
    with world.door.open_for(elsewhere, world.now) as work:
        assert work.find_cases(CaseKind.DISCLOSURE, patient=PatientKey("b", world.patient.patient_id)) == []
    world.disclose(elsewhere)
    with world.door.open_for(elsewhere, world.now) as work:
        assert len(work.find_cases(CaseKind.DISCLOSURE, patient=PatientKey("b", world.patient.patient_id))) == 1


@pytest.mark.rule("R19")
def test_rule_R19_another_program_can_neither_read_nor_answer(world):
    """A program sees nothing that is not addressed to it."""
    ids, sent = world.refer("harbor"), world.inbound("harbor", back=True)
    with world.door.open_for(world.program("northside"), world.now) as work:
        assert work.find_cases(CaseKind.REFERRAL) == []
        assert work.find_cases(CaseKind.INBOUND, partner_id="harbor") == []
    for reference in (ids.task, sent.task, sent.appointment):
        with pytest.raises(NothingToShowError), world.door.open_for(world.program("northside"), world.now) as work:
            work.amend(reference, accept)


@pytest.mark.rule("R19")
def test_rule_R19_even_a_release_to_another_program_opens_nothing_that_is_not_addressed_to_it(world):
    """A second form in the same case, for another program, does not open the case to that program.

    Break: is_partner true for every program in Judge._facts_about.
    """
    ids = world.refer("harbor")
    second = world.parts("northside", task=ids.task.split("/")[1], request=ids.service_request.split("/")[1])[1]
    second["patient"] = second["performer"][0] = {"reference": ids.patient}
    with world.door.open_for(world.clinician(), world.now) as work:
        work.create(second, case_id=ids.case_id)
    with pytest.raises(NothingToShowError), world.door.open_for(world.program("northside"), world.now) as work:
        work.read(ids.task)


@pytest.mark.rule("R21")
def test_rule_R21_a_program_sees_the_visit_only_with_the_survivors_release_back(world):
    """The program learns nothing of the visit unless the survivor said so. Break: empty links.MADE_BY_US."""
    without, with_release = world.inbound(), world.inbound(back=True)
    with pytest.raises(NothingToShowError), world.door.open_for(world.program(), world.now) as work:
        work.read(without.appointment)
    with world.door.open_for(world.program(), world.now) as work:
        assert work.in_case(without.case_id, "Appointment") == []
        assert work.read(with_release.appointment).payload["status"] == "proposed"


def test_the_privacy_officer_sees_metadata_only(world):
    """The privacy officer can see that something is there, and nothing of what it says."""
    _, reference = world.disclose()
    officer = replace(world.clinician("officer"), role=Role.PRIVACY_OFFICER, purpose=Purpose.HCOMPL)
    with world.door.open_for(officer, world.now) as work:
        stored = work.read(reference)
    assert stored.is_redacted
    assert "violence" not in str(stored.payload)


# -- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R3")
def test_rule_R03_a_resource_of_ours_without_its_labels_is_refused(world):
    """We cannot forget the privacy label: nothing is stored without it.

    Break: return payload first in Unit._labelled.
    """
    task = world.parts()[3]
    whole = task["meta"]["security"]
    for part in ({}, {"security": whole[1:]}, {"security": whole[:-1]}, {"security": whole[:1]}):
        bare = {**task, "meta": {"profile": task["meta"]["profile"], **part}}
        with pytest.raises(UnlabelledError), world.door.open_for(world.clinician(), world.now) as work:
            work.create(bare, case_id=work.open_case(CaseKind.REFERRAL, patient=world.patient, partner_id="harbor"))
    assert world.count("vault_resource") == world.count("vault_case") == 0


@pytest.mark.rule("R3")
def test_rule_R03_what_a_program_sends_unlabelled_is_labelled_by_us(world):
    """A program that knows no labels is welcome: we put ours on.

    Break: label_up is not called in Unit._labelled.
    """
    patient = world.parts()[0]
    del patient["meta"]
    with world.door.open_for(world.program(), world.now) as work:
        case_id = work.open_case(CaseKind.INBOUND, partner_id="harbor")
        stored = work.create(patient, case_id=case_id)
    labels = {(one["system"].rsplit("-", 1)[-1], one["code"]) for one in stored.payload["meta"]["security"]}
    assert {("Confidentiality", "V"), ("ActCode", "SDV"), ("ActCode", "LOCIS")} <= labels
    assert world.count("vault_resource", "labels LIKE '[C|V]%[A|SDV]%'") == 1


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    "system", ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/ActCode"]
)
def test_rule_R03_an_old_spelling_of_a_label_is_kept_beside_todays(world, system):
    """A program whose system writes labels as they were written before is served: the retired code is no second level.

    Break: count the retired code as a level in missing_labels.
    """
    patient = world.parts()[0]
    old = {"system": system, "code": "SDV"}
    patient["meta"]["security"] = [patient["meta"]["security"][0], old]
    with world.door.open_for(world.program(), world.now) as work:
        stored = work.create(patient, case_id=work.open_case(CaseKind.INBOUND, partner_id="harbor"))
        shown = work.read(stored.reference).payload["meta"]["security"]
    assert old in shown
    assert [one["code"] for one in shown if one["system"].endswith("v3-ActCode")][:1] == ["SDV"]


@pytest.mark.rule("R3")
def test_rule_R03_a_site_may_set_r_and_nothing_less(world):
    """A health center may choose the level below the highest; below that nothing is stored."""
    door = VaultDoor(world.engine, world.cipher, site_id="main", organization_reference=world.us, confidentiality="R")
    patient = world.parts()[0]
    del patient["meta"]
    with door.open_for(world.program(), world.now) as work:
        case_id = work.open_case(CaseKind.INBOUND, partner_id="harbor")
        stored = work.create(patient, case_id=case_id)
        assert work.read(stored.reference).payload["meta"]["security"][0]["code"] == "R"
    weaker = {**world.parts()[0], "meta": {"security": [{**stored.payload["meta"]["security"][0], "code": "N"}]}}
    with pytest.raises(InvalidError), door.open_for(world.program(), world.now) as work:
        work.create(weaker, case_id=case_id)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("codes", [["N"], ["V", "R"], ["V", "V"], ["L"]])
def test_rule_R03_a_program_cannot_label_below_or_twice(world, codes):
    """A weaker label than ours, or two at once, is sent back and not kept."""
    patient = world.parts()[0]
    system = patient["meta"]["security"][0]["system"]
    patient["meta"]["security"] = [{"system": system, "code": code} for code in codes]
    with pytest.raises(InvalidError), world.door.open_for(world.program(), world.now) as work:
        work.create(patient, case_id=work.open_case(CaseKind.INBOUND, partner_id="harbor"))
    assert world.count("vault_resource") == 0


@pytest.mark.rule("R3")
@pytest.mark.parametrize("drop", [0, 1, -1])
def test_rule_R03_no_change_ever_lowers_a_label(world, drop):
    """No later change can take a label off. Break: return False from is_lowered."""
    ids = world.refer()

    def lowered(task):
        kept = [one for n, one in enumerate(task["meta"]["security"]) if n != drop % len(task["meta"]["security"])]
        return {**task, "meta": {**task["meta"], "security": kept}}

    with pytest.raises(RefusedError), world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.task, lowered)
    assert world.count("vault_resource", "version > 1") == 0
    assert world.audit()[-1]["rule"] == "R3"


def test_a_changed_item_is_a_new_version_and_the_old_one_stays(world):
    """Nothing is overwritten; a stale form is told so."""
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        first = work.read(ids.task)
        second = work.amend(ids.task, accept, if_match=first.etag)
    assert (second.version, second.etag == first.etag) == (2, False)
    with pytest.raises(PreconditionError), world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.task, accept, if_match=first.etag)
    assert world.count("vault_resource", "resource_type = 'Task'") == 2


def test_somebody_who_may_not_read_is_not_told_that_a_version_is_stale(world):
    """A wrong version number is no way to find out that something exists."""
    ids = world.refer()
    for reference in (ids.task, "Task/not-there"):
        with pytest.raises(NothingToShowError), world.door.open_for(world.clinician("dr-other"), world.now) as work:
            work.amend(reference, accept, if_match='W/"9-00000000"')


@pytest.mark.rule("R20")
def test_rule_R20_a_program_tells_us_something_only_with_the_survivors_release(world):
    """A program's news about a survivor is refused and not kept, until she released it.

    Break: return True from Judge.may_amend after the table.
    """
    ids = world.refer()
    with pytest.raises(RefusedError), world.door.open_for(world.program(), world.now) as work:
        work.amend(ids.task, accept)
    assert world.count("vault_resource", "resource_type = 'Task'") == 1
    assert world.audit()[-1]["rule"] == "R20"
    world.release_b(ids)
    with world.door.open_for(world.program(), world.now) as work:
        assert work.amend(ids.task, accept).payload["status"] == "accepted"


@pytest.mark.rule("R20")
def test_rule_R20_a_program_cannot_release_our_record_to_itself(world):
    """A program cannot write itself a permission. Break: drop is_to_us in Unit._require_creation."""
    ids = world.refer()
    forged = world.parts(task=ids.task.split("/")[1])[1]  # from us, to the program
    with pytest.raises(RefusedError), world.door.open_for(world.program(), world.now) as work:
        work.create(forged, case_id=ids.case_id)
    assert world.count("vault_resource", "resource_type = 'Consent'") == 1


@pytest.mark.parametrize("kind", ["Observation", "Task", "ServiceRequest", "Patient"])
def test_a_program_adds_only_a_release_to_our_case(world, kind):
    """A program cannot put a record of its own into our case."""
    ids = world.refer()
    parts = {one["resourceType"]: one for one in world.parts()}
    _, observation = world.disclose()
    with world.door.open_for(world.clinician(), world.now) as work:
        parts["Observation"] = work.read(observation).payload
    fresh = {key: value for key, value in parts[kind].items() if key != "id"}
    refused = pytest.raises((RefusedError, NothingToShowError))
    with refused, world.door.open_for(world.program(), world.now) as work:
        work.create(fresh, case_id=ids.case_id)


def test_a_case_is_opened_only_by_whom_it_belongs_to(world):
    """A scheduler opens no case, a clinician none for a patient whose chart is not open, a program none of another."""
    refused = (
        (world.scheduler(), {"kind": CaseKind.REFERRAL, "patient": world.patient}),
        (world.clinician(), {"kind": CaseKind.DISCLOSURE, "patient": PatientKey("a", "p-somebody-else")}),
        (world.clinician(), {"kind": CaseKind.INBOUND, "partner_id": "harbor"}),
        (world.program(), {"kind": CaseKind.INBOUND, "partner_id": "northside"}),
        (world.program(), {"kind": CaseKind.REFERRAL, "patient": world.patient}),
    )
    for asks, arguments in refused:
        with pytest.raises(RefusedError), world.door.open_for(asks, world.now) as work:
            work.open_case(**arguments)
    assert world.count("vault_case") == 0


def test_an_item_that_breaks_its_own_profile_is_not_stored(world):
    """Our own mistakes are caught at the door as well; the words of the error hold no value."""
    task = {**world.parts()[3], "note": [{"text": "canary-narrative"}]}
    with pytest.raises(InvalidError) as caught, world.door.open_for(world.clinician(), world.now) as work:
        work.create(task, case_id=work.open_case(CaseKind.REFERRAL, patient=world.patient, partner_id="harbor"))
    assert caught.value.issues
    assert "canary" not in str(caught.value.issues)
    assert world.count("vault_resource") == 0


def test_a_closed_case_keeps_no_day_and_leaves_the_list(world):
    """When a request is done, the day that was asked for is forgotten."""
    ids = world.inbound()
    with world.door.open_for(world.scheduler(), world.now) as work:
        work.close_case(ids.case_id)
    assert world.count("vault_case", "due_on IS NOT NULL OR is_open") == 0
    for case_id in (world.refer().case_id, "not-there"):
        with pytest.raises(NothingToShowError), world.door.open_for(world.scheduler(), world.now) as work:
            work.close_case(case_id)


def test_where_the_ehr_copy_is_stays_with_the_item(world):
    """The app remembers where its copy in the chart is, through later versions, and keeps that secret too."""
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        work.note_ehr_copy(ids.service_request, "ServiceRequest/ehr-canary-55")
    with world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.service_request, lambda now: {**now, "status": "completed"})
        assert work.read(ids.service_request).ehr_reference == "ServiceRequest/ehr-canary-55"


# -- what is left ---------------------------------------------------------------------------------------------------


def test_a_failed_transaction_leaves_nothing_but_the_log_of_what_was_decided(world):
    """When something breaks halfway, no half of it stays, and who looked stays written down."""
    ids = world.refer()
    before = (world.count("vault_resource"), world.count("fact"), world.count("delivery"))
    rows = len(world.audit())

    def breaks_halfway() -> None:
        with world.door.open_for(world.clinician(), world.now) as work:
            work.read(ids.task)
            work.amend(ids.task, accept)
            work.facts.count("referral", "sent")
            work.outbox.add(kind="referral", case_id=ids.case_id, reference=ids.task, partner_id="harbor")
            work.audit_refusal("R16", partner_id="harbor")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_halfway()
    assert (world.count("vault_resource"), world.count("fact"), world.count("delivery")) == before
    assert [row["action"] for row in world.audit()[rows:]] == ["read", "refuse"]


@pytest.mark.rule("R20")
def test_rule_R20_a_refusal_of_a_workflow_is_written_down_without_the_value(world):
    """A refused update leaves who, which Task and which rule, and nothing of what it said.

    Break: is_kept=False in Unit.audit_refusal.
    """

    def refuses() -> None:
        with world.door.open_for(world.program(), world.now) as work:
            work.audit_refusal("R20", partner_id="harbor", reference="Task/canary free text <b>")
            raise RefusedError

    with pytest.raises(RefusedError):
        refuses()
    row = world.audit()[-1]
    assert (row["action"], row["rule"], row["partner"]) == ("refuse", "R20", "harbor")
    assert row["entities"] == [{"what": "unknown"}]


@pytest.mark.rule("R23")
def test_rule_R23_the_reason_for_coming_without_a_visit_is_in_the_log(world):
    """Who opens a chart without a visit said why: phone, follow-up or other. Each row of theirs says it too; the row
    of somebody with a visit says none.

    Break: drop the reason in door._common.
    """
    ids = world.refer()
    for asks in (world.clinician(encounter_id=None, reason="phone"), world.clinician()):
        with world.door.open_for(asks, world.now) as work:
            work.read(ids.task)
        with world.door.crossing(asks, system="ehr", action="read", entities=["Patient/x"], now=world.now):
            pass
    assert [row["reason"] for row in world.audit()[-6:]] == ["phone"] * 3 + [None] * 3


def test_a_receipt_is_claimed_once_and_compares_the_whole_body(world):
    """The same message twice is one referral; another message under the same number is told so."""
    program = world.program()
    with world.door.open_for(program, world.now) as work:
        assert work.claim_receipt("harbor-system", ["b|1", "t|1"], b"one", "task-1") is None
    with world.door.open_for(program, world.now) as work:
        same = work.claim_receipt("harbor-system", ["b|1", "t|1"], b"one", "task-2")
        other = work.claim_receipt("harbor-system", ["b|1", "t|1"], b"two", "task-2")
        mixed = work.claim_receipt("harbor-system", ["b|2", "t|1"], b"one", "task-2")
        foreign = work.claim_receipt("northside-system", ["b|1", "t|1"], b"one", "task-3")
    assert (same.task_id, same.is_same_body) == ("task-1", True)
    assert (other.task_id, other.is_same_body) == ("task-1", False)
    assert mixed.is_same_body is False
    assert foreign is None
