"""The release: one direction, one recipient, named items, at most 90 days, signed by the survivor (R10)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhir_profiles import release_consent as profile
from fhir_profiles.release_consent import release_consent
from fhir_profiles.release_tier import TIERS
from fhir_profiles.security_labels import labels_for
from fhir_profiles.terminology import ACT_CODE
from fhir_profiles.validation import validate

Payload = dict[str, Any]
SIGNED = date(2026, 10, 1)
PROFILE = "release-consent"


def release(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "id": None,
        "patient_reference": "Patient/p1",
        "from_organization": "Organization/harbor",
        "to_organization": "Organization/hc1",
        "item_references": ["Task/t1"],
        "signed_on": SIGNED,
        "starts_on": SIGNED,
        "ends_on": SIGNED + timedelta(days=30),
        "signer": "self",
        "source_identifier": "roi-7",
        "policy_uri": "https://dsv.example/policy",
    }
    return release_consent(**{**given, **changes})


def where(payload: Payload) -> list[str]:
    return [issue.expression for issue in validate(payload, PROFILE)]


@pytest.mark.rule("R10")
@pytest.mark.parametrize(("days", "is_allowed"), [(0, True), (30, True), (90, True), (91, False), (-1, False)])
def test_rule_R10_a_release_lasts_ninety_days_at_most(days: int, is_allowed: bool) -> None:
    """Ninety days pass, ninety-one do not, here and in what a program sends.

    Fails when ``LONGEST_DAYS`` is 91.
    """
    ends_on = SIGNED + timedelta(days=days)
    if is_allowed:
        assert validate(release(ends_on=ends_on), PROFILE) == []
        return
    with pytest.raises(ValueError, match="90 days"):
        release(ends_on=ends_on)
    sent = release()
    sent["provision"]["period"]["end"] = ends_on.isoformat()
    assert "Consent.provision.period" in where(sent)


@pytest.mark.rule("R10")
def test_rule_R10_the_ninety_days_count_from_the_signature_when_it_starts_later() -> None:
    """A form signed long ago cannot be put to use by a late start.

    Fails when ``rules`` measures from the start of the period alone.
    """
    sent = release()
    sent["dateTime"] = "2026-07-15"
    sent["provision"]["period"]["end"] = "2026-10-20"
    assert where(sent) == ["Consent.provision.period"]


@pytest.mark.rule("R10")
def test_rule_R10_a_release_has_exactly_one_recipient() -> None:
    """A release for two organizations, or for none, is refused.

    Fails when ``actor`` may hold two items.
    """
    sent = release()
    actors = sent["provision"]["actor"]
    actors.append(deepcopy(actors[0]))
    actors[1]["reference"]["reference"] = "Organization/northside"
    assert where(sent) == ["Consent.provision.actor"]
    sent["provision"]["actor"] = []
    assert where(sent) == ["Consent.provision.actor"]


def test_a_release_is_never_mutual() -> None:
    """Giver and receiver are two organizations."""
    with pytest.raises(ValueError, match="two organizations"):
        release(to_organization="Organization/harbor")
    sent = release()
    sent["organization"][0]["reference"] = "Organization/hc1"
    assert where(sent) == ["Consent.provision.actor[0].reference"]


@pytest.mark.parametrize("which", ["signed_on", "starts_on", "ends_on"])
def test_a_release_is_dated_in_whole_days(which: str) -> None:
    """A time of day would be read in two zones as two days."""
    with pytest.raises(ValueError, match="whole days"):
        release(**{which: datetime(2026, 10, 1, 9, tzinfo=UTC)})


@pytest.mark.parametrize("signer", ["abuser", "spouse", "", "representative"])
def test_only_the_survivor_or_a_representative_who_is_not_the_abuser_signs(signer: str) -> None:
    """Nobody else can sign (28 CFR 94.115)."""
    with pytest.raises(ValueError, match="signer"):
        release(signer=signer)
    sent = release(signer="representative-not-abuser")
    assert validate(sent, PROFILE) == []
    sent["extension"][0]["valueCode"] = signer
    assert where(sent) == ["Consent.extension[0].value"]


@pytest.mark.parametrize("tier", [None, *TIERS])
def test_the_tier_says_what_may_come_back_and_silence_means_nothing(tier: str | None) -> None:
    """What a program may tell is named in the release; a release that does not say opens nothing back."""
    sent = release(tier=tier)
    assert validate(sent, PROFILE) == []
    assert profile.tier_of(sent) == (tier or "none")


def test_a_tier_outside_the_list_is_refused() -> None:
    """A tier we do not know opens nothing."""
    with pytest.raises(ValueError, match="tier"):
        release(tier="all")
    sent = release(tier="outcome")
    sent["provision"]["extension"][0]["valueCode"] = "all"
    assert where(sent) == ["Consent.provision.extension[0].value"]
    assert profile.tier_of(sent) == "none"


def test_a_release_names_its_items_each_once() -> None:
    """Without items there is no release, and no item is named twice."""
    with pytest.raises(ValueError, match="items"):
        release(item_references=[])
    sent = release()
    sent["provision"]["data"] *= 2
    assert where(sent) == ["Consent.provision.data"]


def test_a_program_may_name_our_task_by_its_full_address() -> None:
    """The item may be written as the address the program got from us; another kind of item may not."""
    sent = release()
    item = sent["provision"]["data"][0]["reference"]
    item["reference"] = "http://127.0.0.1:8000/fhir/Task/00000000-0000-4000-8000-0000000000a3"
    assert validate(sent, PROFILE) == []
    item["reference"] = "http://127.0.0.1:8000/fhir/Patient/1"
    assert where(sent) == ["Consent.provision.data[0].reference.reference"]


def test_a_urn_leads_nowhere_outside_a_bundle() -> None:
    """A release posted alone names things by their address, not by a number inside some bundle."""
    sent = release(patient_reference="urn:uuid:00000000-0000-4000-8000-000000000001")
    assert set(where(sent)) == {"Consent.patient.reference", "Consent.performer[0].reference"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("provision", "type"), "deny"),
        (("provision", "purpose", 0, "code"), "HMARKT"),
        (
            ("provision", "securityLabel"),
            [{"system": ACT_CODE, "code": "SDV"}],
        ),
        (("provision", "securityLabel", 1, "code"), "HIV"),
        (("provision", "actor", 0, "role", "coding", 0, "code"), "INF"),
        (("scope", "coding", 0, "code"), "research"),
        (("category", 0, "coding", 0, "code"), "INFA"),
        (("status",), "draft"),
        (("performer", 0, "reference"), "Patient/somebody-else"),
        (("dateTime",), "2026-12-01"),
        (("dateTime",), "2026-10"),
        (("dateTime",), "2026-02-30"),
        (("dateTime",), "2026-10-01T09:00:00"),
        (("dateTime",), "1066-10-14"),
        (("sourceReference", "type"), "Binary"),
    ],
)
def test_a_release_that_says_something_else_is_refused(path: tuple[Any, ...], value: Any) -> None:
    """Another purpose, another scope, another signer's patient, a date that does not exist: refused."""
    sent = release()
    target: Any = sent
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert where(sent)


def test_an_exception_inside_a_release_is_refused(part: Callable[[str], Payload]) -> None:
    """A release with a nested exception says something this code does not read, so it is refused."""
    sent = part("Consent")
    sent["provision"]["provision"] = [{"type": "deny"}]
    assert where(sent) == ["Consent.provision"]


def test_what_a_release_says_can_be_read() -> None:
    """Giver, receiver and items are read from one place."""
    sent = release()
    assert profile.discloser_of(sent) == "Organization/harbor"
    assert profile.recipient_of(sent) == "Organization/hc1"
    assert profile.items_of(sent) == ("Task/t1",)
