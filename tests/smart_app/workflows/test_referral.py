"""A referral leaves only with the survivor's release, to one program, and only as much as was shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fhir_profiles import safe_contact
from fhir_profiles.referral_service_request import CONTACT_PROHIBITED
from fhir_profiles.security_labels import labels_for, labels_of
from fhir_profiles.validation import validate
from smart_app.errors import InvalidError, LockedError, NothingToShowError
from smart_app.policy import consent
from smart_app.policy.access import Purpose, Requester
from smart_app.ports import PatientKey, WriteBackResult
from smart_app.workflows import referral
from smart_app.workflows.referral import ReferralForm, ReferralResult, send

Ask = Callable[..., Requester]
FORM = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="screen")


def _send(world: Any, who: Requester, **changes: Any) -> ReferralResult:
    return send(world.services, who, replace(FORM, **changes), world.services.now())


def _parts(world: Any, who: Requester, result: ReferralResult) -> dict[str, Any]:
    with world.door.open_for(who, world.services.now()) as work:
        kinds = ("Patient", "Consent", "ServiceRequest", "Task")
        return {kind: work.in_case(result.case_id, kind)[0].payload for kind in kinds}


def _nothing_changed(world: Any) -> bool:
    return not any(world.totals().values()) and world.ehr.written == [] and world.facts() == {}


@pytest.mark.rule("R1")
def test_rule_R01_a_referral_needs_no_disclosure(world: Any, clinician: Ask) -> None:
    """A referral is sent for somebody who told nothing. Break: look for an Observation before ``send`` goes on."""
    _send(world, clinician())
    assert world.stored("Observation") == 0
    assert world.totals() == {"case": 1, "resource": 4, "receipt": 0, "delivery": 1}


def test_all_parts_are_labelled_valid_and_hang_together(world: Any, clinician: Ask) -> None:
    """Person under an alias, release, request and Task name each other and nobody else."""
    who = clinician()
    parts = _parts(world, who, _send(world, who))
    for kind, profile in (
        ("Patient", "referral-patient"),
        ("Consent", "release-consent"),
        ("ServiceRequest", "referral-service-request"),
        ("Task", "referral-task"),
    ):
        assert validate(parts[kind], profile) == []
        assert set(labels_for(profile)) <= set(labels_of(parts[kind]))
    names = {kind: f"{kind}/{one['id']}" for kind, one in parts.items()}
    assert parts["Task"]["focus"]["reference"] == names["ServiceRequest"]
    assert parts["Task"]["for"]["reference"] == names["Patient"]
    assert parts["Task"]["owner"]["reference"] == "Organization/harbor"
    assert parts["ServiceRequest"]["supportingInfo"] == [{"reference": names["Consent"]}]
    assert "p-dana" not in str(parts)
    for kind in ("ServiceRequest", "Task"):
        assert consent.covers(
            parts["Consent"],
            recipient="Organization/harbor",
            purpose=Purpose.COC,
            item_reference=names[kind],
            labels=labels_of(parts[kind]),
            now=world.services.now(),
        )


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"signed": ""}, InvalidError),
        ({"signed": "cannot-sign"}, InvalidError),
        ({"signed": "verbally"}, InvalidError),
        ({"partner_id": ""}, InvalidError),
        ({"partner_id": "harbor,northside"}, InvalidError),
        ({"partner_id": "northside"}, LockedError),
        ({"release_days": 0}, InvalidError),
    ],
)
def test_rule_R09_without_any_part_of_a_release_nothing_is_stored_to_send(
    world: Any, clinician: Ask, changes: dict[str, Any], error: type[Exception]
) -> None:
    """No signature, no single program, no computer link or no time: nothing waits to be sent. Break: leave
    ``_require_signature`` or ``_require_open_partner`` out of ``send``."""
    with pytest.raises(error):
        _send(world, clinician(), **changes)
    assert _nothing_changed(world)


@pytest.mark.rule("R9")
def test_rule_R09_a_suspended_or_ended_agreement_sends_nothing(world: Any, clinician: Ask) -> None:
    """When the agreement is not in force, the page offers the phone. Break: drop the ``mou_gate`` line."""
    world.directory.set_suspended("harbor", True)
    with pytest.raises(LockedError, match="555-0142"):
        _send(world, clinician())
    world.directory.set_suspended("harbor", False)
    with pytest.raises(LockedError, match="555-0142"):
        send(world.services, clinician(), FORM, world.services.now() + timedelta(days=60))
    assert _nothing_changed(world)


@pytest.mark.rule("R10")
def test_rule_R10_a_release_ends_after_30_days_and_never_after_90(world: Any, clinician: Ask) -> None:
    """30 days unless chosen otherwise; 91 days are refused. Break: drop the check of ``release_days``."""
    who = clinician()
    first = _parts(world, who, _send(world, who))["Consent"]["provision"]["period"]
    assert first == {"start": "2026-11-24", "end": "2026-12-24"}
    longest = _parts(world, who, _send(world, who, release_days=90))["Consent"]["provision"]["period"]
    assert longest["end"] == "2027-02-22"
    before = world.totals()
    with pytest.raises(InvalidError):
        _send(world, who, release_days=91)
    assert world.totals() == before


@pytest.mark.rule("R10")
def test_rule_R10_who_cannot_sign_gets_the_call_and_nothing_is_sent(world: Any, clinician: Ask) -> None:
    """Without a signature the page says: call together. Break: let ``_require_signature`` pass "cannot-sign"."""
    with pytest.raises(InvalidError, match="Call the program together"):
        _send(world, clinician(), signed="cannot-sign")
    assert _nothing_changed(world)


@pytest.mark.rule("R13")
def test_rule_R13_nothing_chosen_cannot_be_sent(world: Any, clinician: Ask) -> None:
    """How the two will meet has to be chosen. Break: drop the first check of ``_require_complete``."""
    for meet in ("", "whenever"):
        with pytest.raises(InvalidError, match="how the two will meet"):
            _send(world, clinician(), meet=meet)
    assert _nothing_changed(world)


@pytest.mark.rule("R13")
@pytest.mark.parametrize("meet", safe_contact.MEETS)
def test_rule_R13_contact_is_prohibited_unless_a_safe_number_is_given(world: Any, clinician: Ask, meet: str) -> None:
    """A number leaves only with "safe contact"; every other way of meeting forbids contact. Break: insert no
    ``CONTACT_PROHIBITED`` in ``referral_service_request``."""
    who, phone = clinician(), "555-0187" if meet == "safe-contact" else None
    request = _parts(world, who, _send(world, who, meet=meet, phone=phone))["ServiceRequest"]
    codes = {coding["code"] for detail in request.get("orderDetail", []) for coding in detail["coding"]}
    assert (CONTACT_PROHIBITED[1] in codes) == (phone is None)
    assert ("555-0187" in str(request)) == (phone is not None)


@pytest.mark.rule("R13")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"meet": "safe-contact"}, "A safe number is needed"),
        ({"meet": "survivor-calls", "phone": "555-0187"}, "A safe number is needed"),
        ({"meet": "safe-contact", "phone": "call me"}, "Look again at the number"),
    ],
)
def test_rule_R13_a_number_and_its_use_come_together(
    world: Any, clinician: Ask, changes: dict[str, Any], words: str
) -> None:
    """A safe call needs a number, and a number needs a safe call. Break: drop the second check of
    ``_require_complete``."""
    with pytest.raises(InvalidError, match=words):
        _send(world, clinician(), **changes)
    assert _nothing_changed(world)


@pytest.mark.rule("R12")
def test_rule_R12_what_is_shown_before_sending_names_every_item(world: Any, clinician: Ask) -> None:
    """Before sending, the clinician reads each item that will leave. Break: build the lines from the form instead of
    the bundle and forget one."""
    form = replace(
        FORM, meet="safe-contact", phone="555-0187", code_word="blue", needs=("housing",), language="es", say_as="Lib"
    )
    shown = "\n".join(referral.preview(form, world.site, world.harbor, world.services.now()))
    for item in ("Robin", "555-0187", "blue", "A place to stay", "es", "Lib", "Harbor Program", "24 Dec 2026"):
        assert item in shown


@pytest.mark.parametrize("alias", ["Sky\x00", "\u202eSky", "S\nky", "S\u2028ky"])
def test_a_name_with_hidden_characters_is_said_and_not_sent(world: Any, clinician: Ask, alias: str) -> None:
    """A name pasted with invisible signs is asked for again, in words, instead of breaking the page."""
    with pytest.raises(InvalidError, match="name"):
        _send(world, clinician(), alias=alias)
    assert _nothing_changed(world)


@pytest.mark.rule("R31")
def test_rule_R31_nothing_is_sent_for_a_minor(world: Any, clinician: Ask) -> None:
    """Under 18 the phone is open and sending is off. Break: drop ``_require_adult`` from ``send``."""
    world.ehr.birth_date = "2010-05-01"
    with pytest.raises(LockedError):
        _send(world, clinician())
    assert _nothing_changed(world)


@pytest.mark.rule("attack 8")
def test_attack_8_the_same_form_again_is_the_same_referral(world: Any, clinician: Ask) -> None:
    """After a broken connection the clinician sends the same form again: one referral, one copy, the same page. Break:
    leave the receipt out of ``send``."""
    who = clinician()
    first = _send(world, who, once="form-1", wants_ehr_copy=True)
    again = _send(world, who, once="form-1", wants_ehr_copy=True)
    assert (again.case_id, again.ehr_result) == (first.case_id, WriteBackResult.SAVED)
    assert world.totals()["delivery"] == 1
    assert len(world.ehr.written) == 1
    assert _send(world, who, once="form-2").case_id != first.case_id


def test_a_failure_in_the_middle_leaves_nothing(world: Any, clinician: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the store fails while the referral is being saved, no part of it remains and nothing is sent."""
    from smart_app.gateways.outbox import UnitOutbox

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(UnitOutbox, "add", fail)
    with pytest.raises(OSError, match="disk full"):
        _send(world, clinician())
    assert _nothing_changed(world)


