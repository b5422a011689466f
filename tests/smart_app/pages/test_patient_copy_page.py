"""The patient's copy as the two who make it see it, and as the patient gets it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from smart_app.office_ports import Ask, AskKind
from smart_app.workflows import patient_copy
from smart_app.workflows.patient_copy import Chapter, Copy, Part

FORM = {"ehr": "a", "chart": "p-dana", "identity": "photo-id"}
TRICKY = "</script><script>alert(1)</script>"
MADE = Copy(
    {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Task", "note": TRICKY}}]},
    (
        Chapter(
            "A referral to a program", datetime(2026, 11, 24, tzinfo=UTC), (Part("How it went", (("Note", TRICKY),)),)
        ),
    ),
)


def test_the_first_person_asks_after_looking(enter: Any, desk: Any) -> None:
    """EHR, chart and how the identity was checked; without one of them there is no ask."""
    browser = enter("officer-grant", patient=None)
    assert browser.get("copies").status_code == 200
    assert browser.post("copies", FORM).status_code == 303
    assert desk.office.done == [("ask", "Practitioner/officer-grant", "patient-copy", "a p-dana", "photo-id")]
    for wrong in ({"identity": "by phone"}, {"ehr": "z"}, {"chart": "Dana Whitlock-Canary"}, {"chart": ""}):
        assert browser.post("copies", {**FORM, **wrong}).status_code == 422
    assert len(desk.office.done) == 1


@pytest.mark.rule("R29")
def test_rule_R29_the_file_comes_once_to_the_second_person_and_is_whole(
    enter: Any, desk: Any, text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file to save, with a neutral name, readable without our app, the whole JSON in it, and nothing that runs.

    Break: in ``patient_copy_file.html`` write the bundle with ``safe`` instead of ``tojson``.
    """
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(patient_copy, "make", lambda *_, **more: asked.append(more) or MADE)
    desk.office.asks = [Ask("ask-1", AskKind.PATIENT_COPY, "a p-dana", "photo-id", is_own=False)]
    browser = enter("lead-osei", patient=None)
    text = text_of(browser.get("copies"))
    for words in ("Chart p-dana", "showed a photo ID", "I looked myself"):
        assert words in text
    answer = browser.post("copies/confirm", {"ask": "ask-1", "looked": "yes"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="copy.html"'
    assert asked == [{"has_looked": True}]
    assert answer.text.count("<script") == 1
    kept = re.search(r'<script type="application/json" id="fhir">(.*)</script>', answer.text)
    assert kept is not None
    assert json.loads(kept[1]) == MADE.bundle
    assert "A referral to a program, 24 November 2026" in text_of(answer)
    assert not re.search(r"https?://|src=|href=", answer.text.replace("http://hl7.org", ""))


def test_who_asked_sees_no_button_and_who_did_not_look_gets_nothing(enter: Any, desk: Any, text_of: Any) -> None:
    """Somebody else confirms, after looking."""
    desk.office.asks = [Ask("ask-1", AskKind.PATIENT_COPY, "a p-dana", "photo-id", is_own=True)]
    browser = enter("officer-grant", patient=None)
    answer = browser.get("copies")
    assert "Somebody else looks" in text_of(answer)
    assert "copies/confirm" not in answer.text
    assert browser.post("copies/confirm", {"ask": "ask-1"}).status_code == 403


@pytest.mark.rule("R23")
@pytest.mark.parametrize(("user", "patient"), [("sched-kim", None), ("it-raman", None), ("dr-lee", "p-dana")])
def test_rule_R23_nobody_else_makes_a_copy(enter: Any, user: str, patient: str | None) -> None:
    """Not a scheduler, IT, or a clinician with the chart open. Break: protect it with require_member."""
    browser = enter(user, patient=patient)
    assert browser.get("copies").status_code == 404
    assert browser.post("copies/confirm", {"ask": "ask-1", "looked": "yes"}).status_code == 404
