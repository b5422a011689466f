"""Which security labels each resource carries, which are known, and what an envelope may show.

Labels are compared by ``system`` and ``code`` alone, exactly (R4 ``Meta.security``). The label sets are assigned by
workflow, never by a code list: a list of sensitive codes misses most of what discloses (LOINC 76501-6, Z69.11, Task).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from fhir_profiles.terminology import (
    ACT_CODE,
    ACT_REASON,
    ACT_US_PRIVACY_LAW,
    CONFIDENTIALITY,
    OBSERVATION_VALUE,
    Payload,
)

_Item = TypeVar("_Item")


class Label(NamedTuple):
    """One security label: a code in a code system."""

    system: str
    code: str


LEVELS = ("U", "L", "M", "N", "R", "V")  # v3-Confidentiality, weakest first
SENSITIVITIES = frozenset({"SDV", "SEX", "VIO", "MST", "ADOL"})  # what a release has to name one by one
SDV = Label(ACT_CODE, "SDV")
# What may be added to a disclosure when it is true. Said by a person, never derived from the kind of disclosure; VIO is
# violence by an unrelated person, which stands only beside SDV.
ADDITIONS = ("ADOL", "MST", "VIO", "SEX")
REFRAINS = frozenset(Label(ACT_CODE, code) for code in ("NORDSCLCD", "NOREUSE", "NORELINK", "NOPAT"))
REDACTED = Label(OBSERVATION_VALUE, "REDACTED")

_KEPT = (Label(ACT_CODE, "NORDSCLCD"), Label(ACT_CODE, "NOREUSE"), Label(ACT_CODE, "PERSISTLABEL"))
_TREAT, _COC = Label(ACT_REASON, "TREAT"), Label(ACT_REASON, "COC")
_LOCIS, _CPLYCD = Label(ACT_CODE, "LOCIS"), Label(ACT_CODE, "CPLYCD")
_PERSIST = Label(ACT_CODE, "PERSISTLABEL")
_SOURCES = ("PATRPT", "CLINAST")
_AGGREGATE = (
    Label(CONFIDENTIALITY, "L"),
    Label(OBSERVATION_VALUE, "AGGRED"),
    Label(OBSERVATION_VALUE, "ANONYED"),
    Label(ACT_CODE, "NORELINK"),
    _PERSIST,
    Label(ACT_REASON, "HPRGRP"),
)

# The closed set. Anything else counts as very restricted and sensitive (R5).
KNOWN: frozenset[Label] = frozenset(
    [Label(CONFIDENTIALITY, code) for code in LEVELS]
    + [Label(ACT_CODE, code) for code in SENSITIVITIES]
    + [Label(ACT_CODE, code) for code in ("NORDSCLCD", "NOREUSE", "PERSISTLABEL", "LOCIS", "CPLYCD", "NORELINK")]
    + [Label(ACT_CODE, "NOPAT")]  # honoured when received; never a default (45 CFR 171.201)
    + [Label(ACT_REASON, code) for code in ("TREAT", "COC", "HPRGRP", "HTEST")]
    + [Label(OBSERVATION_VALUE, code) for code in (*_SOURCES, "AGGRED", "ANONYED", "REDACTED")]
)

_SENSITIVE = frozenset(Label(ACT_CODE, code) for code in SENSITIVITIES)

# Labels we cannot honour while keeping a record with an audit copy: refused unless an agreement says otherwise.
_CANNOT_KEEP = frozenset(Label(ACT_CODE, code) for code in ("DELAU", "NOPERSISTP", "NOCOLLECT"))

# Old or mistaken homes of the systems; `http://hl7.org/fhir/v3/` was STU3's.
_OLD_SYSTEMS: Mapping[str, str] = {
    **{
        f"http://hl7.org/fhir/v3/{name}": system
        for name, system in (
            ("Confidentiality", CONFIDENTIALITY),
            ("ActCode", ACT_CODE),
            ("ActReason", ACT_REASON),
            ("ObservationValue", OBSERVATION_VALUE),
        )
    },
    **{
        "https" + system.removeprefix("http"): system
        for system in (CONFIDENTIALITY, ACT_CODE, ACT_REASON, OBSERVATION_VALUE)
    },
    ACT_US_PRIVACY_LAW: ACT_CODE,
}
_RETIRED: Mapping[Label, Label] = {
    Label(CONFIDENTIALITY, "SDV"): SDV,
    Label(ACT_CODE, "NORDSLCD"): Label(ACT_CODE, "NORDSCLCD"),
}

# Which profile a bare resource of ours is labelled as, when nobody names one.
_PROFILE_OF_TYPE: Mapping[str, str] = {
    "Observation": "disclosure-observation",
    "ServiceRequest": "referral-service-request",
    "Task": "referral-task",
    "Consent": "release-consent",
    "Appointment": "proposed-appointment",
    "Patient": "referral-patient",
    "RelatedPerson": "referral-patient",
    "Location": "referral-patient",
    "Communication": "communication",
    "Bundle": "referral-bundle",
    "Provenance": "label-provenance",
    "AuditEvent": "access-audit-event",
    "MeasureReport": "program-measure-report",
}


def labels_for(
    profile_id: str, *, confidentiality: str = "V", source: str = "PATRPT", also: Iterable[str] = ()
) -> tuple[Label, ...]:
    """The exact label set of a new resource of this profile.

    ``confidentiality`` is "V", or "R" where the site's configuration says so; nothing patient-level goes below R.
    ``source`` ("PATRPT" or "CLINAST") says who told it and matters for the disclosure only, as does ``also``, a choice
    of ``ADDITIONS``. "individual-report" is a MeasureReport that is no summary: it is never exported. ValueError for
    any other value and for an unknown profile.
    """
    return _labels_for(profile_id, confidentiality, source, tuple(dict.fromkeys(also)))


@lru_cache(maxsize=256)
def _labels_for(profile_id: str, confidentiality: str, source: str, added: tuple[str, ...]) -> tuple[Label, ...]:
    if confidentiality not in {"V", "R"}:
        raise ValueError("confidentiality is V or R")
    if source not in _SOURCES:
        raise ValueError("source is PATRPT or CLINAST")
    if not set(added) <= set(ADDITIONS) or (added and profile_id != "disclosure-observation"):
        raise ValueError("only a disclosure has additional labels, and they are ADOL, MST, VIO and SEX")
    level = Label(CONFIDENTIALITY, confidentiality)
    core = (level, SDV, *_KEPT)
    extra = tuple(Label(ACT_CODE, code) for code in added)
    sets: dict[str, tuple[Label, ...]] = {
        "disclosure-observation": (*core, _TREAT, Label(OBSERVATION_VALUE, source), *extra),
        "referral-service-request": (*core, _COC),
        "referral-task": (*core, _COC),
        "communication": (*core, _COC),
        "proposed-appointment": (*core, _LOCIS, _COC),
        "appointment-ehr-copy": (Label(CONFIDENTIALITY, "R"),),
        "release-consent": (*core, _CPLYCD),
        "referral-patient": (*core, _LOCIS),
        "label-provenance": (level, SDV, _PERSIST),
        "access-audit-event": (Label(CONFIDENTIALITY, "V"), SDV, _PERSIST),
        "referral-bundle": (level,),
        "program-measure-report": _AGGREGATE,
        "individual-report": core,
    }
    if profile_id in _PUBLIC:
        return ()
    if profile_id not in sets:
        raise ValueError("not a profile that has labels")
    return sets[profile_id]


_PUBLIC = frozenset(
    {
        "partner-organization",
        "partner-service",
        "partner-endpoint",
        "partnership-mou",
        "operation-outcome",
        "capability-statement",
    }
)
# What carries this set and nothing more or less; on other records of ours more may be said.
_EXACT = frozenset({"access-audit-event", "appointment-ehr-copy", "program-measure-report", "referral-bundle"})


def provenance_labels(*label_sets: Iterable[Label]) -> tuple[Label, ...]:
    """The labels of a record about items with these labels: the highest level, SDV if one has it, PERSISTLABEL."""
    enforced = [enforced_of(labels) for labels in label_sets]
    sensitive = any(SDV in labels for labels in enforced)
    return (high_water_mark(enforced), *((SDV,) if sensitive else ()), _PERSIST)


def own_security(profile_id: str, labels: Sequence[Label]) -> list[Payload]:
    """``meta.security`` of a resource that we make. ValueError unless the set is that of the profile, each label once;
    what else is true may be said beside it, in labels of the closed set."""
    given = set(labels)
    if len(given) != len(labels) or not given <= KNOWN or REDACTED in given:
        raise ValueError("the labels are not known ones, each once")
    levels = [label.code for label in labels if label.system == CONFIDENTIALITY]
    if len(levels) != 1 or (profile_id != "program-measure-report" and levels[0] not in {"V", "R"}):
        raise ValueError("the labels have one level, V or R")
    expected = set(labels_for(profile_id, confidentiality=levels[0] if levels[0] == "R" else "V"))
    if profile_id == "label-provenance":
        expected.discard(SDV)  # it follows its target
    lacking = expected - given
    is_told_by_other = any(label.system == OBSERVATION_VALUE and label.code in _SOURCES for label in given)
    lacking -= {Label(OBSERVATION_VALUE, code) for code in _SOURCES} if is_told_by_other else set()
    if lacking or (profile_id in _EXACT and given != expected):
        raise ValueError("the labels are not those of this profile")
    return as_security(labels)


def as_security(labels: Iterable[Label]) -> list[Payload]:
    """The labels as ``meta.security``: codings without display or version."""
    return [{"system": label.system, "code": label.code} for label in labels]


def labels_of(payload: Payload) -> tuple[Label, ...]:
    """The labels a payload carries, in order. A coding that is no coding becomes a label that nothing knows."""
    meta = payload.get("meta")
    security = meta.get("security") if isinstance(meta, dict) else None
    if security is None:
        return ()
    if not isinstance(security, list):
        return (Label("", ""),)
    return tuple(_label(item) for item in security)


def _label(item: object) -> Label:
    if not isinstance(item, dict):
        return Label("", "")
    system, code = item.get("system"), item.get("code")
    return Label(system if isinstance(system, str) else "", code if isinstance(code, str) else "")


def normal(label: Label) -> Label:
    """The label's present-day spelling: retired codes and old homes of a system are translated, all else stays."""
    if label in KNOWN:
        return label
    moved = Label(_OLD_SYSTEMS.get(label.system, label.system), label.code)
    return _RETIRED.get(moved, moved)


