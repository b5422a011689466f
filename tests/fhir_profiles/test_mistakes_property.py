"""Whatever is changed in a record of ours, is noticed, and what a sender chose is never repeated."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import days, ids, levels, lines, moments

from fhir_profiles.ig.valid_examples import valid
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import NEEDS, PRIORITIES, referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.release_signer import SIGNERS
from fhir_profiles.release_tier import TIERS
from fhir_profiles.safe_contact import of
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import LimitError, parse, validate

Payload = dict[str, Any]
CANARY = "CANARY words"
EXAMPLES = tuple(valid().values())
CONTACTS = tuple(contact for _, payload in EXAMPLES if (contact := of(payload)) is not None)


@st.composite
def bundles(draw: st.DrawFn) -> Payload:
    level, signed_on, due_at = draw(levels), draw(days), draw(moments)
    has_urns = draw(st.booleans())
    kinds = ["Patient", "Consent", "ServiceRequest", "Task"]
    names = [draw(ids) for _ in kinds]
    local = [f"urn:uuid:{name}" if has_urns else f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True)]
    own = [None if has_urns else name for name in names]
    giver, receiver = draw(st.permutations(["Organization/hc1", "Organization/harbor"]))
    start = signed_on + timedelta(days=draw(st.integers(0, 30)))
    parts = [
        referral_patient(
            labels=labels_for("referral-patient", confidentiality=level),
            id=own[0],
            identifier_system="https://x.example/id",
            identifier_value=draw(ids),
            alias=draw(lines),
        ),
        release_consent(
            labels=labels_for("release-consent", confidentiality=level),
            id=own[1],
            patient_reference=local[0],
            from_organization=giver,
            to_organization=receiver,
            item_references=[local[2], local[3]],
            signed_on=signed_on,
            starts_on=start,
            ends_on=start + timedelta(days=draw(st.integers(0, 60))),
            signer=draw(st.sampled_from(SIGNERS)),
            source_identifier=draw(ids),
            policy_uri="https://x.example/policy",
            tier=draw(st.none() | st.sampled_from(TIERS)),
        ),
        referral_service_request(
            labels=labels_for("referral-service-request", confidentiality=level),
            id=own[2],
            patient_reference=local[0],
            requester_reference=giver,
            performer_reference=receiver,
            consent_reference=local[1],
            safe_contact=draw(st.sampled_from(CONTACTS)),
            authored_at=signed_on,
            needs=draw(st.lists(st.sampled_from(sorted(NEEDS)))),
            priority=draw(st.none() | st.sampled_from(PRIORITIES)),
        ),
        referral_task(
            labels=labels_for("referral-task", confidentiality=level),
            id=own[3],
            identifier_system="https://x.example/id",
            identifier_value=draw(ids),
            service_request_reference=local[2],
            patient_reference=local[0],
            requester_reference=giver,
            owner_reference=receiver,
            authored_at=due_at - timedelta(days=1),
            due_at=due_at,
        ),
    ]
    addresses = local if has_urns else [f"https://x.example/fhir/{name}" for name in local]
    return referral_bundle(
        labels=labels_for("referral-bundle", confidentiality=level),
        identifier_system="https://x.example/id",
        identifier_value=draw(ids),
        entries=draw(st.permutations(list(zip(addresses, parts, strict=True)))),
    )


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every way to an object or a plain value."""
    if isinstance(value, dict):
        return [way, *(found for key, item in value.items() for found in places(item, (*way, key)))]
    if isinstance(value, list):
        return [found for position, item in enumerate(value) for found in places(item, (*way, position))]
    return [way]


def at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value


everything = st.one_of(bundles().map(lambda made: ("referral-bundle", made)), st.sampled_from(EXAMPLES))
# What may be any line of words: what to say, a name to use, the name of a program or of a count.
FREE_TEXT = {"valueString", "name"}
slow_is_fine = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def is_free_text(way: tuple[Any, ...]) -> bool:
    return way[-1] in FREE_TEXT or "given" in way or way[-2:] == ("code", "text")


@slow_is_fine
@given(bundles())
def test_whatever_bundle_we_build_is_valid(made: Payload) -> None:
    """A referral in either form of address, in any order of its parts, passes its own gate."""
    assert validate(made, "referral-bundle", confidentiality="R") == []


@slow_is_fine
@given(everything, st.data())
def test_an_unknown_key_anywhere_is_noticed_and_not_repeated(made: tuple[str, Payload], data: st.DataObject) -> None:
    """One key more, at any depth, is refused without naming it."""
    profile, payload = made
    broken = deepcopy(payload)
    objects = [way for way in places(broken) if isinstance(at(broken, way), dict)]
    at(broken, data.draw(st.sampled_from(objects)))[CANARY] = {"text": CANARY}
    issues = validate(broken, profile, confidentiality="R")
    assert issues
    assert "CANARY" not in repr(issues)


@slow_is_fine
@given(everything, st.data())
def test_a_wrong_value_anywhere_is_noticed_and_not_repeated(made: tuple[str, Payload], data: st.DataObject) -> None:
    """Any code, date, id or reference replaced by other words is refused without repeating them."""
    profile, payload = made
    broken = deepcopy(payload)
    leaves = [way for way in places(broken) if isinstance(at(broken, way), str) and not is_free_text(way)]
    way = data.draw(st.sampled_from(leaves))
    at(broken, way[:-1])[way[-1]] = CANARY
    issues = validate(broken, profile, confidentiality="R")
    assert issues
    assert "CANARY" not in repr(issues)


@slow_is_fine
@given(everything, st.data(), st.sampled_from([None, [], {}, 0, True, "x y", [None], [[]], {"a": 1}]))
def test_any_value_anywhere_is_answered_and_never_raises(
    made: tuple[str, Payload], data: st.DataObject, value: Any
) -> None:
    """Whatever stands anywhere, the gate answers with a list."""
    profile, payload = made
    broken = deepcopy(payload)
    ways = [way for way in places(broken) if way]
    way = data.draw(st.sampled_from(ways))
    at(broken, way[:-1])[way[-1]] = value
    assert isinstance(validate(broken, profile), list)


@slow_is_fine
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_answered(body: bytes) -> None:
    """Any body at all is either an object or a limit error."""
    try:
        found = parse(body)
    except LimitError as error:
        found = {"status": error.status}
    assert isinstance(found, dict)
    assert found.get("status", 400) == 400 or b"status" in body
