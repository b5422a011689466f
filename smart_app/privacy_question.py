"""The privacy question of a launch: record and send stay locked until it was answered (R2)."""

from __future__ import annotations

from typing import Any, cast

from flask import abort

from smart_app import guards
from smart_app.errors import InvalidError, LockedError

ATTESTATION = "attestation"
OPEN_ANSWERS = frozenset({"alone", "chosen-company", "remote-not-overheard"})
CLOSED_ANSWER = "not-private"


def attest(answer: str, *, limits_said: bool, interpreter: str) -> None:
    """Keep the answer to the privacy question of this launch (R2). ``not-private`` keeps record and send locked."""
    if answer not in OPEN_ANSWERS | {CLOSED_ANSWER}:
        abort(422)
    guards.remember(ATTESTATION, {"answer": answer, "limits_said": limits_said, "interpreter": interpreter})


def attestation() -> dict[str, Any] | None:
    """The answer kept by ``attest``, or None."""
    return cast("dict[str, Any] | None", guards.recall(ATTESTATION))


def is_attested() -> bool:
    """True when the privacy question was answered with one of the three open answers, and the limits were said."""
    kept = attestation()
    return kept is not None and kept["answer"] in OPEN_ANSWERS and bool(kept["limits_said"])


def require_attested() -> None:
    """Record and send stay locked until the clinician attests for this launch (R2: ``LockedError``), and, where the
    launch has no encounter, until the reason is chosen (R23: ``InvalidError``)."""
    require_private_moment()
    if guards.requester().encounter_id is None and guards.reason_without_encounter() is None:
        raise InvalidError("There is no visit open in the chart. Say first why: phone, follow-up or other.", rule="R23")


def require_private_moment() -> None:
    """For what must wait for the privacy question and for nothing else, such as taking a release back (R11). Raises
    ``LockedError``."""
    if not is_attested():
        raise LockedError(rule="R2")
