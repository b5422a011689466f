"""Who opens the app where one EHR is a test system and another keeps its own staff directory."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from smart_app import guards
from smart_app.errors import EhrUnavailableError
from smart_app.policy.access import Requester
from smart_app.settings import Settings
from smart_app.settings.model import EhrSiteSettings

AWAY = EhrUnavailableError(rule="R23")
NURSE = "http://snomed.info/sct|224535009"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """EHR a is a test system with one test patient; EHR b knows its nurses by code and its care teams."""
    a, b = settings.ehr
    test = a.model_copy(update={"environment": "test", "test_patients": frozenset({"p-dana"})})
    by_code = b.model_copy(
        update={
            "practitioner_roles": {NURSE: "medical-assistant"},
            "care_team_sources": frozenset({"treating-role", "ehr-care-team"}),
            "site": EhrSiteSettings(time_zone="Asia/Tokyo"),
        }
    )
    return settings.model_copy(update={"ehr": (test, by_code)})


# -- a test system --------------------------------------------------------------------------------------------------


@pytest.mark.rule("R6")
@pytest.mark.parametrize("path", ["", "note", "cards", "connect", "phones", "check"])
def test_rule_R06_a_test_system_opens_no_other_patient(enter: Any, desk: Any, text_of: Any, path: str) -> None:
    """In a test system a real person's chart is refused before the EHR is asked anything, on every page.

    Break: leave ``_require_test_patient`` out of ``guards._enter``.
    """
    answer = enter(patient="canary-real-person").get(path)
    assert answer.status_code == 403
    assert "not one of its test patients" in text_of(answer)
    assert (desk.patient_reads, desk.visit_reads, desk.directory_reads) == (0, [], [])


@pytest.mark.rule("R6")
def test_rule_R06_a_test_system_takes_no_form_of_another_patient(enter: Any, desk: Any) -> None:
    """Nothing is recorded for somebody who is not a test patient, even where the page was never opened."""
    browser = enter(patient="p-dana")
    token = browser.token()
    other = enter(patient="canary-real-person")
    other.client = browser.client
    answer = other.post("privacy", {"answer": "alone", "limits_said": "yes", "csrf_token": token}, token=False)
    assert answer.status_code == 403
    assert (desk.patient_reads, desk.visit_reads) == (0, [])


@pytest.mark.rule("R6")
def test_rule_R06_every_page_of_a_test_system_says_so(enter: Any, text_of: Any) -> None:
    """Nobody takes a test system for the real one, on whatever page. Break: take ``test_system`` out of base.html."""
    words = "Test system: Sandbox EHR A. For test patients only."
    browser = enter()
    pages = [browser.get(path) for path in ("", "cards", "phones")]
    browser.answer()
    pages += [browser.get(path) for path in ("", "note", "connect/harbor")]
    assert [page.status_code for page in pages] == [200] * 6
    assert all(words in text_of(page) for page in pages)
    assert words in text_of(enter("it-raman", patient=None).get("registrations"))
    assert words in text_of(enter(patient=None).get())  # refused pages too
    assert "Test system" not in text_of(enter(registration="b").get("cards"))


def test_pages_outside_a_launch_name_a_test_system_only_where_there_is_no_other(app: Flask, settings: Settings) -> None:
    """Before anybody knows which EHR it is, the page says "test" only if every EHR is one."""
    with app.test_request_context():
        assert guards.test_system() is None
    only = settings.model_copy(update={"ehr": settings.ehr[:1]})
    with app.test_request_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(guards, "settings", lambda: only)
        assert guards.test_system() == "Sandbox EHR A"


# -- roles by the EHR's staff directory -----------------------------------------------------------------------------


@pytest.mark.rule("R23")
def test_rule_R23_a_code_of_the_directory_gives_the_role_that_settings_name(
    enter: Any, desk: Any, text_of: Any
) -> None:
    """Somebody who is not listed by name opens the app by what the EHR's directory calls them; it is asked once."""
    desk.directory = frozenset({NURSE, "canary|code"})
    browser = enter("somebody", registration="b")
    assert browser.get("cards").status_code == 200
    assert browser.get("phones").status_code == 200
    (asked,) = desk.directory_reads
    assert (asked.user_reference, asked.patient_id, asked.site_role) == ("Practitioner/somebody", None, None)
    assert not any("canary" in str(kept) for kept in desk.notes.values())


