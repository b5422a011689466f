"""FHIR resources in the database: every version kept, deletion is a version, the patient compartment on each row."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from launch.sandbox.database import Database

Payload = dict[str, Any]

TYPES = (
    "Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Organization", "Location", "Encounter",
    "Observation", "ServiceRequest", "Appointment", "Condition", "MedicationRequest", "Immunization",
    "DiagnosticReport", "Procedure",
)  # fmt: skip
WRITABLE_TYPES = frozenset({"Observation", "ServiceRequest", "Appointment"})


@dataclass(frozen=True)
class Record:
    """One version of one resource."""

    type: str
    id: str
    version: int
    is_deleted: bool
    patient: str | None
    updated_at: str
    payload: Payload


class VersionConflictError(Exception):
    """The version the caller named is not the current one."""


def patient_of(payload: Payload) -> str | None:
    """The id of the patient whose compartment a resource is in; None when it is in nobody's."""
    if payload.get("resourceType") == "Patient":
        return str(payload["id"]) if "id" in payload else None
    references = [payload.get("subject"), payload.get("patient")]
    references += [participant.get("actor") for participant in _dicts(payload.get("participant"))]
    for reference in _dicts(references):
        text = reference.get("reference")
        if isinstance(text, str) and text.startswith("Patient/"):
            return text.removeprefix("Patient/").split("/")[0]
    return None


def _dicts(value: Any) -> list[Payload]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class Records:
    """Read and write resources of one base ("a" or "b")."""

    def __init__(self, database: Database, base: str) -> None:
        self._database = database
        self.base = base

    def create(self, payload: Payload, resource_id: str | None = None, now: datetime | None = None) -> Record:
        """Store a new resource under an id of ours (or the given one, for people we wrote)."""
        return self._insert(payload, resource_id or str(uuid.uuid4()), 1, False, now)

    def update(self, payload: Payload, resource_id: str, expected_version: int, now: datetime | None = None) -> Record:
        """Store the next version; VersionConflictError unless ``expected_version`` is still current."""
        with self._database.transaction():
            current = self.current(str(payload["resourceType"]), resource_id)
            if current is None or current.version != expected_version:
                raise VersionConflictError
            return self._insert(payload, resource_id, expected_version + 1, False, now)

    def delete(self, record: Record) -> Record:
        """Add the version that says deleted; the earlier ones stay."""
        return self._insert(record.payload, record.id, record.version + 1, True, None)

    def current(self, resource_type: str, resource_id: str) -> Record | None:
        """The newest version, deleted or not."""
        row = self._database.one(
            "SELECT * FROM resource WHERE base=? AND type=? AND id=? AND is_current=1",
            self.base, resource_type, resource_id,
        )  # fmt: skip
        return _record(row) if row else None

    def versions(self, resource_type: str, resource_id: str) -> list[Record]:
        """Every version, newest first."""
        rows = self._database.all(
            "SELECT * FROM resource WHERE base=? AND type=? AND id=? ORDER BY version DESC",
            self.base, resource_type, resource_id,
        )  # fmt: skip
        return [_record(row) for row in rows]

    def every(self, resource_type: str, patient: str | None = None) -> list[Record]:
        """The current resources of a type, of one patient if given, oldest id order first."""
        where = "base=? AND type=? AND is_current=1 AND is_deleted=0"
        values: list[Any] = [self.base, resource_type]
        if patient is not None:
            where += " AND patient=?"
            values.append(patient)
        rows = self._database.all(f"SELECT * FROM resource WHERE {where} ORDER BY rowid", *values)  # noqa: S608
        return [_record(row) for row in rows]

    def exists(self, resource_type: str, resource_id: str) -> bool:
        """Whether there is a live resource of that name."""
        record = self.current(resource_type, resource_id)
        return record is not None and not record.is_deleted

    def _insert(
        self, payload: Payload, resource_id: str, version: int, is_deleted: bool, now: datetime | None
    ) -> Record:
        at = (now or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        meta = {**payload.get("meta", {}), "versionId": str(version), "lastUpdated": at}
        stored = {"resourceType": payload["resourceType"], "id": resource_id, "meta": meta}
        stored |= {key: value for key, value in payload.items() if key not in stored}
        record = Record(stored["resourceType"], resource_id, version, is_deleted, patient_of(stored), at, stored)
        with self._database.transaction():
            self._database.run(
                "UPDATE resource SET is_current=0 WHERE base=? AND type=? AND id=?",
                self.base, record.type, record.id,
            )  # fmt: skip
            self._database.run(
                "INSERT INTO resource VALUES (?,?,?,?,1,?,?,?,?)",
                self.base, record.type, record.id, version, int(is_deleted), record.patient, at,
                json.dumps(stored, ensure_ascii=False),
            )  # fmt: skip
        return record


def _record(row: Any) -> Record:
    return Record(
        row["type"], row["id"], row["version"], bool(row["is_deleted"]), row["patient"], row["updated_at"],
        json.loads(row["body"]),
    )  # fmt: skip
