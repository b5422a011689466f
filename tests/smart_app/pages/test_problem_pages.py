"""Refusals in words, one constant page for denied and absent, and an empty page after Hide (R28, R40, attack 12)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from smart_app.pages import frame
from smart_app.policy.day_words import day_words


def test_denied_and_absent_are_the_same_bytes(app: Flask, enter: Any) -> None:
    """A page of another role, a case that never was, a dead launch and a made-up address cannot be told apart."""
    browser = enter()
    browser.answer()
    answers = {
        browser.get("queue").data,
        browser.get("connect/nobody").data,
        browser.client.get("/v/dead/").data,
        app.test_client().get("/made/up").data,
    }
    assert len(answers) == 1


def test_the_numbers_stand_on_every_page(enter: Any, app: Flask) -> None:
    """Program and help lines are beside every page, before and after the question, and on every refusal."""
    browser = enter()
    pages = [browser.get(), browser.get("cards"), browser.post("note")]
    browser.answer()
    pages += [browser.get(path) for path in ("", "note", "connect/harbor", "cards", "phones", "nothing-here")]
    pages.append(app.test_client().get("/"))
    for page in pages:
        assert "1-800-799-7233" in page.text, page.request.path
    for page in pages[:2] + pages[3:8]:
        assert "555-0142" in page.text, page.request.path


@pytest.mark.rule("R40")
def test_rule_R40_the_list_works_with_everything_down(app: Flask, desk: Any, enter: Any) -> None:
    """Even when the database fails, the answer is a page with the help lines and no trace of the fault.

    Break: in problems.show, do not set g.frame_is_plain.
    """
    browser = enter()
    browser.answer()

    def down(*_: Any) -> bool:
        raise RuntimeError("disk of Canary")

    desk.is_open = down
    answer = browser.get("connect")
    assert answer.status_code == 500
    assert "1-800-799-7233" in answer.text
    assert "Canary" not in answer.text
    assert "RuntimeError" not in answer.text


@pytest.mark.rule("R40")
def test_rule_R40_each_entry_has_the_day_it_was_checked(app: Flask) -> None:
    """Every number and address of the list carries a date, and the page shows it.

    Break: in phones.html, leave out checked_on.
    """
    page = app.test_client().get("/phones?names=1").text
    for entry in (*frame.LINES, *frame.LINKS):
        assert re.search(re.escape(entry.name) + r".*?checked " + day_words(entry.checked_on), page, re.DOTALL)
    assert page.count("checked ") == len(frame.LINES) + len(frame.LINKS)
    assert "niwrc.org" in page
    assert "www.niwr.org" in page, "the flyer's address is named as the wrong one"


@pytest.mark.rule("R28")
def test_rule_R28_hide_without_script_ends_the_launch(enter: Any, desk: Any, text_of: Any) -> None:
    """The Hide button is a real form: the launch ends and the answer is an empty page with a neutral title.

    Break: in chart.leave, delete guards.end_launch().
    """
    browser = enter()
    browser.answer()
    page = browser.get("note").text
    form = re.search(r'<form method="post" action="([^"]+/leave)"[^>]*>', page)
    assert form is not None
    answer = browser.post("leave")
    assert answer.status_code == 200
    assert text_of(answer) == "Care Connections"
    assert "<body></body>" in answer.text
    assert desk.ended == ["launch-0"]
    assert browser.get("note").status_code == 404


def test_no_page_needs_anything_from_elsewhere(enter: Any, app: Flask) -> None:
    """Every style, script and picture is ours; nothing is inline (strict CSP)."""
    browser = enter()
    browser.answer()
    for path in ("", "note", "connect/harbor", "cards", "cards/read", "phones"):
        page = browser.get(path).text
        files = re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"', page)
        assert files
        assert all(name.startswith("/static/") for name in files)
        assert "style=" not in page
        assert "onclick=" not in page
        assert not re.findall(r"<script(?![^>]*src=)", page)
        assert not re.findall(r"<style", page)


def test_each_page_is_labelled_for_those_who_do_not_see_it(enter: Any) -> None:
    """Language, one heading of the first level, and a label for every field."""
    browser = enter()
    browser.answer()
    for path in ("", "note", "connect/harbor", "cards", "phones"):
        page = browser.get(path).text
        assert '<html lang="en">' in page
        assert page.count("<h1") == 1, path
        fields = re.findall(r'<(?:input|select)(?![^>]*type="hidden")[^>]*id="([^"]+)"', page)
        assert all(f'for="{name}"' in page for name in fields), path
        assert len(fields) == len(set(fields)), path


def test_nothing_remembers_what_was_typed(enter: Any) -> None:
    """Every form asks the browser not to keep or fill in what people type (attack 4)."""
    browser = enter()
    browser.answer()
    for path in ("", "note", "connect/harbor", "cards"):
        page = browser.get(path).text
        assert page.count("<form") == len(re.findall(r'<form[^>]*autocomplete="off"', page)), path
