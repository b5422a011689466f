"""The coordinator's page: who to reach at each program, and what each promised. No patient-level item (R23)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Blueprint, render_template

from smart_app import guards

blueprint = Blueprint("follow_up", __name__)
guards.protect(blueprint, guards.require_coordinator)


@blueprint.get("/v/<launch_id>/contacts")
def contacts(launch_id: str) -> str:
    """Programs with a current agreement first."""
    services = guards.services()
    now = services.now()
    partners = [(p, services.mou_gate.is_open(p.partner_id, now)) for p in services.directory.partners()]
    today = now.astimezone(ZoneInfo(services.site.time_zone)).date()
    partners.sort(key=lambda row: (not row[1], row[0].name))
    return render_template("contacts.html", today=today, partners=partners)
