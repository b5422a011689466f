"""No route without a guard: each blueprint says who may ask, the open ones too, and the guards hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from smart_app import guards

# The way in (nobody has a launch or a token yet there), what machines ask before they speak, and help.
OPEN_PATHS = frozenset(
    {
        "/launch",
        "/callback",
        "/token",
        "/.well-known/jwks.json",
        "/fhir/.well-known/smart-configuration",
        "/fhir/metadata",
        "/health",
        "/phones",
        "/",
    }
)
DEMO_ONLY = "/follow"
TOKEN_ENDPOINT = "/token"
PARTNER_GUARD = "require_partner"


def rules(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            yield rule, rule.endpoint.rpartition(".")[0]


def path_of(rule: Rule) -> str:
    """An address that fits the rule, with ids that nobody has."""
    return str(rule.build({name: str(uuid.uuid4()) for name in rule.arguments}, append_unknown=False)[1])  # type: ignore[index]


def test_each_route_belongs_to_a_blueprint_that_names_its_guard(app: Flask) -> None:
    """Whoever adds a page has to say who may open it, or this test names the page."""
    named = guards.guard_names(app)
    unguarded = [rule.rule for rule, blueprint in rules(app) if blueprint not in named]
    assert unguarded == []


def test_only_the_pages_that_everybody_may_see_are_open(app: Flask) -> None:
    """The phone list and a page that says nothing are open; a new open page has to be added here by hand."""
    named = guards.guard_names(app)
    open_paths = {rule.rule for rule, blueprint in rules(app) if named.get(blueprint) == "public"}
    assert {path for path in open_paths if not path.startswith(DEMO_ONLY)} <= OPEN_PATHS


def test_pages_of_a_launch_are_reached_through_the_launch_only(app: Flask) -> None:
    """Every page about people has the launch in its address, so that two charts side by side never mix."""
    named = guards.guard_names(app)
    without_launch = [
        rule.rule
        for rule, blueprint in rules(app)
        if named.get(blueprint, "public") not in ("public", PARTNER_GUARD)
        and not rule.rule.startswith("/v/<launch_id>/")
    ]
    assert without_launch == []


@pytest.mark.rule("R23")
def test_no_page_opens_without_a_launch(app: Flask) -> None:
    """Somebody who types an address, or finds it in the history, gets "Nothing to show here" on every page."""
    named = guards.guard_names(app)
    client = app.test_client()
    opened = []
    for rule, blueprint in rules(app):
        if named.get(blueprint, "public") in ("public", PARTNER_GUARD):
            continue
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}):
            answer = client.open(path_of(rule), method=method, headers={"Sec-Fetch-Site": "same-origin"})
            if answer.status_code not in (400, 403, 404):
                opened.append((method, rule.rule, answer.status_code))
    assert opened == []


def test_no_partner_route_answers_without_a_token(app: Flask) -> None:
    """A partner's system without a live token learns nothing but that it needs one."""
    named = guards.guard_names(app)
    client = app.test_client()
    answers = {
        (method, rule.rule): client.open(path_of(rule), method=method).status_code
        for rule, blueprint in rules(app)
        if named.get(blueprint) == PARTNER_GUARD
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"})
    }
    assert answers
    assert {key: status for key, status in answers.items() if status != 401} == {}


@pytest.mark.rule("attack 11")
def test_no_form_is_taken_from_another_site(app: Flask) -> None:
    """A page somewhere else cannot make a clinician's browser send one of our forms."""
    named = guards.guard_names(app)
    client = app.test_client()
    taken = []
    for rule, blueprint in rules(app):
        if named.get(blueprint) == PARTNER_GUARD or rule.rule == TOKEN_ENDPOINT:
            continue
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {}):
                answer = client.open(path_of(rule), method=method, headers=headers)
                if answer.status_code != 403:
                    taken.append((method, rule.rule, headers, answer.status_code))
    assert taken == []


def test_every_answer_keeps_caches_and_other_sites_out(app: Flask) -> None:
    """No page, not even an error, is kept by a browser, framed by a stranger, or names itself to another site."""
    client = app.test_client()
    for rule, _ in rules(app):
        if "GET" not in (rule.methods or set()):
            continue
        headers = client.get(path_of(rule)).headers
        is_public_fact = "/.well-known/" in rule.rule  # keys and addresses, for machines
        assert is_public_fact or "no-store" in headers.get("Cache-Control", ""), rule.rule
        assert headers.get("Referrer-Policy") == "no-referrer", rule.rule
        assert headers.get("X-Content-Type-Options") == "nosniff", rule.rule
        policy = headers.get("Content-Security-Policy", "")
        assert "frame-ancestors" in policy, rule.rule
        assert "*" not in policy, rule.rule
        assert "unsafe-inline" not in policy, rule.rule


def test_programs_can_ask_what_is_offered_without_a_token(app: Flask) -> None:
    """A program's engineer reads what our system offers before there is a key, as SMART asks."""
    answer = app.test_client().get("/fhir/metadata")
    assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (200, "*")
    assert answer.get_json()["resourceType"] == "CapabilityStatement"


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize("path", ["/v/abc", "/v//abc/", "//v/abc/", "/fhir//Task/x", "/v/abc//note"])
def test_attack_09_nobody_is_sent_to_the_address_a_caller_names(app: Flask, path: str) -> None:
    """A request that names another host is not answered with a way to that host. Fails when the routes of ``app``
    or of ``chart.home`` mend slashes by a redirect again: it is built from the Host header."""
    answer = app.test_client().get(path, headers={"Host": "evil.example"})
    assert answer.status_code in (400, 401, 404)
    assert "evil.example" not in str(answer.headers) + answer.get_data(as_text=True)
