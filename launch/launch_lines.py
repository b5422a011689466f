"""What came of one launch, line by line, for the person who sets an EHR up: context, scopes, role, cookie, frame.

Words are ours and the configuration's: no token, no name, no patient id, nothing the EHR spelled. A line that is not
green carries a sentence to send to the vendor. ``doctor --watch`` prints them; a page of the launch shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from launch import scopes
from launch.context import LaunchContext
from launch.registrations import Registration

GREEN, WARNING, RED, NOT_CHECKED = "green", "warning", "red", "not checked"
SHORT_LIFE_SECONDS = 60


@dataclass(frozen=True)
class Line:
    """``light`` is "green", "warning", "red" or "not checked"; ``ask`` a sentence for the vendor, or ""."""

    id: str
    light: str
    words: str
    ask: str = ""

    def to_json(self) -> dict[str, str]:
        """The line as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class RoleTold:
    """The role configuration gives this person, and the ``rule`` that says so, in words of the configuration. Without
    role and rule the EHR's directory has still to be asked, which the first page does."""

    role: str | None
    rule: str


def launch_lines(
    context: LaunchContext, registration: Registration, role: RoleTold | None, headers: Mapping[str, str], now: datetime
) -> list[Line]:
    """The lines of a launch that came about. ``headers``: of the request that shows it (the browser's own words)."""
    return [
        *_patient(context),
        *_beside_the_patient(context),
        *_scopes(context, registration, now),
        *_person(context, role),
        *_browser(headers),
    ]


def _patient(context: LaunchContext) -> Iterable[Line]:
    if context.patient_id is None:
        yield Line(
            "context.patient",
            WARNING,
            "No patient came with this launch: only pages of staff without a chart open.",
            "This was started from a patient's chart, and the token answer had no patient. Is launch/patient context "
            "switched on for our client?",
        )
        return
    yield Line("context.patient", GREEN, "Patient: a listed test patient is in context.")
    if context.encounter_id is not None:
        yield Line("context.encounter", GREEN, "Encounter: the visit is in context.")
    else:
        yield Line(
            "context.encounter",
            WARNING,
            "Encounter: none came along. Record and send will ask for the reason, and no one counts as care team.",
            "This was started from an open visit, and the token answer had no encounter. How does our client get it?",
        )


def _beside_the_patient(context: LaunchContext) -> Iterable[Line]:
    if context.patient_id is not None:
        shows = "the EHR wants us to show name and birth date" if context.needs_patient_banner else "the EHR shows it"
        yield Line("context.banner", GREEN, f"Patient banner: {shows}.")
    opens = "an intent came along; we know none, so the first page opens" if context.intent else "none, as most send"
    yield Line("context.intent", GREEN, f"Intent: {opens}.")
    yield Line("context.tenant", GREEN, "Tenant: " + ("named; it goes into the audit." if context.tenant else "none."))
    yield Line("context.fhir-context", GREEN, f"Further context: {len(context.fhir_context)} item(s) understood.")


def _scopes(context: LaunchContext, registration: Registration, now: datetime) -> Iterable[Line]:
    missing = scopes.shortfalls(
        context.granted_scopes,
        registration.write_types,
        has_patient=context.patient_id is not None,
        can_renew=context.can_renew,
    )
    for one in missing:
        ask = f"Please approve this scope for our client: {one.ask}."
        yield Line(f"scopes.{one.code}", WARNING, one.words, ask)
    if not missing:
        yield Line("scopes.granted", GREEN, f"Scopes: all that we asked ({len(context.granted_scopes)} granted).")
    wide = [scope for scope in map(scopes.parse, context.granted_scopes) if scope and scope.resource_type == "*"]
    if wide:
        yield Line(
            "scopes.wide",
            WARNING,
            "Scopes: more than we asked was granted (a wildcard). We use none of it.",
            "Our client was granted a wildcard scope that we did not ask for. Please approve only what we ask.",
        )
    life = int((context.expires_at - now).total_seconds())
    if life < SHORT_LIFE_SECONDS:
        yield Line(
            "token.life",
            WARNING,
            f"Token: it lives {max(life, 0)} seconds more, so each page may have to renew it first.",
            "Our access tokens live less than a minute. Is that meant?",
        )
    else:
        yield Line("token.life", GREEN, f"Token: it lives {life} seconds more.")


def _person(context: LaunchContext, role: RoleTold | None) -> Iterable[Line]:
    yield Line("person", GREEN, f"Signed in: {context.fhir_user}.")
    if role is None:
        yield Line(
            "role", NOT_CHECKED, "Role: the EHR's staff directory is asked when the first page opens; see its page."
        )
    elif role.role is None:
        yield Line("role", RED, f"Role: none. {role.rule}. Add {context.fhir_user} under roles, or a code of theirs.")
    else:
        yield Line("role", GREEN, f"Role: {role.role}, by the rule {role.rule}.")


def _browser(headers: Mapping[str, str]) -> Iterable[Line]:
    yield Line("cookie", GREEN, "Cookie: it came back with the browser, or there would be no launch.")
    place = headers.get("Sec-Fetch-Dest")
    if place in ("iframe", "frame"):
        yield Line("frame", GREEN, "Frame: the app was opened in a frame, and the cookie came back there.")
    elif place == "document":
        yield Line("frame", GREEN, "Frame: none; the app was opened in a window of its own.")
    else:
        yield Line("frame", NOT_CHECKED, "Frame: this browser does not say (an old engine). Look at the screen.")


