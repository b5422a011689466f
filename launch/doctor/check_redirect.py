"""Is our redirect address registered byte for byte, and does the EHR send codes to no other?

Two authorization requests go out, one with our address and one with an address that nobody registered. Neither is
followed. Their ``launch`` value is one the EHR never gave, so no answer can be a code for a chart.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from launch.doctor.findings import Finding, Stops, green, not_checked, red, warning
from launch.doctor.wire import FAILURE_WORDS, Reply
from launch.registrations import Registration

UNREGISTERED = "/not-registered"
# What an unknown ``launch`` value may rightly be answered with.
EXPECTED_ERRORS = frozenset({"invalid_request", "access_denied", "server_error", "login_required", ""})


def judge(
    right: Reply, wrong: Reply, registration: Registration, *, redirect_uri: str, issuer: str | None, sends_iss: bool
) -> Iterator[Finding]:
    """``right`` and ``wrong``: the answers to the two requests. ``issuer``: who the EHR says it is (RFC 9207)."""
    if right.failure is not None:
        yield red(
            "redirect.unreachable",
            f"The authorization endpoint did not answer: {FAILURE_WORDS[right.failure]}.",
            "Does the authorization endpoint answer browsers from our network?",
        )
        return
    if right.status >= 500:
        yield red(
            "redirect.unreachable",
            f"The authorization endpoint fails with status {right.status}.",
            "Your authorization endpoint answers our request with a server error. What does its log say?",
        )
        return
    if _leads_to(wrong, redirect_uri + UNREGISTERED):
        yield red(
            "redirect.open",
            "The EHR sends the browser to an address that nobody registered: a code can be stolen that way.",
            "Your authorization endpoint redirects to a redirect_uri that is not registered for this client. It must "
            "compare the whole address, byte for byte.",
        )
        return
    yield _exact(right, wrong, registration, redirect_uri)
    if _leads_to(right, redirect_uri):
        yield from _answer(right, issuer, sends_iss)


def _exact(right: Reply, wrong: Reply, registration: Registration, redirect_uri: str) -> Finding:
    if _leads_to(right, redirect_uri):
        return green("redirect.exact", "Our redirect address is registered, and another one is refused.")
    ask = (
        f"Please register for client id {registration.client_id} exactly this redirect address, without a slash at the "
        f"end: {redirect_uri}"
    )
    if 400 <= right.status < 500:
        return red(
            "redirect.not-registered",
            f"The EHR refuses our request (status {right.status}) and sends nobody back: our redirect address, or the "
            "client id, is not the one it has on file.",
            ask,
        )
    if 400 <= wrong.status < 500:
        return green(
            "redirect.exact", "Our redirect address is taken (the EHR shows a log-in), another one is refused."
        )
    return not_checked(
        "redirect.exact",
        "The EHR shows its log-in before it looks at the redirect address. Only a launch will tell: doctor --watch.",
        ask,
    )


def _answer(reply: Reply, issuer: str | None, sends_iss: bool) -> Iterator[Finding]:
    query = parse_qs(urlsplit(reply.headers.get("Location", "")).query)
    error = query.get("error", [""])[0]
    if error == "unauthorized_client":
        yield red(
            "redirect.client",
            "The EHR knows our client id and does not let it launch: it is not activated, or not for this system.",
            "Is our client id activated in this environment, for the EHR launch (authorization code)?",
        )
    elif error == "invalid_scope":
        yield warning(
            "redirect.scope",
            "The EHR does not know one of the scopes we ask, or did not approve it.",
            "Which of the scopes in our registration are approved, and in which spelling (v1 or v2)?",
        )
    elif error not in EXPECTED_ERRORS:
        yield warning(
            "redirect.answer",
            "The EHR answers our request with an error that SMART does not expect here.",
            "Your authorization endpoint answers an unknown launch value with an error we do not know. What does its "
            "log say for our client id?",
        )
    yield _named_issuer(query.get("iss", []), issuer, sends_iss)


def _named_issuer(named: list[str], issuer: str | None, sends_iss: bool) -> Finding:
    """RFC 9207: who answers says so, where the configuration promises it."""
    if named and named != [issuer]:
        return red(
            "redirect.iss",
            "The answer names another issuer than the SMART configuration: it looks as if two servers were mixed up, "
            "and every launch stops there.",
            "The iss of your authorization answer (RFC 9207) differs from issuer in the SMART configuration.",
        )
    if sends_iss and not named:
        return red(
            "redirect.iss",
            "The SMART configuration promises that answers name their issuer (RFC 9207), and this one does not.",
            "Please send iss with every authorization answer, or take "
            "authorization_response_iss_parameter_supported out of the SMART configuration.",
            stops=Stops.LAUNCH,
        )
    return green(
        "redirect.iss", "Answers name their issuer." if named else "Answers do not name an issuer; few do yet."
    )


def _leads_to(reply: Reply, address: str) -> bool:
    location = reply.headers.get("Location", "")
    return 300 <= reply.status < 400 and location.partition("?")[0].partition("#")[0] == address
