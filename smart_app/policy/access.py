"""Who may see what: the decision table of the door, as pure and total functions.

Source: design paper ``fhir.md`` section 6 (rows D1-D13) and rules R3, R5, R22-R25. The first row that matches decides;
without a match the answer is deny. Exclusion (R22) and contact match (R24) come before it, in ``policy/people``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from fhir_profiles.security_labels import KNOWN, SDV, Label
from fhir_profiles.terminology import CONFIDENTIALITY

OTHER_SENSITIVITIES = frozenset({"SEX", "VIO", "MST", "ADOL", "LOCIS"})


class Role(StrEnum):
    """The twelve roles the table knows. A site's own job titles are mapped to these by ``guards``."""

    AUTHOR = "author"
    CARE_TEAM = "care-team"
    CLINICIAN = "clinician"
    ADVOCATE = "advocate"
    PATIENT = "patient"
    PROXY = "proxy"
    SCHEDULER = "scheduler"
    FRONT_DESK = "front-desk"
    BILLING = "billing"
    PRIVACY_OFFICER = "privacy-officer"
    LABELER = "labeler"
    RESEARCHER = "researcher"


class Purpose(StrEnum):
    """Purposes of use, codes of v3-ActReason."""

    TREAT = "TREAT"
    COC = "COC"
    ETREAT = "ETREAT"
    BTG = "BTG"
    PATRQT = "PATRQT"
    FAMRQT = "FAMRQT"
    HOPERAT = "HOPERAT"
    HPAYMT = "HPAYMT"
    HLEGAL = "HLEGAL"
    HRESCH = "HRESCH"
    HCOMPL = "HCOMPL"
    LABELING = "LABELING"


class LabelClass(StrEnum):
    """What the labels of an item amount to. ``NONE`` and ``UNKNOWN`` are treated exactly as ``V_SDV`` (R5)."""

    NONE = "none"
    UNKNOWN = "unknown"
    N = "N"
    R = "R"
    R_SDV = "R+SDV"
    V_SDV = "V+SDV"


class ConsentState(StrEnum):
    """The patient's word for this recipient and item. ``LAPSED``: withdrawn or out of its period."""

    COVERS = "covers"
    NONE = "none"
    LAPSED = "lapsed"
    DENY = "deny"


class Link(StrEnum):
    """How the requester is tied to the item."""

    AUTHOR = "author"
    CARE_TEAM = "care-team"
    REFERRAL_PARTY = "referral-party"
    ENCOUNTER_NOW = "encounter-now"
    SUBJECT = "subject"
    NONE = "none"


class Origin(StrEnum):
    """Whose record it is."""

    HEALTH_CENTER = "health-center"
    DSV_PROGRAM = "dsv-program"


class Result(StrEnum):
    """What the door does. ``OFFER`` shows the break-the-glass form and no data."""

    DENY = "deny"
    OFFER = "offer"
    REDACT = "redact"
    BREAK_GLASS = "break-glass"
    PERMIT = "permit"

    @property
    def rank(self) -> int:
        """How much it opens: deny and offer 0, redact 1, break-glass 2, permit 3."""
        return {Result.REDACT: 1, Result.BREAK_GLASS: 2, Result.PERMIT: 3}.get(self, 0)


@dataclass(frozen=True)
class Decision:
    """The result and the id of the row that gave it, for the audit."""

    result: Result
    rule: str


@dataclass(frozen=True)
class Requester:
    """Who asks, in which role, for what purpose. Built by ``guards`` from the launch; never holds a token.

    ``user_reference`` is "Practitioner/<id>" for staff and "Organization/<id>" for a partner's system.
    ``patient_id`` and ``encounter_id`` are the ids of the launch at the EHR ``registration_id``; None without one.
    ``launch_id`` is the opaque id of the launch in the path, by which ``gateways/ehr`` finds its session.
    ``is_treating`` is true when configuration lists the person's site role as treating (care-team source).
    ``care_team_source``: what makes the person the care team ("treating-role", "ehr-care-team"); for the audit only.
    ``member_id``: which person of a program asks, an opaque id; for the audit only.
    ``copy_id``: which patient's copy two persons decided on; without one nobody asks as a patient (R29).
    ``is_contact``: the person may be a contact of the launched patient and was not released (R24).
    ``reason``: why a clinician is here without an encounter ("phone", "follow-up", "other"; R23); for the audit only.
    """

    role: Role
    user_reference: str
    purpose: Purpose
    patient_id: str | None = None
    encounter_id: str | None = None
    registration_id: str | None = None
    launch_id: str | None = None
    site_role: str | None = None
    is_treating: bool = False
    reason: str | None = None
    care_team_source: str | None = None
    member_id: str | None = None
    copy_id: str | None = None
    is_contact: bool = False

    @property
    def program_id(self) -> str:
        """Which program asks, of role ``ADVOCATE``."""
        return self.user_reference.removeprefix("Organization/")


