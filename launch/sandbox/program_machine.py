"""The sandbox program as a server: it checks who the clinic is to the letter, then takes a referral once.

``POST /fhir`` keeps the bytes as they came. The same Bundle.identifier and Task.identifier again is the same item.
``PUT /fhir/Task?identifier=…`` takes one back: its status becomes "cancelled", nothing else is read.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from datetime import UTC, date, datetime
from typing import Any

import requests
from flask import Blueprint, Response, jsonify, request
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from launch.sandbox.program_clinic import ASSERTION_TYPE
from launch.sandbox.program_messages import CLINIC, SENDERS, Payload
from launch.sandbox.program_state import Program

OUR_CLIENT = "care-connections"
SCOPES = ("system/Patient.c", "system/Consent.c", "system/ServiceRequest.c", "system/Task.cu")
TOKEN_SECONDS = 300
JWKS_SECONDS = 60
MAX_JWKS_BYTES = 64_000
MAX_BODY_BYTES = 1_000_000
PARTS = ("Patient", "Consent", "ServiceRequest", "Task")
FHIR_JSON = "application/fhir+json"
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})


class RefusedError(Exception):
    """A request this program refuses: HTTP status, a code for the answer, a sentence for the developer."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status, self.code, self.words = status, code, words


def blueprint(program: Program) -> Blueprint:
    """Token endpoint, FHIR endpoint, discovery and both programs' public keys."""
    machine = Blueprint("machine", __name__)
    clinic_keys = ClinicKeys(program.clinic.origin + "/.well-known/jwks.json")

    @machine.before_request
    def fail_on_purpose() -> Response | None:
        if request.path.endswith("jwks.json"):
            return None  # our keys stay up, so that the other program can go on
        return program.knobs.failure(request.environ)

    @machine.get("/jwks.json")
    def harbor_keys() -> Response:
        return _keys("harbor")

    @machine.get("/northside/jwks.json")
    def northside_keys() -> Response:
        return _keys("northside")

    def _keys(name: str) -> Response:
        answer = jsonify(program.keys.public(name))
        answer.headers["Cache-Control"] = "max-age=60"
        return answer

    @machine.get("/fhir/.well-known/smart-configuration")
    def discovery() -> Response:
        return jsonify(
            token_endpoint=program.origin + "/token",
            token_endpoint_auth_methods_supported=["private_key_jwt"],
            token_endpoint_auth_signing_alg_values_supported=["RS384", "ES384"],
            grant_types_supported=["client_credentials"],
            code_challenge_methods_supported=["S256"],
            scopes_supported=list(SCOPES),
            capabilities=["client-confidential-asymmetric", "permission-v2"],
        )

    @machine.post("/token")
    def token() -> Response:
        try:
            require_client(program, clinic_keys)
            scope = granted_scope(request.form.get("scope", ""))
        except RefusedError as refused:
            answer = jsonify(error=refused.code, error_description=refused.words)
            answer.status_code = refused.status
        else:
            issued = secrets.token_urlsafe(32)
            program.store.keep_token(issued, scope, time.time() + TOKEN_SECONDS)
            answer = jsonify(access_token=issued, token_type="bearer", expires_in=TOKEN_SECONDS, scope=scope)  # noqa: S106
        answer.headers["Cache-Control"], answer.headers["Pragma"] = "no-store", "no-cache"
        return answer

    @machine.post("/fhir")
    def receive() -> Response:
        try:
            return take(program)
        except RefusedError as refused:
            return outcome(refused)

    @machine.put("/fhir/Task")
    def take_back() -> Response:
        try:
            return closed(program)
        except RefusedError as refused:
            return outcome(refused)

    return machine


# --- who is it -------------------------------------------------------------------------------------------------------


