"""What a patient told, recorded as one labelled Observation: our vault first, the EHR only where its proof allows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_profiles.disclosure_observation import KINDS, disclosure_observation
from fhir_profiles.security_labels import labels_for
from smart_app.errors import InvalidError, LockedError
from smart_app.policy import minors, placement
from smart_app.policy.access import Requester
from smart_app.policy.place_words import place_words
from smart_app.policy.placement import PlacementDecision, PlacementSettings
from smart_app.ports import CaseKind, Door, Ehr, PatientKey, Payload, Stored, WriteBackResult


@dataclass(frozen=True)
class DisclosureForm:
    """``kind`` is one of KINDS; the first, "kind not recorded", is the default and is never asked twice.
    ``wants_ehr_copy``: the patient was told that the EHR's full export holds it, and wants it there.
    ``once``: the form's own number; the same number again finds what it made, whatever broke off in between."""

    kind: str = KINDS[0]
    wants_ehr_copy: bool = False
    once: str = ""


@dataclass(frozen=True)
class DisclosureResult:
    """``reference`` is "Observation/<id>" in the vault. ``ehr_result`` is None where no EHR copy was tried."""

    reference: str
    case_id: str
    place_words: tuple[str, ...]
    lines_by_hand: tuple[str, ...]
    ehr_result: WriteBackResult | None


def record(
    door: Door,
    ehr: Ehr,
    requester: Requester,
    form: DisclosureForm,
    settings: PlacementSettings,
    now: datetime,
) -> DisclosureResult:
    """Store the Observation, then copy it to the EHR where ``settings`` place it. Whatever the EHR does, the vault
    copy stands and nothing else is written there (R7).

    Raises ``InvalidError`` (unknown kind), ``LockedError`` (no patient in the launch, or a minor: R31).
    """
    if form.kind not in KINDS:
        raise InvalidError("Choose one of the listed kinds, or leave it as it is.")
    patient = _require_adult(ehr, requester, now)
    observation = disclosure_observation(
        labels=labels_for("disclosure-observation"),
        patient_reference=f"Patient/{patient.patient_id}",
        performer_reference=requester.user_reference,
        recorded_at=now,
        kind=form.kind,
    )
    stored, is_new = _store(door, requester, patient, observation, form.once, now)
    decision = placement.decide(
        settings,
        registration_id=patient.registration_id,
        resource_type="Observation",
        patient_id=patient.patient_id,
        patient_wants_ehr_copy=form.wants_ehr_copy,
        today=now.date(),
    )
    result = _copy_to_ehr(door, ehr, requester, stored, decision, now) if is_new else _earlier_copy(stored, decision)
    registration = settings.registrations.get(patient.registration_id)
    is_interrupted = not is_new and result is WriteBackResult.UNKNOWN
    return DisclosureResult(
        reference=stored.reference,
        case_id=stored.case_id,
        place_words=place_words(
            decision,
            ehr_name=registration.ehr_name if registration else "",
            write_back="interrupted" if is_interrupted else result and result.value,
        ),
        lines_by_hand=decision.lines_by_hand if result is None else (),
        ehr_result=result,
    )


def _require_adult(ehr: Ehr, requester: Requester, now: datetime) -> PatientKey:
    """The launched patient, read again right before the write (attack 10), and no minor (R31)."""
    if requester.patient_id is None or requester.registration_id is None:
        raise LockedError("Open this from a patient's chart.", rule="R23")
    born = ehr.launched_patient(requester, now).get("birthDate")
    # The latest zone's date: nobody becomes an adult early.
    if minors.is_locked(born, (now - timedelta(hours=12)).date()):
        raise LockedError(minors.LOCKED_WORDS, rule="R31")
    return PatientKey(requester.registration_id, requester.patient_id)


def _store(
    door: Door, requester: Requester, patient: PatientKey, observation: Payload, once: str, now: datetime
) -> tuple[Stored, bool]:
    """The stored Observation, and whether it is new: the same form again finds the first one."""
    observation_id = str(uuid.uuid4())
    with door.open_for(requester, now) as work:
        receipt = work.claim_receipt("page", [f"note|{once}"], b"", observation_id) if once else None
        if receipt is not None:
            return work.read(f"Observation/{receipt.task_id}"), False
        case_id = work.open_case(CaseKind.DISCLOSURE, patient=patient)
        stored = work.create({**observation, "id": observation_id}, case_id=case_id)
        work.facts.count("disclosure", "recorded")
    return stored, True


def _earlier_copy(stored: Stored, decision: PlacementDecision) -> WriteBackResult | None:
    """What is known of a copy that an interrupted save may have made. It is never tried again blindly (R7)."""
    if decision.places != "ehr-and-vault":
        return None
    return WriteBackResult.SAVED if stored.ehr_reference is not None else WriteBackResult.UNKNOWN


def _copy_to_ehr(
    door: Door, ehr: Ehr, requester: Requester, stored: Stored, decision: PlacementDecision, now: datetime
) -> WriteBackResult | None:
    if decision.places != "ehr-and-vault":
        return None
    copy = {key: value for key, value in stored.payload.items() if key != "id"}
    written = ehr.write_back(requester, copy, now)
    if written.result is WriteBackResult.SAVED and written.reference is not None:
        with door.open_for(requester, now) as work:
            work.note_ehr_copy(stored.reference, written.reference)
    return written.result
