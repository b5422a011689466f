"""The launched EHR: what is read there is labelled on entry, what is written there is read back before it counts.

Every call is one audited crossing. What would be written is held to its profile before anything connects. A write that
fails or comes back altered is taken back and told to the privacy officer; nothing else is ever written in its place,
and a write whose outcome is unknown is never repeated (R7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any, Protocol

from flask import g, has_request_context

from fhir_profiles.label_exchange import ENTRY_LEVEL, Origin, label_up
from fhir_profiles.security_labels import LEVELS, SDV, Label, labels_of
from fhir_profiles.terminology import ABSENT_REASONS, CONFIDENTIALITY, concept
from launch.errors import EhrError, EhrOutcomeUnknownError
from smart_app.errors import EhrUnavailableError, RefusedError
from smart_app.gateways.door import Crossing, VaultDoor
from smart_app.policy import leaving, staff_directory
from smart_app.policy.access import Requester
from smart_app.ports import Alerts, OpenedChart, Payload, WriteBack, WriteBackResult

COPIED = frozenset({"Observation", "ServiceRequest"})
# All that an Appointment in an EHR may say (R36): type, time, who, and what the EHR itself adds about its own row.
NEUTRAL = frozenset({"resourceType", "status", "serviceType", "start", "end", "participant", "meta"})
ADDED_BY_EHR = frozenset({"id", "implicitRules", "language", "identifier", "created", "minutesDuration", "slot"})
MOST_STAFF = 20  # names on one page
NOT_FOR_US = (403, 404, 410)
TAKEN = "ehr_connections"  # of this request, in flask.g
VISIT_NOW = ("arrived", "triaged", "in-progress")  # Encounter.status of somebody who is here; not "onleave", not over


class _NotForUsError(EhrUnavailableError):
    """The EHR answered: this is not there, or not for this launch."""


class Created(Protocol):
    """A create that the EHR took."""

    @property
    def reference(self) -> str:
        """Its own "Type/<id>"."""


class FhirConnection(Protocol):
    """FHIR REST with the token of one launch; raises ``EhrError``."""

    def own_reference(self, value: object) -> str | None:
        """ "Type/<id>" of a reference into this EHR, else None."""

    def read(self, reference: str) -> Payload:
        """One resource."""

    def search(self, resource_type: str, params: Mapping[str, str]) -> list[Payload]:
        """All matches."""

    def create(self, payload: Payload) -> Created:
        """Create once."""

    def update(self, payload: Payload) -> Payload | None:
        """Replace."""

    def delete(self, reference: str) -> None:
        """Delete."""


class FhirClients(Protocol):
    """Gives the connection of a live launch."""

    def for_launch(self, launch_id: str) -> Any:
        """A ``FhirConnection``; ``EhrError`` when the launch is over."""


class EhrGateway:
    """Implements ``ports.Ehr``."""

    def __init__(
        self,
        fhir_clients: FhirClients,
        door: VaultDoor,
        alerts: Alerts,
        *,
        on_altered: Callable[[str | None], None] = lambda registration_id: None,
    ) -> None:
        """``on_altered(registration_id)`` is told when a copy did not come back as it was sent."""
        self._on_altered = on_altered
        self._fhir_clients = fhir_clients
        self._door = door
        self._alerts = alerts

    def launched_patient(self, requester: Requester, now: datetime) -> Payload:
        """The Patient of this launch, labelled on entry (R5) and never stored. Raises ``EhrUnavailableError``."""
        if requester.patient_id is None or requester.launch_id is None:
            raise RefusedError(rule="R23")
        reference = f"Patient/{requester.patient_id}"
        with self._crossing(requester, "read-launched-patient", reference, now) as crossing:
            return self._read(requester, reference, crossing)[0]

    def is_visit_open(self, requester: Requester, now: datetime) -> bool:
        """Is the encounter of this launch one of the launched patient, and going on? An id beside a token proves
        neither: EHRs also launch from last week's visit. One that the EHR does not show us is none. Raises
        ``EhrUnavailableError``."""
        if requester.patient_id is None or requester.encounter_id is None:
            raise RefusedError(rule="R23")
        reference = f"Encounter/{requester.encounter_id}"
        with self._crossing(requester, "read-launched-encounter", reference, now) as crossing:
            return self._is_open(requester, reference, crossing)

    def open_chart(self, requester: Requester, now: datetime) -> OpenedChart:
        """``is_visit_open``, ``launched_patient`` and ``signed_in_staff`` in one go: every clinical launch begins with
        them. Three crossings, each with its own id, announced together. What the EHR does not tell is None."""
        if requester.patient_id is None or requester.encounter_id is None or requester.launch_id is None:
            raise RefusedError(rule="R23")
        visit, patient = f"Encounter/{requester.encounter_id}", f"Patient/{requester.patient_id}"
        calls = [("read-launched-encounter", [visit]), ("read-launched-patient", [patient])]
        calls.append(("read-signed-in-staff", [requester.user_reference]))
        is_open, payload, staff = None, None, None
        with self._door.crossings(requester, system="ehr", calls=calls, now=now) as (of_visit, of_patient, of_staff):
            with suppress(EhrUnavailableError):
                is_open = self._is_open(requester, visit, of_visit)
            with suppress(EhrUnavailableError):
                payload = self._read(requester, patient, of_patient)[0]
            with suppress(EhrUnavailableError):
                staff = self._staff(requester, of_staff)
        return OpenedChart(is_open, payload, staff)

    def signed_in_staff(self, requester: Requester, now: datetime) -> Payload | None:
        """The Practitioner of ``fhirUser``, to be compared with the patient's contacts (R24), never stored. None where
        the EHR does not show it or does not answer: the outcome in the log says which."""
        with self._crossing(requester, "read-signed-in-staff", requester.user_reference, now) as crossing:
            try:
                return self._staff(requester, crossing)
            except EhrUnavailableError:
                return None

    def _staff(self, requester: Requester, crossing: Crossing) -> Payload | None:
        payload, connection = self._read(requester, requester.user_reference, crossing)
        if payload.get("resourceType") == "PractitionerRole":
            person = connection.own_reference(payload.get("practitioner", {}).get("reference"))
            if person is None or not person.startswith("Practitioner/"):
                crossing.outcome = "not-told"
                return None
            payload, _ = self._read(requester, person, crossing)
        return payload if payload.get("resourceType") == "Practitioner" else None

    def _is_open(self, requester: Requester, reference: str, crossing: Crossing) -> bool:
        try:
            visit, connection = self._read(requester, reference, crossing)
        except _NotForUsError:
            return False
        subject = visit.get("subject")
        of = connection.own_reference(subject.get("reference")) if isinstance(subject, dict) else None
        return of == f"Patient/{requester.patient_id}" and visit.get("status") in VISIT_NOW

    def directory_codes(self, requester: Requester, now: datetime) -> frozenset[str]:
        """ "system|code" of what the person's active PractitionerRoles say they are; none where the EHR shows none.
        About staff, not about a patient; never stored. Raises ``EhrUnavailableError``."""
        user = requester.user_reference
        found = self._listed(requester, user, "read-practitioner-roles", now, _roles_of)
        return frozenset(code for role in found for code in staff_directory.codes_of(role, now.date()))

    def is_on_care_team(self, requester: Requester, now: datetime) -> bool:
        """Is the person in an active CareTeam of the launched patient? Never stored. Raises ``EhrUnavailableError``."""
        if requester.patient_id is None:
            raise RefusedError(rule="R23")
        patient = f"Patient/{requester.patient_id}"

        def teams(connection: FhirConnection, user: str) -> list[Payload]:
            found = connection.search("CareTeam", {"patient": requester.patient_id or "", "status": "active"})
            return [team for team in found if staff_directory.has_member(team, patient, user, connection.own_reference)]

        return bool(self._listed(requester, patient, "read-care-team", now, teams))

    def find_staff(self, requester: Requester, name: str, now: datetime) -> list[tuple[str, str]]:
        """Reference and name of the staff whom the EHR knows by ``name``, for the patient to say which. About staff,
        not about a patient; nothing of it is kept here. Raises ``EhrUnavailableError``."""

        def staff(connection: FhirConnection, user: str) -> list[Payload]:
            return connection.search("Practitioner", {"name": name})

        found = self._listed(requester, requester.user_reference, "search-staff", now, staff)
        return [named for one in found if (named := staff_directory.named(one)) is not None][:MOST_STAFF]

    def _listed(
        self,
        requester: Requester,
        entity: str,
        action: str,
        now: datetime,
        look: Callable[[FhirConnection, str], list[Payload]],
    ) -> list[Payload]:
        """What ``look`` finds, as one crossing; nothing where the EHR does not show it to us."""
        with self._crossing(requester, action, entity, now) as crossing:
            try:
                found = look(self._connection(requester), requester.user_reference)
            except EhrError as error:
                crossing.outcome = f"failed-{error.status or 'no-answer'}"
                if error.status in NOT_FOR_US:
                    return []
                raise EhrUnavailableError(rule="R23") from None
            crossing.outcome = "read"
        return found

    def _crossing(
        self, requester: Requester, action: str, entity: str, now: datetime
    ) -> AbstractContextManager[Crossing]:
        return self._door.crossing(requester, system="ehr", action=action, entities=[entity], now=now)

    def _read(self, requester: Requester, reference: str, crossing: Crossing) -> tuple[Payload, FhirConnection]:
        """One resource of the launch, labelled on entry, in a crossing that was announced; and the connection that
        brought it."""
        try:
            connection: FhirConnection = self._connection(requester)
            payload = connection.read(reference)
        except EhrError as error:
            crossing.outcome = f"failed-{error.status or 'no-answer'}"
            raise (_NotForUsError if error.status in NOT_FOR_US else EhrUnavailableError)(rule="R23") from None
        crossing.outcome = "read"
        return label_up(payload, Origin.LAUNCHED).payload, connection

    def write_back(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        """Copy an Observation or a ServiceRequest of the launched patient into the chart, and prove that it is there
        as it was sent, labels included."""
        subject = payload.get("subject", {}).get("reference")
        is_of_chart = requester.patient_id is not None and subject == f"Patient/{requester.patient_id}"
        if payload.get("resourceType") not in COPIED or not is_of_chart:
            raise RefusedError(rule="R7")
        if SDV not in labels_of(payload):
            raise RefusedError(rule="R3")
        return self._write(requester, payload, now, is_same=is_same_copy)

    def book(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        """Put a neutral Appointment on the EHR's schedule, and prove that nothing telling came with it (R36)."""
        if payload.get("resourceType") != "Appointment" or not is_neutral(payload):
            raise RefusedError(rule="R36")
        return self._write(requester, payload, now, is_same=is_same_booking)

    def _write(
        self, requester: Requester, payload: Payload, now: datetime, *, is_same: Callable[[Payload, Payload], bool]
    ) -> WriteBack:
        sent = {key: value for key, value in payload.items() if key != "id"}
        kind = sent["resourceType"]
        if leaving.problems(sent, leaving.EHR_COPIES[kind]):
            self._alerts.raise_alert(leaving.ALERT, reference=None)
            return WriteBack(WriteBackResult.REFUSED)
        with self._door.crossing(
            requester, system="ehr", action=f"create-{kind}", entities=[kind], now=now
        ) as crossing:
            written = self._written(requester, sent, crossing, is_same)
        if written.result is not WriteBackResult.SAVED:
            self._alerts.raise_alert(f"ehr-write-{written.result.value}", reference=None)
        if written.result is WriteBackResult.LABELS_LOST:
            self._on_altered(requester.registration_id)
        if written.result is not WriteBackResult.SAVED and written.reference is not None:
            self._alerts.raise_alert("ehr-copy-still-there", reference=None)
        return written

    def _written(
        self,
        requester: Requester,
        sent: Payload,
        crossing: Crossing,
        is_same: Callable[[Payload, Payload], bool],
    ) -> WriteBack:
        try:
            connection: FhirConnection = self._connection(requester)
            reference = connection.create(sent).reference
        except EhrOutcomeUnknownError:
            crossing.outcome = "unknown"
            return WriteBack(WriteBackResult.UNKNOWN)
        except EhrError as error:
            crossing.outcome = f"refused-{error.status or 'no-answer'}"
            return WriteBack(WriteBackResult.REFUSED)
        crossing.made = reference
        try:
            came_back = connection.read(reference)
        except EhrError:
            return self._taken_back(connection, sent, reference, crossing, WriteBackResult.UNKNOWN)
        if not is_same(sent, came_back):
            return self._taken_back(connection, sent, reference, crossing, WriteBackResult.LABELS_LOST)
        crossing.outcome = "saved"
        return WriteBack(WriteBackResult.SAVED, reference)

    def _taken_back(
        self,
        connection: FhirConnection,
        sent: Payload,
        reference: str,
        crossing: Crossing,
        result: WriteBackResult,
    ) -> WriteBack:
        """Delete our copy; where the EHR does not delete, mark it as entered in error and empty it. Nothing else is
        written. A marked copy still counts as there: its first version stays in the EHR's history."""
        try:
            connection.delete(reference)
            crossing.outcome = f"{result.value}-deleted"
            return WriteBack(result)
        except EhrError:
            crossing.outcome = f"{result.value}-not-deleted"
        try:
            connection.update(emptied(sent, reference))
            crossing.outcome = f"{result.value}-entered-in-error"
        except EhrError:
            crossing.outcome = f"{result.value}-still-there"
        return WriteBack(result, reference)

    def _connection(self, requester: Requester) -> Any:
        if requester.launch_id is None:
            raise RefusedError(rule="R23")
        if not has_request_context():
            return self._fhir_clients.for_launch(requester.launch_id)
        # A page asks for several things: one look at the launch and its token is enough for all of them.
        taken: dict[tuple[int, str], Any] = g.setdefault(TAKEN, {})
        key = (id(self), requester.launch_id)
        if key not in taken:
            taken[key] = self._fhir_clients.for_launch(requester.launch_id)
        return taken[key]


