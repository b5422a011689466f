"""Two cards for every patient: one tap, a count of the clinic and of nobody (R2: open at any time)."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.workflows import education

blueprint = Blueprint("education", __name__)
guards.protect(blueprint, guards.require_clinician_or_contact)

WORDS = {
    "taken": "They took the cards",
    "offered": "Offered, not taken",
    "not-safe-to-carry": "Not safe to carry",
    "shown-only": "Only looked at together",
}


@blueprint.get("/v/<launch_id>/cards")
def cards(launch_id: str) -> str:
    """Say what became of the cards, or see that it was counted for this launch."""
    done = guards.recall("cards")
    return render_template("cards.html", outcomes=WORDS.items(), done=done, done_words=WORDS.get(done or "", ""))


@blueprint.post("/v/<launch_id>/cards")
def count(launch_id: str) -> Response:
    """Count once per launch; pressing again changes nothing."""
    if guards.recall("cards") is None:
        services = guards.services()
        outcome = request.form.get("outcome", "")
        education.record(services.door, guards.requester(), outcome, services.now())
        guards.remember("cards", outcome)
        guards.ask_as_before_a_record()
    return redirect(url_for("education.cards", launch_id=launch_id), 303)


@blueprint.get("/v/<launch_id>/cards/read")
def read(launch_id: str) -> str:
    """The public text of both cards, in the patient's language first."""
    services = guards.services()
    now = services.now()
    open_partners = [p for p in services.directory.partners() if services.mou_gate.is_open(p.partner_id, now)]
    return render_template(
        "cards_read.html",
        language=guards.patient().language if guards.may_read_patient() else "en",
        local_phone=open_partners[0].phone if open_partners else None,
    )
