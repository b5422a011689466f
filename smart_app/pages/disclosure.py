"""The protected note: one tap, no kind required, and plain words on where it lives and why."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from fhir_profiles.disclosure_observation import KINDS
from smart_app import guards, privacy_question
from smart_app.errors import ConflictError
from smart_app.policy import minors, placement
from smart_app.workflows import disclosure

blueprint = Blueprint("disclosure", __name__)
guards.protect(blueprint, guards.require_clinician)

WORDS = dict(
    zip(
        KINDS,
        (
            "Do not note a kind",
            "Abuse by a partner or ex-partner",
            "Sexual violence, by anyone",
            "Stalking",
            "Trafficking",
            "Abuse of an older person",
        ),
        strict=True,
    )
)
ONCE, SAVED = "note-once", "note-saved"


@dataclass(frozen=True)
class _Saved:
    """What the page after saving says; kept sealed with the launch, so that reloading saves nothing again."""

    once: str
    case_id: str
    place_words: tuple[str, ...]
    lines_by_hand: tuple[str, ...]


@blueprint.get("/v/<launch_id>/note")
def form(launch_id: str) -> Response | str:
    """The form; its one button has the focus. Before the privacy question it leads back to the first page (R2)."""
    if not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    if _needs_reason():
        return redirect(url_for("chart.ask_reason", launch_id=launch_id, step="note"), 303)
    if _is_minor():
        return render_template("locked.html", words="Notes are off for this patient", next_step=minors.LOCKED_WORDS)
    guards.remember(ONCE, once := str(uuid.uuid4()))
    decision = _placement(wants_copy=True)
    return render_template(
        "note.html",
        once=once,
        kinds=WORDS.items(),
        may_copy=decision.has_ehr_copy,
        reason=decision.reason,
        ehr_name=_ehr_name(),
    )


@blueprint.post("/v/<launch_id>/note")
def save(launch_id: str) -> Response:
    """Save once. A form sent twice shows what the first one saved; a form of an older page is refused (attack 10)."""
    privacy_question.require_attested()
    once, saved = request.form.get("once", ""), guards.recall(SAVED)
    if saved is None or saved["once"] != once:
        if not once or guards.recall(ONCE) != once:
            raise ConflictError("This page was opened again elsewhere. Nothing was saved. Open the note once more.")
        guards.remember(SAVED, asdict(_record(once)))
    return redirect(url_for("disclosure.saved", launch_id=launch_id), 303)


@blueprint.get("/v/<launch_id>/note/saved")
def saved(launch_id: str) -> Response | str:
    """Where the note lives now, and why."""
    kept = guards.recall(SAVED)
    if kept is None or not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    is_demo = guards.services().demo is not None
    return render_template(
        "note_saved.html", saved=kept, follow_url=f"/follow?item={kept['case_id']}" if is_demo else None
    )


def _record(once: str) -> _Saved:
    services = guards.services()
    wanted = disclosure.DisclosureForm(
        kind=request.form.get("kind", KINDS[0]),
        wants_ehr_copy=request.form.get("wants_ehr_copy") == "yes",
        once=once,
    )
    result = disclosure.record(
        services.door, services.ehr, guards.requester(), wanted, services.placement, services.now()
    )
    g.followed = result.reference
    return _Saved(
        once,
        result.case_id,
        result.place_words,
        result.lines_by_hand,
    )


def _placement(*, wants_copy: bool) -> placement.PlacementDecision:
    services, launch = guards.services(), guards.launch()
    return placement.decide(
        services.placement,
        registration_id=launch.registration_id,
        resource_type="Observation",
        patient_id=launch.patient_id or "",
        patient_wants_ehr_copy=wants_copy,
        today=services.now().date(),
    )


def _ehr_name() -> str:
    registration = guards.services().placement.registrations.get(guards.launch().registration_id)
    return registration.ehr_name if registration else "this EHR"


def _needs_reason() -> bool:
    return guards.launch().encounter_id is None and guards.recall(guards.REASON_WITHOUT_ENCOUNTER) is None


def _is_minor() -> bool:
    return minors.is_locked(guards.patient().birth_date, guards.services().now().date())
