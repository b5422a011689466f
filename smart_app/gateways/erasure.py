"""Records that end: what programs sent is erased on time, what waits under a release that is over is emptied (R35).

Erased means: the case's data key is deleted, every row of the case goes, and one row of the audit says that it was done
and why. The chain itself is never edited. A legal hold stops it, here and in the schema. The receipt of the program's
message stays, since it names nobody. Nothing is shown to anybody here: this is the house keeping its own order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, select, update

from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.door import Note, VaultDoor
from smart_app.gateways.engine import database_now, empty_wal, insert_ignoring
from smart_app.gateways.facts import UnitFacts
from smart_app.gateways.outbox import EMPTY
from smart_app.gateways.tables import (
    alert,
    delivery,
    erased_key,
    legal_hold,
    partner_view,
    vault_case,
    vault_key,
    vault_resource,
)
from smart_app.gateways.vault import CaseRow, TamperedError, Vault
from smart_app.policy import retention
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.retention import End, Why
from smart_app.ports import CaseKind, Payload

SYSTEM_ERASURE = "system-erasure"
CHUNK = 200
HAS_WAITED_SECONDS = 3600
OF_A_CASE = (partner_view, vault_resource, vault_key, vault_case)  # in this order: each refers to the last


class Outcome(StrEnum):
    """What became of one erase."""

    ERASED = "erased"
    HELD = "held"
    ABSENT = "absent"
    DONE = "done"  # something else that two persons decided


@dataclass(frozen=True)
class Round:
    """What one look at everything did. ``held``: due, and under a legal hold. ``stopped``: messages that waited under a
    release that is over."""

    erased: int = 0
    held: int = 0
    stopped: int = 0


class Eraser:
    """Erases one health center's records. Safe under several workers: each case is erased once."""

    def __init__(
        self,
        engine: Engine,
        cipher: MasterCipher,
        door: VaultDoor,
        *,
        calendar: ClinicCalendar,
        organization_reference: str,
        site_id: str,
        after_erase: Callable[[datetime], object] = lambda _: None,
    ) -> None:
        """``after_erase`` makes older copies of the database useless. It runs until it was done once after each erase,
        whatever dies in between."""
        self._engine = engine
        self._cipher = cipher
        self._tenant_id = cipher.tenant_id
        self._door = door
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.time_zone)
        self._ours = organization_reference
        self._site_id = site_id
        self._after_erase = after_erase

    def look(self, now: datetime) -> Round:
        """Erase what is due now, and empty what waits under a release that is over."""
        due = list(self._due(now))
        outcomes = [self._erase_in_own_transaction(case_id, end.why, now) for case_id, end in due]
        stopped = sum(self._stop(change, case_id, now) for change, case_id in list(self._over(now)))
        self.finish(now)
        return Round(outcomes.count(Outcome.ERASED), outcomes.count(Outcome.HELD), stopped)

    def finish(self, now: datetime) -> None:
        """Leave nothing of what was erased behind: in the write-ahead log, and in older copies of the database. What an
        earlier round could not finish is finished here."""
        mine = erased_key.c.tenant_id == self._tenant_id
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            erased = list(connection.execute(select(erased_key.c.case_id).where(mine)).scalars())
        if not erased:
            return
        self._after_erase(now)
        with self._engine.begin() as connection:
            for start in range(0, len(erased), CHUNK):
                some = erased_key.c.case_id.in_(erased[start : start + CHUNK])
                connection.execute(delete(erased_key).where(mine, some))
        empty_wal(self._engine)

    def erase_in(
        self, connection: Connection, vault: Vault, note: Note, case_id: str, why: Why, now: datetime
    ) -> Outcome:
        """Erase one case in the caller's transaction, with its row in the audit; then call ``finish``."""
        case = vault.case(case_id)
        if case is None:
            return Outcome.ABSENT
        references = [head.reference for head in vault.heads([case_id])]
        row = {"case": case_id, "kind": case.kind.value, "reason": why.value, "rule": "R35"}
        if is_held(connection, self._tenant_id, case_id):
            note(action="erase-refused", **row, result="held")
            return Outcome.HELD
        note(action="erase", **row, entities=[{"what": reference} for reference in references])
        self._forget(connection, case_id, references)
        row_of_key = {"tenant_id": self._tenant_id, "case_id": case_id, "month": f"{now:%Y-%m}"}
        insert_ignoring(connection, erased_key, [row_of_key])
        UnitFacts(connection, tenant_id=self._tenant_id, site_id=self._site_id, now=now).count("erased", why.value)
        return Outcome.ERASED

    def _erase_in_own_transaction(self, case_id: str, why: Why, now: datetime) -> Outcome:
        with self._door.inside({"who": SYSTEM_ERASURE}, now) as (connection, vault, note):
            return self.erase_in(connection, vault, note, case_id, why, now)

    def _forget(self, connection: Connection, case_id: str, references: list[str]) -> None:
        mine = (delivery.c.tenant_id == self._tenant_id, delivery.c.case_id == case_id)
        connection.execute(update(delivery).where(*mine).values(state="done", **EMPTY))
        for start in range(0, len(references), CHUNK):
            named = alert.c.reference.in_(references[start : start + CHUNK])
            connection.execute(
                update(alert).where(alert.c.tenant_id == self._tenant_id, named).values(is_open=False, reference=None)
            )
        for table in OF_A_CASE:
            connection.execute(delete(table).where(table.c.tenant_id == self._tenant_id, table.c.case_id == case_id))

    # -- what is due ---------------------------------------------------------------------------------------------

    def _due(self, now: datetime) -> Iterator[tuple[str, End]]:
        """Cases of programs whose time is over, with what ended each. A chunk per transaction: a long walk must not
        keep writers waiting."""
        after = ""
        while True:
            statement = select(vault_case.c.case_id).where(
                vault_case.c.tenant_id == self._tenant_id,
                vault_case.c.kind == CaseKind.INBOUND.value,
                vault_case.c.case_id > after,
            )
            with self._engine.execution_options(is_read_only=True).begin() as connection:
                found = list(connection.execute(statement.order_by(vault_case.c.case_id).limit(CHUNK)).scalars())
                ends = self._ends_of(Vault(connection, self._cipher), found, now)
            yield from ((case_id, end) for case_id, end in ends.items() if end.at <= now)
            if len(found) < CHUNK:
                return
            after = found[-1]

    def _ends_of(self, vault: Vault, case_ids: list[str], now: datetime) -> dict[str, End]:
        cases, payloads = _opened(vault, case_ids)
        ends = {}
        for case_id, case in cases.items():
            try:
                began_at = datetime.fromisoformat(vault.details(case)["opened_at"])
            except TamperedError:  # nobody can open it any more; all that is left is to take its rows away
                ends[case_id] = End(now, Why.THIRTY_DAYS)
                continue
            facts = retention.staging_of(
                began_at, payloads[case_id], is_open=case.is_open, ours=self._ours, zone=self._zone
            )
            ends[case_id] = retention.staging_end(facts, self._calendar)
        return ends

    # -- messages under a release that is over -------------------------------------------------------------------

    def _over(self, now: datetime) -> Iterator[tuple[int, str]]:
        """Change and case of each message that may never leave any more. Only of what has waited for a while: a message
        that is sent at once has its release read by the worker anyway."""
        has_waited = (delivery.c.attempts > 0) | (delivery.c.due_at < database_now() - HAS_WAITED_SECONDS)
        statement = select(delivery.c.change, delivery.c.case_id).where(*self._waits(), has_waited)
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            waiting = connection.execute(statement.order_by(delivery.c.change)).all()
        for start in range(0, len(waiting), CHUNK):
            rows = waiting[start : start + CHUNK]
            with self._engine.execution_options(is_read_only=True).begin() as connection:
                over = self._releases_over(Vault(connection, self._cipher), [row.case_id for row in rows], now)
            yield from ((row.change, row.case_id) for row in rows if row.case_id in over)

    def _releases_over(self, vault: Vault, case_ids: list[str], now: datetime) -> set[str]:
        cases, payloads = _opened(vault, case_ids)
        over = set()
        for case_id, case in cases.items():
            try:
                recipient = f"Organization/{vault.details(case)['partner']}"
            except TamperedError:
                continue  # the worker meets it, and tells the privacy officer
            consents = [one for one in payloads[case_id] if one["resourceType"] == "Consent"]
            if retention.is_release_over(consents, recipient, now, self._zone):
                over.add(case_id)
        return over

    def _stop(self, change: int, case_id: str, now: datetime) -> int:
        common = {"who": SYSTEM_ERASURE}
        with self._door.inside(common, now) as (connection, _, note):
            stopped = connection.execute(
                update(delivery).where(*self._waits(), delivery.c.change == change).values(state="done", **EMPTY)
            ).rowcount
            if stopped:
                note(action="stop", case=case_id, reason=Why.RELEASE_OVER.value, rule="R9")
                connection.execute(
                    update(vault_case)
                    .where(vault_case.c.tenant_id == self._tenant_id, vault_case.c.case_id == case_id)
                    .values(transport="stopped")
                )
        return int(stopped)

    def _waits(self) -> tuple[Any, ...]:
        """Open, a referral, and in nobody's hands: what is being sent now is that worker's own to decide."""
        return (
            delivery.c.tenant_id == self._tenant_id,
            delivery.c.state == "open",
            delivery.c.kind == "referral",
            delivery.c.lease_until.is_(None) | (delivery.c.lease_until < database_now()),
        )


def is_held(connection: Connection, tenant_id: str, case_id: str) -> bool:
    """Is there a legal hold on this case? Its row stays locked until the caller's transaction ends."""
    statement = select(legal_hold.c.case_id).where(legal_hold.c.tenant_id == tenant_id, legal_hold.c.case_id == case_id)
    return connection.execute(statement.with_for_update()).one_or_none() is not None


def _opened(vault: Vault, case_ids: list[str]) -> tuple[dict[str, CaseRow], dict[str, list[Payload]]]:
    """These cases, and what of each can be opened. What cannot be counts for nothing here; the door tells about it."""
    cases = {case.case_id: case for case in vault.cases_by_id(case_ids)}
    payloads: dict[str, list[Payload]] = {case_id: [] for case_id in cases}
    heads = vault.heads(list(cases))
    contents = vault.contents(heads, cases)
    for head in heads:
        if head.reference in contents:
            payloads[head.case_id].append(contents[head.reference].payload)
    return cases, payloads
