"""Profile ``referral-bundle``: one referral as a transaction, in both directions.

Exactly one Patient, one ServiceRequest, one Task and the sender's release. Inbound may add one proposed Appointment and
release A, by which the clinic may tell the program day and time. Each resource keeps its own file; here is how they
must hang together, so that a release never covers something other than what came with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fhir_profiles import (
    proposed_appointment,
    referral_service_request,
    referral_task,
    release_consent,
    shapes,
)
from fhir_profiles import referral_patient as patient_profile
from fhir_profiles.construction import built
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import Payload, profile

__all__ = ["COUNTS", "PARTS", "PROFILE", "SHAPE", "entry_of", "referral_bundle", "referral_patient", "rules"]

PROFILE = profile("referral-bundle")
# Resource type -> (profile id, shape, rules). The order is the order outbound.
PARTS: Mapping[str, tuple[str, Record, Callable[[Payload, str, Report], None]]] = {
    "Patient": ("referral-patient", patient_profile.SHAPE, patient_profile.rules),
    "Consent": ("release-consent", release_consent.SHAPE, release_consent.rules),
    "ServiceRequest": ("referral-service-request", referral_service_request.SHAPE, referral_service_request.rules),
    "Task": ("referral-task", referral_task.SHAPE, referral_task.rules),
    "Appointment": ("proposed-appointment", proposed_appointment.SHAPE, proposed_appointment.rules),
}
COUNTS: Mapping[str, tuple[int, int]] = {
    "Patient": (1, 1),
    "Consent": (1, 2),
    "ServiceRequest": (1, 1),
    "Task": (1, 1),
    "Appointment": (0, 1),
}
# A new referral has no answer yet: here a reason would be the sender's own text, kept word for word (R17).
_ANSWERS = ("statusReason", "output")
_NEW_STATUS = {"Consent": "active", "ServiceRequest": "active", "Task": "requested", "Appointment": "proposed"}


SHAPE = Record(
    {
        "resourceType!": shapes.code("Bundle"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "identifier!": shapes.IDENTIFIER,
        "type!": shapes.code("transaction"),
        "timestamp": shapes.INSTANT,
        "entry!": Many(
            Record(
                {
                    "fullUrl!": shapes.FULL_URL,
                    "request!": Record({"method!": shapes.code("POST"), "url!": shapes.code(*PARTS)}),
                    "resource!": shapes.ByType({kind: part[1] for kind, part in PARTS.items()}),
                }
            ),
            4,
            6,
        ),
    }
)


def referral_bundle(
    *,
    labels: Sequence[Label],
    identifier_system: str,
    identifier_value: str,
    entries: Sequence[tuple[str, Payload]],
) -> Payload:
    """The transaction. ``entries``: (fullUrl, resource), where fullUrl is "urn:uuid:..." or "<base>/<Type>/<id>" with
    that id in the resource."""
    return built(
        {
            "resourceType": "Bundle",
            "meta": {"profile": [PROFILE], "security": own_security("referral-bundle", labels)},
            "identifier": {"system": identifier_system, "value": identifier_value},
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": full_url,
                    "request": {"method": "POST", "url": payload["resourceType"]},
                    "resource": payload,
                }
                for full_url, payload in entries
            ],
        },
        SHAPE,
        rules,
    )


def entry_of(bundle: Payload, resource_type: str) -> Payload | None:
    """The first resource of this type in a checked bundle; for Consent, the sender's release."""
    found = [entry["resource"] for entry in bundle["entry"] if entry["resource"].get("resourceType") == resource_type]
    if resource_type == "Consent" and len(found) > 1:
        task = entry_of(bundle, "Task")
        owner = task["owner"]["reference"] if task else None
        found.sort(key=lambda consent: release_consent.recipient_of(consent) != owner)
    return found[0] if found else None


def release_a_of(bundle: Payload) -> Payload | None:
    """The second release of an inbound bundle, by which the clinic may tell the program day and time; else None."""
    main = entry_of(bundle, "Consent")
    rest = [
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"].get("resourceType") == "Consent" and entry["resource"] is not main
    ]
    return rest[0] if rest else None


def rules(payload: Payload, path: str, report: Report) -> None:
    """Counts, addresses, and that every reference leads to the right entry of this bundle."""
    entries = payload["entry"]
    kinds = [entry["resource"]["resourceType"] for entry in entries]
    for kind, (low, high) in COUNTS.items():
        if not low <= kinds.count(kind) <= high:
            count = str(low) if low == high else f"{low} or {high}"
            report.add("business-rule", f"{path}.entry", f"A referral has {count} {kind}.")
    addresses = [entry["fullUrl"] for entry in entries]
    if len(set(addresses)) != len(addresses):
        report.add("invariant", f"{path}.entry", "Each fullUrl may stand once (bdl-7).")
    for position, entry in enumerate(entries):
        _check_entry(entry, f"{path}.entry[{position}]", report)
    if not report.issues:
        _Links(payload, path, report).check()


