"""Who is held because they may be a contact of the patient (R24): told to the privacy officer, released by one tap.

A hold says nothing about records: it is made and looked at in the same way for a patient with and without any.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from smart_app.errors import NothingToShowError, RefusedError
from smart_app.gateways import alerts
from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.engine import insert_ignoring
from smart_app.gateways.exclusions import UnitExclusions
from smart_app.gateways.judge import launched_patient
from smart_app.gateways.tables import contact_hold
from smart_app.gateways.vault import Vault
from smart_app.people_ports import Hold
from smart_app.policy.access import Requester, Role
from smart_app.ports import PatientKey, Payload

ALERT = "contact-match"
Note = Callable[..., None]


class UnitHolds:
    """Implements ``ports.Holds`` in one unit of work."""

    def __init__(
        self,
        connection: Connection,
        cipher: MasterCipher,
        vault: Vault,
        requester: Requester,
        now: datetime,
        note: Note,
        *,
        exclusions: UnitExclusions,
    ) -> None:
        """``exclusions``: those of the same unit, whose family is compared with whoever asks."""
        self._connection = connection
        self._cipher = cipher
        self._vault = vault
        self._exclusions = exclusions
        self._asks = requester
        self._now = now
        self._note = note

    def family(self) -> list[Payload]:
        """Whom of the family the launched patient left out, as contacts to compare with; nobody is shown it."""
        return [
            {"name": {"text": one["name"]}, "telecom": [{"system": "phone", "value": one["phone"]}]}
            for one in self._exclusions.family(self._patient())
        ]

    def hold(self, kinds: Collection[str]) -> None:
        """Hold this person for this patient and tell the privacy officer; once is enough. A release stays."""
        patient = self._patient()
        row = {"tenant_id": self._cipher.tenant_id, "patient_index": self._index(), "person_index": self._person()}
        hold_id = str(uuid.uuid4())
        content = {
            "registration": patient.registration_id,
            "patient": patient.patient_id,
            "who": self._asks.user_reference,
            "kinds": sorted(kinds),
        }
        more = {"hold_id": hold_id, "month": f"{self._now:%Y-%m}", "is_released": False}
        sealed = self._cipher.seal(orjson.dumps(content), purpose=f"contact-hold|{hold_id}")
        is_new = insert_ignoring(self._connection, contact_hold, [{**row, **more, "sealed": sealed}]) == 1
        self._note(
            "hold-contact", is_kept=False, rule="R24", kinds=sorted(kinds), entities=[{"what": patient.reference}]
        )
        if is_new:
            alerts.raise_in(
                self._connection, tenant_id=self._cipher.tenant_id, kind=ALERT, reference=None, now=self._now
            )

    def is_released(self) -> bool:
        """Has the privacy officer released this person for this patient?"""
        statement = select(contact_hold.c.is_released).where(
            contact_hold.c.tenant_id == self._cipher.tenant_id,
            contact_hold.c.patient_index == self._index(),
            contact_hold.c.person_index == self._person(),
        )
        return bool(self._connection.execute(statement).scalar_one_or_none())

    def waiting(self) -> list[Hold]:
        """Those nobody released yet. For the privacy officer."""
        self._require_officer("list-holds")
        statement = (
            select(contact_hold.c.hold_id, contact_hold.c.sealed)
            .where(contact_hold.c.tenant_id == self._cipher.tenant_id, contact_hold.c.is_released.is_(False))
            .order_by(contact_hold.c.hold_id)
        )
        found = []
        for hold_id, sealed in self._connection.execute(statement):
            one = self._opened(hold_id, sealed)
            if one is not None:
                found.append(one)
        self._note("list-holds", is_kept=True, entities=[{"what": f"Hold/{one.hold_id}"} for one in found])
        return found

    def release(self, hold_id: str) -> None:
        """This person may open this chart here. For the privacy officer."""
        self._require_officer("release-hold")
        where = (contact_hold.c.tenant_id == self._cipher.tenant_id, contact_hold.c.hold_id == hold_id)
        sealed = self._connection.execute(select(contact_hold.c.sealed).where(*where)).scalar_one_or_none()
        one = None if sealed is None else self._opened(hold_id, sealed)
        if one is None:
            raise NothingToShowError(rule="R24")
        entities = [{"what": f"Patient/{one.patient_id}"}, {"what": one.user_reference}]
        self._note("release-hold", is_kept=False, entities=entities)
        self._connection.execute(update(contact_hold).where(*where).values(is_released=True))

    def _opened(self, hold_id: str, sealed: Any) -> Hold | None:
        try:
            one = orjson.loads(self._cipher.open(bytes(sealed), purpose=f"contact-hold|{hold_id}"))
        except SealError:
            return None
        return Hold(hold_id, one["registration"], one["patient"], one["who"], tuple(one["kinds"]))

    def _require_officer(self, action: str) -> None:
        if self._asks.role is not Role.PRIVACY_OFFICER:
            self._note("refuse", is_kept=True, rule="R24", entities=[{"what": action}])
            raise RefusedError(rule="R24")

    def _patient(self) -> PatientKey:
        patient = launched_patient(self._asks)
        if patient is None:
            raise RefusedError(rule="R23")
        return patient

    def _index(self) -> bytes:
        return self._vault.patient_index(self._patient())

    def _person(self) -> bytes:
        return self._cipher.blind_index("held", self._asks.registration_id or "", self._asks.user_reference)
