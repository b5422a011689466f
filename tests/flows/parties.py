"""Those who take part besides the tour's own: a program's system with its key, a hand at a page, the vault on disk."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from joserfc import jwk, jwt
from sqlalchemy import text

from launch.sandbox.program_messages import SENDERS, Referral, referral_bundle
from smart_app.demo import Place
from smart_app.foundation import lay_foundation
from smart_app.gateways import audit_log
from smart_app.gateways.engine import make_engine
from smart_app.settings import load
from smart_app.tour import flows
from smart_app.tour.browser import Browser, Form, Page
from smart_app.tour.checks import Checks
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram

SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus system/Appointment.cr"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TIMEOUT_SECONDS = 20
Payload = dict[str, Any]


@dataclass
class Played:
    """What one run of the flows said, and in what it differed from what it should be."""

    said: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


class Plays:
    """Flows 1 to 3 at an EHR for one chart; at EHR a flow 4 too, with the visit booked for that chart. Each chart's
    are played once, the first time a test asks for them."""

    def __init__(self, ehr: SandboxEhr, program: SandboxProgram) -> None:
        self._ehr, self._program = ehr, program
        self._played: dict[tuple[str, str], Played] = {}

    def of(self, base: str, patient: str) -> Played:
        if (base, patient) not in self._played:
            played = self._played[base, patient] = Played()
            checks = Checks(played.said.append, played.differences)
            clinician = flows.launch(checks, self._ehr, base, patient)
            flows.record_disclosure(checks, self._ehr, clinician)
            flows.send_referral(checks, self._ehr, self._program, clinician)
            if base == "a":
                flows.receive_referral(checks, self._ehr, self._program, chart=patient)
                flows.observe_as_others(checks, self._ehr, base, patient)
        return self._played[base, patient]


class ProgramSystem:
    """Harbor's computer with Harbor's key: it may send any bytes it likes."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._token, self._ends_at = "", 0.0

    def bundle(self, alias: str = "Robin", phone: str | None = "555-0142", *, tells_time: bool = False) -> Payload:
        """A referral as Harbor writes it."""
        return referral_bundle(SENDERS["harbor"], Referral(alias, phone, tells_time=tells_time), datetime.now(UTC))

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """One request to the clinic's FHIR address; ``path`` is "" for a referral."""
        sent = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/fhir+json", **(headers or {})}
        url = f"{self._place.app_url}/fhir{path}"
        return requests.request(method, url, data=body, headers=sent, timeout=TIMEOUT_SECONDS, allow_redirects=False)

    def post(self, payload: Payload | bytes, path: str = "") -> requests.Response:
        """POST a payload, or bytes as they are."""
        return self.send("POST", path, payload if isinstance(payload, bytes) else json.dumps(payload).encode())

    def token(self) -> str:
        """A token with all scopes of a program, kept for four minutes."""
        if time.monotonic() > self._ends_at:
            key = jwk.import_key(json.loads((self._place.directory / "program-keys.json").read_text())["harbor"])
            now, url = int(time.time()), f"{self._place.app_url}/token"
            claims = {"iss": "harbor-system", "sub": "harbor-system", "aud": url, "iat": now, "exp": now + 240}
            header = {"alg": "ES384", "kid": key.kid, "typ": "JWT"}
            signed = jwt.encode(header, {**claims, "jti": str(uuid.uuid4())}, key, algorithms=["ES384"])
            form = {"grant_type": "client_credentials", "scope": SCOPES, "client_assertion": signed}
            form["client_assertion_type"] = ASSERTION_TYPE
            answer = requests.post(url, data=form, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            self._token, self._ends_at = answer.json()["access_token"], time.monotonic() + 240
        return self._token


class Vault:
    """The app's database as whoever holds the disk finds it, and its audit chain."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._engine = make_engine(place.database_url, tenant_id="hc1")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read only."""
        with self._engine.execution_options(is_read_only=True).connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def counts(self) -> Counter[str]:
        """How many: rows of each table that holds something about people, resources by type, cases by kind."""
        found: Counter[str] = Counter()
        for table in ("vault_case", "vault_key", "vault_resource", "vault_receipt", "delivery"):
            found[table] = self.rows(f"SELECT count(*) FROM {table}")[0][0]
        for kind, total in self.rows("SELECT resource_type, count(*) FROM vault_resource WHERE is_current GROUP BY 1"):
            found[kind] = total
        return found

    def run(self, statement: str) -> None:
        """Change something behind the app's back, as time would."""
        with self._engine.begin() as connection:
            connection.execute(text(statement))

    def audit_holds(self) -> bool:
        """Every row of the audit log follows the one before."""
        base = lay_foundation(load(self._place.config))
        return audit_log.verify(self._engine, base.cipher).holds

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


@dataclass
class Desk:
    """Somebody of the staff with an open launch; ``page`` is what they see now."""

    browser: Browser
    page: Page

    @property
    def home(self) -> str:
        """Address of the launch's first page."""
        before, _, after = self.page.url.partition("/v/")
        return f"{before}/v/{after.split('/')[0]}/"

    def open(self, path: str = "") -> Page:
        """Go to a page of this launch."""
        self.page = self.browser.get(self.home + path)
        return self.page

    def submit(self, action: str, **values: str) -> Page:
        """Fill the form of the page that leads to ``action``."""
        self.page = self.browser.submit(self.page, self.page.form(action), values)
        return self.page

    def force(self, path: str, **fields: str) -> Page:
        """Send a form that the page does not offer, with its real token: what a curious hand could do."""
        form = Form(self.home + path, "POST", {"csrf_token": csrf_token(self.page), **fields})
        return self.browser.submit(self.page, form)


def sit_down(
    ehr: SandboxEhr,
    base: str,
    user: str,
    patient: str | None,
    *,
    answer: str | None = None,
    with_encounter: bool = True,
) -> Desk:
    """Launch the app; with ``answer`` the privacy question is answered so."""
    browser = Browser()
    desk = Desk(browser, browser.get(ehr.launch_url(base, user, patient, with_encounter=with_encounter)))
    if answer is not None:
        form = desk.page.form("/privacy")
        values = {"answer": answer} if "interpreter" in form.fields else {"answer": answer, "interpreter": "trained"}
        desk.page = browser.submit(desk.page, form, values)
    return desk


def csrf_token(page: Page) -> str:
    """The token of any form of a page."""
    return next(form.fields["csrf_token"] for form in page.forms if "csrf_token" in form.fields)


def case_of(page: Page) -> str:
    """The case id in the address of the page after sending."""
    return page.url.rsplit("/", 1)[1]
