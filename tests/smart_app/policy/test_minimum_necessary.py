"""What leaves to a partner, to the byte (R12)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_profiles.validation import validate
from smart_app.policy.minimum_necessary import (
    OutboundError,
    items_in_words,
    outbound_bundle,
    reason_for_omission,
    trimmed,
)

Payload = dict[str, Any]
KINDS = ("Patient", "Consent", "ServiceRequest", "Task")
CANARY = "CANARY"
TELLING: dict[str, Payload] = {
    "Patient": {
        "address": [{"line": [CANARY]}],
        "birthDate": CANARY,
        "telecom": [{"system": "phone", "value": CANARY}],
        "contact": [{"name": {"text": CANARY}}],
        "text": {"div": CANARY},
        "contained": [{"id": CANARY}],
        "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "valueString": CANARY}],
        "photo": [{"title": CANARY}],
        "generalPractitioner": [{"reference": "Practitioner/1", "display": CANARY}],
    },
    "Consent": {"sourceAttachment": {"title": CANARY}, "verification": [{"verifiedWith": CANARY}], "text": CANARY},
    "ServiceRequest": {
        "note": [{"text": CANARY}],
        "reasonCode": [{"text": CANARY}],
        "reasonReference": [{"reference": CANARY}],
        "insurance": [{"reference": CANARY}],
        "encounter": {"reference": CANARY},
        "locationReference": [{"reference": CANARY}],
        "priority": CANARY,
        "occurrenceDateTime": CANARY,
    },
    "Task": {
        "description": CANARY,
        "note": [{"text": CANARY}],
        "encounter": {"reference": CANARY},
        "businessStatus": {"text": CANARY},
        "statusReason": {"text": CANARY},
        "input": [{"valueString": CANARY}],
        "lastModified": CANARY,
    },
}


def send(parts: dict[str, Payload], **changes: Any) -> Payload:
    given = {"public_base_url": "https://clinic.example", "bundle_identifier": "b-81", **changes}
    return outbound_bundle(*(parts[kind] for kind in KINDS), **given)


def sdv(*more: tuple[str, str]) -> list[dict[str, str]]:
    prefix = "http://terminology.hl7.org/CodeSystem/v3-"
    labels = [
        ("Confidentiality", "V"),
        ("ActCode", "SDV"),
        ("ActCode", "NORDSCLCD"),
        ("ActCode", "NOREUSE"),
        ("ActCode", "PERSISTLABEL"),
        *more,
    ]
    return [{"system": prefix + system, "code": code} for system, code in labels]


OURS = "https://warm-referral.example/fhir"
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"


def one(system: str, code: str) -> Payload:
    return {"coding": [{"system": system, "code": code}]}


GOLDEN: list[Payload] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"security": sdv(("ActCode", "LOCIS"))},
        "identifier": [{"system": "https://clinic.example/id", "value": "x-81"}],
        "name": [{"use": "anonymous", "given": ["Robin"]}],
        "gender": "unknown",
    },
    {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {
            "profile": [f"{OURS}/StructureDefinition/release-consent"],
            "security": sdv(("ActCode", "CPLYCD")),
        },
        "extension": [{"url": f"{OURS}/StructureDefinition/release-signer", "valueCode": "self"}],
        "status": "active",
        "scope": one("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [
            one("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IDSCL"),
            one("http://loinc.org", "59284-0"),
        ],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-10-01",
        "performer": [{"reference": "Patient/p1"}],
        "organization": [{"reference": "Organization/hc1"}],
        "sourceReference": {
            "type": "DocumentReference",
            "identifier": {"system": f"{OURS}/id/release", "value": "roi-7"},
        },
        "policy": [{"uri": "https://clinic.example/policy"}],
        "provision": {
            "type": "permit",
            "period": {"start": "2026-10-01", "end": "2026-10-31"},
            "actor": [
                {
                    "role": one("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
                    "reference": {"reference": "Organization/harbor"},
                }
            ],
            "securityLabel": sdv()[:2],
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "COC"}],
            "data": [
                {"meaning": "instance", "reference": {"reference": "ServiceRequest/s1"}},
                {"meaning": "instance", "reference": {"reference": "Task/t1"}},
            ],
        },
    },
    {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "meta": {
            "profile": [f"{OURS}/StructureDefinition/referral-service-request"],
            "security": sdv(("ActReason", "COC")),
        },
        "extension": [
            {
                "url": f"{OURS}/StructureDefinition/safe-contact",
                "extension": [
                    {"url": "meet", "valueCode": "safe-contact"},
                    {"url": "telecom", "valueContactPoint": {"system": "phone", "value": "555-0142"}},
                    {"url": "voicemail", "valueCode": "silent"},
                    {"url": "day", "valueCode": "mon"},
                    {"url": "day", "valueCode": "tue"},
                    {"url": "from", "valueTime": "09:00:00"},
                    {"url": "to", "valueTime": "12:00:00"},
                    {"url": "sayAs", "valueString": "the library"},
                    {"url": "codeWord", "valueString": "blue"},
                    {"url": "language", "valueCode": "es"},
                    {"url": "interpreter", "valueBoolean": True},
                    {"url": "askedOn", "valueDate": "2026-10-01"},
                    {"url": "expiresOn", "valueDate": "2026-10-31"},
                ],
            }
        ],
        "status": "active",
        "intent": "order",
        "category": [one("http://snomed.info/sct", "410606002"), one(GRAVITY, "sdoh-category-unspecified")],
        "code": one("http://snomed.info/sct", "308440001"),
        "orderDetail": [
            one(f"{OURS}/CodeSystem/referral-need", "housing"),
            one(f"{OURS}/CodeSystem/referral-need", "legal"),
        ],
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-10-01",
        "requester": {"reference": "Organization/hc1"},
        "performer": [{"reference": "Organization/harbor"}],
        "supportingInfo": [{"reference": "Consent/c1"}],
    },
    {
        "resourceType": "Task",
        "id": "t1",
        "meta": {"profile": [f"{OURS}/StructureDefinition/referral-task"], "security": sdv(("ActReason", "COC"))},
        "identifier": [{"system": "https://clinic.example/id", "value": "t-81"}],
        "status": "requested",
        "intent": "order",
        "code": one("http://hl7.org/fhir/CodeSystem/task-code", "fulfill"),
        "focus": {"reference": "ServiceRequest/s1"},
        "for": {"reference": "Patient/p1"},
        "authoredOn": "2026-10-01",
        "requester": {"reference": "Organization/hc1"},
        "owner": {"reference": "Organization/harbor"},
        "restriction": {"period": {"end": "2026-10-02T22:00:00Z"}},
    },
]


@pytest.mark.rule("R12")
def test_rule_R12_the_partner_receives_exactly_this(parts: dict[str, Payload]) -> None:
    """The whole message, to the byte: no narrative, diagnosis, record number, birth date, address, insurance,
    encounter, reason or clinician.

    Fails when any path is added to or taken from "keep" in the TOML.
    """
    bundle = send(parts)
    assert json.dumps([entry["resource"] for entry in bundle["entry"]], sort_keys=True) == json.dumps(
        GOLDEN, sort_keys=True
    )
    assert {key: value for key, value in bundle.items() if key != "entry"} == {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{OURS}/StructureDefinition/referral-bundle"], "security": sdv()[:1]},
        "identifier": {"system": f"{OURS}/id/bundle", "value": "b-81"},
        "type": "transaction",
    }
    assert [(entry["fullUrl"], entry["request"]) for entry in bundle["entry"]] == [
        (f"https://clinic.example/fhir/{kind}/{id_}", {"method": "POST", "url": kind})
        for kind, id_ in zip(KINDS, ("p1", "c1", "s1", "t1"), strict=True)
    ]
    assert validate(bundle, "referral-bundle") == []


@pytest.mark.rule("R12")
def test_rule_R12_whatever_the_records_hold_besides_stays_here(parts: dict[str, Payload]) -> None:
    """Even if the stored records held a story, a diagnosis or an address, none of it would be in the message.

    Fails when ``trimmed`` copies the payload and removes from it.
    """
    clean = send(parts)
    for kind, addition in TELLING.items():
        parts[kind].update(addition)
    parts["ServiceRequest"]["subject"]["display"] = CANARY
    parts["ServiceRequest"]["extension"].append({"url": "https://other.example", "valueString": CANARY})
    parts["ServiceRequest"]["extension"][0]["extension"].append({"url": "shelter", "valueString": CANARY})
    parts["Task"]["owner"]["identifier"] = {"value": CANARY}
    parts["Task"]["code"]["text"] = CANARY
    parts["Task"]["meta"]["source"] = CANARY
    parts["Task"]["meta"]["security"][0]["display"] = CANARY
    parts["Patient"]["name"][0]["family"] = CANARY
    parts["Patient"]["name"][0]["_given"] = [{"id": CANARY}]
    sent = send(parts)
    assert "CANARY" not in json.dumps(sent)
    assert sent == clean


@pytest.mark.rule("R12")
def test_rule_R12_an_object_where_a_plain_value_belongs_is_not_copied() -> None:
    """A path that should hold a word never carries a whole record along.

    Fails when a leaf of ``_copied`` returns the value whatever it is.
    """
    assert trimmed({"resourceType": "Task", "status": {"story": CANARY}, "intent": [CANARY, {"x": CANARY}]}) == {
        "resourceType": "Task",
        "intent": [CANARY],
    }
    assert trimmed({"resourceType": "Observation", "status": "final"}) == {}


def test_the_message_is_a_copy(parts: dict[str, Payload]) -> None:
    """Changing the message never changes the stored record."""
    bundle = send(parts)
    bundle["entry"][0]["resource"]["name"][0]["given"][0] = "x"
    bundle["entry"][2]["resource"]["extension"][0]["extension"].clear()
    assert parts["Patient"]["name"][0]["given"] == ["Robin"]
    assert parts["ServiceRequest"]["extension"][0]["extension"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Task", {"meta": {}}),
        ("Task", {"id": None}),
        ("Task", {"status": "draft"}),
        ("Task", {"for": {"reference": "Patient/another"}}),
        ("Consent", {"status": "inactive"}),
        ("Patient", {"resourceType": "RelatedPerson"}),
        ("ServiceRequest", {"extension": []}),
        ("ServiceRequest", {"intent": {"a": 1}}),
    ],
)
def test_a_message_that_breaks_its_own_profile_is_not_made(
    parts: dict[str, Payload], kind: str, change: Payload
) -> None:
    """A lost label, a withdrawn release, another person's reference: an error here, and nothing leaves."""
    parts[kind].update(change)
    with pytest.raises(OutboundError) as caught:
        send(parts)
    assert caught.value.expressions
    assert "another" not in str(caught.value)


