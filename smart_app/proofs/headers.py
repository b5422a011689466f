"""Every answer, error pages too: not kept, not framed by strangers, no Referer; every form from our own page only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.observers import AUTHOR, PATIENT
from smart_app.proofs.two_worlds import Bench

# Keys and addresses that machines ask for and may keep; everything else is nobody's to keep.
MAY_BE_KEPT = ("/.well-known/jwks.json", "/fhir/.well-known/smart-configuration")
BEARER = ("partner_fhir", "partner_oauth")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def routes(app: Flask, *, launch_id: str = "") -> Iterator[tuple[Rule, str]]:
    """Every rule but the static files, and an address of it with ids that nobody has."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: (one.rule, one.endpoint)):
        if rule.endpoint == "static" or rule.rule.startswith("/follow"):
            continue
        made = {name: str(uuid.uuid4()) for name in rule.arguments} | ({"launch_id": launch_id} if launch_id else {})
        if "number" in rule.arguments:
            made["number"] = "1"
        values = {name: int(value) if name == "number" else value for name, value in made.items()}
        built = rule.build({name: values[name] for name in rule.arguments})
        yield rule, str(built[1] if built else rule.rule)


def _answers(here: Instance) -> Iterator[tuple[str, str, TestResponse, bool]]:
    """ "surface", what was asked, the answer, and whether it was a clinic's launch: each route by each method that it
    takes and by one that it does not, and addresses that are none."""
    for name, seats in (
        ("clinic", (here.stranger(""), here.launch(AUTHOR, PATIENT))),
        ("inbox", (Seat(here, here.inbox), here.advocate("northside"))),
    ):
        for seat in seats:
            inside, seat.path = seat.launch_id, ""
            for rule, path in routes(seat.app, launch_id=inside):
                taken = sorted((rule.methods or set()) & set(METHODS))
                if "leave" in rule.rule or "drop" in rule.rule:
                    continue  # they end the very session that asks
                for method in (*taken, next(one for one in METHODS if one not in taken or one == "TRACE")):
                    yield name, f"{method} {rule.rule}", seat.ask(method, path), bool(inside)
            for path in ("/nowhere", "//x//y", "/%ff", "/v/" + "a" * 3000):
                yield name, f"GET {path[:10]}", seat.ask("GET", path), False


def not_kept(bench: Bench) -> None:
    """``no-store`` on every answer."""
    here = bench.without.here
    with here.undone():
        for surface, asked, answer, _ in _answers(here):
            is_open = any(asked.endswith(path) for path in MAY_BE_KEPT) and answer.status_code == 200
            kept = answer.headers.get("Cache-Control", "")
            require(is_open or "no-store" in kept, f"{surface}: {asked} {answer.status_code}: Cache-Control «{kept}»")


def not_framed(bench: Bench) -> None:
    """Framed by registered EHRs only (the inbox by nobody); no inline script, nothing from elsewhere."""
    here = bench.without.here
    framers = {"clinic": {"'self'", "http://localhost:9000"}, "inbox": {"'self'"}}
    with here.undone():
        for surface, asked, answer, _ in _answers(here):
            policy = answer.headers.get("Content-Security-Policy", "")
            parts = {one.split()[0]: set(one.split()[1:]) for one in policy.split("; ") if one}
            said = f"{surface}: {asked} {answer.status_code}: «{policy}»"
            require(bool(parts.get("frame-ancestors")) and parts["frame-ancestors"] <= framers[surface], said)
            require(parts.get("default-src") == {"'none'"} and parts.get("base-uri") == {"'none'"}, said)
            require("unsafe" not in policy and "*" not in policy, said)


def no_referrer(bench: Bench) -> None:
    """Nobody who is visited next learns where somebody came from; nothing is taken for another type than it is."""
    here = bench.without.here
    with here.undone():
        for surface, asked, answer, _ in _answers(here):
            got = answer.headers
            said = f"{surface}: {asked} {answer.status_code}"
            require(got.get("Referrer-Policy") == "no-referrer", said + ": Referrer-Policy")
            require(got.get("X-Content-Type-Options") == "nosniff", said + ": X-Content-Type-Options")
            require(got.get("Cross-Origin-Resource-Policy") == "same-origin", said + ": Cross-Origin-Resource-Policy")
            require("Server" not in got or "Python" not in got["Server"], said + ": Server")


