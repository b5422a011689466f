"""The privacy officer's page about people who may be a contact of a patient: one tap releases (R24)."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.workflows import holds

blueprint = Blueprint("holds", __name__)
guards.protect(blueprint, guards.require_privacy_officer)

KINDS = {
    "phone": "the same phone",
    "street": "the same street address",
    "name-and-more": "the same name and one more fact",
}


@blueprint.get("/v/<launch_id>/held")
def held(launch_id: str) -> str:
    """Who waits. Ids and the kind of match, never the number or the address."""
    services = guards.services()
    found = holds.waiting(services.door, guards.requester(), services.now())
    return render_template("held.html", held=found, words=KINDS)


@blueprint.post("/v/<launch_id>/held")
def release(launch_id: str) -> Response:
    """This person may open this chart here from now on."""
    services = guards.services()
    holds.release(services.door, guards.requester(), request.form.get("hold", ""), services.now())
    return redirect(url_for("holds.held", launch_id=launch_id), 303)