@pytest.mark.rule("R23")
@pytest.mark.parametrize("codes", [frozenset(), frozenset({"canary|code"}), frozenset({"224535009"})])
def test_rule_R23_without_a_code_that_settings_name_there_is_no_role(
    enter: Any, desk: Any, text_of: Any, codes: frozenset[str]
) -> None:
    """Whatever else the directory says opens nothing. Break: take any code in ``site_role.role_for``."""
    desk.directory = codes
    answer = enter("somebody", registration="b").get()
    assert (answer.status_code, "no role" in text_of(answer)) == (403, True)
    assert desk.patient_reads == 0


def test_directory_that_does_not_answer_is_asked_again(enter: Any, desk: Any) -> None:
    """An EHR that is slow today locks nobody out for the whole launch, and lets nobody in."""
    desk.directory = AWAY
    browser = enter("somebody", registration="b")
    assert browser.get("cards").status_code == 502
    desk.directory = frozenset({NURSE})
    assert browser.get("cards").status_code == 200
    assert len(desk.directory_reads) == 2


def test_who_is_listed_by_name_is_looked_up_nowhere(enter: Any, desk: Any) -> None:
    """A person's own line is enough, and an EHR without such rules is never asked."""
    enter(registration="b").get("cards")
    enter("somebody", registration="a").get("cards")
    assert desk.directory_reads == []


def test_it_page_shows_the_rules_and_the_one_that_let_this_person_in(enter: Any, text_of: Any) -> None:
    """The IT admin reads who may open what and why, and the place and hours of each EHR."""
    told = text_of(enter("it-raman", patient=None, registration="b").get("registrations"))
    assert 'You are here as it-admin, by this line of the settings: roles: "Practitioner/it-raman" = "it-admin"' in told
    assert f"whoever the EHR lists as {NURSE}: medical-assistant" in told
    assert "Riverside Health Center, Asia/Tokyo" in told
    assert "the EHR's CareTeam during the visit" in told


# -- the care team --------------------------------------------------------------------------------------------------


@pytest.mark.rule("R23")
@pytest.mark.parametrize(
    ("user", "visit", "team", "source", "asked"),
    [
        ("dr-lee", True, False, "treating-role", 0),
        ("somebody", True, True, "ehr-care-team", 1),
        ("somebody", True, False, None, 1),
        ("somebody", True, AWAY, None, 1),
        ("somebody", False, True, None, 0),
    ],
)
def test_rule_R23_care_team_by_role_or_by_the_ehr_and_the_audit_knows_which(
    enter: Any, desk: Any, seen: list[Requester], user: str, visit: bool, team: Any, source: str | None, asked: int
) -> None:
    """During an open visit the care team is who treats by role or is in the EHR's CareTeam, and nobody else.

    Break: return ``asks`` with ``is_treating=True`` in ``guards._with_care_team`` whatever the EHR says.
    """
    desk.directory, desk.visit, desk.care_team = frozenset({NURSE}), visit, team
    enter(user, registration="b").get("cards")
    assert [(who.is_treating, who.care_team_source) for who in seen] == [(source is not None, source)]
    assert len(desk.care_team_reads) == asked


def test_care_team_is_not_asked_of_an_ehr_that_is_not_set_up_for_it(enter: Any, desk: Any) -> None:
    """What no setting asks for is not read."""
    enter(registration="a").get("cards")
    assert desk.care_team_reads == []
