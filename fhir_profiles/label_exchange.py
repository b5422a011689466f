"""Labels that cross the border: labelled up on the way in, never down; whole on the way out.

What was received stays where it was, byte for byte; today's spelling and what is missing are put beside it. Only a
weaker level, or a code that is no level, is replaced: there may be one level only. Our own doors refuse more than this
does (R17): the table here is for what is read from an EHR, and for what a door has let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_profiles.security_labels import (
    KNOWN,
    LEVELS,
    SDV,
    Label,
    as_security,
    cannot_be_kept,
    enforced_of,
    label_problems,
    labels_of,
    normal,
)
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, INLINE_SEC_LABEL, Payload

INLINE_MARK = Label(ACT_CODE, "PROCESSINLINELABEL")  # not in R4's copy: understood on import, never emitted
ENTRY_LEVEL = Label(CONFIDENTIALITY, "R")
_BRING_SDV = frozenset(Label(ACT_CODE, code) for code in ("VIO", "MST", "SEX"))


class Origin(StrEnum):
    """Where a resource comes from: a DSV partner (or it is about a referral), the Patient, Encounter or Practitioner of
    an EHR launch, or anything else that an EHR gave."""

    PARTNER = "partner"
    LAUNCHED = "launched"
    EHR = "ehr"


class LabelsRefusedError(ValueError):
    """Received labels that cannot be honoured. The words are constant and hold nothing that was sent."""


@dataclass(frozen=True)
class LabelledUp:
    """``payload``: with its labels raised. ``enforced``: what decides, V with SDV where something is not understood.

    ``changes``: what was done, for the log, out of "labelled" (there was no label), "respelled", "sensitive" (SDV added
    beside VIO, MST or SEX), "raised" (a weaker level, or labels of ours were missing), "unknown" and "inline". What a
    partner sent and we labelled or raised gets a Provenance of UPGRDLABEL.
    """

    payload: Payload
    enforced: tuple[Label, ...]
    changes: frozenset[str]


def label_up(payload: Payload, origin: Origin, *, ours: Sequence[Label] = (), may_forget: bool = False) -> LabelledUp:
    """``payload`` as we take it in. ``ours`` is our own set for it, empty where we have none; ``may_forget``: an
    agreement lets us keep what the sender asked not to keep.

    LabelsRefusedError: from a partner two levels, a level below ours, a redacted view, labels on a contained resource
    (dom-5); from a partner or an EHR a label that forbids keeping or audit.
    """
    received = labels_of(payload)
    inline = inline_labels(payload)
    spelled = [normal(label) for label in (*received, *inline)]
    _refuse(payload, spelled, origin, ours, may_forget)
    changes = set(_noticed(payload, received, inline, spelled))
    wanted = _wanted(spelled, origin, ours, changes)
    level = _level_of(received, inline, origin, ours, changes)
    made = _with_labels(payload, received, wanted, level)
    rest = [label for label in (*wanted, *spelled) if label != INLINE_MARK and label.system != CONFIDENTIALITY]
    strange = [] if "unknown" not in changes else [Label("", "")]
    return LabelledUp(made, enforced_of([*([level] if level else []), *rest, *strange]), frozenset(changes))


def for_put(payload: Payload, stored: Payload) -> Payload:
    """``payload`` with every label that ``stored`` carries, byte for byte, and its own beside them. One server drops
    what a PUT omits, another keeps it: only the whole set means the same to both. Of two levels the higher stays."""
    kept = _codings(stored)
    carried = {_key(item) for item in kept}
    both = [*kept, *(item for item in _codings(payload) if _key(item) not in carried)]
    levels = [item for item in both if isinstance(item, dict) and item.get("system") == CONFIDENTIALITY]
    ranked = [item for item in levels if item.get("code") in LEVELS]
    highest = max(ranked, key=lambda item: LEVELS.index(item["code"]), default=None)
    security = [item for item in both if item is highest or not any(item is other for other in ranked)]
    return {**payload, "meta": {**(payload.get("meta") or {}), "security": security}}


def inline_labels(payload: Payload) -> tuple[Label, ...]:
    """The labels that DS4P's inline extension puts on single elements, anywhere in ``payload``. Looked for without the
    mark that announces them, too: a sender who forgot it did not mean less."""
    found: list[Label] = []
    pending: list[Any] = [payload]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            if value.get("url") == INLINE_SEC_LABEL:
                found += labels_of({"meta": {"security": [value.get("valueCoding")]}})
            pending.extend(value.values())
    return tuple(dict.fromkeys(found))


def has_labelled_contained(payload: Payload) -> bool:
    """dom-5: a contained resource has no labels of its own; both common libraries let them pass."""
    contained = payload.get("contained")
    items = contained if isinstance(contained, list) else [contained]
    return any(isinstance(item, dict) and labels_of(item) for item in items)


def _refuse(
    payload: Payload, spelled: Sequence[Label], origin: Origin, ours: Sequence[Label], may_forget: bool
) -> None:
    """Nothing of a launch is refused: it is shown for one request and never kept. A partner is refused what our doors
    refuse."""
    if origin is not Origin.LAUNCHED and not may_forget and cannot_be_kept(spelled):
        raise LabelsRefusedError("a label asks not to keep what must be kept")
    if origin is not Origin.PARTNER:
        return
    if has_labelled_contained(payload):
        raise LabelsRefusedError("a contained resource carries labels (dom-5)")
    for problem in label_problems(payload, ours, may_forget=may_forget):
        raise LabelsRefusedError(problem)


def _noticed(
    payload: Payload, received: Sequence[Label], inline: Sequence[Label], spelled: Sequence[Label]
) -> Iterable[str]:
    if not received and not inline:
        yield "labelled"
    if any(normal(label) != label for label in (*received, *inline)):
        yield "respelled"
    if any(label not in KNOWN and label != INLINE_MARK for label in spelled) or has_labelled_contained(payload):
        yield "unknown"
    if inline:
        yield "inline"


def _wanted(spelled: Sequence[Label], origin: Origin, ours: Sequence[Label], changes: set[str]) -> list[Label]:
    """Every label but the level that must stand on the resource."""
    wanted = [label for label in dict.fromkeys(spelled) if label.system != CONFIDENTIALITY]
    if origin is Origin.PARTNER and _BRING_SDV.intersection(spelled) and SDV not in spelled:
        changes.add("sensitive")
        wanted.append(SDV)
    lacking = [label for label in ours if not _is_level(label) and label not in wanted]
    if lacking and spelled:
        changes.add("raised")
    return [*wanted, *lacking]


def _level_of(
    received: Sequence[Label], inline: Sequence[Label], origin: Origin, ours: Sequence[Label], changes: set[str]
) -> Label | None:
    """The one level to carry: V where two are named, or a code that is no level. None leaves an EHR's unlabelled
    resource as it is, which counts as V with SDV."""
    levels = {label for label in map(normal, received) if label.system == CONFIDENTIALITY}
    is_one = len(levels) <= 1 and all(map(_is_level, levels))
    floor = _highest([*([ENTRY_LEVEL] if origin is Origin.LAUNCHED else []), *ours])
    named = [*levels, *map(normal, inline), *([floor] if floor is not None else [])]
    level = _highest(named) if is_one else Label(CONFIDENTIALITY, "V")
    if levels and level not in levels:
        changes.add("raised")
    return level


def _with_labels(payload: Payload, received: Sequence[Label], wanted: Iterable[Label], level: Label | None) -> Payload:
    """A copy with what is missing beside what came. Nothing is taken away but another level than the one."""
    kept: list[tuple[Any, Label]] = []
    for item, label in zip(_codings(payload), received, strict=False):
        is_again = label == level and any(other == level for _, other in kept)
        if normal(label).system != CONFIDENTIALITY or (normal(label) == level and not is_again):
            kept.append((item, label))
    there = {label for _, label in kept}
    first = [level] if level is not None and level not in there else []
    added = [label for label in dict.fromkeys(wanted) if label not in there and label in KNOWN]
    if not first and not added and len(kept) == len(received):
        return payload
    sent = payload.get("meta")
    security = [*as_security(first), *(item for item, _ in kept), *as_security(added)]
    return {**payload, "meta": {**(sent if isinstance(sent, dict) else {}), "security": security}}


def _codings(payload: Payload) -> list[Any]:
    meta = payload.get("meta")
    security = meta.get("security") if isinstance(meta, dict) else None
    return security if isinstance(security, list) else []


def _key(item: Any) -> Any:
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else id(item)


def _is_level(label: Label) -> bool:
    return label.system == CONFIDENTIALITY and label.code in LEVELS


def _rank(label: Label) -> int:
    return LEVELS.index(label.code)


def _highest(labels: Iterable[Label]) -> Label | None:
    return max((label for label in labels if _is_level(label)), key=_rank, default=None)
