"""The edges of a release and of a patient's no: each case is shut, or open, by one condition alone."""

from __future__ import annotations

from typing import Any

import pytest
from asked_releases import ASKED, Payload, covers, no, state

from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import CONFIDENTIALITY
from smart_app.policy import consent
from smart_app.policy.access import ConsentState


@pytest.mark.rule("R9")
def test_rule_R09_a_release_to_nobody_is_not_a_release_to_whoever_has_no_name(release: Payload) -> None:
    """An empty recipient is never the one that an empty reference names. Fails without ``bool(recipient)``."""
    release["provision"]["actor"][0]["reference"]["reference"] = ""
    assert not covers(release, recipient="")


@pytest.mark.rule("R9")
def test_rule_R09_a_release_that_lists_no_item_opens_not_even_the_name_to_use(release: Payload) -> None:
    """Without any listed item, the alias and the release itself stay shut too. Fails without ``bool(listed)``."""
    assert covers(release, item_reference="Patient/p1")
    release["provision"]["data"] = []
    assert not covers(release, item_reference="Patient/p1")
    assert not covers(release, item_reference="Consent/c1")


@pytest.mark.rule("R9")
def test_rule_R09_a_release_must_say_what_it_is_about_even_for_a_plainer_item(release: Payload) -> None:
    """A release that does not name the violence opens nothing at all. Fails without ``SDV in named``."""
    plain = (Label(CONFIDENTIALITY, "R"),)
    assert covers(release, labels=plain)
    release["provision"]["securityLabel"] = [{"system": CONFIDENTIALITY, "code": "V"}]
    assert not covers(release, labels=plain)


def test_a_release_with_an_extension_still_counts(release: Payload) -> None:
    """What a profile adds beside the provision takes nothing away. Fails when ``extension`` leaves the known keys."""
    release["provision"]["extension"] = []
    assert covers(release)


def test_a_withdrawn_release_takes_nothing_from_one_in_force(release: Payload) -> None:
    """In whichever order they lie, the one in force counts. Fails when ``state`` looks for lapsed ones after it."""
    withdrawn = consent.withdrawn(release)
    assert state(release, withdrawn) is ConsentState.COVERS
    assert state(withdrawn, release) is ConsentState.COVERS


@pytest.mark.parametrize("other", [{"recipient": "Organization/northside"}, {"item_reference": "Task/t2"}])
def test_somebody_elses_withdrawn_release_never_lapsed_here(release: Payload, other: Payload) -> None:
    """A release for another program or item has not lapsed here: it never was. Fails when ``_once_covered`` skips
    one of the two."""
    assert state(consent.withdrawn(release), **other) is ConsentState.NONE


@pytest.mark.parametrize("provision", [7, None, []])
def test_an_active_release_without_a_readable_provision_is_no_word_at_all(provision: Any) -> None:
    """A broken row is neither yes nor no, and raises nothing. Fails when ``_denies`` forgets ``isinstance``."""
    assert state({"resourceType": "Consent", "status": "active", "provision": provision}) is ConsentState.NONE


@pytest.mark.parametrize("edge", ["start", "end"])
def test_a_no_holds_from_its_first_to_its_last_moment(release: Payload, edge: str) -> None:
    """The very moment at which a no begins or ends belongs to it. Fails with ``<=`` and ``>=`` in ``_denies``."""
    assert state(release, no(period={edge: "2026-10-15T12:00:00Z"})) is ConsentState.DENY


def test_a_no_for_the_request_is_a_no_for_its_visit(release: Payload) -> None:
    """What hangs on a refused item is refused with it. Fails when ``_denies`` forgets ``belongs_to``."""
    refusal = no(data=[{"reference": {"reference": "ServiceRequest/s1"}}])
    visit = {"item_reference": "Appointment/a1", "labels": labels_for("proposed-appointment")}
    assert state(release, refusal, **visit, belongs_to=["ServiceRequest/s1"]) is ConsentState.DENY
    assert state(release, refusal) is ConsentState.COVERS


def test_the_first_release_that_covers_is_the_one_that_is_named(release: Payload) -> None:
    """The log names one release for each disclosure: the first that covers, and none where none does.

    Break: in ``consent.standing`` keep the last.
    """
    other, over = {**release, "id": "c2"}, consent.withdrawn(release)
    assert consent.standing([over, release, other], **ASKED) == (ConsentState.COVERS, release)
    assert consent.standing([over], **ASKED) == (ConsentState.LAPSED, None)
