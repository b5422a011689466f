"""The shapes by which pages reach what no one decides alone: holds, erases on request, the patient's copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from smart_app.policy.access import Requester


@dataclass(frozen=True)
class Person:
    """Who asks or confirms, with the launch it happens in. It opens nothing: there is no role of the table in it."""

    user_reference: str
    registration_id: str | None
    launch_id: str | None
    site_role: str


class AskKind(StrEnum):
    """What one person asks for and another one confirms."""

    ERASE = "erase"
    HOLD_SET = "hold-set"
    HOLD_LIFT = "hold-lift"
    PATIENT_COPY = "patient-copy"


@dataclass(frozen=True)
class Ask:
    """``subject``: the case id, or what a patient's copy is about. ``reason``: a word from a list.
    ``is_own``: who looks is who asked."""

    id: str
    kind: AskKind
    subject: str
    reason: str
    is_own: bool


class SecondPerson(Protocol):
    """Two persons, each by own launch; every step is audited."""

    def ask(self, person: Person, kind: AskKind, subject: str, reason: str, now: datetime) -> str:
        """``subject``: a case id, or "Type/<id>" of something in it. Returns the id of the ask. Raises
        ``NothingToShowError`` where there is no such case."""

    def waiting(self, person: Person, now: datetime) -> Sequence[Ask]:
        """What waits, oldest first."""

    def take_back(self, person: Person, ask_id: str, now: datetime) -> None:
        """Either of the two ends it, undone."""

    def confirm(self, person: Person, ask_id: str, now: datetime) -> object:
        """Do it, in the commit that says who confirmed. Raises ``RefusedError`` for the one who asked."""

    def confirm_copy(self, person: Person, ask_id: str, now: datetime) -> Requester:
        """Who reads the patient's copy that two persons now decided on: the patient, for this once. Raises as
        ``confirm`` does."""

    def holds(self) -> Sequence[str]:
        """Ids of the cases under a legal hold."""
