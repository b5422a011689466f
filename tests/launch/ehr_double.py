"""A small EHR that listens on a real socket, writes down what it hears, and does what a test tells it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, Response, jsonify, request
from joserfc import jws, jwt
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

CLIENT_ID = "care-connections"
SECRET = "canary:secret/+=%40"  # what an EHR might give, with every sign that gets mangled
# What an EHR granted that takes our copies: reading the chart's head, and writing one type.
WIDE_SCOPE = (
    "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs "
    "patient/Observation.cruds"
)
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Canary-Patient"}]}


@dataclass
class Recorded:
    """One request that the EHR received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    form: dict[str, list[str]]
    body: bytes


@dataclass
class EhrDouble:
    """What the EHR knows and how it is told to behave. ``changes`` are laid over what it would say; None removes."""

    origin: str
    signing_key: ECKey | RSAKey
    public_keys_of_client: dict[str, Any]
    client_method: str = "private_key_jwt"
    configuration_changes: dict[str, Any] = field(default_factory=dict)
    openid_changes: dict[str, Any] = field(default_factory=dict)
    token_changes: dict[str, Any] = field(default_factory=dict)
    refresh_changes: dict[str, Any] = field(default_factory=dict)
    claim_changes: dict[str, Any] = field(default_factory=dict)
    header_changes: dict[str, Any] = field(default_factory=dict)
    id_token_key: Any = None
    published_keys: list[Any] | None = None
    token_failure: tuple[int, Any] | None = None
    token_delay_seconds: float = 0.0
    revoke_delay_seconds: float = 0.0
    style_answer: Callable[[], Any] = lambda: Response(status=404)
    fhir_answer: Callable[[Recorded], Response | None] = lambda recorded: None
    received: list[Recorded] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    used_refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: set[str] = field(default_factory=set)
    jtis: set[str] = field(default_factory=set)
    assertions: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    resources: dict[str, dict[str, Any]] = field(default_factory=lambda: {"Patient/p1": PATIENT})

    @property
    def fhir_base(self) -> str:
        return self.origin + "/fhir"

    @property
    def issuer(self) -> str:
        return self.origin + "/openid"  # another address than the FHIR base, as at several real EHRs

    @property
    def token_endpoint(self) -> str:
        return self.origin + "/token"

    def approve(self, authorize_url: str, **instead: Any) -> dict[str, Any]:
        """What the authorization server would put on the callback for this authorization request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        query = {"code": code, "state": asked["state"], **instead}
        return {name: value for name, value in query.items() if value is not None}

    def issue(self, asked: dict[str, str], changes: dict[str, Any], with_id_token: bool = True) -> dict[str, Any]:
        access_token, refresh_token = "at-" + secrets.token_urlsafe(16), "rt-" + secrets.token_urlsafe(16)
        self.access_tokens.add(access_token)
        self.refresh_tokens.add(refresh_token)
        answer = {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": asked["scope"],
            "patient": "p1",
            "encounter": "e1",
        }
        if with_id_token:
            answer["id_token"] = self.id_token(asked, access_token)
        return laid_over(answer, changes)

    def id_token(self, asked: dict[str, str], access_token: str) -> str:
        now = int(time.time())
        digest = hashlib.sha384(access_token.encode()).digest()
        claims = {
            "iss": self.issuer,
            "sub": "user-1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode(),
            "fhirUser": f"{self.fhir_base}/Practitioner/dr-lee",
        }
        header = laid_over({"alg": "ES384", "kid": self.signing_key.kid, "typ": "JWT"}, self.header_changes)
        key = self.id_token_key or self.signing_key
        return jwt.encode(header, laid_over(claims, self.claim_changes), key, algorithms=[header["alg"]])


def laid_over(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def ehr_app(ehr: EhrDouble) -> Flask:
    app = Flask("ehr-double")

    @app.before_request
    def record() -> None:
        ehr.received.append(
            Recorded(
                request.method,
                request.path,
                dict(request.args.lists()),
                dict(request.headers),
                dict(request.form.lists()) if request.mimetype == "application/x-www-form-urlencoded" else {},
                request.get_data(cache=True),
            )
        )

    @app.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        document = {
            "issuer": ehr.issuer,
            "authorization_endpoint": ehr.origin + "/authorize",
            "token_endpoint": ehr.token_endpoint,
            "revocation_endpoint": ehr.origin + "/revoke",
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["launch-ehr", "client-confidential-asymmetric", "sso-openid-connect", "permission-v2"],
        }
        # text/plain on purpose: real servers get the media type wrong, and the requirement is JSON, not its label
        return Response(json.dumps(laid_over(document, ehr.configuration_changes)), mimetype="text/plain")

    @app.get("/openid/.well-known/openid-configuration")
    def openid_configuration() -> Response:
        return jsonify(laid_over({"issuer": ehr.issuer, "jwks_uri": ehr.origin + "/jwks"}, ehr.openid_changes))

    @app.get("/jwks")
    def jwks() -> Response:
        published = ehr.published_keys
        return jsonify({"keys": [ehr.signing_key.as_dict(private=False)] if published is None else published})

    @app.post("/token")
    def token() -> Response | tuple[Response, int]:
        time.sleep(ehr.token_delay_seconds)
        if ehr.token_failure is not None:
            status, body = ehr.token_failure
            return Response(body if isinstance(body, str) else json.dumps(body), status, mimetype="application/json")
        if not _client_is_known(ehr):
            return jsonify(error="invalid_client"), 400
        if request.form["grant_type"] == "refresh_token":
            return _refreshed(ehr)
        asked = ehr.codes.pop(request.form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(request.form["code_verifier"].encode()).digest())
        if (
            asked is None
            or asked["redirect_uri"] != request.form["redirect_uri"]
            or asked["code_challenge"] != challenge.rstrip(b"=").decode()
        ):
            return jsonify(error="invalid_grant", error_description="canary-from-the-ehr"), 400
        return jsonify(ehr.issue(asked, ehr.token_changes))

    @app.get("/style.json")
    def style() -> Any:
        return ehr.style_answer()

    @app.post("/revoke")
    def revoke() -> Response | tuple[Response, int]:
        time.sleep(ehr.revoke_delay_seconds)
        if not _client_is_known(ehr):
            return jsonify(error="invalid_client"), 400
        ehr.revoked.append(request.form["token"])
        return Response(status=200)

    @app.route("/fhir/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
    def fhir(path: str) -> Response | tuple[Response, int]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ehr.access_tokens:
            return jsonify(resourceType="OperationOutcome"), 401
        answer = ehr.fhir_answer(ehr.received[-1])
        if answer is not None:
            return answer
        resource = ehr.resources.get(path)
        return jsonify(resource) if resource else (jsonify(resourceType="OperationOutcome"), 404)

    return app


def _refreshed(ehr: EhrDouble) -> Response | tuple[Response, int]:
    used = request.form["refresh_token"]
    ehr.used_refresh_tokens.append(used)
    if used not in ehr.refresh_tokens:
        return jsonify(error="invalid_grant"), 400
    ehr.refresh_tokens.discard(used)
    asked = {"scope": "launch openid fhirUser online_access patient/Patient.rs", "nonce": ""}
    return jsonify(ehr.issue(asked, ehr.refresh_changes, with_id_token=False))


def _client_is_known(ehr: EhrDouble) -> bool:
    """What SMART asks of each kind of client at the token endpoint: the one credential of its kind, and no other."""
    given, form = request.authorization, request.form
    if ehr.client_method == "client_secret_basic":
        is_basic = given is not None and (given.type, given.username, given.password) == ("basic", CLIENT_ID, SECRET)
        return is_basic and not {"client_id", "client_secret", "client_assertion"} & form.keys()
    if ehr.client_method == "none":
        return given is None and form.get("client_id") == CLIENT_ID and "client_assertion" not in form
    return given is None and "client_id" not in form and _assertion_holds(ehr)


def _assertion_holds(ehr: EhrDouble) -> bool:
    """What SMART asks of a client assertion, checked here without the code under test."""
    assertion = request.form.get("client_assertion", "")
    if request.form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
        return False
    header = jws.extract_compact(assertion.encode()).headers()
    own = [member for member in ehr.public_keys_of_client["keys"] if member["kid"] == header["kid"]]
    token = jwt.decode(assertion, JWKRegistry.import_key(own[0]), algorithms=["ES384", "RS384"])
    claims, now = token.claims, time.time()
    ehr.assertions.append((dict(header), dict(claims)))
    is_sound = (
        header["typ"] == "JWT"
        and claims["iss"] == claims["sub"] == CLIENT_ID
        and claims["aud"] == ehr.token_endpoint
        and now < claims["exp"] <= now + 300
        and claims["jti"] not in ehr.jtis
        and len(claims["jti"]) <= 151
    )
    ehr.jtis.add(claims["jti"])
    return is_sound
