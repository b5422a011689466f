"""The machine-facing surface: the FHIR API for programs, and one line for a load balancer."""

from __future__ import annotations

from flask import Blueprint, Flask


def register(app: Flask) -> tuple[Blueprint, ...]:
    """Put the API on ``app``; call after ``guards.install``. Returns the blueprints: they take bearer tokens or
    nothing, never a cookie, so they need no CSRF token."""
    from smart_app.api import health, partner_fhir

    blueprints = (partner_fhir.blueprint, partner_fhir.metadata_blueprint, health.blueprint)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return blueprints
