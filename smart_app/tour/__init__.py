"""``warm-referral demo --tour``: plays the four flows as a person would, prints each message, and compares each with
what it should be. Used by the flow tests too."""

from __future__ import annotations

from collections.abc import Callable

from smart_app.tour import flows
from smart_app.tour.checks import Checks
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram

PATIENT = "p-dana"
VISITOR_CHART = "p-walter"


def play(ehr: SandboxEhr, program: SandboxProgram, *, say: Callable[[str], None], strip_labels: bool) -> int:
    """Exit code: 0 when all is as it should be, 1 when anything differs; the last lines name what."""
    checks = Checks(say)
    ehr.set(strip_labels=strip_labels)
    try:
        clinician = flows.launch(checks, ehr, "a", PATIENT)
        flows.record_disclosure(checks, ehr, clinician)
        flows.send_referral(checks, ehr, program, clinician)
        flows.receive_referral(checks, ehr, program, chart=VISITOR_CHART)
        flows.observe_as_others(checks, ehr, "a", PATIENT)
    finally:
        ehr.set(strip_labels=False)
    if checks.differences:
        say(f"\nThe tour found {len(checks.differences)} difference(s):")
        for sentence in checks.differences:
            say(f"  - {sentence}")
        return 1
    say("\nThe tour is complete: every message was what it should be.")
    return 0
