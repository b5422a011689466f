"""What comes before the table beats the table, for every single input of it."""

from __future__ import annotations

from itertools import product

import pytest

from smart_app.policy import access, people
from smart_app.policy.access import ConsentState, Decision, LabelClass, Link, Origin, Purpose, Result, Role

TABLE = (Role, Purpose, LabelClass, ConsentState, Link, Origin)
NAMES = ("role", "purpose", "label", "consent", "link", "origin")


@pytest.mark.rule("R22")
@pytest.mark.rule("R24")
def test_rule_R22_exclusion_then_contact_then_the_table_for_every_input() -> None:
    """Whoever the patient left out is denied whatever else is true, then whoever matches a contact, and for anybody
    else the table's own answer stands: 165,888 inputs, each looked at.

    Break: in people.answer, ask the table first, or swap the two.
    """
    seen = 0
    for values in product(*TABLE):
        ask = dict(zip(NAMES, values, strict=True))
        table = access.decide(**ask)
        for is_excluded, is_contact in product((False, True), repeat=2):
            made = people.answer(is_excluded=is_excluded, is_contact=is_contact, **ask)
            wanted = table
            if is_excluded or is_contact:
                wanted = Decision(Result.DENY, "R22" if is_excluded else "R24")
            assert made == wanted
            seen += 1
    assert seen == 4 * 41_472
