"""Who may ask: one guard per blueprint, run before its views, the open ones too.

A guard turns a launch or a bearer token into the frozen ``Requester`` that the door decides about. Launch guards
look only at the session and at configuration: what they refuse is decided without stored patient data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, current_app, g, request

from launch import scopes
from launch import session as launch_session
from launch.context import LaunchContext
from launch.errors import BearerError, LaunchNotFoundError
from launch.resource_server import PartnerToken, PartnerTokens
from smart_app import contact_watch, foreign_posts
from smart_app.errors import EhrUnavailableError, LockedError, NothingToShowError
from smart_app.glances import Glances
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.patient_glance import PatientGlance, glance
from smart_app.policy.site_role import RoleMatch, role_for
from smart_app.ports import OpenedChart, Partner, Payload, Services
from smart_app.settings import CLINICAL_ROLES, EhrSettings, Settings

Guard = Callable[[], None]
EXTENSION = "warm_referral"

VISIT_IS_OPEN = "visit-is-open"
DIRECTORY_CODES = "directory-codes"
ON_CARE_TEAM = "on-care-team"
CONTACT_MATCH = "contact-match"
REASON_WITHOUT_ENCOUNTER = "reason-without-encounter"
REASONS_WITHOUT_ENCOUNTER = ("phone", "follow-up", "other")

# What a site role is to the decision table. Roles that are not here (program lead, IT admin, coordinator) get no
# requester at all: their pages hold no patient-level item.
TABLE_ROLES: Mapping[str, tuple[Role, Purpose]] = {
    **dict.fromkeys(CLINICAL_ROLES, (Role.CLINICIAN, Purpose.TREAT)),
    "scheduler": (Role.SCHEDULER, Purpose.HOPERAT),
    "privacy-officer": (Role.PRIVACY_OFFICER, Purpose.HCOMPL),
}


@dataclass(frozen=True)
class _Installed:
    services: Services
    settings: Settings
    partner_tokens: PartnerTokens
    guard_by_blueprint: dict[str, Guard]
    glances: Glances


def install(app: Flask, *, services: Services, settings: Settings, partner_tokens: PartnerTokens) -> None:
    """Give this app's guards what they need; called once by ``app.py`` before blueprints are registered."""
    app.extensions[EXTENSION] = _Installed(services, settings, partner_tokens, {}, Glances())
    foreign_posts.install(app, services.public_base_url)


def declare_public(app: Flask, blueprint_name: str) -> None:
    """Write down that a blueprint of ``launch`` is open by nature: nobody has a launch or a token yet there."""
    _installed(app).guard_by_blueprint[blueprint_name] = public


def protect(blueprint: Blueprint, guard: Guard) -> None:
    """Run ``guard`` before every view of ``blueprint``, and write down which one it is for the house test."""
    blueprint.before_request(guard)
    blueprint.record(
        lambda state: _installed(cast(Flask, state.app)).guard_by_blueprint.update({blueprint.name: guard})
    )


def guard_names(app: Flask) -> dict[str, str]:
    """Blueprint name -> guard name, as registered on this app."""
    return {name: guard.__name__ for name, guard in _installed(app).guard_by_blueprint.items()}


# -- guards ------------------------------------------------------------------------------------------------------


def public() -> None:
    """Open to anyone, said aloud."""


def require_member() -> None:
    """Any launch whose ``fhirUser`` has a role here. Clinical roles need a patient in the launch (R23)."""
    _enter()


def require_clinician() -> None:
    """A clinical role, launched from a patient's chart (R23). From here on ``launch().encounter_id`` is a visit that
    is open now, or None. Somebody who may be a contact of the patient stays outside (R24)."""
    require_clinician_or_contact()
    require_no_contact()


def require_clinician_or_contact() -> None:
    """The same for what is open to a contact of the patient too: cards, which say nothing of anybody."""
    _require_role(CLINICAL_ROLES)
    requester()


def require_scheduler() -> None:
    """The scheduler's own pages, by launch without patient."""
    _require_role({"scheduler"})


def require_coordinator() -> None:
    """The coordinator's own pages."""
    _require_role({"coordinator"})


def require_privacy_officer() -> None:
    """The privacy officer's own pages."""
    _require_role({"privacy-officer"})


def require_office() -> None:
    """Whoever asks for or confirms what no one decides alone: the privacy officer and the program lead."""
    _require_role({"privacy-officer", "program-lead"})


