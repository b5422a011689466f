"""The demo's view of the other side: what it says it received, and what others see there."""

from __future__ import annotations

import json

import pytest
import requests
import responses

from smart_app.gateways.demo_wire import HttpDemoWire

EHR, PROGRAM = "http://127.0.0.1:9001", "http://127.0.0.1:9101"


@pytest.fixture
def wire():
    return HttpDemoWire(EHR, f"{PROGRAM}/")


@responses.activate
def test_what_the_others_received_comes_back_as_they_say(wire):
    """Follow the data shows the other side's own words, byte for byte."""
    responses.get(f"{EHR}/writes", json=[{"method": "POST", "body": '{"a":1}'}])
    responses.get(f"{PROGRAM}/received", json=[{"bundle": "{}", "times_received": 1}])
    assert wire.ehr_writes() == [{"method": "POST", "body": '{"a":1}'}]
    assert wire.partner_receipts()[0]["times_received"] == 1
    responses.get(f"{PROGRAM}/sent", json=[{"bundle": '{"b":2}', "sender": "harbor"}])
    assert wire.partner_sent() == [{"bundle": '{"b":2}', "sender": "harbor"}]


@responses.activate
def test_looking_as_somebody_uses_a_token_of_that_kind_and_a_refusal_shows_nothing(wire):
    """View as patient portal really asks as the portal would, and shows what it got."""
    responses.get(f"{EHR}/state", json={"ehr": "http://localhost:9000"})
    responses.post(f"{EHR}/token", json={"access_token": "token-of-patient"})
    base = "http://localhost:9000/a/fhir"
    responses.get(f"{base}/Observation", json={"entry": [{"resource": {"resourceType": "Observation", "id": "1"}}]})
    responses.get(f"{base}/ServiceRequest", status=403)
    responses.get(f"{base}/Appointment", json={"resourceType": "Bundle"})
    assert wire.ehr_as("patient", "p-rosa") == [{"resourceType": "Observation", "id": "1"}]
    asked = next(call for call in responses.calls if call.request.url == f"{EHR}/token")
    assert json.loads(asked.request.body) == {"base": "a", "kind": "patient", "patient": "p-rosa"}
    looked = responses.calls[-1].request
    assert looked.headers["Authorization"] == "Bearer token-of-patient"
    assert looked.url.endswith("?patient=p-rosa")


@responses.activate
def test_a_sandbox_that_is_away_is_an_error_not_an_empty_page(wire):
    """When the other side does not answer, the page cannot claim that nothing arrived."""
    responses.get(f"{EHR}/writes", status=500)
    with pytest.raises(requests.HTTPError):
        wire.ehr_writes()
