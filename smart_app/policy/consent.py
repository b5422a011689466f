"""Is this release in force for this recipient, purpose, item and moment? Pure; the clock comes in (R9, R10).

Fail closed: a Consent that is malformed, that says something this code does not read, or that lacks a part, covers
nothing. Withdrawal (``inactive``) and expiry end sharing only; they do not hide the center's own record (D7).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from fhir_profiles import dates
from fhir_profiles.security_labels import LEVELS, SDV, SENSITIVITIES, Label, enforced_labels
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from smart_app.policy.access import ConsentState, Purpose

LONGEST_DAYS = 90
_RECIPIENT = "IRCP"
_PROVISION_KEYS = frozenset({"extension", "type", "period", "actor", "securityLabel", "purpose", "data"})
# COC is a kind of TREAT; no other purpose widens.
_WIDENED_BY = {Purpose.COC: frozenset({Purpose.COC, Purpose.TREAT})}


def covers(
    consent: dict[str, Any],
    *,
    recipient: str,
    purpose: Purpose,
    item_reference: str,
    labels: Iterable[Label],
    now: datetime,
    belongs_to: Collection[str] = (),
    zone: tzinfo = UTC,
) -> bool:
    """True only while this release opens this item to ``recipient`` ("Organization/<id>") for ``purpose``.

    ``labels`` are the item's own. ``belongs_to`` are references the item hangs on (an Appointment on its
    ServiceRequest): an item of the released set is released with it. ``zone`` is where a bare date is read.
    """
    try:
        return (
            consent.get("resourceType") == "Consent"
            and _is_in_force(consent, now, zone)
            and _names_recipient(consent, recipient)
            and _names_purpose(consent, purpose)
            and _names_labels(consent, frozenset(labels), purpose)
            and _names_item(consent, item_reference, belongs_to)
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return False


def state(
    consents: Iterable[dict[str, Any]],
    *,
    recipient: str,
    purpose: Purpose,
    item_reference: str,
    labels: Iterable[Label],
    now: datetime,
    belongs_to: Collection[str] = (),
    zone: tzinfo = UTC,
) -> ConsentState:
    """What all releases on file say together. A deny in force beats every permit, whichever is newer."""
    carried, found = frozenset(labels), ConsentState.NONE
    for consent in consents:
        if _denies(consent, recipient, carried, item_reference, belongs_to, now, zone):
            return ConsentState.DENY
        if covers(
            consent,
            recipient=recipient,
            purpose=purpose,
            item_reference=item_reference,
            labels=carried,
            now=now,
            belongs_to=belongs_to,
            zone=zone,
        ):
            found = ConsentState.COVERS
        elif found is ConsentState.NONE and _once_covered(consent, recipient, item_reference, belongs_to, now, zone):
            found = ConsentState.LAPSED
    return found


def withdrawn(consent: dict[str, Any]) -> dict[str, Any]:
    """The same release, no longer in force. By voice is enough, at once; who heard it stands in the audit (R11)."""
    return {**consent, "status": "inactive"}


def begins_at(text: str, zone: tzinfo = UTC) -> datetime:
    """From when a FHIR date or dateTime of a release counts; a bare date as soon as it is that day here or in UTC."""
    return _first(text, zone)


def ends_at(text: str, zone: tzinfo = UTC) -> datetime:
    """Until when a FHIR date or dateTime of a release counts; a bare date to the end of its day in ``zone``."""
    return _last(text, zone)


def _is_in_force(consent: dict[str, Any], now: datetime, zone: tzinfo) -> bool:
    provision = consent["provision"]
    if consent["status"] != "active" or provision["type"] != "permit" or not _PROVISION_KEYS.issuperset(provision):
        return False
    signed, start, end = _moments(consent, zone)
    is_short = (_first(provision["period"]["end"], zone) - min(signed, start)).days <= LONGEST_DAYS
    return is_short and signed <= now and start <= now <= end


def _moments(consent: dict[str, Any], zone: tzinfo) -> tuple[datetime, datetime, datetime]:
    period = consent["provision"]["period"]
    return _first(consent["dateTime"], zone), _first(period["start"], zone), _last(period["end"], zone)


def _first(text: str, zone: tzinfo) -> datetime:
    # A bare date begins with the earlier midnight, UTC's or the site's: what was signed "today" and accepted counts
    # at once, in the evening of an American clinic too.
    moment = dates.first_moment(text)
    return min(moment, moment.replace(tzinfo=zone)) if dates.is_date(text) else moment


def _last(text: str, zone: tzinfo) -> datetime:
    moment = dates.last_moment(text)
    return moment.replace(tzinfo=zone) if dates.is_date(text) else moment


def _names_recipient(consent: dict[str, Any], recipient: str) -> bool:
    """One release, one recipient: with two actors it names nobody."""
    (actor,) = consent["provision"]["actor"]
    roles = {coding["code"] for coding in actor["role"]["coding"]}
    return bool(recipient) and _RECIPIENT in roles and _bare(actor["reference"]["reference"]) == _bare(recipient)


def _names_purpose(consent: dict[str, Any], purpose: Purpose) -> bool:
    named = {coding["code"] for coding in consent["provision"]["purpose"] if coding["system"] == ACT_REASON}
    return bool(named & _WIDENED_BY.get(purpose, frozenset({purpose})))


def _names_labels(consent: dict[str, Any], labels: frozenset[Label], purpose: Purpose) -> bool:
    """Every sensitivity on the item is named, its level is under the ceiling, and its purpose tags do not conflict."""
    carried = _enforced(labels)
    named = [Label(coding["system"], coding["code"]) for coding in consent["provision"]["securityLabel"]]
    sensitivities = {label for label in carried if label.system == ACT_CODE and label.code in SENSITIVITIES}
    ceilings = [LEVELS.index(label.code) for label in named if label.system == CONFIDENTIALITY]
    levels = [LEVELS.index(label.code) for label in carried if label.system == CONFIDENTIALITY]
    tags = {label.code for label in carried if label.system == ACT_REASON} & set(Purpose)
    allowed = _WIDENED_BY.get(purpose, frozenset({purpose}))
    return (
        sensitivities <= set(named)
        and SDV in named
        and bool(ceilings)
        and max(levels) <= min(ceilings)
        and (not tags or bool(tags & allowed))
    )


@lru_cache(maxsize=256)
def _enforced(labels: frozenset[Label]) -> tuple[Label, ...]:
    security = [{"system": label.system, "code": label.code} for label in labels]
    return enforced_labels({"meta": {"security": security}})


def _names_item(consent: dict[str, Any], item_reference: str, belongs_to: Collection[str]) -> bool:
    """Listed in ``provision.data``, hanging on something listed, or the patient's alias or this release itself."""
    listed = {
        _bare(item["reference"]["reference"]) for item in consent["provision"]["data"] if item["meaning"] == "instance"
    }
    own = {_bare(consent["patient"]["reference"])} | ({f"Consent/{consent['id']}"} if consent.get("id") else set())
    wanted = _bare(item_reference)
    return bool(listed) and (wanted in listed | own or any(_bare(other) in listed for other in belongs_to))


