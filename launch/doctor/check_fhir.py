"""The FHIR side: which release, what can be read and created, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from launch.doctor.findings import Finding, Stops, green, not_checked, plain, red, warning
from launch.doctor.wire import FAILURE_WORDS, Reply

READ = ("Patient", "Encounter", "Practitioner")
COPIED = ("Observation", "ServiceRequest", "Appointment")
FHIR_VERSION = "4.0.1"
KNOWN_VERSIONS = {"4.3.0": "R4B", "3.0.2": "STU3", "3.0.1": "STU3", "1.0.2": "DSTU2", "5.0.0": "R5"}

Payload = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """What a CapabilityStatement offers, as far as we use it. ``interactions``: type -> codes such as "create"."""

    software: str = "not named"
    version: str = "not said"
    fhir_version: str = ""
    interactions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    security_search: frozenset[str] = frozenset()
    conditional_create: frozenset[str] = frozenset()
    has_export: bool = False

    def offers(self, kind: str, interaction: str) -> bool:
        """Whether the statement lists this interaction on this type."""
        return interaction in self.interactions.get(kind, frozenset())


def read_offer(payload: object) -> Offer | None:
    """An ``Offer`` from a CapabilityStatement; None for anything else. What has no sound shape is left out."""
    if not isinstance(payload, dict) or payload.get("resourceType") != "CapabilityStatement":
        return None
    software = payload.get("software")
    software = software if isinstance(software, dict) else {}
    rests = [rest for rest in _dicts(payload.get("rest")) if rest.get("mode", "server") == "server"]
    resources = [resource for rest in rests for resource in _dicts(rest.get("resource"))]
    operations = [one for where in (*rests, *resources) for one in _dicts(where.get("operation"))]
    return Offer(
        plain(software.get("name")),
        plain(software.get("version")) if software.get("version") else "not said",
        plain(payload.get("fhirVersion")) if payload.get("fhirVersion") else "",
        {
            str(resource.get("type")): frozenset(str(one.get("code")) for one in _dicts(resource.get("interaction")))
            for resource in resources
        },
        frozenset(
            str(resource.get("type"))
            for resource in resources
            if any(one.get("name") == "_security" for one in _dicts(resource.get("searchParam")))
        ),
        frozenset(str(resource.get("type")) for resource in resources if resource.get("conditionalCreate") is True),
        any(one.get("name") == "export" for one in operations),
    )


def judge_offer(reply: Reply, offer: Offer | None, copied_types: tuple[str, ...]) -> Iterator[Finding]:
    """All about the CapabilityStatement. ``copied_types``: where settings want a copy in this EHR."""
    if offer is None:
        yield _no_statement(reply)
        return
    yield green("fhir.statement", f"The server says what it is: {offer.software}, version {offer.version}.")
    yield _release(offer)
    yield from _reads(offer)
    for kind in COPIED:
        yield _create(offer, kind, is_wanted=kind in copied_types)
    yield from _searches(offer, copied_types)
    yield _labels(offer, copied_types)
    yield green(
        "fhir.conditional-create",
        "Conditional create is " + ("offered" if offer.conditional_create else "not offered") + "; we do not use it: "
        "our own record of each write keeps a second one from being made.",
    )
    if offer.has_export:
        yield warning(
            "fhir.export",
            "The server offers bulk export. Whatever is written there leaves with it: tell the patient before a copy.",
        )


def _no_statement(reply: Reply) -> Finding:
    if reply.failure is not None:
        return warning(
            "fhir.statement",
            f"{{FHIR base}}/metadata did not answer: {FAILURE_WORDS[reply.failure]}.",
            "Please let apps read {FHIR base}/metadata without a token.",
        )
    if reply.status in (401, 403):
        return warning(
            "fhir.statement",
            "The CapabilityStatement wants a token, so what can be read and created here is not known.",
            "Please let apps read {FHIR base}/metadata without a token, as FHIR and SMART expect.",
        )
    return warning(
        "fhir.statement",
        f"There is no CapabilityStatement at {{FHIR base}}/metadata (status {reply.status}). Is the issuer really the "
        "FHIR base?",
        "Where is the CapabilityStatement of this FHIR base?",
    )


def _release(offer: Offer) -> Finding:
    if offer.fhir_version == FHIR_VERSION:
        return green("fhir.version", f"FHIR {FHIR_VERSION} (R4), which is what we speak.")
    said = offer.fhir_version or "no version"
    name = KNOWN_VERSIONS.get(offer.fhir_version)
    return red(
        "fhir.version",
        f"This base is FHIR {said}{f' ({name})' if name else ''}, and we speak R4 ({FHIR_VERSION}). Many EHRs have one "
        "base for each release: register the R4 one.",
        "What is the address of your FHIR R4 (4.0.1) base for EHR launches?",
    )


def _reads(offer: Offer) -> Iterator[Finding]:
    missing = [kind for kind in READ if not offer.offers(kind, "read")]
    if "Patient" in missing:
        yield red(
            "fhir.read",
            "Patient cannot be read here, so no chart can be opened.",
            "Please offer read and search of Patient, Encounter and Practitioner to this app.",
        )
    elif missing:
        yield warning(
            "fhir.read",
            f"Not offered for reading: {', '.join(missing)}. The visit or the person signed in will not be known.",
            f"Please offer read and search of {', '.join(missing)} to this app.",
        )
    else:
        yield green("fhir.read", f"{', '.join(READ)} can be read.")


def _create(offer: Offer, kind: str, *, is_wanted: bool) -> Finding:
    is_offered = offer.offers(kind, "create")
    can = [word for word in ("create", "update", "search-type") if offer.offers(kind, word)]
    words = f"{kind}: {', '.join(can) if can else 'nothing of what we could use'} offered"
    if is_wanted and not is_offered:
        return red(
            f"fhir.create.{kind}",
            f"{words}, but settings want a copy there. Nothing will be written: the item stays in this app. Set "
            'placement to "vault".',
            f"Can a SMART app create {kind} in this environment, and for which categories?",
            stops=Stops.COPY,
        )
    wanted = "a copy is wanted" if is_wanted else "no copy is wanted: it stays in this app"
    return green(f"fhir.create.{kind}", f"{words}; {wanted}.")


def _searches(offer: Offer, copied_types: tuple[str, ...]) -> Iterator[Finding]:
    """What was asked of us and never answered is looked up, not written twice: that takes a search."""
    for kind in copied_types:
        if not offer.offers(kind, "search-type"):
            yield warning(
                f"fhir.search.{kind}",
                f"{kind} cannot be searched. When an answer to a write gets lost, nobody can look up whether the copy "
                "exists: it is never sent a second time, and a person has to look in the chart.",
                f"Please offer search of {kind} by patient to this app.",
            )


def _labels(offer: Offer, copied_types: tuple[str, ...]) -> Finding:
    labelled = [kind for kind in copied_types if kind != "Appointment"]
    without = [kind for kind in labelled if kind not in offer.security_search]
    if not labelled:
        return green("fhir.security", "No labelled item is copied to this EHR, so its label search does not matter.")
    if without:
        return warning(
            "fhir.security",
            f"Search by label (_security) is not listed for {', '.join(without)}. The label proof decides, not this.",
            "Does the server keep meta.security on create and update, and filter by it?",
        )
    return green("fhir.security", "Search by label (_security) is listed.")


def judge_refusals(without_token: Reply, nowhere: Reply) -> Iterator[Finding]:
    """``without_token``: a read of a patient who does not exist, with no token. ``nowhere``: a path that is none."""
    if without_token.failure is not None:
        yield not_checked("refusal.no-token", f"A read without a token: {FAILURE_WORDS[without_token.failure]}.")
        return
    if 200 <= without_token.status < 300:
        yield red(
            "refusal.no-token",
            "THE FHIR BASE ANSWERS WITHOUT A TOKEN. Whoever reaches this address reads charts. Tell the vendor today.",
            "Your FHIR base answers a read of Patient without an access token. It must refuse with 401.",
        )
    elif without_token.status in (429, 503):
        yield warning(
            "refusal.busy",
            f"The server answers {without_token.status}: it is too busy, or down. "
            + ("It says when to come back. " if without_token.headers.get("Retry-After") else "")
            + "Pages will say so, and phones and cards stay open.",
            f"Your FHIR base answers {without_token.status} to single calls. What are its limits for an app?",
        )
    elif without_token.status != 401:
        yield warning(
            "refusal.no-token",
            f"A read without a token is refused with {without_token.status}, not 401: an expired token will not be "
            "recognised, and the person has to launch again.",
            "Please answer a missing or expired token with 401 and WWW-Authenticate: Bearer.",
        )
    else:
        yield _said_well(without_token)
    if nowhere.failure is None and nowhere.status < 400:
        yield warning(
            "refusal.nowhere",
            f"A path that is none is answered with {nowhere.status}, as if it were one: is this address the FHIR base "
            "itself, or a web page in front of it?",
            "Which address is the FHIR base, and why does a path that does not exist get no 404 there?",
        )
    elif nowhere.failure is None and nowhere.status not in (429, 503):
        yield green("refusal.nowhere", f"A path that is none: status {nowhere.status}, {_body_words(nowhere)}.")


def _said_well(reply: Reply) -> Finding:
    words = f"Without a token: 401, {_body_words(reply)}."
    if "bearer" not in reply.headers.get("WWW-Authenticate", "").lower():
        return warning(
            "refusal.challenge",
            f"{words} WWW-Authenticate: Bearer is missing; we go by the status.",
            "Please send WWW-Authenticate: Bearer with a 401, as RFC 6750 asks.",
        )
    return green("refusal.no-token", words)


def _body_words(reply: Reply) -> str:
    if not reply.body.strip():
        return "with an empty body"
    payload = reply.json_object()
    if payload is not None and payload.get("resourceType") == "OperationOutcome":
        return "with an OperationOutcome"
    return "with JSON of its own" if payload is not None else "with text that is no FHIR"


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
