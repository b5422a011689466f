"""Connecting: what is shown is what is sent; who cannot sign speaks, and nothing leaves (R1, R10, R12, R13)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from smart_app.errors import InvalidError, NothingToShowError
from smart_app.pages.referral import ALIASES
from smart_app.workflows import disclosure, referral


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Forms that were sent. The preview answers with two items, or refuses a form without a way to meet."""
    forms: list[Any] = []

    def preview(form: Any, site: Any, partner: Any, now: Any) -> list[str]:
        if not form.meet:
            raise InvalidError("Choose how the two will meet.")
        return [f"Name to use: {form.alias}", f"How they meet: {form.meet}"]

    def send(services: Any, requester: Any, form: Any, now: Any) -> Any:
        forms.append(form)
        return SimpleNamespace(
            case_id="case-7",
            task_reference="Task/t1",
            place_words=("It is kept here.",),
            lines_by_hand=("Seen alone.",),
        )

    monkeypatch.setattr(referral, "preview", preview)
    monkeypatch.setattr(referral, "send", send)
    monkeypatch.setattr(referral, "status_of", lambda *_: status())
    return forms


def status(**changes: Any) -> Any:
    """Where the referral stands; received by the program's system unless changed."""
    made = {
        "case_id": "case-7",
        "partner_id": "harbor",
        "state_words": "Received by their system",
        "next_step": "",
        "is_good": True,
        "needs_call": False,
        "ends_on": date(2026, 12, 24),
    }
    return SimpleNamespace(**{**made, **changes})


@pytest.fixture
def opened(enter: Any) -> Any:
    """A clinician who has answered the privacy question."""
    browser = enter()
    browser.answer()
    return browser


