"""The control port: launches, tokens for each kind of observer, switches, and every write as it was received.

Its own loopback port, started only with ``--control``; nothing of it is reachable through the FHIR port.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from launch.sandbox import people
from launch.sandbox.addresses import BASES, CLIENT_ID
from launch.sandbox.ehr import Ehr
from launch.sandbox.knobs import KnobError
from launch.sandbox.query import with_query

DEFAULT_PATIENT = "p-dana"
THIRD_PARTY_CLIENT = "another-app"
PORTAL_CLIENT = "patient-portal"

TOKEN_KINDS: dict[str, dict[str, str]] = {
    "clinician": {
        "user": "Practitioner/dr-lee",
        "client": CLIENT_ID,
        "scope": "patient/*.rs patient/Observation.cruds patient/ServiceRequest.cruds "
        "user/Appointment.cruds user/Practitioner.rs",
    },
    "scheduler": {
        "user": "Practitioner/sched-kim",
        "client": CLIENT_ID,
        "scope": "user/Appointment.cruds user/Practitioner.rs",
    },
    "unprivileged-staff": {"user": "Practitioner/clerk-dunn", "client": CLIENT_ID, "scope": "user/*.rs"},
    "patient": {"user": "Patient/{patient}", "client": PORTAL_CLIENT, "scope": "patient/*.rs"},
    "proxy": {"user": "RelatedPerson/{proxy}", "client": PORTAL_CLIENT, "scope": "patient/*.rs"},
    "third-party": {"user": "Patient/{patient}", "client": THIRD_PARTY_CLIENT, "scope": "patient/*.rs"},
}
"""Who holds a minted token. Clinician and scheduler tokens may carry another practitioner with ``user``."""


def create_app(ehr: Ehr) -> Flask:
    """The control app."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 100_000

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 400

    @app.errorhandler(KnobError)
    def bad_knob(error: KnobError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.errorhandler(ControlError)
    def bad_request(error: ControlError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.get("/state")
    def state() -> Response:
        return jsonify(ehr=ehr.addresses.ehr, app=ehr.addresses.app, knobs=ehr.knobs.as_dict(), writes=len(ehr.writes))

    @app.post("/set")
    def set_knobs() -> Response:
        changes = _body()
        if changes.pop("rotate_keys", False):
            for base in BASES:
                ehr.keys.replace(base)
        if changes.pop("expire_tokens", False):
            ehr.grants.expire_access_tokens()
        ehr.knobs.set(changes)
        return jsonify(ehr.knobs.as_dict())

    @app.post("/launch")
    def launch() -> Response:
        return jsonify(start_launch(ehr, _body()))

    @app.post("/token")
    def token() -> Response:
        return jsonify(mint_token(ehr, _body()))

    @app.get("/writes")
    def writes() -> Response:
        return jsonify(list(ehr.writes))

    @app.get("/people")
    def list_people() -> Response:
        return jsonify([people.summary(record) for record in ehr.records["a"].every("Patient")])

    @app.get("/staff")
    def list_staff() -> Response:
        return jsonify([{"id": one.id, "name": one.name, "role": one.role} for one in ehr.staff.values()])

    @app.get("/canaries")
    def list_canaries() -> Response:
        return jsonify(people.canaries())

    @app.post("/reset")
    def reset() -> Response:
        ehr.reset()
        return jsonify(ok=True)

    return app


class ControlError(ValueError):
    """A control request that cannot be done; the text says what it takes."""


def _body() -> dict[str, Any]:
    data = request.get_data()
    try:
        body = json.loads(data) if data else {}
    except ValueError as error:
        raise ControlError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ControlError("send a JSON object")
    return body


def _base(body: dict[str, Any]) -> str:
    base = body.get("base", "a")
    if base not in BASES:
        raise ControlError('base is "a" or "b"')
    return str(base)


def _patient(ehr: Ehr, base: str, patient: Any) -> str:
    if not isinstance(patient, str) or not ehr.records[base].exists("Patient", patient):
        raise ControlError("there is no patient with that id; GET /people lists them")
    return patient


def start_launch(ehr: Ehr, body: dict[str, Any]) -> dict[str, str]:
    """A launch as the chart page would start it: {"base", "user", "patient" or null, "with_encounter"}."""
    base, user, patient = _base(body), body.get("user", "dr-lee"), body.get("patient")
    if user not in ehr.staff:
        raise ControlError("there is no member of staff with that id; GET /staff lists them")
    if patient is not None:
        _patient(ehr, base, patient)
    value = ehr.start_launch(base, user, patient, with_encounter=bool(body.get("with_encounter", True)))
    issuer = ehr.addresses.fhir(base)
    url = with_query(ehr.addresses.launch_url, [("iss", issuer), ("launch", value)])
    return {"launch": value, "iss": issuer, "url": url}


def mint_token(ehr: Ehr, body: dict[str, Any]) -> dict[str, Any]:
    """An access token of one kind: {"base", "kind", "patient", "scope"?, "user"?, "expires_in"?}."""
    base, kind = _base(body), body.get("kind", "clinician")
    if kind not in TOKEN_KINDS:
        raise ControlError(f"kind is one of {', '.join(TOKEN_KINDS)}")
    chosen = TOKEN_KINDS[kind]
    patient = body.get("patient")
    if patient is not None or kind in ("clinician", "patient", "proxy", "third-party"):
        patient = _patient(ehr, base, patient or DEFAULT_PATIENT)
    user = chosen["user"].format(patient=patient, proxy=_proxy(ehr, base, patient))
    if "user" in body and kind in ("clinician", "scheduler", "unprivileged-staff"):
        if body["user"] not in ehr.staff:
            raise ControlError("there is no member of staff with that id; GET /staff lists them")
        user = f"Practitioner/{body['user']}"
    scope = str(body.get("scope") or chosen["scope"])
    lifetime = body.get("expires_in", ehr.knobs["access_token_seconds"])
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float):
        raise ControlError("expires_in is a number of seconds")
    access = secrets.token_urlsafe(32)
    ehr.grants.save_token(
        access, None, lifetime, base=base, client_id=chosen["client"], kind=kind, user=user, patient=patient,
        encounter=None, scope=scope, family=secrets.token_hex(16),
    )  # fmt: skip
    return {"access_token": access, "patient": patient, "expires_in": lifetime, "scope": scope, "user": user}


def _proxy(ehr: Ehr, base: str, patient: str | None) -> str:
    """The person who looks at this patient's portal with them, or for them."""
    related = ehr.records[base].every("RelatedPerson", patient) if patient else []
    return related[0].id if related else "rp-gil"
