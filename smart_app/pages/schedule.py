"""The scheduler's desk: who is asked for, how to reach them, book or decline. Neutral: no program, no chart (R36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from fhir_profiles.referral_task import REASONS
from smart_app import guards
from smart_app.errors import InvalidError
from smart_app.policy.clinic_calendar import first_free, next_open_day
from smart_app.workflows import scheduling
from smart_app.workflows.scheduling import QueueItem

blueprint = Blueprint("schedule", __name__)
guards.protect(blueprint, guards.require_scheduler)

BOOKED = "booked"
MINUTES = (15, 30, 45, 60)
DEFAULT_MINUTES = 30
MEETS = {
    "on-site": "They come with somebody, in person",
    "call-now": "They are on the phone now: use the number the caller gives",
    "clinic-phone": "They call the clinic",
    "survivor-calls": "They call the clinic. Do not call them",
    "safe-contact": "Call this number only",
}
VOICEMAILS = {"none": "No voicemail", "silent": "Hang up without a word", "safe": "Voicemail is safe"}
DAYS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}


@dataclass(frozen=True)
class _Typed:
    """The booking form as it stands: local date and time of the clinic, length, and the chart if there is one yet."""

    day: str
    at: str
    minutes: int = DEFAULT_MINUTES
    chart: str = ""


@blueprint.get("/v/<launch_id>/queue")
def queue(launch_id: str) -> str:
    """Open requests, those that need a person first."""
    services = guards.services()
    items = scheduling.queue(
        services.door, guards.requester(), services.now(), places_per_day=services.site.places_per_day
    )
    return render_template("queue.html", items=items, in_words=contact_in_words, when=_when)


@blueprint.get("/v/<launch_id>/queue/<appointment_id>")
def item(launch_id: str, appointment_id: str) -> str:
    """One request, with the day that was asked for and its first free half hour already filled in."""
    found, others = _item(appointment_id)
    kept = guards.recall(BOOKED) or {}
    result = kept if kept.get("item") == appointment_id else None
    return _show(found, others, _proposed(found, others), result=result)


@blueprint.post("/v/<launch_id>/queue/<appointment_id>")
def decide(launch_id: str, appointment_id: str) -> Response | str:
    """Book, or decline with a reason from the list."""
    services = guards.services()
    reference = f"Appointment/{appointment_id}"
    if request.form.get("step") == "decline":
        reason = request.form.get("reason", "")
        scheduling.decline(services.door, guards.requester(), reference, reason, services.now())
        return redirect(url_for("schedule.queue", launch_id=launch_id), 303)
    typed = _parse()
    try:
        start = _instant(typed)
        result = scheduling.book(
            services.door,
            services.ehr,
            guards.requester(),
            reference,
            start,
            start + timedelta(minutes=typed.minutes),
            typed.chart or None,
            services.placement,
            services.now(),
        )
    except InvalidError as error:
        page = _show(*_item(appointment_id), typed, problem=error.said)
        return Response(page, error.status, content_type="text/html; charset=utf-8")
    g.followed = reference
    kept = {"item": appointment_id, "place_words": result.place_words, "lines_by_hand": result.lines_by_hand}
    guards.remember(BOOKED, kept)
    return redirect(url_for("schedule.item", launch_id=launch_id, appointment_id=appointment_id), 303)


def contact_in_words(item: QueueItem) -> list[str]:
    """How to reach the person, line by line; nothing that was not given."""
    parts: dict[str, Any] = item.contact
    lines = [MEETS.get(parts.get("meet", ""), "Ask who referred them")]
    number = (parts.get("telecom") or {}).get("value")
    if number:
        lines.append(f"Number: {number}")
        lines.append(VOICEMAILS.get(parts.get("voicemail", "none"), VOICEMAILS["none"]))
        lines.append("Anyone may answer" if parts.get("whoMayAnswer") == "anyone" else "Speak only with this person")
    if parts.get("from") and parts.get("to"):
        days = " ".join(DAYS.get(day, day) for day in parts.get("day", []))
        lines.append(f"Safe hours: {days} {parts['from'][:5]} to {parts['to'][:5]}".replace("  ", " "))
    for key, words in (("sayAs", "Say you are calling from: {}"), ("codeWord", "Word to know each other by: {}")):
        if parts.get(key):
            lines.append(words.format(parts[key]))
    if parts.get("interpreter"):
        lines.append("Needs a trained interpreter")
    return lines


def _show(
    found: QueueItem,
    others: list[QueueItem],
    typed: _Typed,
    *,
    problem: str | None = None,
    result: dict[str, Any] | None = None,
) -> str:
    return render_template(
        "queue_item.html",
        item=found,
        item_id=found.appointment_reference.removeprefix("Appointment/"),
        language=found.contact.get("language"),
        contact=contact_in_words(found),
        when=_when,
        form=typed,
        minutes=MINUTES,
        reasons={code: REASONS[code] for code in scheduling.DECLINE_REASONS},
        problem=problem,
        result=result,
        same_time=[other for other in others if found.meets(other)],
    )


def _item(appointment_id: str) -> tuple[QueueItem, list[QueueItem]]:
    services = guards.services()
    reference = f"Appointment/{appointment_id}"
    return scheduling.item_of(services.door, guards.requester(), reference, services.now())


def _proposed(found: QueueItem, others: list[QueueItem]) -> _Typed:
    """The first half hour that no other visit of this list takes, on the day that was asked for; on the next open day
    once that has passed (R37)."""
    services = guards.services()
    calendar, now = services.site.calendar, services.now()
    zone = ZoneInfo(calendar.time_zone)
    if found.due_on is not None and datetime.combine(found.due_on, calendar.opens, zone) > now:
        day = found.due_on
    else:
        day = next_open_day(calendar, now).on
    taken = [other.booked_for for other in others if other.booked_for is not None]
    return _Typed(day.isoformat(), f"{first_free(calendar, day, taken):%H:%M}")


def _parse() -> _Typed:
    minutes = request.form.get("minutes", "")
    return _Typed(
        day=request.form.get("day", ""),
        at=request.form.get("at", ""),
        minutes=int(minutes) if minutes in map(str, MINUTES) else DEFAULT_MINUTES,
        chart=request.form.get("chart", "").strip(),
    )


def _instant(typed: _Typed) -> datetime:
    """Local date and time of the clinic as UTC. Raises ``InvalidError``."""
    zone = ZoneInfo(guards.services().site.time_zone)
    try:
        local = datetime.combine(date.fromisoformat(typed.day), time.fromisoformat(typed.at))
    except ValueError:
        raise InvalidError("Write the day and the time of the visit.") from None
    return local.replace(tzinfo=zone).astimezone(UTC)


def _when(found: QueueItem) -> str:
    """ "Wed 25 Nov, 08:00" for a booked visit, else the day that was asked for."""
    if found.is_booked and found.start:
        local = datetime.fromisoformat(found.start).astimezone(ZoneInfo(guards.services().site.time_zone))
        return f"{local:%a %d %b, %H:%M}"
    return f"{found.due_on:%a %d %b}" if found.due_on else "no day given"
