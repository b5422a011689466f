"""The privacy officer reads the log: who saw what, and what left under which release. Opaque ids, never content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template

from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.policy.audit_trail import is_month
from smart_app.ports import Trail

blueprint = Blueprint("audit_trail", __name__)
guards.protect(blueprint, guards.require_privacy_officer)

MOST = 500  # lines on one page; the command line has all
ACTIONS = {
    "read": "read",
    "find": "looked for",
    "list": "listed",
    "create": "stored",
    "amend": "changed",
    "amend-stale": "wanted to change an older version",
    "open-case": "began a case",
    "close-case": "closed a case",
    "read-transport": "looked how far a message is",
    "read-log": "read this log",
    "read-launched-patient": "read the patient in the EHR",
    "read-launched-encounter": "read the visit in the EHR",
    "read-practitioner-roles": "read their own roles in the EHR",
    "read-care-team": "read the care team in the EHR",
    "release": "sent to a program",
    "recall": "told a program that it is taken back",
    "refuse": "was refused",
    "incident": "came upon an item that cannot be trusted",
    "launch-begun": "began to open the app",
    "launch-completed": "opened the app",
    "launch-ended": "left the app",
    "launch-refused": "was not let in",
    "partner-token-issued": "signed in as a program's system",
    "partner-token-refused": "was refused as a program's system",
}


@blueprint.get("/v/<launch_id>/log")
@blueprint.get("/v/<launch_id>/log/<month>")
def log(launch_id: str, month: str = "") -> str:
    """Who did what in one month, the newest first."""
    services, asked = guards.services(), _month(month)
    lines = _trail().lines(guards.requester(), asked, services.now())
    return _page("audit_trail.html", asked, lines)


@blueprint.get("/v/<launch_id>/ledger")
@blueprint.get("/v/<launch_id>/ledger/<month>")
def ledger(launch_id: str, month: str = "") -> str:
    """The accounting of disclosures of one month: each release with what left under it."""
    services, asked = guards.services(), _month(month)
    lines = _trail().disclosures(guards.requester(), asked, services.now())
    return _page("disclosures_made.html", asked, lines)


def _page(template: str, month: str, lines: Sequence[object]) -> str:
    return render_template(
        template,
        month=month,
        before=_beside(month, -1),
        after=None if month == _month("") else _beside(month, 1),
        lines=lines[:MOST],
        left_out=max(0, len(lines) - MOST),
        actions=ACTIONS,
        zone=ZoneInfo(guards.services().site.time_zone),
    )


def _month(text: str) -> str:
    """The month of the path, this one where it names none."""
    if text and not is_month(text):
        raise NothingToShowError
    return text or f"{guards.services().now():%Y-%m}"


def _beside(month: str, months: int) -> str:
    first = datetime.fromisoformat(f"{month}-01")
    number = first.year * 12 + first.month - 1 + months
    return f"{number // 12}-{number % 12 + 1:02}"


def _trail() -> Trail:
    trail = guards.services().trail
    if trail is None:
        raise NothingToShowError
    return trail
