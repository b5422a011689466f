"""What no one decides alone: the privacy officer or the program lead asks, another person confirms. Numbers of records
only, never content."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.office_ports import Person, SecondPerson
from smart_app.policy import retention
from smart_app.workflows import erasure

blueprint = Blueprint("decisions", __name__)
guards.protect(blueprint, guards.require_office)


@blueprint.get("/v/<launch_id>/decisions")
def waiting(launch_id: str) -> str:
    """What waits for a second person, what is held, and how long each kind of record is kept."""
    office, services = _office(), guards.services()
    return render_template(
        "decisions.html",
        asks=office.waiting(_person(), services.now()),
        holds=office.holds(),
        kinds=erasure.KIND_WORDS,
        reasons=erasure.REASONS,
        kept=retention.KINDS,
    )


@blueprint.post("/v/<launch_id>/decisions")
def decide(launch_id: str) -> Response:
    """Ask, confirm, or take back."""
    office, now, form = _office(), guards.services().now(), request.form
    step = form.get("step")
    if step == "confirm":
        office.confirm(_person(), form.get("ask", ""), now)
    elif step == "take-back":
        office.take_back(_person(), form.get("ask", ""), now)
    else:
        kind, _, reason = form.get("what", "").partition(" ")
        erasure.ask(office, _person(), kind, form.get("subject", ""), reason, now)
    return redirect(url_for("decisions.waiting", launch_id=launch_id), 303)


def _person() -> Person:
    launch = guards.launch()
    return Person(launch.fhir_user, launch.registration_id, launch.launch_id, guards.site_role())


def _office() -> SecondPerson:
    office = guards.services().office
    if office is None:
        raise NothingToShowError
    return office
