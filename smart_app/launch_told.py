"""What a launch tells about itself: what the EHR granted, and who the person is by which rule. For staff and IT."""

from __future__ import annotations

from flask import request

from launch import scopes
from launch.context import LaunchContext
from launch.launch_lines import Line, RoleTold, launch_lines
from launch.scopes import Shortfall
from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.policy.site_role import role_for
from smart_app.settings import Settings


def limits() -> tuple[Shortfall, ...]:
    """What does not work in this launch because the EHR granted less than was asked, in words, and what to ask IT."""
    context = guards.launch()
    ehr = guards.settings().ehr_for(context.registration_id)
    return scopes.shortfalls(
        context.granted_scopes,
        [name for name, place in ehr.placement.items() if place == "ehr-and-vault"],
        has_patient=context.patient_id is not None,
        can_renew=context.can_renew,
    )


def role_by_settings(settings_: Settings, context: LaunchContext) -> RoleTold | None:
    """Role and rule of a launch's person where configuration alone decides; None where the EHR's directory is asked."""
    rules = settings_.ehr_for(context.registration_id).role_rules
    if rules.asks_ehr_about(context.fhir_user):
        return None
    match = role_for(context.fhir_user, (), rules)
    return RoleTold(match.role, match.rule)


def check_lines() -> list[Line]:
    """What came of this launch, line by line, for IT. ``NothingToShowError`` unless the person is the IT admin, or the
    EHR is a test environment and the chart, if any, is a listed test patient's."""
    context = guards.launch()
    ehr = guards.settings().ehr_for(context.registration_id)
    is_test = ehr.is_test and (context.patient_id is None or context.patient_id in ehr.test_patients)
    if guards.site_role() != "it-admin" and not is_test:
        raise NothingToShowError(rule="R41")
    told = RoleTold(guards.site_role(), guards.role_rule())
    registration = guards.settings().registrations.for_id(context.registration_id)
    return launch_lines(context, registration, told, dict(request.headers), guards.services().now())
