"""What no one decides alone, as the two who decide see it."""

from __future__ import annotations

from typing import Any

import pytest

from smart_app.office_ports import Ask, AskKind

ASKED = {"step": "ask", "what": "erase patient-asked", "subject": "Task/ab12"}


def test_one_asks_and_another_confirms(enter: Any, desk: Any, text_of: Any) -> None:
    """The officer asks by the number of a record; the lead reads what and why, and confirms with one press."""
    assert enter("officer-grant", patient=None).post("decisions", ASKED).status_code == 303
    assert desk.office.done == [("ask", "Practitioner/officer-grant", "erase", "Task/ab12", "patient-asked")]
    desk.office.asks = [Ask("ask-1", AskKind.ERASE, "case-9", "patient-asked", is_own=False)]
    lead = enter("lead-osei", patient=None)
    text = text_of(lead.get("decisions"))
    for words in ("Erase a record", "The patient asked, and counsel agreed", "case-9", "case-under-hold"):
        assert words in text
    assert lead.post("decisions", {"step": "confirm", "ask": "ask-1"}).status_code == 303
    assert desk.office.done[-1] == ("confirm", "Practitioner/lead-osei", "ask-1")


def test_who_asked_is_shown_no_button_to_confirm(enter: Any, desk: Any, text_of: Any) -> None:
    """Own asks can be taken back; somebody else confirms them."""
    desk.office.asks = [Ask("ask-1", AskKind.HOLD_SET, "case-9", "court-order", is_own=True)]
    browser = enter("officer-grant", patient=None)
    answer = browser.get("decisions")
    assert "Somebody else confirms" in text_of(answer)
    assert 'value="confirm"' not in answer.text
    browser.post("decisions", {"step": "take-back", "ask": "ask-1"})
    assert desk.office.done == [("take-back", "Practitioner/officer-grant", "ask-1")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"what": "erase counsel-asked"},
        {"what": "patient-copy patient-asked"},
        {"what": "burn patient-asked"},
        {"subject": "Dana Whitlock-Canary"},
        {"subject": ""},
    ],
)
def test_a_form_that_is_none_asks_for_nothing(enter: Any, desk: Any, wrong: dict[str, str]) -> None:
    """Only kinds, reasons and numbers of ours are taken; words about a person never are."""
    answer = enter("officer-grant", patient=None).post("decisions", {**ASKED, **wrong})
    assert answer.status_code == 422
    assert "Canary" not in answer.text
    assert desk.office.done == []


def test_the_table_of_retention_stands_on_the_page(enter: Any, text_of: Any) -> None:
    """What is kept how long, with the line that counsel still has to sign."""
    text = text_of(enter("officer-grant", patient=None).get("decisions"))
    for words in (
        "A request from a program",
        "never past 30 days",
        "at least 6 years",
        "Counsel has to sign this line",
    ):
        assert words in text


@pytest.mark.rule("R23")
@pytest.mark.parametrize("user", ["sched-kim", "it-raman", "coord-ellis"])
def test_rule_R23_nobody_else_decides(enter: Any, desk: Any, user: str) -> None:
    """A scheduler, IT and the coordinator find no such page. Break: protect decisions with require_member."""
    browser = enter(user, patient=None)
    assert browser.get("decisions").status_code == 404
    assert browser.post("decisions", ASKED).status_code == 404
    assert desk.office.done == []
