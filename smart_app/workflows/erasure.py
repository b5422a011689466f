"""Ask for a legal hold, its end, or an erase on a decided request; a second person confirms (R35)."""

from __future__ import annotations

import re
from datetime import datetime

from smart_app.errors import InvalidError
from smart_app.office_ports import AskKind, Person, SecondPerson

SUBJECT = re.compile(r"([A-Z][A-Za-z]{1,31}/)?[A-Za-z0-9\-.]{1,64}")
# Words of ours: nothing that somebody types about a person enters the log.
REASONS: dict[AskKind, dict[str, str]] = {
    AskKind.ERASE: {
        "patient-asked": "The patient asked, and counsel agreed",
        "wrong-person": "It is about the wrong person",
        "entered-in-error": "It was made by mistake",
    },
    AskKind.HOLD_SET: {"counsel-asked": "Counsel asked for it", "court-order": "A court asked for it"},
    AskKind.HOLD_LIFT: {"hold-over": "Counsel says that it is over"},
}
KIND_WORDS = {
    AskKind.ERASE: "Erase a record",
    AskKind.HOLD_SET: "Set a legal hold",
    AskKind.HOLD_LIFT: "Lift a legal hold",
}


def ask(office: SecondPerson, person: Person, kind: str, subject: str, reason: str, now: datetime) -> str:
    """Ask for one of these; ``subject`` is a case id, or "Task/<id>" of the case. Returns the id of the ask.

    Raises ``InvalidError`` for a form that is none, ``NothingToShowError`` where there is no such record.
    """
    try:
        wanted = AskKind(kind)
        is_known = reason in REASONS[wanted]
    except (ValueError, KeyError):
        raise InvalidError("Choose what to do.") from None
    if not is_known:
        raise InvalidError("Choose a reason that belongs to it.")
    if not SUBJECT.fullmatch(subject.strip()):
        raise InvalidError("Write the number of the record as the log or your list shows it.")
    return office.ask(person, wanted, subject.strip(), reason, now)
