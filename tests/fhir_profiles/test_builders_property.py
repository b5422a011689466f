"""Whatever our builders are given, what they make is valid; whatever is then changed, is noticed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import days, ids, levels, lines, moments

from fhir_profiles.access_audit_event import (
    DENIED,
    INTERACTIONS,
    PERMITTED,
    access_audit_event,
    access_decision_event,
    disclosure_event,
)
from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.disclosure_observation import KINDS, disclosure_observation
from fhir_profiles.label_provenance import CHANGES, TAKES_TWO, label_provenance
from fhir_profiles.mou import LONGEST_MINUTES
from fhir_profiles.partner_endpoint import partner_endpoint
from fhir_profiles.partner_organization import partner_organization
from fhir_profiles.partner_service import KINDS as SERVICE_KINDS
from fhir_profiles.partner_service import partner_service
from fhir_profiles.partnership_mou import partnership_mou
from fhir_profiles.program_measure_report import program_measure_report
from fhir_profiles.proposed_appointment import (
    CANCEL_REASONS,
    booked_appointment,
    cancelled_appointment,
    proposed_appointment,
)
from fhir_profiles.r4 import structure_problems
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import NEEDS, PRIORITIES, referral_service_request
from fhir_profiles.referral_task import OUR_BUSINESS_STATUSES, REASONS, STATUSES, referral_task, status_reason
from fhir_profiles.release_consent import release_consent
from fhir_profiles.release_signer import SIGNERS
from fhir_profiles.release_tier import TIERS
from fhir_profiles.safe_contact import ANSWERERS, DAYS, MEETS, VOICEMAILS, Hours, safe_contact
from fhir_profiles.security_labels import ADDITIONS, Label, labels_for, provenance_labels
from fhir_profiles.terminology import CONFIDENTIALITY, MEASURE
from fhir_profiles.validation import PROFILES, validate

Builder = Callable[..., dict[str, Any]]
Payload = dict[str, Any]
CANARY = "CANARY words"

numbers = st.integers(1, 9000)


@st.composite
def contacts(draw: st.DrawFn) -> Payload:
    meet, asked_on = draw(st.sampled_from(MEETS)), draw(days)
    is_safe = meet == "safe-contact"
    start = draw(st.integers(0, 22))
    hours = Hours(tuple(draw(st.sets(st.sampled_from(DAYS)))), f"{start:02}:00", f"{start + 1:02}:30")
    return safe_contact(
        meet=meet,
        asked_on=asked_on,
        expires_on=asked_on + timedelta(days=draw(st.integers(0, 30))),
        telecom="555-01" + draw(st.from_regex(r"[0-9]{2}", fullmatch=True)) if is_safe else None,
        voicemail=draw(st.none() | st.sampled_from(VOICEMAILS)) if is_safe else None,
        who_may_answer=draw(st.none() | st.sampled_from(ANSWERERS)) if is_safe else None,
        code_word=draw(st.none() | lines),
        say_as=draw(st.none() | lines),
        hours=draw(st.none() | st.just(hours)),
        language=draw(st.none() | st.sampled_from(["en", "es", "es-MX", "zh-Hans-CN", "hmn"])),
        interpreter=draw(st.none() | st.booleans()),
        at=draw(st.none() | moments),
    )


def somewhere(kind: str) -> st.SearchStrategy[str]:
    """A reference to one of this type."""
    return ids.map(lambda name: f"{kind}/{name}")


def labelled(profile: str, **more: Any) -> st.SearchStrategy[tuple[Label, ...]]:
    """The profile's set at either level of the site."""
    return levels.map(lambda level: labels_for(profile, confidentiality=level, **more))


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def build(builder: Builder, *pairs: tuple[str, str], **arguments: Any) -> st.SearchStrategy[tuple[Builder, Payload]]:
    """A builder with arguments for every keyword it has. ``pairs``: two arguments that are not the same."""
    parameters = inspect.signature(builder).parameters
    assert arguments.keys() == parameters.keys(), (builder.__name__, arguments.keys() ^ parameters.keys())
    apart = st.fixed_dictionaries(arguments).filter(lambda given: all(given[one] != given[two] for one, two in pairs))
    return apart.map(lambda given: (builder, given))


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime]:
    start = draw(moments)
    return start, start + timedelta(minutes=draw(st.integers(1, 600)))


