"""Is this release in force for this recipient, purpose, item and moment? (R9, R10)"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asked_releases import NOW, Payload, covers, no, state

from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from smart_app.policy import consent
from smart_app.policy.access import ConsentState, Purpose


def test_a_whole_release_covers_its_items_the_name_to_use_and_itself(release: Payload) -> None:
    """Request, task, alias and the release itself go out under it; another task does not."""
    for item, profile in (
        ("Task/t1", "referral-task"),
        ("ServiceRequest/s1", "referral-service-request"),
        ("Patient/p1", "referral-patient"),
        ("Consent/c1", "release-consent"),
    ):
        assert covers(release, item_reference=item, labels=labels_for(profile))
    for item in ("Task/t2", "Observation/t1", "Patient/p2", "Consent/c2", ""):
        assert not covers(release, item_reference=item)


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    "path",
    [
        ("status",),
        ("dateTime",),
        ("patient",),
        ("provision",),
        ("provision", "type"),
        ("provision", "period"),
        ("provision", "period", "start"),
        ("provision", "period", "end"),
        ("provision", "actor"),
        ("provision", "actor", 0, "role"),
        ("provision", "actor", 0, "reference"),
        ("provision", "securityLabel"),
        ("provision", "purpose"),
        ("provision", "data"),
        ("resourceType",),
    ],
)
def test_rule_R09_a_release_without_any_one_of_its_parts_covers_nothing(
    release: Payload, path: tuple[Any, ...]
) -> None:
    """Take away who, what, to whom, for what or how long: nothing may leave, and nothing breaks.

    Fails when ``covers`` answers True on an error, or skips one of its checks.
    """
    assert covers(release)
    target: Any = release
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    assert not covers(release)


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "inactive"),
        (("status",), "entered-in-error"),
        (("status",), "draft"),
        (("status",), "Active"),
        (("provision", "type"), "deny"),
        (("provision", "actor", 0, "reference", "reference"), "Organization/northside"),
        (("provision", "actor", 0, "reference", "reference"), "Organization/harbor2"),
        (("provision", "actor", 0, "role", "coding", 0, "code"), "INF"),
        (("provision", "purpose", 0, "code"), "HMARKT"),
        (("provision", "purpose", 0, "system"), "http://terminology.hl7.org/CodeSystem/v3-PurposeOfUse"),
        (("provision", "securityLabel", 1, "code"), "VIO"),
        (("provision", "securityLabel", 0, "code"), "R"),
        (("provision", "data", 1, "reference", "reference"), "Task/t2"),
        (("provision", "data", 1, "reference", "reference"), "https://elsewhere.example/fhir/Task/t1"),
        (("provision", "data", 1, "meaning"), "related"),
        (("provision", "period", "start"), "2026-10-16"),
        (("provision", "period", "end"), "2026-10-14"),
        (("provision", "period", "end"), "soon"),
        (("dateTime",), "2026-10-16"),
    ],
)
def test_rule_R09_a_release_that_says_otherwise_covers_nothing(
    release: Payload, path: tuple[Any, ...], value: Any
) -> None:
    """Withdrawn, for another program, another purpose, another item, or not now: nothing may leave.

    Fails when the comparison of that part is removed from ``covers``.
    """
    target: Any = release
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert not covers(release)


@pytest.mark.rule("R10")
def test_rule_R10_two_recipients_or_more_than_ninety_days_cover_nothing(release: Payload) -> None:
    """A release that was stored with two recipients, or for 91 days, still opens nothing.

    Fails when ``_names_recipient`` takes the first of several, or ``_is_in_force`` forgets the cap.
    """
    two = deepcopy(release)
    two["provision"]["actor"] *= 2
    assert not covers(two)
    long = deepcopy(release)
    long["provision"]["period"]["end"] = "2026-12-30"
    assert covers(long)
    long["provision"]["period"]["end"] = "2026-12-31"
    assert not covers(long)


def test_a_release_holds_from_its_first_to_the_end_of_its_last_day(release: Payload) -> None:
    """The last day counts to its end, in the zone in which the days are meant."""
    assert covers(release, now=datetime(2026, 10, 1, 0, 0, tzinfo=UTC))
    assert not covers(release, now=datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC))
    assert covers(release, now=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    assert not covers(release, now=datetime(2026, 11, 1, 0, 0, tzinfo=UTC))
    evening = datetime(2026, 11, 1, 3, 59, tzinfo=UTC)  # still 31 October in New York
    assert covers(release, now=evening, zone=ZoneInfo("America/New_York"))
    assert not covers(release, now=evening)
    assert not covers(release, now=evening + timedelta(minutes=1), zone=ZoneInfo("America/New_York"))


def test_a_time_with_zone_is_an_instant(release: Payload) -> None:
    """A release that ends at nine ends at nine."""
    release["provision"]["period"]["end"] = "2026-10-15T09:00:00-04:00"
    assert covers(release, now=datetime(2026, 10, 15, 13, 0, tzinfo=UTC))
    assert not covers(release, now=datetime(2026, 10, 15, 13, 0, 1, tzinfo=UTC))


def test_every_sensitivity_and_the_level_must_be_named(release: Payload) -> None:
    """An item that is also about sexual violence needs a release that names it; unknown labels count as V and SDV."""
    more = (*labels_for("referral-task"), Label(ACT_CODE, "SEX"))
    assert not covers(release, labels=more)
    release["provision"]["securityLabel"].append({"system": ACT_CODE, "code": "SEX"})
    assert covers(release, labels=more)
    assert covers(release, labels=())
    assert covers(release, labels=(Label("https://labels.example", "own"),))
    release["provision"]["securityLabel"][0] = {"system": CONFIDENTIALITY, "code": "R"}
    assert not covers(release, labels=())
    assert covers(release, labels=labels_for("referral-task", confidentiality="R"))


def test_purposes_match_exactly_but_for_treatment_and_coordination(release: Payload) -> None:
    """A release for treatment also opens coordination; nothing else widens, and an item's own tag must not conflict."""
    for purpose in Purpose:
        assert covers(release, purpose=purpose) is (purpose is Purpose.COC)
    release["provision"]["purpose"] = [{"system": ACT_REASON, "code": "TREAT"}]
    assert covers(release, purpose=Purpose.COC)
    disclosure = labels_for("disclosure-observation")  # tagged for treatment
    assert covers(release, purpose=Purpose.TREAT, labels=disclosure)
    assert not covers(release, purpose=Purpose.TREAT)  # the task is tagged for coordination only


