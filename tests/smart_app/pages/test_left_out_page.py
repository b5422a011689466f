"""The page on which a patient leaves somebody out (R22)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smart_app import guards
from smart_app.errors import EhrUnavailableError
from smart_app.workflows.referral import ReferralForm, send

TOKEN = re.compile(r'(?<=name="csrf_token" value=")[^"]*')


@pytest.fixture
def vault(app: Flask, world: Any, desk: Any) -> Any:
    """The pages on a real door."""
    installed = app.extensions[guards.EXTENSION]
    app.extensions[guards.EXTENSION] = replace(installed, services=replace(installed.services, door=world.door))
    return world


def staff(desk: Any, *found: tuple[str, str]) -> None:
    desk.find_staff = lambda requester, name, now: list(found)


@pytest.mark.rule("R22")
def test_rule_R22_a_clinician_leaves_a_colleague_out_and_lets_them_in_again(
    enter: Any, vault: Any, desk: Any, text_of: Any
) -> None:
    """After the privacy question: a name, the EHR's list, one choice. The patient's word takes it back.

    Break: in left_out.leave_out_staff, do not call the workflow.
    """
    staff(desk, ("Practitioner/nurse-bad", "Sam Bad"), ("Practitioner/nurse-other", "Sam Other"))
    browser = enter()
    browser.answer()
    assert browser.post("people/find", {"name": "Sam"}).status_code == 303
    page = text_of(browser.get("people"))
    assert "Sam Bad" in page
    assert "Sam Other" in page
    browser.post("people/staff", {"reference": "Practitioner/nurse-bad"})
    page = browser.get("people").get_data(as_text=True)
    assert "Sam Bad" in page
    assert "Sam Other" not in page
    entry = page.split('name="entry" value="')[1].split('"')[0]
    assert browser.post("people/again", {"entry": entry}).status_code == 303
    assert "Sam Bad" not in text_of(browser.get("people"))


@pytest.mark.rule("R22")
def test_rule_R22_whoever_is_left_out_gets_the_same_bytes_as_for_nothing(
    enter: Any, vault: Any, clinician: Any
) -> None:
    """The page of an item, and this page, are byte for byte what they are where there is nothing.

    Break: in judge._decision, say is_excluded=False.
    """
    browser, asks = enter(), replace(clinician(), encounter_id="e1")
    form = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="screen")
    sent = send(vault.services, asks, form, vault.services.now()).case_id
    browser.answer()
    assert browser.get(f"sent/{sent}").status_code == 200
    empty = browser.get("people")
    with vault.door.open_for(replace(asks, user_reference="Practitioner/dr-two"), vault.services.now()) as work:
        work.exclusions.add(reference=asks.user_reference, name="Lee")
    denied, absent = browser.get(f"sent/{sent}"), browser.get("sent/00000000-0000-4000-8000-000000000000")
    assert denied.status_code == absent.status_code == 404
    assert (denied.data, list(denied.headers)) == (absent.data, list(absent.headers))
    assert masked(browser.get("people")) == masked(empty)


@pytest.mark.rule("R22")
def test_rule_R22_the_page_waits_for_the_privacy_question(enter: Any, vault: Any) -> None:
    """Before it the page leads back and nothing is written.

    Break: in left_out, delete require_private_moment.
    """
    browser = enter()
    assert browser.get("people").status_code == 303
    for path, form in {
        "people/find": {"name": "Sam"},
        "people/staff": {"reference": "Practitioner/x"},
        "people/family": {"name": "Sam"},
        "people/again": {"entry": "00"},
    }.items():
        assert browser.post(path, form).status_code == 403, path


def test_what_cannot_be_read_or_is_no_staff_id_is_said(enter: Any, vault: Any, desk: Any, text_of: Any) -> None:
    """An EHR that does not answer shows nobody and the way without it; a staff id in another form is refused."""

    def unavailable(*_: Any) -> Any:
        raise EhrUnavailableError

    desk.find_staff = unavailable
    browser = enter()
    browser.answer()
    browser.post("people/find", {"name": "Sam"})
    assert "shows nobody of that name" in text_of(browser.get("people"))
    assert browser.post("people/staff", {"reference": "Patient/1"}).status_code == 422
    assert browser.post("people/find", {"name": " "}).status_code == 422
    assert browser.post("people/family", {"name": " "}).status_code == 422
    assert browser.post("people/family", {"name": "Gil", "phone": "555"}).status_code == 303
    assert "Gil family" in text_of(browser.get("people"))


def masked(answer: Any) -> str:
    """A page without its form tokens, which differ each time."""
    return TOKEN.sub("", answer.get_data(as_text=True))