def review_of(page: str) -> str:
    """The token of one reviewed form."""
    found = re.search(r'name="review" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def send(browser: Any, signed: str = "screen", step: str = "send", **form: Any) -> Any:
    """Both steps, as a person takes them."""
    page = browser.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren", **form}).text
    return browser.post("connect/harbor", {"step": step, "review": review_of(page), "signed": signed})


@pytest.mark.rule("R1")
def test_rule_R01_no_note_is_needed(opened: Any, sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A referral is sent without any note before it, and makes none.

    Break: in referral.go_on, ask for a saved note first.
    """
    asked: list[str] = []
    monkeypatch.setattr(disclosure, "record", lambda *_, **__: asked.append("record"))
    answer = send(opened)
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/sent/case-7")
    assert len(sent) == 1
    assert asked == []


@pytest.mark.parametrize(("step", "status"), [("review", 200), ("send", 409)])
def test_a_form_before_the_first_page_shows_whose_chart_it_is(
    enter: Any, sent: list[Any], step: str, status: int
) -> None:
    """A form that reaches us before anybody opened the first page shows whose chart it is, and sends nothing unseen."""
    browser = enter()
    browser.post("privacy", {"answer": "alone", "limits_said": "yes", "interpreter": "none"})
    answer = browser.post("connect/harbor", {"step": step, "meet": "call-now", "alias": "Wren", "signed": "screen"})
    assert answer.status_code == status
    assert ("DW, 29 years" in answer.text) == (step == "review")
    assert sent == []


@pytest.mark.rule("R5")
def test_rule_R05_the_patient_of_the_chart_is_shown_and_kept_nowhere(opened: Any, desk: Any) -> None:
    """Name and birth date stand on every page of the visit, are read once, and are in no note that is stored.

    Break: in guards.patient, remember the glance with the launch.
    """
    for path in ("cards", "note", "connect/harbor"):
        assert "Whitlock-Canary" in opened.get(path).text
    assert desk.patient_reads == 1
    assert "Whitlock" not in repr(desk.notes)
    assert "1997" not in repr(desk.notes)


@pytest.mark.rule("R12")
def test_rule_R12_an_answer_changed_after_the_review_changes_nothing_that_is_sent(opened: Any, sent: list[Any]) -> None:
    """What was shown is what is sent, even if the privacy question is answered anew in another tab in between.

    Break: in pages/referral._form, read the interpreter from the attestation.
    """
    page = opened.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren"}).text
    opened.post("privacy", {"answer": "alone", "limits_said": "yes", "interpreter": "trained"})
    opened.post("connect/harbor", {"step": "send", "review": review_of(page), "signed": "screen"})
    assert [form.interpreter for form in sent] == [None]


@pytest.mark.rule("R13")
def test_rule_R13_a_call_on_the_clinics_phone_may_have_a_time(opened: Any, sent: list[Any], text_of: Any) -> None:
    """Day and time are read on the clinic's clock and belong to that choice only; half a time is asked again.

    Break: in pages/referral._parse, keep day and time for every way to meet.
    """
    send(opened, meet="clinic-phone", day="2026-11-30", at="09:30")
    send(opened, meet="survivor-calls", day="2026-11-30", at="09:30")
    assert [form.at for form in sent] == [datetime(2026, 11, 30, 15, 30, tzinfo=UTC), None]
    half = {"step": "review", "meet": "clinic-phone", "alias": "Wren", "day": "2026-11-30"}
    answer = opened.post("connect/harbor", half)
    assert answer.status_code == 422
    assert "Write the day and the time of the call" in text_of(answer)


@pytest.mark.rule("R13")
def test_rule_R13_nothing_is_chosen_beforehand(opened: Any, sent: list[Any], text_of: Any) -> None:
    """No way to meet is ticked for the person; nothing chosen cannot go on, in words.

    Break: in connect.html, tick the first way.
    """
    page = opened.get("connect/harbor").text
    radios = re.findall(r'<input class="usa-radio__input"[^>]*name="meet"[^>]*>', page)
    assert len(radios) == 5
    assert not any(" checked" in radio for radio in radios)
    answer = opened.post("connect/harbor", {"step": "review", "alias": "Wren"})
    assert answer.status_code == 422
    assert "Choose how the two will meet." in text_of(answer)


@pytest.mark.rule("R12")
def test_rule_R12_the_exact_items_are_shown_before_they_are_sent(opened: Any, sent: list[Any], text_of: Any) -> None:
    """The page before sending lists the items; what is then sent is that form and no other.

    Break: in referral._send, use _parse() in place of what was kept.
    """
    page = opened.post(
        "connect/harbor", {"step": "review", "meet": "survivor-calls", "alias": "Wren", "code_word": "blue"}
    )
    assert "Name to use: Wren" in text_of(page)
    assert "DW, 29 years." in text_of(page)
    opened.post(
        "connect/harbor",
        {"step": "send", "review": review_of(page.text), "signed": "screen", "alias": "Dana", "phone": "555-9999"},
    )
    assert (sent[0].alias, sent[0].meet, sent[0].phone, sent[0].code_word) == ("Wren", "survivor-calls", None, "blue")


@pytest.mark.rule("R12")
def test_rule_R12_the_name_to_use_is_never_the_real_one(opened: Any, enter: Any, desk: Any, sent: list[Any]) -> None:
    """The page offers a name from our own list, even when the patient happens to be called like one of them.

    Break: in referral._untouched, choose from all ALIASES.
    """
    desk.patient = desk.patient | {"name": [{"given": ["Wren"], "family": "Sage"}]}
    for _ in range(20):
        browser = enter()
        browser.answer()
        found = re.search(r'name="alias"[^>]*value="([^"]*)"', browser.get("connect/harbor").text)
        assert found is not None
        assert found.group(1) in set(ALIASES) - {"Wren", "Sage"}


@pytest.mark.rule("R10")
def test_rule_R10_who_cannot_sign_calls(opened: Any, sent: list[Any], text_of: Any) -> None:
    """Without a signature nothing is sent: the page shows the number and how to call together.

    Break: in referral.go_on, drop "cannot-sign" from the first condition.
    """
    answer = send(opened, signed="cannot-sign")
    assert answer.status_code == 200
    assert "Call together: 555-0142" in text_of(answer)
    assert "Nothing was sent" in text_of(answer)
    assert sent == []


@pytest.mark.rule("R10")
def test_rule_R10_nothing_chosen_is_no_signature(opened: Any, sent: list[Any], text_of: Any) -> None:
    """A form that does not say how it was signed comes back with the question.

    Break: in referral._send, delete the check of SIGNED.
    """
    answer = send(opened, signed="")
    assert answer.status_code == 422
    assert "Has the patient signed?" in text_of(answer)
    assert sent == []


@pytest.mark.parametrize("signed", ["screen", "paper"])
def test_both_signatures_are_handed_on(opened: Any, sent: list[Any], signed: str) -> None:
    """On screen or on paper: the workflow is told which."""
    send(opened, signed=signed)
    assert sent[0].signed == signed


@pytest.mark.rule("attack 8")
def test_pressing_send_twice_sends_once(opened: Any, sent: list[Any]) -> None:
    """A double press leads to the same page, and one referral exists.

    Break: in referral._send, do not remember SENT.
    """
    page = opened.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren"}).text
    form = {"step": "send", "review": review_of(page), "signed": "screen"}
    assert (
        opened.post("connect/harbor", form).headers["Location"]
        == opened.post("connect/harbor", form).headers["Location"]
    )
    assert len(sent) == 1


@pytest.mark.rule("attack 10")
def test_an_older_review_cannot_be_sent(opened: Any, sent: list[Any]) -> None:
    """When the form was reviewed again in another tab, the first tab is refused."""
    first = opened.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren"}).text
    opened.post("connect/harbor", {"step": "review", "meet": "on-site", "alias": "Robin"})
    answer = opened.post("connect/harbor", {"step": "send", "review": review_of(first), "signed": "screen"})
    assert answer.status_code == 409
    assert sent == []


@pytest.mark.rule("R13")
def test_rule_R13_a_number_belongs_to_the_safe_number_only(opened: Any, sent: list[Any]) -> None:
    """A number left in the field after another choice does not leave.

    Break: in referral._parse, keep the phone for every way to meet.
    """
    send(opened, meet="on-site", phone="555-0199", say_as="the library")
    send(opened, meet="safe-contact", phone="555-0199", say_as="the library", voicemail="silent")
    assert (sent[0].phone, sent[0].say_as, sent[0].voicemail) == (None, None, None)
    assert (sent[1].phone, sent[1].say_as, sent[1].voicemail) == ("555-0199", "the library", "silent")


def test_a_copy_in_the_chart_is_asked_for_by_its_own_button(opened: Any, enter: Any, sent: list[Any]) -> None:
    """Send alone makes no copy; the second button does, and it is there only where the EHR may take one."""
    send(opened)
    send(opened, step="send-and-copy")
    assert [form.wants_ehr_copy for form in sent] == [False, True]
    other = enter(registration="b")
    other.answer()
    page = other.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren"}).text
    assert "send-and-copy" not in page


@pytest.mark.rule("R19")
def test_rule_R19_a_program_without_agreement_is_not_there(opened: Any, desk: Any, sent: list[Any]) -> None:
    """An ended or suspended agreement closes the page at once, also for a form that was open.

    Break: in referral._open_partners, leave out the gate.
    """
    page = opened.post("connect/harbor", {"step": "review", "meet": "call-now", "alias": "Wren"}).text
    desk.partners = [type(desk.partners[0])(**{**vars(desk.partners[0]), "is_suspended": True})]
    assert opened.get("connect/harbor").status_code == 404
    assert (
        opened.post("connect/harbor", {"step": "send", "review": review_of(page), "signed": "screen"}).status_code
        == 404
    )
    assert "nothing can be sent" in opened.get("connect").text
    assert sent == []


def test_the_best_fit_comes_first(opened: Any, desk: Any, sent: list[Any]) -> None:
    """A program that takes referrals, has room and speaks the language is offered first; the others stand below."""
    fitting = desk.partners[0]
    made = type(fitting)
    full = made(**{**vars(fitting), "partner_id": "full", "name": "A Full House", "has_capacity": False})
    phone_only = made(**{**vars(fitting), "partner_id": "calls", "name": "B Calls", "fhir_address": None})
    desk.partners = [full, phone_only, fitting]
    assert opened.get("connect").headers["Location"].endswith("/connect/harbor")
    page = opened.get("connect/harbor").text
    assert "/connect/full" in page
    assert "/connect/calls" in page


def test_a_program_with_a_phone_only_is_called(opened: Any, desk: Any, sent: list[Any], text_of: Any) -> None:
    """Where nothing can be sent, the way goes to the call and no release is asked for."""
    desk.partners = [type(desk.partners[0])(**{**vars(desk.partners[0]), "fhir_address": None})]
    page = opened.get("connect/harbor").text
    assert 'value="call"' in page
    assert 'value="review"' not in page
    assert "Call together: 555-0142" in text_of(opened.post("connect/harbor", {"step": "call", "meet": "call-now"}))


def test_the_page_after_sending_says_what_became_of_it(opened: Any, sent: list[Any], text_of: Any) -> None:
    """State in plain words, where it lives, and what to chart; not the patient's own business with the program."""
    send(opened)
    text = text_of(opened.get("sent/case-7"))
    for words in ("Received by their system", "It is kept here.", "“Seen alone.”", "24 Dec 2026"):
        assert words in text


def test_a_program_that_is_down_brings_the_phone_to_the_top(
    opened: Any, sent: list[Any], text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While their system does not answer, the page offers the call at once."""
    down = status(state_words="Their system does not answer. We keep trying.", is_good=False, needs_call=True)
    monkeypatch.setattr(referral, "status_of", lambda *_: down)
    text = text_of(opened.get("sent/case-7"))
    assert text.index("Call 555-0142") < text.index("Call now")


def test_someone_elses_case_is_not_there(opened: Any, monkeypatch: pytest.MonkeyPatch, text_of: Any) -> None:
    """An address of a case that this person may not see is the same page as an address that never was."""

    def deny(*_: Any) -> None:
        raise NothingToShowError

    monkeypatch.setattr(referral, "status_of", deny)
    answer = opened.get("sent/case-of-somebody-else")
    assert answer.status_code == 404
    assert answer.data == opened.client.get("/nowhere").data
    assert "Nothing to show here" in text_of(answer)
