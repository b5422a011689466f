"""Hostile bodies at the real door, with a token that is good: a plain refusal, nothing stored, nothing told again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hostile_values import CANARY, NUMBER

from fhir_profiles.shapes import MAX_ISSUES, ONLY_THE_FIRST
from fhir_profiles.validation import MAX_BYTES

HEADERS = {"Authorization": "Bearer harbor", "Content-Type": "application/fhir+json"}
BUNDLE = {"resourceType": "Bundle", "type": "transaction"}
KEY = CANARY.encode()


def bundle(**more: Any) -> bytes:
    return json.dumps({**BUNDLE, **more}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def holding(value: bytes) -> bytes:
    return b'{"resourceType":"Bundle","' + KEY + b'":' + value + b"}"


# Refused before anything is looked at: name -> (body, status, issue code).
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "600 levels of objects": (holding((b'{"' + KEY + b'":') * 600 + b"1" + b"}" * 600), 400, "too-costly"),
    "600 levels of lists": (holding(b"[" * 600 + b"]" * 600), 400, "too-costly"),
    "a string of 10 MB": (bundle(id=CANARY * 900_000), 413, "too-long"),
    "just too long": (bundle(id=CANARY).ljust(MAX_BYTES + 1), 413, "too-long"),
    "not a number": (holding(b"NaN"), 400, "structure"),
    "infinity": (holding(b"-Infinity"), 400, "structure"),
    "five thousand digits": (holding(str(NUMBER).encode() * 500), 400, "too-long"),
    "a huge exponent": (holding(str(NUMBER).encode() + b"e400000000"), 400, "too-costly"),
    "a key twice": (bundle(id=CANARY)[:-1] + b',"id":"' + KEY + b'"}', 400, "structure"),
    "a strange key twice": (holding(b'{"' + KEY + b'":1,"' + KEY + b'":1}'), 400, "structure"),
    "UTF-16": (bundle(id=CANARY).decode().encode("utf-16"), 400, "structure"),
    "a byte order mark": (b"\xef\xbb\xbf" + bundle(id=CANARY), 400, "structure"),
    "Latin-1": (bundle(id=f"{CANARY}é").decode().encode("latin-1"), 400, "structure"),
    "half a character": (bundle(id=f"{CANARY}\ud800"), 400, "structure"),
    "half a character as an escape": (holding(b'"' + KEY + b'\\ud800"'), 400, "structure"),
    "a million items": (holding(b"[" + b"0," * 400_000 + b"0]"), 400, "too-costly"),
    "a megabyte of tags": (bundle(text={"div": f"<div>{'<b>a</b>' * 60_000}{CANARY}</div>"}), 400, "too-costly"),
    "XML": (f"<Bundle><id>{CANARY}</id></Bundle>".encode(), 400, "structure"),
    "a list": (f'["{CANARY}"]'.encode(), 400, "structure"),
    "two documents": (bundle(id=CANARY) + b"\n" + bundle(id=CANARY), 400, "structure"),
    "cut short": (bundle(id=CANARY)[:-2], 400, "structure"),
}
NESTED: dict[str, Any] = {"resourceType": "Banana", "id": CANARY}
for _ in range(15):
    NESTED = {"resourceType": CANARY, "id": CANARY, "contained": [NESTED]}
# Read, looked at, and refused as no referral.
READ: dict[str, bytes] = {
    "another type": json.dumps({"resourceType": CANARY, "id": CANARY}).encode(),
    "no type": json.dumps({CANARY: NUMBER}).encode(),
    "a type that is no word": json.dumps({"resourceType": [CANARY]}).encode(),
    "unknown keys": bundle(**{f"{CANARY}{number}": CANARY for number in range(4000)}),
    "contained in contained": bundle(contained=[NESTED]),
    "entries that are none": bundle(entry=[1, CANARY, None, [CANARY], {"resource": CANARY}, {"resource": NESTED}]),
    "two thousand entries": bundle(entry=[{"fullUrl": CANARY, "resource": {"resourceType": "Patient"}}] * 1900),
    "extensions in extensions": bundle(extension=[{"url": CANARY, "extension": [{"url": CANARY}] * 500}]),
    "three thousand labels": bundle(meta={"security": [{"system": CANARY, "code": CANARY}] * 3000}),
    "numbers for words": bundle(identifier={"system": NUMBER, "value": NUMBER}, timestamp=NUMBER),
    "long words": bundle(identifier={"system": CANARY * 20_000, "value": CANARY * 20_000}),
    "a narrative with script": bundle(text={"div": f"<div><script>{CANARY}</script></div>"}),
}


def assert_says_nothing(answer: Any, world: Any, printed: str) -> None:
    """Neither the answer with its headers, nor a log, nor a byte on the disk holds a canary; no row was added."""
    seen = answer.data + str(answer.headers).encode() + printed.encode() + world.bytes_on_disk()
    assert CANARY.lower().encode() not in seen.lower()
    assert str(NUMBER).encode() not in seen
    assert not any(world.totals().values())


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("path", ["/fhir", "/fhir/Bundle/$validate"])
def test_a_body_outside_the_limits_is_one_plain_refusal(
    http: FlaskClient, world: Any, capfd: pytest.CaptureFixture[str], caplog: Any, name: str, path: str
) -> None:
    """Too long, too deep, too many, no JSON: one issue in constant words, and nothing is kept."""
    body, status, code = REFUSED[name]
    with caplog.at_level("DEBUG"):
        answer = http.post(path, data=body, headers=HEADERS)
    assert answer.status_code == status
    (issue,) = answer.get_json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", code)
    assert_says_nothing(answer, world, caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("name", READ)
def test_a_body_that_is_no_referral_is_told_its_places(
    http: FlaskClient, world: Any, capfd: pytest.CaptureFixture[str], caplog: Any, name: str
) -> None:
    """A 422 with an OperationOutcome: places in FHIR and words of ours, no more of them than of a clumsy body."""
    with caplog.at_level("DEBUG"):
        answer = http.post("/fhir", data=READ[name], headers=HEADERS)
    outcome = answer.get_json()
    assert (answer.status_code, outcome["resourceType"]) == (422, "OperationOutcome")
    assert {issue["severity"] for issue in outcome["issue"]} <= {"error", "information"}
    assert 0 < len(outcome["issue"]) <= MAX_ISSUES + 1
    assert len(outcome["issue"]) <= MAX_ISSUES or outcome["issue"][-1]["details"]["text"] == ONLY_THE_FIRST
    assert_says_nothing(answer, world, caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("place", ["Patient", "Consent", "ServiceRequest", "Task"])
def test_one_strange_thing_in_a_right_referral_refuses_all_of_it(
    http: FlaskClient, world: Any, post: Callable[..., Any], place: str
) -> None:
    """A referral is stored whole or not at all: one hostile value in one part, and there is no case and no receipt."""
    for change in ({CANARY: CANARY}, {"contained": [NESTED]}, {"id": [CANARY]}, {"text": {"div": CANARY}}):
        sent = post(alias=CANARY)
        sent.entry(place).update(change)
        answer = http.post("/fhir", data=sent.body, headers=HEADERS)
        assert answer.status_code == 422
        assert_says_nothing(answer, world, "")
    assert http.post("/fhir", data=post().body, headers=HEADERS).status_code == 202
