"""What may be wrong with what is said about a person."""

from __future__ import annotations

from copy import deepcopy

from fhir_profiles.ig.changes import CONTACT, NARRATIVE, Wrongs, add, drop, part, set_
from fhir_profiles.ig.valid_examples import CLINIC, PROGRAM
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, RELEASE_SIGNER, RELEASE_TIER

WRONG_REFERRALS: Wrongs = {
    "disclosure-observation": (
        "Observation-violence-disclosed.json",
        [
            ("narrative", "Observation", "A narrative is never sent.", set_("text", to=NARRATIVE)),
            (
                "value-false",
                "Observation.value",
                "A disclosure says yes; there is no record of a no.",
                set_("valueBoolean", to=False),
            ),
            (
                "kind-unknown",
                "Observation.code.coding[0]",
                "The kind is one of the value set.",
                set_("code", "coding", 0, "code", to="other"),
            ),
            ("no-performer", "Observation.performer", "Who recorded it is required.", drop("performer")),
            (
                "category-of-another-kind",
                "Observation.category",
                "The Gravity category follows the kind.",
                set_("category", 1, "coding", 0, "code", to="elder-abuse"),
            ),
        ],
    ),
    "referral-service-request": (
        "ServiceRequest-request-survivor-calls.json",
        [
            ("reason", "ServiceRequest", "A referral gives no reason.", set_("reasonCode", to=[{"text": "abuse"}])),
            (
                "person-as-requester",
                "ServiceRequest.requester.reference",
                "The requester is an organization.",
                set_("requester", "reference", to="Practitioner/d1"),
            ),
            (
                "display",
                "ServiceRequest.subject",
                "A reference carries no name.",
                set_("subject", "display", to="Robin R."),
            ),
            (
                "contact-not-prohibited",
                "ServiceRequest.orderDetail",
                "Without a safe number, contact is prohibited.",
                drop("orderDetail", 0),
            ),
            ("no-safe-contact", "ServiceRequest.extension", "How the two will meet is required.", drop("extension")),
        ],
    ),
    "safe-contact": (
        "ServiceRequest-request-safe-number.json",
        [
            (
                "no-way-to-meet",
                "ServiceRequest.extension[0].extension",
                "How the two will meet is always chosen.",
                part(*CONTACT, url="meet"),
            ),
            (
                "number-without-safe-contact",
                "ServiceRequest.extension[0]",
                "A number is given only when they meet by safe contact.",
                part(*CONTACT, url="meet", to={"valueCode": "on-site"}),
            ),
            (
                "longer-than-30-days",
                "ServiceRequest.extension[0]",
                "A safe contact ends within 30 days.",
                part(*CONTACT, url="expiresOn", to={"valueDate": "2026-11-15"}),
            ),
            (
                "mail-address",
                "ServiceRequest.extension[0].extension[12].value.system",
                "The safe number is a phone.",
                part(*CONTACT, url="telecom", to={"valueContactPoint": {"system": "email", "value": "555-0142"}}),
            ),
        ],
    ),
    "release-signer": (
        "Consent-release-a.json",
        [
            (
                "unknown-signer",
                "Consent.extension[0].value",
                "The survivor signs, or a representative who is not the abuser.",
                set_("extension", 0, "valueCode", to="guardian"),
            ),
            (
                "words-instead-of-a-code",
                "Consent.extension[0]",
                "A code, and no words.",
                set_("extension", 0, to={"url": RELEASE_SIGNER, "valueString": "her mother"}),
            ),
            (
                "signed-twice",
                "Consent.extension[1]",
                "One release, one signer.",
                add("extension", item={"url": RELEASE_SIGNER, "valueCode": "self"}),
            ),
            ("nobody-signed", "Consent.extension", "Who signed is always said.", drop("extension")),
        ],
    ),
    "release-tier": (
        "Consent-release-b.json",
        [
            (
                "unknown-tier",
                "Consent.provision.extension[0].value",
                "None, contact, appointment or outcome.",
                set_("provision", "extension", 0, "valueCode", to="everything"),
            ),
            (
                "no-value",
                "Consent.provision.extension[0].value",
                "A tier is named, or the extension is left out.",
                drop("provision", "extension", 0, "valueCode"),
            ),
            (
                "two-tiers",
                "Consent.provision.extension[1]",
                "One release, one tier.",
                add("provision", "extension", item={"url": RELEASE_TIER, "valueCode": "outcome"}),
            ),
            (
                "on-the-release-itself",
                "Consent.extension[1]",
                "The tier stands in the provision.",
                add("extension", item={"url": RELEASE_TIER, "valueCode": "contact"}),
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
                set_("status", to="received"),
            ),
            ("description", "Task", "No free text.", set_("description", to="Call her mother")),
            (
                "no-deadline",
                "Task.restriction.period.end",
                "Until when is required.",
                set_("restriction", "period", to={"start": "2026-10-01"}),
            ),
            (
                "same-organization",
                "Task.owner",
                "Requester and owner are two organizations.",
                set_("owner", "reference", to=CLINIC),
            ),
            (
                "status-reason-without-code",
                "Task.statusReason.coding",
                "A reason is a code.",
                set_("statusReason", to={"text": "No capacity today"}),
            ),
        ],
    ),
    "release-consent": (
        "Consent-release-a.json",
        [
            ("deny", "Consent.provision.type", "A release permits.", set_("provision", "type", to="deny")),
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
                set_("extension", 0, "valueCode", to="partner"),
            ),
            (
                "longer-than-90-days",
                "Consent.provision.period",
                "A release lasts 90 days at most.",
                set_("provision", "period", "end", to="2027-02-01"),
            ),
            (
                "recipient-is-discloser",
                "Consent.provision.actor[0].reference",
                "A release has one direction.",
                set_("organization", 0, "reference", to=PROGRAM),
            ),
            ("no-end", "Consent.provision.period.end", "A release has an end.", drop("provision", "period", "end")),
        ],
    ),
    "proposed-appointment": (
        "Appointment-visit-proposed.json",
        [
            ("comment", "Appointment", "No comment, reason or description.", set_("comment", to="Bring documents")),
            (
                "telling-type",
                "Appointment.serviceType[0].text",
                "The type is neutral.",
                set_("serviceType", 0, "text", to="Safety planning"),
            ),
            (
                "pending-without-time",
                "Appointment.status",
                "Pending is not a status here.",
                set_("status", to="pending"),
            ),
            (
                "start-without-end",
                "Appointment",
                "Start and end come together (app-2).",
                set_("start", to="2026-10-02T13:00:00Z"),
            ),
            (
                "organization-as-actor",
                "Appointment.participant[1].actor.reference",
                "An actor is never an Organization (R4).",
                set_("participant", 1, "actor", "reference", to=CLINIC),
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
                set_("basedOn", to=[{"reference": "ServiceRequest/s1"}]),
            ),
            (
                "sensitive-label",
                "Appointment.meta.security",
                "A copy carries R at most.",
                add(
                    "meta",
                    "security",
                    item={"system": ACT_CODE, "code": "SDV"},
                ),
            ),
            ("no-end", "Appointment.end", "A visit in a schedule has an end.", drop("end")),
        ],
    ),
    "referral-patient": (
        "Patient-robin.json",
        [
            ("birth-date", "Patient", "No birth date.", set_("birthDate", to="1990-01-01")),
            ("legal-name", "Patient.name[0]", "The name to use, no other.", set_("name", 0, "family", to="Roe")),
            ("gender", "Patient.gender", "Gender is unknown.", set_("gender", to="female")),
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
                set_(
                    "entry", 1, "resource", "provision", "actor", 0, "reference", "reference", to="Organization/other"
                ),
            ),
            (
                "release-a-to-another",
                "Bundle.entry[5].resource.provision.actor[0].reference",
                "Release A is to the one who asked.",
                set_(
                    "entry", 5, "resource", "provision", "actor", 0, "reference", "reference", to="Organization/other"
                ),
            ),
            ("batch", "Bundle.type", "A referral is a transaction.", set_("type", to="batch")),
            (
                "extra-resource",
                "Bundle.entry[4].resource",
                "Only the five types.",
                set_(
                    "entry", 4, "resource", to={"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
                ),
            ),
            (
                "two-levels",
                "Bundle.meta.security",
                "One confidentiality code.",
                add("meta", "security", item={"system": CONFIDENTIALITY, "code": "R"}),
            ),
            (
                "already-accepted",
                "Bundle.entry[3].resource.status",
                "A new referral begins as requested.",
                set_("entry", 3, "resource", "status", to="accepted"),
            ),
            (
                "address-of-a-person",
                "Bundle.entry[0].resource",
                "No address.",
                set_("entry", 0, "resource", "address", to=[{"city": "X"}]),
            ),
        ],
    ),
}
