"""Client assertions, token answers and id_tokens: each fault an EHR, or somebody in between, could make."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from launch.tokens import Tokens, _lifetime


def refused(launch_app: Any, ehr: Any) -> tuple[int, str]:
    browser = launch_app.browser()
    answer = browser.get("/callback", query_string=ehr.approve(launch_app.begin(browser, ehr)))
    assert answer.status_code != 303, "the launch was accepted"
    return answer.status_code, launch_app.events[-1].reason


# --- our assertion ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@331")
@pytest.mark.requirement("smart@320")
def test_assertion_is_as_the_standard_wants_it(launch_app: Any, ehr: Any, keys: Any) -> None:
    """We prove who we are by a signature that is good for four minutes at one address, with a new id each time."""
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    ehr.access_tokens.clear()
    assert browser.get(f"/v/{launch_id}/patient").status_code == 200
    browser.post(f"/v/{launch_id}/leave")
    assert len(ehr.assertions) == 4  # exchange, refresh, and two revocations
    for header, claims in ehr.assertions:
        assert header["alg"] == "ES384"
        assert header["typ"] == "JWT"
        assert header["kid"] == keys.signing_key("ES384").kid
        assert "jku" not in header
        assert claims["iss"] == claims["sub"] == "care-connections"
        assert claims["aud"] == ehr.token_endpoint
        assert claims["exp"] - time.time() <= 240
    assert len({claims["jti"] for _, claims in ehr.assertions}) == 4


@pytest.mark.requirement("smart@62")
@pytest.mark.requirement("smart@72")
def test_token_request_carries_what_is_needed_and_no_client_id(launch_app: Any, ehr: Any) -> None:
    """The code goes with its verifier and our address, in the body, and no header or body names us a second time."""
    launch_app.finish(launch_app.browser(), ehr)
    (sent,) = [one for one in ehr.received if one.path == "/token"]
    assert set(sent.form) == {
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "client_assertion_type",
        "client_assertion",
    }
    assert {len(values) for values in sent.form.values()} == {1}
    assert sent.form["redirect_uri"] == ["http://127.0.0.1:8000/callback"]
    assert len(sent.form["code_verifier"][0]) >= 43
    assert sent.query == {}
    assert "Authorization" not in sent.headers
    assert "Cookie" not in sent.headers


# --- the token answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        (400, {"error": "invalid_grant"}),
        (400, {"access_token": "x", "token_type": "bearer", "scope": ""}),
        (401, "no"),
        (200, "not json"),
        (200, "[1]"),
        (200, "[" * 100_000),
        (200, {"error": "invalid_grant"}),
        (200, {"token_type": "bearer", "scope": ""}),
        (200, {"access_token": 7, "token_type": "bearer", "scope": ""}),
        (200, {"access_token": "x", "token_type": "mac", "scope": ""}),
        (200, {"access_token": "x", "scope": ""}),
        (200, {"access_token": "x\r\ny", "token_type": "bearer", "scope": ""}),
        (200, {"access_token": "x", "token_type": "bearer", "scope": ["a"]}),
        (200, {"access_token": "x", "token_type": "bearer", "refresh_token": {}, "scope": "", "expires_in": "soon"}),
    ],
)
def test_unusable_token_answer_is_a_plain_refusal(launch_app: Any, ehr: Any, failure: Any) -> None:
    """Whatever the token endpoint answers instead of a token, the person gets one page and no error of ours."""
    ehr.token_failure = failure
    status, reason = refused(launch_app, ehr)
    assert status in (403, 502)
    assert reason.split("/")[0] in ("token-refused", "identity")


@pytest.mark.parametrize(
    "changes",
    [{"token_type": "mac"}, {"token_type": None}, {"token_type": 7}, {"access_token": ""}, {"refresh_token": ["x"]}],
)
def test_one_unsound_member_spoils_a_good_answer(launch_app: Any, ehr: Any, changes: dict[str, Any]) -> None:
    """A token of another kind than bearer is not used as one, however good the rest of the answer is.

    Breaks when ``token_type`` is not compared.
    """
    ehr.token_changes = changes
    assert refused(launch_app, ehr) == (502, "token-refused/token-answer")


@pytest.mark.parametrize("failure", [(500, "x"), (503, {"error": "server_error"}), (200, "x" * 600_000)])
def test_ehr_that_is_down_is_said_to_be_down(launch_app: Any, ehr: Any, failure: Any) -> None:
    """A failing or flooding token endpoint reads as "the EHR did not answer"."""
    ehr.token_failure = failure
    assert refused(launch_app, ehr)[1].startswith("ehr-unreachable/")


def test_redirect_of_the_token_endpoint_is_not_followed(launch_app: Any, ehr: Any) -> None:
    """A code and our assertion are not carried on to another address."""
    ehr.token_failure = (307, "")
    assert refused(launch_app, ehr)[1].startswith("token-refused/")


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
def test_token_type_in_any_case(launch_app: Any, ehr: Any, token_type: str) -> None:
    """Upper and lower case do not matter here."""
    ehr.token_changes = {"token_type": token_type}
    assert launch_app.finish(launch_app.browser(), ehr)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (300, 300),
        ("300", 300),
        (None, 60),
        (0, 60),
        (-5, 60),
        (True, 60),
        ("soon", 60),
        (10**12, 3600),
        (float("nan"), 60),
    ],
)
def test_absent_or_odd_lifetime_counts_as_short(sent: Any, kept: int) -> None:
    """A token that does not say how long it lives is taken to live a minute."""
    assert _lifetime(sent) == kept


# --- the id_token ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@201")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "{base}"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "other-app"},
        {"aud": ["care-connections", "other-app"]},
        {"aud": ["care-connections", "other-app"], "azp": "other-app"},
        {"aud": "other-app", "azp": "care-connections"},
        {"aud": None},
        {"azp": "other-app"},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
        {"iat": 4_000_000_000},
        {"nonce": "wrong"},
        {"nonce": None},
        {"sub": None},
        {"at_hash": "wrong"},
    ],
)
def test_id_token_with_a_wrong_claim_is_refused(launch_app: Any, ehr: Any, changes: dict[str, Any]) -> None:
    """A token about another app, another time, another launch or another server does not say who you are.

    Breaks when ``iss`` or ``aud`` is left out of the options, or ``nonce`` out of the params, of ``CodeIDToken``.
    """
    ehr.claim_changes = {name: ehr.fhir_base if value == "{base}" else value for name, value in changes.items()}
    status, reason = refused(launch_app, ehr)
    assert status == 403
    assert re.fullmatch(r"identity/id-token(-(iss|aud|azp|exp|iat|nonce|at-hash))?", reason)
    assert len(ehr.revoked) == 2


def test_id_token_for_several_audiences_needs_us_as_the_party(launch_app: Any, ehr: Any) -> None:
    """A token for us and others passes when it says that we are the one it was made for."""
    ehr.claim_changes = {"aud": ["care-connections", "other-app"], "azp": "care-connections"}
    assert launch_app.finish(launch_app.browser(), ehr)


def test_id_token_is_required(launch_app: Any, ehr: Any) -> None:
    """An access token alone does not say who you are."""
    ehr.token_changes = {"id_token": None}
    assert refused(launch_app, ehr)[1] == "identity/no-id-token"


@pytest.mark.requirement("smart@201")
@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "..", "e30.e30.", "ÿ.ÿ.ÿ", "eyJhbGciOiJub25lIn0.e30.", 7])
def test_id_token_that_is_none_is_refused(launch_app: Any, ehr: Any, token: Any) -> None:
    """Garbage in the place of an id_token, or one without signature, is a refusal and never an error of ours."""
    ehr.token_changes = {"id_token": token}
    assert refused(launch_app, ehr)[0] in (403, 502)


@pytest.mark.requirement("smart@218")
def test_keys_of_the_id_token_come_from_its_issuer(launch_app: Any, ehr: Any) -> None:
    """Who signed an id_token is asked of the issuer's own configuration, which is another address than the FHIR base,
    then of the key page that it names; neither hears our token."""
    assert ehr.issuer != ehr.fhir_base
    launch_app.finish(launch_app.browser(), ehr)
    told = [one for one in ehr.received if one.path in ("/openid/.well-known/openid-configuration", "/jwks")]
    assert [one.path for one in told] == ["/openid/.well-known/openid-configuration", "/jwks"]
    assert all("Authorization" not in one.headers for one in told)


@pytest.mark.requirement("smart@201")
def test_id_token_signed_by_another_key_is_refused(launch_app: Any, ehr: Any) -> None:
    """A token with the right words and the wrong signature is refused, under its own key id or under the EHR's."""
    ehr.id_token_key = ECKey.generate_key("P-384", {"alg": "ES384"}, private=True, auto_kid=True)
    assert refused(launch_app, ehr)[1] == "identity/id-token"
    ehr.header_changes = {"kid": ehr.id_token_key.kid}
    assert refused(launch_app, ehr)[1] == "identity/id-token-key"


