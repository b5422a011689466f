"""Each role without a chart has its own page, with real content and no patient (R19, R23, R41)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from smart_app import guards
from smart_app.policy.audit_trail import Disclosure, line_of

OWN = {
    "sched-kim": "queue",
    "coord-ellis": "contacts",
    "officer-grant": "alerts",
    "lead-osei": "agreements",
    "it-raman": "registrations",
}


@pytest.mark.rule("R23")
@pytest.mark.parametrize(("user", "path"), OWN.items())
def test_rule_R23_each_role_gets_its_own_page_and_no_other(enter: Any, user: str, path: str) -> None:
    """A launch without patient opens the role's own page; every other page is not there.

    Break: in schedule.py, protect the blueprint with require_member.
    """
    browser = enter(user, patient=None, encounter=None)
    assert browser.get().headers["Location"].endswith("/" + path)
    for other in {*OWN.values(), "note", "connect", "connect/harbor", "cards", "sent/x", "reason"} - {path}:
        assert browser.get(other).status_code == 404, other


@pytest.mark.rule("R23")
def test_rule_R23_clinicians_need_a_chart(enter: Any, text_of: Any) -> None:
    """A clinician launched without a patient is told to open a chart, and still has the numbers.

    Break: in guards._enter, delete the check of patient_id.
    """
    answer = enter(patient=None).get()
    assert answer.status_code == 403
    assert "Open this from a patient's chart" in text_of(answer)
    assert "1-800-799-7233" in answer.text


@pytest.mark.rule("R23")
def test_rule_R23_accounts_without_a_role_get_nothing(enter: Any, text_of: Any) -> None:
    """A clerk whom nobody gave a role reads what to do, and sees no patient.

    Break: in guards._enter, take "nurse" for an account without a role.
    """
    answer = enter("clerk-dunn").get()
    assert answer.status_code == 403
    assert "no role" in text_of(answer)
    assert "Canary" not in answer.text


def test_the_officer_sees_what_nobody_looked_at(enter: Any, desk: Any, text_of: Any) -> None:
    """Alerts in words, with an opaque reference, closed by one tap."""
    desk.alerts = [SimpleNamespace(alert_id="al-1", kind="vault-row-not-trusted", reference="Observation/ab12")]
    browser = enter("officer-grant", patient=None)
    text = text_of(browser.get("alerts"))
    assert "An item could not be trusted and was not shown" in text
    assert "Observation/ab12" in text
    assert browser.post("alerts", {"alert": "al-1"}).status_code == 303
    assert desk.closed_alerts == ["al-1"]


def test_the_lead_sees_days_left(enter: Any, desk: Any, text_of: Any) -> None:
    """The agreement that ends first is on top; an ended or suspended one says that the channel is closed."""
    made = desk.partners[0]

    def like(name: str, **changes: Any) -> Any:
        return type(made)(**{**vars(made), "partner_id": name, "name": name, **changes})

    desk.partners = [
        made,
        like("Ended", mou_ends_on=date(2026, 11, 1)),
        like("Soon", mou_ends_on=date(2026, 12, 1)),
        like("Stopped", is_suspended=True),
    ]
    text = text_of(enter("lead-osei", patient=None).get("agreements"))
    assert text.index("Ended") < text.index("Soon") < text.index("Harbor Program")
    assert "Open, 7 days left" in text
    assert "Ended: the channel is closed" in text
    assert "Suspended: the channel is closed" in text


@pytest.mark.rule("R41")
def test_rule_R41_it_sees_configuration_and_no_content(enter: Any, text_of: Any, desk: Any) -> None:
    """Issuer, placement and the dates of the proof; no patient, and no reading of the chart.

    Break: in registrations.py, protect the blueprint with require_clinician.
    """
    text = text_of(enter("it-raman", patient=None).get("registrations"))
    for words in ("http://localhost:9000/a/fhir", "holds until 1 Jun 2027", "none: nothing is written", "/callback"):
        assert words in text
    assert desk.patient_reads == 0


@pytest.mark.parametrize(
    ("facts", "is_full"),
    [({}, False), ({"has_capacity": False}, True), ({"full_on": "today"}, True), ({"full_on": "yesterday"}, False)],
)
def test_full_is_full_whichever_way_the_program_said_it(
    enter: Any, text_of: Any, desk: Any, facts: dict[str, Any], is_full: bool
) -> None:
    """By its own system, or by the switch of its inbox for today. Fails when the page asks for one of the two only."""
    client = enter("coord-ellis", patient=None)
    days = {"today": date(2026, 11, 24), "yesterday": date(2026, 11, 23)}
    known = {name: days.get(value, value) for name, value in facts.items()}
    desk.partners[:] = [replace(desk.partners[0], **known)]
    assert ("Full today" in text_of(client.get("contacts"))) is is_full


def test_the_coordinator_sees_whom_to_reach(enter: Any, text_of: Any) -> None:
    """Who answers, when, and what was promised."""
    text = text_of(enter("coord-ellis", patient=None).get("contacts"))
    for words in ("Harbor Program", "555-0142", "Maya", "60 minutes"):
        assert words in text


class _Trail:
    """One line of each kind, and the months that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def lines(self, requester: Any, month: str, now: Any) -> list[Any]:
        self.asked.append(month)
        read = {"at": f"{now.isoformat()}", "who": "Practitioner/dr-lee", "phase": "vault", "action": "read"}
        seen = [{"what": "Observation/ab12/_history/1", "result": "permit", "rule": "D7"}]
        return [line_of(12, {**read, "entities": seen})]

    def disclosures(self, requester: Any, month: str, now: Any) -> list[Any]:
        self.asked.append(month)
        return [Disclosure(now, "Consent/r-1", "harbor", ("Task/t-1",), "delivered", 4)]


def test_the_officer_reads_who_saw_what_and_what_left(enter: Any, app: Any, text_of: Any) -> None:
    """Ids, times and rules of this month, and of the month before by one press; a month that is none is not there."""
    trail = _Trail()
    installed = app.extensions[guards.EXTENSION]
    app.extensions[guards.EXTENSION] = replace(installed, services=replace(installed.services, trail=trail))
    browser = enter("officer-grant", patient=None)
    text = text_of(browser.get("log"))
    assert "Practitioner/dr-lee" in text
    assert "Observation/ab12" in text
    assert "D7" in text
    text = text_of(browser.get("ledger/2026-10"))
    assert "Consent/r-1" in text
    assert "delivered" in text
    assert trail.asked[1] == "2026-10"
    assert "/ledger/2026-09" in browser.get("ledger/2026-10").text
    for wrong in ("log/2026-13", "log/x", "ledger/1999-01"):
        assert browser.get(wrong).status_code == 404
    for other in ("dr-lee", "sched-kim", "lead-osei", "it-raman"):
        assert enter(other).get("log").status_code == 404
