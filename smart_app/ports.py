"""The shapes by which workflows, pages, delivery and api reach gateways. ``app.py`` hands the real ones in.

Vocabulary: a *payload* is a FHIR resource as a dict; a *reference* is "Type/<id>"; all times are aware UTC.
The order of every crossing is the door's (safety section 1): write = limits, validate, label, decide, audit, store;
read = load labels only, decide, audit, decrypt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Any, Protocol

from fhir_profiles.validation import Renamed
from smart_app.office_ports import SecondPerson
from smart_app.people_ports import Exclusions, Holds
from smart_app.policy.access import Requester
from smart_app.policy.audit_trail import Disclosure, TrailLine
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.placement import PlacementSettings

Payload = dict[str, Any]


class CaseKind(StrEnum):
    """What opened a case. One data key per case."""

    DISCLOSURE = "disclosure"
    REFERRAL = "referral"
    INBOUND = "inbound"


class Place(StrEnum):
    """Where a copy of an item lives."""

    VAULT = "vault"
    EHR = "ehr"
    PARTNER = "partner"


@dataclass(frozen=True)
class PatientKey:
    """A patient of one EHR: the same id at two EHRs is two patients (attack 10)."""

    registration_id: str
    patient_id: str

    @property
    def reference(self) -> str:
        """ "Patient/<id>" at that EHR."""
        return f"Patient/{self.patient_id}"


@dataclass(frozen=True)
class Stored:
    """One resource as the requester may see it. ``is_redacted``: elements were removed (D2, D6, D6s)."""

    reference: str
    case_id: str
    version: int
    etag: str
    payload: Payload
    is_redacted: bool = False
    ehr_reference: str | None = None


@dataclass(frozen=True)
class Case:
    """One case as a row without content. ``due_on``: the open clinic day asked for, inbound only (site's zone).
    ``transport``: see ``Outbox.state_of``. ``opened_at``: when a person at the program opened it; open cases only."""

    case_id: str
    kind: CaseKind
    is_open: bool
    partner_id: str | None = None
    due_on: date | None = None
    needs_person: bool = False
    transport: str | None = None
    began_at: datetime | None = None
    opened_at: datetime | None = None


# case id -> resource type -> current versions, oldest first. Each case and type that was asked for is there.
ItemsByCase = dict[str, dict[str, list[Stored]]]


@dataclass(frozen=True)
class Receipt:
    """What an inbound identifier led to before. ``is_same_body`` compares the whole body by digest."""

    task_id: str
    is_same_body: bool


class UnitOfWork(Protocol):
    """One transaction of one requester: vault, audit, outbox and facts commit together or not at all.

    Got from ``Door.open_for``. Never call an EHR or a partner while one is open: SQLite has one writer.
    Raises ``NothingToShowError`` wherever the decision is deny or the item is absent, with the same SQL.
    """

    @property
    def requester(self) -> Requester: ...
    @property
    def now(self) -> datetime: ...
    @property
    def zone(self) -> tzinfo:
        """Where a bare date in a release is read: the site's zone."""

    @property
    def outbox(self) -> Outbox: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def exclusions(self) -> Exclusions: ...
    @property
    def holds(self) -> Holds: ...

    def open_case(
        self,
        kind: CaseKind,
        *,
        patient: PatientKey | None = None,
        partner_id: str | None = None,
        due_on: date | None = None,
        needs_person: bool = False,
    ) -> str:
        """Make a case and its data key; returns the case id. The requester is its author."""

    def close_case(self, case_id: str) -> None: ...

    def find_cases(
        self,
        kind: CaseKind,
        *,
        patient: PatientKey | None = None,
        partner_id: str | None = None,
        is_open: bool | None = None,
    ) -> list[Case]:
        """Cases this requester may see at all (those with a resource the table permits or redacts), needs_person
        first, then by day. One audit row names all entities."""

    def case_of(self, reference: str) -> Case | None:
        """The case of one resource, as ``find_cases`` would give it, when this requester may see that resource. None
        when it is denied or absent, with the same SQL."""

    def create(self, payload: Payload, *, case_id: str) -> Stored:
        """Store version 1. An id is made if absent. Raises ``UnlabelledError`` without the label set of its type."""

    def create_all(self, payloads: Sequence[Payload | Renamed], *, case_id: str) -> list[Stored]:
        """The same for several resources of one case that belong together: one crossing, one audit row. What was
        ``renamed`` after it passed the gate is not validated a second time; all else is the same for it."""

    def amend(self, reference: str, change: Callable[[Payload], Payload], *, if_match: str | None = None) -> Stored:
        """Store the next version, made by ``change`` (pure) from the whole current payload inside the door, so that
        somebody who only sees a redacted item can still move it on without writing the redaction back. The result is
        what this requester may see. ``if_match`` is the ETag the caller read, None when no caller sent one. Raises
        ``PreconditionError`` when stale, ``RefusedError`` when it would lower a label or the role may not amend."""

    def read(self, reference: str) -> Stored: ...

    def in_case(self, case_id: str, resource_type: str) -> list[Stored]:
        """Current versions of one type in one case, oldest first; denied ones are left out."""

    def in_cases(self, cases: Sequence[Case], resource_types: Collection[str]) -> ItemsByCase:
        """The same for several types in several cases that were found before, in one look and one audit row: a list of
        fifty takes as many statements as a list of one."""

    def in_cases_of(self, partner_id: str, resource_types: Collection[str]) -> ItemsByCase:
        """The same in all cases with one program."""

    def read_since(self, shown: Mapping[str, tuple[str, str]]) -> dict[str, datetime]:
        """``shown``: reference -> (case id, ETag) of what this requester reads now. Gives since when it reads exactly
        that: from the first look at it on, which is now where it is another one than at the look before."""

    def note_ehr_copy(self, reference: str, ehr_reference: str) -> None:
        """Remember that a copy lives in the EHR as ``ehr_reference`` ("Observation/55")."""

    def claim_receipt(self, client_id: str, identifiers: Sequence[str], body: bytes, task_id: str) -> Receipt | None:
        """Idempotency by (client, Bundle.identifier) and (client, Task.identifier), HMACed. None: claimed now by
        ``task_id``; else what claimed it before."""

    def audit_refusal(self, rule: str, *, partner_id: str | None = None, reference: str | None = None) -> None:
        """Audit a denial that a workflow decided (R16, R20): rule and opaque ids, never the value. Commits even
        though the caller then raises."""


class Door(Protocol):
    """THE door."""

    def open_for(self, requester: Requester, now: datetime) -> AbstractContextManager[UnitOfWork]: ...


class Facts(Protocol):
    """Identifier-free counts (R33): site, month, kind, outcome."""

    def count(self, kind: str, outcome: str) -> None: ...


class Outbox(Protocol):
    """Durable outbound work, written in the commit of the resource."""

    def add(self, *, kind: str, case_id: str, reference: str, partner_id: str) -> None:
        """Queue work for ``partner_id``. ``reference`` is the Task. ``kind``: "referral" or "cancel"; a cancel first
        empties what of this case still waits, so that a withdrawn release sends nothing more (R11)."""

    def state_of(self, case_id: str) -> str | None:
        """How far the case's send got, a transport fact of ours: "queued", "trying" (it failed at least once),
        "delivered", "stopped", "recalled" (stopped when the program may have had it already), "told" (then their system
        was told) or "failed". None: nothing was queued, or the requester may not see the case. In a program's inbox:
        "inbox", or "inbox-phone" where its people are told by phone; then "opened"."""

    def place(self, *, case_id: str, partner_id: str) -> None:
        """Put the case into the inbox of ``partner_id`` here, in this commit, and let its people be told that something
        waits."""

    def set_timer(self, *, case_id: str, reference: str, opens_by: datetime) -> None:
        """If no person has opened the case by then, and no system of theirs took it, somebody here is told."""

    def note_opened(self, case_id: str, *, partner_id: str) -> None:
        """A person at the program opens it now, for the first time; a transport fact of ours, without content: from
        here on ``state_of`` is "opened", unless the program's setting keeps that from the clinic."""

    def opened_at(self, case_id: str) -> datetime | None:
        """When that was; None where nobody did, or the requester may not see the case."""


@dataclass(frozen=True)
class Partner:
    """One DSV program, public facts only. ``fhir_address`` is None for a partner without a FHIR system.

    ``says``: three sentences a clinician can say aloud. ``client_id``: its id at OUR token endpoint.
    ``mou_*``: the agreement's dates (inclusive); ``acknowledge_minutes`` is its promise. ``inbox_alert``: how its
    people are told that an item waits in its inbox here ("email", "phone"), None while it takes none there.
    ``tells_opened``: the clinician may see when a person opened an item. ``full_on``: the clinic's day on which it says
    that it is full. ``is_answering``: it says that somebody is there now. ``staffed``: the hours that its promise
    counts (see ``policy/sla``), on the clock of ``time_zone``, the site's where None.
    """

    partner_id: str
    name: str
    phone: str
    says: tuple[str, str, str]
    who_answers: str
    languages: tuple[str, ...]
    hours: str
    mou_starts_on: date
    mou_ends_on: date
    is_suspended: bool = False
    acknowledge_minutes: int = 60
    has_capacity: bool = True
    fhir_address: str | None = None
    token_endpoint: str | None = None
    our_client_id: str | None = None
    client_id: str | None = None
    inbox_alert: str | None = None
    tells_opened: bool = True
    full_on: date | None = None
    is_answering: bool = True
    staffed: str = "always"
    time_zone: str | None = None

    def is_full(self, today: date) -> bool:
        """It said so, for good or for ``today``, the clinic's day."""
        return not self.has_capacity or self.full_on == today


class Directory(Protocol):
    """Partners and their agreements. Public data, no patient in it."""

    def partners(self) -> list[Partner]: ...
    def partner(self, partner_id: str) -> Partner | None: ...
    def partner_of_client(self, client_id: str) -> Partner | None: ...
    def set_capacity(self, partner_id: str, has_capacity: bool) -> None:
        """A program says that it is full, or not any more: a fact about the program, not about a person."""


class MouGate(Protocol):
    """Is there a current, unsuspended agreement with this partner (R19)?"""

    def is_open(self, partner_id: str, now: datetime) -> bool: ...
    def is_current(self, partner: Partner, now: datetime) -> bool: ...


class WriteBackResult(StrEnum):
    """What became of an EHR copy. Only ``SAVED`` is shown as saved."""

    SAVED = "saved"
    REFUSED = "refused"
    LABELS_LOST = "labels-lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class WriteBack:
    """``reference`` is the EHR's own "Type/<id>" when saved, or when a copy may still be there."""

    result: WriteBackResult
    reference: str | None = None


@dataclass(frozen=True)
class OpenedChart:
    """What a clinical launch begins with, as far as the EHR told it; None: it did not say."""

    is_visit_open: bool | None
    patient: Payload | None
    staff: Payload | None = None


class Ehr(Protocol):
    """The launched EHR. Every call is one audited crossing: ``intended`` committed first, then ``outcome``."""

    def launched_patient(self, requester: Requester, now: datetime) -> Payload:
        """The Patient of this launch, labelled C|R on entry, never stored (R5)."""

    def signed_in_staff(self, requester: Requester, now: datetime) -> Payload | None:
        """The Practitioner who signed in, never stored. None where the EHR does not show it: the log says so."""

    def is_visit_open(self, requester: Requester, now: datetime) -> bool:
        """Is the encounter of this launch the launched patient's, and going on now? Labelled C|R on entry, never
        stored. Raises ``EhrUnavailableError`` when the EHR does not say."""

    def open_chart(self, requester: Requester, now: datetime) -> OpenedChart:
        """All of the above in one go: three crossings, announced together before the first."""

    def directory_codes(self, requester: Requester, now: datetime) -> frozenset[str]:
        """ "system|code" of the person's active PractitionerRoles. Raises ``EhrUnavailableError``."""

    def is_on_care_team(self, requester: Requester, now: datetime) -> bool:
        """Is the person in an active CareTeam of the launched patient? Raises ``EhrUnavailableError``."""

    def find_staff(self, requester: Requester, name: str, now: datetime) -> list[tuple[str, str]]:
        """Reference and name of the staff whom the EHR knows by ``name``. Raises ``EhrUnavailableError``."""

    def write_back(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        """Create, read back, compare labels and content. On mismatch the copy is deleted and the privacy officer
        alerted (R7). Never falls back to another resource type."""

    def book(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        """Write a neutral Appointment (R36) and read it back."""


class OpenAlert(Protocol):
    """One alert nobody has closed yet. ``reference`` is "Type/<opaque id>" or None."""

    @property
    def alert_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def reference(self) -> str | None: ...


class Alerts(Protocol):
    """Tells a role's own page that something needs a look; holds opaque ids only."""

    def raise_alert(self, kind: str, *, reference: str | None = None) -> None: ...
    def open_alerts(self) -> Sequence[OpenAlert]: ...
    def close_alert(self, alert_id: str) -> bool:
        """Somebody has looked. False when it was closed already."""


class Cipher(Protocol):
    """Seals bytes under the master key for short-lived server-side state; ``purpose`` is bound as AAD."""

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes: ...
    def open(self, sealed: bytes, *, purpose: str) -> bytes: ...


class DemoWire(Protocol):
    """Under ``demo`` only: what the other side says it received, byte for byte, and what others can see there."""

    def ehr_writes(self) -> list[Mapping[str, Any]]: ...
    def partner_receipts(self) -> list[Mapping[str, Any]]: ...
    def partner_sent(self) -> list[Mapping[str, Any]]: ...
    def ehr_as(self, who: str, patient_id: str) -> list[Payload]: ...


class EhrStyle(Protocol):
    """The EHR's colours ("#rrggbb") and font size, each checked for its form; None where it named none."""

    @property
    def background(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...
    @property
    def highlight(self) -> str | None: ...
    @property
    def font_size_px(self) -> int | None: ...


def no_style(registration_id: str, url: str) -> EhrStyle | None:
    """Our own colours everywhere."""
    return None


@dataclass(frozen=True)
class Site:
    """The health center as pages and workflows see it. ``organization_reference`` is "Organization/<tenant id>".
    ``places_per_day``: visits kept free for these requests each day; more than that need a person (R37). None: no end.
    """

    name: str
    phone: str
    time_zone: str
    organization_reference: str
    calendar: ClinicCalendar
    places_per_day: int | None = None


class Trail(Protocol):
    """The audit log for the privacy officer. Each look leaves a row in it."""

    def lines(self, requester: Requester, month: str, now: datetime) -> list[TrailLine]: ...
    def disclosures(self, requester: Requester, month: str, now: datetime) -> list[Disclosure]: ...


@dataclass(frozen=True)
class Services:
    """All that pages and api may reach, built once by ``app.py``; got in a request by ``guards.services()``."""

    product_name: str
    public_base_url: str
    site: Site
    door: Door
    ehr: Ehr
    directory: Directory
    mou_gate: MouGate
    alerts: Alerts
    placement: PlacementSettings
    now: Callable[[], datetime]
    demo: DemoWire | None = None
    trail: Trail | None = None
    ehr_style: Callable[[str, str], EhrStyle | None] = no_style
    office: SecondPerson | None = None
    sites: Mapping[str, Site] = field(default_factory=dict)  # registration id -> the site, where it differs
