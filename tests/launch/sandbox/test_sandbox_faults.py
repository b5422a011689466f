"""The faults that the sandbox EHR can be given: each shows what a real EHR, or an attacker, has been seen to do.

What the app makes of them is tested elsewhere; here each switch is shown to do what it says, and nothing by default.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from joserfc import jws

from launch.sandbox import knobs


def smart_configuration(world, base: str = "a") -> dict[str, Any]:
    return dict(requests.get(f"{world.fhir_base(base)}/.well-known/smart-configuration", timeout=10).json())


def _json(id_token: str) -> dict[str, Any]:
    return dict(json.loads(jws.extract_compact(id_token.encode()).payload))


# -- discovery -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["token_endpoint", "capabilities", "issuer", "code_challenge_methods_supported"])
def test_discovery_can_lack_a_member(world, member) -> None:
    """An EHR can leave out a member that a launch needs."""
    assert member in smart_configuration(world)
    world.set(drop_discovery_members=[member])
    assert member not in smart_configuration(world)


def test_discovery_can_be_absent_a_web_page_or_elsewhere(world) -> None:
    """An EHR can have no discovery document, a page in its place, or a redirect to another machine."""
    address = f"{world.fhir_base()}/.well-known/smart-configuration"
    seen = {}
    for kind in ("not-found", "html", "redirect"):
        world.set(discovery=kind)
        answer = requests.get(address, allow_redirects=False, timeout=10)
        seen[kind] = (answer.status_code, answer.headers["Content-Type"].partition(";")[0])
    assert seen == {"not-found": (404, "text/html"), "html": (200, "text/html"), "redirect": (302, "text/html")}
    assert urlsplit(answer.headers["Location"]).hostname == "ehr-login.invalid"


def test_endpoints_can_be_relative_or_without_tls(world) -> None:
    """Relative endpoints lead to the same place from the FHIR base; those without TLS lead to another machine."""
    right = smart_configuration(world)
    names = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "jwks_uri")
    world.set(endpoints="relative")
    relative = smart_configuration(world)
    assert not any(relative[name].startswith("http") for name in names)
    assert [urljoin(world.fhir_base() + "/", relative[name]) for name in names] == [right[name] for name in names]
    world.set(endpoints="http")
    insecure = smart_configuration(world)
    assert {(urlsplit(insecure[name]).scheme, urlsplit(insecure[name]).hostname) for name in names} == {
        ("http", "ehr-login.invalid")
    }


def test_plain_pkce_can_be_offered(world) -> None:
    """An EHR can offer the PKCE method that protects nothing."""
    world.set(offer_plain_pkce=True)
    assert "plain" in smart_configuration(world)["code_challenge_methods_supported"]


def test_an_ehr_without_signed_assertions_lists_none_and_takes_none(world) -> None:
    """Where only shared secrets are known, our signed proof is refused."""
    code = world.code("a")
    world.set(without_asymmetric=True)
    found = smart_configuration(world)
    assert "client-confidential-asymmetric" not in found["capabilities"]
    assert found["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "none"]
    assert "token_endpoint_auth_signing_alg_values_supported" not in found
    refused = world.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_an_ehr_of_version_1_lists_and_understands_version_1_scopes_only(world) -> None:
    """Without permission-v2, ``.read`` opens reading, ``.write`` writing, and the newer spelling opens nothing."""
    world.set(without_permission_v2=True)
    found = smart_configuration(world)
    assert "permission-v2" not in found["capabilities"]
    assert "permission-v1" in found["capabilities"]
    assert "patient/Patient.read" in found["scopes_supported"]
    assert "patient/Observation.*" in found["scopes_supported"]
    asked = "launch openid fhirUser online_access patient/Patient.read patient/Observation.write patient/Encounter.rs"
    token = world.token("a", scope=asked)
    given = set(token["scope"].split())
    assert {"patient/Patient.read", "patient/Observation.write"} <= given
    assert not [scope for scope in given if "Encounter" in scope]
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200
    assert world.get("Observation", token["access_token"]).status_code == 403


@pytest.mark.parametrize("is_there", [True, False])
def test_an_ehr_may_not_revoke(world, is_there) -> None:
    """Without a revocation endpoint none is listed, and nothing is there."""
    token = world.token("a")
    world.set(without_revocation=not is_there)
    assert ("revocation_endpoint" in smart_configuration(world)) is is_there
    statement = requests.get(f"{world.fhir_base()}/metadata", timeout=10).json()
    uris = statement["rest"][0]["security"]["extension"][0]["extension"]
    assert ("revoke" in {one["url"] for one in uris}) is is_there
    status = world.post_token("a", url="revoke", token=token["access_token"]).status_code
    assert status == (200 if is_there else 404)


def test_authorize_post_can_be_unlisted_or_required(world) -> None:
    """An EHR can say that it takes a posted authorization request, keep quiet about it, or take nothing else."""
    assert "authorize-post" in smart_configuration(world)["capabilities"]
    world.set(authorize_post="unlisted")
    assert "authorize-post" not in smart_configuration(world)["capabilities"]
    assert world.authorize("a").status_code == 302
    world.set(authorize_post="required")
    assert world.authorize("a").status_code == 405
    posted = requests.post(
        f"{world.url}/a/oauth/authorize", data=world.authorize_query("a"), allow_redirects=False, timeout=10
    )
    assert "code" in world.answered(posted)


def test_identity_can_come_from_another_issuer_than_the_fhir_base(world) -> None:
    """At many EHRs the issuer of identity tokens is not the FHIR base; it then describes itself at its own address."""
    world.set(separate_issuer=True)
    issuer = smart_configuration(world)["issuer"]
    assert issuer != world.fhir_base()
    assert requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()["issuer"] == issuer
    assert world.answered(world.authorize("a"))["iss"] == issuer
    assert _json(world.token("a")["id_token"])["iss"] == issuer


def test_the_issuer_parameter_can_be_missing_unpromised(world) -> None:
    """An EHR that does not know RFC 9207 neither promises nor sends ``iss``."""
    assert smart_configuration(world)["authorization_response_iss_parameter_supported"] is True
    world.set(without_iss=True)
    assert smart_configuration(world)["authorization_response_iss_parameter_supported"] is False
    assert "iss" not in world.answered(world.authorize("a"))


# -- keys and clock --------------------------------------------------------------------------------------------------


def kids_published(world) -> set[Any]:
    keys = requests.get(f"{world.url}/a/oauth/jwks.json", timeout=10).json()["keys"]
    return {key.get("kid") for key in keys if isinstance(key, dict)}


def test_keys_can_be_rotated_spoiled_or_anothers(world) -> None:
    """Published keys can change, stand beside unusable ones, or not be those that sign."""
    signed_with = jws.extract_compact(world.token("a")["id_token"].encode()).headers()["kid"]
    assert signed_with in kids_published(world)
    world.set(jwks="spoiled")
    assert {signed_with, "unknown-curve", "shared-secret"} <= kids_published(world)
    world.set(jwks="others")
    assert signed_with not in kids_published(world)
    world.set(jwks="right", rotate_keys=True)
    assert signed_with not in kids_published(world)


@pytest.mark.parametrize("skew", [0, 600, -600])
def test_the_clock_can_be_wrong(world, skew) -> None:
    """A wrong clock shows in every answer's Date, in identity tokens, and in which assertions are taken for current."""
    code = world.code("a")
    world.set(clock_skew_seconds=skew)
    said = requests.get(f"{world.fhir_base()}/metadata", timeout=10).headers["Date"]
    assert abs(parsedate_to_datetime(said).timestamp() - time.time() - skew) < 5
    answer = world.redeem(code)
    if skew:
        assert answer.json()["error"] == "invalid_client"
    else:
        assert abs(_json(answer.json()["id_token"])["iat"] - time.time()) < 5
    if skew > 0:  # an assertion that is over by our clock is refused whatever the EHR's clock says
        by_its_clock = world.assertion("a", exp=int(time.time()) + skew + 99)
        matching = world.redeem(world.code("a"), client_assertion=by_its_clock)
        assert abs(_json(matching.json()["id_token"])["iat"] - time.time() - skew) < 5


