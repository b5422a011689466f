"""THE door: every patient-level read, write and send goes through it and leaves a row in the audit chain.

``open_for`` gives one transaction at the vault. ``crossing`` brackets a call to an EHR: row ``intended`` committed
first, row ``outcome`` after, one crossing id; no row, no crossing. ``release`` is the delivery worker's own path: a
send is no read, so it may only release what its own job names, and only while the survivor's release covers it now.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from smart_app.delivery_ports import Job
from smart_app.gateways import alerts, outbox
from smart_app.gateways.audit_log import AuditLog
from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.consent_register import ConsentRegister
from smart_app.gateways.judge import REFERENCE, STORED
from smart_app.gateways.unit_of_work import Unit
from smart_app.gateways.vault import CaseRow, Head, TamperedError, Vault, labels_in
from smart_app.policy import access
from smart_app.policy.access import Requester
from smart_app.ports import Payload

Note = Callable[..., None]
SYSTEM_DELIVERY = "system-delivery"
INCIDENT_ALERT = "vault-row-not-trusted"


class LaunchEvent(Protocol):
    """What ``launch`` reports: an event code and opaque ids, never a token or a name."""

    @property
    def name(self) -> str:
        """Event code, such as "partner-token-refused"."""

    @property
    def reason(self) -> str:
        """Short constant code."""

    @property
    def tenant(self) -> str | None:
        """The EHR's own word for the organization a launch came from."""

    @property
    def launch_id(self) -> str | None:
        """Opaque id of the launch."""

    @property
    def registration_id(self) -> str | None:
        """Which EHR."""

    @property
    def user_reference(self) -> str | None:
        """The person, "Practitioner/<id>"."""

    @property
    def client_id(self) -> str | None:
        """A partner's id at our token endpoint."""

    @property
    def scopes(self) -> Collection[str]:
        """What was granted."""

    @property
    def jti_hash(self) -> str | None:
        """SHA-256 of the assertion's id."""

    @property
    def address(self) -> str | None:
        """The caller's network address."""


@dataclass
class Crossing:
    """One call outside that is under way. Whoever makes it sets ``outcome`` and, if something came of it, ``made``."""

    crossing_id: str
    common: Mapping[str, Any]
    outcome: str = "failed"
    made: str | None = None


@dataclass(frozen=True)
class Parcel:
    """What one job may send now: the opened resources of its own referral, and the crossing that was announced."""

    crossing: Crossing
    partner_id: str
    patient: Payload
    consent: Payload
    service_request: Payload
    task: Payload
    versions: frozenset[str]  # "Type/<id>/_history/<version>" of what is sent and of the release


@dataclass(frozen=True)
class Recall:
    """The one thing a program is told when its referral was taken back, and the crossing that was announced."""

    crossing: Crossing
    partner_id: str
    task: Payload


@dataclass
class _Releasable:
    """What the worker's job names, before anything is opened for sending."""

    case: CaseRow | None = None
    partner_id: str | None = None
    consent_reference: str | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    all_heads: dict[str, Head] = field(default_factory=dict)
    contents: dict[str, Payload] = field(default_factory=dict)
    rule: str = "absent"
    incident: str | None = None

    @property
    def versions(self) -> frozenset[str]:
        """What would be sent now, and under which release: empty when nothing would."""
        if self.consent_reference is None:
            return frozenset()
        heads = [*self.heads.values(), self.all_heads[self.consent_reference]]
        return frozenset(f"{head.reference}/_history/{head.version}" for head in heads)


