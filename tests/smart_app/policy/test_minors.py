"""Minors: no record and no send until a signed state table exists (R31)."""

from __future__ import annotations

from datetime import date

import pytest

from smart_app.policy.minors import is_minor

TODAY = date(2026, 10, 1)


@pytest.mark.rule("R31")
@pytest.mark.parametrize(
    ("birth_date", "expected"),
    [
        (date(2008, 10, 1), False),
        (date(2008, 10, 2), True),
        ("2008-10-01", False),
        ("2008-10-02", True),
        ("2008-09", False),
        ("2008-10", True),
        ("2007", False),
        ("2008", True),
        ("1954-03-09", False),
        ("2018-05-05", True),
        (None, True),
        ("", True),
        ("unknown", True),
        ("2008-13", True),
        ("2008-02-30", True),
        ("08-10-01", True),
        ("1990-1-1", True),
        ("1990-01-01T00:00:00Z", True),
        ("２００７", True),
    ],
)
def test_rule_R31_whoever_could_be_under_eighteen_is_a_minor(birth_date: date | str | None, expected: bool) -> None:
    """A child, a teenager, and anyone whose birth date does not show that they are grown up.

    Fails when a missing birth date counts as an adult.
    """
    assert is_minor(birth_date, TODAY) is expected


@pytest.mark.rule("R31")
def test_rule_R31_a_leap_day_birthday_comes_a_day_later() -> None:
    """Born on 29 February: grown up on 1 March where there is no such day.

    Fails when the 18th birthday is taken as 28 February.
    """
    assert is_minor("2008-02-29", date(2026, 2, 28))
    assert not is_minor("2008-02-29", date(2026, 3, 1))
    assert not is_minor("2008-02-29", date(2028, 2, 29))
