"""We as client of a partner's system: what reaches it, what does not, and what we make of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from launch import backend_services
from launch.backend_services import Client, PartnerAnswer
from launch.errors import PartnerSystemError
from launch.keys import KeyRing, create_key_file

FHIR = "https://partner.example/fhir"
WELL_KNOWN = FHIR + "/.well-known/smart-configuration"
TOKEN = "https://login.partner.example/token"
SCOPE = "system/Patient.c system/Task.c"
BODY = b'{"resourceType":"Bundle"}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(path)
    return KeyRing.load(path)


@pytest.fixture
def partner() -> Any:
    """A partner that is well."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.get(WELL_KNOWN, json={"token_endpoint": TOKEN})
        answers.post(TOKEN, json={"access_token": "one", "token_type": "Bearer", "expires_in": 300, "scope": SCOPE})
        answers.post(FHIR, json={"resourceType": "Bundle"}, headers={"Location": "/fhir/Task/7"})
        yield answers


def send(client: Client, **changes: Any) -> PartnerAnswer:
    return client.post(
        **{
            "fhir_address": FHIR,
            "token_endpoint": TOKEN,
            "client_id": "care-connections",
            "scope": SCOPE,
            "body": BODY,
            **changes,
        }
    )


def sent_to(partner: Any, url: str) -> list[requests.PreparedRequest]:
    return [call.request for call in partner.calls if call.request.url == url]


@pytest.mark.requirement("smart@331")
@pytest.mark.parametrize("alg", ["ES384", "RS384"])
def test_token_is_asked_for_with_a_signed_assertion(alg: str, keys: KeyRing, partner: Any) -> None:
    """We prove who we are with our own key, for minutes, once, addressed to that partner's token endpoint."""
    assert send(Client(keys, alg=alg)).location == "/fhir/Task/7"
    form = parse_qs(sent_to(partner, TOKEN)[0].body, strict_parsing=True)
    assert set(form) == {"grant_type", "scope", "client_assertion_type", "client_assertion"}
    assert (form["grant_type"], form["scope"]) == (["client_credentials"], [SCOPE])
    assertion = form["client_assertion"][0]
    header = jws.extract_compact(assertion.encode()).headers()
    assert (header["alg"], header["typ"]) == (alg, "JWT")
    token = jwt.decode(assertion, KeySet.import_key_set(keys.public_jwks()), registry=JWSRegistry(algorithms=[alg]))
    said = token.claims
    assert (said["iss"], said["sub"], said["aud"]) == ("care-connections", "care-connections", TOKEN)
    assert 0 < said["exp"] - said["iat"] <= 300
    assert 1 <= len(said["jti"]) <= 151


def test_each_assertion_has_its_own_id(keys: KeyRing, partner: Any) -> None:
    """No assertion is ever used twice."""
    for _ in range(2):
        send(Client(keys))
    ids = {
        jws.extract_compact(parse_qs(request.body)["client_assertion"][0].encode()).payload
        for request in sent_to(partner, TOKEN)
    }
    assert len({json.loads(payload)["jti"] for payload in ids}) == 2


