"""The EHR's OAuth server: authorize, token, revoke, keys and discovery, for the bases ``/a`` and ``/b``.

Authlib's server side does the grants; the SMART rules it does not know (aud, launch, mandatory PKCE, state, rotation)
are added here. Nothing is forgiven: a mistake of the app should fail here, not at a hospital.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6749 import errors as oauth_errors
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.util import create_half_hash
from flask import Blueprint, Response, jsonify, make_response, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.utils import redirect

from launch.sandbox import discovery, scopes
from launch.sandbox.access import kind_of_staff
from launch.sandbox.addresses import BASES, CLIENT_ID
from launch.sandbox.client_assertion import ClientAssertion, ClientKeys
from launch.sandbox.discovery import AUTH_METHODS
from launch.sandbox.ehr import Ehr
from launch.sandbox.grants import CODE_SECONDS, Code, LaunchValue, Token
from launch.sandbox.query import with_query
from launch.sandbox.registered_apps import RegisteredApp, registered_apps

MIN_STATE_CHARACTERS = 22  # 122 random bits in base64url
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class BaseServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server for one base. Grants reach the EHR through it."""

    def __init__(self, ehr: Ehr, base: str) -> None:
        super().__init__()
        self.ehr, self.base = ehr, base
        self.apps = registered_apps(ehr.addresses, base, lambda: ehr.knobs["redirect_on_file"])
        self.app = self.apps[CLIENT_ID]
        self.register_token_generator("default", self._generate)
        assertion = ClientAssertion(
            ehr.addresses.token_endpoint(base),
            {CLIENT_ID: ClientKeys(ehr.addresses.client_jwks_url)},
            ehr.grants,
            ehr.now,
        )
        self.register_client_auth_method("private_key_jwt", assertion)
        self.register_grant(CodeGrant, [SmartRules(), CodeChallenge(required=True)])
        self.register_grant(RefreshGrant)
        self.register_endpoint(Revocation)

    def query_client(self, client_id: str) -> RegisteredApp | None:
        """The registered app of that id."""
        return self.apps.get(client_id)

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        """Store the pair and complete the answer with the launch context and the identity token."""
        source: Code | Token = request.user
        patient = source.patient
        if isinstance(source, Token) and self.ehr.knobs["patient_changes_on_refresh"]:
            patient = self._another_patient(patient)
        self.ehr.grants.save_token(
            token["access_token"], token.get("refresh_token"), token["expires_in"], base=self.base,
            client_id=source.client_id, kind=kind_of_staff(self.ehr.role_of(source.user)), user=source.user,
            patient=patient, encounter=source.encounter, scope=token["scope"], family=source.family,
        )  # fmt: skip
        token.update(self._context(patient, source.encounter))
        if isinstance(source, Code) and "openid" in token["scope"].split():
            token["id_token"] = self._id_token(source, token["access_token"])
        self._misspell(token)

    def _misspell(self, token: dict[str, Any]) -> None:
        """The switches that change what the answer says of a token, not what the token may do."""
        knobs = self.ehr.knobs
        token["token_type"] = knobs["token_type"]
        spelling = "v1" if knobs["without_permission_v2"] else knobs["scope_in_answer"]
        if spelling == "v1":
            token["scope"] = " ".join(dict.fromkeys(map(scopes.as_v1, token["scope"].split())))
        elif spelling == "empty":
            token["scope"] = ""
        elif spelling == "missing":
            del token["scope"]
        if knobs["without_expires_in"]:
            del token["expires_in"]

    def _generate(self, **wanted: Any) -> dict[str, Any]:
        token = {
            "access_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": self.ehr.knobs["access_token_seconds"],
            "scope": wanted["scope"],
        }
        brings_another = self.ehr.knobs["refresh_rotation"] or wanted["grant_type"] != "refresh_token"
        if brings_another and "online_access" in wanted["scope"].split():
            token["refresh_token"] = secrets.token_urlsafe(32)
        return token

    def _another_patient(self, patient: str | None) -> str | None:
        others = [record.id for record in self.ehr.records[self.base].every("Patient") if record.id != patient]
        return others[0] if others else patient

    def _context(self, patient: str | None, encounter: str | None) -> dict[str, Any]:
        """Launch context of the token answer (SMART App Launch 2.2, scopes and launch context)."""
        knobs = self.ehr.knobs
        context: dict[str, Any] = {
            "tenant": f"sandbox-{self.base}",
        }
        if knobs["need_patient_banner"] is not None:
            context["need_patient_banner"] = knobs["need_patient_banner"]
        if knobs["smart_style_url"] is not False:
            own_style = f"{self.ehr.addresses.ehr}/static/smart-style.json"
            context["smart_style_url"] = knobs["smart_style_url"] or own_style
        if knobs["intent"]:
            context["intent"] = knobs["intent"]
        if patient and not knobs["without_patient"]:
            context["patient"] = patient
            if encounter:
                context["encounter"] = encounter
        if knobs["fhir_context"] == "object":
            context["fhirContext"] = [{"reference": "Location/main"}]
        elif knobs["fhir_context"] == "string":
            context["fhirContext"] = ["Location/main"]
        return context

    def _id_token(self, code: Code, access_token: str) -> str:
        knobs, addresses, now = self.ehr.knobs, self.ehr.addresses, int(self.ehr.now())
        alg = knobs["id_token_alg"] or ("ES384" if self.base == "a" else "RS256")
        other = next(base for base in BASES if base != self.base)
        claims: dict[str, Any] = {
            "iss": discovery.issuer(self.ehr, other if knobs["wrong_id_token_iss"] else self.base),
            "sub": f"{self.base}-{code.user.split('/')[1]}",
            "aud": "another-app" if knobs["wrong_aud"] else code.client_id,
            "iat": now,
            "exp": now + 300,
            "at_hash": _half_hash("another-token" if knobs["wrong_at_hash"] else access_token, alg),
        }
        if code.nonce is not None or knobs["wrong_nonce"]:
            claims["nonce"] = secrets.token_urlsafe(16) if knobs["wrong_nonce"] else code.nonce
        fhir_user = {
            "absolute": f"{addresses.fhir(self.base)}/{code.user}",
            "relative": code.user,
            "foreign": f"{addresses.fhir(other)}/{code.user}",
            "patient": f"{addresses.fhir(self.base)}/Patient/{code.patient or 'p-rosa'}",
        }.get(knobs["fhir_user"])
        if fhir_user and "fhirUser" in code.scope.split():
            claims["fhirUser"] = fhir_user
        signed = self.ehr.keys.sign(self.base, alg, claims)
        return signed.rsplit(".", 1)[0] + "." if knobs["unsigned_id_token"] else signed


