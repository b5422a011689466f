"""Nearly three hundred addresses that try to lead us elsewhere, at each door that takes one: nothing is looked up,
nothing is connected to, no token is touched (attack 9)."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import responses
from flask import Flask, jsonify
from hostile_urls import ALL, BESIDE, ELSEWHERE, GENUINE, MISSPELT, REBINDING
from launch_events import noted_in
from sqlalchemy import Engine, func, select

from launch import routes
from launch.backend_services import Client
from launch.client_authentication import JwksCache, KeysUnavailableError
from launch.context import LaunchEvent
from launch.discovery import Discovery, is_acceptable_address
from launch.doctor import check_discovery
from launch.doctor.examination import examine
from launch.doctor.site import DoctorSite, Listing
from launch.doctor.wire import Reply, Wire
from launch.ehr_style import EhrStyles
from launch.errors import EhrError, EhrUnreachableError, LaunchError, PartnerSystemError, UnknownIssuerError
from launch.fhir_client import FhirConnection
from launch.keys import KeyRing
from launch.pinned_session import PinnedSession, require_inside
from launch.registrations import Registration, Registrations, RegistrationsError, parse
from launch.tables import launch_pending
from launch.token_endpoint import PartnerClient, register_client

pytestmark = pytest.mark.rule("attack 9")

# Written as a whole too long for a key or an issuer; as a page of the registered EHR it is merely its own long address.
# With a host of its own: what has none counts from the FHIR base, or, after two slashes, from https.
ABSOLUTE = [url for url in MISSPELT if re.search(r"://[^/?#]", url)]
OWN_LONG_PAGE = {url for url in MISSPELT if url.startswith(GENUINE + "/a")}


class Guard:
    """What this process tried to reach. Every try is noted and fails."""

    def __init__(self) -> None:
        self.connected: list[object] = []
        self.looked_up: list[object] = []

    def is_quiet(self) -> bool:
        return not self.connected and not self.looked_up


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """No socket connects and no name is looked up; afterwards nothing may have tried, unless the test cleared it."""
    made = Guard()

    def connect(_self: socket.socket, address: object) -> int:
        made.connected.append(address)
        raise ConnectionRefusedError("guarded")

    def look_up(host: object, *_args: object, **_kwargs: object) -> Any:
        made.looked_up.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "guarded")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, connect)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
        monkeypatch.setattr(socket, name, look_up)
    yield made
    assert made.is_quiet(), (made.connected, made.looked_up)


@pytest.fixture
def registered(key_file: Path) -> Registrations:
    ehr = {"id": "a", "issuer": GENUINE, "client_id": "us", "name": "EHR", "frame_origins": ["https://ehr.example"]}
    told = {"public_base_url": "https://clinic.example", "keys_file": str(key_file), "product_name": "Care Connections"}
    return parse({**told, "ehr": [ehr]})


@pytest.fixture
def registration(registered: Registrations) -> Registration:
    return registered.for_id("a")


def test_the_guard_sees_what_it_should(guard: Guard) -> None:
    """A guard that noticed nothing would make every test below pass."""
    with pytest.raises(requests.ConnectionError):
        requests.get("https://ehr.example/", timeout=1)
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9/", timeout=1)
    assert guard.looked_up
    with pytest.raises(OSError, match="guarded"), socket.socket() as probe:
        probe.connect(("127.0.0.1", 9))
    assert guard.connected
    guard.connected.clear()
    guard.looked_up.clear()


def test_the_list_is_long_and_each_address_once() -> None:
    """About two hundred were asked for."""
    assert len(ALL) == len(set(ALL)) >= 250
    assert GENUINE not in ALL


# --- iss -------------------------------------------------------------------------------------------------------------


def test_an_issuer_that_is_not_registered_byte_for_byte_opens_nothing(
    guard: Guard,
    registered: Registrations,
    keys: KeyRing,
    launch_engine: Engine,
    cipher: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every hostile ``iss`` gets a page of ours and goes nowhere: no redirect, no row, no look-up.

    Break: let ``for_issuer`` compare with ``startswith``.
    """
    monkeypatch.setattr("launch.launch_rate.AT_ONCE", 10_000)
    app, events = Flask("hostile"), list[LaunchEvent]()
    routes.install(
        app,
        registered,
        engine=launch_engine,
        cipher=cipher,
        tenant_id="hc1",
        on_event=noted_in(events),
        is_partner_open=lambda client_id: True,
        keys=keys,
    )
    app.register_error_handler(LaunchError, lambda error: (jsonify(error.words), error.status))
    http = app.test_client()
    wrong = {}
    for url in ALL:
        answer = http.get("/launch", query_string={"iss": url, "launch": "x"})
        if answer.status_code != 400 or "Location" in answer.headers or "Set-Cookie" in answer.headers:
            wrong[url] = answer.status_code
    assert not wrong
    with launch_engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(launch_pending)).scalar_one() == 0
    assert "evil" not in repr(events)


