"""At a later visit the patient says how it went, once, and the clinic closes its own side of it (R20)."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from smart_app.workflows import follow_up, referral


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An open referral that arrived."""
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
def closed(monkeypatch: pytest.MonkeyPatch, status: SimpleNamespace) -> list[tuple[str, str]]:
    """Which case was closed with which word."""
    calls: list[tuple[str, str]] = []

    def close(_door: Any, _requester: Any, case_id: str, outcome: str, _now: Any) -> None:
        calls.append((case_id, outcome))
        status.state, status.state_words = "closed", "Closed without news"

    monkeypatch.setattr(follow_up, "close", close)
    return calls


@pytest.mark.rule("R20")
def test_rule_R20_no_news_closes_it_and_is_not_asked_again(enter: Any, closed: list[Any], text_of: Any) -> None:
    """One press, "no news" included; after it the question is gone from the page.

    Break: in sent.html, show the question for closed referrals too.
    """
    browser = enter()
    browser.answer()
    assert "did that help?" in text_of(browser.get("sent/case-7"))
    answer = browser.post("sent/case-7/close", {"outcome": "no-information"})
    assert answer.status_code == 303
    assert closed == [("case-7", "no-information")]
    assert "did that help?" not in text_of(browser.get("sent/case-7"))


@pytest.mark.rule("R2")
def test_rule_R02_nobody_is_asked_how_it_went_before_the_privacy_question(enter: Any, closed: list[Any]) -> None:
    """Where the moment is not private the question is not shown, and a direct press changes nothing.

    Break: in referral.close, delete privacy_question.require_private_moment.
    """
    browser = enter()
    assert browser.get("sent/case-7").status_code == 303
    assert browser.post("sent/case-7/close", {"outcome": "no-information"}).status_code == 403
    assert closed == []