def require_program_lead() -> None:
    """The program lead's own pages: agreements, no patient data."""
    _require_role({"program-lead"})


def require_it_admin() -> None:
    """The IT admin's own pages: configuration, no content (R41)."""
    _require_role({"it-admin"})


def require_partner() -> None:
    """A live access token of a partner whose agreement is current now (R19). Raises ``BearerError``, and
    ``TooManyCallsError`` before anything is looked up."""
    installed = _installed(current_app)
    installed.partner_tokens.require_pace(request.remote_addr)
    token = installed.partner_tokens.require_token(cast("Mapping[str, str]", request.headers))
    partner_ = cast("Partner | None", g.pop("client_s_partner", None))
    if partner_ is None or partner_.client_id != token.client_id:
        partner_ = installed.services.directory.partner_of_client(token.client_id)
    if partner_ is None:  # the token's client belongs to no program: the agreement itself was asked with the token
        raise BearerError(401, 'Bearer error="invalid_token"', "no-partner")
    g.partner_token, g.partner = token, partner_
    g.requester = Requester(Role.ADVOCATE, f"Organization/{partner_.partner_id}", Purpose.COC)


# -- what views ask ----------------------------------------------------------------------------------------------


def services() -> Services:
    """The ports of this app; in a launch with the site as it is where that EHR is used."""
    ports = _installed(current_app).services
    site = ports.sites.get(launch().registration_id) if "launch" in g else None
    return ports if site is None else replace(ports, site=site)


def settings() -> Settings:
    """The frozen settings, for pages that show configuration (never a secret)."""
    return _installed(current_app).settings


def launch() -> LaunchContext:
    """The launch of this request's path. Its ``encounter_id`` proves nothing before ``requester`` was asked for, as
    ``require_clinician`` does."""
    return cast(LaunchContext, g.launch)


def site_role() -> str:
    """The role configuration binds to this launch's person, such as "nurse"."""
    return cast(str, g.site_role)


def role_rule() -> str:
    """The rule of config.toml that gave ``site_role``, in words."""
    return cast(str, g.role_rule)


def test_system() -> str | None:
    """The name of the EHR where this is a test environment, for the banner on every page; None in production."""
    ehrs = settings().ehr
    if "registration_id" in g:  # a launch of this EHR, let in or refused
        return next((e.name for e in ehrs if e.id == g.registration_id and e.is_test), None)
    return ehrs[0].name if ehrs and all(e.is_test for e in ehrs) else None


def requester() -> Requester:
    """Who asks. Raises ``NothingToShowError`` for roles that may see no patient-level item."""
    if "requester" not in g:
        if "launch" not in g or site_role() not in TABLE_ROLES:
            raise NothingToShowError(rule="R41")
        if site_role() in CLINICAL_ROLES:
            g.launch = _with_open_visit(launch())
        g.requester = _with_care_team(_as_requester(launch()))
    return cast(Requester, g.requester)


def require_no_contact() -> None:
    """R24: the constant page for whoever may be a contact of the patient, whatever there is, until the privacy officer
    releases it. Compared once per launch. Without a patient or a Practitioner to read there is nothing to compare:
    nobody is held then, and the log has the read that failed."""
    if recall(CONTACT_MATCH) is None and may_read_patient():
        _installed(current_app).glances.drop(launch().launch_id)  # read whole once more: a glance has no contacts
        patient()
    if recall(CONTACT_MATCH) != "held":
        return
    if not contact_watch.is_released(services().door, requester(), services().now()):
        raise NothingToShowError(rule="R24")
    remember(CONTACT_MATCH, "released")
    g.requester = replace(requester(), is_contact=False)


def may_read_patient() -> bool:
    """Whether the EHR lets this launch read whose chart it is."""
    return scopes.covers(launch().granted_scopes, "Patient", "r")


def known_patient() -> PatientGlance | None:
    """Whom this chart is about, if that was read a moment ago; asks no EHR."""
    return _installed(current_app).glances.get(launch().launch_id)