def emptied(sent: Payload, reference: str) -> Payload:
    """What is left of a copy that cannot be deleted: marked entered in error, only what FHIR requires, no telling code.
    Without labels anyone may read it, so it must say nothing."""
    kept: Payload = {
        key: sent[key] for key in ("resourceType", "intent", "subject", "participant", "start", "end") if key in sent
    }
    if "meta" in sent:
        kept["meta"] = {"security": sent["meta"]["security"]}  # not the profile: its address says what this was
    masked: Payload = {"code": concept(ABSENT_REASONS, "masked")} if sent["resourceType"] in COPIED else {}
    return {**kept, **masked, "id": reference.split("/")[1], "status": "entered-in-error"}


def is_same_copy(sent: Payload, came_back: Payload) -> bool:
    """Exactly our labels, and every element as it was sent. What an EHR adds about its own row may stand beside."""
    return _labels(sent) == _labels(came_back) and _is_content_kept(sent, came_back) and "text" not in came_back


def is_same_booking(sent: Payload, came_back: Payload) -> bool:
    """Every element as it was sent, and nothing that tells more: a neutral visit relies on no label."""
    has_only_neutral = set(came_back) <= NEUTRAL | ADDED_BY_EHR
    return has_only_neutral and SDV not in labels_of(came_back) and _is_content_kept(sent, came_back)


