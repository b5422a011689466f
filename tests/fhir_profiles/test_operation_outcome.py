"""What an answer to a mistake holds."""

from __future__ import annotations

from fhir_profiles import r4
from fhir_profiles.operation_outcome import operation_outcome, outcome
from fhir_profiles.shapes import Issue


def test_an_outcome_holds_what_an_issue_says_and_nothing_more() -> None:
    """Severity, code, place and constant words; the answer to a denied read is two codes."""
    made = operation_outcome([Issue("error", "structure", "Task", "An element that is not allowed here is present.")])
    assert r4.structure_problems(made) == []
    assert made["issue"] == [
        {
            "severity": "error",
            "code": "structure",
            "details": {"text": "An element that is not allowed here is present."},
            "expression": ["Task"],
        }
    ]
    assert outcome("not-found") == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found"}],
    }
    assert outcome("informational", "Received.", severity="information")["issue"][0]["details"] == {"text": "Received."}
