"""The patient's copy on the real vault: all of that patient's records and nothing else, audited as the patient's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from smart_app.errors import LockedError, NothingToShowError, RefusedError
from smart_app.gateways.second_person import SecondPerson
from smart_app.office_ports import AskKind, Person
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.workflows import patient_copy

OFFICER = Person("Practitioner/officer-grant", "a", "l-1", "privacy-officer")
LEAD = Person("Practitioner/lead-osei", "a", "l-2", "program-lead")


@pytest.fixture
def office(world) -> SecondPerson:
    return SecondPerson(world.engine, world.cipher, world.door, world.eraser())


def ask(world, office, **changes) -> str:
    facts = {"registration_id": "a", "patient_id": "canary-chart-901", "identity": "photo-id"} | changes
    return patient_copy.ask(office, OFFICER, now=world.now, registrations=("a", "b"), **facts)


def kept(world, case_ids) -> set[str]:
    """What stands in the vault about these cases."""
    statement = text("SELECT resource_type, resource_id, case_id FROM vault_resource WHERE is_current")
    with world.engine.begin() as connection:
        rows = connection.execute(statement).all()
    return {f"{row.resource_type}/{row.resource_id}" for row in rows if row.case_id in case_ids}


@pytest.mark.rule("R29")
def test_rule_R29_the_copy_holds_all_of_that_patient_and_nothing_else(world, office):
    """Every record of this chart at this EHR, whoever wrote it; none of another patient, of the same number at another
    EHR, or of a program's request.

    Break: leave ``is_launched_patient`` out of ``links.ties``, or one of ``patient_copy.TYPES``.
    """
    case_id, _ = world.disclose()
    first, second = world.refer(), world.refer("northside", by=world.clinician("dr-2"), queue=False)
    world.release_b(first)
    other = world.clinician("dr-lee", patient_id="p-other")
    world.disclose(other)
    world.disclose(world.clinician("dr-lee", registration_id="b"))
    world.inbound()
    made = patient_copy.make(office, world.door, LEAD, ask(world, office), world.now, has_looked=True)
    resources = [entry["resource"] for entry in made.bundle["entry"]]
    named = {f"{one['resourceType']}/{one['id']}" for one in resources}
    assert named == kept(world, {case_id, first.case_id, second.case_id})
    assert len(named) == len(resources) == 10
    assert made.bundle["meta"]["security"][0]["code"] == "V"
    assert sum(len(chapter.parts) for chapter in made.chapters) == 10
    lines = [line for chapter in made.chapters for part in chapter.parts for line in part.lines]
    assert "Canary-Alias-Robin" in {value for _, value in lines}
    assert any("555-0142777" in value for _, value in lines)


@pytest.mark.rule("R29")
def test_rule_R29_the_copy_is_audited_as_read_by_the_patient_with_both_persons(world, office):
    """Each item under rule D3, the copy's number beside it; who asked and who confirmed stand before it.

    Break: in ``SecondPerson.confirm_copy`` leave out ``copy_id``.
    """
    ids, ask_id = world.refer(), ask(world, office)
    patient_copy.make(office, world.door, LEAD, ask_id, world.now, has_looked=True)
    rows = [row for row in world.audit() if row.get("copy") == ask_id]
    assert {row["role"] for row in rows} == {"patient"}
    entities = [one for row in rows for one in row["entities"]]
    assert {one["rule"] for one in entities} == {"D3"}
    assert f"{ids.task}/_history/1" in {one["what"] for one in entities}
    (confirmed,) = [row for row in world.audit() if row["action"] == "confirm"]
    assert (confirmed["who"], confirmed["asked_by"]) == ("Practitioner/lead-osei", "Practitioner/officer-grant")


@pytest.mark.rule("R29")
def test_rule_R29_nobody_gets_a_copy_alone_or_twice_or_without_looking(world, office):
    """The one who asked, somebody who did not look, a second try, and a program's number get nothing.

    Break: in ``SecondPerson.confirm`` leave out ``is_own``.
    """
    ids, ask_id = world.refer(), ask(world, office)
    with pytest.raises(LockedError):
        patient_copy.make(office, world.door, LEAD, ask_id, world.now, has_looked=False)
    with pytest.raises(RefusedError):
        patient_copy.make(office, world.door, OFFICER, ask_id, world.now, has_looked=True)
    with pytest.raises(NothingToShowError):
        office.confirm(LEAD, ask_id, world.now)  # the page for other decisions makes no copy, and ends none
    hold = office.ask(OFFICER, AskKind.HOLD_SET, ids.case_id, "counsel-asked", world.now)
    with pytest.raises(NothingToShowError):
        patient_copy.make(office, world.door, LEAD, hold, world.now, has_looked=True)
    assert patient_copy.make(office, world.door, LEAD, ask_id, world.now, has_looked=True).chapters
    with pytest.raises(NothingToShowError):
        patient_copy.make(office, world.door, LEAD, ask_id, world.now, has_looked=True)


def test_who_is_not_known_here_gets_an_empty_copy(world, office):
    """The answer is a file too: nothing is kept."""
    world.refer()
    made = patient_copy.make(office, world.door, LEAD, ask(world, office, patient_id="p-x"), world.now, has_looked=True)
    assert made.chapters == ()
    assert "entry" not in made.bundle


@pytest.mark.rule("R29")
def test_rule_R29_a_patient_app_or_a_portal_is_no_copy(world):
    """Without a decision of two persons nobody reads as the patient, not with the patient's own chart open.

    Break: in ``links.ties`` leave out ``copy_id``.
    """
    ids = world.refer()
    app = Requester(Role.PATIENT, "Patient/canary-chart-901", Purpose.PATRQT, "canary-chart-901", registration_id="a")
    with pytest.raises(NothingToShowError), world.door.open_for(app, world.now) as work:
        work.read(ids.task)
    with (
        pytest.raises(NothingToShowError),
        world.door.open_for(replace(app, patient_id="p-other", copy_id="c"), world.now) as work,
    ):
        work.read(ids.task)