def is_neutral(payload: Payload) -> bool:
    """True when an Appointment says no more than a visit at a time, labelled R at most, by ids alone (R36)."""
    labels = labels_of(payload)
    levels = {label.code for label in labels if label.system == CONFIDENTIALITY}
    people = payload.get("participant", [])
    return (
        set(payload) <= NEUTRAL | {"id"}
        and all(label.system == CONFIDENTIALITY for label in labels)
        and levels <= set(LEVELS[: LEVELS.index(ENTRY_LEVEL.code) + 1])
        and all(
            set(person) <= {"actor", "status"} and set(person.get("actor", {})) <= {"reference"} for person in people
        )
        and all(set(kind) <= {"text"} and kind.get("text") == "Office visit" for kind in payload.get("serviceType", []))
    )


def _labels(payload: Payload) -> list[Label]:
    return sorted(labels_of(payload))


def _is_content_kept(sent: Payload, came_back: Payload) -> bool:
    return all(came_back.get(key) == value for key, value in sent.items() if key not in ("id", "meta"))


def _roles_of(connection: FhirConnection, user: str) -> list[Payload]:
    """The PractitionerRole that signed in, or those of the Practitioner who did."""
    if user.startswith("PractitionerRole/"):
        return [connection.read(user)]
    found = connection.search("PractitionerRole", {"practitioner": user})
    return [role for role in found if staff_directory.is_role_of(role, user, connection.own_reference)]
