"""The sandbox EHR's authorize endpoint refuses each mistake an app can make."""

from __future__ import annotations

import base64
import hashlib

import pytest
import requests


@pytest.mark.requirement("smart@32")
def test_a_launch_from_a_chart_brings_a_code_and_names_the_issuer(world) -> None:
    """Opening the app from a chart gives it one code, its own state back, and the name of the EHR (RFC 9207)."""
    answer = world.answered(world.authorize("a"))
    assert answer["state"] == world.sent["state"]
    assert answer["iss"] == world.fhir_base("a")
    assert len(answer["code"]) >= 40


def test_a_form_post_works_like_a_get(world) -> None:
    """An app may send its request as a form, so that nothing of it stands in an address."""
    response = requests.post(
        f"{world.url}/a/oauth/authorize", data=world.authorize_query("a"), allow_redirects=False, timeout=10
    )
    assert "code" in world.answered(response)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"aud": "http://localhost:1/a/fhir"}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"state": "short"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "launch openid fhirUser patient/*.rs"}, "invalid_scope"),
        ({"scope": "openid fhirUser patient/Patient.rs"}, "invalid_request"),
        ({"launch": "made-up-launch-value"}, "invalid_request"),
        ({"launch": ""}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_sent_back_without_a_code(world, change, error) -> None:
    """A request with one thing wrong gets an error and no code."""
    answer = world.answered(world.authorize("a", **change))
    assert answer["error"] == error
    assert "code" not in answer
    assert answer["iss"] == world.fhir_base("a")


def test_aud_is_compared_byte_for_byte(world) -> None:
    """An audience with a trailing slash, or of the other base, is another server."""
    for aud in (
        world.fhir_base("a") + "/",
        world.fhir_base("b"),
        world.fhir_base("a").replace("localhost", "127.0.0.1"),
    ):
        assert world.answered(world.authorize("a", aud=aud))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "http://127.0.0.1:1/callback"},
        {"redirect_uri": None},
        {"client_id": "another-app"},
        {"client_id": None},
    ],
)
def test_nobody_is_redirected_to_an_address_that_is_not_registered(world, change) -> None:
    """A request that could send the person to a stranger's address ends on the EHR's own page."""
    response = world.authorize("a", **change)
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert "text/html" in response.headers["Content-Type"]


def test_the_redirect_address_is_compared_byte_for_byte(world) -> None:
    """A longer path, a query or another case of the registered address is not the registered address."""
    for tail in ("/", "?next=x", "/../callback", "#x"):
        response = world.authorize("a", redirect_uri=world.redirect_uri + tail)
        assert (response.status_code, response.headers.get("Location")) == (400, None)


def test_a_parameter_sent_twice_is_refused(world) -> None:
    """Two values for one parameter could be read differently by two programs, so neither is used."""
    query = [*world.authorize_query("a").items(), ("scope", "launch")]
    response = requests.get(f"{world.url}/a/oauth/authorize", params=query, allow_redirects=False, timeout=10)
    assert response.status_code == 400


def test_a_launch_value_works_once(world) -> None:
    """The same launch cannot be used for a second sign-in."""
    launch = world.launch("a")
    assert "code" in world.answered(world.authorize("a", launch))
    assert world.answered(world.authorize("a", launch))["error"] == "invalid_request"


def test_a_launch_value_belongs_to_one_base(world) -> None:
    """A launch from one EHR cannot be used at the other."""
    launch = world.launch("a")
    assert world.answered(world.authorize("b", launch))["error"] == "invalid_request"
    assert "code" in world.answered(world.authorize("a", launch))


