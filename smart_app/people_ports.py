"""The shapes by which pages and workflows reach what a patient says about people, and who is held as a contact."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

Payload = dict[str, Any]


@dataclass(frozen=True)
class LeftOut:
    """One person whom a patient leaves out. ``reference``: "Practitioner/<id>" of staff, "" of a family member.
    ``phone`` is what the patient said of a family member, "" if nothing."""

    entry: str
    reference: str
    name: str
    phone: str = ""


class Exclusions(Protocol):
    """Whom the patient of this launch leaves out (R22). For clinicians in a launch with a patient; others are refused
    (R23)."""

    def add(self, *, reference: str, name: str, phone: str = "") -> None:
        """By the patient's word. ``reference`` of staff at the launch's EHR, "" for a family member."""

    def remove(self, entry: str) -> None:
        """By the patient's word. Raises ``NothingToShowError`` for what the requester cannot see."""

    def listed(self) -> list[LeftOut]:
        """Those this requester may see: all for the care team in a visit, else what the requester wrote down. A person
        who is on the list sees no more than somebody for whom there is none."""


@dataclass(frozen=True)
class Hold:
    """Somebody who may be a contact of the patient of this chart; ``kinds``: by what ("phone")."""

    hold_id: str
    registration_id: str
    patient_id: str
    user_reference: str
    kinds: tuple[str, ...]


class Holds(Protocol):
    """Who is held because they may be a contact of the launched patient (R24)."""

    def family(self) -> list[Payload]:
        """Whom of the family the patient left out, in the form of ``Patient.contact``, to compare with only."""

    def hold(self, kinds: Collection[str]) -> None:
        """Hold the requester for this patient and tell the privacy officer, once."""

    def is_released(self) -> bool:
        """Has the privacy officer released the requester for this patient?"""

    def waiting(self) -> list[Hold]:
        """For the privacy officer."""

    def release(self, hold_id: str) -> None:
        """For the privacy officer. Raises ``NothingToShowError`` for one that is not there."""
