"""The four flows, through the pages and the wire, for everybody in the sandbox and for real input."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
import requests
from parties import Desk, Plays, Vault, case_of, sit_down

from smart_app.demo import Place
from smart_app.tour import flows, play
from smart_app.tour.browser import Browser
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram, bundle_of, resource_in, until

ADULTS = ("p-rosa", "p-dana", "p-marcus", "p-walter")
MINORS = ("p-tess", "p-luz")
OWN_PAGES = {
    "sched-kim": "queue",
    "coord-ellis": "contacts",
    "officer-grant": "alerts",
    "lead-osei": "agreements",
    "it-raman": "registrations",
}
CHART_PAGES = ("note", "connect", "connect/harbor", "cards")


@pytest.mark.parametrize("base", ["a", "b"])
@pytest.mark.parametrize("patient", ADULTS)
def test_all_four_flows_are_as_they_should_be(plays: Plays, base: str, patient: str) -> None:
    """Each grown-up of the sandbox can be helped at either EHR, and every message is what it should be."""
    assert plays.of(base, patient).differences == []


@pytest.mark.parametrize("base", ["a", "b"])
def test_all_four_flows_with_a_synthea_patient(plays: Plays, base: str, synthea_patient: str) -> None:
    """The same path with a record that we did not write."""
    played = plays.of(base, synthea_patient)
    assert played.differences == []
    assert any("DIFFERS" not in line and "the program received one referral" in line for line in played.said)


@pytest.mark.rule("R6")
def test_rule_R06_an_ehr_without_a_proof_receives_nothing(ehr: SandboxEhr, program: SandboxProgram) -> None:
    """At EHR b a note, a referral and a visit write nothing to the EHR; the pages give the lines to enter by hand.

    Break: let ``placement.decide`` return "ehr-and-vault" for every registration that is known.
    """
    before = len(ehr.writes())
    desk = sit_down(ehr, "b", "sw-haddad", "p-marcus", answer="alone")
    form = desk.open("note").form("/note")
    assert form.choices["wants_ehr_copy"] == ["no"]
    saved = desk.force("note", once=form.fields["once"], wants_ehr_copy="yes")  # asked for all the same
    assert "What to chart" in saved.text
    assert "own encrypted store" in saved.text
    _send(desk, "Tallowby")
    assert "What to chart" in desk.page.text
    alias = "Tallowby Visit"
    assert program.refer(alias, "555-0142", tells_time=False)["status"] == 202
    scheduler = sit_down(ehr, "b", "sched-kim", None)
    item = scheduler.browser.get(scheduler.page.links_by_text[alias])
    form = next(form for form in item.forms if "book" in form.choices.get("step", []))
    booked = scheduler.browser.submit(item, form, {"step": "book", "chart": "p-marcus"})
    assert "Enter it by hand" in booked.text
    assert ehr.writes()[before:] == []


@pytest.mark.rule("R31")
@pytest.mark.parametrize("base", ["a", "b"])
@pytest.mark.parametrize("patient", MINORS)
def test_rule_R31_a_minor_gets_cards_and_phones_only(
    ehr: SandboxEhr, program: SandboxProgram, vault: Vault, base: str, patient: str
) -> None:
    """For a child or a teen nothing is noted and nothing is sent, even by a forced form; cards and phones are open.

    Break: let ``minors.is_locked`` return False.
    """
    # What other tests sent has to arrive first, or it would be counted here.
    assert until(lambda: vault.rows("SELECT count(*) FROM delivery WHERE state = 'open'")[0][0] == 0)
    writes, received, before = len(ehr.writes()), len(program.received()), vault.counts()
    desk = sit_down(ehr, base, "nurse-ortiz", patient, answer="alone")
    for page in ("note", "connect/harbor"):
        shown = desk.open(page)
        assert shown.status == 200
        assert not [form for form in shown.forms if not form.action.endswith(("/leave", "/privacy"))]
    assert desk.force("note", once="", wants_ehr_copy="no").status in (403, 409)
    review = desk.force("connect/harbor", step="review", meet="survivor-calls", alias="Robin", language="en")
    forced = {form.fields["review"] for form in review.forms if "review" in form.fields}
    sent = desk.force("connect/harbor", step="send", signed="screen", review=(forced or {""}).pop())
    assert sent.status in (403, 409)
    assert desk.open("phones").status == 200
    assert desk.open("cards").status == 200
    assert desk.submit("/cards", outcome="taken").status == 200
    assert len(ehr.writes()) == writes
    assert len(program.received()) == received
    assert vault.counts() == before


@pytest.mark.rule("R28")
def test_rule_R28_leaving_ends_the_launch_here_and_at_the_ehr(ehr: SandboxEhr, demo: Place) -> None:
    """After Hide the address shows nothing, the cookie is gone, and the EHR takes the token no more.

    Break: drop ``self._after_end(row, reason)`` in ``launch.session``.
    """
    desk = sit_down(ehr, "a", "bh-novak", "p-walter", answer="alone")
    assert _live_tokens(demo, "bh-novak", "p-walter") == 1
    home = desk.home
    left = desk.submit("/leave")
    assert left.status == 200
    assert left.text.strip() in ("", "Care Connections")
    assert desk.browser.get(home).status == 404
    assert until(lambda: _live_tokens(demo, "bh-novak", "p-walter") == 0, seconds=5)


@pytest.mark.rule("attack 10")
def test_attack_10_a_launch_belongs_to_its_own_browser(ehr: SandboxEhr) -> None:
    """Who copies the address into another browser finds the same page as for an address that never was.

    Break: leave ``session_id=session_id`` out of ``launch.session._row``.
    """
    desk = sit_down(ehr, "a", "dr-lee", "p-dana", answer="alone")
    other = sit_down(ehr, "a", "dr-lee", "p-rosa")
    made_up = desk.home.replace(desk.home.split("/v/")[1], "00000000-0000-4000-8000-000000000000/")
    for browser in (Browser(), other.browser):
        for path in ("", "note", "connect/harbor", "phones"):
            foreign, absent = browser.get(desk.home + path), browser.get(made_up + path)
            assert (foreign.status, absent.status) == (404, 404)
            assert foreign.html == absent.html


@pytest.mark.rule("R23")
def test_rule_R23_without_a_visit_the_reason_comes_first(ehr: SandboxEhr, vault: Vault) -> None:
    """No visit is open in the chart: the app asks why before anything is noted or sent.

    Break: drop the second ``if`` of ``privacy_question.require_attested``.
    """
    before = vault.counts()
    desk = sit_down(ehr, "a", "sw-haddad", "p-rosa", answer="remote-not-overheard", with_encounter=False)
    assert desk.open("connect/harbor").url.split("?")[0].endswith("/reason")
    assert desk.open("note").url.split("?")[0].endswith("/reason")
    assert desk.force("note", once="x", wants_ehr_copy="no").status == 422
    assert desk.force("connect/harbor", step="review", meet="survivor-calls", alias="Robin").status == 422
    assert desk.force("reason", reason="", step="note").status == 422
    assert vault.counts() == before
    desk.open("note")
    assert desk.submit("/reason", reason="phone").status == 200
    assert desk.page.url.endswith("/note")


@pytest.mark.rule("R23")
def test_rule_R23_people_without_a_role_or_a_chart_are_stopped(ehr: SandboxEhr) -> None:
    """The front desk has no role; a clinician without a chart is sent back to one. Both keep the phone list.

    Break: in ``guards._enter`` give an unknown user the role "nurse".
    """
    clerk = sit_down(ehr, "a", "clerk-dunn", "p-dana")
    assert clerk.page.status == 403
    assert "no role in this app" in clerk.page.text
    for path in (*CHART_PAGES, *OWN_PAGES.values()):
        assert clerk.browser.get(clerk.home + path).status in (403, 404)
    for clinician in ("dr-lee", "nurse-ortiz", "ma-brooks", "sw-haddad", "bh-novak"):
        lost = sit_down(ehr, "a", clinician, None)
        assert lost.page.status == 403
        assert "from a patient's chart" in lost.page.text
    for page in (clerk.page, lost.page):
        assert any(link.endswith("/phones") for link in page.links)


@pytest.mark.rule("R23")
@pytest.mark.parametrize("base", ["a", "b"])
@pytest.mark.parametrize("user", OWN_PAGES)
def test_rule_R23_staff_without_a_chart_see_their_own_page_and_nobody(
    ehr: SandboxEhr, program: SandboxProgram, plays: Plays, base: str, user: str
) -> None:
    """Each desk opens on its own page; no chart, no other desk, and no person whom a clinician referred.

    Break: give ``coordinator`` a line in ``guards.TABLE_ROLES`` and let ``follow_up`` list referrals.
    """
    plays.of("a", "p-dana")
    canaries = requests.get(f"{ehr.control}/canaries", timeout=10).json()
    outbound = [resource_in(bundle_of(item), "Patient")["name"][0]["given"][0] for item in program.received()]
    desk = sit_down(ehr, base, user, None)
    assert desk.page.status == 200
    assert desk.page.url.endswith("/" + OWN_PAGES[user])
    main = desk.page.html.partition("<main")[2].partition("</main>")[0]
    assert [word for word in canaries if word in desk.page.html] == []
    inbound_words = {"Robin"}  # the tour's own visitors are called so, and a scheduler is meant to see them
    assert [alias for alias in outbound if alias not in inbound_words and f">{alias}<" in main] == []
    for path in (*CHART_PAGES, *(page for page in OWN_PAGES.values() if page != OWN_PAGES[user])):
        assert desk.browser.get(desk.home + path).status == 404


@pytest.mark.usefixtures("proof_made_anew")
def test_the_tour_finds_an_ehr_that_drops_labels(ehr: SandboxEhr, program: SandboxProgram) -> None:
    """Where the EHR loses the labels, the tour ends with 1 and says of which two records."""
    said: list[str] = []
    assert play(ehr, program, say=said.append, strip_labels=True) == 1
    named = " ".join(said[said.index(next(line for line in said if "difference(s)" in line)) :])
    assert "Observation" in named
    assert "ServiceRequest" in named


@pytest.mark.rule("R7")
@pytest.mark.usefixtures("proof_made_anew")
def test_rule_R07_a_copy_that_lost_its_labels_is_taken_back(ehr: SandboxEhr, turn: Callable[..., None]) -> None:
    """Where the EHR drops labels, the page says so, the copy is deleted, and nothing is written in its place.

    Break: return before ``connection.delete`` in ``gateways.ehr._taken_back``.
    """
    before, known = len(ehr.writes()), _in_chart(ehr, "p-marcus")
    turn(strip_labels=True, strip_labels_on_update=True)
    desk = sit_down(ehr, "a", "dr-lee", "p-marcus", answer="alone")
    desk.open("note")
    saved = desk.submit("/note", wants_ehr_copy="yes")
    assert "did not keep the privacy labels" in saved.text
    assert [write["method"] for write in ehr.writes()[before:]] == ["POST", "DELETE"]
    assert _in_chart(ehr, "p-marcus") == known


def _send(desk: Desk, alias: str) -> str:
    """Send a referral with this name to use; the case id."""
    desk.open("connect/harbor")
    desk.submit("/connect/harbor", meet="survivor-calls", alias=alias, step="review")
    desk.submit("/connect/harbor", signed="screen", step="send")
    assert "/sent/" in desk.page.url
    return case_of(desk.page)


def _in_chart(ehr: SandboxEhr, patient: str) -> set[str]:
    """What the treating clinician finds in the chart of EHR a."""
    found = [ehr.found("a", "clinician", patient, f"{kind}?patient={patient}") for kind in flows.DSV_TYPES]
    return {f"{resource['resourceType']}/{resource['id']}" for resources in found for resource in resources}


def _live_tokens(demo: Place, user: str, patient: str) -> int:
    """How many of this person's tokens the EHR would still take for this chart."""
    with sqlite3.connect(f"file:{demo.directory / 'ehr.sqlite3'}?mode=ro", uri=True, timeout=10) as connection:
        statement = "SELECT count(*) FROM token WHERE user = ? AND patient = ? AND is_revoked = 0 AND is_refreshed = 0"
        return int(connection.execute(statement, (f"Practitioner/{user}", patient)).fetchone()[0])
