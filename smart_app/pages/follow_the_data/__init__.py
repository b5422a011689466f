"""Follow the data, under ``demo`` only: one item as stored, as sent, as the other side got it, and as others see it.

For newcomers and privacy officers. It reads the vault through the door like anybody else, as the labeler: the one role
that the decision table lets see every label. Nothing here exists outside a demo.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from flask import Blueprint, Response, current_app, g, render_template, request

from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.pages.follow_the_data.items import items, label_groups
from smart_app.pages.follow_the_data.views import ReadAtApi, finders, views
from smart_app.pages.follow_the_data.words import KIND_WORDS, TYPES
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import Case, CaseKind, DemoWire, Payload, Stored
from smart_app.workflows import inbound

blueprint = Blueprint("follow_the_data", __name__)
guards.protect(blueprint, guards.public)

LAST = "follow-the-data"
READ_AT_API: ReadAtApi = {
    "Task": inbound.task_for_partner,
    "ServiceRequest": inbound.service_request_for_partner,
    "Appointment": inbound.appointment_for_partner,
}
LABELER = Requester(Role.LABELER, "Device/follow-the-data", Purpose.LABELING)


@blueprint.get("/follow")
def follow() -> str:
    """The newest item, or ``?item=<case id>``."""
    wire = _wire()
    cases = _cases()
    wanted = request.args.get("item") or _last_case()
    case = next((c for c in cases if c.case_id == wanted), next(reversed(cases), None))
    if case is None:
        return render_template("follow.html", case=None)
    stored = _stored(case)
    shown = items(wire, case, stored)
    return render_template(
        "follow.html",
        cases=list(reversed(cases.items())),
        kind_words=KIND_WORDS,
        case=case,
        items=shown,
        groups=label_groups(shown),
        is_unknown_sender=case.kind is CaseKind.INBOUND and not any(item.came for item in shown),
        views=list(views(case, stored, READ_AT_API)),
        finders=finders(wire, stored),
        has_ehr_copy=any(one.ehr_reference is not None for one in stored),
        pretty=pretty,
    )


@blueprint.after_app_request
def remember_last(response: Response) -> Response:
    """Pages and API say in ``g.followed`` what they just made, "Type/<id>"; this process remembers the last one."""
    if "followed" in g:
        current_app.extensions[LAST] = g.followed
    return response


def _last_case() -> str | None:
    """The case of the last thing made, by this process of the demo; None when it has made nothing yet."""
    reference = current_app.extensions.get(LAST)
    if reference is None:
        return None
    services = guards.services()
    try:
        with services.door.open_for(LABELER, services.now()) as work:
            return work.read(reference).case_id
    except NothingToShowError:
        return None


def pretty(payload: Payload | None) -> str:
    """Readable JSON."""
    return json.dumps(payload, indent=2, ensure_ascii=False, default=str)


def _wire() -> DemoWire:
    wire = guards.services().demo
    if wire is None:
        raise NothingToShowError
    return wire


def _cases() -> dict[Case, str]:
    """Every case the labeler may see with its day ("2026-11-24"), the newest last."""
    services = guards.services()
    with services.door.open_for(LABELER, services.now()) as work:
        found = [case for kind in CaseKind for case in work.find_cases(kind)]
        days = {case: _day(work.in_case(case.case_id, _first_type(case))) for case in found}
    return dict(sorted(days.items(), key=lambda entry: entry[1]))


def _first_type(case: Case) -> str:
    return "Observation" if case.kind is CaseKind.DISCLOSURE else "Task"


def _day(stored: Iterable[Stored]) -> str:
    days = (s.payload.get("effectiveDateTime") or s.payload.get("authoredOn") or "" for s in stored)
    return max(map(str, days), default="")


def _stored(case: Case) -> list[Stored]:
    services = guards.services()
    with services.door.open_for(LABELER, services.now()) as work:
        return [found for kind in TYPES for found in work.in_case(case.case_id, kind)]
