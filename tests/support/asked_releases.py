"""One question about a release, asked with changes: does it cover, and what do all of them say together?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fhir_profiles.security_labels import labels_for
from smart_app.policy import consent
from smart_app.policy.access import ConsentState, Purpose

Payload = dict[str, Any]
NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "recipient": "Organization/harbor",
    "purpose": Purpose.COC,
    "item_reference": "Task/t1",
    "labels": labels_for("referral-task"),
    "now": NOW,
}


def covers(release: Payload, **changes: Any) -> bool:
    return consent.covers(release, **{**ASKED, **changes})


def state(*releases: Payload, **changes: Any) -> ConsentState:
    return consent.standing(releases, **{**ASKED, **changes})[0]


def no(**provision: Any) -> Payload:
    """A patient's no."""
    return {"resourceType": "Consent", "status": "active", "provision": {"type": "deny", **provision}}
