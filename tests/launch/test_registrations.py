"""Configuration of EHRs: what is wrong is said in full, and an issuer is known exactly or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launch.errors import UnknownIssuerError
from launch.registrations import RegistrationsError, is_loopback, parse

EHR = {
    "id": "main",
    "issuer": "https://ehr.example/fhir",
    "client_id": "care-connections",
    "name": "Main EHR",
    "frame_origins": ["https://ehr.example"],
    "write_types": ["Observation"],
}
GOOD = {
    "public_base_url": "https://app.example",
    "keys_file": "keys.json",
    "product_name": "Care Connections",
    "ehr": [EHR],
}
DEMO_EHR = {**EHR, "issuer": "http://localhost:9000/a/fhir", "frame_origins": ["http://localhost:9000"]}
DEMO = {**GOOD, "public_base_url": "http://127.0.0.1:8000", "allows_loopback_http": True, "ehr": [DEMO_EHR]}


def problems_of(mapping: dict[str, Any]) -> list[str]:
    with pytest.raises(RegistrationsError) as refusal:
        parse(mapping)
    return refusal.value.problems


def test_good_configuration() -> None:
    """A complete block gives one EHR, and all our own addresses come from one setting."""
    registrations = parse(GOOD)
    (ehr,) = registrations.ehrs
    assert (ehr.id, ehr.issuer, ehr.signing_alg) == ("main", "https://ehr.example/fhir", "ES384")
    assert ehr.write_types == {"Observation"}
    assert registrations.launch_url == "https://app.example/launch"
    assert registrations.redirect_uri == "https://app.example/callback"
    assert registrations.keys_file == Path("keys.json")
    assert registrations.all_frame_origins() == ("https://ehr.example",)


@pytest.mark.requirement("smart@345")
@pytest.mark.parametrize(
    ("changes", "method", "secret"),
    [
        ({}, "private_key_jwt", None),
        ({"token_endpoint_auth_method": "none"}, "none", None),
        (
            {"token_endpoint_auth_method": "client_secret_basic", "client_secret": "canary"},
            "client_secret_basic",
            "canary",
        ),
    ],
)
def test_each_way_to_show_the_ehr_who_we_are(changes: dict[str, Any], method: str, secret: str | None) -> None:
    """An EHR may know us by our keys, by a shared secret or not at all; the secret is in nothing that is printed."""
    (ehr,) = parse({**GOOD, "ehr": [{**EHR, **changes}]}).ehrs
    assert (ehr.token_endpoint_auth_method, ehr.client_secret) == (method, secret)
    assert (ehr.scope_syntax, ehr.authorize_method) == ("auto", "auto")
    assert "canary" not in repr(ehr)


def test_slash_at_the_end_makes_no_other_address() -> None:
    """An address written with a slash at the end is the same address."""
    with_slash = {**GOOD, "public_base_url": "https://app.example/", "ehr": [{**EHR, "issuer": EHR["issuer"] + "/"}]}
    assert parse(with_slash) == parse(GOOD)


@pytest.mark.parametrize("iss", ["https://ehr.example/fhir", "https://ehr.example/fhir/"])
def test_issuer_is_found_exactly(iss: str) -> None:
    """The registered EHR is found, with or without the slash."""
    assert parse(GOOD).for_issuer(iss).id == "main"


@pytest.mark.parametrize(
    "iss",
    [
        "https://ehr.example/fhir//",
        "https://ehr.example/FHIR",
        "https://EHR.example/fhir",
        "https://ehr.example:443/fhir",
        "http://ehr.example/fhir",
        "https://ehr.example/fhir/x",
        "https://ehr.example/fhi",
        "",
        "main",
    ],
)
def test_anything_else_is_unknown(iss: str) -> None:
    """An address that is nearly right is not registered."""
    with pytest.raises(UnknownIssuerError):
        parse(GOOD).for_issuer(iss)


def test_registration_that_was_taken_out_is_gone() -> None:
    """A launch of an EHR that is no longer configured does not go on."""
    with pytest.raises(UnknownIssuerError):
        parse(GOOD).for_id("other")


@pytest.mark.rule("R41")
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"public_base_url": "http://app.example"}, "public_base_url"),
        ({"public_base_url": "http://127.0.0.1:8000"}, "public_base_url"),
        ({"public_base_url": "https://app.example/path"}, "public_base_url"),
        ({"public_base_url": "https://*.example"}, "public_base_url"),
        ({"public_base_url": "https://user@app.example"}, "public_base_url"),
        ({"public_base_url": "app.example"}, "public_base_url"),
        ({"public_base_url": "https://app.example:port"}, "public_base_url"),
        ({"public_base_url": None}, "public_base_url"),
        ({"keys_file": ""}, "keys_file"),
        ({"keys_file": 7}, "keys_file"),
        ({"product_name": " "}, "product_name"),
        ({"allows_loopback_http": "yes"}, "allows_loopback_http"),
        ({"debug": True}, "debug"),
        ({"ehr": []}, "ehr"),
        ({"ehr": "x"}, "ehr"),
        ({"ehr": [EHR, {**EHR, "id": "two"}]}, "ehr.issuer"),
        ({"ehr": [EHR, {**EHR, "issuer": "https://two.example/fhir"}]}, "ehr.id"),
    ],
)
def test_rule_R41_unsafe_configuration_is_refused(changes: dict[str, Any], key: str) -> None:
    """Each unsafe or unusable setting is refused by its name, with what to write instead.

    Breaks when ``_Urls._scheme`` lets http pass.
    """
    (problem,) = problems_of({**GOOD, **changes})
    assert problem.startswith(key + " ")


@pytest.mark.rule("R41")
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"id": "Main EHR"}, "id"),
        ({"id": None}, "id"),
        ({"issuer": "http://ehr.example/fhir"}, "issuer"),
        ({"issuer": "https://ehr.example/fhir?x=1"}, "issuer"),
        ({"issuer": "https://ehr.example/fhir#x"}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"name": None}, "name"),
        ({"frame_origins": []}, "frame_origins"),
        ({"frame_origins": ["*"]}, "frame_origins"),
        ({"frame_origins": ["https://*.example"]}, "frame_origins"),
        ({"frame_origins": ["https://ehr.example/page"]}, "frame_origins"),
        ({"frame_origins": ["http://ehr.example"]}, "frame_origins"),
        ({"write_types": ["*"]}, "write_types"),
        ({"write_types": "Observation"}, "write_types"),
        ({"read_types": ["PractitionerRole", "*"]}, "read_types"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": ["none"]}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "client_secret"),
        ({"token_endpoint_auth_method": "client_secret_basic", "client_secret": "can\tary"}, "client_secret"),
        ({"token_endpoint_auth_method": "client_secret_basic", "client_secret": "x" * 513}, "client_secret"),
        ({"token_endpoint_auth_method": "none", "client_secret": "canary"}, "client_secret"),
        ({"scope_syntax": "v3"}, "scope_syntax"),
        ({"authorize_method": "PUT"}, "authorize_method"),
        ({"signing_alg": "RS256"}, "signing_alg"),
        ({"client_secret": "canary"}, "client_secret"),
    ],
)
def test_rule_R41_unsafe_ehr_is_refused(changes: dict[str, Any], key: str) -> None:
    """Each unsafe or unusable key of an EHR is refused, and it is said in which block it stands.

    Breaks when an empty ``frame_origins`` is let through.
    """
    problems = problems_of({**GOOD, "ehr": [{**EHR, **changes}]})
    assert any(problem.startswith(f"ehr[0].{key} ") for problem in problems)
    assert not any("canary" in problem or "can\tary" in problem for problem in problems)


@pytest.mark.rule("R41")
def test_rule_R41_all_bad_keys_are_named_at_once() -> None:
    """Five mistakes in two EHRs are five sentences, so that they are mended in one go.

    Breaks when ``parse`` raises at the first problem.
    """
    bad = {
        **GOOD,
        "public_base_url": "http://app.example",
        "ehr": [{**EHR, "issuer": ""}, {**EHR, "id": "", "name": ""}],
    }
    named = [problem.split(" ")[0] for problem in problems_of({**bad, "debug": True})]
    assert named == ["debug", "public_base_url", "ehr[0].issuer", "ehr[1].id", "ehr[1].name"]


@pytest.mark.rule("R41")
def test_rule_R41_http_is_for_loopback_everywhere_or_not_at_all() -> None:
    """The demo may use http on this computer; with one public address beside it, it does not start.

    Breaks when ``_scheme`` no longer looks at ``is_local`` while http is allowed.
    """
    assert parse(DEMO).ehrs[0].issuer == "http://localhost:9000/a/fhir"
    assert len(problems_of({**DEMO, "allows_loopback_http": False})) == 3
    (problem,) = problems_of({**DEMO, "ehr": [DEMO_EHR, {**EHR, "id": "two", "frame_origins": ["http://[::1]:9000"]}]})
    assert problem.startswith("ehr[1].issuer ")
    (problem,) = problems_of({**DEMO, "public_base_url": "https://app.example"})
    assert problem.startswith("public_base_url ")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
    ],
)
def test_what_loopback_is(host: str, is_local: bool) -> None:
    """This computer is known by its names, and by nothing that only looks like them."""
    assert is_loopback(host) is is_local
