"""Is what a program posted a release that is in force here and now: who gives what to whom, until when (R10, R16).

For the release inside an inbound referral and for one posted alone. The Consent has passed ``validate``, which knows no
clock and not who we are. The answer depends on the Consent, the clock and our own name, never on what is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from fhir_profiles import release_consent
from fhir_profiles.security_labels import labels_for
from smart_app.policy import consent as consents
from smart_app.policy.access import Purpose
from smart_app.policy.task_states import Tier

Payload = dict[str, Any]

# What a program is told at each place. It depends on what the program sent, the clock and our own name.
WORDS: Mapping[str, str] = {
    "Consent.status": "A release that is in force is active.",
    "Consent.dateTime": "The release is signed at a time that has come.",
    "Consent.organization[0]": "The release is given by the organization that discloses.",
    "Consent.provision.period": "The release is in force now: its period has begun and has not ended.",
    "Consent.provision.actor[0].reference": "The release names the organization that receives.",
    "Consent.provision.data": "The release names what it is for.",
    "Consent.provision": "The release opens these items for coordination of care (purpose COC), SDV included.",
}


def problems(
    consent: Payload,
    *,
    discloser: str,
    recipient: str,
    items: Collection[str],
    now: datetime,
    zone: tzinfo = UTC,
) -> list[str]:
    """FHIRPath expressions of what keeps ``consent`` from being a release from ``discloser`` to ``recipient``
    ("Organization/<id>") that is in force now and names all of ``items``, in a fixed order. Empty: it is one.
    ``zone`` is where a bare date is read.
    """
    period = consent["provision"]["period"]
    found = [
        expression
        for expression, holds in (
            ("Consent.status", consent["status"] == "active"),
            ("Consent.dateTime", consents.begins_at(consent["dateTime"], zone) <= now),
            ("Consent.organization[0]", release_consent.discloser_of(consent) == discloser),
            (
                "Consent.provision.period",
                consents.begins_at(period["start"], zone) <= now <= consents.ends_at(period["end"], zone),
            ),
            ("Consent.provision.actor[0].reference", release_consent.recipient_of(consent) == recipient),
            ("Consent.provision.data", set(items) <= set(release_consent.items_of(consent))),
        )
        if not holds
    ]
    if not found and not all(
        is_in_force(consent, recipient=recipient, item=item, now=now, zone=zone) for item in items
    ):
        return ["Consent.provision"]
    return found


def is_in_force(consent: Payload, *, recipient: str, item: str, now: datetime, zone: tzinfo = UTC) -> bool:
    """Does this release open ``item`` ("Task/<id>") to ``recipient`` now, for coordination of care?"""
    return consents.covers(
        consent,
        recipient=recipient,
        purpose=Purpose.COC,
        item_reference=item,
        labels=labels_for("referral-task"),
        now=now,
        zone=zone,
    )


def tier_in_force(
    releases: Collection[Payload], *, discloser: str, recipient: str, item: str, now: datetime, zone: tzinfo = UTC
) -> Tier:
    """The highest tier of those ``releases`` by which ``discloser`` may tell ``recipient`` about ``item`` now."""
    found = [
        Tier(release_consent.tier_of(release))
        for release in releases
        if release_consent.discloser_of(release) == discloser
        and is_in_force(release, recipient=recipient, item=item, now=now, zone=zone)
    ]
    return max(found, key=list(Tier).index, default=Tier.NONE)
