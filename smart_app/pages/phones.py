"""The phone list and the neutral front page: open to anyone, with network, partners and EHR down too (R40)."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from smart_app import guards, privacy_question

blueprint = Blueprint("phones", __name__)
guards.protect(blueprint, guards.public)
in_launch = Blueprint("phones_in_launch", __name__)
guards.protect(in_launch, guards.require_member)


@blueprint.get("/")
def front() -> str:
    """Where Hide leads, and what a stranger sees."""
    return render_template("front.html")


@blueprint.get("/phones")
def directory() -> str:
    """Numbers with neutral names; ``?names=1`` because somebody asked for the organizations' own names."""
    return _list(shows_names="names" in request.args, names_url="/phones?names=1")


@in_launch.get("/v/<launch_id>/phones")
def launched_directory(launch_id: str) -> str:
    """The same list inside a launch: full names once the privacy question is answered, or when asked for."""
    is_open = guards.launch().patient_id is not None and privacy_question.is_attested()
    return _list(shows_names=is_open or "names" in request.args, names_url=f"/v/{launch_id}/phones?names=1")


def _list(*, shows_names: bool, names_url: str) -> str:
    return render_template("phones.html", shows_names=shows_names, names_url=names_url)
