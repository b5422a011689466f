"""The vault's SQL: cases, their keys, resources in versions, receipts. Only ``door`` uses it, inside a transaction.

Nothing here decides. It finds by keyed digests, loads labels apart from content, and opens content only when asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

import orjson
from sqlalchemy import BindParameter, Connection, bindparam, case, exists, select, update

from fhir_profiles.security_labels import Label, enforced_labels
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE
from launch.prepared import prepared_insert
from smart_app.gateways.cipher import CaseKey, MasterCipher, SealError
from smart_app.gateways.engine import claim, insert_or_replace
from smart_app.gateways.tables import exclusion, partner_view, vault_case, vault_key, vault_receipt, vault_resource
from smart_app.ports import CaseKind, PatientKey, Payload

SHORT = {CONFIDENTIALITY: "C", ACT_CODE: "A", ACT_REASON: "R", OBSERVATION_VALUE: "O"}
SYSTEMS = {short: system for system, short in SHORT.items()}
UNKNOWN = Label("", "")
NOBODY = (None, "")  # a worker: no patient can leave it out
CHUNK = 400  # ids in one IN list

Reference = tuple[str, str]  # resource type, id


@dataclass(frozen=True)
class CaseRow:
    """One case and its wrapped key; ``wrapped`` is None once the case was erased. ``is_excluded``: this patient left
    out the person who asks (R22)."""

    case_id: str
    kind: CaseKind
    is_open: bool
    needs_person: bool
    due_on: date | None
    patient_index: bytes | None
    author_index: bytes
    partner_index: bytes | None
    transport: str | None
    details: bytes
    wrapped: bytes | None
    opened_at: float | None = None
    is_excluded: bool = False


@dataclass(frozen=True)
class Head:
    """A resource without its content: all that a decision may look at."""

    case_id: str
    resource_type: str
    resource_id: str
    version: int
    ordinal: int
    labels: str

    @property
    def reference(self) -> str:
        """ "Type/<id>"."""
        return f"{self.resource_type}/{self.resource_id}"


SealedRow = tuple[Head, bytes]


@dataclass(frozen=True)
class Content:
    """An opened resource and, if one was made, the reference of its copy in the EHR."""

    payload: Payload
    ehr_reference: str | None


class TamperedError(Exception):
    """A row's content does not open here or does not carry the labels of its row."""


# Built once: a statement's cache key is computed once, which is most of what a small insert costs.
INSERT_CASE = prepared_insert(vault_case, but=("transport", "opened_at"))
INSERT_KEY, INSERT_RESOURCE = prepared_insert(vault_key), prepared_insert(vault_resource)
_TENANT: BindParameter[str] = bindparam("tenant")
# Asked in the same statement for everybody: that a patient left somebody out costs no other one (R22).
_IS_EXCLUDED = exists().where(
    exclusion.c.tenant_id == vault_case.c.tenant_id,
    exclusion.c.patient_index == vault_case.c.patient_index,
    exclusion.c.person_index == bindparam("person"),
)
_OF_CASE = [
    _IS_EXCLUDED.label(name) if name == "is_excluded" else (vault_key if name == "wrapped" else vault_case).c[name]
    for name in CaseRow.__annotations__
]
_HEAD = [vault_resource.c[name] for name in Head.__annotations__]
_WITH_KEY = (vault_key.c.tenant_id == vault_case.c.tenant_id) & (vault_key.c.case_id == vault_case.c.case_id)
_ITS_CASE = (vault_resource.c.tenant_id == vault_case.c.tenant_id) & (vault_resource.c.case_id == vault_case.c.case_id)
CASES = (
    select(*_OF_CASE).select_from(vault_case.outerjoin(vault_key, _WITH_KEY)).where(vault_case.c.tenant_id == _TENANT)
)
ONE_CASE = CASES.where(vault_case.c.case_id == bindparam("case"))
CASES_OF_PARTNER = CASES.where(vault_case.c.partner_index == bindparam("partner"))
LOOK = (
    select(*_HEAD, *_OF_CASE)
    .select_from(vault_resource.join(vault_case, _ITS_CASE).outerjoin(vault_key, _WITH_KEY))
    .where(
        vault_resource.c.tenant_id == _TENANT,
        vault_resource.c.resource_type == bindparam("type"),
        vault_resource.c.resource_id == bindparam("id"),
        vault_resource.c.is_current,
    )
)
LOOK_AND_LOCK = LOOK.with_for_update(of=vault_resource)
IN_CASES = (
    select(*_HEAD, case((vault_resource.c.resource_type == "Consent", vault_resource.c.body)))
    .where(
        vault_resource.c.tenant_id == _TENANT,
        vault_resource.c.is_current,
        vault_resource.c.case_id.in_(bindparam("cases", expanding=True)),
    )
    .order_by(vault_resource.c.case_id, vault_resource.c.ordinal)
)
BODY = select(vault_resource.c.body, vault_resource.c.ehr_copy).where(
    vault_resource.c.tenant_id == _TENANT,
    vault_resource.c.resource_type == bindparam("type"),
    vault_resource.c.resource_id == bindparam("id"),
    vault_resource.c.version == bindparam("version"),
)
_NAMED = (vault_resource.c.resource_type, vault_resource.c.resource_id, vault_resource.c.version)
BODIES = select(*_NAMED, vault_resource.c.body, vault_resource.c.ehr_copy).where(
    vault_resource.c.tenant_id == _TENANT,
    vault_resource.c.resource_type.in_(bindparam("types", expanding=True)),
    vault_resource.c.resource_id.in_(bindparam("ids", expanding=True)),
)
RECEIPTS = select(vault_receipt.c.receipt_index, vault_receipt.c.task_id, vault_receipt.c.body_digest).where(
    vault_receipt.c.tenant_id == bindparam("tenant"),
    vault_receipt.c.receipt_index.in_(bindparam("indexes", expanding=True)),
)


