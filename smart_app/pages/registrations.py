"""The IT admin's page: which EHR may receive what, until when its proof holds, and the addresses to register (R41)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template

from smart_app import guards
from smart_app.policy.day_words import day_words
from smart_app.policy.placement import RegistrationPlacement

blueprint = Blueprint("registrations", __name__)
guards.protect(blueprint, guards.require_it_admin)

SOURCES = {"treating-role": "a treating role during the visit", "ehr-care-team": "the EHR's CareTeam during the visit"}
PLACES = {"vault": "in this app only", "ehr-and-vault": "in this app, and a copy in the EHR"}


@dataclass(frozen=True)
class _Registration:
    placement: RegistrationPlacement
    issuer: str
    client_id: str
    frames: tuple[str, ...]
    today: date
    site_words: str
    roles: tuple[str, ...]
    treating: str

    @property
    def places(self) -> dict[str, str]:
        return {kind: PLACES[place] for kind, place in sorted(self.placement.by_type.items())}

    @property
    def proof_words(self) -> str:
        proof = self.placement.proof
        if proof is None:
            return "none: nothing is written to this EHR"
        left = (proof.expires_on - self.today).days
        if proof.has_drifted:
            return "this EHR altered a copy: nothing is written until the probe is run again"
        if proof.voided_on is not None:
            return (
                f"void since {day_words(proof.voided_on)}, the EHR changed: nothing is written until the probe is run"
            )
        if left < 0:
            return f"ended on {day_words(proof.expires_on)}: nothing is written until the probe is run again"
        return f"made on {day_words(proof.made_on)}, holds until {day_words(proof.expires_on)} ({left} days)"


def _by_code(rules: Mapping[str, str]) -> list[str]:
    return [f"whoever the EHR lists as {code}: {role}" for code, role in rules.items()]


@blueprint.get("/v/<launch_id>/registrations")
def overview(launch_id: str) -> str:
    """Every registration. Configuration only: no patient, no content."""
    services, settings = guards.services(), guards.settings()
    today = services.now().astimezone(ZoneInfo(services.site.time_zone)).date()
    rows = [
        _Registration(
            services.placement.registrations[e.id],
            e.issuer,
            e.client_id,
            e.frame_origins,
            today,
            f"{settings.site_for(e.id).name}, {settings.site_for(e.id).time_zone}",
            (*(f"{user}: {role}" for user, role in e.roles.items()), *_by_code(e.practitioner_roles)),
            " or ".join(SOURCES[source] for source in sorted(e.care_team_sources)),
        )
        for e in settings.ehr
    ]
    base = services.public_base_url
    addresses = {
        "Launch URL": f"{base}/launch",
        "Redirect URL": f"{base}/callback",
        "Key set (JWKS)": f"{base}/.well-known/jwks.json",
    }
    return render_template(
        "registrations.html",
        registrations=rows,
        addresses=addresses,
        own_role=guards.site_role(),
        rule=guards.role_rule(),
    )
