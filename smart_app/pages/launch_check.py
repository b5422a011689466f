"""What came of this launch, for whoever sets the EHR up: context, scopes, role and its rule, cookie, frame."""

from __future__ import annotations

from flask import Blueprint, render_template

from smart_app import guards, launch_told

blueprint = Blueprint("launch_check", __name__)
guards.protect(blueprint, guards.require_member)


@blueprint.get("/v/<launch_id>/check")
def lines(launch_id: str) -> str:
    """The same lines that ``doctor --watch`` prints. No token, no name; for the IT admin or a listed test patient."""
    return render_template("launch_check.html", lines=launch_told.check_lines())
