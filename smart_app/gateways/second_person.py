"""What no one decides alone: one person asks, another confirms, both stand in the audit (R29, R35).

Here live legal holds, erases on a decided request, and the patient's copy. The ask holds who asked and why, sealed, and
is gone once it is decided. The one who asked can take it back and can never confirm it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from smart_app.errors import ConflictError, NothingToShowError, RefusedError
from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import insert_ignoring
from smart_app.gateways.erasure import Eraser, Outcome, is_held
from smart_app.gateways.tables import legal_hold, second_look, vault_case, vault_resource
from smart_app.office_ports import Ask, AskKind, Person
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.retention import Why

DONE_AT_ONCE = frozenset({AskKind.ERASE, AskKind.HOLD_SET, AskKind.HOLD_LIFT})
OPEN_FOR = timedelta(days=30)  # a request is decided within thirty days (R35)


@dataclass(frozen=True)
class _Kept:
    ask: Ask
    asked_by: tuple[str | None, str]
    asked_at: datetime


class SecondPerson:
    """Implements ``office_ports.SecondPerson``."""

    def __init__(self, engine: Engine, cipher: MasterCipher, door: VaultDoor, eraser: Eraser) -> None:
        self._engine = engine
        self._cipher = cipher
        self._tenant_id = cipher.tenant_id
        self._door = door
        self._eraser = eraser

    def ask(self, person: Person, kind: AskKind, subject: str, reason: str, now: datetime) -> str:
        """Keep what ``person`` asks for. Raises ``NothingToShowError`` where there is no such case."""
        ask_id = str(uuid.uuid4())
        with self._door.inside(_common(person), now) as (connection, _, note):
            case_id = subject if kind is AskKind.PATIENT_COPY else self._case_named(connection, subject)
            row = {"kind": kind.value, "ask": ask_id, "reason": reason, "rule": "R35"}
            note(action="ask", **row, result="absent" if case_id is None else "kept")
            if case_id is not None:
                content = {"subject": case_id, "reason": reason, "by": _account(person), "at": now.isoformat()}
                connection.execute(
                    second_look.insert().values(
                        tenant_id=self._tenant_id,
                        ask_id=ask_id,
                        month=f"{now:%Y-%m}",
                        kind=kind.value,
                        sealed=self._cipher.seal(json.dumps(content).encode(), purpose=f"second-look|{ask_id}"),
                    )
                )
        if case_id is None:
            raise NothingToShowError(rule="R35")
        return ask_id

    def waiting(self, person: Person, now: datetime) -> list[Ask]:
        """What waits for a second person, oldest first; ``is_own`` where this person asked."""
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            kept = self._kept(connection, _account(person), now)
        return [one.ask for one in sorted(kept, key=lambda one: one.asked_at)]

    def take_back(self, person: Person, ask_id: str, now: datetime) -> None:
        """The ask is gone, undone. For either of the two."""
        with self._door.inside(_common(person), now) as (connection, _, note):
            if self._drop(connection, ask_id):
                note(action="ask-taken-back", ask=ask_id)

    def confirm_copy(self, person: Person, ask_id: str, now: datetime) -> Requester:
        """The second person says yes to a patient's copy. What is asked as from here on, is asked as the patient."""
        found = next((one for one in self.waiting(person, now) if one.id == ask_id), None)
        if found is None or found.kind is not AskKind.PATIENT_COPY:
            raise NothingToShowError(rule="R29")
        self.confirm(person, ask_id, now, kinds=frozenset({AskKind.PATIENT_COPY}))
        registration_id, _, patient_id = found.subject.partition(" ")
        return Requester(
            Role.PATIENT,
            person.user_reference,
            Purpose.PATRQT,
            patient_id=patient_id,
            registration_id=registration_id,
            launch_id=person.launch_id,
            site_role=person.site_role,
            copy_id=ask_id,
        )

    def confirm(
        self, person: Person, ask_id: str, now: datetime, *, kinds: frozenset[AskKind] = DONE_AT_ONCE
    ) -> Outcome:
        """The second person says yes, and it is done in the same commit. Raises ``RefusedError`` for the one who asked,
        ``NothingToShowError`` where nothing waits, and ``ConflictError`` where a hold forbids it."""
        with self._door.inside(_common(person), now) as (connection, vault, note):
            found = next((one for one in self._kept(connection, _account(person), now) if one.ask.id == ask_id), None)
            row: dict[str, Any] = {"ask": ask_id} if found is None else {"ask": ask_id, "kind": found.ask.kind.value}
            if found is None or found.ask.is_own or found.ask.kind not in kinds or not self._drop(connection, ask_id):
                note(action="confirm-refused", **row)
                outcome = None
            else:
                note(action="confirm", **row, asked_by=found.asked_by[1])
                outcome = self._done(connection, vault, note, found.ask, now)
        if outcome is None:
            raise RefusedError(rule="R35") if found is not None and found.ask.is_own else NothingToShowError(rule="R35")
        if outcome is Outcome.ERASED:
            self._eraser.finish(now)
        if outcome is Outcome.HELD:
            raise ConflictError("A legal hold stands on this case. Nothing was erased.", rule="R35")
        return outcome

    def holds(self) -> list[str]:
        """Cases under a legal hold."""
        statement = select(legal_hold.c.case_id).where(legal_hold.c.tenant_id == self._tenant_id)
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            return sorted(connection.execute(statement).scalars())

    def _done(self, connection: Connection, vault: Any, note: Any, ask: Ask, now: datetime) -> Outcome:
        case_id = ask.subject
        if ask.kind is AskKind.ERASE:
            return self._eraser.erase_in(connection, vault, note, case_id, Why.REQUEST, now)
        if ask.kind is AskKind.HOLD_SET:
            if self._case_named(connection, case_id) is None:
                return Outcome.ABSENT
            row = {"tenant_id": self._tenant_id, "case_id": case_id, "month": f"{now:%Y-%m}"}
            insert_ignoring(connection, legal_hold, [row])
            note(action="hold-set", case=case_id, reason=ask.reason, rule="R35")
        if ask.kind is AskKind.HOLD_LIFT and is_held(connection, self._tenant_id, case_id):
            connection.execute(
                delete(legal_hold).where(legal_hold.c.tenant_id == self._tenant_id, legal_hold.c.case_id == case_id)
            )
            note(action="hold-lifted", case=case_id, reason=ask.reason, rule="R35")
        return Outcome.DONE

    def _kept(self, connection: Connection, account: tuple[str | None, str], now: datetime) -> list[_Kept]:
        statement = select(second_look).where(second_look.c.tenant_id == self._tenant_id).with_for_update()
        found = []
        for row in connection.execute(statement):
            try:
                content = json.loads(self._cipher.open(bytes(row.sealed), purpose=f"second-look|{row.ask_id}"))
            except SealError:
                continue
            by, at = (content["by"][0], content["by"][1]), datetime.fromisoformat(content["at"])
            if at + OPEN_FOR < now:
                continue
            ask = Ask(row.ask_id, AskKind(row.kind), content["subject"], content["reason"], is_own=by[1] == account[1])
            found.append(_Kept(ask, by, at))
        return found

    def _drop(self, connection: Connection, ask_id: str) -> bool:
        where = (second_look.c.tenant_id == self._tenant_id, second_look.c.ask_id == ask_id)
        return bool(connection.execute(delete(second_look).where(*where)).rowcount)

    def _case_named(self, connection: Connection, subject: str) -> str | None:
        """The case with this id, or the one that holds "Type/<id>"; None where there is none."""
        kind, is_reference, resource_id = subject.partition("/")
        table = vault_resource if is_reference else vault_case
        where = [table.c.tenant_id == self._tenant_id]
        if is_reference:
            where += [table.c.resource_type == kind, table.c.resource_id == resource_id]
        else:
            where += [table.c.case_id == subject]
        found: str | None = connection.execute(select(table.c.case_id).where(*where).limit(1)).scalar()
        return found


def _account(person: Person) -> tuple[str | None, str]:
    """The same Practitioner id at two EHRs may be two people; here it counts as one (see ``is_own``)."""
    return person.registration_id, person.user_reference


def _common(person: Person) -> dict[str, Any]:
    return {
        "who": person.user_reference,
        "site_role": person.site_role,
        "registration": person.registration_id,
        "launch": person.launch_id,
    }
