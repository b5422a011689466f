"""Rows of the audit log as a person reads them, and as FHIR AuditEvents. Pure. Opaque ids only, as the log has them.

Who saw what is one line for each row of the vault; a disclosure is a row ``intended`` to a program, or a read by one
under a release, with what became of it (R26). Nothing here opens a resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_profiles.access_audit_event import DENIED, PERMITTED, access_audit_event, disclosure_event, exported
from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import Payload

Record = Mapping[str, Any]
_MONTH = re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])")
WORKER = "Device/system-delivery"
SHOWN = frozenset({"permit", "redact", "break-glass"})
# action of the log -> interaction of the profile. Sign-ins, and what stands for no access to an item, have none.
INTERACTIONS = {
    "read": "read",
    "find": "search",
    "list": "search",
    "read-transport": "search",
    "create": "create",
    "amend": "update",
    "close-case": "update",
    "note-ehr-copy": "update",
    "amend-stale": "update",
    "read-launched-patient": "read",
    "read-launched-encounter": "read",
}


def is_month(text: str) -> bool:
    """ "2026-11", as each row of the log says its own."""
    return _MONTH.fullmatch(text) is not None


@dataclass(frozen=True)
class TrailLine:
    """One row: its ``position`` in the chain, when, who in which role and why, what and under which rule.

    ``items`` are "Type/<id>", ``answer`` is "shown", "not shown" or the outcome of a call to the outside.
    """

    position: int
    at: datetime
    who: str
    role: str
    action: str
    answer: str
    rules: tuple[str, ...]
    items: tuple[str, ...]
    partner_id: str


@dataclass(frozen=True)
class Disclosure:
    """What left to a program under a release, and what became of it ("sent" until an outcome is known)."""

    at: datetime
    consent: str
    to: str
    items: tuple[str, ...]
    outcome: str
    position: int


def line_of(position: int, record: Record) -> TrailLine:
    """One row in order."""
    entities = _entities(record)
    rules = [str(one["rule"]) for one in entities if one.get("rule")] or [str(record.get("rule") or "")]
    return TrailLine(
        position=position,
        at=datetime.fromisoformat(record["at"]),
        who=_who(record),
        role=str(record.get("site_role") or record.get("role") or ""),
        action=str(record.get("action", "")),
        answer=_answer(record, entities),
        rules=tuple(dict.fromkeys(rule for rule in rules if rule)),
        items=tuple(_current(one) for one in entities),
        partner_id=str(record.get("partner") or ""),
    )


def disclosures(rows: Iterable[tuple[int, Record]]) -> list[Disclosure]:
    """The accounting of disclosures: one line for each release and each time something left under it, oldest first."""
    found: list[tuple[int, Record]] = []
    outcomes: dict[str, str] = {}
    for position, record in rows:
        if record.get("phase") == "outcome":
            outcomes[str(record.get("crossing"))] = str(record.get("outcome") or "")
        elif record.get("is_disclosure"):
            found.append((position, record))
    return [
        Disclosure(
            at=datetime.fromisoformat(record["at"]),
            consent=str(consent),
            to=str(record.get("partner") or _who(record).removeprefix("Organization/")),
            items=tuple(_current(one) for one in _entities(record) if one.get("result", "permit") in SHOWN),
            outcome=outcomes.get(str(record.get("crossing")), "sent" if record.get("phase") == "intended" else "read"),
            position=position,
        )
        for position, record in found
        for consent in record.get("consents") or ()
    ]


def as_audit_event(position: int, record: Record, *, addresses: Mapping[str, str]) -> Payload | None:
    """The row as an AuditEvent to hand out, None for one that is no access to items: a sign-in, an outcome.

    ``addresses``: program id -> the address of its system; without one, what was sent to it is told as a search is.
    """
    entities = _entities(record)
    what: list[tuple[str, Sequence[Label]]] = [(str(one["what"]), ()) for one in entities if "/" in str(one["what"])]
    people = [_current(one) for one in entities if str(one.get("what", "")).startswith("Patient/")]
    common: dict[str, Any] = {
        "labels": labels_for("access-audit-event"),
        "recorded_at": datetime.fromisoformat(record["at"]),
        "purpose": str(record.get("purpose") or "TREAT"),
    }
    partner = str(record.get("partner") or "")
    if record.get("action") == "release" and record.get("phase") == "intended" and partner in addresses and people:
        event = disclosure_event(
            **common,
            is_sent=True,
            partner_reference=f"Organization/{partner}",
            partner_address=addresses[partner],
            patient_reference=people[0],
            entities=what,
            consent_references=list(record.get("consents") or ()),
        )
    elif record.get("phase") in ("vault", "intended") and record.get("action") in INTERACTIONS and what:
        is_shown = any(one.get("result", "permit") in SHOWN for one in entities)
        event = access_audit_event(
            **common,
            interaction=INTERACTIONS[str(record["action"])],
            requester_reference=_who(record),
            entities=what,
            patient_reference=people[0] if len(people) == 1 else None,
            outcome=PERMITTED if is_shown else DENIED,
        )
    else:
        return None
    return {**exported(event), "id": f"row-{position}"}


def _entities(record: Record) -> list[dict[str, Any]]:
    """Rows of a call to an EHR name plain references."""
    return [one if isinstance(one, dict) else {"what": one} for one in record.get("entities") or ()]


def _current(entity: Mapping[str, Any]) -> str:
    return str(entity.get("what", "")).partition("/_history/")[0]


def _who(record: Record) -> str:
    who = str(record.get("who") or record.get("client") or "")
    return WORKER if who == "system-delivery" else who


def _answer(record: Record, entities: list[dict[str, Any]]) -> str:
    if record.get("phase") == "outcome":
        return str(record.get("outcome") or "")
    if record.get("phase") == "intended":
        return "announced"
    results = [one.get("result") for one in entities if one.get("result")]
    if results:
        return "shown" if any(one in SHOWN for one in results) else "not shown"
    return "refused" if record.get("action") == "refuse" else "done"
