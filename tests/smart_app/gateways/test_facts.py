"""Counts that hold nobody."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import inspect


@pytest.mark.rule("R33")
def test_rule_R33_a_fact_is_a_number_per_site_month_and_word(world):
    """What is counted is how often, never who."""
    for _ in range(3):
        with world.door.open_for(world.clinician(), world.now) as work:
            work.facts.count("referral", "offered")
    assert world.count("fact") == 1
    assert world.count("fact", "site_id = 'main' AND month = '2026-11' AND total = 3") == 1
    columns = {column["name"] for column in inspect(world.engine).get_columns("fact")}
    assert columns == {"tenant_id", "site_id", "month", "kind", "outcome", "total"}


@pytest.mark.rule("R33")
@pytest.mark.parametrize(
    "word", [str(uuid.UUID(int=2**127 - 1)), "Practitioner/dr-lee", "Rosa", "555-0142", "", "a" * 40]
)
def test_rule_R33_an_id_or_a_name_cannot_be_counted(world, word):
    """Not even by mistake does a person get into the counts. Break: drop the check in UnitFacts.count."""
    for arguments in (("referral", word), (word, "offered")):
        with (
            pytest.raises(ValueError, match="never by an id"),
            world.door.open_for(world.clinician(), world.now) as work,
        ):
            work.facts.count(*arguments)
    assert world.count("fact") == 0