def own_cookies(bench: Bench) -> None:
    """A cookie is opaque, for our host alone, over TLS, out of reach of scripts."""
    here, seen = bench.without.here, 0
    with here.undone():
        for surface, seat, path in (
            ("clinic", here.launch(AUTHOR, PATIENT), "leave"),
            ("inbox", here.advocate("northside"), "/leave"),
        ):
            answer = seat.ask("POST", path, form={"csrf_token": seat.token()})
            for cookie in answer.headers.getlist("Set-Cookie"):
                seen += 1
                flags = ("__Host-", "Secure", "HttpOnly", "Path=/", "SameSite=")
                require(all(flag in cookie for flag in flags) and "Domain" not in cookie, f"{surface}: {cookie}")
    require(seen == 2, f"{seen} cookies were seen")


def _forms(here: Instance) -> Iterator[tuple[Seat, str, str]]:
    for seat in (here.launch(AUTHOR, PATIENT), here.advocate("northside")):
        launch_id, seat.path = seat.launch_id, ""
        for rule, path in routes(seat.app, launch_id=launch_id):
            if rule.endpoint.partition(".")[0] in BEARER:
                continue
            for method in sorted((rule.methods or set()) & set(WRITES)):
                yield seat, method, path


def no_foreign_form(bench: Bench) -> None:
    """A page somewhere else cannot make a signed-in browser send one of our forms, even with a form token."""
    here = bench.without.here
    elsewhere: tuple[dict[str, str], ...] = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {},
    )
    with here.undone():
        forms = list(_forms(here))
        tokens = {seat.app.name + seat.launch_id: _token(seat) for seat, _, _ in (forms[0], forms[-1])}
        for seat, method, path in forms:
            for headers in elsewhere:
                body = f"csrf_token={tokens[seat.app.name + seat.launch_id]}".encode()
                kind = "application/x-www-form-urlencoded"
                answer = seat.ask(method, path, body=body, headers=headers, content_type=kind)
                require(answer.status_code == 403, f"{method} {path} with {headers}: {answer.status_code}")


def no_form_without_token(bench: Bench) -> None:
    """A form without the token of its session is not taken, also from our own origin."""
    here = bench.without.here
    with here.undone():
        for seat, method, path in _forms(here):
            for form in ({}, {"csrf_token": "x.y.z"}):
                answer = seat.ask(method, path, form=form)
                require(answer.status_code == 403, f"{method} {path}: {answer.status_code}")


def _token(seat: Seat) -> str:
    before = seat.path
    seat.path = f"/v/{seat.launch_id}/" if seat.launch_id else ""
    found = seat.token()
    seat.path = before
    return found


def no_way_elsewhere(bench: Bench) -> None:
    """A caller who names another host, in the path or the Host header, is sent nowhere."""
    here = bench.without.here
    with here.undone():
        inside = here.launch(AUTHOR, PATIENT).launch_id
        for path in (
            "//evil.example/v/x",
            f"/v/{inside}",
            "/fhir//Task/x",
            f"/v//{inside}/",
            "/phones?next=//evil.example",
        ):
            answer = here.stranger("").ask("GET", path, headers={"Host": "evil.example"})
            told = str(answer.headers.get("Location", ""))
            require("evil" not in told + answer.get_data(as_text=True), f"{path}: Location «{told}»")


CHECKS: tuple[Check[Bench], ...] = (
    Check("headers: nothing is kept", "no-store on every answer, error pages too", not_kept),
    Check("headers: framing", "framed by registered EHRs only, no inline script, nothing from elsewhere", not_framed),
    Check("headers: no referrer", "no Referer, no sniffing, no reading across origins", no_referrer),
    Check("headers: cookies", "opaque, host-only, Secure and HttpOnly", own_cookies),
    Check("headers: foreign forms", "no form is taken from another site", no_foreign_form),
    Check("headers: form tokens", "no form is taken without the token of its session", no_form_without_token),
    Check("headers: no way elsewhere", "nobody is sent to a host that a caller names", no_way_elsewhere),
)
