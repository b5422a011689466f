"""The EHR's SMART configuration: is it there, does it name what a launch needs, and do its addresses hold?

The requirement: https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from launch.client_authentication import public_keys
from launch.doctor.findings import Finding, Stops, green, red, warning
from launch.doctor.wire import FAILURE_WORDS, Reply, Wire
from launch.registrations import Registration
from launch.transport import is_plain_text

REQUIRED = (
    "authorization_endpoint",
    "token_endpoint",
    "capabilities",
    "grant_types_supported",
    "code_challenge_methods_supported",
)
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "jwks_uri")
CAPABILITIES = {
    "launch-ehr": "a launch out of the chart",
    "sso-openid-connect": "who is signed in",
    "context-ehr-patient": "whose chart is open",
}
CAPABILITY_OF_METHOD = {
    "private_key_jwt": "client-confidential-asymmetric",
    "client_secret_basic": "client-confidential-symmetric",
    "none": "client-public",
}
USEFUL_CAPABILITIES = {
    "context-ehr-encounter": "Without it no launch knows the visit: record and send ask for a reason each time.",
    "permission-online": "Without it a launch ends when its first token does, after some minutes.",
    "context-banner": "Without it the app always shows a patient banner of its own.",
}
KNOWN_GRANTS = ("authorization_code", "refresh_token")


def fetch(wire: Wire, registration: Registration) -> Reply:
    """The SMART configuration, as any launch asks for it."""
    return wire.get(registration.issuer + "/.well-known/smart-configuration")


def judge(reply: Reply, registration: Registration, wire: Wire) -> Iterator[Finding]:
    """Everything there is to say about the document. The first finding says whether there is one."""
    document = reply.json_object() if reply.status == 200 else None
    if document is None:
        yield _no_document(reply)
        return
    yield green("discovery.document", "The EHR publishes its SMART configuration where every launch looks for it.")
    yield from _media_type(reply)
    yield from _members(document)
    yield from _pkce(document)
    yield from _grants(document)
    yield from _capabilities(document, registration)
    yield from _client_authentication(document, registration)
    yield from _addresses(document, registration, wire)
    yield from _revocation(document)
    yield from _identity(document, registration, wire)


def resolved(document: dict[str, Any], name: str, registration: Registration) -> str:
    """An endpoint as a launch resolves it: absolute, or relative to the FHIR base; "" when it is no plain text, which
    ``urljoin`` would mend or stumble over."""
    value = document.get(name)
    if not isinstance(value, str) or not value or not is_plain_text(value):
        return ""
    try:
        return urljoin(registration.issuer + "/", value)
    except ValueError:
        return ""


def _no_document(reply: Reply) -> Finding:
    ask = (
        "Please publish the SMART configuration at {FHIR base}/.well-known/smart-configuration: status 200, JSON, "
        "no log-in and no redirect."
    )
    if reply.failure is not None:
        words = f"The EHR did not answer: {FAILURE_WORDS[reply.failure]}."
        if reply.failure == "refused-address":
            return red("discovery.private-address", words, stops=Stops.SETUP)
        if reply.failure == "certificate":
            ask = "Please serve this address with a certificate for its own name, in date and with its whole chain."
            return red("discovery.certificate", words, ask)
        return red("discovery.unreachable", words, ask, stops=Stops.EVERYTHING)
    if 300 <= reply.status < 400:
        return red("discovery.redirect", "The SMART configuration is a redirect, and a launch follows none.", ask)
    if reply.status != 200:
        return red("discovery.status", f"The SMART configuration answers with status {reply.status}, not 200.", ask)
    return red("discovery.not-json", "What is published as the SMART configuration is no JSON object.", ask)


def _media_type(reply: Reply) -> Iterator[Finding]:
    if reply.media_type != "application/json":
        yield warning(
            "discovery.media-type",
            "The SMART configuration is JSON but not labelled application/json. We read it all the same.",
            "Please send Content-Type: application/json with the SMART configuration.",
        )


def _members(document: dict[str, Any]) -> Iterator[Finding]:
    missing = [name for name in REQUIRED if not document.get(name)]
    if missing:
        yield red(
            "discovery.members",
            f"The SMART configuration lacks {', '.join(missing)}. No launch starts without.",
            f"Please add {', '.join(missing)} to the SMART configuration, as SMART App Launch 2.x requires.",
        )
    else:
        yield green("discovery.members", "All members that a launch needs are there.")


def _pkce(document: dict[str, Any]) -> Iterator[Finding]:
    methods = texts(document, "code_challenge_methods_supported")
    if "plain" in methods:
        yield red(
            "discovery.pkce",
            'PKCE "plain" is offered: a code that is overheard could be used. SMART forbids it, and we do not launch.',
            'Please take "plain" out of code_challenge_methods_supported; SMART App Launch 2.x says it SHALL NOT be '
            "there.",
        )
    elif "S256" not in methods:
        yield red(
            "discovery.pkce",
            "PKCE with S256 is not offered, and every launch of ours uses it.",
            'Please support PKCE and list "S256" in code_challenge_methods_supported.',
        )
    else:
        yield green("discovery.pkce", "PKCE with S256 is offered, plain is not.")


def _grants(document: dict[str, Any]) -> Iterator[Finding]:
    grants = texts(document, "grant_types_supported")
    if "authorization_code" not in grants:
        yield red(
            "discovery.grants",
            "The grant authorization_code is not listed. No launch starts without.",
            'Please list "authorization_code" in grant_types_supported.',
        )
    elif "refresh_token" not in grants:
        yield warning(
            "discovery.refresh",
            "Refresh is not listed: a visit longer than one token has to be opened again from the chart.",
            'Please list "refresh_token" in grant_types_supported, and grant online_access to this app.',
        )
    else:
        yield green("discovery.grants", f"Grants listed: {' and '.join(KNOWN_GRANTS)}.")


def _capabilities(document: dict[str, Any], registration: Registration) -> Iterator[Finding]:
    listed = texts(document, "capabilities")
    missing = [name for name in CAPABILITIES if name not in listed]
    if missing:
        without = "; ".join(f"{name} ({CAPABILITIES[name]})" for name in missing)
        yield red(
            "discovery.capabilities",
            f"Capabilities that we need are not listed: {without}.",
            f"Does this server support {', '.join(missing)}? Please list it, or tell us how a launch gets it.",
        )
    else:
        yield green("discovery.capabilities", "EHR launch, sign-on and patient context are listed.")
    for name, words in USEFUL_CAPABILITIES.items():
        if name not in listed:
            yield warning(f"discovery.{name}", f"{name} is not listed. {words}", f"Does this server support {name}?")
    yield _scope_syntax(listed, registration)


def _scope_syntax(listed: list[str], registration: Registration) -> Finding:
    offered = [version for version in ("v1", "v2") if f"permission-{version}" in listed]
    chosen = getattr(registration, "scope_syntax", "auto")
    if chosen != "auto" and offered and chosen not in offered:
        return red(
            "discovery.scope-syntax",
            f"Settings ask for scopes of SMART {chosen}, and the EHR lists only {' and '.join(offered)}. "
            f'Set scope_syntax to "auto".',
            stops=Stops.SETUP,
        )
    spelled = chosen if chosen != "auto" else ("v2" if "v2" in offered else "v1")
    said = f"The EHR lists SMART scopes {' and '.join(offered)}" if offered else "The EHR lists no scope version"
    return green("discovery.scope-syntax", f"{said}; we ask in the spelling of {spelled}.")


def _client_authentication(document: dict[str, Any], registration: Registration) -> Iterator[Finding]:
    method = registration.token_endpoint_auth_method
    capability = CAPABILITY_OF_METHOD[method]
    methods = texts(document, "token_endpoint_auth_methods_supported")
    is_listed = capability in texts(document, "capabilities")
    if (methods and method not in methods) or not (methods or is_listed):
        yield red(
            "discovery.client",
            f"This app signs in with {method}, and the EHR does not list that.",
            f"Does your token endpoint take {method} ({capability})? Please list it in "
            "token_endpoint_auth_methods_supported and in capabilities.",
        )
        return
    where = "as an authentication method" if method in methods else "as a capability"
    yield green("discovery.client", f"This app's way to sign in, {method}, is listed {where}.")
    if method == "private_key_jwt":
        yield _algorithms(texts(document, "token_endpoint_auth_signing_alg_values_supported"), registration)


def _algorithms(listed: list[str], registration: Registration) -> Finding:
    ours = registration.signing_alg
    if not listed:
        return green(
            "discovery.algorithms",
            f"The EHR does not say which algorithms it takes, as many do not. We sign with {ours}; SMART requires it.",
        )
    if ours in listed:
        return green("discovery.algorithms", f"{ours}, with which we sign, is listed.")
    other = next((alg for alg in ("ES384", "RS384") if alg in listed), None)
    remedy = f'Set signing_alg to "{other}".' if other else "It lists none that SMART requires (RS384, ES384)."
    return red(
        "discovery.algorithms",
        f"We sign with {ours}, and the EHR does not list it. {remedy}",
        "SMART App Launch 2.x asks for RS384 or ES384 in token_endpoint_auth_signing_alg_values_supported; "
        "which of the two does your token endpoint take?",
        stops=Stops.SETUP if other else Stops.LAUNCH,
    )


def _addresses(document: dict[str, Any], registration: Registration, wire: Wire) -> Iterator[Finding]:
    given = {name: document[name] for name in ENDPOINTS if isinstance(document.get(name), str)}
    bad = [name for name in given if not wire.may_reach(resolved(document, name, registration))]
    relative = [name for name, value in given.items() if name not in bad and not urlsplit(value).scheme]
    if bad:
        yield red(
            "discovery.addresses",
            f"Addresses that no launch uses, because they are not https or point at this computer: {', '.join(bad)}.",
            f"Please publish absolute https addresses for {', '.join(bad)} in the SMART configuration.",
        )
    if relative:
        yield warning(
            "discovery.relative",
            f"Addresses without a host: {', '.join(relative)}. We count them from the FHIR base; other apps may not.",
            f"Please publish absolute addresses for {', '.join(relative)} in the SMART configuration.",
        )
    if not bad and not relative:
        yield green("discovery.addresses", "All addresses are absolute and safe to use.")


def _revocation(document: dict[str, Any]) -> Iterator[Finding]:
    if isinstance(document.get("revocation_endpoint"), str):
        yield green("discovery.revocation", "Tokens can be revoked: whoever leaves the app leaves nothing open.")
    else:
        yield warning(
            "discovery.revocation",
            "No revocation endpoint: on leaving we forget our token, and at the EHR it lives until it expires.",
            "Is there a revocation endpoint (RFC 7009)? If not, how long do access and refresh tokens live?",
        )


def _identity(document: dict[str, Any], registration: Registration, wire: Wire) -> Iterator[Finding]:
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or not wire.may_reach(issuer):
        yield red(
            "identity.issuer",
            "The SMART configuration does not say which issuer signs the identity token, so nobody can be recognised.",
            "Please add issuer (an https address) to the SMART configuration; sso-openid-connect requires it.",
        )
        return
    reply = wire.get(issuer.removesuffix("/") + "/.well-known/openid-configuration")
    opened = reply.json_object() if reply.status == 200 else None
    if opened is None or opened.get("issuer") != issuer:
        yield red(
            "identity.configuration",
            "The issuer's openid-configuration is missing, or names another issuer than the SMART configuration.",
            "Please publish {issuer}/.well-known/openid-configuration with exactly the issuer of the SMART "
            "configuration.",
        )
        return
    yield _signing_keys(wire.get(resolved(opened, "jwks_uri", registration)))


def _signing_keys(reply: Reply) -> Finding:
    document = reply.json_object() if reply.status == 200 else None
    listed = (document or {}).get("keys")
    usable = public_keys(document) if document is not None else []
    if not usable or not isinstance(listed, list):
        return red(
            "identity.keys",
            "No usable key stands at the issuer's jwks_uri, so no identity token can be checked.",
            "Please publish the public keys (RSA of 2048 bits or more, or P-256/P-384) at jwks_uri.",
        )
    spoiled = len(listed) - len(usable)
    if spoiled > 0:
        return warning(
            "identity.keys",
            f"{len(usable)} key(s) for identity tokens can be used; {spoiled} in the same set cannot, and are left "
            "out. Other apps may stumble over them.",
            "Some entries of your jwks_uri are no usable public signing keys. Please remove them.",
        )
    return green("identity.keys", f"The keys of identity tokens are published ({len(usable)}).")


def texts(document: dict[str, Any], name: str) -> list[str]:
    """A list of texts, or nothing."""
    value = document.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
