"""Is what a program posted a release that is in force for us now?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhir_profiles.release_consent import release_consent
from fhir_profiles.security_labels import labels_for
from smart_app.policy import attestation
from smart_app.policy.task_states import Tier

OURS, HARBOR, TASK = "Organization/hc1", "Organization/harbor", "Task/t1"
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def _release(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "labels": labels_for("release-consent"),
        "id": "c1",
        "patient_reference": "Patient/p1",
        "from_organization": HARBOR,
        "to_organization": OURS,
        "item_references": [TASK],
        "signed_on": NOW.date(),
        "starts_on": NOW.date(),
        "ends_on": date(2026, 12, 1),
        "signer": "self",
        "source_identifier": "roi-1",
        "policy_uri": "https://harbor.example/release",
    }
    return release_consent(**{**made, **changes})


def _problems(consent: dict[str, Any], now: datetime = NOW) -> list[str]:
    return attestation.problems(consent, discloser=HARBOR, recipient=OURS, items=[TASK], now=now)


def test_a_release_in_force_has_no_problem() -> None:
    """Signed today by the survivor, from this program to us, for this Task."""
    assert _problems(_release()) == []


def _withdrawn(consent: dict[str, Any]) -> None:
    consent["status"] = "inactive"


def _treatment_only(consent: dict[str, Any]) -> None:
    consent["provision"]["purpose"] = [{"system": "http://example.org", "code": "COC"}]


def _no_sensitivity(consent: dict[str, Any]) -> None:
    consent["provision"]["securityLabel"].pop()


def _another_discloser(consent: dict[str, Any]) -> None:
    consent["organization"][0]["reference"] = "Organization/northside"


def _another_recipient(consent: dict[str, Any]) -> None:
    consent["provision"]["actor"][0]["reference"]["reference"] = "Organization/hc2"


def _another_item(consent: dict[str, Any]) -> None:
    consent["provision"]["data"][0]["reference"]["reference"] = "Task/other"


@pytest.mark.rule("R16")
@pytest.mark.parametrize(
    ("change", "expression"),
    [
        (_withdrawn, "Consent.status"),
        (_another_discloser, "Consent.organization[0]"),
        (_another_recipient, "Consent.provision.actor[0].reference"),
        (_another_item, "Consent.provision.data"),
        (_treatment_only, "Consent.provision"),
        (_no_sensitivity, "Consent.provision"),
    ],
)
def test_rule_R16_each_missing_part_is_named(change: Callable[[dict[str, Any]], None], expression: str) -> None:
    """The first thing that keeps it from being a release is named by its place. Break: leave one line out of
    ``problems``."""
    consent = _release()
    change(consent)
    assert _problems(consent) == [expression]


@pytest.mark.rule("R16")
def test_rule_R16_a_release_is_dated_on_both_sides() -> None:
    """Not before it was signed, not before it begins, not after its last day. Break: answer [] without the clock."""
    consent = _release(starts_on=date(2026, 11, 25), ends_on=date(2026, 11, 26))
    found = {days: _problems(consent, NOW + timedelta(days=days)) for days in (-2, 0, 1, 2, 3)}
    assert found[-2] == ["Consent.dateTime", "Consent.provision.period"]
    assert found[0] == found[3] == ["Consent.provision.period"]
    assert found[1] == found[2] == []


@pytest.mark.rule("R20")
def test_rule_R20_the_tier_is_that_of_a_release_of_the_right_side() -> None:
    """The widest release in force counts; one of the other side, withdrawn, or for another item counts nothing.
    Break: drop the discloser from ``tier_in_force``."""
    ours = _release(from_organization=OURS, to_organization=HARBOR, tier="outcome")
    old = {**_release(tier="outcome"), "status": "inactive"}
    foreign = _release(tier="outcome", item_references=["Task/t2"])
    of_another = _release(tier="outcome", from_organization="Organization/northside")

    def tier(*releases: dict[str, Any]) -> Tier:
        return attestation.tier_in_force(releases, discloser=HARBOR, recipient=OURS, item=TASK, now=NOW)

    assert tier() is Tier.NONE
    assert tier(ours, old, foreign, of_another) is Tier.NONE
    assert tier(_release()) is Tier.NONE
    assert tier(_release(tier="contact"), _release(tier="appointment"), ours) is Tier.APPOINTMENT
