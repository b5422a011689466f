"""The guide's invalid examples: each a valid one with one thing wrong, and where the error must be found."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

from fhir_profiles.ig.changes import CONTACT, Change, add, both, drop, part, set_
from fhir_profiles.ig.invalid_records import WRONG_RECORDS
from fhir_profiles.ig.invalid_referrals import WRONG_REFERRALS
from fhir_profiles.ig.valid_examples import URN, valid
from fhir_profiles.terminology import (
    ACT_CODE,
    AUDIT_ENTITY_TYPE,
    CONFIDENTIALITY,
    OBJECT_ROLE,
    OBSERVATION_VALUE,
    RESTFUL_INTERACTION,
    Payload,
)


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
        add("meta", "security", item={"system": ACT_CODE, "code": "DELAU"}),
    ),
    (
        "wrl-4",
        "referral-task",
        "Task-task-requested.json",
        "redacted-view",
        "Task.meta.security",
        "A redacted view is never written back.",
        add("meta", "security", item={"system": OBSERVATION_VALUE, "code": "REDACTED"}),
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
        "wae-2",
        "access-audit-event",
        "AuditEvent-decision-permitted.json",
        "subtype-of-an-access",
        "AuditEvent.subtype[0]",
        "The subtype belongs to the type.",
        set_("subtype", 0, to={"system": RESTFUL_INTERACTION, "code": "read"}),
    ),
    (
        "wae-3",
        "access-audit-event",
        "AuditEvent-decision-permitted.json",
        "no-organization",
        "AuditEvent.agent",
        "A decision names the organization of who asked.",
        drop("agent", 2),
    ),
    (
        "wae-4",
        "access-audit-event",
        "AuditEvent-decision-permitted.json",
        "item-in-a-decision",
        "AuditEvent.entity",
        "BALP closes the entities of a decision: the item stands on the access.",
        add(
            "entity",
            item={
                "what": {"reference": "Task/t1"},
                "type": {"system": AUDIT_ENTITY_TYPE, "code": "2"},
                "role": {"system": OBJECT_ROLE, "code": "4"},
            },
        ),
    ),
    (
        "wae-4",
        "access-audit-event",
        "AuditEvent-disclosure-sent.json",
        "disclosure-without-release",
        "AuditEvent.entity",
        "A disclosure names its release.",
        drop("entity", 2),
    ),
    (
        "wae-5",
        "access-audit-event",
        "AuditEvent-disclosure-sent.json",
        "nobody-asks",
        "AuditEvent.agent",
        "One agent asks, for a purpose.",
        both(drop("agent", 0, "purposeOfUse"), set_("agent", 0, "requestor", to=False)),
    ),
    (
        "wae-6",
        "access-audit-event",
        "AuditEvent-disclosure-received.json",
        "recorded-by-another",
        "AuditEvent.source.observer",
        "The recipient records what it received.",
        set_("source", "observer", "reference", to="Device/other"),
    ),
    (
        "wae-7",
        "access-audit-event",
        "AuditEvent-access-read.json",
        "balp-of-a-refusal",
        "AuditEvent.meta.profile",
        "BALP's PatientRead is a success.",
        set_("outcome", to="8"),
    ),
    (
        "wlp-4",
        "label-provenance",
        "Provenance-label-lowered.json",
        "lowered-by-one",
        "Provenance.agent",
        "Nobody lowers a label alone.",
        drop("agent", 1),
    ),
    (
        "wlp-5",
        "label-provenance",
        "Provenance-label-lowered.json",
        "lowered-without-request",
        "Provenance.entity",
        "A label is lowered on the survivor's recorded request.",
        drop("entity", 1),
    ),
    (
        "wmr-3",
        "program-measure-report",
        "MeasureReport-counts-of-september.json",
        "one-name-twice",
        "MeasureReport.group",
        "Each count has a name of its own.",
        set_("group", 1, "code", "text", to="Referrals offered"),
    ),
    (
        "wap-2",
        "proposed-appointment",
        "Appointment-visit-booked.json",
        "ends-before-it-starts",
        "Appointment.end",
        "A visit ends after it starts.",
        set_("end", to="2026-10-02T12:00:00Z"),
    ),
    (
        "wrx-1",
        "disclosure-observation",
        "Observation-violence-disclosed.json",
        "month-only",
        "Observation.effective",
        "Dates are whole.",
        set_("effectiveDateTime", to="2026-10"),
    ),
    (
        "wlp-2",
        "label-provenance",
        "Provenance-label-raised.json",
        "two-kinds-of-change",
        "Provenance.activity",
        "LABEL and one kind of change.",
        set_("activity", "coding", 0, "code", to="DRIVLABEL"),
    ),
    (
        "wmo-1",
        "partnership-mou",
        "OrganizationAffiliation-mou-7.json",
        "promise-of-no-time",
        "OrganizationAffiliation.extension[0].extension[1].value.value",
        "From one minute to one week.",
        set_(*CONTACT, 1, "valueDuration", "value", to=0),
    ),
    (
        "wrp-1",
        "partner-organization",
        "Organization-harbor.json",
        "words-as-a-number",
        "Organization.telecom[0].value",
        "A phone number is digits.",
        set_("telecom", 0, "value", to="ask for Ann"),
    ),
    (
        "wsc-2",
        "safe-contact",
        "ServiceRequest-request-survivor-calls.json",
        "voicemail-without-number",
        "ServiceRequest.extension[0]",
        "Voicemail belongs to a number.",
        part(*CONTACT, url="voicemail", to={"valueCode": "none"}),
    ),
    (
        "wsc-3",
        "safe-contact",
        "ServiceRequest-request-safe-number.json",
        "hours-backwards",
        "ServiceRequest.extension[0]",
        "Hours begin before they end.",
        part(*CONTACT, url="to", to={"valueTime": "08:00:00"}),
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
        set_("performer", 0, "reference", to="Patient/p2"),
    ),
    (
        "wco-3",
        "release-consent",
        "Consent-release-a.json",
        "does-not-name-sdv",
        "Consent.provision.securityLabel",
        "The release names what it opens.",
        drop("provision", "securityLabel", 1),
    ),
    (
        "wco-4",
        "release-consent",
        "Consent-release-a.json",
        "two-levels",
        "Consent.provision.securityLabel",
        "One level.",
        add("provision", "securityLabel", item={"system": CONFIDENTIALITY, "code": "R"}),
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
        set_("entry", 0, "fullUrl", to="https://dsv.example/fhir/Person/x"),
    ),
    (
        "wrb-3",
        "referral-bundle",
        "Bundle-outbound-http.json",
        "two-requesters",
        "Bundle.entry[2].resource.requester",
        "Request and task name one requester.",
        set_("entry", 2, "resource", "requester", "reference", to="Organization/other"),
    ),
    (
        "wrb-4",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "task-leads-elsewhere",
        "Bundle.entry[3].resource.focus",
        "The task leads to the request.",
        set_("entry", 3, "resource", "focus", "reference", to=URN.format(9)),
    ),
    (
        "wrb-5",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "task-for-another",
        "Bundle.entry[3].resource.for",
        "Request and task lead to one person.",
        set_("entry", 3, "resource", "for", "reference", to=URN.format(9)),
    ),
    (
        "wrb-8",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "release-without-task",
        "Bundle.entry[1].resource.provision.data",
        "Each release names the request and the task.",
        drop("entry", 1, "resource", "provision", "data", 1),
    ),
    (
        "wrb-9",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "no-such-release",
        "Bundle.entry[2].resource.supportingInfo[0]",
        "The request leads to a release.",
        set_("entry", 2, "resource", "supportingInfo", 0, "reference", to=URN.format(9)),
    ),
    (
        "wrb-10",
        "referral-bundle",
        "Bundle-inbound-urn.json",
        "visit-of-another-request",
        "Bundle.entry[4].resource.basedOn[0]",
        "The visit is for the request.",
        set_("entry", 4, "resource", "basedOn", 0, "reference", to=URN.format(9)),
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
        for folder, (source, wrongs) in {**WRONG_REFERRALS, **WRONG_RECORDS}.items()
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