@pytest.mark.requirement("smart@263")
def test_token_is_kept_until_shortly_before_it_ends(
    keys: KeyRing, partner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several items to one partner need one token, and a token about to end is not used."""
    now = [1000.0]
    monkeypatch.setattr(backend_services.time, "monotonic", lambda: now[0])
    client = Client(keys)
    for _ in range(3):
        send(client)
    assert len(sent_to(partner, TOKEN)) == 1
    now[0] += 275
    send(client)
    assert len(sent_to(partner, TOKEN)) == 2
    assert len(sent_to(partner, WELL_KNOWN)) == 1


@pytest.mark.requirement("smart@267")
def test_bytes_arrive_as_given_and_the_token_only_there(keys: KeyRing, partner: Any) -> None:
    """What was shown before sending is what is sent, and our token goes to the partner's FHIR address alone."""
    send(Client(keys))
    request = sent_to(partner, FHIR)[0]
    assert request.body == BODY
    assert request.headers["Authorization"] == "Bearer one"
    assert request.headers["Content-Type"] == "application/fhir+json"
    assert all("Authorization" not in other.headers for other in sent_to(partner, TOKEN) + sent_to(partner, WELL_KNOWN))


def test_dead_token_is_replaced_once(keys: KeyRing, partner: Any) -> None:
    """When a partner forgot our token we ask for a new one and send again, once."""
    partner.replace("POST", FHIR, status=401)
    with pytest.raises(PartnerSystemError) as refused:
        send(Client(keys))
    assert (refused.value.status, refused.value.is_permanent) == (401, False)
    assert len(sent_to(partner, FHIR)) == 2
    assert len(sent_to(partner, TOKEN)) == 2


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("http", {"fhir_address": "http://partner.example/fhir"}),
        ("loopback http is for the demo", {"fhir_address": "http://localhost:9100/fhir"}),
        ("token over http", {"token_endpoint": "http://login.partner.example/token"}),
        ("user info", {"token_endpoint": "https://login.partner.example@evil.example/token"}),
        ("file", {"fhir_address": "file:///etc/passwd"}),
    ],
)
def test_unsafe_address_is_refused_before_any_call(name: str, changes: dict[str, str], keys: KeyRing) -> None:
    """An address that is not plainly https gets no call at all."""
    with responses.RequestsMock() as answers:
        with pytest.raises(PartnerSystemError, match="address-not-allowed") as refused:
            send(Client(keys), **changes)
        assert refused.value.is_permanent
        assert not answers.calls


@pytest.mark.requirement("smart@268")
@pytest.mark.parametrize("path", ["../token", "Task/../..", "Task/1?x=y", "//evil.example", "Task/1/2", "Task%2f1"])
def test_path_is_a_type_and_an_id(path: str, keys: KeyRing) -> None:
    """Nothing sent can leave the partner's FHIR address."""
    with responses.RequestsMock() as answers:
        with pytest.raises(ValueError, match="path is"):
            send(Client(keys), path=path)
        assert not answers.calls


@pytest.mark.rule("attack 9")
def test_partner_that_names_another_token_endpoint_gets_nothing(keys: KeyRing, partner: Any) -> None:
    """If a partner's own document disagrees with what was registered, no assertion and no item leaves."""
    partner.replace("GET", WELL_KNOWN, json={"token_endpoint": "https://evil.example/token"})
    with pytest.raises(PartnerSystemError, match="another-token-endpoint"):
        send(Client(keys))
    assert [call.request.url for call in partner.calls] == [WELL_KNOWN]


@pytest.mark.rule("attack 9")
@pytest.mark.requirement("smart@267")
@pytest.mark.requirement("smart@268")
@pytest.mark.parametrize("url", [WELL_KNOWN, TOKEN, FHIR])
def test_redirect_is_not_followed(url: str, keys: KeyRing, partner: Any) -> None:
    """A redirect is where a stolen address would lead: it counts as an outage."""
    method = "GET" if url == WELL_KNOWN else "POST"
    partner.get("https://evil.example/", body=b"")
    partner.post("https://evil.example/", body=b"")
    partner.replace(method, url, status=307, headers={"Location": "https://evil.example/"})
    with pytest.raises(PartnerSystemError, match="redirect") as refused:
        send(Client(keys))
    assert not refused.value.is_permanent
    assert not sent_to(partner, "https://evil.example/")