@dataclass(frozen=True)
class _Ask:
    """One input of the table."""

    role: Role
    purpose: Purpose
    label: LabelClass
    consent: ConsentState
    link: Link
    origin: Origin

    @property
    def is_sensitive(self) -> bool:
        return self.label not in {LabelClass.N, LabelClass.R}


_CLINICAL = frozenset({Role.AUTHOR, Role.CARE_TEAM, Role.CLINICIAN})
_OWN = frozenset({Role.AUTHOR, Role.CARE_TEAM})
_TREATMENT = frozenset({Purpose.TREAT, Purpose.COC})
_WIDE_TREATMENT = frozenset({Purpose.TREAT, Purpose.COC, Purpose.ETREAT})
_NEVER_ROLES = frozenset({Role.PROXY, Role.RESEARCHER, Role.BILLING})
_NEVER_PURPOSES = frozenset({Purpose.FAMRQT, Purpose.HLEGAL, Purpose.HRESCH, Purpose.HPAYMT})


@lru_cache(maxsize=4096)
def decide(
    *, role: Role, purpose: Purpose, label: LabelClass, consent: ConsentState, link: Link, origin: Origin
) -> Decision:
    """The answer for one input. Total: anything outside the enums is denied as rule "D0"."""
    try:
        ask = _Ask(Role(role), Purpose(purpose), LabelClass(label), ConsentState(consent), Link(link), Origin(origin))
    except ValueError:
        return Decision(Result.DENY, "D0")
    for rule, row in _ROWS:
        result = row(ask)
        if result is not None:
            return Decision(result, rule)
    return Decision(Result.DENY, "D13")


def _labeler(ask: _Ask) -> Result | None:
    if ask.role is not Role.LABELER:
        return None
    return Result.PERMIT if ask.purpose is Purpose.LABELING else Result.DENY


def _privacy_officer(ask: _Ask) -> Result | None:
    if ask.role is not Role.PRIVACY_OFFICER:
        return None
    return Result.REDACT if ask.purpose in {Purpose.HCOMPL, Purpose.LABELING} else Result.DENY


def _patient(ask: _Ask) -> Result | None:
    if ask.role is not Role.PATIENT:
        return None
    is_own = ask.purpose is Purpose.PATRQT and ask.link is Link.SUBJECT
    return Result.PERMIT if is_own else Result.DENY


def _never(ask: _Ask) -> Result | None:
    if ask.role not in _NEVER_ROLES and ask.purpose not in _NEVER_PURPOSES:
        return None
    pays = ask.role is Role.BILLING and ask.purpose is Purpose.HPAYMT and ask.label is LabelClass.N
    return Result.PERMIT if pays else Result.DENY


def _active_deny(ask: _Ask) -> Result | None:
    """The patient's own "no" beats every role below, break-the-glass included."""
    return Result.DENY if ask.is_sensitive and ask.consent is ConsentState.DENY else None


def _scheduler(ask: _Ask) -> Result | None:
    if ask.role is not Role.SCHEDULER or not ask.is_sensitive:
        return None
    is_inbound = ask.link is Link.REFERRAL_PARTY and ask.origin is Origin.DSV_PROGRAM
    opens = ask.purpose is Purpose.HOPERAT and ask.consent is ConsentState.COVERS and is_inbound
    return Result.REDACT if opens else Result.DENY


def _front_desk(ask: _Ask) -> Result | None:
    if ask.role is not Role.FRONT_DESK or not ask.is_sensitive:
        return None
    opens = ask.purpose is Purpose.HOPERAT and ask.link is not Link.NONE
    return Result.REDACT if opens else Result.DENY


def _own_record(ask: _Ask) -> Result | None:
    has_same_link = (ask.role, ask.link) in {(Role.AUTHOR, Link.AUTHOR), (Role.CARE_TEAM, Link.CARE_TEAM)}
    opens = ask.purpose in _TREATMENT and has_same_link and ask.origin is Origin.HEALTH_CENTER
    return Result.PERMIT if ask.is_sensitive and opens else None


