"""Where copies may go now: the settings, the proof as its file stands, and what the EHR did since (R6).

An EHR that changed or lost a label of one of our copies is not the EHR that was proved. That is kept as an alert to the
privacy officer, by the proof's own id: every process reads it, a restart does not forget it, and a new proof ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from smart_app.policy.placement import PlacementSettings, RegistrationPlacement, SiteProof

DRIFTED = "ehr-proof-drifted"


class _Alerts(Protocol):
    def raise_once(self, kind: str, *, reference: str | None = None) -> None:
        """Keep an alert unless there was this one already."""

    def was_raised(self, kind: str, *, reference: str) -> bool:
        """Was there ever this alert, looked at or not?"""


class ProofWatch(Mapping[str, RegistrationPlacement]):
    """The placement of each registration at the moment it is asked for."""

    def __init__(self, current: Callable[[], PlacementSettings], alerts: _Alerts) -> None:
        self._current = current
        self._alerts = alerts

    def __getitem__(self, registration_id: str) -> RegistrationPlacement:
        found = self._current().registrations[registration_id]
        proof = found.proof
        if proof is None or not self._alerts.was_raised(DRIFTED, reference=_reference(proof)):
            return found
        return replace(found, proof=replace(proof, has_drifted=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._current().registrations)

    def __len__(self) -> int:
        return len(self._current().registrations)

    def note_drift(self, registration_id: str | None) -> None:
        """A copy did not come back as it was sent: no other follows until there is a new proof."""
        found = self._current().registrations.get(registration_id or "")
        if found is not None and found.proof is not None:
            self._alerts.raise_once(DRIFTED, reference=_reference(found.proof))


def _reference(proof: SiteProof) -> str:
    return f"Proof/{proof.registration_id}.{proof.made_on.isoformat()}.{proof.proof_id}"
