"""Is what a program posted a release that is in force here and now: who gives what to whom, until when (R10, R16).

For the release inside an inbound referral and for one posted alone. The Consent has passed ``validate``, which knows no
clock and not who we are. The answer depends on the Consent, the clock and our own name, never on what is stored.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from fhir_profiles import dates, release_consent
from fhir_profiles.security_labels import labels_for
from smart_app.policy import consent as consents
from smart_app.policy.access import Purpose
from smart_app.policy.task_states import Tier

Payload = dict[str, Any]


def problems(
    consent: Payload,
    *,
    discloser: str,
    recipient: str,
    items: Collection[str],
    now: datetime,
) -> list[str]:
    """FHIRPath expressions of what keeps ``consent`` from being a release from ``discloser`` to ``recipient``
    ("Organization/<id>") that is in force now and names all of ``items``, in a fixed order. Empty: it is one.
    """
    period = consent["provision"]["period"]
    found = [
        expression
        for expression, holds in (
            ("Consent.status", consent["status"] == "active"),
            ("Consent.dateTime", dates.first_moment(consent["dateTime"]) <= now),
            ("Consent.organization[0]", release_consent.discloser_of(consent) == discloser),
            (
                "Consent.provision.period",
                dates.first_moment(period["start"]) <= now <= dates.last_moment(period["end"]),
            ),
            ("Consent.provision.actor[0].reference", release_consent.recipient_of(consent) == recipient),
            ("Consent.provision.data", set(items) <= set(release_consent.items_of(consent))),
        )
        if not holds
    ]
    if not found and not all(is_in_force(consent, recipient=recipient, item=item, now=now) for item in items):
        return ["Consent.provision"]
    return found


def is_in_force(consent: Payload, *, recipient: str, item: str, now: datetime) -> bool:
    """Does this release open ``item`` ("Task/<id>") to ``recipient`` now, for coordination of care?"""
    return consents.covers(
        consent,
        recipient=recipient,
        purpose=Purpose.COC,
        item_reference=item,
        labels=labels_for("referral-task"),
        now=now,
    )


def tier_in_force(releases: Collection[Payload], *, discloser: str, recipient: str, item: str, now: datetime) -> Tier:
    """The highest tier of those ``releases`` by which ``discloser`` may tell ``recipient`` about ``item`` now."""
    found = [
        Tier(release_consent.tier_of(release))
        for release in releases
        if release_consent.discloser_of(release) == discloser
        and is_in_force(release, recipient=recipient, item=item, now=now)
    ]
    return max(found, key=list(Tier).index, default=Tier.NONE)


def recipients_of(consent: Payload) -> list[str]:
    """To whom any Consent, checked or not, releases: "Organization/<id>", all of them, in order."""
    provision = consent.get("provision")
    actors = provision.get("actor") if isinstance(provision, dict) else None
    found = [actor.get("reference") for actor in actors if isinstance(actor, dict)] if isinstance(actors, list) else []
    return [str(reference.get("reference")) for reference in found if isinstance(reference, dict)]