class ClinicKeys:
    """The clinic's published keys, asked again after a minute, or for an unknown key id once a second at most."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: list[dict[str, Any]] = []
        self._at = float("-inf")
        self._lock = threading.Lock()

    def named(self, kid: str, key_type: str) -> ECKey | RSAKey:
        """The one public key with that id and type."""
        with self._lock:
            age = time.monotonic() - self._at
            if age > JWKS_SECONDS or (age > 1 and not self._found(kid, key_type)):
                self._keys, self._at = self._fetch(), time.monotonic()
            found = self._found(kid, key_type)
        if len(found) != 1:
            raise RefusedError(400, "invalid_client", "no single published key has that kid")
        key = import_key(found[0])
        if not isinstance(key, ECKey | RSAKey):
            raise RefusedError(400, "invalid_client", "that key cannot verify")
        return key

    def _found(self, kid: str, key_type: str) -> list[dict[str, Any]]:
        return [key for key in self._keys if key.get("kid") == kid and key.get("kty") == key_type]

    def _fetch(self) -> list[dict[str, Any]]:
        try:
            with requests.Session() as session:
                session.trust_env = False
                got = session.get(self._url, timeout=(3, 5), allow_redirects=False)
            keys = json.loads(got.content[:MAX_JWKS_BYTES])["keys"] if got.status_code == 200 else []
            return [key for key in keys if isinstance(key, dict) and not PRIVATE & key.keys()]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise RefusedError(400, "invalid_client", "the clinic's keys could not be read") from error


def require_client(program: Program, keys: ClinicKeys) -> None:
    """One form, one credential: the clinic's signed assertion, addressed to us, minutes old at most, used once."""
    form = request.form
    if request.query_string or request.mimetype != "application/x-www-form-urlencoded":
        raise RefusedError(400, "invalid_request", "send a form without a query string")
    if any(len(values) != 1 for _, values in form.lists()) or "Authorization" in request.headers:
        raise RefusedError(400, "invalid_request", "send each parameter once and no other credential")
    if form.get("grant_type") != "client_credentials":
        raise RefusedError(400, "unsupported_grant_type", "only client_credentials")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise RefusedError(400, "invalid_client", "a signed client assertion is needed")
    claims = verified_claims(form.get("client_assertion", ""), keys)
    _require_claims(claims, program.origin + "/token")
    if not program.store.spend(OUR_CLIENT, claims["jti"], claims["exp"] + 10):
        raise RefusedError(400, "invalid_client", "this assertion was used before")


def verified_claims(assertion: str, keys: ClinicKeys) -> dict[str, Any]:
    """The claims of a JWS that one of the clinic's published keys signed with RS384 or ES384."""
    try:
        header = jws.extract_compact(assertion.encode("ascii")).headers()
        alg, kid = header.get("alg"), header.get("kid")
        if alg not in ("RS384", "ES384") or header.get("typ") != "JWT" or not isinstance(kid, str):
            raise RefusedError(400, "invalid_client", "alg, typ or kid is not as agreed")
        key = keys.named(kid, "RSA" if alg == "RS384" else "EC")
        return jwt.decode(assertion, key, registry=JWSRegistry(algorithms=[alg], strict_check_header=False)).claims
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError(400, "invalid_client", "the assertion does not verify") from error


def _require_claims(claims: dict[str, Any], audience: str) -> None:
    now, exp, jti, aud = time.time(), claims.get("exp"), claims.get("jti"), claims.get("aud")
    is_number = isinstance(exp, int | float) and not isinstance(exp, bool)
    if (claims.get("iss"), claims.get("sub")) != (OUR_CLIENT, OUR_CLIENT):
        raise RefusedError(400, "invalid_client", "iss and sub are the registered client id")
    if aud != audience and not (isinstance(aud, list) and audience in aud):
        raise RefusedError(400, "invalid_client", "aud is this token endpoint")
    if exp is None or not is_number or not now - 5 <= exp <= now + 305:
        raise RefusedError(400, "invalid_client", "exp is at most five minutes ahead")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise RefusedError(400, "invalid_client", "jti is a short text")


def granted_scope(asked: str) -> str:
    """The asked scopes, if each is part of what this program offers."""
    scopes = asked.split()
    offered = {scope.split(".")[0]: set(scope.split(".")[1]) for scope in SCOPES}
    for scope in scopes:
        name, _, letters = scope.partition(".")
        if not letters or not set(letters) <= offered.get(name, set()):
            raise RefusedError(400, "invalid_scope", "a scope that is not offered here")
    if not scopes:
        raise RefusedError(400, "invalid_request", "scope is needed")
    return " ".join(scopes)


# --- what does it bring ----------------------------------------------------------------------------------------------


def take(program: Program) -> Response:
    """Check, keep once, answer. A repeat gets the same bytes as the first time."""
    scopes, raw = sent(program)
    bundle = parsed(raw)
    parts = parts_of(bundle)
    for kind in parts:
        if not any(scope.startswith(f"system/{kind}.") and "c" in scope.split(".")[1] for scope in scopes):
            raise RefusedError(403, "forbidden", "the token's scope does not cover an entry")
    require_release(parts, datetime.now(UTC).date())
    url, task = parts["Task"]
    answer = transaction_response(parts)
    kept = program.store.receive(
        bundle_identifier=_identifier(bundle.get("identifier")),
        task_identifier=_identifier((task.get("identifier") or [None])[0]),
        task_url=url,
        raw=raw,
        answer=answer,
    )
    if kept is None:
        raise RefusedError(409, "conflict", "one of the identifiers came before with another item")
    return Response(kept[0], status=200, mimetype=FHIR_JSON)


