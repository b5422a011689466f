"""Write-back goes off by itself, for every process and until there is a new proof; the app stays on (R6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.proof_watch import DRIFTED, ProofWatch
from smart_app.policy.placement import PlacementDecision, PlacementSettings, RegistrationPlacement, SiteProof, decide

MADE = date(2026, 11, 24)
PROOF = SiteProof("a", MADE, date(2027, 11, 24), {"Observation": "A", "ServiceRequest": "A"}, proof_id="one")


class Site:
    """The settings of two EHRs; the proof of the first is replaced by a test."""

    def __init__(self, alerts: SqlAlerts) -> None:
        self.proof: SiteProof | None = PROOF
        self.alerts = alerts

    def current(self) -> PlacementSettings:
        copies = {"Observation": "ehr-and-vault", "ServiceRequest": "ehr-and-vault"}
        return PlacementSettings(
            {
                "a": RegistrationPlacement("a", "EHR A", copies, self.proof),
                "b": RegistrationPlacement("b", "EHR B", copies, replace(PROOF, registration_id="b")),
            }
        )

    def watch(self) -> ProofWatch:
        """What one process has; each call is another process."""
        return ProofWatch(self.current, self.alerts)

    def decision(self, today: date = MADE, registration: str = "a") -> PlacementDecision:
        return decide(
            PlacementSettings(self.watch()),
            registration_id=registration,
            resource_type="Observation",
            patient_id="p1",
            patient_wants_ehr_copy=True,
            today=today,
        )


@pytest.fixture
def site(world: Any) -> Site:
    return Site(SqlAlerts(world.engine, "hc1", lambda: world.now))


@pytest.mark.rule("R6")
def test_rule_R06_after_a_copy_came_back_altered_none_follows_until_a_new_proof(site: Site) -> None:
    """An EHR that lost a label once is written to no more, by no process and after a restart; the page says why, the
    officer is told once. A new proof, and only that, ends it, also one of the same day.

    Break: return ``found`` always in ``ProofWatch``; leave ``proof_id`` out of ``_reference``.
    """
    assert site.decision().has_ehr_copy
    site.watch().note_drift("a")
    site.watch().note_drift("a")
    off = site.decision()
    assert (off.has_ehr_copy, off.needs_officer) == (False, True)
    assert off.reason == "EHR A altered a copy, so no other is written there until it is checked again."
    assert site.decision(registration="b").has_ehr_copy
    (told,) = site.alerts.open_alerts()
    assert (told.kind, told.reference) == (DRIFTED, "Proof/a.2026-11-24.one")
    site.alerts.close_alert(told.alert_id)
    assert not site.decision().has_ehr_copy
    site.proof = replace(PROOF, proof_id="two")
    assert site.decision().has_ehr_copy


@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: None, "There is no dated check"),
        (lambda: replace(PROOF, voided_on=MADE), "has changed since it was checked"),
        (lambda: replace(PROOF, expires_on=MADE - timedelta(days=1)), "no longer valid"),
        (lambda: replace(PROOF, classes={"Observation": "D"}), "does not protect it"),
    ],
)
def test_rule_R06_a_proof_that_goes_while_the_app_runs_turns_copies_off(
    site: Site, change: Callable[[], SiteProof | None], words: str
) -> None:
    """What is replaced or taken away under a running app counts with the next item."""
    assert site.decision().has_ehr_copy
    site.proof = change()
    assert (site.decision().has_ehr_copy, words in site.decision().reason) == (False, True)


@pytest.mark.rule("R6")
def test_rule_R06_time_alone_turns_copies_off(site: Site) -> None:
    """On the day after the proof ends nothing is copied; a year is the longest, whatever the file says. A clock that
    runs behind the proof writes nothing either. Break: leave ``LONGEST_PROOF`` out of ``placement``."""
    assert site.decision(PROOF.expires_on).has_ehr_copy
    assert not site.decision(PROOF.expires_on + timedelta(days=1)).has_ehr_copy
    assert not site.decision(MADE - timedelta(days=1)).has_ehr_copy
    site.proof = replace(PROOF, expires_on=date(2099, 1, 1))
    assert site.decision(MADE + timedelta(days=366)).has_ehr_copy
    assert not site.decision(MADE + timedelta(days=367)).has_ehr_copy


def test_an_ehr_without_a_proof_has_nothing_to_drift_from(site: Site) -> None:
    """Where no proof is (a test system, an EHR that is gone) nothing is kept and nobody is told."""
    site.proof = None
    for registration_id in ("a", "gone", None):
        site.watch().note_drift(registration_id)
    assert site.alerts.open_alerts() == []
    assert sorted(site.watch()) == ["a", "b"]
    assert len(site.watch()) == 2
