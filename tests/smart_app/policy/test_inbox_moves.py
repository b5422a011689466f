"""The buttons of an item are exactly what the release opens and the state allows: none that would be refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.referral_task import referral_task
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import validate
from smart_app.policy import inbox_moves, status_back, task_states
from smart_app.policy.task_states import Party, Tier

Payload = dict[str, Any]


def task(status: str) -> Payload:
    made = referral_task(
        labels=labels_for("referral-task"),
        id="t",
        identifier_system="https://clinic.example/id",
        identifier_value="t",
        service_request_reference="ServiceRequest/s",
        patient_reference="Patient/p",
        requester_reference="Organization/hc1",
        owner_reference="Organization/northside",
        authored_at=date(2026, 11, 24),
        due_at=datetime(2026, 11, 24, 18, tzinfo=UTC),
    )
    return status_back.our_request_as_program_sees_it({**made, "status": status})


@pytest.mark.rule("R20")
@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("status", task_states.STATUSES)
def test_rule_R20_each_button_would_be_taken(status: str, tier: Tier) -> None:
    """Whatever is offered, in any state and under any release, is valid, inside the release and an allowed move.

    Break: leave ``may_write_status`` out of ``moves``.
    """
    shown = task(status)
    for move in inbox_moves.moves(shown, tier):
        for reason in move.reasons or (None,):
            body = inbox_moves.moved(shown, move, reason)
            asked = status_back.asked_change(shown, body)
            assert validate(body, "referral-task") == []
            assert not asked.is_nothing
            assert status_back.is_inside(asked, tier), (move.code, tier)
            assert not asked.changes_status or task_states.is_move_allowed(status, asked.status, Party.TARGET)


@pytest.mark.rule("R20")
@pytest.mark.parametrize("tier", [tier for tier in Tier if tier is not Tier.NONE])
def test_rule_R20_nothing_that_the_release_opens_is_missing(tier: Tier) -> None:
    """What a program's computer system could say, its people can say by a button. Break: drop one of ``STATUSES``."""
    for status in task_states.STATUSES:
        offered = {move.code for move in inbox_moves.moves(task(status), tier) if not move.is_contact}
        allowed = task_states.allowed_moves(status, Party.TARGET)
        assert offered == {code for code in allowed if task_states.may_write_status(tier, code)}


@pytest.mark.parametrize("status", task_states.STATUSES)
def test_without_a_release_there_is_no_button(status: str) -> None:
    """Tier none offers nothing, in whatever state the item is."""
    assert inbox_moves.moves(task(status), Tier.NONE) == ()
