"""The EHR's R4 FHIR server: ``/a/fhir`` takes writes and hides labelled content, ``/b/fhir`` is read only.

Order of every request: token (401), supported here (405), scope (403), visible (404), compartment (403), content.
Filtering comes before counting and paging, so a hidden resource leaves no trace in a total, a link or a history.
"""

from __future__ import annotations

import re
import time

from flask import Blueprint, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from launch.sandbox import capability, intake, search
from launch.sandbox.access import Access, security_of, with_kept_labels
from launch.sandbox.addresses import BASES, WRITE_BASES
from launch.sandbox.ehr import Ehr
from launch.sandbox.query import with_query
from launch.sandbox.records import TYPES, WRITABLE_TYPES, Payload, Record, VersionConflictError, patient_of
from launch.sandbox.scopes import parse as parse_scopes
from launch.sandbox.search import Query

FHIR_JSON = "application/fhir+json"
UNRESOLVABLE = "http://foreign.invalid/fhir/Observation?page=2"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_BEARER = re.compile(r"Bearer ([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)
_IF_MATCH = re.compile(r'(?:W/)?"(\d{1,9})"')


class FhirError(Exception):
    """An answer that is an OperationOutcome."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers or {}


NOT_FOUND = (404, "not-found", "Not found")


def outcome(code: str, text: str) -> Payload:
    """An OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}