def _advocate_author(ask: _Ask) -> Result | None:
    opens = ask.role is Role.ADVOCATE and ask.purpose is Purpose.COC and ask.link is Link.AUTHOR
    return Result.PERMIT if ask.is_sensitive and opens and ask.origin is Origin.DSV_PROGRAM else None


def _released(ask: _Ask) -> Result | None:
    may_ask = (ask.role in _CLINICAL and ask.purpose in _TREATMENT) or (
        ask.role is Role.ADVOCATE and ask.purpose is Purpose.COC
    )
    is_linked = ask.link in {Link.CARE_TEAM, Link.REFERRAL_PARTY}
    opens = may_ask and is_linked and ask.consent is ConsentState.COVERS
    return Result.PERMIT if ask.is_sensitive and opens else None


def _break_glass(ask: _Ask) -> Result | None:
    is_here = ask.link is Link.ENCOUNTER_NOW and ask.origin is Origin.HEALTH_CENTER
    if not ask.is_sensitive or ask.role not in _CLINICAL or not is_here:
        return None
    return {Purpose.BTG: Result.BREAK_GLASS, Purpose.ETREAT: Result.OFFER}.get(ask.purpose)


def _sensitive_rest(ask: _Ask) -> Result | None:
    return Result.DENY if ask.is_sensitive else None


def _restricted(ask: _Ask) -> Result | None:
    if ask.label is not LabelClass.R:
        return None
    opens = ask.role in _OWN and ask.purpose in _WIDE_TREATMENT and ask.link is not Link.NONE
    return Result.PERMIT if opens else Result.DENY


def _normal(ask: _Ask) -> Result | None:
    opens = ask.role in _CLINICAL and ask.purpose in _WIDE_TREATMENT
    return Result.PERMIT if opens else Result.DENY


_ROWS: tuple[tuple[str, Callable[[_Ask], Result | None]], ...] = (
    ("D1", _labeler),
    ("D2", _privacy_officer),
    ("D3", _patient),
    ("D4", _never),
    ("D5", _active_deny),
    ("D6s", _scheduler),
    ("D6", _front_desk),
    ("D7", _own_record),
    ("D8", _advocate_author),
    ("D9", _released),
    ("D10", _break_glass),
    ("D11", _sensitive_rest),
    ("D12", _restricted),
    ("D13", _normal),
)


def effective(labels: Iterable[Label]) -> LabelClass:
    """The class of an item's labels. Anything that is not plainly one of the four good classes counts as unknown.

    That is: no or two levels, a code outside the closed set, a level below R beside SDV, V or another sensitivity
    without SDV (V must never open more than R).
    """
    carried = set(labels)
    if not carried:
        return LabelClass.NONE
    levels = [label.code for label in carried if label.system == CONFIDENTIALITY]
    if not carried <= KNOWN or len(levels) != 1:
        return LabelClass.UNKNOWN
    if SDV in carried:
        return {"V": LabelClass.V_SDV, "R": LabelClass.R_SDV}.get(levels[0], LabelClass.UNKNOWN)
    if levels[0] == "V" or any(label.code in OTHER_SENSITIVITIES for label in carried):
        return LabelClass.UNKNOWN
    return LabelClass.R if levels[0] == "R" else LabelClass.N


# What may be moved on by somebody who may read it. Break-the-glass is read only; a patient and an officer change
# nothing here; a scheduler books although the item is redacted for them; a partner changes its Task and no more.
_AMENDS: dict[tuple[Role, Result], frozenset[str]] = {
    **{
        (role, Result.PERMIT): frozenset({"Observation", "ServiceRequest", "Task", "Consent", "Appointment", "Patient"})
        for role in _OWN
    },
    (Role.LABELER, Result.PERMIT): frozenset(
        {"Observation", "ServiceRequest", "Task", "Consent", "Appointment", "Patient", "Communication"}
    ),
    (Role.ADVOCATE, Result.PERMIT): frozenset({"Task"}),
    (Role.SCHEDULER, Result.REDACT): frozenset({"Task", "Appointment"}),
}


def may_amend(role: Role, result: Result, resource_type: str) -> bool:
    """May somebody with this decision on an item also store its next version?"""
    return resource_type in _AMENDS.get((role, result), frozenset())
