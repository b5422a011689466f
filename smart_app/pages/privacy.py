"""The privacy officer's page: what needs a look. Kinds and opaque references only, never content."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards

blueprint = Blueprint("privacy", __name__)
guards.protect(blueprint, guards.require_privacy_officer)


@blueprint.get("/v/<launch_id>/alerts")
def alerts(launch_id: str) -> str:
    """Everything nobody has looked at yet."""
    return render_template("alerts.html", alerts=guards.services().alerts.open_alerts())


@blueprint.post("/v/<launch_id>/alerts")
def close(launch_id: str) -> Response:
    """Somebody has looked: one tap. Closing twice changes nothing."""
    guards.services().alerts.close_alert(request.form.get("alert", ""))
    return redirect(url_for("privacy.alerts", launch_id=launch_id), 303)