# --- launches that were refused -------------------------------------------------------------------------------------

REFUSALS: Mapping[str, tuple[str, str]] = {
    "state/no-cookie": (
        "Our cookie did not come back: this browser keeps no cookie of a framed page.",
        "Which browser engine shows apps, and does it keep Partitioned cookies? Can our app open in a new window?",
    ),
    "state/state": ("The way back was used twice, was too old, or began in another browser.", ""),
    "authorization-refused/iss": (
        "The answer names another issuer than the SMART configuration, or none where it promised one.",
        "The iss of your authorization answer (RFC 9207) does not match issuer in the SMART configuration.",
    ),
    "authorization-refused/access-denied": (
        "The EHR refused this person or this app (access_denied).",
        "Your authorization endpoint answered access_denied for a test user. Which permission is missing?",
    ),
    "authorization-refused/invalid-scope": (
        "The EHR refused the scopes we ask (invalid_scope).",
        "Which of the scopes in our registration are approved, and in which spelling (v1 or v2)?",
    ),
    "authorization-refused/unauthorized-client": (
        "The EHR does not let our client launch (unauthorized_client).",
        "Is our client id activated in this environment, for the EHR launch (authorization code)?",
    ),
    "authorization-refused/launch-context": (
        "The patient or encounter in the token answer is no FHIR id.",
        "The patient or encounter member of your token answer is not a FHIR id. What is it?",
    ),
    "token-refused/token-invalid-grant": (
        "The EHR did not take its own code back (invalid_grant): it was too old, or used, or our redirect differs.",
        "Your token endpoint answers invalid_grant a second after the code was given. What does its log say?",
    ),
    "token-refused/token-invalid-client": (
        "The EHR does not recognise us at its token endpoint (invalid_client): our keys, client id or clock.",
        "Your token endpoint answers invalid_client. Did it fetch our JWKS, and does it take our algorithm and aud?",
    ),
    "token-refused/token-answer": (
        "The token answer is not one: token_type is not bearer, or a member has the wrong shape.",
        "Your token answer is not as RFC 6749 5.1 says: JSON with access_token, token_type bearer and scope.",
    ),
    "identity/no-id-token": (
        "No identity token came along, so nobody knows who signed in.",
        "We asked for openid and fhirUser and got no id_token. Is sign-on switched on for our client?",
    ),
    "identity/fhir-user": (
        "The identity token does not name a member of staff of this FHIR base (fhirUser).",
        "fhirUser of your id_token must be a Practitioner or PractitionerRole of the FHIR base that launched.",
    ),
    "identity/id-token-alg": (
        "The identity token is not signed, or by an algorithm that is not safe.",
        "Please sign id_tokens with RS256, RS384, ES256 or ES384.",
    ),
    "identity/id-token-key": (
        "The key that signed the identity token is not among the published ones.",
        "The kid of your id_token is not in the set at jwks_uri. Did a key rotate without being published?",
    ),
    "identity/id-token-nonce": (
        "The identity token carries another nonce than we sent: it belongs to another sign-in.",
        "Your id_token must repeat the nonce of the authorization request.",
    ),
    "identity/id-token-aud": (
        "The identity token is for another client than ours.",
        "aud of your id_token must be our client id.",
    ),
    "identity/id-token-iss": (
        "The identity token is signed by another issuer than the SMART configuration names.",
        "iss of your id_token must equal issuer in the SMART configuration.",
    ),
    "identity/id-token-at-hash": (
        "The identity token belongs to another access token (at_hash).",
        "at_hash of your id_token does not fit the access token beside it.",
    ),
    "identity/id-token-exp": (
        "The identity token has expired, or the clocks differ.",
        "Your id_token is already expired when we get it. Please compare clocks with us.",
    ),
    "ehr-unreachable/ehr-jwks": (
        "The keys of identity tokens could not be fetched.",
        "Please publish the public keys at jwks_uri, without a log-in.",
    ),
    "ehr-unreachable/token-no-answer": (
        "The token endpoint did not answer.",
        "Does your token endpoint answer from our network, within 15 seconds?",
    ),
}
_BY_CODE: Mapping[str, tuple[str, str]] = {
    "unknown-issuer": ("The iss of this launch is not registered here, byte for byte.", ""),
    "launch-request": (
        "The EHR opened us without exactly one iss and one launch.",
        "Our launch address must be opened with iss and launch, once each. What does your launch template send?",
    ),
    "standalone-launch": ("Somebody opened the app from outside the EHR: there was no launch value.", ""),
    "ehr-unreachable": (
        "The EHR's SMART configuration or token endpoint did not hold; run doctor without --watch.",
        "",
    ),
    "token-refused": (
        "The EHR did not give a token.",
        "Your token endpoint refused our request. What does its log say for our client id?",
    ),
    "identity": ("The identity token does not hold.", "Your id_token does not hold. Which claims does it carry?"),
    "authorization-refused": (
        "The EHR refused the launch.",
        "Your authorization endpoint refused a launch of our client. What does its log say?",
    ),
}


def refusal_line(reason: str) -> Line:
    """One refused launch, by the constant "code/reason" of its event."""
    code = reason.partition("/")[0]
    words, ask = REFUSALS.get(reason) or _BY_CODE.get(code) or ("The launch was refused.", "")
    known = reason if reason in REFUSALS else code if code in _BY_CODE else "unknown"
    return Line(f"refused.{known.replace('/', '.')}", RED, words, ask)
