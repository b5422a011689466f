"""What no one decides alone: the privacy officer or the program lead asks, another person confirms. Numbers of records
only, never content."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards, office
from smart_app.policy import retention
from smart_app.workflows import erasure

blueprint = Blueprint("decisions", __name__)
guards.protect(blueprint, guards.require_office)


@blueprint.get("/v/<launch_id>/decisions")
def waiting(launch_id: str) -> str:
    """What waits for a second person, what is held, and how long each kind of record is kept."""
    desk, services = office.desk(), guards.services()
    return render_template(
        "decisions.html",
        asks=desk.waiting(office.person(), services.now()),
        holds=desk.holds(),
        kinds=erasure.KIND_WORDS,
        reasons=erasure.REASONS,
        kept=retention.KINDS,
    )


@blueprint.post("/v/<launch_id>/decisions")
def decide(launch_id: str) -> Response:
    """Ask, confirm, or take back."""
    desk, now, form = office.desk(), guards.services().now(), request.form
    step = form.get("step")
    if step == "confirm":
        desk.confirm(office.person(), form.get("ask", ""), now)
    elif step == "take-back":
        desk.take_back(office.person(), form.get("ask", ""), now)
    else:
        kind, _, reason = form.get("what", "").partition(" ")
        erasure.ask(desk, office.person(), kind, form.get("subject", ""), reason, now)
    return redirect(url_for("decisions.waiting", launch_id=launch_id), 303)
