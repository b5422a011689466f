"""Each way in which the sandbox EHR can misbehave: which finding of which command names it, with which exit code."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from launch.doctor.findings import Light
from launch.doctor.watch import watch_one_launch
from launch.sandbox.knobs import CHOICES, DEFAULTS
from smart_app.tour.browser import Browser

# knobs -> finding, light, exit code of a check-up
CHECK_UP: list[tuple[dict[str, Any], str, str, int]] = [
    ({"discovery": "not-found"}, "discovery.status", "red", 1),
    ({"discovery": "html"}, "discovery.not-json", "red", 1),
    ({"discovery": "redirect"}, "discovery.redirect", "red", 1),
    ({"discovery": "mislabelled"}, "discovery.media-type", "warning", 4),
    ({"drop_discovery_members": ["token_endpoint"]}, "discovery.members", "red", 1),
    ({"drop_discovery_members": ["grant_types_supported"]}, "discovery.members", "red", 1),
    ({"drop_discovery_members": ["issuer"]}, "identity.issuer", "red", 1),
    ({"endpoints": "relative"}, "discovery.relative", "warning", 4),
    ({"endpoints": "http"}, "discovery.addresses", "red", 1),
    ({"offer_plain_pkce": True}, "discovery.pkce", "red", 1),
    ({"unlisted": ["authorization_code"]}, "discovery.grants", "red", 1),
    ({"unlisted": ["refresh_token"]}, "discovery.refresh", "warning", 4),
    ({"unlisted": ["launch-ehr"]}, "discovery.capabilities", "red", 1),
    ({"unlisted": ["sso-openid-connect"]}, "discovery.capabilities", "red", 1),
    ({"unlisted": ["context-ehr-patient"]}, "discovery.capabilities", "red", 1),
    ({"unlisted": ["context-ehr-encounter"]}, "discovery.context-ehr-encounter", "warning", 4),
    ({"unlisted": ["permission-online"]}, "discovery.permission-online", "warning", 4),
    ({"unlisted": ["context-banner"]}, "discovery.context-banner", "warning", 4),
    ({"without_asymmetric": True}, "discovery.client", "red", 1),
    ({"assertion_algs": "RS256"}, "discovery.algorithms", "red", 1),
    ({"assertion_algs": "RS384"}, "discovery.algorithms", "red", 2),  # ours to mend: signing_alg
    ({"without_revocation": True}, "discovery.revocation", "warning", 4),
    ({"jwks": "spoiled"}, "identity.keys", "warning", 4),
    ({"clock_skew_seconds": 60}, "clock.skew", "red", 1),
    ({"clock_skew_seconds": -60}, "clock.skew", "red", 1),
    ({"clock_skew_seconds": 9}, "clock.skew", "red", 1),
    ({"clock_skew_seconds": -9}, "clock.skew", "red", 1),
    ({"slow_oauth_seconds": 2.2}, "speed", "warning", 4),
    ({"slow_seconds": 2.2}, "speed", "warning", 4),
    ({"redirect_on_file": "https://elsewhere.example/callback"}, "redirect.not-registered", "red", 1),
    ({"redirect_on_file": "any"}, "redirect.open", "red", 1),
    ({"authorize": "error"}, "redirect.unreachable", "red", 1),
    ({"error_redirect": "unauthorized_client"}, "redirect.client", "red", 1),
    ({"error_redirect": "invalid_scope"}, "redirect.scope", "warning", 4),
    ({"error_redirect": "unsupported_response_type"}, "redirect.answer", "warning", 4),
    ({"mixed_up_iss": True}, "redirect.iss", "red", 1),
    ({"missing_iss": True}, "redirect.iss", "red", 1),
    ({"too_many_requests": True}, "refusal.busy", "warning", 4),
    ({"server_error": True}, "refusal.busy", "warning", 4),
    ({"anonymous_read": "served"}, "refusal.no-token", "red", 1),
    ({"anonymous_read": "forbidden"}, "refusal.no-token", "warning", 4),
    ({"without_challenge": True}, "refusal.challenge", "warning", 4),
    ({"statement_lacks": ["Patient.read"]}, "fhir.read", "red", 1),
    ({"statement_lacks": ["Encounter.read"]}, "fhir.read", "warning", 4),
    ({"statement_lacks": ["Observation.create"]}, "fhir.create.Observation", "red", 5),
    ({"statement_lacks": ["ServiceRequest.create"]}, "fhir.create.ServiceRequest", "red", 5),
    ({"statement_lacks": ["Appointment.create"]}, "fhir.create.Appointment", "red", 5),
    ({"statement_lacks": ["Observation.search-type"]}, "fhir.search.Observation", "warning", 5),  # and proof.drift
    ({"statement_lacks": ["Observation._security"]}, "fhir.security", "warning", 5),  # and proof.drift
    ({"offers_export": True}, "fhir.export", "warning", 4),
    ({"software_version": "2"}, "proof.drift", "red", 5),
    ({"metadata": "not-found"}, "fhir.statement", "warning", 4),
    ({"metadata": "needs-token"}, "fhir.statement", "warning", 4),
    ({"fhir_version": "4.3.0"}, "fhir.version", "red", 1),
    ({"fhir_version": "3.0.2"}, "fhir.version", "red", 1),
    # no faults: other ways to be right, and the report says which
    ({"clock_skew_seconds": 3}, "clock.skew", "green", 0),
    ({"clock_skew_seconds": -3}, "clock.skew", "green", 0),
    ({"assertion_algs": "unsaid"}, "discovery.algorithms", "green", 0),
    ({"authorize": "log-in"}, "redirect.exact", "not checked", 0),
    ({"separate_issuer": True}, "identity.keys", "green", 0),
    ({"without_iss": True}, "redirect.iss", "green", 0),
    ({"without_permission_v2": True}, "discovery.scope-syntax", "green", 0),
    ({"authorize_post": "unlisted"}, "redirect.exact", "green", 0),
    ({"authorize_post": "required"}, "redirect.exact", "green", 0),
    ({"error_bodies": "empty"}, "refusal.no-token", "green", 0),
    ({"error_bodies": "text"}, "refusal.no-token", "green", 0),
]

# knobs -> finding, light, exit code of a watched launch
WATCHED: list[tuple[dict[str, Any], str, str, int]] = [
    ({"without_encounter": True}, "context.encounter", "warning", 4),
    ({"without_patient": True}, "context.patient", "warning", 4),
    ({"drop_scopes": ["patient/Encounter.rs"]}, "scopes.encounter-read", "warning", 4),
    ({"drop_scopes": ["patient/Patient.rs"]}, "scopes.patient-read", "warning", 4),
    ({"drop_scopes": ["online_access"]}, "scopes.online-access", "warning", 4),
    ({"drop_scopes": ["patient/Observation.cruds"]}, "scopes.write-Observation", "warning", 4),
    ({"scope_in_answer": "empty"}, "scopes.patient-read", "warning", 4),
    ({"access_token_seconds": 3}, "token.life", "warning", 4),
    ({"expire_codes": True}, "refused.token-refused.token-invalid-grant", "red", 1),
    ({"error_redirect": "access_denied"}, "refused.authorization-refused.access-denied", "red", 1),
    ({"error_redirect": "unauthorized_client"}, "refused.authorization-refused.unauthorized-client", "red", 1),
    ({"token_type": "mac"}, "refused.token-refused.token-answer", "red", 1),
    ({"wrong_nonce": True}, "refused.identity.id-token-nonce", "red", 1),
    ({"wrong_aud": True}, "refused.identity.id-token-aud", "red", 1),
    ({"wrong_id_token_iss": True}, "refused.identity.id-token-iss", "red", 1),
    ({"wrong_at_hash": True}, "refused.identity.id-token-at-hash", "red", 1),
    ({"unsigned_id_token": True}, "refused.identity", "red", 1),
    ({"error_redirect": "invalid_scope"}, "refused.authorization-refused.invalid-scope", "red", 1),
    ({"fhir_user": "foreign"}, "refused.identity.fhir-user", "red", 1),
    ({"fhir_user": "patient"}, "refused.identity.fhir-user", "red", 1),
    ({"fhir_user": "none"}, "refused.identity.fhir-user", "red", 1),
    # no faults
    ({"fresh_encounter": True}, "context.encounter", "green", 0),
    ({"need_patient_banner": False}, "context.banner", "green", 0),
    ({"need_patient_banner": None}, "context.banner", "green", 0),
    ({"fhir_context": "none"}, "context.fhir-context", "green", 0),
    ({"token_type": "bearer"}, "scopes.granted", "green", 0),
    ({"token_type": "BEARER"}, "scopes.granted", "green", 0),
    ({"token_type": "bEaReR"}, "scopes.granted", "green", 0),
    ({"id_token_alg": "ES384"}, "role", "green", 0),
    ({"smart_style_url": "https://foreign.invalid/style.json"}, "scopes.granted", "green", 0),
    ({"intent": None}, "context.intent", "green", 0),
    ({"smart_style_url": False}, "scopes.granted", "green", 0),
    ({"fhir_context": "string"}, "context.fhir-context", "green", 0),
    ({"fhir_user": "relative"}, "role", "green", 0),
    ({"id_token_alg": "RS256"}, "role", "green", 0),
    ({"scope_in_answer": "v1"}, "scopes.granted", "green", 0),
    ({"scope_in_answer": "missing"}, "scopes.granted", "green", 0),  # RFC 6749 5.1: then it is what was asked
    ({"without_expires_in": True}, "token.life", "green", 0),
]

# knobs -> words in the report, exit code of a proof of Observation
PROOF: list[tuple[dict[str, Any], str, int]] = [
    ({"strip_labels": True}, "Observation: class D", 5),
    ({"strip_labels_on_update": True}, "Observation: class C", 5),
    ({"filter_labels": False}, "Observation: class B", 5),
    ({"refuse_create": {"Observation": 403}}, "Observation: class E", 5),
    ({"empty_create": True}, "Observation: class A", 0),
    ({"stale_status": 409}, "Observation: class A", 0),
    ({"redirect_reads": True}, "is a redirect", 2),
    ({"foreign_next": True}, "the next page is on another host", 0),
    ({"repeat_ids": True}, "pages repeat items", 0),
    ({"too_many_requests": True}, "is too busy, or down", 2),
]

# Named without a question to the vendor: what follows from it is ours to decide.
OURS_TO_DECIDE = {"fhir.export"}

# Tried in a test of its own below: the app keeps the keys of EHR a, so EHR b has to have the wrong ones.
BY_ITSELF: list[tuple[dict[str, Any], str, str, int]] = [
    ({"jwks": "others"}, "refused.identity.id-token-key", "red", 1),
]

# What no check beforehand can see, with where the app meets it.
IN_USE_ONLY = {
    "patient_changes_on_refresh": "seen at the first refresh: that launch ends (tests/launch/test_refresh.py)",
    "refresh_rotation": "seen at the second refresh; both ways work",
    "retry_after_seconds": "a number beside 429 and 503",
    "retry_after_as_date": "a spelling beside 429 and 503",
}


def test_every_fault_mode_of_the_sandbox_is_in_a_table() -> None:
    """No way of the sandbox to misbehave is forgotten here: a new one fails this test until it has its line."""
    tried = {name for row in (*CHECK_UP, *WATCHED, *PROOF, *BY_ITSELF) for name in row[0]}
    assert tried | set(IN_USE_ONLY) >= set(DEFAULTS)
    assert not tried & set(IN_USE_ONLY)
    values = {(name, value) for name, choices in CHOICES.items() for value in choices if value != DEFAULTS[name]}
    rows = [(name, value) for row in (*CHECK_UP, *WATCHED, *PROOF, *BY_ITSELF) for name, value in row[0].items()]
    assert [one for one in values if one not in rows] == []


@pytest.mark.parametrize(("knobs", "finding", "light", "code"), CHECK_UP, ids=lambda value: _name(value))
def test_a_check_up_names_the_fault(clinic: Any, knobs: dict[str, Any], finding: str, light: str, code: int) -> None:
    """IT is told what is wrong with the EHR before a clinician ever clicks, and a script is told by the exit code."""
    clinic.set(**knobs)
    report = clinic.doctor("--keep-proof")
    lights = {one["id"]: one["light"] for one in report["findings"]}
    assert lights.get(finding) == light, report["findings"]
    assert (report["exit"], report["exit_code"]) == (code, code)
    told = next(one for one in report["findings"] if one["id"] == finding)
    assert told["ask"] or light == "green" or finding in OURS_TO_DECIDE, "a fault comes with a sentence for the vendor"
    assert len(told["words"].split()) >= 5


@pytest.mark.parametrize(("knobs", "finding", "light", "code"), WATCHED, ids=lambda value: _name(value))
def test_a_watched_launch_names_the_fault(
    clinic: Any, knobs: dict[str, Any], finding: str, light: str, code: int
) -> None:
    """What only a launch can show is named while somebody watches one launch of a test patient."""
    clinic.set(**knobs)
    exit_code, told = watched(clinic)
    lights = {one["id"]: one["light"] for one in told["findings"]}
    assert lights.get(finding) == light, told
    assert exit_code == code


def test_a_watched_launch_names_keys_of_another_server(clinic: Any) -> None:
    """An identity token whose key is not among the published ones is told as that."""
    knobs, finding, light, code = BY_ITSELF[0]
    clinic.set(**knobs)
    exit_code, told = watched(clinic, base="b")
    assert [(one["id"], one["light"]) for one in told["findings"]] == [(finding, light)]
    assert exit_code == code


def test_a_watched_launch_names_a_mixed_up_issuer(clinic: Any) -> None:
    """An answer that names another issuer than it should is told as what it is."""
    clinic.set(mixed_up_iss=True)
    exit_code, told = watched(clinic)
    assert [one["id"] for one in told["findings"]] == ["refused.authorization-refused.iss"]
    assert exit_code == 1


@pytest.mark.parametrize(("knobs", "words", "code"), PROOF, ids=lambda value: _name(value))
def test_a_proof_names_the_fault(clinic: Any, tmp_path: Any, knobs: dict[str, Any], words: str, code: int) -> None:
    """What an EHR does to labels is found with test tokens, and said in words."""
    clinic.set(**knobs)
    result = clinic.run(
        *("doctor", clinic.issuer, "--proof", "--patient", "p-dana", "--control", clinic.place.ehr_control),
        *("--type", "Observation", "--out", str(tmp_path / "proof.json")),
    )
    assert words in result.output
    assert result.exit_code == code
    assert (tmp_path / "proof.json").exists() == (code != 2)


def watched(clinic: Any, **launch: Any) -> tuple[int, dict[str, Any]]:
    """Watch one launch of ``clinic`` and make it; the exit code and what was told."""
    site, said, code = clinic.site(), [], []
    registration = site.named(launch.get("base", "a"))

    def watch() -> None:
        code.append(watch_one_launch(site, registration, minutes=1, say=said.append, as_json=True))

    thread = threading.Thread(target=watch)
    thread.start()
    _wait_until_watching(site, registration.id)
    Browser().get(clinic.launch_url(**launch))
    thread.join(30)
    assert code, "the watch did not end"
    return code[0], json.loads(said[0])


def _wait_until_watching(site: Any, registration_id: str) -> None:
    import time

    watches = site.watches()
    deadline = time.monotonic() + 20
    while not watches.of(registration_id, now=int(time.time())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _name(value: Any) -> str | None:
    if isinstance(value, dict):
        return "-".join(f"{name}-{setting}" for name, setting in value.items()).replace(" ", "")[:60]
    return str(Light(value)) if value in set(Light) else None
