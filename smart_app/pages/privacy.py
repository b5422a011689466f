"""The privacy officer's page: what needs a look. Kinds and opaque references only, never content."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards

blueprint = Blueprint("privacy", __name__)
guards.protect(blueprint, guards.require_privacy_officer)

WORDS = {
    "vault-row-not-trusted": "An item could not be trusted and was not shown",
    "ehr-write-refused": "The EHR did not take a copy; nothing else was written",
    "ehr-write-labels-lost": "The EHR changed the labels or the content of a copy; it was taken back",
    "ehr-write-unknown": "It is not known whether the EHR kept a copy",
    "outbound-not-valid": "Something of ours was not in order and did not leave: tell IT, it is a defect",
    "delivery-delayed": "A message to a program is late: somebody should call them",
    "delivery-failed": "A message to a program was not delivered: somebody has to call them",
    "recall-by-phone": "A patient took a referral back, and the program may have it: somebody has to call them",
    "audit-anchor-not-written": "How far the audit log reaches could not be noted outside the database: tell IT",
    "crossing-without-outcome": "It is not known how a call to an EHR or a program ended: look there",
    "ehr-proof-over": "The dated check of an EHR is no longer valid: nothing is copied there until IT runs it again",
    "ehr-proof-drifted": "An EHR altered a copy: no other is written there until IT runs its dated check again",
    "contact-match": "Somebody who may be a contact of the patient was held: look at the people held",
    "ehr-copy-still-there": "A copy may still be in the EHR: look, and have it removed",
}


@blueprint.get("/v/<launch_id>/alerts")
def alerts(launch_id: str) -> str:
    """Everything nobody has looked at yet."""
    return render_template("alerts.html", alerts=guards.services().alerts.open_alerts(), words=WORDS)


@blueprint.post("/v/<launch_id>/alerts")
def close(launch_id: str) -> Response:
    """Somebody has looked: one tap. Closing twice changes nothing."""
    guards.services().alerts.close_alert(request.form.get("alert", ""))
    return redirect(url_for("privacy.alerts", launch_id=launch_id), 303)