@st.composite
def releases(draw: st.DrawFn) -> tuple[Builder, Payload]:
    signed_on = draw(days)
    start = signed_on + timedelta(days=draw(st.integers(0, 30)))
    return draw(
        build(
            release_consent,
            ("from_organization", "to_organization"),
            labels=labelled("release-consent"),
            id=optional(ids),
            patient_reference=somewhere("Patient"),
            from_organization=somewhere("Organization"),
            to_organization=somewhere("Organization"),
            item_references=st.lists(
                somewhere("Task") | somewhere("ServiceRequest"), min_size=1, max_size=8, unique=True
            ),
            signed_on=st.just(signed_on),
            starts_on=st.just(start),
            ends_on=st.just(start + timedelta(days=draw(st.integers(0, 60)))),
            signer=st.sampled_from(SIGNERS),
            source_identifier=ids,
            policy_uri=st.sampled_from(
                ["https://x.example/policy", "https://www.ecfr.gov/current/title-28/section-90.4"]
            ),
            tier=optional(st.sampled_from(TIERS)),
        )
    )


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Builder, Payload]:
    start, end = draw(spans())
    return draw(
        build(
            referral_task,
            ("requester_reference", "owner_reference"),
            labels=labelled("referral-task"),
            id=optional(ids),
            identifier_system=st.just("https://x.example/id"),
            identifier_value=ids,
            service_request_reference=somewhere("ServiceRequest"),
            patient_reference=somewhere("Patient"),
            requester_reference=somewhere("Organization"),
            owner_reference=somewhere("Organization"),
            authored_at=st.sampled_from([start, start.date()]),
            due_at=st.just(end),
            status=st.sampled_from(STATUSES),
            business_status=optional(
                st.sampled_from([*OUR_BUSINESS_STATUSES, "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.2"])
            ),
        )
    )


@st.composite
def visits(draw: st.DrawFn) -> tuple[Builder, Payload]:
    start, end = draw(spans())
    asked = build(
        proposed_appointment,
        labels=labelled("proposed-appointment"),
        patient_reference=somewhere("Patient"),
        service_reference=somewhere("HealthcareService") | somewhere("Location"),
        based_on=somewhere("ServiceRequest"),
        requested_start=st.just(start),
        requested_end=st.just(end),
        id=optional(ids),
    )
    copied = build(
        appointment_ehr_copy,
        labels=st.just(labels_for("appointment-ehr-copy")),
        start=st.just(start),
        end=st.just(end),
        service_reference=somewhere("HealthcareService") | somewhere("Location"),
        patient_reference=optional(somewhere("Patient")),
    )
    return draw(asked | copied)


@st.composite
def reports(draw: st.DrawFn) -> tuple[Builder, Payload]:
    start = draw(days)
    names = draw(st.lists(lines, min_size=1, max_size=8, unique=True))
    count = st.none() | st.just(0) | st.integers(11, 2**31 - 1)
    return draw(
        build(
            program_measure_report,
            labels=st.just(labels_for("program-measure-report")),
            id=optional(ids),
            measure=st.sampled_from([MEASURE, "https://x.example/Measure/1"]),
            starts_on=st.just(start),
            ends_on=st.just(start + timedelta(days=draw(st.integers(31, 400)))),
            counts=st.just([(name, draw(count)) for name in names]),
        )
    )


@st.composite
def agreements(draw: st.DrawFn) -> tuple[Builder, Payload]:
    start = draw(days)
    return draw(
        build(
            partnership_mou,
            ("organization_reference", "participating_reference"),
            id=ids,
            organization_reference=somewhere("Organization"),
            participating_reference=somewhere("Organization"),
            document_reference=somewhere("DocumentReference"),
            acknowledge_minutes=st.integers(1, LONGEST_MINUTES),
            starts_on=st.just(start),
            ends_on=st.just(start + timedelta(days=draw(st.integers(0, 3000)))),
            endpoint_reference=optional(somewhere("Endpoint")),
            is_active=st.booleans(),
        )
    )