def patient() -> PatientGlance:
    """Whom this chart is about. Raises ``EhrUnavailableError`` when it has to be read and the EHR does not answer, and
    ``LockedError`` when it was not granted: nothing is recorded or sent for somebody this app cannot name."""
    known = known_patient()
    if known is None:
        if not may_read_patient():
            raise LockedError(
                "The EHR does not let this app read whose chart this is, so nothing can be saved or sent here. "
                "Cards and the phone list are open. Ask your IT for patient/Patient.rs.",
                rule="R23",
            )
        now = services().now()
        chart = _chart_just_opened(now)
        read = (chart and chart.patient) or services().ehr.launched_patient(requester(), now)
        _compare(read, chart, now)
        known = glance(read, now.astimezone(ZoneInfo(services().site.time_zone)).date())
        _installed(current_app).glances.put(launch().launch_id, known)
    return known


def ask_as_before_a_record() -> None:
    """Read the chart's Patient once more, as is done before anything is recorded or sent: in the EHR's log every step
    of this app looks the same (attack 5). An EHR that does not answer now stops nobody."""
    if may_read_patient():
        with suppress(EhrUnavailableError):
            services().ehr.launched_patient(requester(), services().now())


def partner() -> Partner:
    """The DSV program whose token this request carries."""
    return cast(Partner, g.partner)


def require_scope(scope: str) -> None:
    """Raises ``BearerError`` 403 before any look-up unless the token covers ``scope`` ("system/Task.u")."""
    _installed(current_app).partner_tokens.require_scope(cast(PartnerToken, g.partner_token), scope)


def remember(key: str, value: Any) -> None:
    """Keep a small value with this launch, sealed on the server."""
    launch_session.remember(launch().launch_id, key, value)


def recall(key: str) -> Any:
    """What ``remember`` kept, or None."""
    return launch_session.recall(launch().launch_id, key)


def reason_without_encounter() -> str | None:
    """One of REASONS_WITHOUT_ENCOUNTER once it was chosen in this launch (R23), else None."""
    chosen = recall(REASON_WITHOUT_ENCOUNTER)
    return chosen if chosen in REASONS_WITHOUT_ENCOUNTER else None


def end_launch() -> None:
    """Hide, exit, idle: the launch ends here and at the EHR; the rest of this request is nobody's."""
    _installed(current_app).glances.drop(launch().launch_id)
    launch_session.end_launch(launch().launch_id)
    for name in ("launch", "site_role", "role_rule", "requester", "registration_id"):
        g.pop(name, None)


# -- inside ------------------------------------------------------------------------------------------------------


def _installed(app: Flask) -> _Installed:
    return cast(_Installed, app.extensions[EXTENSION])


def _require_role(allowed: frozenset[str] | set[str]) -> None:
    _enter()
    if site_role() not in allowed:
        raise NothingToShowError(rule="R23")


def _enter() -> None:
    context = launch_session.current_launch((request.view_args or {}).get("launch_id", ""))
    g.registration_id = context.registration_id
    _require_test_patient(context)
    found = _role_of(context)
    role = found.role
    if role is None:
        raise LockedError(
            "Your EHR account has no role in this app yet. Ask your IT to add it. The phone list is open to you.",
            rule="R23",
        )
    if role in CLINICAL_ROLES and context.patient_id is None:
        raise LockedError("Open this from a patient's chart. The phone list is open to you.", rule="R23")
    g.launch, g.site_role, g.role_rule = context, role, found.rule


def _require_test_patient(context: LaunchContext) -> None:
    """A test environment opens its listed test patients and nobody else, before anything is asked of the EHR (R6)."""
    ehr = _ehr_of(context)
    if ehr.is_test and context.patient_id is not None and context.patient_id not in ehr.test_patients:
        raise LockedError(
            "This EHR is set up here as a test system, and this is not one of its test patients. Nothing was read. "
            "Your IT lists test patients in the settings. The phone list is open to you.",
            rule="R6",
        )


def _role_of(context: LaunchContext) -> RoleMatch:
    """The role of the person and the rule that gives it. The EHR's staff directory is asked only where configuration
    wants it, once per launch; of its answer only codes that configuration names are kept."""
    rules = _ehr_of(context).role_rules
    if not rules.asks_ehr_about(context.fhir_user):
        return role_for(context.fhir_user, (), rules)
    codes = launch_session.recall(context.launch_id, DIRECTORY_CODES)
    if codes is None:
        asker = Requester(
            Role.CLINICIAN,
            context.fhir_user,
            Purpose.TREAT,
            registration_id=context.registration_id,
            launch_id=context.launch_id,
        )
        told = services().ehr.directory_codes(asker, services().now())
        codes = [code for code in rules.by_code if code in told]
        launch_session.remember(context.launch_id, DIRECTORY_CODES, codes)
    return role_for(context.fhir_user, codes, rules)