class VaultDoor:
    """Implements ``ports.Door`` for one health center, and what the outside gateways need."""

    def __init__(
        self,
        engine: Engine,
        cipher: MasterCipher,
        *,
        site_id: str,
        organization_reference: str,
        time_zone: str = "UTC",
        confidentiality: str = "V",
    ) -> None:
        """``time_zone``: where a bare date in a release is read. ``confidentiality``: "V", or "R" by configuration."""
        self._engine = engine
        self._cipher = cipher
        self._site_id = site_id
        self._confidentiality = confidentiality
        self._register = ConsentRegister(organization_reference, ZoneInfo(time_zone))
        self._log = AuditLog(cipher)

    # -- the vault -----------------------------------------------------------------------------------------------

    @contextmanager
    def open_for(self, requester: Requester, now: datetime) -> Iterator[Unit]:
        """One transaction for one requester. When it fails, what was decided in it is still audited, and nothing
        else of it remains."""
        unit: Unit | None = None
        try:
            with self._engine.begin() as connection:
                unit = self._unit(connection, requester, now)
                yield unit
                unit.journal.flush()
                self._tell_incidents(connection, unit.incidents, now)
        except BaseException:
            if unit is not None:
                self._keep_what_was_decided(unit, now)
            raise

    @contextmanager
    def inside(self, common: Mapping[str, Any], now: datetime) -> Iterator[tuple[Connection, Vault, Note]]:
        """One transaction in which the house keeps its own order: records that end, and what two persons decided about
        them. ``Note`` writes a row of the log; without one nothing may change here. Nothing is shown to anybody."""

        def note(**content: Any) -> None:
            row = {**common, "at": now.isoformat(), "crossing": str(uuid.uuid4()), "phase": "vault", **content}
            self._log.append(connection, [row], now)

        with self._engine.begin() as connection:
            yield connection, Vault(connection, self._cipher), note

    def _unit(self, connection: Connection, requester: Requester, now: datetime) -> Unit:
        return Unit(
            connection,
            self._cipher,
            requester,
            now,
            register=self._register,
            site_id=self._site_id,
            confidentiality=self._confidentiality,
            append=lambda to, rows: self._log.append(to, rows, now),
            common=_common(requester, now),
        )

    def _keep_what_was_decided(self, unit: Unit, now: datetime) -> None:
        if not unit.journal.kept and not unit.incidents:
            return
        with self._engine.begin() as connection:
            self._log.append(connection, unit.journal.kept, now)
            self._tell_incidents(connection, unit.incidents, now)

    def _tell_incidents(self, connection: Connection, references: Sequence[str], now: datetime) -> None:
        for reference in references:
            self._tell(connection, INCIDENT_ALERT, reference, now)

    def _tell(self, connection: Connection, kind: str, reference: str | None, now: datetime) -> None:
        alerts.raise_in(connection, tenant_id=self._cipher.tenant_id, kind=kind, reference=reference, now=now)

    # -- crossings to the outside --------------------------------------------------------------------------------

    @contextmanager
    def crossing(
        self, requester: Requester, *, system: str, action: str, entities: Sequence[str], now: datetime
    ) -> Iterator[Crossing]:
        """Bracket one call to ``system`` ("ehr"). The row ``intended`` is committed before the body runs; the row
        ``outcome`` follows whatever happens."""
        with self.crossings(requester, system=system, calls=[(action, entities)], now=now) as (crossing,):
            yield crossing

    @contextmanager
    def crossings(
        self, requester: Requester, *, system: str, calls: Sequence[tuple[str, Sequence[str]]], now: datetime
    ) -> Iterator[list[Crossing]]:
        """As ``crossing`` for several calls, (action, entities) each: one crossing id and two rows for every one. All
        are announced in one commit before the first is made, and concluded in one commit after the last."""
        common = {**_common(requester, now), "system": system}
        made = [
            Crossing(str(uuid.uuid4()), {**common, "action": action, "entities": list(entities)})
            for action, entities in calls
        ]
        with self._engine.begin() as connection:
            self._append_intended(connection, made, now)
        try:
            yield made
        finally:
            self._conclude(made, now)

    def begin_crossing(self, common: Mapping[str, Any], now: datetime) -> Crossing:
        """Commit the row ``intended``. Without it nothing may leave."""
        crossing = Crossing(str(uuid.uuid4()), common)
        with self._engine.begin() as connection:
            self._append_intended(connection, [crossing], now)
        return crossing

    def end_crossing(self, crossing: Crossing, now: datetime) -> None:
        """Commit the row ``outcome`` with the same crossing id."""
        self._conclude([crossing], now)

    def _conclude(self, crossings: Sequence[Crossing], now: datetime) -> None:
        rows = [
            {
                **crossing.common,
                "crossing": crossing.crossing_id,
                "phase": "outcome",
                "outcome": crossing.outcome,
                "made": crossing.made,
            }
            for crossing in crossings
        ]
        with self._engine.begin() as connection:
            self._log.append(connection, rows, now)

    def audit_launch_event(self, event: LaunchEvent, now: datetime, transaction: Connection | None = None) -> None:
        """One row for a launch or token event: its code and opaque ids. In the caller's ``transaction``, if it has one:
        then what the row tells of stands with it or not at all."""
        row = {
            "at": now.isoformat(),
            "crossing": str(uuid.uuid4()),
            "phase": "launch",
            "action": event.name,
            "reason": event.reason,
            "launch": event.launch_id,
            "registration": event.registration_id,
            "who": event.user_reference,
            "client": event.client_id,
            "scopes": sorted(event.scopes),
            "jti": event.jti_hash,
            "address": event.address,
            "tenant": event.tenant,
        }
        with nullcontext(transaction) if transaction is not None else self._engine.begin() as connection:
            self._log.append(connection, [row], now)

    def note_log_read(self, requester: Requester, what: str, now: datetime) -> None:
        """Whoever reads the log leaves a row in it, before anything of it is opened. ``what``: "log/<month>"."""
        with self.inside(_common(requester, now), now) as (_, _, note):
            note(action="read-log", entities=[{"what": what}])

    def _append_intended(self, connection: Connection, crossings: Sequence[Crossing], now: datetime) -> None:
        rows = [{**one.common, "crossing": one.crossing_id, "phase": "intended"} for one in crossings]
        self._log.append(connection, rows, now)

    # -- the worker's path ---------------------------------------------------------------------------------------

    def may_release(self, job: Job, now: datetime) -> str | None:
        """The partner that ``job`` may send to now, or None (audited). Opens nothing for sending."""
        with self._engine.begin() as connection:
            found = self._releasable(connection, job, now)
            if found.consent_reference is None:
                self._note_not_released(connection, job, found, now)
                return None
            return found.partner_id

    def release(self, job: Job, now: datetime) -> Parcel | None:
        """What ``job`` may send at this moment, announced in the log as a disclosure under its consent (R9, R11).
        None when the release does not cover it now, or the job is no longer this worker's. Call ``end_crossing``."""
        with self._engine.begin() as connection:
            self._log.hold(connection)
            found = self._releasable(connection, job, now)
            if found.consent_reference is None or found.partner_id is None:
                self._note_not_released(connection, job, found, now)
                return None
            disclosed = {"consents": [found.consent_reference], "is_disclosure": True}
            sent = self._sending(job, found.partner_id, found.heads.values(), now, action="release")
            crossing = Crossing(str(uuid.uuid4()), sent | disclosed)
            self._append_intended(connection, [crossing], now)
        contents = found.contents
        task = contents[job.reference]
        return Parcel(
            crossing,
            found.partner_id,
            patient=contents[task["for"]["reference"]],
            consent=contents[found.consent_reference],
            service_request=contents[task["focus"]["reference"]],
            task=task,
            versions=found.versions,
        )

    def is_still_released(self, job: Job, parcel: Parcel, now: datetime) -> bool:
        """Would ``release`` give this very parcel now? Reads only, announces nothing, waits for nobody who writes."""
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            return self._releasable(connection, job, now).versions == parcel.versions

    def recall(self, job: Job, now: datetime) -> Recall | None:
        """What a program is told of a referral that was taken back: its own Task, cancelled. Needs no release, since
        it says nothing new about a person; announced in the log. None when the Task is not cancelled, or the job is
        no longer this worker's. Call ``end_crossing``."""
        with self._engine.begin() as connection:
            self._log.hold(connection)
            found = self._opened(connection, job)
            task = found.contents.get(job.reference)
            if task is None or found.partner_id is None or task["status"] != "cancelled":
                self._note_not_released(connection, job, found, now)
                return None
            heads = [found.all_heads[job.reference]]
            crossing = Crossing(str(uuid.uuid4()), self._sending(job, found.partner_id, heads, now, action="recall"))
            self._append_intended(connection, [crossing], now)
        return Recall(crossing, found.partner_id, task)

    def _releasable(self, connection: Connection, job: Job, now: datetime) -> _Releasable:
        """The job's own rows, and the release that covers all of them now, if there is one."""
        found = self._opened(connection, job)
        if found.rule != "R9":
            return found
        try:
            task = found.contents[job.reference]
            items = [
                found.all_heads[ref] for ref in (job.reference, task["focus"]["reference"], task["for"]["reference"])
            ]
        except KeyError:
            found.rule, found.incident = "R5", job.reference
            return found
        if task["status"] != "requested":  # taken back, or answered already: there is nothing to ask any more
            return found
        found.heads = {head.reference: head for head in items}
        consents = [payload for payload in found.contents.values() if payload["resourceType"] == "Consent"]
        partner = f"Organization/{found.partner_id}"
        found.consent_reference = self._register.release_of(consents, partner, items, found.all_heads.values(), now)
        return found

    def _opened(self, connection: Connection, job: Job) -> _Releasable:
        """All rows of the job's case, opened; nothing when the job is not this worker's or a row cannot be trusted."""
        vault = Vault(connection, self._cipher)
        found = _Releasable(case=vault.case(job.case_id))
        if found.case is None or not outbox.is_held(connection, self._cipher.tenant_id, job):
            return found
        heads = {head.reference: head for head in vault.heads([job.case_id])}
        wrong = next((ref for ref, head in heads.items() if _is_unlabelled(head)), None)
        if wrong is not None:
            found.rule, found.incident = "R5", wrong
            return found
        try:
            found.partner_id = vault.details(found.case)["partner"]
            opened = vault.contents(list(heads.values()), {job.case_id: found.case})
            found.contents = {reference: content.payload for reference, content in opened.items()}
        except (TamperedError, KeyError):
            found.rule, found.incident = "R5", job.reference
            return found
        found.rule, found.all_heads = "R9", heads
        return found

    def _sending(
        self, job: Job, partner_id: str, heads: Iterable[Head], now: datetime, *, action: str
    ) -> dict[str, Any]:
        return {
            "at": now.isoformat(),
            "who": SYSTEM_DELIVERY,
            "purpose": access.Purpose.COC.value,
            "system": "partner",
            "action": action,
            "kind": job.kind,
            "case": job.case_id,
            "partner": partner_id,
            "entities": [
                {"what": f"{head.reference}/_history/{head.version}", "labels": head.labels} for head in heads
            ],
        }

    def _note_not_released(self, connection: Connection, job: Job, found: _Releasable, now: datetime) -> None:
        row = {
            "at": now.isoformat(),
            "crossing": str(uuid.uuid4()),
            "phase": "vault",
            "who": SYSTEM_DELIVERY,
            "action": "refuse",
            "rule": found.rule,
            "case": job.case_id,
            "entities": [{"what": job.reference if REFERENCE.fullmatch(job.reference) else "unknown"}],
        }
        self._log.append(connection, [row], now)
        if found.incident is not None:
            self._tell(connection, INCIDENT_ALERT, found.incident, now)


def _common(requester: Requester, now: datetime) -> dict[str, Any]:
    """Who asks, in the words of the log: opaque ids only."""
    person = {} if requester.member_id is None else {"member": requester.member_id}
    if requester.copy_id is not None:
        person["copy"] = requester.copy_id
    return {
        **person,
        "at": now.isoformat(),
        "who": requester.user_reference,
        "role": requester.role.value,
        "site_role": requester.site_role,
        "purpose": requester.purpose.value,
        "registration": requester.registration_id,
        "launch": requester.launch_id,
        "reason": requester.reason,
        "care_team": requester.care_team_source,
    }


def _is_unlabelled(head: Head) -> bool:
    return access.effective(labels_in(head.labels)) not in STORED
