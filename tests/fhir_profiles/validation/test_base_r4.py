"""FHIR R4 itself: what is right passes, and sixty and more mistakes written by hand are told where they are."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mistakes import GONE, Payload, Way, broken

from fhir_profiles.shapes import Report
from fhir_profiles.validation import compiler, fhirpath, parse, snapshots
from fhir_profiles.validation.examine import examine

UNKNOWN = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
UCUM = "http://unitsofmeasure.org"
SDV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SDV"}

BASE: dict[str, Payload] = {
    "Observation": {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-02-28T10:00:00Z",
        "valueQuantity": {"value": Decimal("120.0"), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        "component": [{"code": {"text": "part"}, "valueInteger": 3}],
        "referenceRange": [{"low": {"value": 1}, "high": {"value": 9}}],
    },
    "Patient": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Robin</p></div>'},
        "identifier": [
            {"system": "https://dsv.example/id", "value": "1", "period": {"start": "2020", "end": "2021-05"}}
        ],
        "active": True,
        "name": [{"family": "Doe", "given": ["Robin", None], "_given": [{"id": "g"}, UNKNOWN]}],
        "telecom": [{"system": "phone", "value": "555-0100", "rank": 1}],
        "gender": "unknown",
        "birthDate": "1990-02-28",
        "_birthDate": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                    "valueDateTime": "1990-02-28T08:00:00Z",
                }
            ]
        },
        "contact": [{"name": {"text": "Kim"}}],
        "photo": [{"contentType": "image/png", "data": "AAAA"}],
        "multipleBirthInteger": 2,
    },
    "Appointment": {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-01T10:00:00Z",
        "end": "2026-03-01T10:30:00Z",
        "participant": [{"actor": {"reference": "Patient/1"}, "status": "accepted"}],
    },
    "Task": {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "ServiceRequest/1"},
        "authoredOn": "2026-03-01",
        "lastModified": "2026-03-02",
        "input": [{"type": {"text": "x"}, "valueString": "y"}],
    },
    "Consent": {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"text": "privacy"},
        "category": [{"text": "release"}],
        "policy": [{"uri": "https://dsv.example/policy"}],
        "provision": {"type": "permit", "provision": [{"type": "deny", "code": [{"text": "x"}]}]},
    },
    "Bundle": {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
                "resource": {"resourceType": "Patient", "active": True},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
                "resource": {
                    "resourceType": "Task",
                    "status": "requested",
                    "intent": "order",
                    "for": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
                    "owner": {"reference": "Organization/1"},
                },
                "request": {"method": "POST", "url": "Task"},
            },
        ],
    },
    "ServiceRequest": {
        "resourceType": "ServiceRequest",
        "contained": [{"resourceType": "Organization", "id": "org", "name": "Harbor"}],
        "status": "active",
        "intent": "order",
        "code": {"text": "help"},
        "orderDetail": [{"text": "more"}],
        "subject": {"reference": "Patient/1"},
        "performer": [{"reference": "#org"}],
        "occurrenceTiming": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "quantityRange": {"low": {"value": 1}, "high": {"value": 2}},
    },
    "Organization": {"resourceType": "Organization", "name": "Harbor", "telecom": [{"value": "1", "system": "phone"}]},
}
ENTRY = ("entry", 1, "resource")

# (resource, way, value or GONE, FHIRPath that must be told, issue code)
WRONG: list[tuple[str, Way, Any, str, str]] = [
    # cardinality
    ("Observation", ("status",), GONE, "Observation.status", "required"),
    ("Observation", ("code",), GONE, "Observation.code", "required"),
    ("Observation", ("component", 0, "code"), GONE, "Observation.component[0].code", "required"),
    ("Observation", ("component",), [], "Observation.component", "structure"),
    ("Appointment", ("participant",), GONE, "Appointment.participant", "required"),
    ("Appointment", ("participant",), [], "Appointment.participant", "structure"),
    ("Appointment", ("participant", 0, "status"), GONE, "Appointment.participant[0].status", "required"),
    ("Task", ("input", 0, "valueString"), GONE, "Task.input[0].value", "required"),
    ("Task", ("intent",), GONE, "Task.intent", "required"),
    ("Consent", ("category",), GONE, "Consent.category", "required"),
    ("Consent", ("scope",), GONE, "Consent.scope", "required"),
    ("Bundle", ("type",), GONE, "Bundle.type", "required"),
    ("Bundle", ("entry", 0, "request", "url"), GONE, "Bundle.entry[0].request.url", "required"),
    ("Bundle", (*ENTRY, "status"), GONE, "Bundle.entry[1].resource.status", "required"),
    ("ServiceRequest", ("subject",), GONE, "ServiceRequest.subject", "required"),
    # JSON kinds
    ("Patient", ("active",), "true", "Patient.active", "structure"),
    ("Patient", ("name",), {"family": "Doe"}, "Patient.name", "structure"),
    ("Patient", ("gender",), ["unknown"], "Patient.gender", "structure"),
    ("Patient", ("contact", 0, "name"), "Kim", "Patient.contact[0].name", "structure"),
    ("Patient", ("name", 0, "given"), ["Robin", "Kim", None], "Patient.name[0].given[2]", "structure"),
    ("Patient", ("identifier", 0), None, "Patient.identifier[0]", "structure"),
    ("Patient", ("contact", 0), {}, "Patient.contact[0]", "structure"),
    ("Observation", ("valueQuantity", "value"), "120.0", "Observation.value.value", "structure"),
    ("Observation", ("component", 0, "valueInteger"), 3.5, "Observation.component[0].value", "structure"),
    ("Observation", ("component", 0, "valueInteger"), True, "Observation.component[0].value", "structure"),
    ("Task", ("authoredOn",), 1772323200, "Task.authoredOn", "structure"),
    ("Bundle", (*ENTRY,), "Task", "Bundle.entry[1].resource", "structure"),
    # forms and dates
    ("Patient", ("birthDate",), "1990-02-29", "Patient.birthDate", "value"),
    ("Patient", ("birthDate",), "1990-13-01", "Patient.birthDate", "value"),
    ("Patient", ("birthDate",), "28.02.1990", "Patient.birthDate", "value"),
    ("Patient", ("birthDate",), "", "Patient.birthDate", "value"),
    ("Patient", ("id",), "a b", "Patient.id", "value"),
    ("Patient", ("id",), "x" * 65, "Patient.id", "value"),
    ("Patient", ("telecom", 0, "rank"), 0, "Patient.telecom[0].rank", "value"),
    ("Patient", ("photo", 0, "data"), "AAA", "Patient.photo[0].data", "value"),
    ("Patient", ("photo", 0, "data"), "AA*A", "Patient.photo[0].data", "value"),
    ("Patient", ("multipleBirthInteger",), 2**31, "Patient.multipleBirth", "value"),
    ("Patient", ("gender",), " unknown", "Patient.gender", "value"),
    ("Patient", ("text", "div"), "<div><script>1</script></div>", "Patient.text.div", "value"),
    ("Patient", ("text", "div"), "<div><p>1</div>", "Patient.text.div", "value"),
    ("Patient", ("text", "div"), "<div> </div>", "Patient.text.div", "value"),
    ("Patient", ("text", "div"), '<div onclick="x">1</div>', "Patient.text.div", "value"),
    ("Observation", ("effectiveDateTime",), "2026-02-28T10:00:00", "Observation.effective", "value"),
    ("Observation", ("effectiveDateTime",), "2026-02-28T24:00:00Z", "Observation.effective", "value"),
    ("Appointment", ("start",), "2026-03-01", "Appointment.start", "value"),
    # required bindings
    ("Patient", ("gender",), "banana", "Patient.gender", "code-invalid"),
    ("Patient", ("telecom", 0, "system"), "carrier-pigeon", "Patient.telecom[0].system", "code-invalid"),
    ("Patient", ("text", "status"), "made", "Patient.text.status", "code-invalid"),
    ("Task", ("status",), "banana", "Task.status", "code-invalid"),
    ("Task", ("intent",), "directive", "Task.intent", "code-invalid"),
    ("Appointment", ("status",), "no-show", "Appointment.status", "code-invalid"),
    ("Appointment", ("participant", 0, "status"), "yes", "Appointment.participant[0].status", "code-invalid"),
    ("Consent", ("provision", "type"), "allow", "Consent.provision.type", "code-invalid"),
    ("Consent", ("provision", "provision", 0, "type"), "no", "Consent.provision.provision[0].type", "code-invalid"),
    ("Bundle", ("entry", 0, "request", "method"), "post", "Bundle.entry[0].request.method", "code-invalid"),
    # unknown elements, told at the parent
    ("Patient", ("address2",), "CANARY", "Patient", "structure"),
    ("Patient", ("name", 0, "CANARY"), "x", "Patient.name[0]", "structure"),
    ("Patient", ("_name",), [{"id": "x"}], "Patient", "structure"),
    ("Observation", ("valueBanana",), 1, "Observation", "structure"),
    ("Bundle", (*ENTRY, "CANARY"), 1, "Bundle.entry[1].resource", "structure"),
    ("Consent", ("provision", "provision", 0, "CANARY"), 1, "Consent.provision.provision[0]", "structure"),
    # choices
    ("Observation", ("valueString",), "x", "Observation.value", "structure"),
    ("Patient", ("multipleBirthBoolean",), True, "Patient.multipleBirth", "structure"),
    # references
    ("Task", ("owner",), {"reference": "Location/2/_history/1"}, "Task.owner.reference", "value"),
    ("Patient", ("name", 0, "_given"), [None, {"id": "g"}], "Patient.name[0].given[1]", "invariant"),
    ("Patient", ("_gender",), {"CANARY": 1}, "Patient.gender", "structure"),
    ("Task", ("requester",), {"reference": "Location/2"}, "Task.requester.reference", "value"),
    ("Appointment", ("participant", 0, "actor"), {"reference": "Organization/1"},
     "Appointment.participant[0].actor.reference", "value"),
    ("Observation", ("subject",), {"reference": "https://x.example/fhir/Task/1"},
     "Observation.subject.reference", "value"),
    ("ServiceRequest", ("requester",), {"reference": "#gone"}, "ServiceRequest.requester", "invariant"),
    ("Bundle", (*ENTRY, "owner"), {"reference": "Binary/1"}, "Bundle.entry[1].resource.owner.reference", "value"),
    ("Bundle", (*ENTRY, "requester"), {"reference": "Group/1"},
     "Bundle.entry[1].resource.requester.reference", "value"),
    # invariants
    ("Appointment", ("participant", 0, "actor"), GONE, "Appointment.participant[0]", "invariant"),
    ("Appointment", ("end",), GONE, "Appointment", "invariant"),
    ("Appointment", ("cancelationReason",), {"text": "x"}, "Appointment", "invariant"),
    ("Observation", ("dataAbsentReason",), {"text": "x"}, "Observation", "invariant"),
    ("Observation", ("referenceRange", 0), {"type": {"text": "x"}}, "Observation.referenceRange[0]", "invariant"),
    ("Observation", ("component", 0, "code"), {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
     "Observation", "invariant"),
    ("Observation", ("valueQuantity", "system"), GONE, "Observation.value", "invariant"),
    ("Patient", ("contact", 0), {"gender": "male"}, "Patient.contact[0]", "invariant"),
    ("Patient", ("telecom", 0, "system"), GONE, "Patient.telecom[0]", "invariant"),
    ("Patient", ("photo", 0, "contentType"), GONE, "Patient.photo[0]", "invariant"),
    ("Patient", ("identifier", 0, "period", "end"), "2019", "Patient.identifier[0].period", "invariant"),
    ("Patient", ("_birthDate", "extension", 0, "valueDateTime"), GONE, "Patient.birthDate.extension[0]", "invariant"),
    ("Patient", ("name", 0), {"id": "x"}, "Patient.name[0]", "invariant"),
    ("Task", ("lastModified",), "2026-02-01", "Task", "invariant"),
    ("Consent", ("policy",), GONE, "Consent", "invariant"),
    ("Organization", ("telecom", 0, "use"), "home", "Organization.telecom[0]", "invariant"),
    ("Organization", ("name",), GONE, "Organization", "invariant"),
    ("ServiceRequest", ("code",), GONE, "ServiceRequest", "invariant"),
    ("ServiceRequest", ("contained", 0, "meta"), {"security": [SDV]}, "ServiceRequest", "invariant"),
    ("ServiceRequest", ("performer",), GONE, "ServiceRequest", "invariant"),
    ("ServiceRequest", ("quantityRange", "low", "value"), 5, "ServiceRequest.quantity", "invariant"),
    ("ServiceRequest", ("occurrenceTiming", "repeat", "periodUnit"), GONE,
     "ServiceRequest.occurrence.repeat", "invariant"),
    ("Bundle", ("entry", 0, "request"), GONE, "Bundle", "invariant"),
    ("Bundle", ("total",), 2, "Bundle", "invariant"),
    ("Bundle", ("entry", 1, "fullUrl"), "urn:uuid:00000000-0000-4000-8000-000000000001", "Bundle", "invariant"),
]  # fmt: skip


@pytest.mark.parametrize("kind", BASE)
def test_what_r4_allows_is_accepted(kind: str) -> None:
    """A correct resource of each kind has no error; what is not checked is said as information."""
    assert [issue for issue in examine(BASE[kind], kind) if issue.severity == "error"] == []
    assert [i for i in examine(parse(json.dumps(BASE[kind], default=float).encode())) if i.severity == "error"] == []


@pytest.mark.parametrize(("kind", "way", "value", "expression", "code"), WRONG)
def test_a_mistake_against_r4_is_told_where_it_is(kind: str, way: Way, value: Any, expression: str, code: str) -> None:
    """Each mistake is told with its kind and its place, and the sender's words do not come back."""
    issues = [issue for issue in examine(broken(BASE[kind], (way, value)), kind) if issue.severity == "error"]
    assert (expression, code) in [(issue.expression, issue.code) for issue in issues]
    assert "CANARY" not in repr(issues)


