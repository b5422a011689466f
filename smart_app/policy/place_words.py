"""Where an item lives, in words that a clinician can repeat to the patient (R6, R7)."""

from __future__ import annotations

from smart_app.policy.placement import PlacementDecision

IN_VAULT = "It is kept in this app's own encrypted store at your health center."

_AFTER_WRITE_BACK = {
    "saved": "A copy is in {ehr}. It was read back and its privacy labels are unchanged.",
    "refused": "{ehr} did not take a copy. Nothing else was written there.",
    "labels-lost": (
        "{ehr} did not keep the privacy labels, so its copy was taken back and the privacy officer was told. "
        "Nothing else was written there."
    ),
    "unknown": (
        "It is not known whether {ehr} kept a copy. The privacy officer was told and looks at it. "
        "Do not enter it a second time."
    ),
    "interrupted": (
        "Saving was interrupted, so it is not known whether {ehr} has a copy: look in the chart. "
        "Do not enter it a second time."
    ),
}


def place_words(decision: PlacementDecision, *, ehr_name: str, write_back: str | None) -> tuple[str, ...]:
    """Sentences that say where the item lives and why. ``write_back`` is the result of the EHR copy ("saved",
    "refused", "labels-lost", "unknown"), "interrupted" where power went off meanwhile, or None where none was tried."""
    if write_back is None:
        return (IN_VAULT, decision.reason)
    return (IN_VAULT, _AFTER_WRITE_BACK[write_back].format(ehr=ehr_name or "The EHR"))
