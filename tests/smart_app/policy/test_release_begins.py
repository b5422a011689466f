"""The day a release is signed is one day for everybody: what was accepted is in force at once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fhir_profiles.release_consent import release_consent
from fhir_profiles.security_labels import labels_for
from smart_app.policy import consent
from smart_app.policy.access import Purpose

EVENING = datetime(2026, 11, 24, 4, 49, tzinfo=UTC)  # 22:49 the day before in Chicago


def covers(signed_on: date, ends_on: date, now: datetime, zone: str) -> bool:
    labels = labels_for("referral-task")
    release = release_consent(
        labels=labels_for("release-consent"),
        id="c1",
        patient_reference="Patient/p1",
        from_organization="Organization/harbor",
        to_organization="Organization/hc1",
        item_references=["ServiceRequest/s1", "Task/t1"],
        signed_on=signed_on,
        starts_on=signed_on,
        ends_on=ends_on,
        signer="self",
        source_identifier="r1",
        policy_uri="https://warm-referral.example/fhir/policy/release-in",
    )
    return consent.covers(
        release,
        recipient="Organization/hc1",
        purpose=Purpose.COC,
        item_reference="Task/t1",
        labels=labels,
        now=now,
        zone=ZoneInfo(zone),
    )


@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Honolulu", "UTC", "Pacific/Guam"])
def test_a_release_signed_today_in_utc_counts_this_evening(zone: str) -> None:
    """A program posts in the evening, when UTC is already tomorrow: the scheduler sees it at once."""
    assert covers(date(2026, 11, 24), date(2026, 12, 8), EVENING, zone)


def test_a_release_signed_tomorrow_everywhere_does_not_count_yet() -> None:
    """Nothing is shared before the day that the survivor signed for has begun anywhere."""
    assert not covers(date(2026, 11, 25), date(2026, 12, 8), EVENING, "America/Chicago")
