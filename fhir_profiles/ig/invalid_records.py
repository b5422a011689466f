"""What may be wrong with a directory, an agreement, an audit row, a label change, a count."""

from __future__ import annotations

from fhir_profiles.ig.changes import CONTACT, Wrongs, drop, part, set_
from fhir_profiles.ig.valid_examples import CLINIC
from fhir_profiles.terminology import CONFIDENTIALITY

WRONG_RECORDS: Wrongs = {
    "partner-organization": (
        "Organization-harbor.json",
        [
            ("address", "Organization", "A location can kill.", set_("address", to=[{"line": ["12 Hidden Lane"]}])),
            (
                "mail",
                "Organization.telecom[0].system",
                "The public line is a phone.",
                set_("telecom", 0, "system", to="email"),
            ),
            ("no-name", "Organization.name", "A name is required.", drop("name")),
        ],
    ),
    "partner-service": (
        "HealthcareService-harbor-line.json",
        [
            ("suspended", "HealthcareService.active", "A suspended partner is unpublished.", set_("active", to=False)),
            ("location", "HealthcareService", "No location.", set_("location", to=[{"reference": "Location/1"}])),
            ("no-capacity-status", "HealthcareService.extension", "Room or none is required.", drop("extension")),
            (
                "no-sdoh",
                "HealthcareService.category[0].coding",
                "The category names sdoh.",
                drop("category", 0, "coding", 0),
            ),
        ],
    ),
    "partner-endpoint": (
        "Endpoint-harbor-fhir.json",
        [
            ("http", "Endpoint.address", "The address is https.", set_("address", to="http://dsv.example/fhir")),
            ("header", "Endpoint", "No header: it would carry a secret.", set_("header", to=["Authorization: x"])),
            ("off", "Endpoint.status", "A partner without FHIR has no Endpoint.", set_("status", to="off")),
        ],
    ),
    "partnership-mou": (
        "OrganizationAffiliation-mou-7.json",
        [
            (
                "one-party",
                "OrganizationAffiliation.participatingOrganization",
                "An agreement has two parties.",
                set_("participatingOrganization", "reference", to=CLINIC),
            ),
            (
                "no-document",
                "OrganizationAffiliation.extension[0].extension",
                "The signed paper is named.",
                part(*CONTACT, url="document"),
            ),
            (
                "ends-before-it-starts",
                "OrganizationAffiliation.period",
                "A period runs forward (per-1).",
                set_("period", "end", to="2026-01-01"),
            ),
        ],
    ),
    "mou": (
        "OrganizationAffiliation-mou-7.json",
        [
            (
                "no-promise",
                "OrganizationAffiliation.extension[0].extension",
                "The program promises a time.",
                part(*CONTACT, url="acknowledgeWithin"),
            ),
            (
                "promise-in-hours",
                "OrganizationAffiliation.extension[0].extension[1].value.code",
                "The promise is in minutes.",
                set_(*CONTACT, 1, "valueDuration", "code", to="h"),
            ),
            (
                "document-in-words",
                "OrganizationAffiliation.extension[0].extension[1]",
                "The signed paper is a document.",
                part(*CONTACT, url="document", to={"valueString": "in the drawer"}),
            ),
        ],
    ),
    "access-audit-event": (
        "AuditEvent-access-read.json",
        [
            ("action-of-another-kind", "AuditEvent.action", "The action fits the interaction.", set_("action", to="D")),
            ("no-labels", "AuditEvent.meta.security", "An audit row is labelled.", drop("meta", "security")),
            (
                "query",
                "AuditEvent.entity[1]",
                "No query: it names people.",
                set_("entity", 1, "query", to="bmFtZT1Sb2U="),
            ),
            ("two-agents", "AuditEvent.agent", "Who asked, the application and the vault.", drop("agent", 0)),
        ],
    ),
    "label-provenance": (
        "Provenance-label-raised.json",
        [
            (
                "no-version",
                "Provenance.target[0].reference",
                "The target is one version.",
                set_("target", 0, "reference", to="Observation/o1"),
            ),
            (
                "role-of-another-change",
                "Provenance.agent[0].role",
                "The role fits the change.",
                set_("agent", 0, "role", 0, "coding", 0, "code", to="DECLASSIFIER"),
            ),
            ("no-reason", "Provenance.reason", "The reason is labelling.", drop("reason")),
            (
                "below-restricted",
                "Provenance.meta.security",
                "Never weaker than its target.",
                set_("meta", "security", 0, to={"system": CONFIDENTIALITY, "code": "N"}),
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
                set_("group", 0, "population", 0, "count", to=7),
            ),
            ("subject", "MeasureReport", "Nobody is in it.", set_("subject", to={"reference": "Patient/p1"})),
            ("one-week", "MeasureReport", "A month or more.", set_("period", "end", to="2026-09-07")),
            ("individual", "MeasureReport.type", "A summary.", set_("type", to="individual")),
        ],
    ),
}
