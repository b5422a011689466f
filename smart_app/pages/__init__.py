"""Pages: parse, call one workflow, render. Each file is one blueprint with its guard named in it."""

from __future__ import annotations

from flask import Flask

from smart_app import guards


def register(app: Flask) -> None:
    """Put every page on ``app``; call after ``guards.install``. Follow the data comes only where there is a demo."""
    from smart_app.pages import (
        audit_trail,
        chart,
        decisions,
        disclosure,
        education,
        ehr_colors,
        follow_the_data,
        follow_up,
        frame,
        holds,
        launch_check,
        left_out,
        partnership,
        patient_copy,
        phones,
        privacy,
        problems,
        referral,
        registrations,
        schedule,
    )

    frame.install(app)
    problems.install(app)
    for page in (
        audit_trail,
        decisions,
        disclosure,
        education,
        ehr_colors,
        follow_up,
        holds,
        launch_check,
        left_out,
        partnership,
        patient_copy,
        phones,
        privacy,
        referral,
        registrations,
        schedule,
    ):
        app.register_blueprint(page.blueprint)
    for blueprint in (chart.entry, chart.chart, phones.in_launch):
        app.register_blueprint(blueprint)
    with app.app_context():
        is_demo = guards.services().demo is not None
    if is_demo:
        app.register_blueprint(follow_the_data.blueprint)