def test_the_ehr_copy_holds_order_facts_only(world: Any, clinician: Ask) -> None:
    """A copy in the chart has the labels and the order, and neither alias, safe number, word nor release."""
    who = clinician()
    result = _send(
        world, who, meet="safe-contact", phone="555-0187", code_word="blue", needs=("housing",), wants_ehr_copy=True
    )
    (copy,) = world.ehr.written
    assert result.ehr_result is WriteBackResult.SAVED
    assert copy["subject"] == {"reference": "Patient/p-dana"}
    assert labels_of(copy) == labels_for("referral-service-request")
    for kept_here in ("555-0187", "blue", "Robin", "Consent", "extension", "housing"):
        assert kept_here not in str(copy)
    with world.door.open_for(who, world.services.now()) as work:
        assert work.in_case(result.case_id, "ServiceRequest")[0].ehr_reference == "ServiceRequest/55"


@pytest.mark.rule("R7")
@pytest.mark.parametrize("failed", [WriteBackResult.REFUSED, WriteBackResult.LABELS_LOST, WriteBackResult.UNKNOWN])
def test_rule_R07_the_referral_goes_out_although_the_ehr_copy_failed(
    world: Any, clinician: Ask, failed: WriteBackResult
) -> None:
    """A failing EHR stops no help and gets nothing else written. Break: raise when the copy is not saved."""
    world.ehr.result = failed
    result = _send(world, clinician(), wants_ehr_copy=True)
    assert result.ehr_result is failed
    assert len(world.ehr.written) == 1
    assert world.totals()["delivery"] == 1
    assert result.lines_by_hand == ()