def _bare(reference: str) -> str:
    """A reference without its version. An absolute one stays absolute: another server's id is another item."""
    return reference.split("/_history/")[0]


def _denies(
    consent: dict[str, Any],
    recipient: str,
    labels: frozenset[Label],
    item_reference: str,
    belongs_to: Collection[str],
    now: datetime,
    zone: tzinfo,
) -> bool:
    """An active "no". It names sensitivities or nothing; whatever it leaves out, it means for all."""
    provision = consent.get("provision")
    if consent.get("status") != "active" or not isinstance(provision, dict) or provision.get("type") != "deny":
        return False
    try:
        period = provision.get("period") or {}
        if "start" in period and now < _first(period["start"], zone):
            return False
        if "end" in period and now > _last(period["end"], zone):
            return False
        actors = {_bare(actor["reference"]["reference"]) for actor in provision.get("actor") or []}
        named = {Label(coding["system"], coding["code"]) for coding in provision.get("securityLabel") or []}
        items = {_bare(item["reference"]["reference"]) for item in provision.get("data") or []}
        wanted = {_bare(item_reference), *map(_bare, belongs_to)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return True
    return (
        (not actors or _bare(recipient) in actors)
        and (not named or bool(named & set(_enforced(labels))))
        and (not items or bool(items & wanted))
    )


def _once_covered(
    consent: dict[str, Any],
    recipient: str,
    item_reference: str,
    belongs_to: Collection[str],
    now: datetime,
    zone: tzinfo,
) -> bool:
    """A release for this recipient and item that was withdrawn or whose time is over."""
    try:
        is_over = consent["status"] != "active" or now > _moments(consent, zone)[2]
        is_ours = _names_recipient(consent, recipient) and _names_item(consent, item_reference, belongs_to)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return False
    return is_over and is_ours