@pytest.mark.requirement("smart@201")
def test_shared_secret_signs_nothing(launch_app: Any, ehr: Any) -> None:
    """A token signed with a shared secret, which a public key could be mistaken for, is refused for its algorithm.

    Breaks when HS256 is put on the list of algorithms.
    """
    ehr.id_token_key = OctKey.generate_key(256)
    ehr.header_changes = {"alg": "HS256"}
    assert refused(launch_app, ehr)[1] == "identity/id-token-alg"


@pytest.mark.parametrize("alg", ["RS256", "RS384"])
def test_rsa_keys_are_understood_too(launch_app: Any, ehr: Any, alg: str) -> None:
    """EHRs sign with RSA as well."""
    ehr.signing_key = RSAKey.generate_key(2048, {"use": "sig"}, private=True, auto_kid=True)
    ehr.header_changes = {"alg": alg}
    ehr.claim_changes = {"at_hash": None}
    assert launch_app.finish(launch_app.browser(), ehr)


@pytest.mark.filterwarnings("ignore:Key size")
def test_one_bad_published_key_spoils_no_other(launch_app: Any, ehr: Any) -> None:
    """A key of a kind we do not know, a private one or a short one beside the right key does no harm."""
    ehr.published_keys = [
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "odd"},
        {"kty": "oct", "k": "AAAA", "kid": "secret"},
        RSAKey.generate_key(1024, private=True, auto_kid=True).as_dict(private=False),
        ECKey.generate_key("P-384", private=True, auto_kid=True).as_dict(private=True),
        "garbage",
        ehr.signing_key.as_dict(private=False),
    ]
    assert launch_app.finish(launch_app.browser(), ehr)