def test_where_everything_lives_is_said_in_words(world: Any, clinician: Ask) -> None:
    """The result says: kept here, why no copy is in the EHR, and which program gets what was shown."""
    result = _send(world, clinician("b"))
    text = " ".join(result.place_words)
    assert "Harbor Program" in text
    assert "not set up" in text
    assert result.lines_by_hand


def test_status_is_our_own_transport_fact_and_stays_on_the_chart(world: Any, clinician: Ask) -> None:
    """Right after sending, the chart says "Sent" and whom to call; sixty days of silence change nothing."""
    who, now = clinician(), world.services.now()
    result = _send(world, who)
    status = referral.status_of(world.door, who, result.case_id, now)
    assert (status.state, status.partner_id, status.is_released) == ("sent", "harbor", False)
    later = referral.status_of(world.door, who, result.case_id, now + timedelta(days=60))
    assert (later.state, later.state_words) == ("sent", status.state_words)
    listed = referral.for_chart(world.door, who, PatientKey("a", "p-dana"), now)
    assert [one.case_id for one in listed] == [result.case_id]


def test_nobody_else_can_ask_for_the_status(world: Any, clinician: Ask, northside: Requester) -> None:
    """A colleague without this visit and another program find nothing, as for a made-up number."""
    result = _send(world, clinician())
    for who in (clinician("a", "p-marcus", "nurse-ortiz"), northside):
        for case_id in (result.case_id, "00000000-0000-4000-8000-000000000000"):
            with pytest.raises(NothingToShowError):
                referral.status_of(world.door, who, case_id, world.services.now())