def test_the_login_server_can_be_slow(world) -> None:
    """Discovery, keys and tokens can come late while the FHIR server is quick."""
    world.set(slow_oauth_seconds=0.3)
    discovery = requests.get(f"{world.fhir_base()}/.well-known/smart-configuration", timeout=10)
    assert discovery.elapsed.total_seconds() >= 0.3
    assert requests.get(f"{world.fhir_base()}/metadata", timeout=10).elapsed.total_seconds() < 0.3


# -- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "scope"),
    [("v1", "patient/Patient.read"), ("empty", ""), ("missing", None), ("v2", "patient/Patient.rs")],
)
def test_the_grant_can_be_spelled_otherwise_than_it_was_asked(world, spelling, scope) -> None:
    """The answer can name the scopes in the older spelling, or not at all; what the token opens stays the same."""
    world.set(scope_in_answer=spelling)
    token = world.token("a")
    said = token.get("scope")
    assert scope in said.split() if scope else said == scope
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200
    assert world.get("Patient/p-luz", token["access_token"]).status_code == 403


@pytest.mark.parametrize("spelling", ["Bearer", "bearer", "BEARER", "bEaReR", "mac"])
def test_the_token_type_can_be_spelled_oddly(world, spelling) -> None:
    """Case does not matter in a token's type, and a type that is none of ours can be tried."""
    world.set(token_type=spelling)
    assert world.token("a")["token_type"] == spelling