@st.composite
def label_changes(draw: st.DrawFn) -> tuple[Builder, Payload]:
    change = draw(st.sampled_from(CHANGES))
    item, version = draw(somewhere(draw(st.sampled_from(["Observation", "Task", "Consent", "Patient"])))), draw(numbers)
    may_be_first = change not in TAKES_TWO
    before = st.just(f"{item}/_history/{version}")
    people = st.lists(somewhere("Practitioner"), min_size=2, max_size=2, unique=True)
    return draw(
        build(
            label_provenance,
            labels=labelled("label-provenance") | st.just(provenance_labels([Label(CONFIDENTIALITY, "R")])),
            target_version=st.just(f"{item}/_history/{version + 1}"),
            previous_version=optional(before) if may_be_first else before,
            recorded_at=moments,
            change=st.just(change),
            agent_references=st.just(("Device/labeler",)) if may_be_first else people,
            cause_reference=somewhere("Consent") if change == "DOWNGRDLABEL" else optional(somewhere("Consent")),
        )
    )


carried = st.lists(
    st.tuples(
        somewhere("Task").map(lambda name: f"{name}/_history/2") | somewhere("Observation"),
        st.sampled_from([(), labels_for("referral-task")]),
    ),
    max_size=4,
)
AUDIT = st.just(labels_for("access-audit-event"))
observed = {
    "observer_reference": somewhere("Device"),
    "network_address": st.sampled_from(["127.0.0.1", "::1", "2001:db8::7334"]),
    "recorded_at": moments,
    "purpose": st.sampled_from(["TREAT", "COC", "BTG", "HOPERAT"]),
    "outcome": st.sampled_from([PERMITTED, DENIED]),
    "labels": AUDIT,
}
accesses = build(
    access_audit_event,
    interaction=st.sampled_from(sorted(INTERACTIONS)),
    requester_reference=somewhere("Practitioner") | somewhere("PractitionerRole") | somewhere("Organization"),
    entities=carried,
    patient_reference=optional(somewhere("Patient")),
    **observed,
)
decisions = build(
    access_decision_event,
    requester_reference=somewhere("Practitioner") | somewhere("PractitionerRole"),
    organization_reference=somewhere("Organization"),
    patient_reference=somewhere("Patient"),
    consent_references=st.lists(somewhere("Consent"), max_size=3, unique=True),
    token_id=optional(ids),
    **observed,
)
exchanges = build(
    disclosure_event,
    is_sent=st.booleans(),
    partner_reference=somewhere("Organization"),
    partner_address=st.sampled_from(["https://dsv.example/fhir", "192.0.2.7"]),
    patient_reference=somewhere("Patient"),
    entities=carried.filter(bool),
    consent_references=st.lists(somewhere("Consent"), min_size=1, max_size=3, unique=True),
    **observed,
)
# Every builder of a profile with arguments for every keyword of its signature, by the profile's id.
BUILT: dict[str, st.SearchStrategy[tuple[Builder, Payload]]] = {
    "disclosure-observation": build(
        disclosure_observation,
        labels=st.sampled_from(["PATRPT", "CLINAST"]).flatmap(
            lambda source: st.sets(st.sampled_from(ADDITIONS)).flatmap(
                lambda also: labelled("disclosure-observation", source=source, also=sorted(also))
            )
        ),
        patient_reference=somewhere("Patient"),
        performer_reference=somewhere("Practitioner") | somewhere("PractitionerRole"),
        recorded_at=days | moments,
        kind=st.sampled_from(KINDS),
        identifier=optional(ids),
    ),
    "referral-patient": build(
        referral_patient,
        labels=labelled("referral-patient"),
        id=optional(ids),
        identifier_system=st.just("https://x.example/id"),
        identifier_value=ids,
        alias=lines,
    ),
    "referral-service-request": build(
        referral_service_request,
        labels=labelled("referral-service-request"),
        id=optional(ids),
        patient_reference=somewhere("Patient"),
        requester_reference=somewhere("Organization"),
        performer_reference=somewhere("Organization") | somewhere("HealthcareService"),
        consent_reference=somewhere("Consent"),
        safe_contact=contacts(),
        authored_at=days | moments,
        needs=st.lists(st.sampled_from(sorted(NEEDS))),
        priority=optional(st.sampled_from(PRIORITIES)),
    ),
    "referral-task": tasks(),
    "release-consent": releases(),
    "appointments": visits(),
    "partner-organization": build(
        partner_organization,
        id=ids,
        identifier_value=ids,
        name=lines,
        phone=st.from_regex(r"555-01[0-9]{2}", fullmatch=True),
        is_active=st.booleans(),
    ),
    "partner-service": build(
        partner_service,
        id=ids,
        organization_reference=somewhere("Organization"),
        name=lines,
        has_capacity=st.booleans(),
        kind=st.sampled_from(SERVICE_KINDS),
    ),
    "partner-endpoint": build(
        partner_endpoint,
        id=ids,
        organization_reference=somewhere("Organization"),
        address=ids.map(lambda name: f"https://{name}.example/fhir"),
    ),
    "partnership-mou": agreements(),
    "label-provenance": label_changes(),
    "program-measure-report": reports(),
    "access-audit-event": accesses | decisions | exchanges,
}
NAMED = {  # builders that are not named like their profile
    "access_decision_event": "access-audit-event",
    "disclosure_event": "access-audit-event",
}


