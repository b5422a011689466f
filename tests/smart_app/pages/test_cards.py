"""Two cards for everyone: one tap, a count, nobody's name (R2)."""

from __future__ import annotations

from typing import Any

import pytest

from smart_app.workflows import education


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Outcomes that were counted."""
    outcomes: list[str] = []
    monkeypatch.setattr(education, "record", lambda door, requester, outcome, now: outcomes.append(outcome))
    return outcomes


@pytest.mark.parametrize("outcome", education.OUTCOMES)
def test_one_tap_counts_once(enter: Any, counted: list[str], text_of: Any, outcome: str) -> None:
    """Each outcome is one tap; tapping again, or another one, does not count the same visit twice."""
    browser = enter()
    assert f'value="{outcome}"' in browser.get("cards").text
    assert browser.post("cards", {"outcome": outcome}).status_code == 303
    browser.post("cards", {"outcome": "offered"})
    assert counted == [outcome]
    assert "Counted" in text_of(browser.get("cards"))


def test_every_outcome_of_the_workflow_has_a_button(enter: Any, counted: list[str]) -> None:
    """The page offers exactly what can be counted."""
    page = enter().get("cards").text
    assert page.count('name="outcome"') == len(education.OUTCOMES)


def test_an_unknown_outcome_is_refused_in_words(enter: Any, text_of: Any) -> None:
    """A form with another word saves nothing and says so."""
    answer = enter().post("cards", {"outcome": "sold"})
    assert answer.status_code == 422
    assert "cards" in text_of(answer)


def test_the_card_is_in_the_patients_language_first(enter: Any, desk: Any) -> None:
    """The card opens in the language of the chart; English and Spanish both stand on the page."""
    desk.patient = desk.patient | {"communication": [{"language": {"coding": [{"code": "es"}]}}]}
    browser = enter()
    browser.get()
    page = browser.get("cards/read").text
    assert page.index('lang="es"') < page.index('id="card-en"')
    assert "1-800-799-7233" in page
    assert "555-0142" in page
