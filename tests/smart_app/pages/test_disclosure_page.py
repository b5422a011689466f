"""The protected note: one tap, no kind required, plain words on where it lives (R1, R6, attack 10)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fhir_profiles.disclosure_observation import KINDS
from smart_app.ports import WriteBackResult
from smart_app.workflows import disclosure

KEPT_HERE = "It is kept in this app's own encrypted store."


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Forms that the page handed to the workflow."""
    forms: list[Any] = []

    def record(door: Any, ehr: Any, requester: Any, form: Any, settings: Any, now: Any) -> Any:
        forms.append(form)
        result = WriteBackResult.SAVED if form.wants_ehr_copy else None
        return disclosure.DisclosureResult("Observation/1", "case-1", (KEPT_HERE,), ("Seen alone.",), result)

    monkeypatch.setattr(disclosure, "record", record)
    return forms


def once(page: str) -> str:
    """The token of one opened form."""
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


@pytest.fixture
def opened(enter: Any) -> Any:
    """A clinician who has answered the privacy question at the EHR that may take copies."""
    browser = enter()
    browser.answer()
    return browser


def test_one_tap_saves_the_default(opened: Any, recorded: list[Any], text_of: Any) -> None:
    """The button alone saves a note without a kind and without a copy in the chart."""
    page = opened.get("note").text
    answer = opened.post("note", {"once": once(page), "wants_ehr_copy": "no"})
    assert answer.status_code == 303
    assert [(form.kind, form.wants_ehr_copy) for form in recorded] == [(KINDS[0], False)]
    saved = text_of(opened.get("note/saved"))
    assert KEPT_HERE in saved
    assert "Seen alone." in saved


def test_no_kind_is_asked_for(opened: Any, recorded: list[Any]) -> None:
    """The kinds stand folded away, the first one, "do not note a kind", is chosen, none is required."""
    page = opened.get("note").text
    kinds = page[page.index("<details") :]
    assert kinds.count('name="kind"') == len(KINDS)
    assert kinds.count(" checked") == 1
    assert "required" not in kinds


@pytest.mark.rule("R6")
def test_rule_R06_the_copy_is_a_choice_only_where_it_is_allowed(enter: Any, opened: Any, recorded: list[Any]) -> None:
    """At the EHR with a proof a second button saves a copy there too; at the other one there is no such button.

    Break: in disclosure.form, pass may_copy=True.
    """
    page = opened.get("note").text
    assert "with a protected copy in the chart" in page
    opened.post("note", {"once": once(page), "wants_ehr_copy": "yes"})
    assert recorded[-1].wants_ehr_copy is True
    other = enter(registration="b")
    other.answer()
    page = other.get("note").text
    assert "with a protected copy in the chart" not in page
    assert "not set up to receive a copy" in page


def test_a_form_sent_twice_saves_once(opened: Any, recorded: list[Any]) -> None:
    """A double press, or Back and send again, shows what the first press saved."""
    form = {"once": once(opened.get("note").text)}
    assert opened.post("note", form).status_code == 303
    assert opened.post("note", form).status_code == 303
    assert len(recorded) == 1


@pytest.mark.rule("attack 10")
def test_a_form_of_an_older_page_is_refused(opened: Any, recorded: list[Any], text_of: Any) -> None:
    """When the note was opened again since, the old page cannot save.

    Break: in disclosure.save, drop the comparison with ONCE.
    """
    old = once(opened.get("note").text)
    opened.get("note")
    answer = opened.post("note", {"once": old})
    assert answer.status_code == 409
    assert "Nothing was saved" in text_of(answer)
    assert recorded == []


@pytest.mark.rule("attack 11")
def test_a_form_without_our_token_is_refused(opened: Any, recorded: list[Any]) -> None:
    """A form that does not come from our page saves nothing."""
    answer = opened.post("note", {"once": once(opened.get("note").text)}, token=False)
    assert answer.status_code == 403
    assert recorded == []


def test_saved_page_needs_a_saved_note(opened: Any) -> None:
    """The address of the last page alone shows nothing."""
    assert opened.get("note/saved").status_code == 303