def level_of(labels: Iterable[Label]) -> str | None:
    """The one confidentiality level named, None when there is none. ValueError when there are two."""
    levels = {label.code for label in map(normal, labels) if label.system == CONFIDENTIALITY}
    if len(levels) > 1:
        raise ValueError("two confidentiality levels")
    return levels.pop() if levels else None


def is_known(labels: Iterable[Label]) -> bool:
    """True when every label is in the closed set, spelled as it is today."""
    return all(label in KNOWN for label in labels)


def is_spelling_known(label: Label) -> bool:
    """True for a label of the closed set, in today's spelling or a retired one, and for one that we refuse by name."""
    return normal(label) in KNOWN | _CANNOT_KEEP


def cannot_be_kept(labels: Iterable[Label]) -> bool:
    """True when a label asks not to keep, not to collect, or not to audit: we could not honour it."""
    return not _CANNOT_KEEP.isdisjoint(labels)


def label_problems(payload: Payload, ours: Sequence[Label], *, may_forget: bool = False) -> list[str]:
    """Why these received labels cannot be accepted; empty when they can. No label at all is fine: we add ours.

    A level below ours, two levels, a label that forbids keeping a record, or the mark of a redacted view are
    problems. Unknown labels are not: they are kept and enforced as very restricted. ``may_forget``: an agreement
    lets us keep what the sender asked not to keep.
    """
    raw = labels_of(payload)
    if not raw:
        return []
    received = [normal(label) for label in raw]
    levels = {label.code for label in received if label.system == CONFIDENTIALITY}
    exact = [label for label in raw if label.system == CONFIDENTIALITY and label.code in LEVELS]
    our_level = next((label.code for label in ours if label.system == CONFIDENTIALITY), None)
    problems = []
    if len(levels) > 1 or len(exact) > 1:
        problems.append("Exactly one confidentiality code is allowed.")
    if not levels.issubset(LEVELS):
        problems.append(f"A confidentiality code is one of the six levels: {', '.join(LEVELS)}.")
    if our_level is not None and any(_is_below(code, our_level) for code in levels):
        problems.append(f"The confidentiality label is {our_level} or higher here.")
    if not may_forget and cannot_be_kept(received):
        problems.append("DELAU, NOPERSISTP and NOCOLLECT cannot be honoured here: the record must be kept.")
    if REDACTED in received:
        problems.append("A redacted view cannot be written back.")
    return problems


