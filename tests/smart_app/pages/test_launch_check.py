"""The page that says what came of a launch, for whoever sets an EHR up: its lines, and to whom they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from launch.launch_lines import REFUSALS, refusal_line
from smart_app.settings import Settings

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # by the clock of the pages in these tests
GOOD = {"expires_at": NOW + timedelta(minutes=5), "can_renew": True}
HIDDEN = ("p-dana", "e1", "Whitlock", "launch-0")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """EHR a is a test system with one test patient; EHR b is used for real."""
    a, b = settings.ehr
    test = a.model_copy(update={"environment": "test", "test_patients": frozenset({"p-dana"})})
    return settings.model_copy(update={"ehr": (test, b)})


def check(browser: Any, destination: str | None = "iframe") -> Any:
    headers = {"Sec-Fetch-Dest": destination} if destination else {}
    return browser.client.get(f"/v/{browser.launch_id}/check", headers=headers)


def test_each_part_of_a_launch_has_its_line(enter: Any, text_of: Any) -> None:
    """Patient, visit, banner, scopes, token, role and rule, cookie and frame: each is said, and nobody is named."""
    answer = check(enter(**GOOD))
    told = text_of(answer)
    assert answer.status_code == 200
    for words in (
        "Patient: a listed test patient is in context.",
        "Encounter: the visit is in context.",
        "Patient banner: the EHR wants us to show name and birth date.",
        "Scopes: all that we asked (9 granted).",
        "Token: it lives 300 seconds more.",
        "Signed in: Practitioner/dr-lee.",
        'Role: physician, by the rule roles: "Practitioner/dr-lee" = "physician".',
        "Cookie: it came back with the browser",
        "Frame: the app was opened in a frame, and the cookie came back there.",
    ):
        assert words in told, (words, told)
    body = answer.get_data(as_text=True).replace("/v/launch-0/", "/v/")
    assert not [one for one in HIDDEN if one in body.partition("<table")[2].partition("</table>")[0]]


@pytest.mark.parametrize(
    ("changes", "words", "ask"),
    [
        ({"encounter": None}, "Encounter: none came along.", "had no encounter"),
        ({"user": "it-raman", "patient": None}, "No patient came with this launch", "launch/patient context"),
        ({"needs_patient_banner": False}, "Patient banner: the EHR shows it.", ""),
        ({"expires_at": NOW + timedelta(seconds=9)}, "Token: it lives 9 seconds more", "less than a minute"),
        ({"intent": "canary-intent"}, "an intent came along; we know none", ""),
        ({"tenant": "canary-tenant"}, "Tenant: named; it goes into the audit.", ""),
    ],
)
def test_what_is_missing_is_said_with_what_to_ask(
    enter: Any, text_of: Any, changes: dict[str, Any], words: str, ask: str
) -> None:
    """What did not come stands there with a sentence for the vendor, and nothing that the EHR spelled."""
    told = text_of(check(enter(**(GOOD | changes))))
    assert words in told
    assert ask in told
    assert "canary" not in told


@pytest.mark.parametrize(
    ("change", "words", "ask"),
    [
        (lambda granted: granted | {"patient/*.rs"}, "more than we asked was granted", "wildcard scope"),
        (lambda granted: granted - {"patient/Encounter.rs"}, "", "Please approve this scope for our client: patient/"),
        (lambda granted: frozenset(), "", "Please approve this scope for our client: patient/Patient.rs"),
    ],
)
def test_scopes_are_compared_with_what_was_asked(
    enter: Any, desk: Any, text_of: Any, change: Callable[[frozenset[str]], frozenset[str]], words: str, ask: str
) -> None:
    """A scope that was not granted, or a wildcard that was, stands there with what to ask."""
    browser = enter(**GOOD)
    context = desk.launches[browser.launch_id]
    desk.launches[browser.launch_id] = replace(context, granted_scopes=change(context.granted_scopes))
    told = text_of(check(browser))
    assert words in told
    assert ask in told
    assert "Scopes: all that we asked" not in told or "wildcard" in ask


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("frame", "Frame: the app was opened in a frame"),
        ("document", "Frame: none; the app was opened in a window of its own."),
        (None, "Frame: this browser does not say"),
    ],
)
def test_the_browser_says_whether_it_is_in_a_frame(
    enter: Any, text_of: Any, destination: str | None, words: str
) -> None:
    """In a frame, in a window, or a browser too old to say."""
    assert words in text_of(check(enter(**GOOD), destination))


@pytest.mark.rule("R41")
def test_rule_R41_only_it_and_a_test_patient_s_launch_see_the_page(enter: Any, text_of: Any) -> None:
    """At an EHR in use, a clinician's launch shows nothing; the IT admin's own launch shows its lines.

    Break: in ``launch_told.check_lines`` leave out the ``raise``.
    """
    assert check(enter(registration="b", **GOOD)).status_code == 404
    assert check(enter("sched-kim", patient=None, registration="b", **GOOD)).status_code == 404
    answer = check(enter("it-raman", patient=None, registration="b", **GOOD))
    assert answer.status_code == 200
    assert "Role: it-admin" in text_of(answer)


def test_somebody_without_a_role_is_told_which_line_is_missing() -> None:
    """Each refusal that can happen has words of its own; one nobody thought of has general ones, and no echo."""
    for reason, (words, ask) in REFUSALS.items():
        line = refusal_line(reason)
        assert (line.words, line.ask, line.light) == (words, ask, "red")
        assert line.id == "refused." + reason.replace("/", ".")
    unknown = refusal_line("canary-code/canary-reason")
    assert (unknown.id, "canary" in repr(unknown)) == ("refused.unknown", False)
