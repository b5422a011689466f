"""Nothing before the privacy question tells what the app is for (R2, R27, attack 3)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

LEXICON_FILE = Path(__file__).resolve().parents[3] / "launch" / "doctor" / "neutral_words.txt"
# The words start a word of the page: "rape" is found in "rapes" and not in "grape".
LEXICON = [line.strip() for line in LEXICON_FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
FORM_TOKEN = re.compile(r'(?<=name="csrf_token" value=")[^"]*')
TELLING = re.compile(r"\b(" + "|".join(re.escape(word) for word in LEXICON) + ")", re.IGNORECASE)


def telling(html: str) -> list[str]:
    """Every telling word of a whole page: text, title, alt, paths, values, and comments too. Form tokens are random
    letters, in which two may happen to look like a word: they alone are left out."""
    return TELLING.findall(FORM_TOKEN.sub("", html))


def test_the_list_of_words_finds_what_it_is_for() -> None:
    """The list is tried on sentences that do tell, and on some that do not."""
    assert telling("National Domestic Violence Hotline") == ["Domestic", "Violen", "Hotline"]
    assert telling('<img alt="abuse card">')
    assert telling("/v/1/dv-note")
    assert telling("She feels threatened")
    assert telling("Care Connections. Is this a private moment? National help line, grape juice, hurry") == []


@pytest.mark.rule("R27")
@pytest.mark.parametrize("path", ["", "phones", "cards", "reason"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_rule_R27_pages_before_the_privacy_question_are_neutral(
    enter: Any, desk: Any, path: str, language: str
) -> None:
    """Over a clinician's shoulder nobody can read what the app is for before the question is answered.

    Break: in frame.context, set "is_open" to True.
    """
    spoken = [{"language": {"coding": [{"code": language}]}}]
    desk.patient = desk.patient | {"communication": spoken}
    desk.partners = [desk.partners[0].__class__(**{**vars(desk.partners[0]), "name": "Shelter for Survivors"})]
    browser = enter()
    browser.get()
    answer = browser.get(path)
    assert answer.status_code == 200
    assert telling(answer.get_data(as_text=True)) == []
    assert telling(str(answer.headers)) == []


@pytest.mark.rule("R27")
def test_rule_R27_not_private_keeps_everything_neutral(enter: Any) -> None:
    """After "not private now" the first page, the cards page and the phone list stay neutral.

    Break: in privacy_question.is_attested, return True whenever there is an answer.
    """
    browser = enter()
    assert browser.answer("not-private").status_code == 303
    for path in ("", "phones", "cards"):
        assert telling(browser.get(path).get_data(as_text=True)) == [], path


@pytest.mark.rule("R27")
@pytest.mark.parametrize("path", ["/", "/phones", "/nowhere", "/v/nobody/", "/v/nobody/note"])
def test_rule_R27_strangers_see_nothing_telling(app: Flask, path: str) -> None:
    """Somebody without a launch who types or finds an address sees a neutral page.

    Break: in _call.html, show line.name always.
    """
    assert telling(app.test_client().get(path).get_data(as_text=True)) == []


@pytest.mark.rule("R27")
@pytest.mark.parametrize(
    ("user", "path"),
    [
        ("coord-ellis", "contacts"),
        ("officer-grant", "alerts"),
        ("lead-osei", "agreements"),
        ("it-raman", "registrations"),
    ],
)
def test_rule_R27_desks_of_other_staff_are_neutral(enter: Any, user: str, path: str) -> None:
    """A screen at a front desk or in an office says nothing either.

    Break: in _call.html, show line.name always.
    """
    answer = enter(user, patient=None).get(path)
    assert answer.status_code == 200
    assert telling(answer.get_data(as_text=True)) == []


@pytest.mark.rule("R27")
def test_rule_R27_titles_and_paths_stay_neutral_afterwards(app: Flask, enter: Any) -> None:
    """After the question the page speaks plainly; its title, address and icon still do not.

    Break: in base.html, put the heading into the title.
    """
    browser = enter()
    browser.answer()
    for path in ("", "note", "connect/harbor", "cards/read"):
        answer = browser.get(path)
        assert answer.status_code == 200
        heads = re.findall(r"<title>.*?</title>|<link[^>]*>|<meta[^>]*>", answer.get_data(as_text=True))
        assert len(heads) >= 5
        assert telling(" ".join(heads)) == []
    assert telling(" ".join(rule.rule for rule in app.url_map.iter_rules())) == []
