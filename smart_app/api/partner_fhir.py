"""The FHIR API for programs: refer somebody to us, read what became of it, write back inside a release.

What is not in the CapabilityStatement is refused with constant bytes before any look-up: other paths, methods, query
parameters. A view parses, calls one workflow, renders. Addresses come from ``public_base_url``, never from Host.
"""

from __future__ import annotations

import json
from datetime import date
from importlib import metadata
from typing import Any

import structlog
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from fhir_profiles.capability_statement import capability_statement
from fhir_profiles.operation_outcome import operation_outcome, outcome
from fhir_profiles.referral_bundle import COUNTS
from fhir_profiles.task_moves import task_moves
from fhir_profiles.task_searchset import task_searchset
from fhir_profiles.validation import LimitError, parse
from launch.errors import BearerError, TooManyCallsError
from smart_app import guards
from smart_app.errors import AppError, InvalidError, NothingToShowError, PreconditionMissingError, RefusedError
from smart_app.policy import leaving, task_patch, task_search
from smart_app.ports import Payload
from smart_app.workflows import capacity, inbound, partner_tasks, release, status_update

LOG = structlog.get_logger()

FHIR_JSON = "application/fhir+json"
ACCEPTED_TYPES = frozenset({FHIR_JSON, "application/json"})
EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PUBLISHED_ON = date(2026, 11, 24)
# One person, one request, one Task and the sender's release are in every referral; the rest only sometimes.
NEEDED_TYPES = tuple(kind for kind, (low, _high) in COUNTS.items() if low)

NOT_FOUND = outcome("not-found")
FORBIDDEN = outcome("forbidden")
THROTTLED = outcome("throttled")
UNLISTED = outcome("not-supported")
RECEIVED = outcome("informational", "Received.", severity="information")
IN_ORDER = outcome("informational", "No problem was found.", severity="information")

blueprint = Blueprint("partner_fhir", __name__, url_prefix="/fhir")
metadata_blueprint = Blueprint("partner_metadata", __name__, url_prefix="/fhir")
guards.protect(blueprint, guards.require_partner)
guards.protect(metadata_blueprint, guards.public)


@blueprint.before_request
def refuse_the_unlisted() -> Response | None:
    """No HEAD is offered, and parameters for the search of one's own Tasks alone."""
    is_search = request.endpoint == f"{blueprint.name}.{search_tasks.__name__}"
    return _answer(UNLISTED, 400) if (request.query_string and not is_search) or request.method == "HEAD" else None


@metadata_blueprint.get("/metadata", provide_automatic_options=False)
def read_metadata() -> Response:
    """What is offered here; public, for any origin."""
    services = guards.services()
    statement = capability_statement(
        public_base_url=services.public_base_url,
        software_name=services.product_name,
        software_version=_version(),
        published_on=PUBLISHED_ON,
    )
    return _answer(statement, 200, {"Access-Control-Allow-Origin": "*"})


@blueprint.post("", provide_automatic_options=False)
def receive_referral() -> Response:
    """One referral bundle: 202 for a new one, 200 for the same again, the same bytes for known and unknown people."""
    for kind in NEEDED_TYPES:
        guards.require_scope(f"system/{kind}.c")
    body, payload = _body()
    if _names_type(payload, "Appointment"):
        guards.require_scope("system/Appointment.c")
    services = guards.services()
    answer = inbound.accept(
        services.door,
        guards.requester(),
        guards.partner(),
        payload,
        body,
        services.site,
        services.now(),
        services.public_base_url,
    )
    g.followed = f"Task/{answer.task_id}"  # only the demo's Follow the data looks at it
    return _answer(RECEIVED, answer.status, {"Location": answer.location})


@blueprint.post("/Bundle/$validate", provide_automatic_options=False)
def validate_referral() -> Response:
    """Is this referral in order? Asked as a POST of it would be, and neither kept nor looked up. R4 answers 200."""
    for kind in NEEDED_TYPES:
        guards.require_scope(f"system/{kind}.c")
    _, payload = _body()
    services = guards.services()
    issues = inbound.problems(payload, guards.requester().user_reference, services.site, services.now())
    return _answer(operation_outcome(issues) if issues else IN_ORDER, 200)


@blueprint.post("/Consent", provide_automatic_options=False)
def receive_release() -> Response:
    """Release B for one Task of ours."""
    guards.require_scope("system/Consent.c")
    _, payload = _body()
    services = guards.services()
    stored = release.record_from_partner(
        services.door,
        guards.requester(),
        payload,
        services.now(),
        our_organization=services.site.organization_reference,
        public_base_url=services.public_base_url,
    )
    location = f"{services.public_base_url}/fhir/{stored.reference}"
    return _resource(stored.payload, "release-consent", {"Location": location}, status=201)


