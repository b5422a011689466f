"""A program's system written from the guide, on requests and joserfc alone: not a line of it is ours.

As a server it hands out tokens to whoever signs with the clinic's published key, takes each referral once, and takes
it back when it is told "cancelled". As a client it refers, polls, posts the survivor's release and reports. ``fault``
makes the server fail in the ways that systems do.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from joserfc import jwk, jwt

FHIR_JSON = "application/fhir+json"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus system/Appointment.cr"
GUIDE, THO = "https://warm-referral.example/fhir", "http://terminology.hl7.org/CodeSystem"
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
Payload = dict[str, Any]


@dataclass
class Item:
    """One referral that arrived, however often."""

    bundle: Payload
    status: str = "requested"
    arrivals: int = 1
    is_late: bool = False  # it arrived again after it was taken back
    told: list[Payload] = field(default_factory=list)

    def part(self, kind: str) -> tuple[str, Payload]:
        """The address and the resource of one type."""
        return next(
            (e["fullUrl"], e["resource"]) for e in self.bundle["entry"] if e["resource"]["resourceType"] == kind
        )


@dataclass
class SecondPartner:
    """``published`` gives the clinic's public keys. ``fault`` is "" or one of the names in ``_Handler``."""

    published: Callable[[], Payload]
    our_id: str = "harbor"
    clinic_id: str = "hc1"
    clinic_client: str = "care-connections"
    fault: str = ""
    faults: list[str] = field(default_factory=list)  # one for each of the next messages, before ``fault`` counts
    today: Callable[[], date] = lambda: datetime.now(UTC).date()
    retry_after: int = 0
    items: dict[str, Item] = field(default_factory=dict)
    unknown: list[Payload] = field(default_factory=list)
    requests_seen: int = 0

    def __post_init__(self) -> None:
        self.key = jwk.ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"}, private=True, auto_kid=True)
        self.lock = threading.RLock()
        self._tokens: dict[str, float] = {}
        self._spent: set[str] = set()
        self._server: ThreadingHTTPServer | None = None

    # -- as a server ---------------------------------------------------------------------------------------------

    def listen(self, port: int = 0) -> None:
        """Open the port, again on the same one after ``close``."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"partner": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def next_fault(self) -> str:
        """What goes wrong with the message that arrives now."""
        with self.lock:
            return self.faults.pop(0) if self.faults else self.fault

    def close(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def grant(self, form: dict[str, list[str]]) -> Payload | None:
        """A token for the clinic's signed assertion, used once; None for anything else."""
        try:
            keys = jwk.KeySet.import_key_set(self.published())
            said = jwt.decode(form["client_assertion"][0], keys, algorithms=["ES384"]).claims
            is_clinic = said["iss"] == said["sub"] == self.clinic_client and said["aud"] == f"{self.origin}/token"
            is_fresh = 0 < said["exp"] - time.time() <= 300 and said["jti"] not in self._spent
        except Exception:
            return None
        if form["grant_type"] != ["client_credentials"] or not (is_clinic and is_fresh):
            return None
        self._spent.add(said["jti"])
        token = secrets.token_urlsafe(16)
        self._tokens[token] = time.time() + 300
        return {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": form["scope"][0]}

    def knows(self, authorization: str) -> bool:
        """Is this one of the tokens given out?"""
        return self._tokens.get(authorization.removeprefix("Bearer "), 0) > time.time()

    def take(self, bundle: Payload) -> tuple[int, Payload]:
        """Keep a referral once; the same again is the same."""
        name = _name(bundle["identifier"])
        with self.lock:
            known = self.items.get(name)
            if known is not None:
                known.arrivals += 1
                known.is_late = known.is_late or bool(known.told)
                return (200, _outcome("informational")) if known.bundle == bundle else (409, _outcome("conflict"))
            item = Item(bundle)
            task, release = item.part("Task")[1], item.part("Consent")[1]
            is_ours = task["owner"]["reference"] == f"Organization/{self.our_id}"
            if not is_ours or task["status"] != "requested" or release["status"] != "active":
                return 422, _outcome("business-rule")
            self.items[name] = item
            return 200, {"resourceType": "Bundle", "type": "transaction-response"}

    def change(self, identifier: str, task: Payload) -> int:
        """A conditional update of a Task that arrived before."""
        with self.lock:
            for item in self.items.values():
                if _name(item.part("Task")[1]["identifier"][0]) == identifier:
                    item.status = task["status"]
                    item.told.append(task)
                    return 200
            self.unknown.append(task)
            return 201

    # -- as a client ---------------------------------------------------------------------------------------------

    def sign_in(self, clinic: str) -> None:
        """Learn the clinic's token endpoint from its address and get a token there."""
        self.clinic = clinic
        found = requests.get(f"{clinic}/.well-known/smart-configuration", timeout=20).json()["token_endpoint"]
        claims = {"iss": f"{self.our_id}-system", "sub": f"{self.our_id}-system", "aud": found}
        claims |= {"exp": int(time.time()) + 240, "jti": secrets.token_urlsafe(16)}
        signed = jwt.encode({"alg": "ES384", "kid": self.key.kid, "typ": "JWT"}, claims, self.key, algorithms=["ES384"])
        form = {"grant_type": "client_credentials", "scope": SCOPES, "client_assertion": signed}
        answer = requests.post(found, data=form | {"client_assertion_type": ASSERTION_TYPE}, timeout=20)
        answer.raise_for_status()
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Content-Type": FHIR_JSON}

    def call(self, method: str, url: str, payload: Payload | None = None, **headers: str) -> requests.Response:
        """One request to the clinic; ``url`` may be relative to its FHIR address."""
        body = None if payload is None else json.dumps(payload)
        return requests.request(
            method, url if "://" in url else self.clinic + url, data=body, headers=self._headers | headers, timeout=20
        )

    def release(self, giver: str, taker: str, patient: str, items: list[str], tier: str) -> Payload:
        """A release signed today for 30 days."""
        today = self.today()
        return {
            "resourceType": "Consent",
            "extension": [{"url": f"{GUIDE}/StructureDefinition/release-signer", "valueCode": "self"}],
            "status": "active",
            "scope": _concept(f"{THO}/consentscope", "patient-privacy"),
            "category": [_concept(f"{THO}/v3-ActCode", "IDSCL"), _concept("http://loinc.org", "59284-0")],
            "patient": {"reference": patient},
            "performer": [{"reference": patient}],
            "dateTime": f"{today}",
            "organization": [{"reference": f"Organization/{giver}"}],
            "policy": [{"uri": "https://www.ecfr.gov/current/title-28/section-90.4"}],
            "sourceReference": {
                "type": "DocumentReference",
                "identifier": {"system": "https://second.example/form", "value": str(uuid.uuid4())},
            },
            "provision": {
                "extension": [{"url": f"{GUIDE}/StructureDefinition/release-tier", "valueCode": tier}],
                "type": "permit",
                "period": {"start": f"{today}", "end": f"{today + timedelta(days=30)}"},
                "actor": [
                    {
                        "role": _concept(f"{THO}/v3-ParticipationType", "IRCP"),
                        "reference": {"reference": f"Organization/{taker}"},
                    }
                ],
                "securityLabel": [_coding(f"{THO}/v3-Confidentiality", "V"), _coding(f"{THO}/v3-ActCode", "SDV")],
                "purpose": [_coding(f"{THO}/v3-ActReason", "COC")],
                "data": [{"meaning": "instance", "reference": {"reference": item}} for item in items],
            },
        }

    def referral(self, alias: str, phone: str) -> Payload:
        """A referral to the clinic that also lets it tell day and time back."""
        patient, consent, request, task, back = (f"urn:uuid:{uuid.uuid4()}" for _ in range(5))
        today = self.today()
        us, clinic = {"reference": f"Organization/{self.our_id}"}, {"reference": f"Organization/{self.clinic_id}"}
        contact = [
            {"url": "meet", "valueCode": "safe-contact"},
            {"url": "telecom", "valueContactPoint": {"system": "phone", "value": phone}},
            {"url": "askedOn", "valueDate": f"{today}"},
            {"url": "expiresOn", "valueDate": f"{today + timedelta(days=14)}"},
        ]
        parts = {
            patient: {
                "resourceType": "Patient",
                "identifier": [{"system": "https://second.example/person", "value": str(uuid.uuid4())}],
                "name": [{"use": "anonymous", "given": [alias]}],
                "gender": "unknown",
            },
            consent: self.release(self.our_id, self.clinic_id, patient, [request, task], "appointment"),
            request: {
                "resourceType": "ServiceRequest",
                "extension": [{"url": f"{GUIDE}/StructureDefinition/safe-contact", "extension": contact}],
                "status": "active",
                "intent": "order",
                "category": [
                    _concept("http://snomed.info/sct", "410606002"),
                    _concept(GRAVITY, "sdoh-category-unspecified"),
                ],
                "code": _concept("http://snomed.info/sct", "308440001"),
                "subject": {"reference": patient},
                "authoredOn": f"{today}",
                "requester": us,
                "performer": [clinic],
                "supportingInfo": [{"reference": consent}],
            },
            task: {
                "resourceType": "Task",
                "identifier": [{"system": "https://second.example/task", "value": str(uuid.uuid4())}],
                "status": "requested",
                "intent": "order",
                "code": _concept("http://hl7.org/fhir/CodeSystem/task-code", "fulfill"),
                "focus": {"reference": request},
                "for": {"reference": patient},
                "authoredOn": f"{today}",
                "requester": us,
                "owner": clinic,
                "restriction": {"period": {"end": f"{today + timedelta(days=1)}"}},
            },
            back: self.release(self.clinic_id, self.our_id, patient, [request, task], "appointment"),
        }
        return {
            "resourceType": "Bundle",
            "type": "transaction",
            "identifier": {"system": "https://second.example/bundle", "value": str(uuid.uuid4())},
            "entry": [
                {"fullUrl": url, "request": {"method": "POST", "url": part["resourceType"]}, "resource": part}
                for url, part in parts.items()
            ],
        }


class _Handler(BaseHTTPRequestHandler):
    """``fault``: "slow" (takes it, answers too late), "half-closed" (takes it, ends the line in the middle of the
    answer), "deaf" (ends the line before it reads), "lost" (takes it, then answers 500), or a status such as "503" or
    "429" (does not take it; ``retry_after`` is told)."""

    protocol_version = "HTTP/1.1"
    partner: SecondPartner

    def do_GET(self) -> None:
        if self.path.endswith("/jwks.json"):
            self._answer(200, {"keys": [self.partner.key.as_dict(private=False)]})
        else:
            self._answer(200, {"token_endpoint": f"{self.partner.origin}/token"})

    def do_POST(self) -> None:
        if self.path == "/token":
            granted = self.partner.grant(parse_qs(self._body().decode()))
            self._answer(*((200, granted) if granted else (400, {"error": "invalid_client"})))
        else:
            self._write(lambda body: self.partner.take(body))

    def do_PUT(self) -> None:
        (identifier,) = parse_qs(urlsplit(self.path).query)["identifier"]
        self._write(lambda body: (self.partner.change(identifier, body), {}))

    def _write(self, keep: Callable[[Payload], tuple[int, Payload]]) -> None:
        partner = self.partner
        partner.requests_seen += 1
        fault = partner.next_fault()
        if fault == "deaf":
            self._hang_up()
            return
        body = json.loads(self._body())
        if not partner.knows(self.headers["Authorization"]) or self.headers["Content-Type"] != FHIR_JSON:
            self._answer(401, {})
        elif fault.isdigit():
            self._answer(int(fault), _outcome("transient"))
        else:
            status, answer = keep(body)
            if fault == "slow":
                time.sleep(2)
            elif fault == "half-closed":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
                self._hang_up()
                return
            self._answer(500 if fault == "lost" else status, answer)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, payload: Payload) -> None:
        content = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", FHIR_JSON)
        self.send_header("Content-Length", str(len(content)))
        if status in (429, 503) and self.partner.retry_after:
            self.send_header("Retry-After", str(self.partner.retry_after))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _name(identifier: Payload) -> str:
    return f"{identifier['system']}|{identifier['value']}"


def _coding(system: str, code: str) -> Payload:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> Payload:
    return {"coding": [_coding(system, code)]}


def _outcome(code: str) -> Payload:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def say(words: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    """In a process of its own, to be killed: PORT, and a file with the clinic's public keys. It keeps nothing: what
    arrived is printed, one Bundle identifier a line."""
    port, keys = sys.argv[1:]
    published = json.loads(Path(keys).read_text())
    partner = SecondPartner(lambda: published)
    take = partner.take

    def tell(bundle: Payload) -> tuple[int, Payload]:
        answer = take(bundle)
        say(_name(bundle["identifier"]))
        return answer

    partner.take = tell  # type: ignore[method-assign]
    partner.listen(int(port))
    say("Ready")
    threading.Event().wait()


if __name__ == "__main__":
    main()
