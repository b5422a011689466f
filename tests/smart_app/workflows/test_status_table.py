"""The whole table, row by row, against the real vault: which move is stored, and that nothing else ever is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smart_app.errors import AppError, InvalidError, NothingToShowError, RefusedError
from smart_app.policy.access import Requester
from smart_app.policy.task_states import STATUSES
from smart_app.workflows import inbound, referral, release, status_update

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
AFTER_RELEASE_B = NOW + timedelta(days=29)  # release A (30 days) still covers, a release B of 26 days does not
Make = Callable[..., dict[str, Any]]

# Written out by hand, apart from the code: what a program with the widest release may turn a referral of ours into.
# "entered-in-error" and "draft" are never a program's words.
MOVES = {
    "requested": {"accepted", "rejected", "cancelled"},
    "accepted": {"in-progress", "on-hold", "completed", "failed", "rejected", "cancelled"},
    "in-progress": {"on-hold", "completed", "failed", "cancelled"},
    "on-hold": {"in-progress", "completed", "failed", "cancelled"},
}
REASONS = ("no release", "expired", "withdrawn", "wrong recipient", "wrong Task", "wrong field")


@dataclass
class Referred:
    """One referral of ours at Harbor."""

    world: Any
    clinician: Requester
    harbor: Requester
    case_id: str
    task_id: str

    def stored(self) -> dict[str, Any]:
        return dict(self.world.resource(f"Task/{self.task_id}"))

    def release(self, consent: dict[str, Any]) -> Any:
        return release.record_from_partner(
            self.world.door,
            self.harbor,
            consent,
            NOW,
            our_organization="Organization/hc1",
            public_base_url="http://127.0.0.1:8000",
        )

    def set_to(self, status: str) -> None:
        """Our own record of it, whatever it was before."""
        with self.world.door.open_for(self.clinician, NOW) as work:
            work.amend(f"Task/{self.task_id}", lambda task: {**task, "status": status})

    def tell(self, status: str, now: datetime = NOW, **more: Any) -> None:
        """The program says what became of it."""
        with self.world.door.open_for(self.harbor, now) as work:
            shown = inbound.task_for_partner(work, self.task_id)
        said = {**copy.deepcopy(shown.payload), "status": status, **more}
        status_update.update_from_partner(self.world.door, self.harbor, self.task_id, said, shown.etag, now)


@pytest.fixture
def refer(world: Any, clinician: Callable[..., Requester], harbor: Requester) -> Callable[[], Referred]:
    def make() -> Referred:
        form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
        result = referral.send(world.services, clinician(), form, NOW)
        return Referred(world, clinician(), harbor, result.case_id, result.task_reference.removeprefix("Task/"))

    return make


@pytest.mark.parametrize("before", STATUSES)
def test_a_program_moves_a_referral_as_the_table_says(
    refer: Callable[[], Referred], release_b: Make, before: str
) -> None:
    """From each of the ten states to each of the ten: stored when the table has it, else refused and unchanged."""
    one = refer()
    one.release(release_b(one.stored(), "outcome"))
    for after in STATUSES:
        one.set_to(before)
        if after == before:
            one.tell(after)  # says what is so: nothing changes
        elif after in MOVES.get(before, ()):
            one.tell(after)
        else:
            with pytest.raises((InvalidError, RefusedError)):
                one.tell(after)
        assert one.stored()["status"] == (after if after in MOVES.get(before, ()) else before), (before, after)


@pytest.mark.parametrize("before", ["requested", "accepted", "in-progress", "on-hold", "cancelled", "entered-in-error"])
def test_a_request_that_a_program_sent_us_is_only_ever_cancelled_by_it(
    world: Any, harbor: Requester, post: Any, before: str
) -> None:
    """As the one who asked, the program may take its request back while it is open, and nothing else."""
    answer = inbound.accept(
        world.door, harbor, world.harbor, post().bundle, post().body, world.site, NOW, "http://127.0.0.1:8000"
    )
    one = Referred(world, harbor, harbor, "", answer.task_id)
    is_open = before in MOVES
    for after in STATUSES:
        with world.door.open_for(harbor, NOW) as work:
            work.amend(f"Task/{one.task_id}", lambda task: {**task, "status": before})
        held = one.stored()["status"]
        try:
            one.tell(after)
        except AppError:
            assert one.stored()["status"] == held
        else:
            assert one.stored()["status"] == ("cancelled" if after == "cancelled" and is_open else held), after


@pytest.mark.rule("R20")
@pytest.mark.parametrize("reason", REASONS)
def test_rule_R20_no_status_is_stored_without_the_release_that_covers_it(
    refer: Callable[[], Referred], release_b: Make, reason: str
) -> None:
    """Ten statuses, and each way in which a release can fail to cover them: sixty times nothing is stored.

    Break: return the tier of any Consent in status_update, or drop the field check of ``status_back.asked_of``.
    """
    one, other, more, now = refer(), refer(), {}, NOW
    if reason == "expired":
        one.release(release_b(one.stored(), "outcome"))
        now = AFTER_RELEASE_B
    elif reason in ("withdrawn", "wrong recipient"):
        given = one.release(release_b(one.stored(), "outcome"))

        def spoiled(consent: dict[str, Any]) -> dict[str, Any]:
            if reason == "withdrawn":
                return {**consent, "status": "inactive"}
            actor = {**consent["provision"]["actor"][0], "reference": {"reference": "Organization/northside"}}
            return {**consent, "provision": {**consent["provision"], "actor": [actor]}}

        with one.world.door.open_for(one.clinician, NOW) as work:
            work.amend(given.reference, spoiled)
    elif reason == "wrong Task":
        one.release(release_b(other.stored(), "outcome"))
    elif reason == "wrong field":
        one.release(release_b(one.stored(), "outcome"))
        more = {"restriction": {"period": {"end": "2027-01-01T00:00:00Z"}}}
    before, versions = one.stored(), one.world.stored("Task")
    for status in STATUSES:
        with pytest.raises((RefusedError, NothingToShowError)):
            one.tell(status, now, **more)
    assert one.stored() == before
    assert one.world.stored("Task") == versions
    refused = [row for row in one.world.audit("refuse") if row["rule"] == "R20"]
    assert len(refused) == len(STATUSES)
    assert "2027-01-01" not in str(refused)