@blueprint.get("/Task", provide_automatic_options=False)
def search_tasks() -> Response:
    """The Tasks of this program, by what it may see of them. Another parameter or value is refused unread."""
    guards.require_scope("system/Task.s")
    query = task_search.read(list(request.args.items(multi=True)))
    if query is None:
        return _answer(UNLISTED, 400)
    services = guards.services()
    now = services.now()
    page = partner_tasks.search(services.door, guards.requester(), query, now)
    tasks = [shown.payload for shown in page.tasks]
    if any(not _is_in_order(task, "referral-task") for task in tasks):
        return _answer(outcome("exception"), 500)
    made = task_searchset(
        tasks,
        base=f"{services.public_base_url}/fhir",
        total=page.total,
        at=now,
        query=query.as_text(after=query.after),
        next_query=None if page.is_last else query.as_text(after=str(tasks[-1]["id"])),
    )
    return _answer(made, 200)


@blueprint.get("/Task/<task_id>", provide_automatic_options=False)
def read_task(task_id: str) -> Response:
    """A Task of this program."""
    guards.require_scope("system/Task.r")
    services = guards.services()
    with services.door.open_for(guards.requester(), services.now()) as work:
        shown = inbound.task_for_partner(work, task_id)
    return _resource(shown.payload, "referral-task", {"ETag": shown.etag})


@blueprint.put("/Task/<task_id>", provide_automatic_options=False)
def update_task(task_id: str) -> Response:
    """Status back, inside release B and its tier."""
    guards.require_scope("system/Task.u")
    if_match = _if_match()
    _, payload = _body()
    services = guards.services()
    updated = status_update.update_from_partner(
        services.door, guards.requester(), task_id, payload, if_match, services.now()
    )
    return _resource(updated.payload, "referral-task", {"ETag": updated.etag})


@blueprint.patch("/Task/<task_id>", provide_automatic_options=False)
def patch_task(task_id: str) -> Response:
    """The same by JSON Patch of what this program may read."""
    guards.require_scope("system/Task.u")
    if_match = _if_match()
    if request.mimetype != task_patch.MEDIA_TYPE:
        raise LimitError(415, "not-supported", f"Send {task_patch.MEDIA_TYPE}.")
    try:
        steps = task_patch.read(request.get_data(cache=False))
    except task_patch.PatchError as error:
        raise InvalidError(issues=[error.issue]) from None
    services = guards.services()
    updated = status_update.patch_from_partner(
        services.door, guards.requester(), task_id, steps, if_match, services.now()
    )
    return _resource(updated.payload, "referral-task", {"ETag": updated.etag})


@blueprint.get("/Task/<task_id>/$status", provide_automatic_options=False)
@blueprint.post("/Task/<task_id>/$status", provide_automatic_options=False)
def task_status(task_id: str) -> Response:
    """Where a Task of this program stands, and which moves its release allows now."""
    guards.require_scope("system/Task.r")
    services = guards.services()
    moves = partner_tasks.moves_now(services.door, guards.requester(), task_id, services.now())
    made = task_moves(
        status=moves.status,
        tier=moves.tier.value,
        moves=moves.statuses,
        business_statuses=moves.business_codes,
        may_write_output=moves.may_write_output,
    )
    return _answer(made, 200, {"ETag": moves.etag})


@blueprint.get("/HealthcareService/<service_id>", provide_automatic_options=False)
def read_service(service_id: str) -> Response:
    """This program's own entry in the directory."""
    guards.require_scope("system/HealthcareService.r")
    shown = capacity.service_of(guards.partner(), service_id)
    return _resource(shown.payload, capacity.PROFILE, {"ETag": shown.etag})


@blueprint.put("/HealthcareService/<service_id>", provide_automatic_options=False)
def update_service(service_id: str) -> Response:
    """Room today, or none."""
    guards.require_scope("system/HealthcareService.u")
    if_match = _if_match()
    _, payload = _body()
    shown = capacity.update(guards.services().directory, guards.partner(), service_id, payload, if_match)
    return _resource(shown.payload, capacity.PROFILE, {"ETag": shown.etag})


@blueprint.get("/ServiceRequest/<request_id>", provide_automatic_options=False)
def read_service_request(request_id: str) -> Response:
    """A ServiceRequest of this program."""
    guards.require_scope("system/ServiceRequest.r")
    services = guards.services()
    with services.door.open_for(guards.requester(), services.now()) as work:
        shown = inbound.service_request_for_partner(work, request_id)
    # Without its safe contact, which ended, it is no referral any more, only a ServiceRequest.
    held_to = "referral-service-request" if "extension" in shown.payload else "ServiceRequest"
    return _resource(shown.payload, held_to, {"ETag": shown.etag})