def _ehr_of(context: LaunchContext) -> EhrSettings:
    """The settings of the launch's EHR. One that was taken out of configuration has no launches any more."""
    try:
        return settings().ehr_for(context.registration_id)
    except KeyError:
        raise LaunchNotFoundError("registration-gone") from None


def _with_open_visit(context: LaunchContext) -> LaunchContext:
    """The launch, without its encounter unless the EHR says that this patient's visit is open now: only then is a
    treating role the care team. Asked once per launch, whatever the person came for (attack 5); of the answer only
    yes or no is kept. An EHR that does not answer counts as no, and is asked again with the next page."""
    if context.encounter_id is None:
        return context
    is_open = recall(VISIT_IS_OPEN)
    if is_open is None:
        try:
            is_open = services().ehr.is_visit_open(_as_requester(context), services().now())
        except EhrUnavailableError:
            return replace(context, encounter_id=None)
        remember(VISIT_IS_OPEN, is_open)
    return context if is_open is True else replace(context, encounter_id=None)


def _compare(read: Payload, chart: OpenedChart | None, now: datetime) -> None:
    """Is the person who signed in a contact of this patient? Of what was read the answer alone is kept (R24)."""
    if site_role() not in CLINICAL_ROLES or recall(CONTACT_MATCH) is not None:
        return
    asks = requester()
    staff = services().ehr.signed_in_staff(asks, now) if chart is None else chart.staff
    state = contact_watch.compare(services().door, asks, staff, read, now)
    remember(CONTACT_MATCH, state)
    g.requester = replace(asks, is_contact=state == "held")


def _chart_just_opened(now: datetime) -> OpenedChart | None:
    """The Patient, read in one go with a visit that was not asked about yet. None where that is not so, or where the
    EHR's CareTeam counts: the log says of each read whether the reader is in it, which is known after the visit."""
    is_plain = site_role() in CLINICAL_ROLES and "ehr-care-team" not in _ehr_of(launch()).care_team_sources
    if not is_plain or "requester" in g or launch().encounter_id is None or recall(VISIT_IS_OPEN) is not None:
        return None
    chart = services().ehr.open_chart(_as_requester(launch()), now)
    if chart.is_visit_open is not None:
        remember(VISIT_IS_OPEN, chart.is_visit_open)
    if chart.patient is None:
        raise EhrUnavailableError(rule="R23")
    return chart


def _treating_source(context: LaunchContext) -> str | None:
    ehr = _ehr_of(context)
    is_treating = "treating-role" in ehr.care_team_sources and site_role() in ehr.treating_roles
    return "treating-role" if is_treating else None


def _with_care_team(asks: Requester) -> Requester:
    """The requester, as care team too where configuration takes the EHR's CareTeam for it and the person is in it.
    Asked once per launch and only during an open visit; an EHR that does not answer counts as no."""
    ehr = settings().ehr_for(asks.registration_id or "")
    if asks.is_treating or asks.encounter_id is None or "ehr-care-team" not in ehr.care_team_sources:
        return asks
    is_member = recall(ON_CARE_TEAM)
    if is_member is None:
        try:
            is_member = services().ehr.is_on_care_team(asks, services().now())
        except EhrUnavailableError:
            return asks
        remember(ON_CARE_TEAM, is_member)
    return replace(asks, is_treating=True, care_team_source="ehr-care-team") if is_member is True else asks


def _as_requester(context: LaunchContext) -> Requester:
    role = site_role()
    table_role, purpose = TABLE_ROLES[role]
    is_clinical = role in CLINICAL_ROLES
    source = _treating_source(context)
    return Requester(
        role=table_role,
        user_reference=context.fhir_user,
        purpose=purpose,
        patient_id=context.patient_id if is_clinical else None,
        encounter_id=context.encounter_id if is_clinical else None,
        registration_id=context.registration_id,
        launch_id=context.launch_id,
        site_role=role,
        is_treating=source is not None,
        care_team_source=source,
        is_contact=is_clinical and recall(CONTACT_MATCH) == "held",
        reason=reason_without_encounter() if is_clinical and context.encounter_id is None else None,
    )
