"""The inbox is a server of its own: none of the clinic's pages on it, none of its pages at the clinic's."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask

from launch.doctor.neutral_words import telling
from smart_app import guards
from smart_app.inbox_app import create_inbox
from smart_app.settings import Settings

SHARED = {"/", "/phones", "/static/<path:filename>"}  # each surface has its own front page and phone list


@pytest.fixture(scope="module")
def inbox(settings: Settings) -> Flask:
    return create_inbox(settings)


def paths(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules()}


def test_the_two_surfaces_share_no_page(app: Flask, inbox: Flask) -> None:
    """Whoever breaks into the inbox finds no launch, no chart, no API there; the clinic's server has no inbox."""
    assert paths(app) & paths(inbox) == SHARED
    assert not [path for path in paths(inbox) if path.startswith(("/v/", "/fhir", "/launch", "/token", "/callback"))]


def test_each_page_of_the_inbox_names_its_guard(inbox: Flask) -> None:
    """A new page has to say who may open it; only the way in is open."""
    named = guards.guard_names(inbox)
    blueprints = {rule.endpoint.rpartition(".")[0] for rule in inbox.url_map.iter_rules() if rule.endpoint != "static"}
    assert blueprints == set(named)
    assert [name for name, guard in named.items() if guard == "public"] == ["inbox_front"]


@pytest.mark.rule("R27")
def test_no_address_and_no_cookie_of_the_inbox_tells(inbox: Flask) -> None:
    """An address in a history says nothing about why somebody was there; the cookie is for this host alone."""
    assert [path for path in paths(inbox) if telling(path)] == []
    cookie = inbox.test_client().get("/sign-in", base_url="https://localhost").headers["Set-Cookie"]
    assert cookie.startswith("__Host-in=")
    assert telling(cookie) == []
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie


@pytest.mark.rule("attack 11")
def test_every_answer_of_the_inbox_keeps_caches_and_other_sites_out(inbox: Flask) -> None:
    """No page, not even an error, is kept by a browser, framed by anybody, or names itself to another site."""
    client = inbox.test_client()
    for rule in inbox.url_map.iter_rules():
        if "GET" not in (rule.methods or set()) or rule.endpoint == "static":
            continue
        values = {name: str(uuid.uuid4()) for name in rule.arguments}
        headers = client.get(str(rule.build(values, append_unknown=False)[1])).headers  # type: ignore[index]
        assert headers["Cache-Control"] == "no-store", rule.rule
        assert headers["Referrer-Policy"] == "no-referrer", rule.rule
        assert headers["X-Content-Type-Options"] == "nosniff", rule.rule
        policy = headers["Content-Security-Policy"]
        assert policy.endswith("frame-ancestors 'self'"), rule.rule
        assert "unsafe" not in policy, rule.rule
