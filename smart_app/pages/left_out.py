"""Whom the patient leaves out: staff by the EHR's own list, family by name. After the privacy question only (R22)."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards, privacy_question
from smart_app.errors import EhrUnavailableError, InvalidError
from smart_app.workflows import exclusion

blueprint = Blueprint("left_out", __name__)
guards.protect(blueprint, guards.require_clinician)

FOUND = "staff-found"  # the last search of this launch, sealed with it: names never stand in an address


@blueprint.get("/v/<launch_id>/people")
def people(launch_id: str) -> Response | str:
    """Who is left out, as far as this person may see it, and how to add somebody."""
    if not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    services = guards.services()
    return render_template(
        "people.html",
        listed=exclusion.listed(services.door, guards.requester(), services.now()),
        found=guards.recall(FOUND),
    )


@blueprint.post("/v/<launch_id>/people/find")
def find(launch_id: str) -> Response:
    """Ask the EHR who works here under that name."""
    privacy_question.require_private_moment()
    services, name = guards.services(), request.form.get("name", "").strip()[: exclusion.MOST_LETTERS]
    if not name:
        raise InvalidError("Write a name, or part of it.", rule="R22")
    try:
        guards.remember(FOUND, services.ehr.find_staff(guards.requester(), name, services.now()))
    except EhrUnavailableError:
        guards.remember(FOUND, [])
    return redirect(url_for("left_out.people", launch_id=launch_id), 303)


@blueprint.post("/v/<launch_id>/people/staff")
def leave_out_staff(launch_id: str) -> Response:
    """One of those found, or a staff id that IT gave."""
    privacy_question.require_private_moment()
    services, chosen = guards.services(), request.form.get("reference", "").strip()
    names = dict(guards.recall(FOUND) or [])
    exclusion.leave_out_staff(services.door, guards.requester(), chosen, names.get(chosen, ""), services.now())
    return _done(launch_id)


@blueprint.post("/v/<launch_id>/people/family")
def leave_out_family(launch_id: str) -> Response:
    """By name; a phone number helps to tell them apart."""
    privacy_question.require_private_moment()
    services, form = guards.services(), request.form
    exclusion.leave_out_family(
        services.door, guards.requester(), form.get("name", ""), form.get("phone", ""), services.now()
    )
    return _done(launch_id)


@blueprint.post("/v/<launch_id>/people/again")
def let_in_again(launch_id: str) -> Response:
    """The patient takes it back."""
    privacy_question.require_private_moment()
    services = guards.services()
    exclusion.let_in_again(services.door, guards.requester(), request.form.get("entry", ""), services.now())
    return _done(launch_id)


def _done(launch_id: str) -> Response:
    guards.remember(FOUND, None)
    return redirect(url_for("left_out.people", launch_id=launch_id), 303)