def _check_entry(entry: Payload, path: str, report: Report) -> None:
    resource, full_url = entry["resource"], entry["fullUrl"]
    kind = resource["resourceType"]
    if entry["request"]["url"] != kind:
        report.add("invariant", f"{path}.request.url", "The url of the request is the type of its resource.")
    if not full_url.startswith("urn:uuid:") and not full_url.endswith(f"/{kind}/{resource.get('id')}"):
        report.add(
            "invariant", f"{path}.fullUrl", "A fullUrl that is no urn:uuid ends in the type and the id of its resource."
        )
    if kind in _NEW_STATUS and resource["status"] != _NEW_STATUS[kind]:
        report.add("business-rule", f"{path}.resource.status", f"A new {kind} has the status {_NEW_STATUS[kind]}.")
    for answer in _ANSWERS:
        if answer in resource:
            report.add(
                "business-rule",
                f"{path}.resource.{answer}",
                "A new Task has no statusReason and no output: they are the answer.",
            )
    PARTS[kind][2](resource, f"{path}.resource", report)


class _Links:
    """Follows the references of one bundle whose parts are each in order."""

    def __init__(self, bundle: Payload, path: str, report: Report) -> None:
        self.report = report
        self.places = {id(entry["resource"]): f"{path}.entry[{n}].resource" for n, entry in enumerate(bundle["entry"])}
        self.targets: dict[str, Payload] = {}
        for entry in bundle["entry"]:
            resource, full_url = entry["resource"], entry["fullUrl"]
            local = full_url if full_url.startswith("urn:") else "/".join(full_url.split("/")[-2:])
            self.targets[local] = resource
        self.bundle = bundle
        self.patient, self.request, self.task = (
            entry_of(bundle, kind) or {} for kind in ("Patient", "ServiceRequest", "Task")
        )
        self.release = entry_of(bundle, "Consent") or {}

    def check(self) -> None:
        """Every reference that could point outside the bundle is held to its entry."""
        request, task = self.request, self.task
        self._leads(request["subject"], self.patient, request, "subject")
        self._leads(request["supportingInfo"][0], self.release, request, "supportingInfo[0]")
        self._leads(task["focus"], request, task, "focus")
        self._leads(task["for"], self.patient, task, "for")
        if request["requester"] != task["requester"]:
            self._add(request, "requester", "The requester is that of the Task.")
        self._check_release(self.release, "requester", "owner")
        back = release_a_of(self.bundle)
        if back is not None:
            self._check_release(back, "owner", "requester")
        appointment = entry_of(self.bundle, "Appointment")
        if appointment is not None:
            self._check_appointment(appointment)

    def _check_release(self, consent: Payload, gives: str, takes: str) -> None:
        """``gives`` and ``takes`` are "requester" and "owner", in this order or the other."""
        discloser, recipient = (self.task[party]["reference"] for party in (gives, takes))
        self._leads(consent["patient"], self.patient, consent, "patient")
        if release_consent.discloser_of(consent) != discloser:
            self._add(consent, "organization[0]", f"The organization that discloses is the Task's {gives}.")
        if release_consent.recipient_of(consent) != recipient:
            self._add(consent, "provision.actor[0].reference", f"The recipient of the release is the Task's {takes}.")
        released = []
        for position, item in enumerate(consent["provision"]["data"]):
            target = self.targets.get(item["reference"]["reference"])
            released.append(target)
            if target is None or target.get("resourceType") == "Patient":
                place = f"provision.data[{position}].reference"
                self._add(consent, place, "The release names only items of this Bundle, never the Patient.")
        if not any(item is self.request for item in released) or not any(item is self.task for item in released):
            self._add(
                consent, "provision.data", "The release names both the ServiceRequest and the Task of this Bundle."
            )

    def _check_appointment(self, appointment: Payload) -> None:
        self._leads(appointment["basedOn"][0], self.request, appointment, "basedOn[0]")
        for position, item in enumerate(appointment["participant"]):
            if not item["actor"]["reference"].startswith(("HealthcareService/", "Location/")):
                self._leads(item["actor"], self.patient, appointment, f"participant[{position}].actor")

    def _leads(self, reference: Payload, target: Payload, source: Payload, place: str) -> None:
        if self.targets.get(reference["reference"]) is not target:
            kind = target.get("resourceType", "resource")
            self._add(source, place, f"This reference leads to the {kind} of this Bundle.")

    def _add(self, source: Payload, place: str, text: str) -> None:
        self.report.add("business-rule", f"{self.places[id(source)]}.{place}", text)
