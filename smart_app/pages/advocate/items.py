"""What waits for this program, and what it may do with it: open, say "full today", call; under a release a little more.

Nothing is shown of an item before a person opens it by a button: a link alone never opens one.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from fhir_profiles.referral_service_request import NEEDS
from fhir_profiles.referral_task import REASONS
from smart_app import guards
from smart_app.errors import ConflictError, InvalidError, NothingToShowError, PreconditionError
from smart_app.inbox_ports import RouteTest
from smart_app.pages.advocate.guard import inbox, member, partner, require_advocate, today
from smart_app.pages.advocate.words import moment, say
from smart_app.policy import inbox_moves
from smart_app.policy.form_words import RELEASE_DAYS, VOICEMAIL_WORDS, language_name
from smart_app.workflows import inbox as inbox_workflow
from smart_app.workflows import release, status_update

blueprint = Blueprint("inbox_items", __name__)
guards.protect(blueprint, require_advocate)

MEETS = {
    "on-site": "Somebody of yours comes to the clinic",
    "call-now": "They are on the phone with the clinic now",
    "clinic-phone": "They call from the clinic's phone",
    "survivor-calls": "They will call you. Do not call them",
    "safe-contact": "Call this number only",
}
MOVES = {
    "accepted": "We take it",
    "in-progress": "We are working on it",
    "on-hold": "On hold",
    "completed": "Done",
    "failed": "Could not be done",
    "rejected": "We cannot take it",
    "cancelled": "Close it, no reason",
    "contact-made": "We spoke with them",
    "5.1.1": "A meeting is set",
    "5.1.3": "The meeting was called off",
    "5.1.4": "We met",
    "5.1.2": "We did not meet",
}
STATES = {
    "requested": "Nothing told to the clinic yet",
    "accepted": "You told the clinic: we take it",
    "in-progress": "You told the clinic: we are working on it",
    "on-hold": "You told the clinic: on hold",
    "completed": "You told the clinic: done",
    "failed": "You told the clinic: could not be done",
    "rejected": "You told the clinic: we cannot take it",
    "cancelled": "Closed",
}
TIERS = {
    "contact": "That we take it or not, and that we spoke",
    "appointment": "And when we meet",
    "outcome": "And how it ended",
}
ASKED_STATES = {
    "received": "Received by the clinic",
    "booked": "Visit booked",
    "declined": "The clinic cannot do it",
    "taken-back": "Taken back",
}


@blueprint.get("/items")
def show_list() -> str:
    """New items first. Whether we are full is asked before anything is read."""
    services = guards.services()
    now, asks, program = services.now(), guards.requester(), partner()
    items = inbox_workflow.waiting(services.door, asks, now, minutes=program.acknowledge_minutes)
    return render_template(
        "advocate/items.html",
        new=[one for one in items if one.opened_at is None],
        opened=[one for one in items if one.opened_at is not None],
        asked=inbox_workflow.asked(services.door, asks, now),
        states=STATES,
        asked_states=ASKED_STATES,
        now=now,
        has_test=inbox().routes.of(program.partner_id).test is RouteTest.SENT,
        is_full=program.full_on == today(),
    )


@blueprint.post("/items/test")
def open_test() -> Response:
    """A person opened the test item: from here on the clinic may put items here."""
    if not inbox().routes.test_opened(partner().partner_id):
        raise NothingToShowError(rule="R19")
    inbox().audit("inbox-test-item-opened", member())
    return redirect("/items", 303)


@blueprint.post("/items/<case_id>/open")
def open_item(case_id: str) -> Response:
    """From here on the clinic sees that a person opened it, and when; nothing else."""
    services = guards.services()
    inbox_workflow.open_item(services.door, guards.requester(), case_id, services.now())
    return redirect(f"/items/{case_id}", 303)


@blueprint.get("/items/<case_id>")
def show_item(case_id: str) -> str:
    """One opened item."""
    return _page(case_id)


@blueprint.post("/items/<case_id>/move")
def move(case_id: str) -> Response | tuple[str, int]:
    """Tell the clinic what the release allows. What the page was made for may have moved meanwhile."""
    services, found = guards.services(), _item(case_id)
    kind, _, code = request.form.get("move", "").partition("|")
    wanted = next((one for one in found.moves if (one.is_contact, one.code) == (kind == "contact", code)), None)
    if wanted is None:
        return _page(case_id, problem="This was changed meanwhile. Look again."), ConflictError.status
    body = inbox_moves.moved(found.shown, wanted, request.form.get("reason"))
    if_match = request.form.get("etag", "")
    try:
        status_update.update_from_partner(
            services.door, guards.requester(), found.task_id, body, if_match, services.now()
        )
    except PreconditionError as error:
        return _page(case_id, problem="This was changed meanwhile. Look again."), error.status
    return redirect(f"/items/{case_id}", 303)


@blueprint.post("/items/<case_id>/release")
def enter_release(case_id: str) -> Response | tuple[str, int]:
    """The program's own release, signed by the person, entered here. Nothing is ticked beforehand."""
    services, found, form = guards.services(), _item(case_id), request.form
    days = form.get("days", "")
    try:
        payload = inbox_workflow.release_b(
            found,
            tier=form.get("tier", ""),
            days=int(days) if days in map(str, RELEASE_DAYS) else 0,
            signed=form.get("signed") == "yes",
            signer=form.get("signer", ""),
            once=form.get("once", ""),
            today=today(),
            ours=services.site.organization_reference,
            program=guards.requester().user_reference,
        )
        release.record_from_partner(
            services.door,
            guards.requester(),
            payload,
            services.now(),
            our_organization=services.site.organization_reference,
            public_base_url=services.public_base_url,
        )
    except InvalidError as error:
        return _page(case_id, problem=error.said), error.status
    return redirect(f"/items/{case_id}", 303)


