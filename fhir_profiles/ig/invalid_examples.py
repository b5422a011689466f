"""The guide's invalid examples: each a valid one with one thing wrong, and where the error must be found."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from valid_examples import CLINIC, PROGRAM, URN, valid

from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, OBSERVATION_VALUE, Payload


@dataclass(frozen=True)
class Broken:
    """One valid example with one thing wrong: where the error must be found, and what is wrong in words."""

    folder: str
    profile: str
    name: str
    expression: str
    what: str
    invariant: str
    payload: Payload


Change = Callable[[Payload], object]


def _set(*way: str | int, to: Any) -> Change:
    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        payload[way[-1]] = to

    return change


def _drop(*way: str | int) -> Change:
    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        del payload[way[-1]]

    return change


def _add(*way: str | int, item: Any) -> Change:
    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        payload.append(item)

    return change


def _part(*way: str | int, url: str, to: Any = None) -> Change:
    """Replace, or without ``to`` remove, the part of an extension that has this url."""

    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        kept = [item for item in payload if item["url"] != url]
        payload[:] = kept if to is None else [*kept, {"url": url, **to}]

    return change


def _both(*changes: Change) -> Change:
    def change(payload: Any) -> None:
        for one in changes:
            one(payload)

    return change


_R, _N = {"system": CONFIDENTIALITY, "code": "R"}, {"system": CONFIDENTIALITY, "code": "N"}
_NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">She told me</div>'}
_CONTACT = ("extension", 0, "extension")

# profile -> (valid example, [(name, expression, what is wrong, change)])
_WRONG: dict[str, tuple[str, list[tuple[str, str, str, Change]]]] = {
    "disclosure-observation": (
        "Observation-violence-disclosed.json",
        [
            ("narrative", "Observation", "A narrative is never sent.", _set("text", to=_NARRATIVE)),
            (
                "value-false",
                "Observation.value",
                "A disclosure says yes; there is no record of a no.",
                _set("valueBoolean", to=False),
            ),
            (
                "kind-unknown",
                "Observation.code.coding[0]",
                "The kind is one of the value set.",
                _set("code", "coding", 0, "code", to="other"),
            ),
            ("no-performer", "Observation.performer", "Who recorded it is required.", _drop("performer")),
            (
                "category-of-another-kind",
                "Observation.category",
                "The Gravity category follows the kind.",
                _set("category", 1, "coding", 0, "code", to="elder-abuse"),
            ),
        ],
    ),
    "referral-service-request": (
        "ServiceRequest-request-survivor-calls.json",
        [
            ("reason", "ServiceRequest", "A referral gives no reason.", _set("reasonCode", to=[{"text": "abuse"}])),
            (
                "person-as-requester",
                "ServiceRequest.requester.reference",
                "The requester is an organization.",
                _set("requester", "reference", to="Practitioner/d1"),
            ),
            (
                "display",
                "ServiceRequest.subject",
                "A reference carries no name.",
                _set("subject", "display", to="Robin R."),
            ),
            (
                "contact-not-prohibited",
                "ServiceRequest.orderDetail",
                "Without a safe number, contact is prohibited.",
                _drop("orderDetail", 0),
            ),
            ("no-safe-contact", "ServiceRequest.extension", "How the two will meet is required.", _drop("extension")),
        ],
    ),
    "safe-contact": (
        "ServiceRequest-request-safe-number.json",
        [
            (
                "no-way-to-meet",
                "ServiceRequest.extension[0].extension",
                "How the two will meet is always chosen.",
                _part(*_CONTACT, url="meet"),
            ),
            (
                "number-without-safe-contact",
                "ServiceRequest.extension[0]",
                "A number is given only when they meet by safe contact.",
                _part(*_CONTACT, url="meet", to={"valueCode": "on-site"}),
            ),
            (
                "longer-than-30-days",
                "ServiceRequest.extension[0]",
                "A safe contact ends within 30 days.",
                _part(*_CONTACT, url="expiresOn", to={"valueDate": "2026-11-15"}),
            ),
            (
                "mail-address",
                "ServiceRequest.extension[0].extension[12].value.system",
                "The safe number is a phone.",
                _part(*_CONTACT, url="telecom", to={"valueContactPoint": {"system": "email", "value": "555-0142"}}),
            ),
        ],
    ),
    "referral-task": (
        "Task-task-requested.json",
        [
            (
                "status-received",
                "Task.status",
                "Received is an acknowledgement, never a status.",
                _set("status", to="received"),
            ),
            ("description", "Task", "No free text.", _set("description", to="Call her mother")),
            (
                "no-deadline",
                "Task.restriction.period.end",
                "Until when is required.",
                _set("restriction", "period", to={"start": "2026-10-01"}),
            ),
            (
                "same-organization",
                "Task.owner",
                "Requester and owner are two organizations.",
                _set("owner", "reference", to=CLINIC),
            ),
            (
                "status-reason-without-code",
                "Task.statusReason.coding",
                "A reason is a code.",
                _set("statusReason", to={"text": "No capacity today"}),
            ),
        ],
    ),
    "release-consent": (
        "Consent-release-a.json",
        [
            ("deny", "Consent.provision.type", "A release permits.", _set("provision", "type", to="deny")),
            (
                "two-recipients",
                "Consent.provision.actor",
                "One release, one recipient.",
                lambda p: p["provision"]["actor"].append(deepcopy(p["provision"]["actor"][0])),
            ),
            (
                "unknown-signer",
                "Consent.extension[0].value",
                "The one who harms may never sign.",
                _set("extension", 0, "valueCode", to="partner"),
            ),
            (
                "longer-than-90-days",
                "Consent.provision.period",
                "A release lasts 90 days at most.",
                _set("provision", "period", "end", to="2027-02-01"),
            ),
            (
                "recipient-is-discloser",
                "Consent.provision.actor[0].reference",
                "A release has one direction.",
                _set("organization", 0, "reference", to=PROGRAM),
            ),
            ("no-end", "Consent.provision.period.end", "A release has an end.", _drop("provision", "period", "end")),
        ],
    ),
    "proposed-appointment": (
        "Appointment-visit-proposed.json",
        [
            ("comment", "Appointment", "No comment, reason or description.", _set("comment", to="Bring documents")),
            (
                "telling-type",
                "Appointment.serviceType[0].text",
                "The type is neutral.",
                _set("serviceType", 0, "text", to="Safety planning"),
            ),
            (
                "pending-without-time",
                "Appointment.status",
                "Pending is not a status here.",
                _set("status", to="pending"),
            ),
            (
                "start-without-end",
                "Appointment",
                "Start and end come together (app-2).",
                _set("start", to="2026-10-02T13:00:00Z"),
            ),
            (
                "organization-as-actor",
                "Appointment.participant[1].actor.reference",
                "An actor is never an Organization (R4).",
                _set("participant", 1, "actor", "reference", to=CLINIC),
            ),
        ],
    ),
    "appointment-ehr-copy": (
        "Appointment-visit-in-the-schedule.json",
        [
            (
                "based-on",
                "Appointment",
                "A copy leads to no referral.",
                _set("basedOn", to=[{"reference": "ServiceRequest/s1"}]),
            ),
            (
                "sensitive-label",
                "Appointment.meta.security",
                "A copy carries R at most.",
                _add(
                    "meta",
                    "security",
                    item={"system": ACT_CODE, "code": "SDV"},
                ),
            ),
            ("no-end", "Appointment.end", "A visit in a schedule has an end.", _drop("end")),
        ],
    ),
    "referral-patient": (
        "Patient-robin.json",
        [
            ("birth-date", "Patient", "No birth date.", _set("birthDate", to="1990-01-01")),
            ("legal-name", "Patient.name[0]", "The name to use, no other.", _set("name", 0, "family", to="Roe")),
            ("gender", "Patient.gender", "Gender is unknown.", _set("gender", to="female")),
        ],
    ),
    "referral-bundle": (
        "Bundle-inbound-urn.json",
        [
            (
                "no-release",
                "Bundle.entry",
                "Without a release nothing is received.",
                lambda p: p["entry"].__delitem__(slice(1, None, 4)),
            ),
            (
                "release-to-another",
                "Bundle.entry[1].resource.provision.actor[0].reference",
                "The release is to the one who receives.",
                _set(
                    "entry", 1, "resource", "provision", "actor", 0, "reference", "reference", to="Organization/other"
                ),
            ),
            (
                "release-a-to-another",
                "Bundle.entry[5].resource.provision.actor[0].reference",
                "Release A is to the one who asked.",
                _set(
                    "entry", 5, "resource", "provision", "actor", 0, "reference", "reference", to="Organization/other"
                ),
            ),
            ("batch", "Bundle.type", "A referral is a transaction.", _set("type", to="batch")),
            (
                "extra-resource",
                "Bundle.entry[4].resource",
                "Only the five types.",
                _set(
                    "entry", 4, "resource", to={"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
                ),
            ),
            ("two-levels", "Bundle.meta.security", "One confidentiality code.", _add("meta", "security", item=_R)),
            (
                "already-accepted",
                "Bundle.entry[3].resource.status",
                "A new referral begins as requested.",
                _set("entry", 3, "resource", "status", to="accepted"),
            ),
            (
                "address-of-a-person",
                "Bundle.entry[0].resource",
                "No address.",
                _set("entry", 0, "resource", "address", to=[{"city": "X"}]),
            ),
        ],
    ),
    "partner-organization": (
        "Organization-harbor.json",
        [
            ("address", "Organization", "A location can kill.", _set("address", to=[{"line": ["12 Hidden Lane"]}])),
            (
                "mail",
                "Organization.telecom[0].system",
                "The public line is a phone.",
                _set("telecom", 0, "system", to="email"),
            ),
            ("no-name", "Organization.name", "A name is required.", _drop("name")),
        ],
    ),
    "partner-service": (
        "HealthcareService-harbor-line.json",
        [
            ("suspended", "HealthcareService.active", "A suspended partner is unpublished.", _set("active", to=False)),
            ("location", "HealthcareService", "No location.", _set("location", to=[{"reference": "Location/1"}])),
            ("no-capacity-status", "HealthcareService.extension", "Room or none is required.", _drop("extension")),
            (
                "no-sdoh",
                "HealthcareService.category[0].coding",
                "The category names sdoh.",
                _drop("category", 0, "coding", 0),
            ),
        ],
    ),
    "partner-endpoint": (
        "Endpoint-harbor-fhir.json",
        [
            ("http", "Endpoint.address", "The address is https.", _set("address", to="http://dsv.example/fhir")),
            ("header", "Endpoint", "No header: it would carry a secret.", _set("header", to=["Authorization: x"])),
            ("off", "Endpoint.status", "A partner without FHIR has no Endpoint.", _set("status", to="off")),
        ],
    ),
    "partnership-mou": (
        "OrganizationAffiliation-mou-7.json",
        [
            (
                "one-party",
                "OrganizationAffiliation.participatingOrganization",
                "An agreement has two parties.",
                _set("participatingOrganization", "reference", to=CLINIC),
            ),
            (
                "no-document",
                "OrganizationAffiliation.extension[0].extension",
                "The signed paper is named.",
                _part(*_CONTACT, url="document"),
            ),
            (
                "ends-before-it-starts",
                "OrganizationAffiliation.period",
                "A period runs forward (per-1).",
                _set("period", "end", to="2026-01-01"),
            ),
        ],
    ),
    "access-audit-event": (
        "AuditEvent-access-read.json",
        [
            ("action-of-another-kind", "AuditEvent.action", "The action fits the interaction.", _set("action", to="D")),
            ("no-labels", "AuditEvent.meta.security", "An audit row is labelled.", _drop("meta", "security")),
            (
                "query",
                "AuditEvent.entity[1]",
                "No query: it names people.",
                _set("entity", 1, "query", to="bmFtZT1Sb2U="),
            ),
            ("two-agents", "AuditEvent.agent", "Who asked, the application and the vault.", _drop("agent", 0)),
        ],
    ),
    "label-provenance": (
        "Provenance-label-raised.json",
        [
            (
                "no-version",
                "Provenance.target[0].reference",
                "The target is one version.",
                _set("target", 0, "reference", to="Observation/o1"),
            ),
            (
                "role-of-another-change",
                "Provenance.agent[0].role",
                "The role fits the change.",
                _set("agent", 0, "role", 0, "coding", 0, "code", to="DECLASSIFIER"),
            ),
            ("no-reason", "Provenance.reason", "The reason is labelling.", _drop("reason")),
            (
                "below-restricted",
                "Provenance.meta.security",
                "Never weaker than its target.",
                _set("meta", "security", 0, to=_N),
            ),
        ],
    ),
    "program-measure-report": (
        "MeasureReport-counts-of-september.json",
        [
            (
                "small-count",
                "MeasureReport.group[0].population[0]",
                "A count from 1 to 10 is masked.",
                _set("group", 0, "population", 0, "count", to=7),
            ),
            ("subject", "MeasureReport", "Nobody is in it.", _set("subject", to={"reference": "Patient/p1"})),
            ("one-week", "MeasureReport", "A month or more.", _set("period", "end", to="2026-09-07")),
            ("individual", "MeasureReport.type", "A summary.", _set("type", to="individual")),
        ],
    ),
}


# invariant of the guide -> (profile, valid example, name, expression, what is wrong, change). With the ones above, each
# invariant is broken at least once (the checks count them).
_RULES: list[tuple[str, str, str, str, str, str, Change]] = [
    (
        "wrl-2",
        "referral-task",
        "Task-task-requested.json",
        "keep-nothing",
        "Task.meta.security",
        "A record is kept.",
        _add("meta", "security", item={"system": ACT_CODE, "code": "DELAU"}),
    ),
    (
        "wrl-4",
        "referral-task",
        "Task-task-requested.json",
        "redacted-view",
        "Task.meta.security",
        "A redacted view is never written back.",
        _add("meta", "security", item={"system": OBSERVATION_VALUE, "code": "REDACTED"}),
    ),
    (
        "wta-2",
        "referral-task",
        "Task-task-requested.json",
        "identifier-twice",
        "Task.identifier",
        "Each identifier stands once.",
        lambda p: p["identifier"].append(deepcopy(p["identifier"][0])),
    ),
    (
        "wap-2",
        "proposed-appointment",
        "Appointment-visit-booked.json",
        "ends-before-it-starts",
        "Appointment.end",
        "A visit ends after it starts.",
        _set("end", to="2026-10-02T12:00:00Z"),
    ),
    (
        "wrx-1",
        "disclosure-observation",
        "Observation-violence-disclosed.json",
        "month-only",
        "Observation.effective",
        "Dates are whole.",
        _set("effectiveDateTime", to="2026-10"),
    ),
    (
        "wlp-2",
        "label-provenance",
        "Provenance-label-raised.json",
        "two-kinds-of-change",
        "Provenance.activity",
        "LABEL and one kind of change.",
        _set("activity", "coding", 0, "code", to="DRIVLABEL"),
    ),
    (
        "wmo-1",
        "partnership-mou",
        "OrganizationAffiliation-mou-7.json",
        "promise-of-no-time",
        "OrganizationAffiliation.extension[0].extension[1].value.value",
        "From one minute to one week.",
        _set(*_CONTACT, 1, "valueDuration", "value", to=0),
    ),
    (
        "wrp-1",
        "partner-organization",
        "Organization-harbor.json",
        "words-as-a-number",
        "Organization.telecom[0].value",
        "A phone number is digits.",
        _set("telecom", 0, "value", to="ask for Ann"),
    ),
    (
        "wsc-2",
        "safe-contact",
        "ServiceRequest-request-survivor-calls.json",
        "voicemail-without-number",
        "ServiceRequest.extension[0]",
        "Voicemail belongs to a number.",
        _part(*_CONTACT, url="voicemail", to={"valueCode": "none"}),
    ),
    (
        "wsc-3",
        "safe-contact",
        "ServiceRequest-request-safe-number.json",
        "hours-backwards",
        "ServiceRequest.extension[0]",
        "Hours begin before they end.",
        _part(*_CONTACT, url="to", to={"valueTime": "08:00:00"}),
    ),
    (
        "wsr-2",
        "referral-service-request",
        "ServiceRequest-request-survivor-calls.json",
        "need-twice",
        "ServiceRequest.orderDetail",
        "Each need stands once.",
        lambda p: p["orderDetail"].append(deepcopy(p["orderDetail"][-1])),
    ),
    (
        "wco-1",
        "release-consent",
        "Consent-release-a.json",
        "signed-for-another",
        "Consent.performer[0]",
        "The release is the patient's own.",
        _set("performer", 0, "reference", to="Patient/p2"),
    ),
    (
        "wco-3",
        "release-consent",
        "Consent-release-a.json",
        "does-not-name-sdv",
        "Consent.provision.securityLabel",
        "The release names what it opens.",
        _drop("provision", "securityLabel", 1),
    ),
    (
        "wco-4",
        "release-consent",
        "Consent-release-a.json",
        "two-levels",
        "Consent.provision.securityLabel",
        "One level.",
        _add("provision", "securityLabel", item=_R),
    ),
    (
        "wco-5",
        "release-consent",
        "Consent-release-a.json",
        "item-twice",
        "Consent.provision.data",
        "Each item is named once.",
        lambda p: p["provision"]["data"].append(deepcopy(p["provision"]["data"][0])),
    ),
    (
        "wrb-1",
        "referral-bundle",
        "Bundle-inbound-http.json",
        "address-of-another-type",
        "Bundle.entry[0].fullUrl",
        "An address ends in the type and id of its resource.",
        _set("entry", 0, "fullUrl", to="https://dsv.example/fhir/Person/x"),
    ),
    (
        "wrb-3",
        "referral-bundle",
        "Bundle-outbound-http.json",
        "two-requesters",
        "Bundle.entry[2].resource.requester",
        "Request and task name one requester.",
        _set("entry", 2, "resource", "requester", "reference", to="Organization/other"),
    ),
    (
        "wrb-4",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "task-leads-elsewhere",
        "Bundle.entry[3].resource.focus",
        "The task leads to the request.",
        _set("entry", 3, "resource", "focus", "reference", to=URN.format(9)),
    ),
    (
        "wrb-5",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "task-for-another",
        "Bundle.entry[3].resource.for",
        "Request and task lead to one person.",
        _set("entry", 3, "resource", "for", "reference", to=URN.format(9)),
    ),
]
# The same for those whose example stands in the list above.
_INVARIANT_OF = {
    ("disclosure-observation", "category-of-another-kind"): "wdo-1",
    ("referral-service-request", "contact-not-prohibited"): "wsr-1",
    ("safe-contact", "number-without-safe-contact"): "wsc-1",
    ("safe-contact", "longer-than-30-days"): "wsc-4",
    ("referral-task", "same-organization"): "wta-1",
    ("release-consent", "longer-than-90-days"): "wco-6",
    ("release-consent", "recipient-is-discloser"): "wco-2",
    ("proposed-appointment", "organization-as-actor"): "wap-1",
    ("referral-bundle", "two-levels"): "wrl-1",
    ("referral-bundle", "already-accepted"): "wrb-2",
    ("referral-bundle", "release-to-another"): "wrb-6",
    ("referral-bundle", "release-a-to-another"): "wrb-7",
    ("partner-service", "no-sdoh"): "wps-1",
    ("partner-endpoint", "http"): "wpe-1",
    ("partnership-mou", "one-party"): "wpm-1",
    ("access-audit-event", "action-of-another-kind"): "wae-1",
    ("label-provenance", "no-version"): "wlp-1",
    ("label-provenance", "role-of-another-change"): "wlp-3",
    ("label-provenance", "below-restricted"): "wrl-3",
    ("program-measure-report", "small-count"): "wmr-1",
    ("program-measure-report", "one-week"): "wmr-2",
}


def invalid() -> list[Broken]:
    """Every invalid example, in a fixed order."""
    good = valid()
    listed = [
        (_INVARIANT_OF.get((folder, name), ""), folder, source, name, expression, what, change)
        for folder, (source, wrongs) in _WRONG.items()
        for name, expression, what, change in wrongs
    ]
    made = []
    for invariant, folder, source, name, expression, what, change in [*listed, *_RULES]:
        held, original = good[source]
        payload = deepcopy(original)
        change(payload)
        payload["id"] = f"{folder}-{name}"[:64]
        made.append(Broken(folder, held, name, expression, what, invariant, payload))
    return made
