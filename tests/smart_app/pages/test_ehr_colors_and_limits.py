"""The EHR's colours around our pages, what a small grant leaves, and the form that carries a launch to the EHR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from smart_app import guards
from smart_app.pages import ehr_colors, to_the_ehr
from smart_app.surface import content_security_policy

SMALL = frozenset({"launch", "openid", "fhirUser", "online_access", "patient/Observation.cruds"})


@dataclass(frozen=True)
class Style:
    background: str | None = None
    text: str | None = None
    highlight: str | None = None
    font_size_px: int | None = None


# --- colours ---------------------------------------------------------------------------------------------------------


def test_readable_colours_become_ours() -> None:
    """Colours of the EHR that keep every text readable are taken over; nothing else is in the sheet."""
    css = ehr_colors.css_of(Style("#fafafa", "#101820", "#2f5d62", 17))
    assert css == ":root { --paper: #fafafa; --ink: #101820; --main: #2f5d62; }\nbody { font-size: 17px; }\n"
    assert ehr_colors.css_of(Style()) == ":root { --paper: #ffffff; --ink: #1b1b1b; }\n"


@pytest.mark.rule("R28")
@pytest.mark.parametrize(
    "style",
    [
        Style(background="#000000"),
        Style(text="#ffffff"),
        Style(background="#777777", text="#888888"),
        Style(background="#1b1b1b", text="#f4f6f9"),
        Style(highlight="#f8f8f8"),
        Style(highlight="#e0e0e0"),
    ],
)
def test_colours_that_hide_something_are_left_out(style: Style) -> None:
    """White on white would hide the numbers and the button that hides the page: such colours are not taken over.

    Breaks when ``css_of`` does not ask for the contrast.
    """
    css = ehr_colors.css_of(style)
    for colour in (style.background, style.text, style.highlight):
        assert colour is None or colour not in css


@pytest.mark.parametrize(("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_as_wcag_defines_it(one: str, other: str, ratio: float) -> None:
    """The well-known pairs have their well-known ratios, whichever comes first."""
    assert ehr_colors.contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert ehr_colors.contrast(other, one) == pytest.approx(ratio, abs=0.01)


def test_a_launch_with_a_style_links_its_sheet_and_one_without_does_not(
    app: Flask, enter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page asks us for its colours, never the EHR; another launch's sheet is not there."""
    asked: list[tuple[str, str]] = []
    installed = app.extensions[guards.EXTENSION]
    style = Style("#fafafa", "#101820")
    services = replace(installed.services, ehr_style=lambda *of: asked.append(of) or style)
    app.extensions[guards.EXTENSION] = replace(installed, services=services)
    url = "https://ehr.example/style.json"
    styled, plain = enter(style_url=url), enter()
    assert "colors.css" in styled.get().get_data(as_text=True)
    assert "ehr.example" not in styled.get().get_data(as_text=True)
    assert "colors.css" not in plain.get().get_data(as_text=True)
    sheet = styled.get("colors.css")
    assert (sheet.mimetype, sheet.get_data(as_text=True)) == ("text/css", ehr_colors.css_of(style))
    assert plain.get("colors.css").get_data() == b""
    assert asked == [("a", url)]
    styled.launch_id = "nobody"
    assert styled.get("colors.css").status_code == 404


# --- what a small grant leaves ---------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@147")
def test_without_the_patient_cards_and_phones_stay_open_and_the_page_says_why(
    enter: Any, desk: Any, text_of: Any
) -> None:
    """Where the EHR does not let us read whose chart it is: no name, no note, no sending, but cards and numbers; and
    words on what is off and what IT has to ask for.

    Breaks when ``guards.patient`` reads all the same.
    """
    browser = enter(granted_scopes=SMALL, can_renew=False)
    first = browser.get()
    assert first.status_code == 200
    for words in ("read whose chart this is", "patient/Patient.rs", "patient/Encounter.rs", "online_access"):
        assert words in text_of(first)
    for path in ("cards", "cards/read", "phones"):
        assert browser.get(path).status_code == 200
    browser.post("privacy", {"answer": "alone", "limits_said": "yes", "interpreter": "none"})
    assert browser.get("note").status_code == 403
    assert browser.get("connect/harbor").status_code == 403
    assert desk.patient_reads == 0


