""" "You can take it back at any time: just tell any of us": one quiet step, no reason, plain words after it (R11)."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from smart_app.errors import NothingToShowError
from smart_app.workflows import referral, release

BACK = "sent/case-7/back"


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Where the referral stands; a test changes it."""
    made = SimpleNamespace(
        case_id="case-7",
        partner_id="harbor",
        state="received",
        state_words="Received by their system",
        next_step="Ask the patient next time.",
        is_good=True,
        needs_call=False,
        ends_on=date(2026, 12, 24),
        is_taken_back=False,
        alias="Wren",
    )
    monkeypatch.setattr(referral, "status_of", lambda *_: made)
    return made


@pytest.fixture
def withdrawn(monkeypatch: pytest.MonkeyPatch, status: SimpleNamespace) -> list[tuple[str, str]]:
    """Who took back which case."""
    calls: list[tuple[str, str]] = []

    def withdraw(_door: Any, requester: Any, case_id: str, _now: Any) -> None:
        calls.append((requester.user_reference, case_id))
        status.is_taken_back = True

    monkeypatch.setattr(release, "withdraw", withdraw)
    return calls


@pytest.mark.rule("R11")
def test_rule_R11_one_page_and_one_press_take_it_back(enter: Any, withdrawn: list[Any], text_of: Any) -> None:
    """From the page after sending: one page that asks for no reason, one press, and it is done, without a script.

    Break: in referral.take_back, delete release.withdraw.
    """
    browser = enter()
    browser.answer()
    assert "/v/launch-0/" + BACK in browser.get("sent/case-7").text
    page = browser.get(BACK)
    assert "need not say why" in text_of(page)
    for asking in ("textarea", 'type="radio"', 'type="text"', "<select", "required"):
        assert asking not in page.text.split("<main")[1].split("</main>")[0]
    assert withdrawn == []
    answer = browser.post(BACK)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/v/launch-0/sent/case-7")
    assert withdrawn == [("Practitioner/dr-lee", "case-7")]


@pytest.mark.parametrize("needs_call", [True, False])
def test_afterwards_the_page_says_what_was_stopped_and_whether_to_call(
    enter: Any, withdrawn: list[Any], status: SimpleNamespace, text_of: Any, needs_call: bool
) -> None:
    """What waited is deleted, the program is shut out, our record stays; the number only where they may have it."""
    status.needs_call = needs_call
    browser = enter()
    browser.answer()
    browser.post(BACK)
    page = browser.get("sent/case-7")
    text = text_of(page)
    for words in ("Taken back. Nothing more is sent.", "still waited to be sent is deleted", "care stays: here"):
        assert words in text
    assert ("may have it already. Call them: 555-0142" in text) is needs_call
    assert ("The request for Wren is taken back." in text) is needs_call
    assert ("it had not been delivered" in text) is not needs_call
    assert "The release ends on" not in text
    assert BACK not in page.text
    assert browser.get(BACK).status_code == 303  # it is not asked twice


def test_the_chart_offers_it_for_each_open_item(enter: Any, desk: Any, status: SimpleNamespace, text_of: Any) -> None:
    """On the chart's first page too; an item taken back that somebody still has to call about says so."""
    desk.open_items = [status]
    browser = enter()
    browser.answer()
    assert "/v/launch-0/" + BACK in browser.get().text
    status.is_taken_back = status.needs_call = True
    page = browser.get()
    assert BACK not in page.text
    assert "Taken back: call them" in text_of(page)


@pytest.mark.rule("R11")
def test_rule_R11_no_visit_and_no_reason_is_needed(enter: Any, withdrawn: list[Any]) -> None:
    """On the phone, with no visit open in the chart: it is taken back at once, and nobody is asked why they call.

    Break: in referral.take_back, call privacy_question.require_attested.
    """
    browser = enter(encounter=None)
    browser.answer("remote-not-overheard")
    assert browser.post(BACK).status_code == 303
    assert len(withdrawn) == 1


@pytest.mark.rule("R2")
@pytest.mark.parametrize("answer", [None, "not-private"])
def test_rule_R02_the_program_is_not_named_before_a_private_moment(
    enter: Any, withdrawn: list[Any], answer: str | None
) -> None:
    """Before the privacy question, and after "not private", the page leads back and nothing is changed.

    Break: in referral.take_back, delete privacy_question.require_private_moment().
    """
    browser = enter()
    browser.get()
    if answer:
        browser.answer(answer)
    assert browser.get(BACK).headers["Location"] == "/v/launch-0/"
    assert browser.post(BACK).status_code == 403
    assert withdrawn == []


def test_nothing_is_taken_back_by_looking_or_from_elsewhere(enter: Any, withdrawn: list[Any]) -> None:
    """Opening the page changes nothing, nor does a form without our token, nor one of another desk."""
    browser = enter()
    browser.answer()
    browser.get(BACK)
    assert browser.post(BACK, token=False).status_code == 403
    assert enter("sched-kim", patient=None, encounter=None).post(BACK).status_code == 404
    assert withdrawn == []


def test_what_somebody_may_not_see_they_cannot_take_back(
    enter: Any, monkeypatch: pytest.MonkeyPatch, text_of: Any
) -> None:
    """A case of somebody else is the same page as a case that never was."""

    def deny(*_: Any) -> None:
        raise NothingToShowError

    monkeypatch.setattr(referral, "status_of", deny)
    monkeypatch.setattr(release, "withdraw", deny)
    browser = enter()
    browser.answer()
    nowhere = browser.client.get("/nowhere").data
    for answer in (browser.get(BACK), browser.post(BACK)):
        assert (answer.status_code, answer.data) == (404, nowhere)
