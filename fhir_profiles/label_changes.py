"""Raising and lowering labels: who may, how far, and the record that each change leaves. Pure; nothing is stored here.

Up: any treating role, at once. Down: the privacy officer with a second person, on the survivor's recorded request,
never below R. SDV goes only with a record that was entered in error, never by changing a release (NIST 800-53 AC-16).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_profiles.label_provenance import label_provenance
from fhir_profiles.security_labels import (
    KNOWN,
    LEVELS,
    REFRAINS,
    SDV,
    SENSITIVITIES,
    Label,
    level_of,
    provenance_labels,
)
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, Payload

RAISING_ROLES = ("author", "care-team", "clinician", "labeler")
LOWERING_ROLE = "privacy-officer"
_VIO = Label(ACT_CODE, "VIO")
_ADDABLE = REFRAINS | {Label(ACT_CODE, code) for code in SENSITIVITIES}


class LabelChangeError(ValueError):
    """A change that is not allowed. The words are constant."""


@dataclass(frozen=True)
class LabelledItem:
    """One version of an item: ``reference`` is "Observation/<id>", ``labels`` its whole set."""

    reference: str
    version: int
    labels: tuple[Label, ...]

    @property
    def versioned(self) -> str:
        """ "Observation/<id>/_history/<n>"."""
        return f"{self.reference}/_history/{self.version}"


@dataclass(frozen=True)
class LabelChange:
    """The next version with its labels, and the Provenance of the step to it."""

    item: LabelledItem
    provenance: Payload


def raise_labels(
    item: LabelledItem,
    *,
    role: str,
    agent_reference: str,
    recorded_at: datetime,
    level: str | None = None,
    add: Iterable[Label] = (),
    cause_reference: str | None = None,
) -> LabelChange:
    """``item`` with a higher ``level`` or with refrains or sensitivities added; VIO brings SDV with it.

    ``role`` is one of ``RAISING_ROLES``. LabelChangeError for another role, a weaker level, a label that raises
    nothing, or a change that changes nothing.
    """
    if role not in RAISING_ROLES:
        raise LabelChangeError("labels are raised by a treating role or by the labeler")
    old = _level(item)
    wanted = level if level is not None else old
    if wanted not in LEVELS or LEVELS.index(wanted) < LEVELS.index(old):
        raise LabelChangeError("raising does not lower the level")
    added = list(dict.fromkeys(add))
    if not _ADDABLE.issuperset(added):
        raise LabelChangeError("only known sensitivities and refrains are added")
    if _VIO in added:
        added.insert(0, SDV)
    labels = _with_level(dict.fromkeys((*item.labels, *added)), wanted)
    return _changed(item, labels, "UPGRDLABEL", recorded_at, (agent_reference,), cause_reference)


def lower_labels(
    item: LabelledItem,
    *,
    role: str,
    officer_reference: str,
    second_reference: str,
    request_reference: str | None,
    recorded_at: datetime,
    to_restricted: bool = False,
    drop: Iterable[Label] = (),
) -> LabelChange:
    """``item`` at R instead of V, or without some refrains. ``request_reference`` is the survivor's recorded request.

    LabelChangeError for another role than ``LOWERING_ROLE``, one person twice, no request, anything but a refrain to
    drop, a level that is not V, or a change that changes nothing. There is no way below R.
    """
    _require_two(role, officer_reference, second_reference)
    if not request_reference:
        raise LabelChangeError("labels are lowered on the survivor's recorded request")
    dropped = set(drop)
    if not dropped <= REFRAINS:
        raise LabelChangeError("only a refrain is dropped")
    if to_restricted and _level(item) != "V":
        raise LabelChangeError("only V is lowered, and to R")
    labels = _with_level(
        (label for label in item.labels if label not in dropped), "R" if to_restricted else _level(item)
    )
    people = (officer_reference, second_reference)
    return _changed(item, labels, "DOWNGRDLABEL", recorded_at, people, request_reference)


def remove_sensitivity(
    item: LabelledItem,
    *,
    role: str,
    officer_reference: str,
    second_reference: str,
    status: str,
    recorded_at: datetime,
) -> LabelChange:
    """``item`` without SDV, and without VIO, which stands only beside it. ``status`` is the item's own.

    LabelChangeError unless the item is entered in error, and as for ``lower_labels``. The level stays.
    """
    _require_two(role, officer_reference, second_reference)
    if status != "entered-in-error":
        raise LabelChangeError("SDV is removed only from what was entered in error")
    labels = tuple(label for label in item.labels if label not in (SDV, _VIO))
    people = (officer_reference, second_reference)
    return _changed(item, labels, "DECLASSIFYLABEL", recorded_at, people, None)


def _require_two(role: str, officer: str, second: str) -> None:
    if role != LOWERING_ROLE:
        raise LabelChangeError("labels are lowered by the privacy officer")
    if officer == second:
        raise LabelChangeError("a second person takes part")


def _level(item: LabelledItem) -> str:
    level = level_of(item.labels)
    if level not in LEVELS or not KNOWN.issuperset(item.labels):
        raise LabelChangeError("an item without plain labels is an incident, not a change")
    return level


def _with_level(labels: Iterable[Label], level: str) -> tuple[Label, ...]:
    return (Label(CONFIDENTIALITY, level), *(label for label in labels if label.system != CONFIDENTIALITY))


def _changed(
    item: LabelledItem,
    labels: Sequence[Label],
    change: str,
    recorded_at: datetime,
    agents: Sequence[str],
    cause: str | None,
) -> LabelChange:
    if set(labels) == set(item.labels):
        raise LabelChangeError("this changes no label")
    new = LabelledItem(item.reference, item.version + 1, tuple(labels))
    provenance = label_provenance(
        labels=provenance_labels(item.labels, labels),
        target_version=new.versioned,
        previous_version=item.versioned,
        recorded_at=recorded_at,
        change=change,
        agent_references=agents,
        cause_reference=cause,
    )
    return LabelChange(new, provenance)
