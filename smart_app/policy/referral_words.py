"""Where a referral stands, in words for the clinician: our own transport facts, and more only inside release B (R20).

Silence means nothing: it is never a no-show, and a lapsed release takes a program's words off the page again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from smart_app.policy import task_states
from smart_app.policy.task_states import Tier


@dataclass(frozen=True)
class StateWords:
    """``state`` is a short code, ``words`` what is shown, ``next_step`` what to do; ``is_good`` and ``needs_call``
    say how it looks."""

    state: str
    words: str
    next_step: str
    is_good: bool = False
    needs_call: bool = False


_ASK = "Ask the patient next time, alone: did that help?"
_CALL = "Call the program now, together with the patient if they are here."

_TRANSPORT = {
    None: StateWords("sent", "Sent", _ASK),
    "queued": StateWords("sent", "Sent", "Their system will have it in a moment. " + _ASK),
    "trying": StateWords("trying", "Their system does not answer. We keep trying.", _CALL, needs_call=True),
    "delivered": StateWords("received", "Received by their system", _ASK, is_good=True),
    "inbox": StateWords("received", "In their inbox. Nobody has opened it yet", _ASK, is_good=True),
    "inbox-phone": StateWords(
        "received",
        "In their inbox. Nobody has opened it yet",
        "Call them and say: “You have an item.” Nothing else.",
        needs_call=True,
    ),
    "opened": StateWords("opened", "Opened by a person", _ASK, is_good=True),
    "stopped": StateWords("stopped", "Stopped. Nothing more is sent.", "The phone stays open."),
    "recalled": StateWords(
        "stopped",
        "Stopped. Nothing more is sent.",
        "They may have it already: call them and say that it is taken back. No reason, nothing else.",
        needs_call=True,
    ),
    "told": StateWords("stopped", "Stopped. Their system was told that it is taken back.", "The phone stays open."),
    "failed": StateWords("failed", "Not delivered", _CALL, needs_call=True),
}
_OF_PROGRAM = {
    "accepted": StateWords("accepted", "The program accepted", _ASK, is_good=True),
    "in-progress": StateWords("in-progress", "The program is working on it", _ASK, is_good=True),
    "on-hold": StateWords("on-hold", "The program put it on hold", _CALL, needs_call=True),
    "rejected": StateWords("rejected", "The program cannot take it", _CALL, needs_call=True),
    "cancelled": StateWords("cancelled", "The program closed it", _CALL, needs_call=True),
    "completed": StateWords("completed", "The program completed it", _ASK, is_good=True),
    "failed": StateWords("not-completed", "The program could not complete it", _CALL, needs_call=True),
}
_BUSINESS = {
    "contact-made": "They spoke with each other",
    "5.1.1": "A meeting is set",
    "5.1.2": "They did not meet",
    "5.1.3": "A meeting was called off",
    "5.1.4": "They met",
}
_CLOSED = {
    "handoff-made": StateWords("closed", "Closed: they were brought together", "", is_good=True),
    "patient-reports-connected": StateWords("closed", "Closed: the patient says they are in touch", "", is_good=True),
    "no-information": StateWords("closed", "Closed without news", ""),
}


def state_words(
    *, tier: Tier, status: str, business_code: str | None, transport: str | None, opened: str = ""
) -> StateWords:
    """What to show. ``tier`` is that of release B in force now, ``transport`` our own fact about the delivery;
    ``opened`` is when a person at the program opened it, in words, "" where nobody did or it is not told."""
    if business_code in _CLOSED:
        return _CLOSED[business_code]
    if transport in ("stopped", "recalled", "told"):
        return _TRANSPORT[transport]
    if status == "requested" or not task_states.may_write_status(tier, status):
        shown = _TRANSPORT.get(transport, _TRANSPORT[None])
        if transport == "opened" and opened:
            shown = replace(shown, words=f"Opened by a person at {opened}")
    else:
        shown = _OF_PROGRAM[status]
    more = _BUSINESS.get(business_code or "")
    if more is None or not task_states.may_write_business_status(tier, business_code or ""):
        return shown
    return StateWords(shown.state, f"{shown.words}. {more}", shown.next_step, shown.is_good, shown.needs_call)