def test_the_table_is_long_enough() -> None:
    """Sixty mistakes and more, of every kind."""
    assert len(WRONG) >= 60
    assert {code for *_, code in WRONG} == {"required", "structure", "value", "code-invalid", "invariant"}


def test_a_contained_resource_of_no_known_type_is_an_issue_and_no_exception() -> None:
    """A type that does not exist, at any depth, is refused in words."""
    for kind in ("Banana", 7, None, ["Patient"], {"a": 1}):
        payload = broken(BASE["ServiceRequest"], (("contained", 0), {"resourceType": kind, "id": "org"}))
        assert "ServiceRequest.contained[0]" in [issue.expression for issue in examine(payload, "ServiceRequest")]
    assert examine({"resourceType": "Banana"})[0].code == "structure"


def test_real_records_of_synthetic_patients_are_accepted(shared_fhir: Path) -> None:
    """Every entry of the public Synthea records passes R4, those types too that our own profiles never use."""
    bundles = [
        json.loads(file.read_text(), parse_float=Decimal) for file in sorted((shared_fhir / "synthea").glob("*.json"))
    ]
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    kinds = sorted({resource["resourceType"] for resource in resources})
    package = snapshots.Package(sorted(shared_fhir.glob("*.tgz")))
    definitions = compiler.Definitions(snapshots.compact(package, ["Bundle", *kinds]))
    definitions.read_more(fhirpath.can_read, fhirpath.invariant)
    assert len(resources) > 200
    for resource in resources:
        report = Report()
        definitions.check(resource, resource["resourceType"], report, resource["resourceType"])
        assert report.issues == []
    for bundle in bundles:
        report = Report()
        definitions.check(bundle, "Bundle", report, "Bundle")
        assert report.issues == []
