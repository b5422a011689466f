"""The program lead's page: agreements and the days they have left. No patient data (R19)."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template

from smart_app import guards
from smart_app.ports import Partner

blueprint = Blueprint("partnership", __name__)
guards.protect(blueprint, guards.require_program_lead)

WARN_DAYS = 60


@dataclass(frozen=True)
class _Agreement:
    partner: Partner
    days_left: int
    is_open: bool

    @property
    def words(self) -> str:
        if self.partner.is_suspended:
            return "Suspended: the channel is closed"
        if self.days_left < 0:
            return "Ended: the channel is closed"
        if not self.is_open:
            return "Not started yet"
        return f"Open, {self.days_left} days left"

    @property
    def is_due(self) -> bool:
        return not self.is_open or self.days_left <= WARN_DAYS


@blueprint.get("/v/<launch_id>/agreements")
def agreements(launch_id: str) -> str:
    """Every program, the agreement that ends first on top."""
    services = guards.services()
    now = services.now()
    today = now.astimezone(ZoneInfo(services.site.time_zone)).date()
    rows = [
        _Agreement(p, (p.mou_ends_on - today).days, services.mou_gate.is_open(p.partner_id, now))
        for p in services.directory.partners()
    ]
    return render_template("agreements.html", agreements=sorted(rows, key=lambda row: row.days_left))