def test_only_the_registered_issuer_is_found(registered: Registrations) -> None:
    """The registration is found by its own address, with or without one slash, and by none of the others."""
    assert registered.for_issuer(GENUINE) is registered.for_issuer(GENUINE + "/")
    for url in ALL:
        with pytest.raises(UnknownIssuerError):
            registered.for_issuer(url)


# --- what an EHR answers ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@97")
def test_a_token_goes_to_no_address_outside_the_base(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for any of them, the session sends nothing, or (where ``requests`` mends the spelling) to the base itself.

    Break: in ``PinnedSession.send`` leave out ``require_inside``.
    """
    sent: list[str] = []

    def note(_self: object, request: requests.PreparedRequest, **_kwargs: object) -> None:
        assert request.headers["Authorization"] == "Bearer canary"
        sent.append(str(request.url))
        raise requests.ConnectionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", note)
    for url in (*MISSPELT, *ELSEWHERE, *REBINDING, *BESIDE):
        with pytest.raises((PermissionError, requests.RequestException, ValueError)):
            PinnedSession(GENUINE, lambda: "canary").get(url)
    assert len(sent) < 10
    for url in sent:
        assert url == GENUINE or url.startswith((GENUINE + "/", GENUINE + "?"))
        assert ".." not in url


@pytest.mark.requirement("smart@97")
@pytest.mark.requirement("smart@98")
def test_a_page_link_leads_nowhere_but_inside_the_base(guard: Guard) -> None:
    """A search answer's next link is joined to the base and refused unless it stays inside.

    Break: in ``_next_page`` leave out ``require_inside``.
    """
    connection: Any = SimpleNamespace(_base=GENUINE + "/")
    followed = []
    for url in (*MISSPELT, *ELSEWHERE, *REBINDING, *BESIDE):
        try:
            address = FhirConnection._next_page(connection, {"link": [{"relation": "next", "url": url}]})
        except EhrError as error:
            assert error.reason == "foreign-link"  # noqa: PT017 - some links are followed: into the base
            continue
        followed.append(address)
    assert set(followed) <= {GENUINE, GENUINE + "/", GENUINE + "/?x", *OWN_LONG_PAGE}, (
        "what urljoin mends leads to the base itself"
    )


def test_a_page_link_is_refused_before_it_is_asked(guard: Guard) -> None:
    """The same, by the check itself: written out or joined to the base, none of them is inside it."""
    inside = []
    for url in (*MISSPELT, *ELSEWHERE, *REBINDING, *BESIDE):
        try:
            require_inside(url, GENUINE + "/")
        except (PermissionError, ValueError):
            continue
        inside.append(url)
    assert set(inside) == OWN_LONG_PAGE


def test_endpoints_in_an_ehrs_answer_that_lead_inside_are_not_taken(guard: Guard, registration: Registration) -> None:
    """An EHR's discovery document cannot point us at this computer, its network or a misspelt address.

    Break: in ``is_acceptable_address`` leave out ``plain_host``, or let ``AddressRules.allow`` say True.
    """
    assert [url for url in MISSPELT if is_acceptable_address(url, registration)] == []
    assert is_acceptable_address("https://login.ehr.example/token", registration)


@responses.activate
def test_a_discovery_document_with_a_hostile_endpoint_begins_no_launch(
    guard: Guard, registration: Registration
) -> None:
    """Whichever endpoint is hostile, the whole document is refused."""
    taken = []
    for member in ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "issuer"):
        for url in MISSPELT:
            if url == "" or (member != "issuer" and "://" not in url):
                continue  # a relative endpoint counts from the FHIR base: tested by itself below
            document = {
                "issuer": GENUINE,
                "authorization_endpoint": GENUINE + "/authorize",
                "token_endpoint": GENUINE + "/token",
                "grant_types_supported": ["authorization_code"],
                "code_challenge_methods_supported": ["S256"],
                "capabilities": ["launch-ehr"],
                member: url,
            }
            responses.upsert(
                responses.GET, GENUINE + "/.well-known/smart-configuration", body=json.dumps(document), status=200
            )
            try:
                found = Discovery().smart_configuration(registration)
            except EhrUnreachableError:
                continue
            taken.append(str(getattr(found, member)))
    # What urljoin takes for a relative address counts from the FHIR base: it stays at the registered EHR.
    assert all(address.startswith("https://ehr.example/") for address in taken)
    assert len(taken) <= 4 * 3


@responses.activate
def test_keys_of_identity_tokens_are_not_fetched_from_a_hostile_address(
    guard: Guard, registration: Registration
) -> None:
    """An EHR's openid-configuration cannot point us inwards for its keys either.

    Break: in ``_endpoint`` leave out ``is_acceptable_address``.
    """
    taken = []
    for url in ABSOLUTE:
        document = {"issuer": GENUINE, "jwks_uri": url}
        responses.upsert(responses.GET, GENUINE + "/.well-known/openid-configuration", body=json.dumps(document))
        try:
            taken.append(Discovery().jwks_uri(registration, GENUINE))
        except EhrUnreachableError:
            continue
    assert taken == []


# --- the doctor ------------------------------------------------------------------------------------------------------


def test_a_check_up_of_an_issuer_that_is_not_registered_asks_nobody(guard: Guard, registered: Registrations) -> None:
    """Whatever is typed at the doctor, only registered EHRs hear of it.

    Break: let ``DoctorSite.named`` compare with ``startswith``.
    """
    site = DoctorSite(registered, {}, Listing("Clinic", "555-0123"))
    for url in ALL:
        found = examine(site, url)
        assert [one.id for one in found.findings] == ["allow-list.unknown"]
        assert found.registration is None


@responses.activate
def test_a_check_up_names_hostile_addresses_and_asks_none_of_them(
    guard: Guard, registered: Registrations, registration: Registration
) -> None:
    """The doctor reads the same hostile answers as a launch, and goes nowhere a launch would not.

    Break: in ``Wire._ask`` leave out ``may_reach``.
    """
    wire, unnamed = Wire(registered, registration), []
    openid = GENUINE + "/.well-known/openid-configuration"
    assert {wire.get(url).failure for url in MISSPELT} == {"not-allowed"}
    for url in ABSOLUTE:
        responses.upsert(responses.GET, openid, body=json.dumps({"issuer": GENUINE, "jwks_uri": url}))
        ours = {"issuer": GENUINE, "token_endpoint": url, "authorization_endpoint": url, "jwks_uri": url}
        lights = {
            one.id: str(one.light)
            for one in check_discovery.judge(Reply(200, {}, json.dumps(ours).encode()), registration, wire)
        }
        if (lights.get("discovery.addresses"), lights.get("identity.keys")) != ("red", "red"):
            unnamed.append(url)
    assert unnamed == []
    assert {str(call.request.url) for call in responses.calls} == {openid}


def test_a_style_address_elsewhere_is_not_fetched(guard: Guard, registered: Registrations) -> None:
    """Colours come from the registered EHR's own origin or not at all.

    Break: let ``_is_at_home`` return True.
    """
    styles = EhrStyles(registered)
    elsewhere = [*MISSPELT, *ELSEWHERE, *REBINDING]
    assert [url for url in elsewhere if url not in OWN_LONG_PAGE and styles.of("a", url) is not None] == []


# --- partners --------------------------------------------------------------------------------------------------------


def test_keys_are_not_fetched_from_a_misspelt_or_inner_address(guard: Guard) -> None:
    """A partner's key address is refused on its spelling, before its name is looked up.

    Break: in ``JwksCache._fetch`` leave out ``allow_url``.
    """
    for url in MISSPELT:
        with pytest.raises(KeysUnavailableError, match="jwks-address"):
            JwksCache().keys(url, "k")


def test_such_an_address_cannot_be_registered(
    guard: Guard, launch_engine: Engine, key_file: Path, registered: Registrations
) -> None:
    """Whoever enters a partner or an EHR is told at once; nothing is tried first."""
    entered = []
    for url in MISSPELT:
        try:
            register_client(launch_engine, "hc1", PartnerClient("x", jwks_url=url))
        except ValueError:
            continue
        entered.append(url)
    assert not entered


def test_nothing_is_delivered_to_a_misspelt_or_inner_address(guard: Guard, keys: KeyRing) -> None:
    """No assertion, token or referral leaves for an address that is hostile, as FHIR base or as token endpoint.

    Break: in ``Client.post`` leave out ``allow_url``.
    """
    client = Client(keys)
    for url in MISSPELT:
        for fhir_address, token_endpoint in ((url, "https://p.example/token"), ("https://p.example/fhir", url)):
            with pytest.raises(PartnerSystemError, match="address-not-allowed"):
                client.post(
                    fhir_address=fhir_address,
                    token_endpoint=token_endpoint,
                    client_id="us",
                    scope="system/Task.c",
                    body=lambda: pytest.fail("the body was asked for"),
                )


# --- names that turn inwards -----------------------------------------------------------------------------------------


@pytest.fixture
def inwards(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Every name leads to the given address from now on; connections are still guarded."""

    def lead(address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, port, *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, port))]
        )

    return lead


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fe80::1", "::ffff:10.0.0.1"])
def test_a_name_that_turns_inwards_is_not_connected_to(
    address: str, inwards: Callable[[str], None], guard: Guard, keys: KeyRing, registration: Registration
) -> None:
    """Keys, deliveries, discovery and FHIR calls: a properly written name that leads inside ends at the look-up.

    Break: let ``AddressRules.allow`` say True.
    """
    inwards(address)
    for url in (*REBINDING, "https://partner.example/jwks.json"):
        with pytest.raises(KeysUnavailableError, match="jwks-address"):
            JwksCache().keys(url, "k")
    with pytest.raises(PartnerSystemError, match="address-refused"):
        Client(keys).post(
            fhir_address="https://p.example/fhir",
            token_endpoint="https://p.example/token",
            client_id="us",
            scope="system/Task.c",
            body=b"{}",
        )
    with pytest.raises(EhrUnreachableError, match="discovery-private-address"):
        Discovery().smart_configuration(registration)
    with pytest.raises(requests.ConnectionError):
        PinnedSession(GENUINE, lambda: "token").get(GENUINE + "/Patient/1")
    assert guard.connected == []


def test_an_ehr_on_the_hospitals_network_is_reached_when_registered_so(
    inwards: Callable[[str], None], guard: Guard, key_file: Path
) -> None:
    """``private_network`` opens the hospital's own addresses for that EHR, and not the cloud's or this computer's."""
    told = {"public_base_url": "https://clinic.example", "keys_file": str(key_file), "product_name": "Care Connections"}
    ehr = {"id": "a", "issuer": GENUINE, "client_id": "us", "name": "EHR", "frame_origins": ["https://ehr.example"]}
    inside = parse({**told, "ehr": [{**ehr, "private_network": True}]}).for_id("a")
    for address in ("169.254.169.254", "127.0.0.1"):
        inwards(address)
        with pytest.raises(EhrUnreachableError, match="discovery-private-address"):
            Discovery().smart_configuration(inside)
    assert guard.connected == []
    inwards("10.1.2.3")
    with pytest.raises(EhrUnreachableError, match="discovery-no-answer"):
        Discovery().smart_configuration(inside)
    assert guard.connected == [("10.1.2.3", 443)]
    guard.connected.clear()
    with pytest.raises(RegistrationsError, match="private_network must be true or false"):
        parse({**told, "ehr": [{**ehr, "private_network": "yes"}]})