def _outcome(code: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


@pytest.mark.parametrize(
    ("name", "answer", "is_permanent", "retry_after"),
    [
        ("down", {"status": 503}, False, None),
        ("asks to wait", {"status": 503, "headers": {"Retry-After": "120"}}, False, 120),
        ("asks to wait for years", {"status": 429, "headers": {"Retry-After": "999999999"}}, False, 86_400),
        ("names a time past", {"status": 429, "headers": {"Retry-After": formatdate(0, usegmt=True)}}, False, 0),
        ("nonsense wait", {"status": 429, "headers": {"Retry-After": "soon"}}, False, None),
        ("error", {"status": 500}, False, None),
        ("not found is an outage", {"status": 404}, False, None),
        ("forbidden can be mended", {"status": 403}, False, None),
        ("in flight", {"status": 409, "json": _outcome("duplicate")}, False, None),
        ("conflict", {"status": 409, "json": _outcome("conflict")}, True, None),
        ("bad request", {"status": 400}, True, None),
        ("too large", {"status": 413}, True, None),
        ("invalid", {"status": 422, "json": _outcome("invalid")}, True, None),
        ("no answer", {"body": requests.ConnectionError()}, False, None),
        ("half an answer", {"body": requests.exceptions.ChunkedEncodingError()}, False, None),
        ("silence", {"body": requests.ReadTimeout()}, False, None),
        ("endless", {"body": b"x" * 1_000_001}, False, None),
    ],
)
def test_what_a_refusal_means(
    name: str, answer: dict[str, Any], is_permanent: bool, retry_after: int | None, keys: KeyRing, partner: Any
) -> None:
    """A partner that is down is tried again later; only what can never work is given up."""
    partner.replace("POST", FHIR, **answer)
    with pytest.raises(PartnerSystemError) as refused:
        send(Client(keys))
    assert (refused.value.is_permanent, refused.value.retry_after_seconds) == (is_permanent, retry_after)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("refused", {"status": 400, "json": {"error": "invalid_client"}}),
        ("down", {"status": 503}),
        ("no answer", {"body": requests.ConnectionError()}),
        ("not json", {"body": b"<html>"}),
        ("a list", {"json": []}),
        ("no token", {"json": {"token_type": "bearer"}}),
        ("mac token", {"json": {"access_token": "x", "token_type": "mac"}}),
        ("token with a line break", {"json": {"access_token": "x\r\nHost: evil", "token_type": "bearer"}}),
        ("deep", {"body": b"[" * 50_000}),
    ],
)
def test_without_a_token_nothing_is_sent(name: str, answer: dict[str, Any], keys: KeyRing, partner: Any) -> None:
    """When a partner's token endpoint is not well, the item stays here and is tried again."""
    partner.replace("POST", TOKEN, **answer)
    with pytest.raises(PartnerSystemError) as refused:
        send(Client(keys))
    assert not refused.value.is_permanent
    assert not sent_to(partner, FHIR)


def test_error_holds_no_word_of_the_partner(keys: KeyRing, partner: Any) -> None:
    """What a partner writes in a refusal may repeat the item: it is not kept, not even in the error."""
    partner.replace("POST", FHIR, status=422, json={"diagnostics": "Robin 555-0142"})
    with pytest.raises(PartnerSystemError) as refused:
        send(Client(keys))
    assert "Robin" not in repr(vars(refused.value)) + str(refused.value)


def test_home_folder_password_file_is_not_used(
    keys: KeyRing, partner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten password file on the server does not replace our token."""
    file = tmp_path / "netrc"
    file.write_text("machine partner.example login a password b\n")
    monkeypatch.setenv("NETRC", str(file))
    send(Client(keys))
    assert sent_to(partner, FHIR)[0].headers["Authorization"] == "Bearer one"


def test_two_partners_never_share_a_token(keys: KeyRing, partner: Any) -> None:
    """Each partner has its own token, even when both ask under one name."""
    other: Callable[[str], str] = lambda url: url.replace("partner.example", "other.example")  # noqa: E731
    partner.get(other(WELL_KNOWN), json={"token_endpoint": other(TOKEN)})
    partner.post(other(TOKEN), json={"access_token": "two", "token_type": "bearer"})
    partner.post(other(FHIR), json={})
    client = Client(keys)
    send(client)
    send(client, fhir_address=other(FHIR), token_endpoint=other(TOKEN))
    assert sent_to(partner, other(FHIR))[0].headers["Authorization"] == "Bearer two"


@pytest.mark.rule("R9")
def test_rule_R09_last_look_comes_after_the_token_and_may_stop_the_send(keys: KeyRing, partner: Any) -> None:
    """A release that ends while we fetch a token stops the send: the body is made right before connecting.

    Break: in ``Client.post`` call ``body()`` before the token is fetched.
    """

    def made() -> bytes:
        assert len(sent_to(partner, TOKEN)) == 1
        return BODY

    def stopped() -> bytes:
        raise LookupError("no longer released")

    client = Client(keys)
    send(client, body=made)
    assert sent_to(partner, FHIR)[0].body == BODY
    with pytest.raises(LookupError):
        send(client, body=stopped)
    assert len(sent_to(partner, FHIR)) == 1
