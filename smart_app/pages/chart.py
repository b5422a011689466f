"""The way in for people with a launch: the neutral first page, the privacy question, and Hide.

Two blueprints: ``entry`` for anyone who has a role here, ``chart`` for clinicians launched from a patient's chart.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards, privacy_question
from smart_app.errors import InvalidError
from smart_app.policy import minors
from smart_app.policy.patient_glance import PatientGlance
from smart_app.ports import PatientKey
from smart_app.workflows import referral

entry = Blueprint("entry", __name__)
guards.protect(entry, guards.require_member)
chart = Blueprint("chart", __name__)
guards.protect(chart, guards.require_clinician)

# Where each role without a chart begins. Paths are neutral (R27).
OWN_PAGES = {
    "scheduler": "schedule.queue",
    "coordinator": "follow_up.contacts",
    "privacy-officer": "privacy.alerts",
    "program-lead": "partnership.agreements",
    "it-admin": "registrations.overview",
}
INTERPRETERS = (("none", "We speak the same language"), ("trained", "Trained interpreter"))
NEXT_STEPS = {"connect": "referral.choose", "note": "disclosure.form"}


@entry.get("/v/<launch_id>/", strict_slashes=False)  # no redirect: it would go to whatever the Host header says
def home(launch_id: str) -> Response | str:
    """The role's own first page; for clinicians the privacy question, then what would help."""
    own = OWN_PAGES.get(guards.site_role())
    if own is not None:
        return redirect(url_for(own, launch_id=launch_id), 303)
    if not guards.may_read_patient():
        return render_template("limited.html")
    patient = guards.patient()
    guards.require_no_contact()
    if privacy_question.is_attested():
        return _steps(patient)
    return render_template(
        "home.html",
        was_closed=privacy_question.attestation() is not None,
        language=patient.language,
        interpreters=INTERPRETERS,
    )


@entry.post("/v/<launch_id>/leave")
def leave(launch_id: str) -> Response | str:
    """Hide: the launch ends here and at the EHR; the answer is an empty page with a neutral title (R28)."""
    guards.end_launch()
    return render_template("blank.html")


@chart.post("/v/<launch_id>/privacy")
def answer_privacy(launch_id: str) -> Response:
    """One tap: the limits were said, the interpreter is trained, and the patient is … (R2)."""
    answer = request.form.get("answer", "")
    interpreter = request.form.get("interpreter", "")
    if answer in privacy_question.OPEN_ANSWERS and interpreter not in dict(INTERPRETERS):
        raise InvalidError("Say first who interprets: same language, or a trained interpreter.", rule="R2")
    privacy_question.attest(answer, limits_said=request.form.get("limits_said") == "yes", interpreter=interpreter)
    return redirect(url_for("entry.home", launch_id=launch_id), 303)


@chart.get("/v/<launch_id>/reason")
def ask_reason(launch_id: str) -> str:
    """No visit is open in the chart: why are we here (R23)?"""
    step = request.args.get("step", "connect")
    return render_template("reason.html", step=step if step in NEXT_STEPS else "connect")


@chart.post("/v/<launch_id>/reason")
def give_reason(launch_id: str) -> Response:
    """Keep the reason with this launch and go where the person was going."""
    reason, step = request.form.get("reason", ""), request.form.get("step", "")
    if reason not in guards.REASONS_WITHOUT_ENCOUNTER or step not in NEXT_STEPS:
        raise InvalidError("Choose phone, follow-up or other.", rule="R23")
    guards.remember(guards.REASON_WITHOUT_ENCOUNTER, reason)
    return redirect(url_for(NEXT_STEPS[step], launch_id=launch_id), 303)


@chart.post("/v/<launch_id>/decline")
def decline(launch_id: str) -> Response:
    """One tap, no reason, not asked again this visit, kept with this launch only (R39)."""
    if guards.recall("declined") is None:
        guards.remember("declined", True)
        guards.ask_as_before_a_record()
    return redirect(url_for("entry.home", launch_id=launch_id), 303)


def _steps(patient: PatientGlance) -> str:
    services = guards.services()
    requester = guards.requester()
    items: list[tuple[referral.ReferralStatus, str]] = []
    if requester.patient_id is not None and requester.registration_id is not None:
        key = PatientKey(requester.registration_id, requester.patient_id)
        names = {p.partner_id: p.name for p in services.directory.partners()}
        found = referral.for_chart(services.door, requester, key, services.now())
        items = [(status, names.get(status.partner_id, "A program")) for status in found]
    is_locked = minors.is_locked(patient.birth_date, _today())
    return render_template(
        "steps.html",
        lock_words=minors.LOCKED_WORDS if is_locked else None,
        declined=bool(guards.recall("declined")),
        cards_done=guards.recall("cards") is not None,
        items=items,
    )


def _today() -> date:
    services = guards.services()
    return services.now().astimezone(ZoneInfo(services.site.time_zone)).date()
