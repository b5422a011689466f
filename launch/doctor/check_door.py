"""Our own front door as the EHR's browser meets it: the launch address, its cookie, and who may frame our pages.

The launch is one that no EHR began, so it leads nowhere; it leaves one row in the audit log of the app.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

from launch.doctor.findings import Finding, Stops, green, red
from launch.doctor.wire import FAILURE_WORDS, Reply
from launch.registrations import Registration, Registrations

LAUNCH_VALUE = "doctor-check"
GATEWAY_STATUSES = (502, 503, 504)
COOKIE_PREFIX = "__Host-"
NEEDED_ATTRIBUTES = {"secure": "Secure", "httponly": "HttpOnly", "partitioned": "Partitioned", "path=/": "Path=/"}


@dataclass(frozen=True)
class Asked:
    """The authorization request that our app makes for this EHR."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


def launch_address(registrations: Registrations, registration: Registration) -> str:
    """Where the EHR would send the browser to begin."""
    query = urlencode({"iss": registration.issuer, "launch": LAUNCH_VALUE})
    return f"{registrations.launch_url}?{query}"


def asked_in(reply: Reply) -> Asked | None:
    """The authorization request in an answer of our launch address: a redirect, or a form that posts itself."""
    location = reply.headers.get("Location", "")
    if reply.status in (302, 303) and location:
        address, _, query = location.partition("?")
        return Asked("GET", address, dict(parse_qsl(query, keep_blank_values=True)))
    if reply.status == 200:
        form = _FormParser()
        form.feed(reply.body.decode("utf-8", "replace"))
        if form.action:
            return Asked("POST", form.action, form.fields)
    return None


def judge_launch(
    reply: Reply, registrations: Registrations, registration: Registration, authorization_endpoint: str
) -> Iterator[Finding]:
    """What our launch address answers for this EHR."""
    if reply.failure is not None:
        yield red(
            "door.unreachable",
            f"Our own launch address did not answer: {FAILURE_WORDS[reply.failure]}. Is the app running behind "
            "public_base_url?",
            stops=Stops.SETUP,
        )
        return
    if reply.status in GATEWAY_STATUSES:
        yield red(
            "door.unreachable",
            f"A proxy answers at public_base_url, and our app behind it does not (status {reply.status}). Is it "
            "running, and does the proxy ask the right port?",
            stops=Stops.SETUP,
        )
        return
    asked = asked_in(reply)
    if asked is None:
        yield red(
            "door.refused",
            f"Our own launch address refuses this EHR (status {reply.status}). If the EHR's findings above are green, "
            "the running app has other settings than this command: start it again.",
            stops=Stops.SETUP,
        )
        return
    wrong = _wrong_members(asked, registrations, registration, authorization_endpoint)
    if wrong:
        yield red(
            "door.request",
            f"The running app asks the EHR with other values than settings have: {', '.join(wrong)}. Start it again.",
            stops=Stops.SETUP,
        )
    else:
        yield green(
            "door.request", "Our launch address sends the browser to this EHR, with PKCE and the exact redirect."
        )
    yield _cookie(reply)


def judge_framing(reply: Reply, registration: Registration) -> Iterator[Finding]:
    """Who may frame our pages. ``reply``: an error page of ours, which any registered EHR may have to show."""
    if reply.failure is not None:
        return  # said by ``judge_launch`` already
    ancestors = _frame_ancestors(reply.headers.get("Content-Security-Policy", ""))
    missing = [one for one in registration.frame_origins if one not in ancestors]
    if reply.headers.get("X-Frame-Options"):
        yield red(
            "frame.options",
            "X-Frame-Options stands on our pages: in older browser engines, which some EHRs still use, the frame stays "
            "empty (newer ones go by frame-ancestors). The app never sends it, so a proxy does. Take it off there.",
            stops=Stops.SETUP,
        )
    if not ancestors or "*" in ancestors:
        yield red(
            "frame.anyone",
            "Our pages may be framed by anyone: frame-ancestors is missing or has a wildcard. Does a proxy change it?",
            stops=Stops.SETUP,
        )
    elif missing:
        yield red(
            "frame.ancestors",
            f"frame-ancestors of our pages lacks {len(missing)} of the origins in frame_origins. Start the app again, "
            "or see what the proxy changes.",
            stops=Stops.SETUP,
        )
    else:
        yield green("frame.ancestors", f"Our pages may be framed by {', '.join(registration.frame_origins)}.")


def _wrong_members(
    asked: Asked, registrations: Registrations, registration: Registration, authorization_endpoint: str
) -> list[str]:
    fields = asked.fields
    holds = {
        "authorization_endpoint": asked.action == authorization_endpoint.partition("?")[0],
        "redirect_uri": fields.get("redirect_uri") == registrations.redirect_uri,
        "client_id": fields.get("client_id") == registration.client_id,
        "aud": fields.get("aud") in (registration.issuer, registration.issuer + "/"),
        "response_type": fields.get("response_type") == "code",
        "code_challenge_method": fields.get("code_challenge_method") == "S256" and bool(fields.get("code_challenge")),
        "state": len(fields.get("state", "")) >= 22,
        "scope": "launch" in fields.get("scope", "").split(),
    }
    return [name for name, is_right in holds.items() if not is_right]


def _cookie(reply: Reply) -> Finding:
    parts = [part.strip() for part in reply.headers.get("Set-Cookie", "").split(";")]
    lower = {part.lower() for part in parts[1:]}
    missing = [word for attribute, word in NEEDED_ATTRIBUTES.items() if attribute not in lower]
    if "samesite=none" not in lower:
        missing.append("SameSite=None")
    if not parts[0].startswith(COOKIE_PREFIX):
        missing.insert(0, "a name that begins with __Host-")
    if missing:
        return red(
            "door.cookie",
            f"Our cookie lacks {', '.join(missing)}: in the EHR's frame it will not come back. Does a proxy "
            "change Set-Cookie?",
            stops=Stops.SETUP,
        )
    return green("door.cookie", "Our cookie is __Host-, Secure, HttpOnly, SameSite=None and Partitioned.")


def _frame_ancestors(policy: str) -> list[str]:
    for directive in policy.split(";"):
        words = directive.split()
        if words and words[0] == "frame-ancestors":
            return words[1:]
    return []


class _FormParser(HTMLParser):
    """The first form of a page: where it goes and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action and urlsplit(named.get("action", "")).scheme:
            self.action = named["action"]
        elif tag == "input" and self.action and named.get("name"):
            self.fields[named["name"]] = named.get("value", "")
