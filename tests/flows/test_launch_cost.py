"""What one launch asks of the database and of the EHR, counted. Time is measured by ``make bench``, on a quiet machine;
a count is the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event

from smart_app.app import create_app
from smart_app.demo import Place
from smart_app.settings import load
from smart_app.tour.sandboxes import SandboxEhr

STEPS = ("launch", "callback", "first page")


@dataclass
class Counted:
    """What this process did while it answered one request."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    sent: list[str] = field(default_factory=list)


class Meter:
    """Counts while a request is under way, and nothing of what the test itself asks the EHR."""

    def __init__(self) -> None:
        self._now: Counted | None = None

    @contextmanager
    def request(self) -> Iterator[Counted]:
        self._now = Counted()
        yield self._now
        self._now = None

    def statement(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if self._now is not None:
            self._now.statements.append(statement)

    def commit(self, _connection: Any) -> None:
        if self._now is not None:
            self._now.commits += 1

    def http(self, request: requests.PreparedRequest) -> None:
        if self._now is not None:
            kind = urlsplit(request.url or "").path.split("/")[3]  # "/b/fhir/Patient/x"
            self._now.sent.append(f"{request.method} {kind}")


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    made, send = Meter(), HTTPAdapter.send

    def counted(self: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        made.http(request)
        return send(self, request, **how)

    monkeypatch.setattr(HTTPAdapter, "send", counted)
    monkeypatch.setattr("launch.store.CLEAR_SECONDS", 3600)  # what is cleared now and then is not a launch's own cost
    listeners = (("before_cursor_execute", made.statement), ("commit", made.commit))
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    yield made
    for name, listener in listeners:
        event.remove(Engine, name, listener)


def launched(browser: FlaskClient, meter: Meter, launch_url: str) -> dict[str, Counted]:
    """One launch to the first page, through the sandbox EHR."""
    counted, address = {}, launch_url
    for step in STEPS:
        with meter.request() as counted[step]:
            answer = browser.get(address.removeprefix(f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"))
        if step == "launch":
            page = answer.get_data(as_text=True)
            members = {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page)}
            action = unescape(re.findall(r'<form[^>]* action="(http[^"]+)"', page)[0])
            at_ehr = requests.post(action, data=members, allow_redirects=False, timeout=30)
            address = at_ehr.headers["Location"]
        else:
            address = answer.headers.get("Location", "")
    assert answer.status_code == 200
    return counted


def test_a_launch_asks_no_more_of_database_and_ehr_than_it_needs(demo: Place, ehr: SandboxEhr, meter: Meter) -> None:
    """From the click to the first page: so many statements, so many commits, four requests to the EHR, no more.

    Discovery and keys are fetched once for many launches; visit, patient and the person who signs in are announced in
    one commit and concluded in one. Break: leave out the cache in ``Discovery._document``, or let ``guards.patient``
    read them by themselves.
    """
    app = create_app(load(demo.config))
    for _ in range(2):  # the first fetches what all others use
        counted = launched(app.test_client(), meter, ehr.launch_url("b", "dr-lee", "p-dana"))
    assert {step: one.sent for step, one in counted.items()} == {
        "launch": [],
        "callback": ["POST token"],
        "first page": ["GET Encounter", "GET Patient", "GET Practitioner"],
    }
    asked = {step: (len(one.statements), one.commits) for step, one in counted.items()}
    assert asked == {"launch": (6, 1), "callback": (9, 2), "first page": (16, 4)}
