"""OperationOutcome: what went wrong, in constant words. It carries no label (it is constant bytes) and no value."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_profiles.shapes import MAX_ISSUES, ONLY_THE_FIRST, Issue
from fhir_profiles.terminology import Payload


def operation_outcome(issues: Iterable[Issue]) -> Payload:
    """The OperationOutcome of these issues, in order. An issue without text or expression leaves them out.

    As many as are ever collected may be not all there are: then the last one says so.
    """
    told = list(issues)
    if len(told) >= MAX_ISSUES and all(issue.text != ONLY_THE_FIRST for issue in told):
        told.append(Issue("information", "informational", "", ONLY_THE_FIRST))
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in told]}


def outcome(code: str, text: str = "", *, severity: str = "error") -> Payload:
    """One issue that names no element: ``outcome("not-found")`` is the whole answer to a denied or absent read."""
    return operation_outcome([Issue(severity, code, "", text)])


def _issue(issue: Issue) -> Payload:
    made: Payload = {"severity": issue.severity, "code": issue.code}
    if issue.text:
        made["details"] = {"text": issue.text}
    if issue.expression:
        made["expression"] = [issue.expression]
    return made