def sent(program: Program) -> tuple[frozenset[str], bytes]:
    """Scopes of the live token that a request came with, and its body."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    scopes = program.store.scopes_of(token) if scheme.lower() == "bearer" else None
    if scopes is None:
        raise RefusedError(401, "login", "a live access token is needed")
    raw = request.get_data()
    if len(raw) > MAX_BODY_BYTES:
        raise RefusedError(413, "too-long", "the body is larger than 1 MB")
    if request.mimetype != FHIR_JSON:
        raise RefusedError(415, "not-supported", "send application/fhir+json")
    return scopes, raw


def closed(program: Program) -> Response:
    """The clinic takes an item back, by a conditional update of its Task. Twice is once."""
    scopes, raw = sent(program)
    if not any(scope.startswith("system/Task.") and "u" in scope.split(".")[1] for scope in scopes):
        raise RefusedError(403, "forbidden", "the token's scope does not cover a change")
    try:
        task = json.loads(raw)
        identifier = _identifier(task["identifier"][0])
        kind = (task["resourceType"], task["status"])
    except (ValueError, RecursionError, TypeError, KeyError, IndexError) as error:
        raise RefusedError(422, "structure", "a Task with its identifier and status is expected") from error
    if kind != ("Task", "cancelled") or request.args.to_dict(flat=False) != {"identifier": [identifier]}:
        raise RefusedError(422, "business-rule", "only a cancelled Task, named by its identifier, is taken")
    program.store.close(identifier)  # of an item that never arrived there is nothing to close, and that is fine
    return Response(raw, status=200, mimetype=FHIR_JSON)


def parsed(raw: bytes) -> Payload:
    """The transaction Bundle in a body."""
    try:
        bundle = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "structure", "the body is not JSON") from error
    if not isinstance(bundle, dict) or (bundle.get("resourceType"), bundle.get("type")) != ("Bundle", "transaction"):
        raise RefusedError(422, "structure", "a transaction Bundle is expected")
    return bundle


def parts_of(bundle: Payload) -> dict[str, tuple[str, Payload]]:
    """Type -> (fullUrl, resource). Exactly one Patient, Consent, ServiceRequest and Task, each about the same item."""
    found: dict[str, tuple[str, Payload]] = {}
    for entry in bundle.get("entry") or []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or resource.get("resourceType") not in PARTS:
            raise RefusedError(422, "structure", "one Patient, Consent, ServiceRequest and Task are expected")
        kind = str(resource["resourceType"])
        if kind in found:
            raise RefusedError(422, "structure", "one Patient, Consent, ServiceRequest and Task are expected")
        found[kind] = (str(entry.get("fullUrl")), resource)
    if len(found) != 4:
        raise RefusedError(422, "structure", "one Patient, Consent, ServiceRequest and Task are expected")
    return found


def require_release(parts: dict[str, tuple[str, Payload]], today: date) -> None:
    """Without a release of this survivor to this program, in force today, we do not want to know."""
    harbor = SENDERS["harbor"].organization
    task, consent = parts["Task"][1], parts["Consent"][1]
    try:
        period = consent["provision"]["period"]
        is_ours = task["owner"]["reference"] == harbor and task["requester"]["reference"] == CLINIC
        names_us = consent["provision"]["actor"][0]["reference"]["reference"] == harbor
        is_live = consent["status"] == "active" and period["start"][:10] <= today.isoformat() <= period["end"][:10]
        is_new = task["status"] == "requested"
    except (KeyError, TypeError, IndexError) as error:
        raise RefusedError(422, "required", "the Task or the release is incomplete") from error
    if not (is_ours and names_us and is_live and is_new):
        raise RefusedError(422, "business-rule", "the release does not cover a new item for this program now")


def transaction_response(parts: dict[str, tuple[str, Payload]]) -> bytes:
    """The answer to a transaction; it names places by opaque ids made from the addresses sent."""
    entries = [
        {"response": {"status": "201 Created", "location": f"{kind}/{hashlib.sha256(url.encode()).hexdigest()[:32]}"}}
        for kind, (url, _) in parts.items()
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}).encode()


def _identifier(identifier: Any) -> str:
    try:
        system, value = identifier["system"], identifier["value"]
    except (KeyError, TypeError) as error:
        raise RefusedError(422, "required", "Bundle and Task each need an identifier") from error
    return f"{system}|{value}"


def outcome(refused: RefusedError) -> Response:
    """A refusal as OperationOutcome."""
    issue = {"severity": "error", "code": refused.code, "diagnostics": refused.words}
    answer = jsonify(resourceType="OperationOutcome", issue=[issue])
    answer.status_code, answer.mimetype = refused.status, FHIR_JSON
    if refused.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return answer