def _half_hash(text: str, alg: str) -> str:
    return str(create_half_hash(text, alg).decode())


class SmartRules:
    """What SMART asks of an authorization request beyond OAuth, checked once the redirect URI is trusted."""

    def __call__(self, grant: Any) -> None:
        """Authlib registers an extension by calling it with the grant."""
        grant.register_hook("after_validate_authorization_request_payload", self.check)

    def check(self, grant: Any, redirect_uri: str) -> None:
        """Raise the OAuth error that names the first thing wrong."""
        data, server = grant.request.payload.data, grant.server
        if len(data.get("state", "")) < MIN_STATE_CHARACTERS:
            raise oauth_errors.InvalidRequestError("state is missing or too short to be unguessable")
        if data.get("aud") != server.ehr.addresses.fhir(server.base):
            raise oauth_errors.InvalidRequestError("aud must be the FHIR base URL")
        if data.get("code_challenge_method") != "S256" or not _S256_CHALLENGE.fullmatch(data.get("code_challenge", "")):
            raise oauth_errors.InvalidRequestError("PKCE with S256 is required")
        asked = (data.get("scope") or "").split()
        if not asked or any(map(scopes.is_wildcard, asked)):
            raise oauth_errors.InvalidScopeError("name each scope; wildcards are not given")
        if "launch" not in asked or not data.get("launch"):
            raise oauth_errors.InvalidRequestError("this app is opened by EHR launch: send launch and its scope")
        if "openid" in asked and not data.get("nonce"):
            raise oauth_errors.InvalidRequestError("nonce is missing")
        refusal = server.ehr.knobs["error_redirect"]
        if refusal:
            raise ChosenError("access_denied" if refusal is True else str(refusal))
        grant.launch = server.ehr.grants.find_launch(server.base, data["launch"])
        if grant.launch is None:
            raise oauth_errors.InvalidRequestError("launch is unknown, used, or expired")


