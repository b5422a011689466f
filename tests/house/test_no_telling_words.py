"""Nothing that shows outside a page says what the app is for (R27): a look over a shoulder, a history, a log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from launch.doctor.neutral_words import telling
from smart_app.settings import Settings

TEXT_FILES = {".css", ".js", ".svg", ".webmanifest", ".txt", ".json"}
OPEN_PAGES = ("/", "/health", "/v/none/", "/launch", "/callback", "/nowhere")


def test_the_lexicon_finds_what_it_should() -> None:
    """The list of words is itself tried: it finds them in an address, a file name and a title."""
    assert telling("/v/1/dv-referral")
    assert telling("safe_from_abuse.css")
    assert telling("<title>Survivor help</title>")
    assert telling("/v/1/connect?step=review") == []


@pytest.mark.rule("R27")
def test_no_address_tells(app: Flask) -> None:
    """An address in a history or a proxy's log says nothing about why somebody was there."""
    assert [rule.rule for rule in app.url_map.iter_rules() if telling(rule.rule)] == []


@pytest.mark.rule("R27")
def test_names_on_the_outside_are_neutral(app: Flask, settings: Settings) -> None:
    """The tile in the EHR, the cookie and the client id are names that could belong to anything."""
    outside = [settings.product_name, app.config["SESSION_COOKIE_NAME"], *(ehr.client_id for ehr in settings.ehr)]
    assert [name for name in outside if telling(name)] == []


@pytest.mark.rule("R27")
def test_titles_and_icons_are_neutral(root: Path) -> None:
    """The tab of every page carries the neutral name; no title, icon or description tells."""
    problems = []
    for template in sorted((root / "smart_app" / "templates").rglob("*.html")):
        text = template.read_text()
        heads = re.findall(r"<title>.*?</title>|<link[^>]*rel=\"[^\"]*icon[^>]*>|<meta[^>]*>", text, flags=re.DOTALL)
        heads += re.findall(r"{%-? block title -?%}.*?{%-? endblock", text, flags=re.DOTALL)
        problems += [(template.name, head) for head in heads if telling(head)]
    assert problems == []


@pytest.mark.rule("R27")
def test_files_that_anyone_can_fetch_are_neutral(root: Path) -> None:
    """Style sheets, scripts and pictures are served without a log-in: neither their names nor their text tells."""
    static = root / "smart_app" / "static"
    problems = [
        path.relative_to(static).as_posix()
        for path in sorted(static.rglob("*"))
        if path.is_file()
        and (telling(path.name) or (path.suffix in TEXT_FILES and telling(path.read_text(errors="replace"))))
    ]
    assert problems == []


@pytest.mark.rule("R27")
@pytest.mark.parametrize("page", OPEN_PAGES)
def test_what_a_stranger_sees_is_neutral(app: Flask, page: str) -> None:
    """Without a launch, no page, header or error says what the app is for. (The phone list does: it is the help.)"""
    answer = app.test_client().get(page)
    assert telling(answer.get_data(as_text=True)) == []
    assert telling(str(answer.headers)) == []