@pytest.mark.requirement("smart@147")
def test_a_missing_write_scope_is_said_and_stops_nothing(enter: Any, text_of: Any) -> None:
    """A grant without one of the copies opens everything; the first page says which copy is off."""
    browser = enter(granted_scopes=frozenset({"online_access", "patient/Patient.read", "patient/Encounter.read"}))
    words = text_of(browser.get())
    assert "Nothing can be copied to the EHR as Observation" in words
    assert "patient/ServiceRequest.cruds" in words
    assert browser.answer().status_code == 303
    assert browser.get("note").status_code == 200


def test_a_full_grant_says_nothing(enter: Any, text_of: Any) -> None:
    """Who was granted all that was asked reads no such notice."""
    assert "less today than it asked for" not in text_of(enter().get())


@pytest.mark.rule("R23")
@pytest.mark.parametrize("encounter", [None, "e1"])
def test_rule_R23_without_an_open_visit_what_needs_none_stays_open(
    enter: Any, desk: Any, encounter: str | None
) -> None:
    """No visit, or one that is over: first page, cards, numbers and the list of programs are open; record and send ask
    why first.

    Break: in privacy_question.require_attested, take out the second check.
    """
    desk.visit = False
    browser = enter(encounter=encounter)
    browser.answer()
    for path in ("", "cards", "cards/read", "phones"):
        assert browser.get(path).status_code == 200
    for path, step in (("note", "note"), ("connect/harbor", "connect")):
        assert browser.get(path).headers["Location"].endswith("/reason?step=" + step)
    assert browser.post("note", {"once": "x"}).status_code == 422


# --- the form to the EHR ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@5")
@pytest.mark.rule("attack 12")
def test_the_form_goes_to_the_ehr_and_nothing_of_it_is_markup(app: Flask) -> None:
    """The page holds one form to the EHR with each member once, one script of ours, and a button for who has none."""
    members = (("state", 'x"><script>alert(1)</script>'), ("launch", "a&b"))
    wanted: Any = SimpleNamespace(endpoint="https://ehr.example:8443/authorize?site=7", members=members)
    with app.test_request_context("/launch"):
        html = to_the_ehr.show(wanted).get_data(as_text=True)
    assert '<form method="post" action="https://ehr.example:8443/authorize?site=7" data-go' in html
    assert html.count("<script") == html.count("<script src=") == 2
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert 'name="launch" value="a&amp;b"' in html
    assert ">Continue</button>" in html
    assert "csrf_token" not in html


@pytest.mark.rule("attack 11")
@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("https://ehr.example/authorize", "https://ehr.example"),
        ("https://ehr.example:8443/a?b=c", "https://ehr.example:8443"),
        ("http://[::1]:9000/authorize", "http://[::1]:9000"),
        ("https://ehr.example; script-src */authorize", ""),
        ("https://ehr.example, x/authorize", ""),
        ("https://*/authorize", ""),
        ("https://user@ehr.example/authorize", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_policy_lets_the_form_go_to_that_ehr_only(endpoint: str, target: str) -> None:
    """Forms go to ourselves and, on this one page, to the EHR's origin; an odd address cannot widen the policy.

    Breaks when ``origin`` passes on whatever stands there.
    """
    assert to_the_ehr.origin(endpoint) == target
    policy = content_security_policy((), target)
    assert f"form-action 'self' {target}".rstrip() in policy.split("; ")
    assert policy.count("script-src") == 1
    assert "form-action 'self'" in content_security_policy(()).split("; ")
