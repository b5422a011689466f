"""When what a program sent us ends: a table a privacy officer can check by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.retention import KINDS, Staging, Why, is_release_over, staging_end, staging_of

ZONE = ZoneInfo("America/Chicago")
CALENDAR = ClinicCalendar("America/Chicago")
BEGAN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # a Monday; Thursday the 26th is a holiday
US = "Organization/hc1"


def staging(**changes) -> Staging:
    facts = {
        "began_at": BEGAN,
        "booked_for": None,
        "asked_for": date(2026, 11, 24),
        "is_decided": False,
        "released_until": BEGAN + timedelta(days=90),
    }
    return Staging(**(facts | changes))


def local(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=ZONE).astimezone(UTC)


@pytest.mark.rule("R35")
def test_rule_R35_a_booked_request_ends_with_the_day_of_the_visit_at_the_clinic():
    """At midnight after the visit, on the clinic's clock. Break: combine the day with UTC in ``_midnight_after``."""
    end = staging_end(staging(booked_for=date(2026, 11, 25)), CALENDAR)
    assert (end.at, end.why) == (local(2026, 11, 26), Why.VISIT_DAY_OVER)


@pytest.mark.rule("R35")
def test_rule_R35_on_a_snow_day_the_partner_can_still_be_reached():
    """A clinic that closes on the day of the visit keeps the request to the end of the next open day.

    Break: in ``_last_day`` leave out ``is_open``.
    """
    snow = ClinicCalendar("America/Chicago", closed_on=frozenset({date(2026, 11, 25)}))
    end = staging_end(staging(booked_for=date(2026, 11, 25)), snow)
    assert end.at == local(2026, 11, 28)  # Thursday is a holiday: Friday's midnight


@pytest.mark.rule("R35")
def test_rule_R35_nothing_is_kept_longer_than_its_release_or_thirty_days():
    """Whatever is booked. Break: leave the thirty days, or the release, out of ``ends``."""
    far = date(2027, 1, 20)
    assert staging_end(staging(booked_for=far), CALENDAR).why is Why.THIRTY_DAYS
    assert staging_end(staging(booked_for=far), CALENDAR).at == BEGAN + timedelta(days=30)
    until = BEGAN + timedelta(days=3)
    end = staging_end(staging(booked_for=far, released_until=until), CALENDAR)
    assert (end.at, end.why) == (until, Why.RELEASE_OVER)


@pytest.mark.rule("R35")
def test_rule_R35_without_a_release_it_ends_at_once():
    """A release that was taken back leaves nothing to keep. Break: skip the release where it is None."""
    assert staging_end(staging(released_until=None), CALENDAR).at == BEGAN


def test_a_request_that_waits_stays_and_a_declined_one_can_still_be_read_for_a_week():
    """Somebody still has to decide; and a program that asks rarely reads the answer."""
    assert staging_end(staging(), CALENDAR).why is Why.THIRTY_DAYS
    assert staging_end(staging(is_decided=True), CALENDAR).at == local(2026, 12, 1)
    assert staging_end(staging(is_decided=True, asked_for=date(2026, 12, 9)), CALENDAR).at == local(2026, 12, 10)


def test_the_day_changes_with_the_clock_of_the_clinic():
    """On the day the clocks go back the day is an hour longer."""
    began = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
    end = staging_end(staging(began_at=began, booked_for=date(2026, 11, 2)), CALENDAR)
    assert end.at == datetime(2026, 11, 3, 6, 0, tzinfo=UTC)


def release(to: str = US, **changes) -> dict:
    provision = {"type": "permit", "period": {"end": "2026-12-01"}, "actor": [{"reference": {"reference": to}}]}
    return {"resourceType": "Consent", "status": "active", "provision": provision} | changes


def test_facts_are_read_from_the_resources_of_the_case():
    """The last booked day, the last day asked for, and the last release to this clinic that nobody took back."""
    visits = [
        {"resourceType": "Appointment", "status": "cancelled", "start": "2026-12-30T15:00:00Z"},
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": "2026-11-26T03:00:00Z",
            "requestedPeriod": [{"end": "2026-11-24T23:00:00Z"}],
        },
    ]
    others = [release("Organization/harbor"), release(status="inactive"), release(provision={}), release()]
    found = staging_of(BEGAN, [*visits, *others], is_open=False, ours=US, zone=ZONE)
    assert found == Staging(
        BEGAN, date(2026, 11, 25), date(2026, 11, 24), True, local(2026, 12, 2) - timedelta.resolution
    )
    assert staging_of(BEGAN, visits, is_open=True, ours=US, zone=ZONE).released_until is None


def test_a_release_is_over_when_none_to_that_program_is_in_force():
    """One that still counts is enough; one to somebody else is none."""
    during, after = local(2026, 12, 1, 12), local(2026, 12, 2)
    assert not is_release_over([release(), release(status="inactive")], US, during, ZONE)
    assert is_release_over([release()], US, after, ZONE)
    assert is_release_over([release("Organization/harbor")], US, during, ZONE)
    assert is_release_over([], US, during, ZONE)


def test_each_kind_of_record_says_how_long_and_why():
    """No line of the table is empty, and no kind stands there twice."""
    assert len({kind.id for kind in KINDS}) == len(KINDS) >= 8
    assert all(all(vars(kind).values()) for kind in KINDS)
    assert {kind.mark for kind in KINDS} <= {"own", "counsel"}