def has_exactly(payload: Payload, ours: Sequence[Label]) -> bool:
    """True when a payload carries these labels, each once, in today's spelling: what most senders do, told quickly."""
    meta = payload.get("meta")
    security = meta.get("security") if isinstance(meta, dict) else None
    if not isinstance(security, list) or len(security) != len(ours):
        return False
    found = set()
    for item in security:
        if not isinstance(item, dict):
            return False
        system, code = item.get("system"), item.get("code")
        if not isinstance(system, str) or not isinstance(code, str):
            return False
        found.add((system, code))
    return len(found) == len(ours) and all(label in found for label in ours)


def _is_below(code: str, floor: str) -> bool:
    return code in LEVELS and LEVELS.index(code) < LEVELS.index(floor)


def missing_labels(payload: Payload, profile_id: str | None = None) -> tuple[Label, ...]:
    """What a resource of ours lacks of its label set; empty when it is labelled. Higher or more labels are fine.

    Without ``profile_id`` the resource type decides; a type we never store patient-level counts as a disclosure.
    """
    carried = labels_of(payload)
    expected = labels_for(profile_id or _profile_for(payload))
    missing = [label for label in expected if label not in carried and not _is_satisfied(label, carried)]
    if expected and sum(normal(label).system == CONFIDENTIALITY for label in carried) != 1:
        missing.insert(0, next(label for label in expected if label.system == CONFIDENTIALITY))
    return tuple(dict.fromkeys(missing))