def answer(payload: Payload | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A FHIR answer; never cached."""
    made = jsonify(payload) if payload is not None else Response(b"")
    made.status_code = status
    made.headers["Content-Type"] = f"{FHIR_JSON}; charset=utf-8"
    made.headers["Cache-Control"] = "no-store"
    made.headers.update(headers or {})
    return made


def blueprint(ehr: Ehr) -> Blueprint:
    """The FHIR routes of both bases."""
    routes = Blueprint("fhir", __name__, url_prefix="/<any(a, b):base>/fhir")
    server = FhirServer(ehr)

    @routes.before_request
    def before() -> Response | None:
        return server.before(request.view_args["base"] if request.view_args else "")

    @routes.after_request
    def after(made: Response) -> Response:
        return server.record(made)

    @routes.errorhandler(FhirError)
    def refused(error: FhirError) -> Response:
        return server.refusal(error.status, error.code, error.text, error.headers)

    @routes.errorhandler(intake.IntakeError)
    def not_stored(error: intake.IntakeError) -> Response:
        return server.refusal(error.status, error.code, error.text)

    @routes.errorhandler(search.SearchError)
    def not_searched(error: search.SearchError) -> Response:
        return server.refusal(400, "not-supported", str(error))

    @routes.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return server.refusal(error.code or 400, "not-supported", "This is not supported here")

    @routes.get("/metadata")
    def metadata(base: str) -> Response:
        if ehr.knobs["metadata"] == "not-found":
            raise FhirError(*NOT_FOUND)
        made = answer(capability.statement(ehr.addresses, base, ehr.knobs.as_dict()))
        made.headers["Access-Control-Allow-Origin"] = "*"
        return made

    @routes.route("/<resource_type>", methods=["GET", "POST"])
    def of_type(base: str, resource_type: str) -> Response:
        return server.create(resource_type) if request.method == "POST" else server.search(resource_type)

    @routes.post("/<resource_type>/_search")
    def search_by_form(base: str, resource_type: str) -> Response:
        return server.search(resource_type)

    @routes.route("/<resource_type>/<resource_id>", methods=["GET", "PUT", "DELETE"])
    def of_id(base: str, resource_type: str, resource_id: str) -> Response:
        does = {"GET": server.read, "HEAD": server.read, "PUT": server.update, "DELETE": server.delete}
        return does[request.method](resource_type, resource_id)

    @routes.get("/Patient/<patient>/$everything")
    def everything(base: str, patient: str) -> Response:
        return server.everything(patient)

    @routes.get("/<resource_type>/<resource_id>/_history")
    def history(base: str, resource_type: str, resource_id: str) -> Response:
        return server.history(resource_type, resource_id)

    @routes.get("/<resource_type>/<resource_id>/_history/<version>")
    def version_read(base: str, resource_type: str, resource_id: str, version: str) -> Response:
        return server.version_read(resource_type, resource_id, version)

    @routes.route("/", methods=["GET", "POST"])
    @routes.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def anything_else(base: str, rest: str = "") -> Response:
        if request.method == "PATCH":
            raise FhirError(405, "not-supported", "Patch is not supported here", {"Allow": "GET, HEAD, PUT, DELETE"})
        raise FhirError(404, "not-supported", "This is not supported here")

    return routes


class FhirServer:
    """The interactions. The base and the access of the current request live in ``flask.g``."""

    def __init__(self, ehr: Ehr) -> None:
        self.ehr = ehr

    # -- around every request ----------------------------------------------------------------------------------------

    def before(self, base: str) -> Response | None:
        """Check the token and let the switches misbehave."""
        g.base, g.body = base, request.get_data() if (request.content_length or 0) <= intake.MAX_BYTES else b""
        if request.endpoint == "fhir.metadata" and self.ehr.knobs["metadata"] != "needs-token":
            return None
        self._misbehave()
        if "Authorization" not in request.headers and self.ehr.knobs["anonymous_read"] != "refused":
            return self._anonymous_read()
        g.access = self._access()
        accept = request.headers.get("Accept", "*/*")
        if not any(word in accept for word in ("json", "*/*", "application/*")):
            raise FhirError(406, "not-supported", "Only JSON is spoken here")
        return None

    def _misbehave(self) -> None:
        knobs = self.ehr.knobs
        if knobs["slow_seconds"]:
            time.sleep(knobs["slow_seconds"])
        if knobs["too_many_requests"]:
            raise FhirError(429, "throttled", "Too many requests", {"Retry-After": self._retry_after()})
        if knobs["server_error"]:
            raise FhirError(503, "transient", "The service is down", {"Retry-After": self._retry_after()})

    def _anonymous_read(self) -> Response:
        """A server that knows no 401, or one that asks for no token at all (a switch)."""
        if self.ehr.knobs["anonymous_read"] == "forbidden":
            raise FhirError(403, "forbidden", "The access token does not allow this")
        return answer({"resourceType": "Patient", "id": "anybody"})

    def _retry_after(self) -> str:
        seconds = self.ehr.knobs["retry_after_seconds"]
        return http_date(self.ehr.now() + seconds) if self.ehr.knobs["retry_after_as_date"] else str(int(seconds))

    def refusal(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> Response:
        """An OperationOutcome; or, by a switch, nothing at all, or bare words."""
        bodies = self.ehr.knobs["error_bodies"]
        if bodies == "text":
            made = Response(text, status, mimetype="text/plain")
            made.headers.update(headers or {})
            return made
        return answer(outcome(code, text) if bodies == "outcome" else None, status, headers)

    def _access(self) -> Access:
        header = request.headers.get("Authorization")
        realm = f'Bearer realm="{self.ehr.addresses.fhir(g.base)}"'
        if header is None:
            challenge = {} if self.ehr.knobs["without_challenge"] else {"WWW-Authenticate": realm}
            raise FhirError(401, "login", "An access token is needed", challenge)
        found = _BEARER.fullmatch(header)
        token = self.ehr.grants.live_token(g.base, found[1]) if found else None
        if token is None:
            raise FhirError(
                401, "login", "The access token is not valid", {"WWW-Authenticate": f'{realm}, error="invalid_token"'}
            )
        return Access(
            base=g.base, client_id=token.client_id, kind=token.kind, user=token.user,
            role=self.ehr.role_of(token.user), patient=token.patient, scopes=parse_scopes(token.scope),
            access_hash=token.access_hash,
        )  # fmt: skip

    def record(self, made: Response) -> Response:
        """Keep every write as received, with the answer's status and address, for the control port."""
        if request.method not in ("GET", "HEAD", "OPTIONS") and not request.path.endswith("/_search"):
            self.ehr.writes.append(
                {
                    "base": getattr(g, "base", ""),
                    "method": request.method,
                    "path": request.path,
                    "status": made.status_code,
                    "location": made.headers.get("Location"),
                    "body": getattr(g, "body", b"").decode("utf-8", "replace"),
                }
            )
        return made

    # -- decisions ---------------------------------------------------------------------------------------------------

    def _require(self, permission: str, resource_type: str) -> None:
        """404 for a type that is not here, 405 where it cannot be written, 403 without the scope."""
        if resource_type not in TYPES:
            raise FhirError(404, "not-supported", "This type is not supported here")
        if permission in "cud" and (g.base not in WRITE_BASES or resource_type not in WRITABLE_TYPES):
            raise FhirError(405, "not-supported", "This type is read only here", {"Allow": "GET, HEAD"})
        if not g.access.scopes_for(permission, resource_type):
            self._forbid()

    def _forbid(self) -> None:
        realm = f'Bearer realm="{self.ehr.addresses.fhir(g.base)}", error="insufficient_scope"'
        raise FhirError(403, "forbidden", "The access token does not allow this", {"WWW-Authenticate": realm})

    def _found(self, permission: str, resource_type: str, resource_id: str) -> Record:
        """The visible, live resource of that id inside the compartment."""
        self._require(permission, resource_type)
        record = self.ehr.records[g.base].current(resource_type, resource_id) if _ID.fullmatch(resource_id) else None
        if record is None or not self.ehr.is_visible(g.access, record):
            raise FhirError(*NOT_FOUND)
        if not g.access.reaches(permission, record.payload, record.patient):
            self._forbid()
        return record

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, resource_type: str, resource_id: str) -> Response:
        """The current version."""
        record = self._found("r", resource_type, resource_id)
        if record.is_deleted:
            raise FhirError(410, "deleted", "Deleted")
        if self.ehr.knobs["redirect_reads"]:
            return answer(None, 302, {"Location": UNRESOLVABLE})
        query = search.parse(resource_type, list(request.args.items(multi=True)))
        return answer(search.shown(query, record.payload), 200, _version_headers(record))

    def version_read(self, resource_type: str, resource_id: str, version: str) -> Response:
        """One version."""
        self._found("r", resource_type, resource_id)
        for record in self.ehr.records[g.base].versions(resource_type, resource_id):
            if str(record.version) == version:
                if record.is_deleted:
                    raise FhirError(410, "deleted", "Deleted")
                return answer(record.payload, 200, _version_headers(record))
        raise FhirError(*NOT_FOUND)

    def history(self, resource_type: str, resource_id: str) -> Response:
        """All versions, newest first."""
        self._found("r", resource_type, resource_id)
        versions = self.ehr.records[g.base].versions(resource_type, resource_id)
        entries = [_history_entry(self._full_url(record), record) for record in versions]
        return answer({"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries})

    def search(self, resource_type: str) -> Response:
        """A page of matches. What the token may not see is taken out before anything is counted."""
        self._require("s", resource_type)
        pairs = [(name, value) for name, value in request.args.items(multi=True)]
        if request.method == "POST":
            pairs += [(name, value) for name, value in request.form.items(multi=True)]
        query = search.parse(resource_type, pairs)
        found = search.ordered(query, self._searched(resource_type, query))
        first = max(query.offset - 1, 0) if self.ehr.knobs["repeat_ids"] else query.offset
        page = [] if query.is_count_only else found[first : query.offset + query.count]
        bundle: Payload = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        bundle["link"] = self._links(resource_type, pairs, query, len(found))
        entries = [self._entry(record, search.shown(query, record.payload), "match") for record in page]
        entries += [self._entry(record, record.payload, "include") for record in self._included(query, page)]
        if entries:
            bundle["entry"] = entries
        return answer(bundle)

    def _searched(self, resource_type: str, query: Query) -> list[Record]:
        access: Access = g.access
        usable = access.scopes_for("s", resource_type)
        patient_bound = all(scope.context == "patient" for scope in usable)
        if patient_bound and search.patient_named(query, resource_type) - {access.patient}:
            self._forbid()
        records = self.ehr.records[g.base].every(resource_type, access.patient if patient_bound else None)
        return [
            record
            for record in records
            if search.matches(query, record)
            and access.reaches("s", record.payload, record.patient)
            and self.ehr.is_visible(access, record)
        ]

    def _entry(self, record: Record, payload: Payload, mode: str) -> Payload:
        return {"fullUrl": self._full_url(record), "resource": payload, "search": {"mode": mode}}

    def _included(self, query: Query, page: list[Record]) -> list[Record]:
        """What the matches refer to, as far as the token could read it by itself."""
        references = dict.fromkeys(one for record in page for one in search.included(query, record.payload))
        found = [self._readable(*reference.split("/")[:2]) for reference in references if "/" in reference]
        return [record for record in found if record is not None]

    def _readable(self, resource_type: str, resource_id: str) -> Record | None:
        record = self.ehr.records[g.base].current(resource_type, resource_id)
        if record is None or record.is_deleted or not self.ehr.is_visible(g.access, record):
            return None
        return record if g.access.reaches("r", record.payload, record.patient) else None

    def everything(self, patient: str) -> Response:
        """``$everything``: the patient and the whole compartment, as far as this token may see it."""
        self._found("r", "Patient", patient)
        records = [record for name in TYPES for record in self.ehr.records[g.base].every(name, patient)]
        entries = [
            self._entry(record, record.payload, "match") for record in records if self._readable(record.type, record.id)
        ]
        return answer({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})

    def _links(
        self, resource_type: str, pairs: list[tuple[str, str]], query: Query, total: int
    ) -> list[dict[str, str]]:
        """Self and next, both inside this base unless a switch says otherwise."""
        url = f"{self.ehr.addresses.fhir(g.base)}/{resource_type}"
        kept = [(name, value) for name, value in pairs if name not in ("_offset", "_count")]

        def link(offset: int) -> str:
            return with_query(url, [*kept, ("_count", str(query.count)), ("_offset", str(offset))])

        links = [{"relation": "self", "url": link(query.offset)}]
        foreign = self.ehr.knobs["foreign_next"]
        if foreign:
            links.append({"relation": "next", "url": UNRESOLVABLE if foreign is True else str(foreign)})
        elif query.count and not query.is_count_only and query.offset + query.count < total:
            links.append({"relation": "next", "url": link(query.offset + query.count)})
        return links

    def _full_url(self, record: Record) -> str:
        return f"{self.ehr.addresses.fhir(g.base)}/{record.type}/{record.id}"

    # -- writing -----------------------------------------------------------------------------------------------------

    def _received(self, resource_type: str) -> Payload:
        if (request.content_length or 0) > intake.MAX_BYTES:
            raise intake.IntakeError(413, "too-long", "the body is larger than 1 MB")
        if request.mimetype not in (FHIR_JSON, "application/json"):
            raise FhirError(415, "not-supported", "Only JSON is accepted")
        payload = intake.parsed(g.body)
        intake.check(payload, resource_type, self.ehr.records[g.base])
        return payload

    def create(self, resource_type: str) -> Response:
        """Store a new resource under an id of ours; what the client put in ``id`` is not used."""
        self._require("c", resource_type)
        refused = self.ehr.knobs["refuse_create"].get(resource_type)
        if refused:
            raise FhirError(refused, "business-rule", "This create is not accepted here")
        if "If-None-Exist" in request.headers:
            raise FhirError(412, "not-supported", "Conditional create is not supported")
        payload = self._received(resource_type)
        if not g.access.reaches("c", payload, patient_of(payload)):
            self._forbid()
        if self.ehr.knobs["strip_labels"]:
            payload = _without_labels(payload)
        record = self.ehr.records[g.base].create({key: value for key, value in payload.items() if key != "id"})
        if self.ehr.knobs["empty_create"]:
            return answer(None, 201, {"Location": f"{record.type}/{record.id}"})
        location = f"{self._full_url(record)}/_history/{record.version}"
        return self._written(record, 201, {"Location": location})

    def update(self, resource_type: str, resource_id: str) -> Response:
        """Store the next version. Labels that were there stay, unless a switch says otherwise."""
        current = self._found("u", resource_type, resource_id)
        if current.is_deleted:
            raise FhirError(*NOT_FOUND)
        payload = self._received(resource_type)
        if payload.get("id") != resource_id:
            raise FhirError(400, "invalid", "id and the URL differ")
        if patient_of(payload) != current.patient or not g.access.reaches("u", payload, patient_of(payload)):
            self._forbid()
        expected = _expected_version(current)
        if not self.ehr.knobs["strip_labels_on_update"]:
            payload = with_kept_labels(payload, current.payload)
        try:
            record = self.ehr.records[g.base].update(payload, resource_id, expected)
        except VersionConflictError as error:
            raise FhirError(self.ehr.knobs["stale_status"], "conflict", "That is not the current version") from error
        return self._written(record, 200, {})

    def delete(self, resource_type: str, resource_id: str) -> Response:
        """Mark deleted; deleting twice is fine."""
        current = self._found("d", resource_type, resource_id)
        if not current.is_deleted:
            self.ehr.records[g.base].delete(current)
        return answer(None, 204)

    def _written(self, record: Record, status: int, headers: dict[str, str]) -> Response:
        """The body that ``Prefer`` asks for: representation, OperationOutcome, or nothing."""
        headers |= _version_headers(record)
        wish = request.headers.get("Prefer", "")
        if "return=representation" in wish:
            return answer(record.payload, status, headers)
        if "return=OperationOutcome" in wish:
            issue = {"severity": "information", "code": "informational", "diagnostics": "Stored"}
            return answer({"resourceType": "OperationOutcome", "issue": [issue]}, status, headers)
        return answer(None, status, headers)


def _expected_version(current: Record) -> int:
    """The version named by If-Match; the current one when the header is absent."""
    header = request.headers.get("If-Match")
    if header is None:
        return current.version
    found = _IF_MATCH.fullmatch(header.strip())
    if found is None:
        raise FhirError(400, "invalid", "If-Match could not be read")
    return int(found[1])


def _version_headers(record: Record) -> dict[str, str]:
    return {"ETag": f'W/"{record.version}"'}


def _history_entry(full_url: str, record: Record) -> Payload:
    method = "DELETE" if record.is_deleted else ("POST" if record.version == 1 else "PUT")
    entry: Payload = {
        "fullUrl": full_url,
        "request": {"method": method, "url": record.type if method == "POST" else f"{record.type}/{record.id}"},
        "response": {
            "status": {"DELETE": "204", "POST": "201", "PUT": "200"}[method],
            "etag": f'W/"{record.version}"',
            "lastModified": record.updated_at,
        },
    }
    if not record.is_deleted:
        entry["resource"] = record.payload
    return entry


def _without_labels(payload: Payload) -> Payload:
    if not security_of(payload):
        return payload
    meta = {name: value for name, value in payload["meta"].items() if name != "security"}
    return {**payload, "meta": meta}


assert BASES == ("a", "b"), "the route converter above names the bases"
