"""What the sandbox EHR's token answer carries, and how access ends."""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64encode

import pytest
import requests
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry


def _identity(world, token, base: str = "a", *, is_checked: bool = True) -> tuple[dict, dict]:
    """Header and claims of the id_token, its signature checked with the published keys."""
    if not is_checked:
        import json

        parts = jws.extract_compact(token["id_token"].encode() + (b"AA" if token["id_token"].endswith(".") else b""))
        return parts.headers(), json.loads(parts.payload)
    keys = requests.get(f"{world.url}/{base}/oauth/jwks.json", timeout=10).json()
    registry = JWSRegistry(algorithms=["ES384", "RS256"], strict_check_header=False)
    decoded = jwt.decode(token["id_token"], KeySet.import_key_set(keys), registry=registry)
    return decoded.header, decoded.claims


def test_the_launch_context_comes_with_the_token(world) -> None:
    """The app learns the patient, today's open visit, and how the EHR wants to be shown."""
    token = world.token("a")
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 300)
    assert token["patient"] == "p-dana"
    assert token["need_patient_banner"] is True
    assert (token["tenant"], token["intent"]) == ("sandbox-a", "open-chart")
    assert token["fhirContext"] == [{"reference": "Location/main"}]
    style = requests.get(token["smart_style_url"], timeout=10)
    assert style.json()["color_text"].startswith("#")
    visit = world.get(f"Encounter/{token['encounter']}", token["access_token"]).json()
    assert (visit["status"], visit["subject"]["reference"]) == ("in-progress", "Patient/p-dana")


def test_the_next_launch_of_the_same_day_finds_the_same_visit(world) -> None:
    """Opening the app again in the same visit gives the same visit, unless the EHR opens a new one."""
    first, second = world.token("a"), world.token("a")
    assert first["encounter"] == second["encounter"]
    world.set(fresh_encounter=True)
    assert world.token("a")["encounter"] != first["encounter"]


@pytest.mark.parametrize(("base", "alg"), [("a", "ES384"), ("b", "RS256")])
@pytest.mark.requirement("smart@201")
def test_the_identity_token_says_who_is_signed_in(world, base, alg) -> None:
    """The signed statement names the clinician, the app, this EHR, this sign-in and this access token."""
    launch = world.launch(base, user="nurse-ortiz")
    token = world.token(base, launch=launch)
    header, claims = _identity(world, token, base)
    assert (header["alg"], header["typ"]) == (alg, "JWT")
    assert claims["iss"] == world.fhir_base(base)
    assert claims["aud"] == "care-connections"
    assert claims["nonce"] == world.sent["nonce"]
    assert claims["fhirUser"] == f"{world.fhir_base(base)}/Practitioner/nurse-ortiz"
    assert 0 < claims["exp"] - time.time() <= 300
    digest = hashlib.new("sha384" if alg == "ES384" else "sha256", token["access_token"].encode()).digest()
    assert claims["at_hash"] == urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert not {"name", "email"} & claims.keys()


@pytest.mark.parametrize(
    ("knob", "value", "claim", "wrong"),
    [
        ("wrong_nonce", True, "nonce", lambda world: world.sent["nonce"]),
        ("wrong_aud", True, "aud", lambda world: "care-connections"),
        ("wrong_id_token_iss", True, "iss", lambda world: world.fhir_base("a")),
        ("fhir_user", "patient", "fhirUser", lambda world: f"{world.fhir_base('a')}/Practitioner/dr-lee"),
        ("fhir_user", "foreign", "fhirUser", lambda world: f"{world.fhir_base('a')}/Practitioner/dr-lee"),
        ("fhir_user", "none", "fhirUser", lambda world: f"{world.fhir_base('a')}/Practitioner/dr-lee"),
    ],
)
def test_each_identity_switch_spoils_one_claim(world, knob, value, claim, wrong) -> None:
    """A switch makes one part of the signed statement wrong, so that the app's check of it can be tried."""
    world.set(**{knob: value})
    _, claims = _identity(world, world.token("a"))
    assert claims.get(claim) != wrong(world)


def test_more_identity_switches(world) -> None:
    """The statement can come relative, with another hash, without a signature, and signed by new keys."""
    world.set(fhir_user="relative")
    assert _identity(world, world.token("a"))[1]["fhirUser"] == "Practitioner/dr-lee"
    good = _identity(world, token := world.token("a"))[1]["at_hash"]
    world.set(wrong_at_hash=True)
    assert _identity(world, world.token("a"))[1]["at_hash"] != good
    world.set(unsigned_id_token=True)
    assert world.token("a")["id_token"].endswith(".")
    world.set(unsigned_id_token=False, id_token_alg="RS256")
    assert _identity(world, world.token("a"))[0]["alg"] == "RS256"
    old = jws.extract_compact(token["id_token"].encode()).headers()["kid"]
    world.set(rotate_keys=True)
    keys = requests.get(f"{world.url}/a/oauth/jwks.json", timeout=10).json()["keys"]
    assert old not in {key["kid"] for key in keys}
    assert _identity(world, world.token("a"))[0]["kid"] != old


