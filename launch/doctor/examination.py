"""One check-up of one registered EHR: the questions in order, and what each found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from launch.doctor import (
    browser,
    check_discovery,
    check_door,
    check_fhir,
    check_keys,
    check_proof,
    check_redirect,
    check_transport,
)
from launch.doctor.findings import Finding, Stops, green, not_checked, red
from launch.doctor.site import DoctorSite
from launch.doctor.wire import FHIR_JSON, Reply, Wire
from launch.registrations import Registration

SPEED_CALLS = 5
NOBODY = "doctor-check"


@dataclass(frozen=True)
class Examination:
    """A finished check-up. ``registration`` is None when the issuer is not on our list: then nothing was asked."""

    issuer: str
    registration: Registration | None
    checked_at: datetime
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Options:
    """``with_browser``: drive Chromium where it is installed. ``may_void``: mark a proof void when the EHR changed.
    ``trusted``: file of extra root certificates."""

    with_browser: bool = True
    may_void: bool = True
    trusted: str | None = None


def examine(site: DoctorSite, issuer: str, options: Options | None = None) -> Examination:
    """Ask everything that can be asked without a token and without a person. Raises nothing for what it finds."""
    now = datetime.now(UTC)
    registration = site.named(issuer)
    if registration is None:
        listed = ", ".join(one.issuer for one in site.registrations.ehrs)
        unknown = red(
            "allow-list.unknown",
            f"This issuer is not registered here, so nothing was sent to it. Registered: {listed}. An address counts "
            "byte for byte, but for one slash at the end.",
            stops=Stops.SETUP,
        )
        return Examination(issuer, None, now, (unknown,))
    one = _Examiner(site, registration, options or Options(), now)
    return Examination(issuer, registration, now, tuple(one.findings()))


class _Examiner:
    def __init__(self, site: DoctorSite, registration: Registration, options: Options, now: datetime) -> None:
        self._site = site
        self._registration = registration
        self._options = options
        self._now = now
        self._wire = Wire(site.registrations, registration, trusted=options.trusted)

    def findings(self) -> Iterator[Finding]:
        one, site = self._registration, self._site
        yield green("allow-list.known", f'This EHR is registered here as "{one.id}" ({one.ehr_name}).')
        asked_at = datetime.now(UTC)
        reply = check_discovery.fetch(self._wire, one)
        yield from check_discovery.judge(reply, one, self._wire)
        document = (reply.json_object() or {}) if reply.status == 200 else {}
        endpoints = {name: check_discovery.resolved(document, name, one) for name in check_discovery.ENDPOINTS}
        usable = [url for url in endpoints.values() if url and self._wire.may_reach(url)]
        yield from check_transport.judge_certificates(
            (one.issuer, *usable),
            self._now,
            ours=site.registrations.public_base_url,
            trusted=self._options.trusted,
            rules_for=self._wire.rules_for,
        )
        if reply.failure is None:
            yield check_transport.judge_clock(reply, asked_at)
        yield from check_keys.judge(
            self._wire.get(site.registrations.public_base_url + check_keys.PATH), site.registrations, one
        )
        if reply.failure is None:
            yield from self._launch(document, endpoints["authorization_endpoint"])
            yield from self._fhir(reply)
        else:
            yield not_checked("fhir", "The FHIR side was not asked, because the EHR does not answer.")

    def _launch(self, document: dict[str, Any], authorization_endpoint: str) -> Iterator[Finding]:
        """Our door, the EHR's answer to what it asks, and both in a frame."""
        one, registrations = self._registration, self._site.registrations
        framed = self._wire.get(registrations.launch_url, {"Accept": "text/html"})
        if not authorization_endpoint or not self._wire.may_reach(authorization_endpoint):
            yield from check_door.judge_framing(framed, one)
            yield not_checked("door", "Our launch was not tried: the EHR names no authorization endpoint we may use.")
            return
        answer = self._wire.get(check_door.launch_address(registrations, one), {"Accept": "text/html"})
        yield from check_door.judge_launch(answer, registrations, one, authorization_endpoint)
        yield from check_door.judge_framing(framed, one)
        asked = check_door.asked_in(answer)
        if asked is None or asked.action != authorization_endpoint.partition("?")[0]:
            yield not_checked("redirect", "The EHR was not asked about our redirect address: our own door comes first.")
            return
        yield from self._redirect(document, asked, authorization_endpoint)
        if self._options.with_browser:
            yield from browser.judge(registrations, one, authorization_endpoint)
        else:
            yield not_checked("frame.browser", "The cookie in a framed page was not tried, as you asked.")

    def _redirect(self, document: dict[str, Any], asked: check_door.Asked, endpoint: str) -> Iterator[Finding]:
        redirect_uri = self._site.registrations.redirect_uri
        issuer = document.get("issuer")
        yield from check_redirect.judge(
            self._authorize(asked, endpoint, redirect_uri),
            self._authorize(asked, endpoint, redirect_uri + check_redirect.UNREGISTERED),
            self._registration,
            redirect_uri=redirect_uri,
            issuer=issuer if isinstance(issuer, str) else None,
            sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _authorize(self, asked: check_door.Asked, endpoint: str, redirect_uri: str) -> Reply:
        fields = asked.fields | {"redirect_uri": redirect_uri}
        if asked.method == "POST":
            return self._wire.post_form(endpoint, fields)
        joint = "&" if "?" in endpoint else "?"
        return self._wire.get(f"{endpoint}{joint}{urlencode(fields)}", {"Accept": "text/html"})

    def _fhir(self, discovery: Reply) -> Iterator[Finding]:
        one, facts = self._registration, self._site.facts(self._registration)
        statements = [self._wire.get(one.issuer + "/metadata", FHIR_JSON) for _ in range(SPEED_CALLS)]
        reply = statements[0]
        offer = check_fhir.read_offer(reply.json_object()) if reply.status == 200 else None
        yield from check_fhir.judge_offer(reply, offer, facts.copied_types)
        without_token = self._wire.get(f"{one.issuer}/Patient/{NOBODY}", FHIR_JSON)
        nowhere = self._wire.get(f"{one.issuer}/{NOBODY}", FHIR_JSON)
        yield from check_fhir.judge_refusals(without_token, nowhere)
        calls = {"sign-in": [discovery], "metadata": statements, "FHIR": [without_token, nowhere]}
        yield check_transport.judge_speed(calls)
        yield from check_proof.judge(one, facts, offer, self._now.date(), may_void=self._options.may_void)