def test_the_life_of_a_token_can_be_left_unsaid(world) -> None:
    """An answer without ``expires_in`` promises nothing."""
    world.set(without_expires_in=True)
    token = world.token("a")
    assert "expires_in" not in token
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200


def test_a_refresh_can_keep_the_old_refresh_token(world) -> None:
    """Where nothing rotates, a refresh brings no new refresh token, and the old one works again."""
    token = world.token("a")
    world.set(refresh_rotation=False)
    answers = [world.refresh(token["refresh_token"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not [answer for answer in answers if "refresh_token" in answer.json()]


def test_banner_and_style_can_be_unsaid_or_foreign(world) -> None:
    """The answer can be silent about the banner, and can point to a style that is not the EHR's."""
    world.set(need_patient_banner=None, smart_style_url=False)
    token = world.token("a")
    assert not {"need_patient_banner", "smart_style_url"} & set(token)
    world.set(smart_style_url="https://foreign.invalid/style.json")
    assert world.token("a")["smart_style_url"] == "https://foreign.invalid/style.json"


# -- FHIR ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "mimetype", "is_empty"), [("empty", "application/fhir+json", True), ("text", "text/plain", False)]
)
def test_a_refusal_can_say_nothing_or_only_words(world, bodies, mimetype, is_empty) -> None:
    """A 403 can come without a body or as bare text, where a FHIR server should send an OperationOutcome."""
    world.set(error_bodies=bodies)
    refused = world.get("Patient/p-luz", world.minted("clinician"))
    assert refused.status_code == 403
    assert refused.headers["Content-Type"].partition(";")[0] == mimetype
    assert (refused.content == b"") is is_empty
    assert b"OperationOutcome" not in refused.content
    assert "insufficient_scope" in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("as_date", [False, True])
def test_a_busy_ehr_says_when_to_come_back_in_either_form(world, as_date) -> None:
    """Retry-After is a number of seconds or a date."""
    world.set(too_many_requests=True, retry_after_seconds=7, retry_after_as_date=as_date)
    said = world.get("Patient/p-dana", world.minted("clinician")).headers["Retry-After"]
    wait = parsedate_to_datetime(said).timestamp() - time.time() if as_date else int(said)
    assert 4 <= wait <= 8


def test_pages_can_repeat_ids(world) -> None:
    """A page can begin with the last entry of the page before; following all pages then meets it twice."""
    token = world.minted("clinician")

    def ids_over_two_pages() -> list[str]:
        first = world.get("Observation?patient=p-dana&_count=1", token).json()
        following = next(link["url"] for link in first["link"] if link["relation"] == "next")
        return [
            entry["resource"]["id"] for page in (first, world.get(following, token).json()) for entry in page["entry"]
        ]

    assert len(set(ids_over_two_pages())) == len(ids_over_two_pages()) == 2
    world.set(repeat_ids=True)
    assert len(ids_over_two_pages()) == 3
    assert len(set(ids_over_two_pages())) == 2


def test_an_outdated_update_can_be_409(fresh, observation) -> None:
    """Oracle answers 409 where others answer 412."""
    token = fresh.minted("clinician")
    made = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation").json()
    seen = []
    for status in (412, 409):
        fresh.set(stale_status=status)
        stale = fresh.fhir("PUT", f"Observation/{made['id']}", token, made, If_Match='W/"9"')
        seen.append(stale.status_code)
    assert seen == [412, 409]


def test_the_capability_statement_can_be_of_another_release_hidden_or_absent(world) -> None:
    """An EHR can speak another FHIR release, or show what it can do only to those signed in, or to nobody."""
    address = f"{world.fhir_base()}/metadata"
    for version in ("4.3.0", "3.0.2"):
        world.set(fhir_version=version)
        assert requests.get(address, timeout=10).json()["fhirVersion"] == version
    world.set(metadata="not-found")
    assert requests.get(address, timeout=10).status_code == 404
    world.set(metadata="needs-token")
    assert requests.get(address, timeout=10).status_code == 401
    assert world.get("metadata", world.minted("clinician")).status_code == 200


def test_every_choice_of_a_switch_is_taken_and_no_other(world) -> None:
    """Each switch with a list of values takes those and refuses the rest, also true for 1 and false for 0."""
    for name, values in knobs.CHOICES.items():
        for value in values:
            assert world.set(**{name: value}).status_code == 200, (name, value)
        for value in ("nonsense", 1, 0, []):
            assert world.set(**{name: value}).status_code == 400, (name, value)
    for name, value in (("clock_skew_seconds", 10**6), ("slow_oauth_seconds", -1), ("smart_style_url", True)):
        assert world.set(**{name: value}).status_code == 400