def label_text(labels: Iterable[Label]) -> str:
    """ "[C|V][A|SDV]…", the level first, then sorted: one text per set."""
    shorts = {f"[{SHORT[label.system]}|{label.code}]" for label in labels}
    return "".join(sorted(shorts, key=lambda short: (not short.startswith("[C|"), short)))


@lru_cache(maxsize=512)
def labels_in(text: str) -> tuple[Label, ...]:
    """The labels of a row; what is not ours becomes a label that nothing knows."""
    if not (text.startswith("[") and text.endswith("]")):
        return (UNKNOWN,) if text else ()
    pairs = [item.partition("|") for item in text[1:-1].split("][")]
    return tuple(Label(SYSTEMS[short], code) if short in SYSTEMS else UNKNOWN for short, _, code in pairs)


class Vault:
    """One tenant's rows through one connection. Data keys that were unwrapped are kept for this transaction."""

    def __init__(
        self, connection: Connection, cipher: MasterCipher, *, person: tuple[str | None, str] = NOBODY
    ) -> None:
        """``person``: who asks, as EHR registration and "Practitioner/<id>"."""
        self._person = person
        self._connection = connection
        self._cipher = cipher
        self._tenant_id = cipher.tenant_id
        self._keys: dict[str, CaseKey] = {}
        self._indexes: dict[tuple[str, ...], bytes] = {}  # each decision asks for the same two or three

    # -- digests -------------------------------------------------------------------------------------------------

    def patient_index(self, patient: PatientKey) -> bytes:
        """The same id at two EHRs is two patients (attack 10)."""
        return self._index("patient", patient.registration_id, patient.patient_id)

    def author_index(self, registration_id: str | None, user_reference: str) -> bytes:
        """The same Practitioner id at two EHRs is two people."""
        return self._index("author", registration_id or "", user_reference)

    def partner_index(self, partner_id: str) -> bytes:
        """One program, without its name."""
        return self._index("partner", partner_id)

    def excluded_index(self, registration_id: str | None, reference: str) -> bytes:
        """Somebody whom patients of this EHR may leave out."""
        return self._index("excluded", registration_id or "", reference)

    @cached_property
    def _asks(self) -> dict[str, Any]:
        """What every look at a case is asked with."""
        return {"tenant": self._tenant_id, "person": self.excluded_index(*self._person)}

    def _index(self, kind: str, *parts: str) -> bytes:
        found = self._indexes.get((kind, *parts))
        if found is None:
            found = self._indexes[kind, *parts] = self._cipher.blind_index(kind, *parts)
        return found

    # -- cases ---------------------------------------------------------------------------------------------------

    def insert_case(self, row: Mapping[str, Any], details: Mapping[str, Any], now: datetime) -> CaseRow:
        """A new case with a fresh data key. ``row``: the columns but month, tenant, transport and details."""
        case_id = row["case_id"]
        key, wrapped = self._cipher.new_case_key(case_id)
        self._keys[case_id] = key
        place = {"tenant_id": self._tenant_id, "case_id": case_id, "month": f"{now:%Y-%m}"}
        sealed = key.seal(orjson.dumps(details), table="vault_case", row_id=case_id, version=1)
        INSERT_CASE.run(self._connection, [{**row, **place, "kind": row["kind"].value, "details": sealed}])
        INSERT_KEY.run(self._connection, [{**place, "wrapped": wrapped}])
        return CaseRow(**row, transport=None, details=sealed, wrapped=wrapped)

    def close_case(self, case_id: str) -> None:
        """The case is done: the day asked for, and when it was opened, are emptied with it."""
        self._connection.execute(
            update(vault_case)
            .where(vault_case.c.tenant_id == self._tenant_id, vault_case.c.case_id == case_id)
            .values(is_open=False, due_on=None, needs_person=False, opened_at=None)
        )

    def case(self, case_id: str) -> CaseRow | None:
        """One case."""
        row = self._connection.execute(ONE_CASE, {**self._asks, "case": case_id}).one_or_none()
        return None if row is None else _case_row(row)

    def cases(
        self,
        kind: CaseKind,
        *,
        patient: PatientKey | None,
        partner_id: str | None,
        is_open: bool | None,
    ) -> list[CaseRow]:
        """Cases by what the caller asks for; nothing is decided yet."""
        statement = CASES.where(vault_case.c.kind == kind.value)
        if patient is not None:
            statement = statement.where(vault_case.c.patient_index == self.patient_index(patient))
        if partner_id is not None:
            statement = statement.where(vault_case.c.partner_index == self.partner_index(partner_id))
        if is_open is not None:
            statement = statement.where(vault_case.c.is_open.is_(is_open))
        return [_case_row(row) for row in self._connection.execute(statement, self._asks)]

    def cases_by_id(self, case_ids: Sequence[str]) -> list[CaseRow]:
        """These cases, by id; absent ones are left out."""
        statement = CASES.where(vault_case.c.case_id.in_(case_ids)).order_by(vault_case.c.case_id)
        return [_case_row(row) for row in self._connection.execute(statement, self._asks)]

    def cases_of(self, partner_id: str) -> list[CaseRow]:
        """All cases with one program, of either direction; nothing is decided yet."""
        asked = {**self._asks, "partner": self.partner_index(partner_id)}
        return [_case_row(row) for row in self._connection.execute(CASES_OF_PARTNER, asked)]

    def details(self, case: CaseRow) -> dict[str, Any]:
        """What was sealed when the case was opened. Raises ``TamperedError``."""
        return dict(orjson.loads(self._open(case, case.details, "vault_case", case.case_id, 1)))

    # -- resources -----------------------------------------------------------------------------------------------

    def look(self, reference: Reference, *, for_update: bool = False) -> tuple[Head, CaseRow] | None:
        """The current version of one resource, without content, and its case. ``for_update`` locks the resource where
        rows can be locked."""
        asked = {**self._asks, "type": reference[0], "id": reference[1]}
        row = self._connection.execute(LOOK_AND_LOCK if for_update else LOOK, asked).one_or_none()
        return None if row is None else (Head(*row[: len(_HEAD)]), _case_row(row[len(_HEAD) :]))

    def in_cases(self, case_ids: Sequence[str]) -> list[tuple[Head, bytes | None]]:
        """Current versions in these cases, oldest first, without content: but a Consent with its body, not opened,
        since a decision may hang on it. Always at least one statement."""
        found: list[tuple[Head, bytes | None]] = []
        for start in range(0, max(len(case_ids), 1), CHUNK):
            asked = {"tenant": self._tenant_id, "cases": list(case_ids[start : start + CHUNK])}
            found += [(Head(*row[:-1]), row[-1]) for row in self._connection.execute(IN_CASES, asked)]
        return found

    def heads(self, case_ids: Sequence[str]) -> list[Head]:
        """The same, heads alone."""
        return [head for head, _ in self.in_cases(case_ids)]

    def contents(self, heads: Sequence[Head], cases: Mapping[str, CaseRow]) -> dict[str, Content]:
        """Open these resources: reference -> content. What does not open is left out; the door asks why."""
        opened: dict[str, Content] = {}
        for head, body, ehr_copy in self._sealed(heads):
            try:
                opened[head.reference] = self._content(head, cases[head.case_id], body, ehr_copy)
            except TamperedError:
                continue
        return opened

    def _sealed(self, heads: Sequence[Head]) -> Iterator[tuple[Head, bytes, bytes | None]]:
        """Body and copy of each of these, not opened, in their order."""
        if len(heads) == 1:
            (head,) = heads
            asked = {"type": head.resource_type, "id": head.resource_id, "version": head.version}
            yield (head, *self._connection.execute(BODY, {"tenant": self._tenant_id, **asked}).one())
            return
        for start in range(0, len(heads), CHUNK):
            chunk = heads[start : start + CHUNK]
            types, ids = list({head.resource_type for head in chunk}), [head.resource_id for head in chunk]
            asked = {"tenant": self._tenant_id, "types": types, "ids": ids}
            rows = {tuple(row[:3]): row[3:] for row in self._connection.execute(BODIES, asked)}
            yield from (
                (head, *rows[head.resource_type, head.resource_id, head.version])
                for head in chunk
                if (head.resource_type, head.resource_id, head.version) in rows
            )

    def opened_consents(self, case: CaseRow, rows: Iterable[SealedRow]) -> list[Payload]:
        """The payloads of these rows of one case. One that does not open, or lost its labels, is left out: a release
        we cannot trust opens nothing."""
        found = []
        for head, body in rows:
            try:
                found.append(self._content(head, case, body, None).payload)
            except TamperedError:
                continue
        return found

    def insert(self, new: Sequence[tuple[Head, bytes]], case: CaseRow, now: datetime) -> None:
        """Version 1 of new resources of one case: head, and content as ``as_bytes`` gives it."""
        rows = [self._row(head, content, case, now, ehr_copy=None) for head, content in new]
        INSERT_RESOURCE.run(self._connection, rows)

    def supersede(self, head: Head, payload: Payload, case: CaseRow, now: datetime) -> Head:
        """The next version of ``head``; the one before stays, no longer current."""
        (ehr_copy,) = self._connection.execute(select(vault_resource.c.ehr_copy).where(*self._is(head))).one()
        self._connection.execute(update(vault_resource).where(*self._is(head)).values(is_current=False))
        labels = label_text(enforced_labels(payload))
        new = Head(head.case_id, head.resource_type, head.resource_id, head.version + 1, head.ordinal, labels)
        INSERT_RESOURCE.run(self._connection, [self._row(new, as_bytes(payload), case, now, ehr_copy=ehr_copy)])
        return new

    def note_ehr_copy(self, head: Head, case: CaseRow, ehr_reference: str) -> None:
        """Seal where the copy in the EHR is: an EHR's own id is no opaque one."""
        sealed = self._key(case).seal(
            ehr_reference.encode(), table="vault_resource.ehr_copy", row_id=head.reference, version=0
        )
        self._connection.execute(update(vault_resource).where(*self._is(head)).values(ehr_copy=sealed))

    def _is(self, head: Head) -> tuple[Any, ...]:
        return (
            vault_resource.c.tenant_id == self._tenant_id,
            vault_resource.c.resource_type == head.resource_type,
            vault_resource.c.resource_id == head.resource_id,
            vault_resource.c.version == head.version,
        )

    def _row(
        self, head: Head, content: bytes, case: CaseRow, now: datetime, *, ehr_copy: bytes | None
    ) -> dict[str, Any]:
        body = self._key(case).seal(content, table="vault_resource", row_id=head.reference, version=head.version)
        more = {"month": f"{now:%Y-%m}", "is_current": True, "body": body, "ehr_copy": ehr_copy}
        return {"tenant_id": self._tenant_id, **vars(head), **more}

    def _content(self, head: Head, case: CaseRow, body: bytes, ehr_copy: bytes | None) -> Content:
        opened = self._open(case, body, "vault_resource", head.reference, head.version)
        payload: Payload = json.loads(opened, parse_float=Decimal)
        if label_text(enforced_labels(payload)) != head.labels:
            raise TamperedError("the row does not carry the labels of its content")
        if ehr_copy is None:
            return Content(payload, None)
        copy = self._open(case, ehr_copy, "vault_resource.ehr_copy", head.reference, 0)
        return Content(payload, copy.decode())

    # -- what a program reads ------------------------------------------------------------------------------------

    def views(self, wanted: Mapping[bytes, tuple[CaseRow, str]]) -> dict[bytes, dict[str, Any]]:
        """What was noted of each view: index -> content. ``wanted``: index -> case and reference. One that does not
        open is as good as none."""
        found: dict[bytes, dict[str, Any]] = {}
        indexes = list(wanted)
        for start in range(0, len(indexes), CHUNK):
            statement = select(partner_view.c.view_index, partner_view.c.body).where(
                partner_view.c.tenant_id == self._tenant_id,
                partner_view.c.view_index.in_(indexes[start : start + CHUNK]),
            )
            for index, body in self._connection.execute(statement):
                case, reference = wanted[bytes(index)]
                try:
                    found[bytes(index)] = orjson.loads(self._open(case, body, "partner_view", reference, 1))
                except TamperedError:
                    continue
        return found

    def note_views(self, noted: Mapping[bytes, tuple[CaseRow, str, dict[str, Any]]], now: datetime) -> None:
        """Remember these views: index -> case, reference and content."""
        rows = [
            {
                "tenant_id": self._tenant_id,
                "view_index": index,
                "month": f"{now:%Y-%m}",
                "case_id": case.case_id,
                "body": self._key(case).seal(orjson.dumps(content), table="partner_view", row_id=reference, version=1),
            }
            for index, (case, reference, content) in noted.items()
        ]
        insert_or_replace(self._connection, partner_view, rows)

    # -- receipts ------------------------------------------------------------------------------------------------

    def claim_receipts(self, indexes: Sequence[bytes], digest: bytes, task_id: str, now: datetime) -> bool:
        """Remember what these identifiers lead to; those that are taken stay as they are. True when none was."""
        common = {
            "tenant_id": self._tenant_id,
            "month": f"{now:%Y-%m}",
            "task_id": task_id,
            "body_digest": digest,
        }
        return claim(self._connection, vault_receipt, [{**common, "receipt_index": index} for index in indexes])

    def receipts(self, indexes: Sequence[bytes]) -> dict[bytes, tuple[str, bytes]]:
        """Receipt index -> task id and body digest, for those that were claimed."""
        asked = {"tenant": self._tenant_id, "indexes": list(indexes)}
        return {bytes(row[0]): (row[1], bytes(row[2])) for row in self._connection.execute(RECEIPTS, asked)}

    # -- keys ----------------------------------------------------------------------------------------------------

    def _key(self, case: CaseRow) -> CaseKey:
        if case.case_id not in self._keys:
            if case.wrapped is None:
                raise TamperedError("the case was erased")
            try:
                self._keys[case.case_id] = self._cipher.unwrap_case_key(case.case_id, bytes(case.wrapped))
            except SealError:
                raise TamperedError("the case key was replaced") from None
        return self._keys[case.case_id]

    def _open(self, case: CaseRow, sealed: bytes, table: str, row_id: str, version: int) -> bytes:
        try:
            return self._key(case).open(bytes(sealed), table=table, row_id=row_id, version=version)
        except SealError:
            raise TamperedError("the content was altered or moved") from None


def as_bytes(payload: Payload) -> bytes:
    """A payload as it is sealed."""
    return orjson.dumps(payload, default=_number)


def _case_row(row: Sequence[Any]) -> CaseRow:
    """A row of ``_OF_CASE``; drivers give bytes, and truth, in types of their own."""
    values = (bytes(one) if isinstance(one, bytes | memoryview) else one for one in row)
    named: dict[str, Any] = dict(zip(CaseRow.__annotations__, values, strict=True))
    return CaseRow(**{**named, "kind": CaseKind(named["kind"]), "is_excluded": bool(named["is_excluded"])})


def _number(value: object) -> orjson.Fragment:
    """A FHIR decimal keeps its digits: 0.40 is not 0.4."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value).encode())
    raise TypeError(type(value).__name__)