def test_every_element_of_r4_is_kept_or_has_a_reason() -> None:
    """For each element the four records could have, the privacy officer finds "kept" or the reason why not."""
    from fhir.resources.R4B import get_fhir_model_class

    unexplained = []
    for kind in KINDS:
        for element in get_fhir_model_class(kind).elements_sequence():
            reason = reason_for_omission(kind, element)
            if reason is not None and reason.startswith("Not needed"):
                unexplained.append(f"{kind}.{element}")
    assert unexplained == []
    assert reason_for_omission("Patient", "address") == "a location can kill"
    assert reason_for_omission("Patient", "name") is None
    assert reason_for_omission("Observation", "status") == "Not needed to make the connection."


@pytest.mark.rule("R12")
def test_rule_R12_the_exact_items_are_shown_before_the_send(parts: dict[str, Payload]) -> None:
    """Every value that goes out can be read, line by line, before the send.

    Fails when a line is dropped from ``items_in_words``.
    """
    assert items_in_words(send(parts), recipient_name="Harbor Program", sender_name="Elm Clinic") == [
        "To: Harbor Program, and nobody else",
        "From: Elm Clinic (no clinician is named)",
        "Name to use: Robin",
        "How you will meet: the program calls the safe number",
        "Safe number: 555-0142",
        "Voicemail: hang up without a word",
        "Who may answer: only the patient",
        "Hours: mon tue, 09:00 to 12:00",
        "Agreed word: blue",
        "Say that this is: the library",
        "Language: es",
        "Interpreter: needed",
        "Do not use this contact after: 31 Oct 2026",
        "Needs ticked: A place to stay, Legal help",
        "Please look by: 2026-10-02T22:00:00Z",
        "Release: signed 1 Oct 2026, from 1 Oct 2026 to 31 Oct 2026",
        "What the program may tell back under this release: nothing",
    ]


def test_without_a_safe_number_the_page_says_that_none_is_sent(parts: dict[str, Payload]) -> None:
    """The patient hears that no number goes out and that the program is told not to call."""
    contact = parts["ServiceRequest"]["extension"][0]["extension"]
    contact[:] = [item for item in contact if item["url"] in {"askedOn", "expiresOn"}]
    contact.insert(0, {"url": "meet", "valueCode": "survivor-calls"})
    parts["ServiceRequest"]["orderDetail"] = [one(GRAVITY, "contacting-subject-prohibited")]
    lines = items_in_words(send(parts), recipient_name="Harbor Program", sender_name="Elm Clinic")
    assert "Phone number: none is sent, and the program is told not to call" in lines
    assert "Needs ticked: none" in lines
    assert not any("555" in line or "this contact" in line for line in lines)
