"""Whom a patient leaves out: one row for each person and each who wrote it down, sealed under the patient (R22).

The door asks this table in the very statement that loads a case, so that nobody can count or time it. Who is on the
list sees here what they would see if nobody had put them there: what they wrote down themselves.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, delete, select

from smart_app.errors import NothingToShowError, RefusedError
from smart_app.gateways import links
from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.engine import insert_or_replace
from smart_app.gateways.judge import launched_patient
from smart_app.gateways.tables import exclusion
from smart_app.gateways.vault import Vault
from smart_app.people_ports import LeftOut
from smart_app.policy import people
from smart_app.policy.access import ConsentState, LabelClass, Requester, Result
from smart_app.ports import CaseKind, PatientKey

Note = Callable[..., None]


class UnitExclusions:
    """Implements ``ports.Exclusions`` in one unit of work."""

    def __init__(
        self,
        connection: Connection,
        cipher: MasterCipher,
        vault: Vault,
        requester: Requester,
        now: datetime,
        note: Note,
    ) -> None:
        """``vault`` gives the digests by which its own rows are found: the door joins the two."""
        self._connection = connection
        self._cipher = cipher
        self._vault = vault
        self._asks = requester
        self._now = now
        self._note = note

    def add(self, *, reference: str, name: str, phone: str = "") -> None:
        """Leave somebody out from now on. Twice is once."""
        patient = self._patient("leave-out")
        person = self._vault.excluded_index(patient.registration_id, reference or f"family-{uuid.uuid4()}")
        entities = [{"what": patient.reference}, {"what": reference or "family"}]
        self._note("leave-out", is_kept=False, entities=entities)
        row = {
            "tenant_id": self._cipher.tenant_id,
            "patient_index": self._vault.patient_index(patient),
            "person_index": person,
            "author_index": self._me(),
            "month": f"{self._now:%Y-%m}",
        }
        content = {"reference": reference, "name": name, "phone": phone, "at": self._now.isoformat()}
        sealed = self._cipher.seal(orjson.dumps(content), purpose=_place_of(row))
        insert_or_replace(self._connection, exclusion, [{**row, "sealed": sealed}])

    def remove(self, entry: str) -> None:
        """Let somebody in again. What the requester cannot see is not there."""
        patient = self._patient("let-in-again")
        rows = {_entry(row): row for row in self._seen(patient)}
        row = rows.get(entry)
        self._note("let-in-again", is_kept=row is None, entities=[{"what": patient.reference}])
        if row is None:
            raise NothingToShowError(rule="R22")
        where = (exclusion.c.tenant_id == self._cipher.tenant_id, exclusion.c.patient_index == row["patient_index"])
        keys = (exclusion.c.person_index == row["person_index"], exclusion.c.author_index == row["author_index"])
        self._connection.execute(delete(exclusion).where(*where, *keys))

    def listed(self) -> list[LeftOut]:
        """By name."""
        patient = self._patient("list-left-out")
        self._note("list-left-out", is_kept=True, entities=[{"what": patient.reference}])
        found = [
            LeftOut(_entry(row), content["reference"], content["name"], content["phone"])
            for row, content in self._opened(self._seen(patient))
        ]
        return sorted(found, key=lambda one: (one.name.casefold(), one.entry))

    def family(self, patient: PatientKey) -> list[dict[str, str]]:
        """Name and phone of everybody of the family whom this patient left out, to be compared with whoever asks (R24);
        nobody is shown it."""
        return [content for _, content in self._opened(self._rows(patient)) if not content["reference"]]

    def _opened(self, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """Each row with its content; one that does not open is left out."""
        for row in rows:
            with contextlib.suppress(SealError):
                yield row, orjson.loads(self._cipher.open(row["sealed"], purpose=_place_of(row)))

    def _rows(self, patient: PatientKey) -> list[dict[str, Any]]:
        """All rows of this patient, in one statement whatever there is."""
        statement = select(exclusion).where(
            exclusion.c.tenant_id == self._cipher.tenant_id,
            exclusion.c.patient_index == self._vault.patient_index(patient),
        )
        return [
            {name: bytes(value) if isinstance(value, bytes | memoryview) else value for name, value in row.items()}
            for row in self._connection.execute(statement).mappings()
        ]

    def _seen(self, patient: PatientKey) -> list[dict[str, Any]]:
        """Those that the requester may see."""
        rows = self._rows(patient)
        me = self._vault.excluded_index(patient.registration_id, self._asks.user_reference)
        is_excluded = any(row["person_index"] == me for row in rows)
        return [row for row in rows if self._may_see(row, is_excluded)]

    def _may_see(self, row: dict[str, Any], is_excluded: bool) -> bool:
        """The door's own order and table, for something as sensitive as can be. What somebody wrote down stays theirs
        to see: without it the empty list would tell them that they are on it."""
        is_own = row["author_index"] == self._me()
        facts = links.Facts(is_author=is_own, is_partner=False, is_launched_patient=True, kind=CaseKind.DISCLOSURE)
        return any(
            people.answer(
                is_excluded=is_excluded and not is_own,
                is_contact=self._asks.is_contact,
                role=tie.role,
                purpose=self._asks.purpose,
                label=LabelClass.V_SDV,
                consent=ConsentState.NONE,
                link=tie.link,
                origin=facts.origin,
            ).result
            is Result.PERMIT
            for tie in links.ties(self._asks, facts, "Observation")
        )

    def _patient(self, action: str) -> PatientKey:
        patient = launched_patient(self._asks)
        if patient is None or self._asks.role not in links.CLINICAL:
            self._note("refuse", is_kept=True, rule="R23", entities=[{"what": action}])
            raise RefusedError(rule="R23")
        return patient

    def _me(self) -> bytes:
        return self._vault.author_index(self._asks.registration_id, self._asks.user_reference)


def _place_of(row: Mapping[str, Any]) -> str:
    """To which row a sealed value belongs."""
    return "exclusion|" + "|".join(bytes(row[name]).hex() for name in ("patient_index", "person_index", "author_index"))


def _entry(row: dict[str, Any]) -> str:
    """Opaque, for a form."""
    return str(row["person_index"].hex() + row["author_index"].hex())
