"""The patient's own copy: one person asks, another confirms and gets the file. It is for the patient who is there."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from smart_app import guards, office
from smart_app.office_ports import AskKind
from smart_app.workflows import patient_copy

blueprint = Blueprint("patient_copy", __name__)
guards.protect(blueprint, guards.require_office)

FILE_NAME = "copy.html"  # neutral: it may be seen on a stick or in a list of downloads (R27)


@blueprint.get("/v/<launch_id>/copies")
def waiting(launch_id: str) -> str:
    """What waits for a second person, and the form to ask for a copy."""
    asks = office.desk().waiting(office.person(), guards.services().now())
    return render_template(
        "patient_copy.html",
        asks=[(one, *one.subject.split(" ", 1)) for one in asks if one.kind is AskKind.PATIENT_COPY],
        ehrs={ehr.id: ehr.name for ehr in guards.settings().ehr},
        identities=patient_copy.IDENTITIES,
    )


@blueprint.post("/v/<launch_id>/copies")
def ask(launch_id: str) -> AnyResponse:
    """The first person asks."""
    form = request.form
    patient_copy.ask(
        office.desk(),
        office.person(),
        form.get("ehr", ""),
        form.get("chart", ""),
        form.get("identity", ""),
        guards.services().now(),
        registrations=[ehr.id for ehr in guards.settings().ehr],
    )
    return redirect(url_for("patient_copy.waiting", launch_id=launch_id), 303)


@blueprint.post("/v/<launch_id>/copies/confirm")
def confirm(launch_id: str) -> Response:
    """The second person confirms, and the file comes: once, to a disk and not into this page."""
    services = guards.services()
    made = patient_copy.make(
        office.desk(),
        services.door,
        office.person(),
        request.form.get("ask", ""),
        services.now(),
        has_looked=request.form.get("looked") == "yes",
    )
    text = render_template("patient_copy_file.html", copy=made, made_at=services.now(), site=services.site)
    return Response(text, mimetype="text/html", headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'})