def test_a_code_works_once_and_a_second_use_ends_what_the_first_gave(world) -> None:
    """A code that is used again is refused, and the access it gave before is withdrawn."""
    code = world.code("a")
    first = world.redeem(code)
    assert first.status_code == 200
    second = world.redeem(code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert world.get("Patient/p-dana", first.json()["access_token"]).status_code == 401
    assert world.refresh(first.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_needs_its_own_verifier(world) -> None:
    """Whoever caught a code in transit cannot use it without the secret that only the app has."""
    for wrong in ("x" * 64, None, ""):
        answer = world.redeem(world.code("a"), code_verifier=wrong)
        assert answer.status_code == 400
        assert "access_token" not in answer.json()


def test_a_wrong_attempt_spends_the_code(world) -> None:
    """After one wrong attempt the code is gone, so nobody can go on guessing."""
    code, verifier = world.code("a"), world.verifier
    assert world.redeem(code, code_verifier="y" * 64).status_code == 400
    assert world.redeem(code, code_verifier=verifier).json()["error"] == "invalid_grant"


def test_a_code_is_bound_to_its_redirect_address_and_base(world) -> None:
    """A code is refused with another return address, and at the other EHR."""
    assert world.redeem(world.code("a"), redirect_uri="http://127.0.0.1:1/callback").json()["error"] == "invalid_grant"
    assert world.redeem(world.code("a"), base="b").json()["error"] == "invalid_grant"


def test_a_code_is_too_old_after_a_minute(world) -> None:
    """A code that waited for more than a minute is refused; the switch makes it old at once."""
    world.set(expire_codes=True)
    assert world.redeem(world.code("a")).json()["error"] == "invalid_grant"
    codes = world.ehr.database.all("SELECT expires_at FROM code ORDER BY rowid DESC LIMIT 1")
    world.set(expire_codes=False)
    world.code("a")
    fresh = world.ehr.database.all("SELECT expires_at FROM code ORDER BY rowid DESC LIMIT 1")
    assert 59 <= fresh[0]["expires_at"] - codes[0]["expires_at"] <= 70


def test_the_challenge_is_really_compared(world) -> None:
    """The verifier is hashed and compared; sending the hash itself is not enough."""
    code = world.code("a")
    digest = base64.urlsafe_b64encode(hashlib.sha256(world.verifier.encode()).digest()).rstrip(b"=").decode()
    assert world.redeem(code, code_verifier=digest).status_code == 400


def test_only_approved_scopes_are_given(world) -> None:
    """At the read-only EHR an app that asks for writing gets reading only, and is told so."""
    asked = "launch openid fhirUser online_access patient/Patient.cruds patient/Observation.c system/Patient.rs"
    token = world.token("b", scope=asked)
    assert token["scope"].split() == ["launch", "openid", "fhirUser", "online_access", "patient/Patient.rs"]


def test_without_a_patient_no_patient_scope_is_given(world) -> None:
    """A scheduler who opened no chart gets nothing that opens one."""
    launch = world.launch("a", user="sched-kim", patient=None)
    token = world.token("a", launch=launch)
    assert "patient" not in token
    assert "encounter" not in token
    assert not [scope for scope in token["scope"].split() if scope.startswith("patient/")]
    assert "user/Appointment.cruds" in token["scope"].split()


def test_the_switches_of_the_callback(world) -> None:
    """An EHR that refuses, or that names another issuer, can be tried."""
    world.set(error_redirect="access_denied")
    assert world.answered(world.authorize("a"))["error"] == "access_denied"
    world.set(error_redirect=None, mixed_up_iss=True)
    assert world.answered(world.authorize("a"))["iss"] == world.fhir_base("b")
    world.set(mixed_up_iss=False, missing_iss=True)
    assert "iss" not in world.answered(world.authorize("a"))


def test_discovery_says_what_the_server_does(world) -> None:
    """Each base describes itself completely, to anybody who asks, and offers only S256."""
    for base in ("a", "b"):
        answer = requests.get(f"{world.fhir_base(base)}/.well-known/smart-configuration", timeout=10)
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        found = answer.json()
        assert found["issuer"] == world.fhir_base(base)
        assert found["code_challenge_methods_supported"] == ["S256"]
        assert found["token_endpoint"] == f"{world.url}/{base}/oauth/token"
        assert {"launch-ehr", "client-confidential-asymmetric", "permission-v2"} <= set(found["capabilities"])
        openid = requests.get(f"{found['issuer']}/.well-known/openid-configuration", timeout=10).json()
        keys = requests.get(openid["jwks_uri"], timeout=10).json()["keys"]
        assert {key["alg"] for key in keys} == {"ES384", "RS256"}
        assert not any("d" in key for key in keys)