def test_key_id_that_names_two_keys_names_none(launch_app: Any, ehr: Any) -> None:
    """When two published keys share an id, nobody can say which one is meant."""
    other = ECKey.generate_key("P-384", private=True).as_dict(private=False)
    ehr.published_keys = [{**other, "kid": ehr.signing_key.kid}, ehr.signing_key.as_dict(private=False)]
    assert refused(launch_app, ehr)[1] == "identity/id-token-key"


@pytest.mark.requirement("smart@218")
def test_openid_configuration_must_name_the_same_issuer(launch_app: Any, ehr: Any) -> None:
    """Keys are taken only from a document that speaks for the issuer we pinned."""
    ehr.openid_changes = {"issuer": "https://evil.example"}
    assert refused(launch_app, ehr)[1] == "ehr-unreachable/openid-issuer-differs"


def test_keys_are_fetched_from_no_other_machine_of_ours(launch_app: Any, ehr: Any) -> None:
    """An EHR cannot make us call what listens on this computer beside it (attack 9)."""
    ehr.openid_changes = {"jwks_uri": "http://127.0.0.1:1/jwks"}
    assert refused(launch_app, ehr)[1] == "ehr-unreachable/discovery-jwks-uri"


# --- no secret in words ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@90")
@pytest.mark.rule("attack 6")
def test_no_secret_in_logs_pages_or_texts(
    launch_app: Any, ehr: Any, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    """With every library at its most talkative, no log line, page, cookie or database page holds a token or a code.

    Breaks when ``urllib3`` is set back to DEBUG (the FHIR address holds the patient), or a token is stored unsealed.
    """
    caplog.set_level(logging.DEBUG)
    browser = launch_app.browser()
    query = ehr.approve(launch_app.begin(browser, ehr))
    answer = browser.get("/callback", query_string=query)
    launch_id = answer.headers["Location"].split("/")[2]
    ehr.access_tokens.clear()
    shown = [browser.get(f"/v/{launch_id}/{page}").get_data(as_text=True) for page in ("", "patient")]
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("launch.sqlite*"))
    secrets = {query["code"], query["state"], "canary-launch", *ehr.refresh_tokens, *ehr.access_tokens}
    secrets |= {one.form["client_assertion"][0] for one in ehr.received if "client_assertion" in one.form}
    secrets |= {one.form["code_verifier"][0] for one in ehr.received if "code_verifier" in one.form}
    ours = [record for record in caplog.records if record.name != "werkzeug"]  # the double's own access log
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in ours)
    assert [one for one in secrets if one in logged] == []
    assert "p1" not in logged
    assert [one for one in secrets if one in "".join(shown) + str(answer.headers)] == []
    assert [one for one in secrets if one.encode() in stored] == []
    assert b"dr-lee" not in stored


def test_text_form_of_tokens_shows_nothing() -> None:
    """Somebody who prints the tokens by mistake sees no token."""
    text = repr(Tokens("at-canary", "rt-canary", 1, "https://ehr.example/token", None))
    assert "canary" not in text
