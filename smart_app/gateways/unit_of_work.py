"""One transaction of one requester at the door. Implements ``ports.UnitOfWork``; made by ``door`` alone.

Write: limits, validate, label, decide, audit, store. Read: load labels only, decide, audit, decrypt. Denied and absent
take the same statements and end in the same error.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Any, NoReturn

from sqlalchemy import Connection

from fhir_profiles import security_labels, validation
from fhir_profiles.label_exchange import Origin, label_up
from fhir_profiles.label_versions import etag, is_lowered
from fhir_profiles.security_labels import Label
from fhir_profiles.terminology import INLINE_SEC_LABEL
from smart_app.errors import InvalidError, NothingToShowError, PreconditionError, RefusedError, UnlabelledError
from smart_app.gateways import links
from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.consent_register import ConsentRegister, recipients_of
from smart_app.gateways.exclusions import UnitExclusions
from smart_app.gateways.facts import UnitFacts
from smart_app.gateways.holds import UnitHolds
from smart_app.gateways.journal import Append, Journal, opaque
from smart_app.gateways.judge import (
    INCIDENT,
    PROGRAM_IN_OUR_CASE,
    Judge,
    Scene,
    Verdict,
    launched_patient,
)
from smart_app.gateways.outbox import UnitOutbox
from smart_app.gateways.vault import CaseRow, Content, Head, TamperedError, Vault, as_bytes, label_text, labels_in
from smart_app.policy import redaction
from smart_app.policy.access import Requester, Result, Role
from smart_app.ports import Case, CaseKind, ItemsByCase, PatientKey, Payload, Receipt, Stored


class Unit:
    """See ``ports.UnitOfWork`` for what each method promises."""

    def __init__(
        self,
        connection: Connection,
        cipher: MasterCipher,
        requester: Requester,
        now: datetime,
        *,
        register: ConsentRegister,
        site_id: str,
        confidentiality: str,
        append: Append,
        common: Mapping[str, Any],
    ) -> None:
        self._cipher = cipher
        self._requester = requester
        self._now = now
        self._organization = register.organization_reference
        self._confidentiality = confidentiality
        person = (requester.registration_id, requester.user_reference)
        self._vault = Vault(connection, cipher, person=person)
        self._judge = Judge(self._vault, register, requester, now, self._incident)
        self.journal = Journal(connection, append, common)
        self.incidents: list[str] = []
        self._opened_here: dict[str, Scene] = {}  # what this transaction made, nobody else can have changed
        self._scenes: dict[str, CaseRow] = {}  # cases that were listed
        self._found: dict[str, list[Verdict]] = {}  # by case, until something is written here
        self._facts = UnitFacts(connection, tenant_id=cipher.tenant_id, site_id=site_id, now=now)
        self._zone = register.zone
        self._outbox = UnitOutbox(connection, cipher, now=now, may_see=self._may_see)
        note = self.journal.note
        self._exclusions = UnitExclusions(connection, cipher, self._vault, requester, now, note)
        self._holds = UnitHolds(connection, cipher, self._vault, requester, now, note, exclusions=self._exclusions)

    @property
    def requester(self) -> Requester:
        """Who asks."""
        return self._requester

    @property
    def now(self) -> datetime:
        """When, for the whole unit."""
        return self._now

    @property
    def zone(self) -> tzinfo:
        """Where a bare date in a release is read."""
        return self._zone

    @property
    def outbox(self) -> UnitOutbox:
        """Work to send, in this commit."""
        return self._outbox

    @property
    def facts(self) -> UnitFacts:
        """Counts, in this commit."""
        return self._facts

    @property
    def exclusions(self) -> UnitExclusions:
        """Whom the launched patient leaves out, in this commit."""
        return self._exclusions

    @property
    def holds(self) -> UnitHolds:
        """Who may be a contact of the patient, in this commit."""
        return self._holds

    # -- cases ---------------------------------------------------------------------------------------------------

    def open_case(
        self,
        kind: CaseKind,
        *,
        patient: PatientKey | None = None,
        partner_id: str | None = None,
        due_on: date | None = None,
        needs_person: bool = False,
    ) -> str:
        """Make a case and its data key; the requester is its author."""
        asks = self._requester
        is_own_patient = patient is not None and patient == launched_patient(asks)
        is_own_program = partner_id is not None and asks.user_reference == f"Organization/{partner_id}"
        if not links.may_open(asks, kind, is_own_patient=is_own_patient, is_own_program=is_own_program):
            self.journal.note("refuse", is_kept=True, rule="R23", kind=kind.value)
            raise RefusedError(rule="R23")
        case_id = str(uuid.uuid4())
        row = {
            "case_id": case_id,
            "kind": kind,
            "is_open": True,
            "needs_person": needs_person,
            "due_on": due_on,
            "patient_index": self._vault.patient_index(patient) if patient else None,
            "author_index": self._vault.author_index(asks.registration_id, asks.user_reference),
            "partner_index": self._vault.partner_index(partner_id) if partner_id else None,
        }
        details = {
            "author": [asks.registration_id, asks.user_reference],
            "patient": [patient.registration_id, patient.patient_id] if patient else None,
            "partner": partner_id,
            "opened_at": self._now.isoformat(),
        }
        self.journal.note("open-case", is_kept=False, case=case_id, kind=kind.value)
        case = self._vault.insert_case(row, details, self._now)
        self._opened_here[case_id] = Scene({case_id: case}, {case_id: []}, {case_id: []})
        return case_id

    def close_case(self, case_id: str) -> None:
        """The case needs nothing more. For whoever may move its Task on."""
        verdicts = self._judge.verdicts(self._judge.case(case_id), "Task")
        may = [verdict for verdict in verdicts if verdict.is_shown and self._judge.may_amend(verdict)]
        self.journal.note("close-case", is_kept=not may, case=case_id, entities=[v.as_entity() for v in verdicts])
        if not may:
            raise NothingToShowError(rule=_rule_of(verdicts))
        self._vault.close_case(case_id)
        self._found.clear()

    def find_cases(
        self,
        kind: CaseKind,
        *,
        patient: PatientKey | None = None,
        partner_id: str | None = None,
        is_open: bool | None = None,
    ) -> list[Case]:
        """Cases of which the requester may see something; those that need a person first, then by day."""
        rows = self._vault.cases(kind, patient=patient, partner_id=partner_id, is_open=is_open)
        scene = self._judge.scene_of(rows)
        verdicts = self._judge.verdicts(scene)
        self._note_list("find", verdicts)
        self._found = {}
        for verdict in verdicts:
            self._found.setdefault(verdict.case.case_id, []).append(verdict)
        seen = {verdict.case.case_id: verdict.case for verdict in verdicts if verdict.is_shown}
        found = []
        for case in seen.values():
            try:
                found.append((case, self._vault.details(case)))
            except TamperedError:
                self._incident(case.case_id)
        found.sort(key=lambda one: (not one[0].needs_person, one[0].due_on or date.max, one[1]["opened_at"]))
        return [_case(case, details) for case, details in found]

    def case_of(self, reference: str) -> Case | None:
        """The case of one resource that the requester may see. None: denied or absent, after the same statements."""
        verdict = self._judge.look(reference)
        if verdict is None or not verdict.is_shown:
            self._note_denial("find", reference, verdict)
            return None
        self._note_list("find", [verdict])
        try:
            return _case(verdict.case, self._vault.details(verdict.case))
        except TamperedError:
            self._incident(verdict.case.case_id)
            return None

    # -- resources -----------------------------------------------------------------------------------------------

    def create(self, payload: Payload, *, case_id: str) -> Stored:
        """Store version 1 of a resource that is labelled, valid and allowed here."""
        return self.create_all([payload], case_id=case_id)[0]

    def create_all(self, payloads: Sequence[Payload | validation.Renamed], *, case_id: str) -> list[Stored]:
        """The same for several that belong together: each is checked, labelled and decided about; they are one crossing
        with one row of the audit, and one insert."""
        scene = self._opened_here.get(case_id) or self._judge.case(case_id)
        new: list[tuple[Verdict, Payload, bytes]] = []
        for payload in payloads:
            if isinstance(payload, validation.Renamed):
                made, (profile, text) = payload.payload, self._profile_and_text(payload.payload)
            else:
                made = {**payload, "id": payload.get("id") or str(uuid.uuid4())}
                profile, text = self._checked(made)
            given = made
            made, labels = self._labelled(given, profile, text)
            ordinal = 1 + max((other.ordinal for other in scene.heads.get(case_id, ())), default=0)
            head = Head(case_id, made["resourceType"], made["id"], 1, ordinal, labels)
            verdict = self._judge.judge(head, scene, is_new=True)
            if verdict is None or not verdict.is_shown:
                self._deny("create", head.reference, verdict)
            self._require_creation(verdict, made)
            new.append((verdict, made, text.encode() if made is given else as_bytes(made)))
            scene.heads[case_id].append(head)
            if head.resource_type == "Consent":
                self._judge.releases(scene, case_id).append(made)
        self.journal.note(
            "create", is_kept=False, case=case_id, entities=[verdict.as_entity() for verdict, _, _ in new]
        )
        rows = [(verdict.head, content) for verdict, _, content in new]
        self._vault.insert(rows, scene.cases[case_id], self._now)
        self._found.clear()
        return [self._shown(verdict, Content(made, None), verdict.head) for verdict, made, _ in new]

    def amend(self, reference: str, change: Callable[[Payload], Payload], *, if_match: str | None = None) -> Stored:
        """Store the next version, made by ``change`` from the whole current payload."""
        verdict = self._amendable("amend", reference)
        if if_match is not None and if_match != _etag(verdict.head):
            self.journal.note("amend-stale", is_kept=True, entities=[verdict.as_entity()])
            raise PreconditionError
        content = self._opened(verdict)
        changed = change(copy.deepcopy(content.payload))
        if (changed.get("resourceType"), changed.get("id")) != (verdict.head.resource_type, verdict.head.resource_id):
            raise ValueError("an amended resource keeps its type and id")
        if is_lowered(content.payload, changed):
            self._refuse(verdict, "R3")
        self._labelled(changed, *self._checked(changed))
        self.journal.note("amend", is_kept=False, case=verdict.case.case_id, entities=[verdict.as_entity()])
        new = self._vault.supersede(verdict.head, changed, verdict.case, self._now)
        self._found.clear()
        return self._shown(verdict, Content(changed, content.ehr_reference), new)

    def read(self, reference: str) -> Stored:
        """One item, as far as the requester may see it."""
        verdict = self._judge.look(reference)
        if verdict is None or not verdict.is_shown:
            self._deny("read", reference, verdict)
        self._note_list("read", [verdict])
        return self._shown(verdict, self._opened(verdict), verdict.head)

    def in_case(self, case_id: str, resource_type: str) -> list[Stored]:
        """Current versions of one type in one case; denied ones are left out."""
        scene = self._judge.case(case_id)
        return self._listed(scene.cases, self._judge.verdicts(scene), (resource_type,))

    def in_cases(self, cases: Sequence[Case], resource_types: Collection[str]) -> ItemsByCase:
        """The same for several types and cases, in one look and one row. What was just found is not decided twice."""
        ids = [case.case_id for case in cases]
        if not self._found.keys() >= set(ids):
            return self._by_case([self._vault.case(one) for one in ids], resource_types)
        verdicts = [verdict for one in ids for verdict in self._found[one]]
        return self._grouped({one.case.case_id: one.case for one in verdicts}, verdicts, resource_types)

    def in_cases_of(self, partner_id: str, resource_types: Collection[str]) -> ItemsByCase:
        """The same in all cases with one program."""
        return self._by_case(self._vault.cases_of(partner_id), resource_types)

    def read_since(self, shown: Mapping[str, tuple[str, str]]) -> dict[str, datetime]:
        """Since when the requester reads exactly this. Opens no content: what is noted is an ETag and a time."""
        cases = {case_id: self._scenes[case_id] for case_id, _ in shown.values()}
        asks = self._requester.user_reference
        indexes = {ref: self._cipher.blind_index("view", asks, ref) for ref in shown}
        known = self._vault.views({indexes[ref]: (cases[case_id], ref) for ref, (case_id, _) in shown.items()})
        since, new = {}, {}
        for ref, (case_id, etag_now) in shown.items():
            noted = known.get(indexes[ref])
            if noted is None or noted["etag"] != etag_now:
                noted = {"etag": etag_now, "at": self._now.isoformat()}
                new[indexes[ref]] = (cases[case_id], ref, noted)
            since[ref] = datetime.fromisoformat(noted["at"])
        self._vault.note_views(new, self._now)
        return since

    def _by_case(self, rows: Sequence[CaseRow | None], resource_types: Collection[str]) -> ItemsByCase:
        scene = self._judge.scene_of(rows)
        return self._grouped(scene.cases, self._judge.verdicts(scene), resource_types)

    def _grouped(
        self, cases: Mapping[str, CaseRow], verdicts: Sequence[Verdict], resource_types: Collection[str]
    ) -> ItemsByCase:
        found: ItemsByCase = {case_id: {kind: [] for kind in resource_types} for case_id in cases}
        for stored in self._listed(cases, verdicts, resource_types):
            found[stored.case_id][str(stored.payload["resourceType"])].append(stored)
        return found

    def _listed(
        self, cases: Mapping[str, CaseRow], verdicts: Sequence[Verdict], resource_types: Collection[str]
    ) -> list[Stored]:
        """What of these types the requester may see; one row names all that was looked at."""
        self._scenes.update(cases)
        wanted = [one for one in verdicts if one.head.resource_type in resource_types]
        self._note_list("list", wanted)
        shown = [verdict for verdict in wanted if verdict.is_shown]
        contents = self._vault.contents([verdict.head for verdict in shown], cases)
        found = []
        for verdict in shown:
            if verdict.head.reference in contents:
                found.append(self._shown(verdict, contents[verdict.head.reference], verdict.head))
            else:
                self._incident(verdict.head.reference)
        return found

    def note_ehr_copy(self, reference: str, ehr_reference: str) -> None:
        """Remember the copy in the EHR. For whoever may amend the item."""
        verdict = self._amendable("note-ehr-copy", reference)
        self.journal.note("note-ehr-copy", is_kept=False, entities=[verdict.as_entity()])
        self._vault.note_ehr_copy(verdict.head, verdict.case, ehr_reference)

    def claim_receipt(self, client_id: str, identifiers: Sequence[str], body: bytes, task_id: str) -> Receipt | None:
        """Idempotency by what the sender itself called its message and its Task."""
        indexes = [self._cipher.blind_index("receipt", client_id, identifier) for identifier in identifiers]
        digest = self._cipher.digest(body)
        # Claimed first and asked then: what was taken stays as it was, also by a sender who came at the same moment. A
        # number that is new beside one that is known is a conflict, and the claim is undone with the unit.
        if self._vault.claim_receipts(indexes, digest, task_id, self._now):
            return None
        known = self._vault.receipts(indexes)
        if {claimed for claimed, _ in known.values()} == {task_id}:
            return None
        first = next(known[index] for index in indexes if known[index][0] != task_id)
        return Receipt(first[0], set(known.values()) == {(first[0], digest)})

    def audit_refusal(self, rule: str, *, partner_id: str | None = None, reference: str | None = None) -> None:
        """A denial that a workflow decided. Kept whatever becomes of this unit."""
        what = [{"what": opaque(reference)}] if reference is not None else []
        self.journal.note("refuse", is_kept=True, rule=rule, partner=partner_id, entities=what)

    # -- deciding ------------------------------------------------------------------------------------------------

    def _amendable(self, action: str, reference: str) -> Verdict:
        verdict = self._judge.look(reference, for_update=True)
        if verdict is None or not verdict.is_shown:
            self._deny(action, reference, verdict)
        if not self._judge.may_amend(verdict):
            self._refuse(verdict, "R20")
        return verdict

    def _require_creation(self, verdict: Verdict, payload: Payload) -> None:
        kind = payload["resourceType"]
        # A program's release in our case is its own, to us: it cannot release our item to itself.
        is_theirs = kind == "Consent" and verdict.tie == PROGRAM_IN_OUR_CASE
        is_to_us = not is_theirs or recipients_of(payload) == [self._organization]
        if not (links.may_create(verdict.tie, verdict.result, kind) and is_to_us):
            self._refuse(verdict, "R20")

    def _may_see(self, case_id: str, action: str = "read-transport") -> bool:
        verdicts = self._judge.verdicts(self._judge.case(case_id))
        self._note_list(action, verdicts)
        return any(verdict.is_shown for verdict in verdicts)

    # -- checking ------------------------------------------------------------------------------------------------

    def _checked(self, payload: Payload) -> tuple[str, str]:
        """Limits and shape, ours too. Returns the profile id and the payload as text."""
        profile, text = self._profile_and_text(payload)
        try:
            if len(text) > validation.MAX_BYTES:
                raise validation.LimitError(413, "too-long", "The resource is too large.")
            validation.require_few(text)
        except validation.LimitError as error:
            raise InvalidError(error.text, rule="R17") from None
        issues = validation.validate(payload, profile, confidentiality=self._confidentiality)
        if issues:
            raise InvalidError(issues=issues, rule="R17")
        return profile, text

    def _profile_and_text(self, payload: Payload) -> tuple[str, str]:
        profile = validation.profile_of(str(payload.get("resourceType")))
        if profile is None or profile == "referral-bundle":
            raise ValueError("the vault has no place for a resource of this type")
        return profile, as_bytes(payload).decode()

    def _labelled(self, payload: Payload, profile: str, text: str) -> tuple[Payload, str]:
        """A program's resource is labelled up; one of ours that comes without its set is a programming error. Returns
        it and the labels of its row."""
        ours = security_labels.labels_for(profile, confidentiality=self._confidentiality)
        is_theirs = self._requester.role is Role.ADVOCATE
        if is_theirs and not security_labels.labels_of(payload) and INLINE_SEC_LABEL not in text:
            meta = {**(payload.get("meta") or {}), "security": security_labels.as_security(ours)}
            return {**payload, "meta": meta}, _text_of(ours)
        if security_labels.has_exactly(payload, ours):  # nothing to raise, nothing missing
            return payload, _text_of(ours)
        if is_theirs:
            payload = label_up(payload, Origin.PARTNER, ours=ours).payload
        if security_labels.missing_labels(payload, profile):
            raise UnlabelledError(rule="R3")
        return payload, label_text(security_labels.enforced_labels(payload))

    # -- answering -----------------------------------------------------------------------------------------------

    def _note_list(self, action: str, verdicts: Sequence[Verdict]) -> None:
        """One row naming all entities, in the chain before anything is opened."""
        consents = sorted({v.consent_reference for v in verdicts if v.is_shown and v.consent_reference})
        is_disclosure = self._requester.role is Role.ADVOCATE and bool(consents)
        self.journal.note(
            action,
            is_kept=True,
            entities=[verdict.as_entity() for verdict in verdicts],
            consents=consents,
            is_disclosure=is_disclosure,
        )
        self.journal.flush()

    def _deny(self, action: str, reference: str, verdict: Verdict | None) -> NoReturn:
        """Absent and denied: the same row size class, the same statements, the same error."""
        raise NothingToShowError(rule=self._note_denial(action, reference, verdict))

    def _note_denial(self, action: str, reference: str, verdict: Verdict | None) -> str:
        entity = verdict.as_entity() if verdict else {"what": opaque(reference), "result": "absent"}
        rule = verdict.rule if verdict else "absent"
        self.journal.note(action, is_kept=True, entities=[entity], rule=rule)
        self.journal.flush()
        return rule

    def _refuse(self, verdict: Verdict, rule: str) -> NoReturn:
        self.journal.note("refuse", is_kept=True, rule=rule, entities=[verdict.as_entity()])
        raise RefusedError(rule=rule)

    def _opened(self, verdict: Verdict) -> Content:
        contents = self._vault.contents([verdict.head], {verdict.case.case_id: verdict.case})
        if verdict.head.reference not in contents:
            self._incident(verdict.head.reference)
            raise NothingToShowError(rule=INCIDENT)
        return contents[verdict.head.reference]

    def _shown(self, verdict: Verdict, content: Content, head: Head) -> Stored:
        is_redacted = verdict.result is Result.REDACT
        payload = redaction.redact(content.payload, verdict.rule) if is_redacted else content.payload
        ehr_reference = None if is_redacted else content.ehr_reference
        return Stored(head.reference, head.case_id, head.version, _etag(head), payload, is_redacted, ehr_reference)

    def _incident(self, reference: str) -> None:
        """A row that cannot be trusted: never shown, told to the privacy officer, audited (R5)."""
        if reference not in self.incidents:
            self.incidents.append(reference)
            self.journal.note("incident", is_kept=True, rule=INCIDENT, entities=[{"what": reference}])


def _case(row: CaseRow, details: Mapping[str, Any]) -> Case:
    return Case(
        row.case_id,
        row.kind,
        row.is_open,
        details["partner"],
        row.due_on,
        row.needs_person,
        row.transport,
        began_at=datetime.fromisoformat(details["opened_at"]),
        opened_at=None if row.opened_at is None else datetime.fromtimestamp(row.opened_at, UTC),
    )


@lru_cache(maxsize=64)
def _text_of(ours: tuple[Label, ...]) -> str:
    return label_text(security_labels.enforced_of(ours))


def _etag(head: Head) -> str:
    return _etag_of(head.version, head.labels)


@lru_cache(maxsize=512)
def _etag_of(version: int, labels: str) -> str:
    return etag(version, labels_in(labels))


def _rule_of(verdicts: Sequence[Verdict]) -> str:
    return verdicts[0].rule if verdicts else "absent"
