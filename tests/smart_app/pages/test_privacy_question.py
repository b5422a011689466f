"""The privacy question opens record and send, and nothing else does (R2, R23, R31, R39)."""

from __future__ import annotations

from typing import Any

import pytest

from smart_app.workflows import disclosure, referral

LOCKED_POSTS = [("note", {"once": "x"}), ("connect/harbor", {"step": "review"}), ("connect/harbor", {"step": "send"})]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the writing workflows that a page asked; none of them does anything."""
    names: list[str] = []
    for module, name in ((disclosure, "record"), (referral, "send"), (referral, "preview")):
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: names.append(name))
    return names


@pytest.mark.rule("R2")
@pytest.mark.parametrize(("path", "form"), LOCKED_POSTS)
def test_rule_R02_nothing_is_saved_or_sent_before_the_answer(
    enter: Any, asked: list[str], path: str, form: Any
) -> None:
    """A form sent straight to record or send, without the privacy question, is refused in words.

    Break: in disclosure.save or referral.go_on, delete privacy_question.require_attested().
    """
    browser = enter()
    browser.get()
    answer = browser.post(path, form)
    assert answer.status_code == 403
    assert "privacy question" in answer.get_data(as_text=True)
    assert asked == []


@pytest.mark.rule("R2")
@pytest.mark.parametrize(("path", "form"), LOCKED_POSTS)
def test_rule_R02_not_private_keeps_it_locked(enter: Any, asked: list[str], path: str, form: Any) -> None:
    """ "Not private now" locks record and send; the cards and the numbers stay open.

    Break: in guards, add CLOSED_ANSWER to OPEN_ANSWERS.
    """
    browser = enter()
    browser.answer("not-private")
    assert browser.post(path, form).status_code == 403
    assert asked == []
    assert browser.get("cards").status_code == 200
    assert browser.get("cards/read").status_code == 200
    assert browser.get("phones").status_code == 200


@pytest.mark.rule("R2")
@pytest.mark.parametrize("answer", ["alone", "chosen-company", "remote-not-overheard"])
def test_rule_R02_three_answers_open_it(enter: Any, asked: list[str], answer: str) -> None:
    """Alone, with someone they chose, or on the phone unheard: each opens the note and the referral.

    Break: in guards, take "alone" out of OPEN_ANSWERS.
    """
    browser = enter()
    assert browser.answer(answer).status_code == 303
    assert browser.get("note").status_code == 200
    assert browser.get("connect/harbor").status_code == 200


@pytest.mark.rule("R2")
def test_rule_R02_the_answer_needs_a_known_interpreter(enter: Any, asked: list[str]) -> None:
    """Nobody can answer without saying who interprets; family is not on the list.

    Break: in chart.answer_privacy, delete the check of the interpreter.
    """
    browser = enter()
    assert browser.answer("alone", interpreter="family").status_code == 422
    assert browser.get("note").status_code == 303


@pytest.mark.rule("R2")
def test_rule_R02_limits_have_to_be_said(enter: Any, asked: list[str]) -> None:
    """An answer that does not say that the limits were said opens nothing.

    Break: in chart.answer_privacy, pass limits_said=True.
    """
    browser = enter()
    browser.get()
    browser.post("privacy", {"answer": "alone", "interpreter": "none"})
    assert browser.post("note", {"once": "x"}).status_code == 403


def test_a_page_that_was_left_open_locks_again(enter: Any, asked: list[str]) -> None:
    """The page that idles sends "not private", so that the next person finds a neutral, locked first page."""
    browser = enter()
    browser.answer()
    assert "data-rest" in browser.get().get_data(as_text=True)
    browser.post("privacy", {"answer": "not-private"})
    assert "Is this a private moment?" in browser.get().get_data(as_text=True)
    assert browser.get("note").status_code == 303


@pytest.mark.rule("R23")
def test_rule_R23_without_a_visit_a_reason_comes_first(enter: Any, asked: list[str], desk: Any) -> None:
    """Without an open visit the pages ask why first: phone, follow-up or other; then they go on.

    Break: in disclosure.form, delete the lines about the reason; in privacy_question.require_attested the second check.
    """
    browser = enter(encounter=None)
    browser.answer()
    for step in ("note", "connect"):
        assert (
            "/reason?step=" + step in browser.get("connect/harbor" if step == "connect" else step).headers["Location"]
        )
    for path, form in LOCKED_POSTS:
        assert browser.post(path, form).status_code == 422
    assert browser.post("reason", {"reason": "curious", "step": "note"}).status_code == 422
    assert browser.get("phones").status_code == 200
    assert browser.get("cards").status_code == 200
    assert browser.post("reason", {"reason": "phone", "step": "note"}).headers["Location"].endswith("/note")
    assert browser.get("note").status_code == 200
    assert asked == []


@pytest.mark.rule("R23")
@pytest.mark.parametrize("encounter", ["e1", None])
def test_rule_R23_the_reason_is_told_to_whoever_writes_the_log(
    enter: Any, monkeypatch: pytest.MonkeyPatch, encounter: str | None
) -> None:
    """Without a visit the reason goes with everything this launch asks for; with one there is none to tell.

    Break: in guards._enter, leave out the reason.
    """
    heard: list[str | None] = []
    monkeypatch.setattr(referral, "for_chart", lambda _door, requester, *_: heard.append(requester.reason) or [])
    browser = enter(encounter=encounter)
    browser.answer()
    browser.get()
    browser.post("reason", {"reason": "follow-up", "step": "note"})
    browser.get()
    assert heard == [None, None if encounter else "follow-up"]


@pytest.mark.rule("R31")
def test_rule_R31_minors_get_words_cards_and_phone(enter: Any, asked: list[str], desk: Any, text_of: Any) -> None:
    """For a patient under 18 notes and sending are off, in words; the cards and the numbers stay open.

    Break: in disclosure.form and referral.form, delete the lines about minors.
    """
    desk.patient = desk.patient | {"birthDate": "2010-06-01"}
    browser = enter()
    browser.answer()
    home = text_of(browser.get())
    assert "under 18" in home
    assert "Make a protected note" not in home
    for path in ("note", "connect/harbor"):
        answer = browser.get(path)
        assert "under 18" in text_of(answer)
        assert '<form method="post" action="/v/launch-0/' + path not in answer.text
    assert browser.get("cards").status_code == 200


@pytest.mark.rule("R39")
def test_rule_R39_decline_is_one_tap_and_final_for_the_visit(enter: Any, asked: list[str], text_of: Any) -> None:
    """One tap, no reason asked, nothing saved, and the question does not come back this visit.

    Break: in chart.decline, do not remember it.
    """
    browser = enter()
    browser.answer()
    before = browser.get()
    assert "not today" in text_of(before)
    assert browser.post("decline", {"answer": "no"}).status_code == 303
    after = text_of(browser.get())
    assert "Nothing was saved" in after
    assert "The patient says: not today" not in after
    assert asked == []


def test_the_chart_is_read_once_per_launch(enter: Any, asked: list[str], desk: Any) -> None:
    """Every kind of visit asks the EHR for the patient once, so that its log does not tell who asked for help."""
    browser = enter()
    browser.answer()
    for path in ("", "cards", "note", "connect/harbor", "phones", ""):
        browser.get(path)
    assert desk.patient_reads == 1


def test_the_banner_names_the_patient_unless_the_ehr_does(enter: Any, asked: list[str], text_of: Any) -> None:
    """Name and birth date against the wrong chart; where the EHR shows them, initials and age."""
    assert "Dana Whitlock-Canary Born 3 Feb 1997" in text_of(enter().get())
    text = text_of(enter(needs_patient_banner=False).get())
    assert "DW Age 29" in text
    assert "Canary" not in text


def test_a_language_of_the_chart_asks_for_the_interpreter(
    enter: Any, asked: list[str], desk: Any, text_of: Any
) -> None:
    """For a patient who speaks Spanish nothing is ticked beforehand, and the limits stand in Spanish too."""
    desk.patient = desk.patient | {"communication": [{"language": {"coding": [{"code": "es"}]}}]}
    answer = enter().get()
    assert "The chart says: Spanish" in text_of(answer)
    assert "Lo que me cuente" in text_of(answer)
    assert " checked" not in answer.text