def test_what_hangs_on_a_released_item_is_released_with_it(release: Payload) -> None:
    """The visit of a released request goes with it; a visit of another request does not."""
    visit = {"item_reference": "Appointment/a1", "labels": labels_for("proposed-appointment")}
    assert not covers(release, **visit)
    assert covers(release, **visit, belongs_to=["ServiceRequest/s1"])
    assert not covers(release, **visit, belongs_to=["ServiceRequest/s2"])


def test_a_version_of_a_released_item_is_the_item(release: Payload) -> None:
    """A release names the item, whichever version it has today."""
    assert covers(release, item_reference="Task/t1/_history/3")


def test_something_we_do_not_read_inside_a_release_makes_it_cover_nothing(release: Payload) -> None:
    """A nested exception or a data period is not ignored."""
    for key in ("provision", "dataPeriod", "action", "class", "code"):
        assert not covers({**release, "provision": {**release["provision"], key: []}})


@pytest.mark.parametrize("nonsense", [{}, {"resourceType": "Consent"}, {"resourceType": "Consent", "provision": 7}])
def test_nonsense_covers_nothing_and_raises_nothing(nonsense: Payload) -> None:
    """A broken row is a closed door, not an error page."""
    assert not covers(nonsense)
    assert state(nonsense) is ConsentState.NONE


def test_the_four_states(release: Payload) -> None:
    """In force, none, withdrawn or expired, and the patient's own no."""
    withdrawn = consent.withdrawn(release)
    assert withdrawn["status"] == "inactive"
    assert release["status"] == "active"
    assert state() is ConsentState.NONE
    assert state(release) is ConsentState.COVERS
    assert state(withdrawn) is ConsentState.LAPSED
    assert state(release, now=NOW + timedelta(days=60)) is ConsentState.LAPSED
    assert state(release, now=NOW - timedelta(days=60)) is ConsentState.NONE
    assert state(withdrawn, release) is ConsentState.COVERS
    assert state(release, recipient="Organization/northside") is ConsentState.NONE
    assert state(release, item_reference="Task/t2") is ConsentState.NONE


def test_a_no_in_force_beats_every_yes(release: Payload) -> None:
    """Whichever was said later, the no counts, until it is taken back or its time is over."""
    refusal = no()
    assert state(release, refusal) is ConsentState.DENY
    assert state(refusal, release) is ConsentState.DENY
    assert state(release, {**refusal, "status": "inactive"}) is ConsentState.COVERS
    assert state(release, no(period={"end": "2026-10-14"})) is ConsentState.COVERS
    assert state(release, no(period={"start": "2026-10-16"})) is ConsentState.COVERS
    assert state(release, no(period={"start": "2026-10-01", "end": "2026-10-15"})) is ConsentState.DENY
    assert state(release, no(period={"start": "whenever"})) is ConsentState.DENY


@pytest.mark.parametrize(
    ("provision", "is_meant"),
    [
        ({"actor": [{"reference": {"reference": "Organization/harbor"}}]}, True),
        ({"actor": [{"reference": {"reference": "Organization/northside"}}]}, False),
        ({"securityLabel": [{"system": ACT_CODE, "code": "SDV"}]}, True),
        ({"securityLabel": [{"system": ACT_CODE, "code": "ETH"}]}, False),
        ({"data": [{"reference": {"reference": "Task/t1"}}]}, True),
        ({"data": [{"reference": {"reference": "Task/t2"}}]}, False),
        ({"actor": [{"reference": None}]}, True),
    ],
)
def test_a_no_means_whom_and_what_it_names_and_all_when_it_names_nothing(
    release: Payload, provision: Payload, is_meant: bool
) -> None:
    """A no for another program or another item leaves this one alone; one that cannot be read counts."""
    assert (state(release, no(**provision)) is ConsentState.DENY) is is_meant