def profile_of(builder: Builder) -> str:
    return NAMED.get(builder.__name__, builder.__name__.replace("_", "-"))


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


@pytest.mark.parametrize("name", BUILT)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_a_builder_makes_is_valid(name: str, data: st.DataObject) -> None:
    """Whatever its arguments, a builder makes a record that passes its own gate and R4, names no person, and does not
    share its parts with the next one."""
    builder, given = data.draw(BUILT[name])
    made, again = builder(**given), builder(**given)
    assert validate(made, profile_of(builder), confidentiality="R") == []
    assert structure_problems(made) == []
    assert "display" not in {key for way in places(made) for key in way}
    inside = [id(at(made, way)) for way in places(made) if isinstance(at(made, way), dict | list)]
    assert len(inside) == len(set(inside))
    assert made == again


@settings(max_examples=40, deadline=None)
@given(one=visits(), reason=st.sampled_from(CANCEL_REASONS))
def test_a_visit_stays_valid_through_its_life(one: tuple[Builder, Payload], reason: str) -> None:
    """Asked for, booked, moved, cancelled: each step is a valid record."""
    builder, given = one
    if builder is not proposed_appointment:
        return
    asked, start, end = builder(**given), given["requested_start"], given["requested_end"]
    booked = booked_appointment(asked, start, end)
    for step in (booked, cancelled_appointment(booked, reason), cancelled_appointment(asked, reason)):
        assert validate(step, "proposed-appointment", confidentiality="R") == []


@settings(max_examples=40, deadline=None)
@given(one=tasks(), reason=st.sampled_from(sorted(REASONS)))
def test_a_task_with_a_reason_is_valid(one: tuple[Builder, Payload], reason: str) -> None:
    """Every refusal of our list can be written, with its fixed words."""
    builder, given = one
    made = {**builder(**given), "statusReason": status_reason(reason)}
    assert validate(made, "referral-task", confidentiality="R") == []


def test_every_profile_has_its_builder_here() -> None:
    """No record is built by a hand that this test does not know: each profile, and both in a visit's life."""
    here = {*BUILT, "referral-bundle", "proposed-appointment", "appointment-ehr-copy"} - {"appointments"}
    assert here == PROFILES.keys()


HOSTILE: dict[type, list[Any]] = {
    str: [
        CANARY,
        "",
        "CANARY\n",
        "\u202eCANARY",
        "Patient/CANARY words",
        "https://CANARY.example/?CANARY=1",
        "x" * 300,
    ],
    datetime: [datetime(2026, 10, 1, 9, 30), datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)],
    date: [date(1, 1, 1), date(9999, 12, 31), datetime(2026, 10, 1, 9, 30)],
    bool: [],
    int: [-1, 0, 10**30],
    tuple: [(), (CANARY,), (Label(CONFIDENTIALITY, CANARY),), (("CANARY", ()),)],
    list: [[], [CANARY], [(CANARY, ())], [CANARY] * 300],
    dict: [{}, {"url": CANARY}, {"url": CANARY, "extension": []}],
}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.one_of(*BUILT.values()), st.data())
def test_a_wrong_argument_makes_nothing_and_is_not_repeated(one: tuple[Builder, Payload], data: st.DataObject) -> None:
    """Words for a number, a time without a zone, a strange label: refused as a ValueError in constant words, or it was
    no mistake and what is made is valid."""
    builder, given = one
    name = data.draw(st.sampled_from(sorted(given)))
    wrong = HOSTILE.get(type(given[name]), [CANARY])
    if not wrong:
        return
    value = data.draw(st.sampled_from(wrong))
    made, said = None, ""
    try:
        made = builder(**{**given, name: value})
    except ValueError as error:
        said = str(error)
    assert "CANARY" not in said
    assert made is None or validate(made, profile_of(builder), confidentiality="R") == []
