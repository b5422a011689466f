"""Who counts as the patient's care team: only who was launched from a visit that is going on (R23)."""

from __future__ import annotations

from typing import Any

import pytest

from smart_app import guards
from smart_app.errors import EhrUnavailableError
from smart_app.policy.access import Requester
from smart_app.settings import Settings

AWAY = EhrUnavailableError(rule="R23")


@pytest.mark.rule("R23")
@pytest.mark.parametrize(("visit", "encounter"), [(True, "e1"), (False, None), (AWAY, None)])
def test_rule_R23_an_encounter_counts_only_while_the_ehr_says_it_is_open(
    desk: Any, enter: Any, seen: list[Requester], visit: Any, encounter: str | None
) -> None:
    """Launched from a visit that is over, a nurse who is not on the referral is no care team.

    Break: return the context unchanged in ``guards._with_open_visit``.
    """
    desk.visit = visit
    enter().get("cards")
    assert [asked.encounter_id for asked in seen] == [encounter]
    assert desk.visit_reads[0].encounter_id == "e1"


@pytest.mark.rule("R23")
def test_rule_R23_without_an_open_visit_the_reason_is_asked_first(desk: Any, enter: Any) -> None:
    """A launch from last week's visit is a launch without a visit: recording asks why.

    Break: look at the launch's own encounter in ``require_attested``.
    """
    desk.visit = False
    browser = enter()
    browser.answer()
    assert browser.get("connect/harbor").location.endswith("/reason?step=connect")
    assert browser.post("note", {"kind": "violence-disclosed"}).status_code == 422
    browser.post("reason", {"reason": "phone", "step": "note"})
    assert browser.get("note").status_code == 200


@pytest.mark.rule("attack 5")
def test_attack_5_the_visit_is_asked_for_once_per_launch_whatever_is_opened(desk: Any, enter: Any) -> None:
    """The EHR's log shows the same reads for somebody who took a card and for somebody who was referred.

    Break: leave out ``remember`` in ``guards._with_open_visit``.
    """
    for pages in (["cards"], ["connect", "connect/harbor", "note", "cards"], []):
        desk.visit_reads.clear()
        browser = enter()
        browser.answer()
        for page in pages:
            browser.get(page)
        assert len(desk.visit_reads) == 1, pages
        assert desk.notes[(browser.launch_id, guards.VISIT_IS_OPEN)] is True


def test_an_ehr_that_was_away_is_asked_again(desk: Any, enter: Any, seen: list[Requester]) -> None:
    """When the EHR comes back, the visit counts again; until then nothing is kept about it."""
    browser, desk.visit = enter(), AWAY
    browser.get("cards")
    assert (browser.launch_id, guards.VISIT_IS_OPEN) not in desk.notes
    desk.visit = True
    browser.get("cards")
    assert [asked.encounter_id for asked in seen] == [None, "e1"]


@pytest.mark.rule("R40")
def test_rule_R40_the_phone_list_and_the_cards_open_while_the_ehr_is_away(desk: Any, enter: Any) -> None:
    """The numbers to call and the cards are there when the EHR does not say whether a visit is open. Break: let
    ``EhrUnavailableError`` through in ``guards._with_open_visit``."""
    desk.visit = AWAY
    browser = enter()
    assert browser.get("phones").status_code == 200
    assert desk.visit_reads == []
    assert browser.get("cards").status_code == 200


@pytest.mark.parametrize(("user", "patient", "encounter"), [("sched-kim", None, None), ("dr-lee", "p-dana", None)])
def test_nothing_is_asked_where_no_visit_was_named(
    desk: Any, enter: Any, user: str, patient: str | None, encounter: str | None
) -> None:
    """A scheduler, and a clinician who opened the chart without a visit, cause no such read."""
    enter(user, patient, encounter).get("queue" if patient is None else "cards")
    assert desk.visit_reads == []


def test_a_launch_of_an_ehr_that_was_removed_finds_nothing(enter: Any, settings: Settings) -> None:
    """When IT takes an EHR out, what was open there shows the page for "nothing", not an error."""
    browser, stranger = enter(registration="gone"), enter()
    answer = browser.get("cards")
    assert (answer.status_code, answer.data) == (404, browser.client.get("/v/not-there/cards").data)
    assert stranger.get("cards").status_code == 200
    with pytest.raises(KeyError):
        settings.ehr_for("gone")
