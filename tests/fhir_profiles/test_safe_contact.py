"""How the two will meet, and the one safe way to reach the survivor (R13, R14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhir_profiles import safe_contact as profile
from fhir_profiles.referral_service_request import CONTACT_PROHIBITED, referral_service_request
from fhir_profiles.safe_contact import MEETS, Hours, safe_contact
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import validate

Payload = dict[str, Any]
ASKED = date(2026, 10, 1)
ENDS = date(2026, 10, 31)
PROFILE = "referral-service-request"


def request_with(contact: Payload, **more: Any) -> Payload:
    return referral_service_request(
        labels=labels_for(PROFILE),
        id="s1",
        patient_reference="Patient/p1",
        requester_reference="Organization/hc1",
        performer_reference="Organization/harbor",
        consent_reference="Consent/c1",
        safe_contact=contact,
        authored_at=ASKED,
        **more,
    )


def part_of(request: Payload, url: str) -> Payload:
    return next(item for item in request["extension"][0]["extension"] if item["url"] == url)


@pytest.mark.rule("R13")
@pytest.mark.parametrize("meet", MEETS)
def test_rule_R13_each_way_to_meet_can_be_sent(meet: str) -> None:
    """Each of the five ways makes a referral; only the safe number carries a phone, and without one contact is banned.

    Fails when ``referral_service_request`` no longer sets contacting-subject-prohibited.
    """
    phone = "555-0142" if meet == "safe-contact" else None
    request = request_with(safe_contact(meet=meet, asked_on=ASKED, expires_on=ENDS, telecom=phone))
    assert validate(request, PROFILE) == []
    details = [item["coding"][0]["code"] for item in request.get("orderDetail", [])]
    assert (CONTACT_PROHIBITED[1] in details) is (phone is None)
    assert ("555-0142" in repr(request)) is (phone is not None)


@pytest.mark.rule("R13")
def test_rule_R13_nothing_chosen_cannot_be_sent() -> None:
    """A referral that does not say how the two will meet is refused, whoever made it.

    Fails when ``meet`` loses its ``!`` in the shape.
    """
    with pytest.raises(ValueError, match="code"):
        safe_contact(meet="", asked_on=ASKED, expires_on=ENDS)
    request = request_with(safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS))
    contact = request["extension"][0]["extension"]
    contact[:] = [item for item in contact if item["url"] != "meet"]
    assert [issue.expression for issue in validate(request, PROFILE)] == ["ServiceRequest.extension[0].extension"]
    del request["extension"]
    assert [issue.expression for issue in validate(request, PROFILE)] == ["ServiceRequest.extension"]


@pytest.mark.rule("R13")
def test_rule_R13_a_phone_number_comes_only_with_a_safe_contact() -> None:
    """A number with any other way to meet is refused, and a safe contact without a number is too.

    Fails when ``rules`` does not compare the way to meet with the number.
    """
    for meet in MEETS:
        phone = None if meet == "safe-contact" else "555-0142"
        with pytest.raises(ValueError, match="R13"):
            safe_contact(meet=meet, asked_on=ASKED, expires_on=ENDS, telecom=phone)
    request = request_with(safe_contact(meet="safe-contact", asked_on=ASKED, expires_on=ENDS, telecom="555-0142"))
    part_of(request, "meet")["valueCode"] = "on-site"
    assert [issue.expression for issue in validate(request, PROFILE)] == ["ServiceRequest.extension[0]"]


@pytest.mark.rule("R13")
def test_rule_R13_the_ban_on_contact_is_enforced_both_ways() -> None:
    """Without a number the ban must be there, and with a number it must not.

    Fails when ``rules`` of the request does not look at ``orderDetail``.
    """
    banned = request_with(safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS))
    del banned["orderDetail"]
    assert [issue.expression for issue in validate(banned, PROFILE)] == ["ServiceRequest.orderDetail"]
    open_ = request_with(safe_contact(meet="safe-contact", asked_on=ASKED, expires_on=ENDS, telecom="555-0142"))
    open_["orderDetail"] = [{"coding": [{"system": CONTACT_PROHIBITED[0], "code": CONTACT_PROHIBITED[1]}]}]
    assert [issue.expression for issue in validate(open_, PROFILE)] == ["ServiceRequest.orderDetail"]


@pytest.mark.rule("R14")
@pytest.mark.parametrize(("days", "is_allowed"), [(0, True), (30, True), (31, False), (-1, False)])
def test_rule_R14_a_safe_contact_ends_within_thirty_days(days: int, is_allowed: bool) -> None:
    """A number is asked for again after thirty days at the latest.

    Fails when ``LONGEST_DAYS`` is 31.
    """
    request = request_with(safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS))
    part_of(request, "expiresOn")["valueDate"] = (ASKED + timedelta(days=days)).isoformat()
    assert (validate(request, PROFILE) == []) is is_allowed
    if not is_allowed:
        with pytest.raises(ValueError, match="R14"):
            safe_contact(meet="on-site", asked_on=ASKED, expires_on=ASKED + timedelta(days=days))


@pytest.mark.parametrize("gone", ["askedOn", "expiresOn"])
def test_both_days_are_required(gone: str) -> None:
    """Without its days a safe contact cannot end."""
    request = request_with(safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS))
    contact = request["extension"][0]["extension"]
    contact[:] = [item for item in contact if item["url"] != gone]
    assert validate(request, PROFILE)


@pytest.mark.parametrize(
    "words",
    [
        {"voicemail": "loud"},
        {"voicemail": "safe"},
        {"who_may_answer": "self"},
        {"code_word": "two\nlines"},
        {"code_word": "x" * 41},
        {"say_as": "x" * 61},
        {"say_as": "right\u202eleft"},
        {"language": "not a language"},
        {"hours": Hours(("mon",), "12:00", "09:00")},
        {"hours": Hours(("someday",), "09:00", "12:00")},
        {"hours": Hours(("mon",), "25:00", "26:00")},
        {"telecom": "call me at the blue house"},
    ],
)
def test_what_does_not_belong_is_refused_without_repeating_it(words: dict[str, Any]) -> None:
    """A wrong choice is refused in words that do not repeat it."""
    given = {"meet": "safe-contact" if "telecom" in words else "on-site", **words}
    with pytest.raises(ValueError, match="safe contact") as caught:
        safe_contact(asked_on=ASKED, expires_on=ENDS, **given)
    assert not any(str(value) in str(caught.value) for value in words.values() if len(str(value)) > 4)


def test_everything_a_person_may_say_is_kept_and_read_back() -> None:
    """Hours, words, language and the time of a call come back as they were said."""
    contact = safe_contact(
        meet="safe-contact",
        asked_on=ASKED,
        expires_on=ENDS,
        telecom="+1 (555) 010-0142",
        voicemail="silent",
        code_word="blue",
        say_as="the library",
        hours=Hours(("mon", "fri"), "09:00", "12:30"),
        language="es-MX",
        interpreter=False,
        at=datetime(2026, 10, 2, 15, tzinfo=UTC),
        who_may_answer="anyone",
    )
    parts = profile.values(contact)
    assert parts["day"] == ["mon", "fri"]
    assert (parts["from"], parts["to"]) == ("09:00:00", "12:30:00")
    assert parts["telecom"] == {"system": "phone", "value": "+1 (555) 010-0142"}
    assert parts["at"] == "2026-10-02T15:00:00Z"
    assert parts["interpreter"] is False
    assert validate(request_with(contact), PROFILE) == []


def test_a_part_may_stand_once(part: Callable[[str], Payload]) -> None:
    """Two numbers, or two ways to meet, are refused; days may repeat."""
    request = part("ServiceRequest")
    contact = request["extension"][0]["extension"]
    contact.append({"url": "meet", "valueCode": "on-site"})
    assert validate(request, PROFILE)
