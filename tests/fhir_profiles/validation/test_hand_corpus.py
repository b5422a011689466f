"""Mistakes against our profiles, written by hand: nine kinds of them, each told with its code and its FHIRPath."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from mistakes import GONE, TWICE, Payload, Way, broken

from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, LAW_BASIS, OBSERVATION_VALUE, SEC_LABEL_BASIS
from fhir_profiles.validation import PROFILES, validate
from fhir_profiles.validation.examine import examine

CANARY = "CANARY 12 Hidden Lane"

TASK, REQUEST, RELEASE = "Task-task-booked", "ServiceRequest-request-safe-number", "Consent-release-b"
VISIT, COPY, PERSON = "Appointment-visit-booked", "Appointment-visit-in-the-schedule", "Patient-robin"
DISCLOSURE, PARTNER, SERVICE = "Observation-stalking", "Organization-harbor", "HealthcareService-harbor-line"
ENDPOINT, MOU, BUNDLE = "Endpoint-harbor-fhir", "OrganizationAffiliation-mou-7", "Bundle-inbound-urn"
ACCESS, CHANGE, COUNTS = "AuditEvent-access-read", "Provenance-label-raised", "MeasureReport-counts-of-september"
CONTACT = ("extension", 0, "extension")
SECURITY = ("meta", "security")
LAW = {"system": LAW_BASIS, "code": "VAWA"}
E_TASK = ("entry", 3, "resource")


def label(system: str, code: str) -> Payload:
    return {"system": system, "code": code}


# (kind, valid example, way, new value or GONE or TWICE, FHIRPath that is told, code that is told)
WRONG: list[tuple[str, str, Way, Any, str, str]] = [
    ("cardinality", TASK, ("status",), GONE, "Task.status", "required"),
    ("cardinality", TASK, ("for",), GONE, "Task.for", "required"),
    ("cardinality", TASK, ("identifier",), [], "Task.identifier", "structure"),
    ("cardinality", TASK, ("code", "coding", 0), TWICE, "Task.code.coding", "structure"),
    ("cardinality", REQUEST, ("performer", 0), TWICE, "ServiceRequest.performer", "structure"),
    ("cardinality", REQUEST, ("supportingInfo",), GONE, "ServiceRequest.supportingInfo", "required"),
    ("cardinality", RELEASE, ("provision", "actor", 0), TWICE, "Consent.provision.actor", "structure"),
    ("cardinality", RELEASE, ("provision", "period", "end"), GONE, "Consent.provision.period.end", "required"),
    ("cardinality", VISIT, ("participant", 0, "status"), GONE, "Appointment.participant[0].status", "required"),
    ("cardinality", PERSON, ("name", 0), TWICE, "Patient.name", "structure"),
    ("cardinality", DISCLOSURE, ("performer",), GONE, "Observation.performer", "required"),
    ("cardinality", BUNDLE, ("entry", 1, "request"), GONE, "Bundle.entry[1].request", "required"),
    ("cardinality", BUNDLE, (*E_TASK, "focus"), GONE, "Bundle.entry[3].resource.focus", "required"),
    ("cardinality", COUNTS, ("group",), GONE, "MeasureReport.group", "required"),
    ("binding", TASK, ("status",), "banana", "Task.status", "code-invalid"),
    ("binding", TASK, ("intent",), "proposal", "Task.intent", "code-invalid"),
    ("binding", TASK, ("code", "coding", 0, "code"), "approve", "Task.code.coding[0]", "code-invalid"),
    ("binding", REQUEST, (*CONTACT, 0, "valueCode"), "at-home",
     "ServiceRequest.extension[0].extension[0].value", "code-invalid"),
    ("binding", REQUEST, ("orderDetail", 1, "coding", 0, "code"), "money",
     "ServiceRequest.orderDetail[1].coding[0]", "code-invalid"),
    ("binding", RELEASE, ("provision", "type"), "deny", "Consent.provision.type", "code-invalid"),
    ("binding", RELEASE, ("extension", 0, "valueCode"), "partner", "Consent.extension[0].value", "code-invalid"),
    ("binding", VISIT, ("status",), "no-show", "Appointment.status", "code-invalid"),
    ("binding", DISCLOSURE, ("code", "coding", 0, "code"), "gossip", "Observation.code.coding[0]", "code-invalid"),
    ("binding", PARTNER, ("telecom", 0, "system"), "email", "Organization.telecom[0].system", "code-invalid"),
    ("binding", ENDPOINT, ("status",), "off", "Endpoint.status", "code-invalid"),
    ("binding", COUNTS, ("status",), "done", "MeasureReport.status", "code-invalid"),
    ("type", TASK, ("status",), True, "Task.status", "structure"),
    ("type", TASK, ("identifier",), {"system": "https://dsv.example/id", "value": "1"}, "Task.identifier", "structure"),
    ("type", REQUEST, (*CONTACT, 10, "valueBoolean"), "true",
     "ServiceRequest.extension[0].extension[10].value", "structure"),
    ("type", REQUEST, ("subject",), "Patient/p1", "ServiceRequest.subject", "structure"),
    ("type", DISCLOSURE, ("valueBoolean",), 1, "Observation.value", "structure"),
    ("type", VISIT, ("serviceType", 0, "text"), ["Office visit"], "Appointment.serviceType[0].text", "structure"),
    ("type", SERVICE, ("active",), "true", "HealthcareService.active", "structure"),
    ("type", MOU, (*CONTACT, 1, "valueDuration", "value"), "30",
     "OrganizationAffiliation.extension[0].extension[1].value.value", "structure"),
    ("type", BUNDLE, ("entry", 2), "ServiceRequest", "Bundle.entry[2]", "structure"),
    ("type", BUNDLE, ("entry", 2, "fullUrl"), 3, "Bundle.entry[2].fullUrl", "structure"),
    ("type", COUNTS, ("group", 0, "population", 0, "count"), "42", "MeasureReport.group[0].population[0].count",
     "structure"),
    ("unknown element", TASK, ("note",), [{"text": CANARY}], "Task", "structure"),
    ("unknown element", TASK, ("restriction", CANARY), 1, "Task.restriction", "structure"),
    ("unknown element", REQUEST, ("reasonCode",), [{"text": CANARY}], "ServiceRequest", "structure"),
    ("unknown element", REQUEST, ("subject", "display"), CANARY, "ServiceRequest.subject", "structure"),
    ("unknown element", PERSON, ("birthDate",), "1990-01-01", "Patient", "structure"),
    ("unknown element", PERSON, ("name", 0, "family"), CANARY, "Patient.name[0]", "structure"),
    ("unknown element", DISCLOSURE, ("text",), {"status": "generated", "div": f"<div>{CANARY}</div>"}, "Observation",
     "structure"),
    ("unknown element", DISCLOSURE, ("_effectiveDateTime",), {"id": "x"}, "Observation", "structure"),
    ("unknown element", SERVICE, ("location",), [{"reference": "Location/1"}], "HealthcareService", "structure"),
    ("unknown element", BUNDLE, (*E_TASK, CANARY), CANARY, "Bundle.entry[3].resource", "structure"),
    ("unknown element", REQUEST, ("extension", 0, "url"), "https://x.example/e", "ServiceRequest.extension[0]",
     "extension"),
    ("date", TASK, ("authoredOn",), "2026-02-29", "Task.authoredOn", "value"),
    ("date", TASK, ("restriction", "period", "end"), "2026-10-02T24:00:00Z", "Task.restriction.period.end", "value"),
    ("date", RELEASE, ("dateTime",), "2026-10", "Consent.dateTime", "value"),
    ("date", RELEASE, ("provision", "period", "start"), "2026-13-01", "Consent.provision.period.start", "value"),
    ("date", VISIT, ("start",), "2026-10-02", "Appointment.start", "value"),
    ("date", VISIT, ("end",), "2026-10-02T13:30:00", "Appointment.end", "value"),
    ("date", DISCLOSURE, ("effectiveDateTime",), "01.10.2026", "Observation.effective", "value"),
    ("date", REQUEST, (*CONTACT, 12, "valueDate"), "2026-09-31", "ServiceRequest.extension[0].extension[12].value",
     "value"),
    ("date", REQUEST, (*CONTACT, 6, "valueTime"), "9 am", "ServiceRequest.extension[0].extension[6].value", "value"),
    ("date", MOU, ("period", "end"), "2027-06-31", "OrganizationAffiliation.period.end", "value"),
    ("date", COUNTS, ("period", "end"), "2026-09-31", "MeasureReport.period.end", "value"),
    ("reference", TASK, ("owner", "reference"), "Practitioner/d1", "Task.owner.reference", "value"),
    ("reference", TASK, ("focus", "reference"), "Task/t1", "Task.focus.reference", "value"),
    ("reference", TASK, ("for", "reference"), "urn:uuid:00000000-0000-4000-8000-000000000001", "Task.for.reference",
     "value"),
    ("reference", REQUEST, ("subject", "reference"), "Group/g1", "ServiceRequest.subject.reference", "value"),
    ("reference", REQUEST, ("requester", "reference"), "#gone", "ServiceRequest.requester.reference", "value"),
    ("reference", VISIT, ("participant", 1, "actor", "reference"), "Organization/hc1",
     "Appointment.participant[1].actor.reference", "value"),
    ("reference", DISCLOSURE, ("subject", "reference"), "Patient/" + "x" * 65,
     "Observation.subject.reference", "value"),
    ("reference", ENDPOINT, ("managingOrganization", "reference"), "Patient/1",
     "Endpoint.managingOrganization.reference", "value"),
    ("reference", BUNDLE, (*E_TASK, "for", "reference"), "urn:uuid:00000000-0000-4000-8000-000000000009",
     "Bundle.entry[3].resource.for", "business-rule"),
    ("slice", REQUEST, ("category", 1), TWICE, "ServiceRequest.category", "structure"),
    ("slice", REQUEST, (*CONTACT, 0), GONE, "ServiceRequest.extension[0].extension", "required"),
    ("slice", REQUEST, (*CONTACT, 1), TWICE, "ServiceRequest.extension[0].extension[13]", "structure"),
    ("slice", DISCLOSURE, ("category", 0), GONE, "Observation.category", "structure"),
    ("slice", RELEASE, ("category", 0, "coding", 0, "system"), "https://x.example/s", "Consent.category[0].coding[0]",
     "code-invalid"),
    ("slice", RELEASE, ("extension",), GONE, "Consent.extension", "required"),
    ("slice", SERVICE, ("extension",), GONE, "HealthcareService.extension", "required"),
    ("slice", MOU, (*CONTACT, 0), GONE, "OrganizationAffiliation.extension[0].extension", "required"),
    ("slice", BUNDLE, ("entry", 0), TWICE, "Bundle.entry", "structure"),
    ("slice", BUNDLE, ("entry", 4, "resource"), {"resourceType": "Observation", "status": "final"},
     "Bundle.entry[4].resource", "not-supported"),
    ("invariant", TASK, ("owner", "reference"), "Organization/harbor", "Task.owner", "invariant"),
    ("invariant", TASK, ("identifier", 0), TWICE, "Task.identifier", "invariant"),
    ("invariant", REQUEST, ("orderDetail", 0), TWICE, "ServiceRequest.orderDetail", "invariant"),
    ("invariant", REQUEST, (*CONTACT, 7, "valueTime"), "08:00:00", "ServiceRequest.extension[0]", "invariant"),
    ("invariant", RELEASE, ("provision", "period", "start"), "2026-11-01", "Consent.provision.period", "invariant"),
    ("invariant", RELEASE, ("provision", "data", 0), TWICE, "Consent.provision.data", "invariant"),
    ("invariant", VISIT, ("end",), GONE, "Appointment", "invariant"),
    ("invariant", VISIT, ("end",), "2026-10-02T12:00:00Z", "Appointment.end", "invariant"),
    ("invariant", MOU, ("participatingOrganization", "reference"), "Organization/hc1",
     "OrganizationAffiliation.participatingOrganization", "invariant"),
    ("invariant", BUNDLE, ("entry", 1, "fullUrl"), "urn:uuid:00000000-0000-4000-8000-000000000001", "Bundle.entry",
     "invariant"),
    ("invariant", COUNTS, ("group", 0, "population", 0, "count"), 7, "MeasureReport.group[0].population[0]",
     "invariant"),
    ("invariant", COUNTS, ("period", "end"), "2026-09-07", "MeasureReport", "invariant"),
    ("label", TASK, (*SECURITY, 0, "code"), "N", "Task.meta.security", "business-rule"),
    ("label", TASK, (*SECURITY, 5), label(CONFIDENTIALITY, "R"), "Task.meta.security", "business-rule"),
    ("label", TASK, (*SECURITY, 5), label(ACT_CODE, "DELAU"), "Task.meta.security", "business-rule"),
    ("label", TASK, (*SECURITY, 5), label(OBSERVATION_VALUE, "REDACTED"), "Task.meta.security", "business-rule"),
    ("label", TASK, (*SECURITY, 1, "code"), CANARY, "Task.meta.security[1].code", "value"),
    ("label", TASK, (*SECURITY, 1, "system"), "https://x.example/s", "Task.meta.security[1]", "code-invalid"),
    ("label", TASK, (*SECURITY, 1, "display"), CANARY, "Task.meta.security[1]", "structure"),
    ("label", BUNDLE, (*SECURITY, 0, "code"), "R", "Bundle.meta.security", "business-rule"),
    ("label", BUNDLE, (*E_TASK, *SECURITY, 0, "code"), "R", "Bundle.entry[3].resource.meta.security", "business-rule"),
    ("label", COPY, ("meta", "security", 0, "extension"), [{"url": SEC_LABEL_BASIS, "valueCoding": LAW}],
     "Appointment.meta.security[0]", "structure"),
    ("label", ACCESS, SECURITY, GONE, "AuditEvent.meta.security", "required"),
    ("label", CHANGE, (*SECURITY, 0, "code"), "L", "Provenance.meta.security", "business-rule"),
    ("label", RELEASE, ("provision", "securityLabel", 1), GONE, "Consent.provision.securityLabel", "business-rule"),
]  # fmt: skip
LEAST = {
    "cardinality": 12, "binding": 10, "type": 10, "unknown element": 10, "date": 10, "reference": 8, "slice": 8,
    "invariant": 10, "label": 10,
}  # fmt: skip


def errors(payload: Payload, profile: str) -> list[tuple[str, str]]:
    issues = (validate if profile in PROFILES else examine)(payload, profile)
    assert "CANARY" not in repr(issues)
    return [(issue.expression, issue.code) for issue in issues if issue.severity == "error"]


@pytest.mark.parametrize(("kind", "name", "way", "value", "expression", "code"), WRONG)
def test_a_mistake_is_told_with_its_code_and_its_place(
    kind: str, name: str, way: Way, value: Any, expression: str, code: str, every_example: list[Any]
) -> None:
    """A program's engineer reads what is wrong and where, and none of what they sent comes back."""
    example = next(one for one in every_example if one.name == name)
    assert errors(example.payload, example.profile) == []
    told = errors(broken(example.payload, (way, value)), example.profile)
    assert (expression, code) in told, kind
    above = {expression[:end] for end, sign in enumerate(expression) if sign in ".["} | {expression}
    assert [one for one, _ in told if one not in above and not one.startswith(expression)] == []


def test_the_table_has_every_kind_of_mistake() -> None:
    """Nine kinds, a hundred mistakes, every profile that guards a door."""
    counts = Counter(kind for kind, *_ in WRONG)
    assert {kind: counts[kind] for kind, least in LEAST.items() if counts[kind] < least} == {}
    assert len(WRONG) >= 100
    assert len({name for _, name, *_ in WRONG}) >= 14


def test_what_is_right_has_no_error(every_example: list[Any]) -> None:
    """Sixty and more correct resources pass without an error, with few labels, many labels and old spellings."""
    assert len(every_example) >= 60
    for example in every_example:
        assert errors(example.payload, example.profile) == [], example.name