def _profile_for(payload: Payload) -> str:
    kind = str(payload.get("resourceType"))
    if kind == "MeasureReport" and payload.get("type") != "summary":
        return "individual-report"
    return _PROFILE_OF_TYPE.get(kind, "referral-task")


def _is_satisfied(label: Label, carried: tuple[Label, ...]) -> bool:
    """A level may be R where the site says so, and a disclosure may be the clinician's own finding."""
    if label.system == CONFIDENTIALITY:
        floor = "R" if label.code in {"V", "R"} else label.code
        return any(_is_level_at_least(other, floor) for other in carried)
    if label.system == OBSERVATION_VALUE and label.code in _SOURCES:
        return any(other.system == OBSERVATION_VALUE and other.code in _SOURCES for other in carried)
    return False


def _is_level_at_least(label: Label, floor: str) -> bool:
    return label.system == CONFIDENTIALITY and label.code in LEVELS and not _is_below(label.code, floor)


def _rank(code: str) -> int:
    return LEVELS.index(code) if code in LEVELS else len(LEVELS)


def enforced_labels(payload: Payload) -> tuple[Label, ...]:
    """The labels to enforce and to index by: the known ones, and V with SDV where anything is missing or unknown."""
    return enforced_of(labels_of(payload))


def enforced_of(carried: Iterable[Label]) -> tuple[Label, ...]:
    """The same for a label set."""
    spelled = [normal(label) for label in carried]
    known = [label for label in dict.fromkeys(spelled) if label in KNOWN]
    levels = [label for label in known if label.system == CONFIDENTIALITY]
    if is_known(spelled) and len(levels) == 1:
        return tuple(known)
    rest = [label for label in known if label.system != CONFIDENTIALITY and label != SDV]
    return (Label(CONFIDENTIALITY, "V"), SDV, *rest)


def high_water_mark(label_sets: Iterable[Iterable[Label]]) -> Label:
    """The confidentiality code of an envelope: the highest of what is left *after* filtering; unlabelled counts as V.

    Nothing left is "U": an empty page must not tell that something was taken out.
    """
    highest = "U"
    for labels in label_sets:
        codes = [label.code for label in map(normal, labels) if label.system == CONFIDENTIALITY]
        level = max(codes, key=_rank, default="V")
        highest = max(highest, level if level in LEVELS else "V", key=_rank)
    return Label(CONFIDENTIALITY, highest)


def filtered(
    items: Iterable[_Item], *, is_shown: Callable[[_Item], bool], labels: Callable[[_Item], Iterable[Label]]
) -> tuple[list[_Item], Label]:
    """What may be shown of a page, and the mark of its envelope. Filtered first: a mark of the whole would tell that
    something was taken out. Made for each page; never reused."""
    shown = [item for item in items if is_shown(item)]
    return shown, high_water_mark(labels(item) for item in shown)


def inherited_labels(label_sets: Iterable[Iterable[Label]]) -> tuple[Label, ...]:
    """The labels of a text, queue row, index or export made of items with these labels: the highest level and every
    sensitivity. Unlike an envelope, it holds content."""
    enforced = [enforced_of(labels) for labels in label_sets]
    sensitivities = {label for labels in enforced for label in labels if label in _SENSITIVE}
    return (high_water_mark(enforced), *sorted(sensitivities))