def test_context_switches(world) -> None:
    """The context can lack visit or patient, or come in the form of an older version of SMART."""
    world.set(without_encounter=True)
    assert "encounter" not in world.token("a")
    world.set(without_patient=True, fhir_context="string", need_patient_banner=False, intent=None)
    token = world.token("a")
    assert "patient" not in token
    assert "intent" not in token
    assert token["need_patient_banner"] is False
    assert token["fhirContext"] == ["Location/main"]
    world.set(fhir_context="none")
    assert "fhirContext" not in world.token("a")
    with_none = world.launch("a", with_encounter=False)
    assert "encounter" not in world.token("a", launch=with_none)


def test_scopes_can_be_given_short(world) -> None:
    """The EHR may grant less than was asked, and says which."""
    world.set(drop_scopes=["patient/Observation.cruds", "online_access"])
    token = world.token("a")
    assert "patient/Observation.cruds" not in token["scope"].split()
    assert "refresh_token" not in token


@pytest.mark.requirement("smart@117")
def test_a_refresh_token_works_once_and_an_old_one_ends_everything(world) -> None:
    """Each refresh gives a new pair; when an old refresh token comes back, somebody stole it, and all access ends."""
    first = world.token("a")
    second = world.refresh(first["refresh_token"])
    assert second.status_code == 200
    second = second.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["patient"], second["scope"]) == (first["patient"], first["scope"])
    assert "id_token" not in second
    assert world.get("Patient/p-dana", second["access_token"]).status_code == 200
    again = world.refresh(first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert world.get("Patient/p-dana", second["access_token"]).status_code == 401
    assert world.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_cannot_widen_the_scope(world) -> None:
    """A refresh asks for the same or less, never for more."""
    token = world.token("b")
    wider = world.refresh(token["refresh_token"], "b", scope=token["scope"] + " patient/Observation.rs")
    assert wider.json()["error"] == "invalid_scope"


def test_a_refresh_token_belongs_to_one_base(world) -> None:
    """A refresh token of one EHR is nothing at the other, and is not used up by the attempt."""
    token = world.token("a")
    assert world.refresh(token["refresh_token"], "b").json()["error"] == "invalid_grant"
    assert world.refresh(token["refresh_token"], "a").status_code == 200


def test_the_patient_can_change_on_refresh(world) -> None:
    """The switch for the worst surprise: after a refresh the EHR means another patient."""
    token = world.token("a")
    world.set(patient_changes_on_refresh=True)
    changed = world.refresh(token["refresh_token"]).json()
    assert changed["patient"] != token["patient"]
    assert world.get(f"Patient/{token['patient']}", changed["access_token"]).status_code == 403


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_access(world, which) -> None:
    """At exit the app gives its access back, and nothing of it works any more."""
    token = world.token("a")
    answer = world.post_token("a", url="revoke", token=token[which])
    assert (answer.status_code, answer.json()) == (200, {})
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 401
    assert world.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"


def test_revocation_needs_the_app_itself_and_tells_nothing(world) -> None:
    """Nobody else can end the access, and an unknown token gets the same answer as a known one."""
    token = world.token("a")
    stranger = world.assertion(key=world.keys.stolen)
    refused = world.post_token("a", url="revoke", token=token["access_token"], client_assertion=stranger)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200
    assert world.post_token("a", url="revoke", token="made-up").status_code == 200
    assert world.post_token("b", url="revoke", token=token["access_token"], client_assertion=world.assertion("b")).ok
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200


def test_tokens_can_be_made_to_live_three_seconds(world) -> None:
    """The switch for short access: the token says how long it lives and ends when it said."""
    world.set(access_token_seconds=1)
    token = world.token("a")
    assert token["expires_in"] == 1
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 200
    time.sleep(1.1)
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 401
    assert world.refresh(token["refresh_token"]).status_code == 200


def test_all_access_tokens_can_be_made_old_at_once(world) -> None:
    """The switch that lets time pass: access ends, refresh still works."""
    token = world.token("a")
    world.set(expire_tokens=True)
    assert world.get("Patient/p-dana", token["access_token"]).status_code == 401
    assert world.refresh(token["refresh_token"]).status_code == 200


def test_no_token_code_or_launch_value_is_stored_as_it_is(world) -> None:
    """Whoever copies the EHR's database finds no secret that would open a chart."""
    launch = world.launch("a")
    code = world.code("a", launch=launch)
    token = world.redeem(code).json()
    rows = [
        tuple(row) for table in ("launch", "code", "token") for row in world.ehr.database.all(f"SELECT * FROM {table}")
    ]
    for secret in (launch, code, token["access_token"], token["refresh_token"]):
        assert not any(secret in map(str, row) for row in rows)