class ChosenError(OAuth2Error):  # type: ignore[misc]
    """An error redirect with a chosen code (a switch)."""

    def __init__(self, error: str) -> None:
        super().__init__("the EHR refused")
        self.error = error


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes: single use, one minute, bound to client, redirect URI, verifier, base and launch."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    launch: LaunchValue | None = None

    def create_authorization_response(self, redirect_uri: str, grant_user: Any) -> Any:
        """There is no log-in screen: the person is whoever is signed in where the launch came from."""
        return super().create_authorization_response(redirect_uri, self.launch)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Spend the launch value and keep what the token request must match."""
        server, launch = self.server, self.launch
        assert launch is not None
        if not server.ehr.grants.spend_launch(launch):
            raise oauth_errors.InvalidRequestError("launch is used", redirect_uri=request.payload.redirect_uri)
        asked = request.payload.scope.split()
        if server.ehr.knobs["without_permission_v2"]:
            asked = [word for word in map(scopes.from_v1, asked) if word]
        given = scopes.granted(asked, server.app.scopes, has_patient=launch.patient is not None)
        dropped = set(server.ehr.knobs["drop_scopes"])
        server.ehr.grants.save_code(
            code, launch, lifetime=-1 if server.ehr.knobs["expire_codes"] else CODE_SECONDS,
            client_id=request.client.client_id, redirect_uri=request.payload.redirect_uri,
            scope=" ".join(scope for scope in given if scope not in dropped),
            code_challenge=request.payload.data["code_challenge"], nonce=request.payload.data.get("nonce"),
        )  # fmt: skip

    def query_authorization_code(self, code: str, client: RegisteredApp) -> Code | None:
        """Looking a code up spends it."""
        found: Code | None = self.server.ehr.grants.claim_code(self.server.base, code, client.client_id)
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Already spent; its row stays so that a second use is recognised."""

    def authenticate_user(self, authorization_code: Code) -> Code:
        """The code says who is signed in."""
        return authorization_code


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """Refresh with rotation: each refresh token works once; one that comes back ends the family."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        """Looking a refresh token up spends it."""
        client_id = self.request.client.client_id
        ehr = self.server.ehr
        rotates = ehr.knobs["refresh_rotation"]
        found: Token | None = ehr.grants.claim_refresh(self.server.base, refresh_token, client_id, rotates=rotates)
        return found

    def authenticate_user(self, refresh_token: Token) -> Token:
        """The token says who is signed in."""
        return refresh_token

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """Already spent."""


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """RFC 7009: either token ends the whole authorization; an unknown one is answered the same."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """The token of this base."""
        token = self.server.ehr.grants.find_token(token_string)
        return token if token and token.base == self.server.base else None

    def revoke_token(self, token: Token, request: Any) -> None:
        """End the family."""
        self.server.ehr.grants.revoke_family(token.family)


def blueprint(ehr: Ehr) -> Blueprint:
    """The OAuth routes of both bases."""
    routes = Blueprint("oauth", __name__)
    servers = {base: BaseServer(ehr, base) for base in BASES}

    @routes.before_request
    def be_slow() -> None:
        time.sleep(ehr.knobs["slow_oauth_seconds"])

    def server_of(base: str) -> BaseServer:
        if base not in servers:
            raise NotFound
        return servers[base]

    @routes.route("/<base>/oauth/authorize", methods=["GET", "POST"])
    def authorize(base: str) -> Response:
        if request.method != "POST" and ehr.knobs["authorize_post"] == "required":
            raise MethodNotAllowed(["POST"])
        if ehr.knobs["authorize"] != "right":
            is_broken = ehr.knobs["authorize"] == "error"
            return make_response(render_template("refused.html", sentence="Nothing."), 500 if is_broken else 200)
        return _authorize(server_of(base))

    @routes.post("/<base>/oauth/token")
    def token(base: str) -> Response:
        return _token(server_of(base))

    @routes.post("/<base>/oauth/revoke")
    def revoke(base: str) -> Response:
        server = server_of(base)
        if ehr.knobs["without_revocation"]:
            raise NotFound
        problem = _form_problem(server)
        answer: Response = problem or server.create_endpoint_response("revocation")
        answer.headers.update(NO_STORE)
        return answer

    @routes.get("/<base>/oauth/jwks.json")
    def jwks(base: str) -> Response:
        return _public_json(discovery.jwks(ehr, server_of(base).base))

    @routes.get("/<base>/fhir/.well-known/smart-configuration")
    def smart_configuration(base: str) -> Response:
        server, kind = server_of(base), ehr.knobs["discovery"]
        if kind == "redirect":
            return make_response(redirect(discovery.WITHOUT_TLS + request.path, 302))
        if kind in ("html", "not-found"):
            return make_response(render_template("refused.html", sentence="Nothing."), 200 if kind == "html" else 404)
        document = _public_json(discovery.smart_configuration(ehr, base, server.app.scopes))
        if kind == "mislabelled":
            document.mimetype = "text/plain"
        return document

    @routes.get("/<base>/<any(fhir, oauth):_issuer>/.well-known/openid-configuration")
    def openid_configuration(base: str, _issuer: str) -> Response:
        return _public_json(discovery.openid_configuration(ehr, server_of(base).base))

    return routes


def _public_json(payload: dict[str, Any]) -> Response:
    answer = jsonify(payload)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Cache-Control"] = "max-age=60"
    return answer


def _authorize(server: BaseServer) -> Response:
    data: MultiDict[str, str] = request.form if request.method == "POST" else request.args
    repeated = any(len(values) > 1 for _, values in data.lists())
    if repeated or (request.method == "POST" and request.args):
        return _refused_page("A parameter was sent twice.")
    if not server.app.check_redirect_uri(data.get("redirect_uri", "")) or not server.query_client(
        data.get("client_id", "")
    ):
        return _refused_page("The app, or the address it wants to return to, is not registered here.")
    oauth_request = server.create_oauth2_request(None)
    try:
        grant = server.get_authorization_grant(oauth_request)
        answer = server.create_authorization_response(oauth_request, grant_user=None, grant=grant)
    except OAuth2Error as error:
        error.state, error.redirect_uri = data.get("state"), data["redirect_uri"]
        answer = server.handle_error_response(oauth_request, error)
    location = answer.headers.get("Location")
    if not location:
        return _refused_page("The request of the app could not be understood.")
    return _with_issuer(server, location)


def _with_issuer(server: BaseServer, location: str) -> Response:
    """RFC 9207: every authorization answer names its issuer, errors too."""
    knobs = server.ehr.knobs
    other = next(base for base in BASES if base != server.base)
    if not (knobs["missing_iss"] or knobs["without_iss"]):
        issuer = discovery.issuer(server.ehr, other if knobs["mixed_up_iss"] else server.base)
        location = with_query(location, [("iss", issuer)])
    answer = make_response(redirect(location, 302))
    answer.headers.update(NO_STORE)
    return answer


def _refused_page(sentence: str) -> Response:
    """An error nobody is redirected for: the redirect URI could belong to an attacker."""
    return make_response(render_template("refused.html", sentence=sentence), 400)


def _token(server: BaseServer) -> Response:
    answer: Response = _form_problem(server) or _method_problem(server) or server.create_token_response()
    answer.headers.update(NO_STORE)
    return answer


def _method_problem(server: BaseServer) -> Response | None:
    """Where no signed assertion is taken (a switch), ours is refused like any unknown client."""
    if not server.ehr.knobs["without_asymmetric"] or "client_assertion" not in request.form:
        return None
    answer = jsonify(error="invalid_client", error_description="this client must use a shared secret")
    answer.status_code = 401
    return answer


def _form_problem(server: BaseServer) -> Response | None:
    """What must not reach the grants: a query, a repeated parameter, another body type, a second credential, and beside
    a credential in the header a client id in the form."""
    sentence = None
    if request.query_string:
        sentence = "parameters belong in the form"
    elif request.mimetype != "application/x-www-form-urlencoded":
        sentence = "the body must be a form"
    elif any(len(values) > 1 for _, values in request.form.lists()):
        sentence = "a parameter is repeated"
    elif "client_secret" in request.form or ("Authorization" in request.headers and not _has_only_its_header(server)):
        sentence = "a second credential was sent"
    if sentence is None:
        return None
    answer = jsonify(error="invalid_request", error_description=sentence)
    answer.status_code = 400
    return answer


def _has_only_its_header(server: BaseServer) -> bool:
    """Whether the one credential is the shared secret of a client that is registered with one (HTTP Basic)."""
    given = request.authorization
    known = server.query_client(given.username or "") if given is not None and given.type == "basic" else None
    is_symmetric = known is not None and known.method == "client_secret_basic"
    return is_symmetric and not {"client_id", "client_assertion", "client_assertion_type"} & request.form.keys()