@blueprint.post("/asked/<case_id>/back")
def take_back(case_id: str) -> Response:
    """They changed their mind: the clinic is told "cancelled" and no reason."""
    services, asks = guards.services(), guards.requester()
    found = next(
        (one for one in inbox_workflow.asked(services.door, asks, services.now()) if one.case_id == case_id), None
    )
    if found is None or not found.may_take_back:
        raise NothingToShowError(rule="R19")
    body = inbox_moves.moved(found.shown, inbox_moves.Move("cancelled"), None)
    status_update.update_from_partner(services.door, asks, found.task_id, body, found.etag, services.now())
    return redirect("/items", 303)


def _item(case_id: str) -> inbox_workflow.Item:
    services = guards.services()
    return inbox_workflow.item(services.door, guards.requester(), case_id, services.now())


def _page(case_id: str, problem: str | None = None) -> str:
    found = _item(case_id)
    return render_template(
        "advocate/item.html",
        item=found,
        contact=contact_in_words(found),
        number=_number(found),
        needs=[say(NEEDS[need]) for need in found.needs],
        state=STATES.get(str(found.shown["status"]), ""),
        moves=MOVES,
        reasons=REASONS,
        tiers=TIERS,
        tier=found.tier.value,
        release_days=RELEASE_DAYS,
        once=str(uuid.uuid4()),
        problem=problem and say(problem),
    )


def _number(found: inbox_workflow.Item) -> str:
    """The one safe number while it may be used, else ""."""
    return "" if found.is_contact_over else str((found.contact.get("telecom") or {}).get("value", ""))


def contact_in_words(found: inbox_workflow.Item) -> list[str]:
    """How to reach the person, line by line; nothing that was not given, nothing after its end (R14)."""
    parts: dict[str, Any] = found.contact
    if found.is_contact_over:
        return [say("The contact has ended. Call the clinic.")]
    lines = [say(MEETS.get(str(parts.get("meet")), "Call the clinic"))]
    if _number(found):
        lines.append(say(VOICEMAIL_WORDS.get(parts.get("voicemail", "none"), "No voicemail")))
        lines.append(
            say("Anyone may answer" if parts.get("whoMayAnswer") == "anyone" else "Speak only with this person")
        )
    if parts.get("at"):
        lines.append(say("At: {when}", when=moment(datetime.fromisoformat(str(parts["at"])))))
    for key, words in (("sayAs", "Say you are: {words}"), ("codeWord", "Word to know each other by: {words}")):
        if parts.get(key):
            lines.append(say(words, words=parts[key]))
    if parts.get("language"):
        lines.append(say("Language: {name}", name=say(language_name(str(parts["language"])))))
    if parts.get("interpreter"):
        lines.append(say("Needs a trained interpreter"))
    return lines
