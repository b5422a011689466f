"""The judge: who is tied to a case depends on the chart that is open, too."""

from __future__ import annotations

import pytest

from smart_app.errors import NothingToShowError
from smart_app.gateways.cipher import CaseKey
from smart_app.policy.access import Purpose
from smart_app.ports import CaseKind


@pytest.mark.rule("attack 10")
@pytest.mark.parametrize("encounter_id", ["enc-1", None])
def test_attack_10_the_author_sees_a_patients_referral_from_that_patients_chart_only(world, encounter_id):
    """A nurse who sent a referral for one patient cannot open it from another patient's chart, where it would stand
    under the wrong name. Fails when ``is_author`` in ``judge._facts_about`` forgets ``is_of_another_chart``."""
    ids = world.refer()
    _, observation = world.disclose()
    elsewhere = world.clinician(patient_id="p-somebody-else", encounter_id=encounter_id)
    with world.door.open_for(elsewhere, world.now) as work:
        assert work.in_case(ids.case_id, "Task") == []
        assert work.find_cases(CaseKind.REFERRAL) == []
        assert work.outbox.state_of(ids.case_id) is None
    for reference in (ids.task, ids.consent, observation):
        with pytest.raises(NothingToShowError), world.door.open_for(elsewhere, world.now) as work:
            work.read(reference)
    with pytest.raises(NothingToShowError), world.door.open_for(elsewhere, world.now) as work:
        work.amend(ids.task, lambda task: task)


def test_the_author_needs_no_visit_to_see_the_own_referral(world):
    """Days later, without a visit in the chart, the nurse who sent it still sees how it stands."""
    ids = world.refer()
    with world.door.open_for(world.clinician(encounter_id=None), world.now) as work:
        assert work.read(ids.task).payload["status"] == "requested"


@pytest.mark.rule("R18")
def test_rule_R18_who_is_denied_costs_no_more_than_what_is_not_there(world, monkeypatch):
    """For somebody who is not on the referral nothing of it is opened, not even its releases: a clock tells them
    nothing. Fails when ``judge._by_tie`` asks for the releases although no release could open anything."""
    ids = world.refer()
    opened = []
    shut = CaseKey.open
    monkeypatch.setattr(CaseKey, "open", lambda key, *args, **more: opened.append(more) or shut(key, *args, **more))
    others = {who: asks for who, asks in world.others().items() if asks.purpose is not Purpose.BTG}
    for who, asks in others.items():
        with pytest.raises(NothingToShowError), world.door.open_for(asks, world.now) as work:
            work.read(ids.task)
        assert opened == [], who
        with world.door.open_for(asks, world.now) as work:
            assert work.in_case(ids.case_id, "Task") == []
        assert opened == [], who
    with world.door.open_for(world.program(), world.now) as work:
        work.read(ids.task)
    assert opened != []
