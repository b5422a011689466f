"""Somebody who may be a contact of the patient stays outside until the privacy officer says otherwise (R24)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smart_app import guards
from smart_app.errors import EhrUnavailableError, NothingToShowError, RefusedError
from smart_app.gateways.tables import contact_hold
from smart_app.policy.access import Purpose, Role
from smart_app.ports import CaseKind, PatientKey
from smart_app.workflows.referral import ReferralForm, send

PHONE = [{"system": "phone", "value": "+1 (312) 555-0142 ext 3"}]
CONTACT = {"telecom": [{"system": "phone", "value": "312.555.0142"}]}
STAFF = {"resourceType": "Practitioner", "id": "dr-lee", "name": [{"family": "Lee", "given": ["Kim"]}]}
CLINICAL = ("", "connect", "note", "people", "reason", "connect/harbor", "sent/x")


@pytest.fixture
def vault(app: Flask, world: Any) -> Any:
    """The pages on a real door and its alerts."""
    installed = app.extensions[guards.EXTENSION]
    services = replace(installed.services, door=world.door)
    app.extensions[guards.EXTENSION] = replace(installed, services=services)
    return world


def match(desk: Any) -> None:
    desk.patient = {**desk.patient, "contact": [CONTACT]}
    desk.staff = {**STAFF, "telecom": PHONE}


@pytest.mark.rule("R24")
@pytest.mark.parametrize("has_records", [False, True])
def test_rule_R24_a_contact_gets_the_page_that_says_nothing_whatever_there_is(
    enter: Any, vault: Any, desk: Any, clinician: Any, has_records: bool
) -> None:
    """With and without records every clinical page is the one constant page, phones and cards work, and the privacy
    officer is told once.

    Break: in guards.require_clinician, leave out require_no_contact.
    """
    match(desk)
    if has_records:
        with vault.door.open_for(clinician(), vault.services.now()) as work:
            work.open_case(CaseKind.DISCLOSURE, patient=PatientKey("a", "p-dana"))
    browser = enter()
    nothing = enter("officer-grant", patient=None).get("note")
    assert nothing.status_code == 404
    for path in CLINICAL:
        answer = browser.get(path)
        assert (answer.status_code, answer.data) == (404, nothing.data), path
    assert browser.post("privacy", {"answer": "alone", "limits_said": "yes", "interpreter": "none"}).status_code == 404
    assert browser.get("phones").status_code == browser.get("cards").status_code == 200
    assert enter().get("note").status_code == 404  # the next launch of the same person
    assert [alert.kind for alert in vault.services.alerts.open_alerts()] == ["contact-match"]
    assert vault.count(contact_hold) == 1


@pytest.mark.rule("R24")
def test_rule_R24_the_officer_releases_in_one_tap_and_it_is_in_the_log(
    enter: Any, vault: Any, desk: Any, text_of: Any
) -> None:
    """The officer reads who and by what kind of fact, never the number; one press, and the person's next page opens.

    Break: in guards.require_no_contact, do not ask is_released.
    """
    match(desk)
    browser, officer = enter(), enter("officer-grant", patient=None)
    assert browser.get().status_code == 404
    page = officer.get("held")
    assert "Practitioner/dr-lee" in text_of(page)
    assert "the same phone" in text_of(page)
    assert "0142" not in page.text.split("</main>")[0]
    hold = page.text.split('name="hold" value="')[1].split('"')[0]
    assert officer.post("held", {"hold": hold}).status_code == 303
    assert "Nobody is held now" in text_of(officer.get("held"))
    assert browser.get().status_code == 200
    assert enter().get().status_code == 200
    (row,) = vault.audit("release-hold")
    assert (row["who"], [one["what"] for one in row["entities"]]) == (
        "Practitioner/officer-grant",
        ["Patient/p-dana", "Practitioner/dr-lee"],
    )


@pytest.mark.rule("R24")
def test_rule_R24_only_the_officer_releases(vault: Any, clinician: Any) -> None:
    """The person who is held cannot release itself, nor see who is held; a hold that is not there is not there.

    Break: in UnitHolds.release, leave out _require_officer.
    """
    now = vault.services.now()
    with vault.door.open_for(clinician(), now) as work:
        work.holds.hold({"phone"})
    for do in (lambda work: work.holds.waiting(), lambda work: work.holds.release("x")):
        with pytest.raises(RefusedError), vault.door.open_for(clinician(), now) as work:
            do(work)
    officer = replace(clinician(patient_id=None), role=Role.PRIVACY_OFFICER, purpose=Purpose.HCOMPL)
    with pytest.raises(NothingToShowError), vault.door.open_for(officer, now) as work:
        work.holds.release("x")


@pytest.mark.rule("R24")
def test_rule_R24_the_door_denies_a_contact_too(vault: Any, clinician: Any) -> None:
    """Even past the pages: the author who is a contact reads nothing.

    Break: in judge._decision, say is_contact=False.
    """
    asks, now = clinician(), vault.services.now()
    form = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="screen")
    sent = send(vault.services, asks, form, now).case_id
    with vault.door.open_for(asks, now) as work:
        assert work.in_case(sent, "Task")
    with vault.door.open_for(replace(asks, is_contact=True), now) as work:
        assert work.in_case(sent, "Task") == []


@pytest.mark.rule("R24")
def test_rule_R24_a_relative_whom_the_patient_named_is_compared_too(
    enter: Any, vault: Any, desk: Any, clinician: Any
) -> None:
    """A phone that the patient gave of a relative holds whoever signs in with it. Break: in guards._compare, compare
    with the chart alone."""
    with vault.door.open_for(clinician(), vault.services.now()) as work:
        work.exclusions.add(reference="", name="Gil", phone="(312) 555 0142")
    desk.staff = {**STAFF, "telecom": PHONE}
    assert enter().get().status_code == 404


@pytest.mark.rule("R24")
def test_rule_R24_who_cannot_be_read_is_not_held(enter: Any, vault: Any, desk: Any) -> None:
    """An EHR that shows no Practitioner holds nobody: the read that failed is in the log. A Patient that cannot be read
    opens nothing. Break: in guards._compare, hold where staff is None."""
    match(desk)
    desk.staff = None
    assert enter().get().status_code == 200
    assert enter().get("note").status_code == 303
    assert vault.count(contact_hold) == 0
    browser = enter()
    desk.staff = {**STAFF, "telecom": PHONE}

    def down(*_: Any) -> Any:
        raise EhrUnavailableError

    desk.launched_patient = down
    assert browser.get("connect").status_code == 502
    assert browser.get("phones").status_code == 200