@blueprint.get("/Appointment/<appointment_id>", provide_automatic_options=False)
def read_appointment(appointment_id: str) -> Response:
    """Day and time of a visit, inside release A."""
    guards.require_scope("system/Appointment.r")
    services = guards.services()
    with services.door.open_for(guards.requester(), services.now()) as work:
        shown = inbound.appointment_for_partner(work, appointment_id)
    return _resource(shown.payload, "proposed-appointment", {"ETag": shown.etag})


@blueprint.route("", methods=EVERY_METHOD, provide_automatic_options=False)
@blueprint.route("/", methods=EVERY_METHOD, provide_automatic_options=False)
@blueprint.route("/<path:rest>", methods=EVERY_METHOD, provide_automatic_options=False)
def unlisted(rest: str = "") -> Response:
    """Everything else."""
    return _answer(UNLISTED, 400)


@blueprint.errorhandler(AppError)
def show_app_error(error: AppError) -> Response:
    """Our refusals. Denied, absent and refused are constant bytes; the rest names schema paths, never a value."""
    if isinstance(error, NothingToShowError):
        return _answer(NOT_FOUND, error.status)
    if isinstance(error, RefusedError):
        return _answer(FORBIDDEN, error.status)
    if isinstance(error, InvalidError) and error.issues:
        return _answer(operation_outcome(error.issues), error.status)
    return _answer(outcome(error.code, error.said), error.status)


@blueprint.errorhandler(BearerError)
def show_bearer_error(error: BearerError) -> Response:
    """401: no token that lives. 403: it does not reach this far."""
    code = "login" if error.status == 401 else "forbidden"
    return _answer(outcome(code), error.status, {"WWW-Authenticate": error.www_authenticate})


@blueprint.errorhandler(TooManyCallsError)
def show_too_many_calls(error: TooManyCallsError) -> Response:
    """429, whoever calls and whatever was asked."""
    return _answer(THROTTLED, error.status, {"Retry-After": str(error.retry_after_seconds)})


@blueprint.errorhandler(LimitError)
def show_limit_error(error: LimitError) -> Response:
    """Too large, too deep, or no JSON object."""
    return _answer(outcome(error.code, error.text), error.status)


@blueprint.errorhandler(HTTPException)
def show_http_error(error: HTTPException) -> Response:
    """What the server itself refused, a body beyond the limit above all."""
    return _answer(outcome("too-long" if error.code == 413 else "invalid"), error.code or 400)


@blueprint.errorhandler(Exception)
def show_unexpected(error: Exception) -> Response:
    """A defect of ours: the log gets its class and nothing else."""
    LOG.error("unexpected", error=type(error).__name__)
    return _answer(outcome("exception"), 500)


def _body() -> tuple[bytes, Payload]:
    """The body and its JSON object. Raises ``LimitError``."""
    if request.mimetype not in ACCEPTED_TYPES:
        raise LimitError(415, "not-supported", f"Send {FHIR_JSON}.")
    body = request.get_data(cache=False)
    return body, parse(body)


def _if_match() -> str:
    """The version that the caller read. Raises ``PreconditionMissingError``."""
    if_match = request.headers.get("If-Match")
    if not if_match:
        raise PreconditionMissingError
    return if_match


def _names_type(payload: Payload, kind: str) -> bool:
    entries = payload.get("entry")
    resources = (
        [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    return any(isinstance(resource, dict) and resource.get("resourceType") == kind for resource in resources)


def _resource(payload: Payload, held_to: str, headers: dict[str, str], *, status: int = 200) -> Response:
    """A resource of ours, held to its profile before it leaves: an invalid one is a defect, told and not sent."""
    return _answer(payload, status, headers) if _is_in_order(payload, held_to) else _answer(outcome("exception"), 500)


def _is_in_order(payload: Payload, held_to: str) -> bool:
    if leaving.problems(payload, held_to):
        guards.services().alerts.raise_alert(leaving.ALERT, reference=f"{payload['resourceType']}/{payload['id']}")
        return False
    return True


def _answer(payload: Payload, status: int, headers: dict[str, str] | None = None) -> Response:
    """FHIR JSON that nobody may keep, and that belongs to one caller alone."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, default=_number)
    made = Response(text.encode(), status, content_type=FHIR_JSON)
    made.headers.update({"Cache-Control": "no-store", "Vary": "Authorization", **(headers or {})})
    return made


def _number(value: Any) -> float:
    return float(value)


def _version() -> str:
    try:
        return metadata.version("warm-referral")
    except metadata.PackageNotFoundError:
        return "0"
