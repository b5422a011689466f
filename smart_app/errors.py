"""Errors of the app, each a small fact: the class is the message, the HTTP status and the FHIR issue code.

AppError
├── NothingToShowError        404 not-found     denied or absent: nobody can tell which (safety section 1)
├── LockedError               403 forbidden     an action that needs a step first; decided without stored patient data
├── RefusedError              403 forbidden     the caller may read the item but not do this to it (R20, label lowering)
├── ConflictError             409 conflict      the context or the item changed under the form; or identifier reused
├── PreconditionError         412 conflict      If-Match is stale; ``PreconditionMissingError`` 428 when absent
├── InvalidError              422 invalid       the submitted body breaks a rule; carries ``issues``
├── EhrUnavailableError       502 transient     the EHR did not answer, or no longer accepts this launch
└── UnlabelledError           500 security      a programming error: a resource of ours without its label set
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_profiles.validation import Issue


class AppError(Exception):
    """Anything this app refuses in words. ``rule`` is the safety rule that refused, for the audit row only."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"
    words: ClassVar[str] = "Something went wrong here. Nothing was saved."

    def __init__(self, words: str | None = None, *, rule: str = "") -> None:
        super().__init__(words or self.words)
        self.said = words or self.words
        self.rule = rule


class NothingToShowError(AppError):
    """Denied or absent; the caller cannot tell which."""

    status = 404
    code = "not-found"
    words = "Nothing to show here."


class LockedError(AppError):
    """A step has to come first, for example the privacy question (R2)."""

    status = 403
    code = "forbidden"
    words = "Answer the privacy question first."


class RefusedError(AppError):
    """The caller may read this item but may not do this to it. Constant bytes, nothing stored (R20)."""

    status = 403
    code = "forbidden"
    words = "Not allowed."


class ConflictError(AppError):
    """The chart, the item or the identifier is not what the form or body was made for."""

    status = 409
    code = "conflict"
    words = "The chart changed while this page was open. Nothing was saved. Open the app again from the chart."


class PreconditionError(AppError):
    """``If-Match`` names an older version."""

    status = 412
    code = "conflict"
    words = "A newer version exists. Read it again before you change it."


class PreconditionMissingError(AppError):
    """``If-Match`` is required here."""

    status = 428
    code = "required"
    words = "Send If-Match with the version you read."


class InvalidError(AppError):
    """The submitted body or form breaks a rule. ``issues`` never repeat a value or a sender's key."""

    status = 422
    code = "invalid"
    words = "Something is missing or not allowed here."

    def __init__(self, words: str | None = None, *, rule: str = "", issues: Sequence[Issue] = ()) -> None:
        super().__init__(words, rule=rule)
        self.issues = tuple(issues)


class EhrUnavailableError(AppError):
    """The EHR did not answer a read, or no longer accepts this launch."""

    status = 502
    code = "transient"
    words = (
        "The EHR did not answer. Nothing was saved. Open the app again from the chart. The phone list works without it."
    )


class UnlabelledError(AppError):
    """One of our own resources reached the door without its label set: a programming error, refused (R3)."""

    code = "security"
