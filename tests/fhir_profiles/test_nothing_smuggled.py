"""What a program may choose itself, numbers, addresses and labels, holds no sentence and no place (R17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY
from fhir_profiles.validation import validate

Payload = dict[str, Any]
Entry = Callable[..., Payload]
TOLD = "narrative-hit-her-at-12-oak"
KINDS = ("Patient", "Consent", "ServiceRequest", "Task", "Appointment")
OLD = "http://hl7.org/fhir/v3"


def places(payload: Payload, profile: str = "referral-bundle") -> list[str]:
    """The places of all issues; none of them says what was sent."""
    issues = validate(payload, profile)
    assert TOLD not in repr(issues)
    assert "oak" not in repr(issues)
    return [issue.expression for issue in issues]


@pytest.mark.rule("R17")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "label",
    [
        {"system": ACT_CODE, "code": TOLD},
        {"system": CONFIDENTIALITY, "code": TOLD},
        {"system": f"https://harbor.example/{TOLD}", "code": "SDV"},
        {"system": ACT_CODE, "code": "SDV", "version": TOLD},
        {"system": ACT_CODE, "code": "SDV", "version": "555-0142"},
    ],
)
def test_rule_R17_a_label_that_nobody_knows_carries_no_words(
    inbound: Payload, entry: Entry, kind: str, label: Payload
) -> None:
    """What happened to somebody cannot be written into the place of a security label.

    Fails when ``_LABEL`` of ``shapes`` is a plain ``Record`` again.
    """
    entry(inbound, kind)["meta"]["security"].append(label)
    (place,) = places(inbound)
    assert ".resource.meta.security[" in place


@pytest.mark.rule("R17")
def test_rule_R17_the_envelope_carries_no_words_either(inbound: Payload) -> None:
    """The label of the whole message is one that is known. Fails when ``_LABEL`` is a plain ``Record`` again."""
    inbound["meta"]["security"].append({"system": ACT_CODE, "code": TOLD})
    assert places(inbound) == ["Bundle.meta.security[1]"]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (ACT_CODE, "VIO"),
        (ACT_CODE, "NOPAT"),
        (CONFIDENTIALITY, "SDV"),
        (ACT_CODE, "NORDSLCD"),
        (f"{OLD}/ActCode", "SDV"),
        ("https" + ACT_CODE.removeprefix("http"), "SDV"),
    ],
)
def test_a_known_label_in_an_old_spelling_is_still_taken(
    inbound: Payload, entry: Entry, system: str, code: str
) -> None:
    """A program whose system knows last year's codes can still refer."""
    entry(inbound, "Task")["meta"]["security"].append({"system": system, "code": code})
    assert places(inbound) == []


@pytest.mark.rule("R17")
@pytest.mark.parametrize("value", ["hit her", "at 12 oak", "a/b", "a:b", "x" * 65, "urn:uuid:oak", "", "a\n"])
def test_rule_R17_a_number_of_the_sender_s_is_a_number(inbound: Payload, entry: Entry, value: str) -> None:
    """The program's own numbers have no room for an address or a sentence. Fails when ``IDENTIFIER`` takes TOKEN."""
    inbound["identifier"]["value"] = value
    entry(inbound, "Patient")["identifier"][0]["value"] = value
    entry(inbound, "Task")["identifier"][0]["value"] = value
    entry(inbound, "Consent")["sourceReference"]["identifier"]["value"] = value
    assert [place.rsplit(".", 2)[-2:] for place in places(inbound)] == [
        ["identifier", "value"],
        ["identifier[0]", "value"],
        ["identifier", "value"],
        ["identifier[0]", "value"],
    ]


ADDRESSES = [
    f"https://harbor.example/form?told={TOLD}",
    f"https://harbor.example/form#{TOLD}",
    "https://hit her at 12 oak/",
    f"https://{TOLD}@harbor.example/",
    f"mailto:{TOLD}@harbor.example",
    f"data:{TOLD}",
    "https://harbor.example/" + "oak-" * 11,
    "https://harbor.example/" + "oak/" * 8,
    "https://harbor.example/12%20oak",
]


@pytest.mark.rule("R17")
@pytest.mark.parametrize("address", ADDRESSES)
def test_rule_R17_an_address_of_the_sender_s_is_plain(inbound: Payload, entry: Entry, address: str) -> None:
    """The name of a numbering system and of the law a release rests on are plain addresses: no query, no words.

    Fails when ``IDENTIFIER`` or the policy of the release takes any URI.
    """
    entry(inbound, "Consent")["policy"][0]["uri"] = address
    entry(inbound, "Task")["identifier"][0]["system"] = address
    assert [place.partition(".resource.")[2] for place in places(inbound)] == ["policy[0].uri", "identifier[0].system"]


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c["policy"][0].update(uri=ADDRESSES[0]), "Consent.policy[0].uri"),
        (
            lambda c: c["sourceReference"]["identifier"].update(value="hit her"),
            "Consent.source.identifier.value",
        ),
        (lambda c: c["meta"]["security"].append({"system": ACT_CODE, "code": TOLD}), "Consent.meta.security[6]"),
    ],
)
def test_rule_R17_a_release_posted_alone_is_held_to_the_same(
    inbound: Payload, entry: Entry, change: Callable[[Payload], None], place: str
) -> None:
    """The survivor's release that a program posts later holds no words either. Fails when ``release_consent.SHAPE``
    takes any URI, or ``shapes`` any number or label."""
    release = entry(inbound, "Consent")
    change(release)
    assert place in places(release, "release-consent")


@pytest.mark.parametrize(
    "uri",
    [
        "https://www.ecfr.gov/current/title-28/section-90.4",
        "https://warm-referral.example/fhir/policy/release-in",
        "http://localhost:9100/id",
        "urn:oid:2.16.840.1.113883.3.18.7.1",
        "urn:ietf:rfc:3986",
    ],
)
def test_the_addresses_in_use_are_taken(inbound: Payload, entry: Entry, uri: str) -> None:
    """The regulation that a release rests on, and a number in the form of a UUID, are what programs send."""
    entry(inbound, "Consent")["policy"][0]["uri"] = uri
    inbound["identifier"] = {"system": uri, "value": "urn:uuid:0b5f7d5e-3a57-4b8e-9d3c-6f0f2b6f4f10"}
    assert places(inbound) == []


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (
            "statusReason",
            {"coding": [{"system": "https://harbor.example/why", "code": "x"}], "text": "hit her at 12 oak"},
        ),
        (
            "output",
            [
                {
                    "type": {
                        "coding": [
                            {
                                "system": "https://warm-referral.example/fhir/CodeSystem/referral-status",
                                "code": "appointment",
                            }
                        ]
                    },
                    "valueReference": {"reference": f"Appointment/{TOLD}"},
                }
            ],
        ),
    ],
)
def test_rule_R17_a_new_referral_brings_no_answer_along(
    inbound: Payload, entry: Entry, answer: str, value: Any
) -> None:
    """The reason field of a referral that nobody answered yet is not a place for the story.

    Fails when ``_ANSWERS`` of ``referral_bundle`` is empty.
    """
    entry(inbound, "Task")[answer] = value
    assert [place.partition(".resource.")[2] for place in places(inbound)] == [answer]
