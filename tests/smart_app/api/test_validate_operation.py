"""``POST /fhir/Bundle/$validate``: what a POST of the referral would be told, and nothing is kept or looked up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

PATH = "/fhir/Bundle/$validate"
HEADERS = {"Authorization": "Bearer harbor", "Content-Type": "application/fhir+json"}
Post = Callable[..., Any]


def test_a_good_referral_is_said_to_be_in_order_and_not_kept(http: FlaskClient, world: Any, post: Post) -> None:
    """The engineer sees that it would be taken; nobody has been referred, and it can still be sent as new."""
    sent = post()
    answer = http.post(PATH, data=sent.body, headers=HEADERS)
    assert answer.status_code == 200
    (issue,) = answer.get_json()["issue"]
    assert (issue["severity"], issue["details"]["text"]) == ("information", "No problem was found.")
    assert not any(world.totals().values())
    assert http.post("/fhir", data=sent.body, headers=HEADERS).status_code == 202


def _without_task_owner(sent: Any) -> None:
    del sent.entry("Task")["owner"]


def _for_another_clinic(sent: Any) -> None:
    sent.entry("Task")["owner"] = {"reference": "Organization/elsewhere"}
    sent.entry("Consent")["provision"]["actor"][0]["reference"] = {"reference": "Organization/elsewhere"}


def _with_a_story(sent: Any) -> None:
    sent.entry("ServiceRequest")["Marlowe"] = "14 Elm Street"


@pytest.mark.parametrize("change", [_without_task_owner, _for_another_clinic, _with_a_story])
def test_it_says_what_the_post_would_say(
    change: Callable[[Any], None], http: FlaskClient, world: Any, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same issues, byte for byte, as the refusal: with 200, because the question was answered. No word of the
    sender's is kept or printed. Breaks when it asks the gate alone and not whose referral it is."""
    sent = post(alias="Quillfeather")
    change(sent)
    asked = http.post(PATH, data=sent.body, headers=HEADERS)
    refused = http.post("/fhir", data=sent.body, headers=HEADERS)
    assert (asked.status_code, refused.status_code) == (200, 422)
    assert asked.data == refused.data
    seen = asked.data + "".join(capfd.readouterr()).encode() + world.bytes_on_disk()
    assert not any(canary in seen for canary in (b"Quillfeather", b"Marlowe", b"Elm Street"))


def test_a_release_that_is_over_is_found(http: FlaskClient, post: Post, world: Any) -> None:
    """The clinic's clock counts: what no validator at a desk can know."""
    sent = post(signed_on=(world.services.now() - timedelta(days=60)).date())
    issues = http.post(PATH, data=sent.body, headers=HEADERS).get_json()["issue"]
    assert [issue["expression"] for issue in issues] == [["Bundle.entry[1].resource.provision.period"]]


@pytest.mark.rule("R18")
def test_rule_R18_the_vault_is_not_opened(http: FlaskClient, world: Any, post: Post) -> None:
    """Whether the clinic knows this person cannot be found out by asking: no statement touches anything of a patient.
    Break: look the alias up in ``problems``."""
    touched: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        touched.append(statement)

    body = post().body
    http.post("/fhir", data=body, headers=HEADERS)
    event.listen(world.engine, "before_cursor_execute", note)
    answers = [http.post(PATH, data=one, headers=HEADERS) for one in (body, post(alias="Nobody", number="9").body)]
    assert answers[0].data == answers[1].data
    assert [text for text in touched if "vault_" in text or "audit_" in text] == []


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b"x" * 1_000_001, 413), (b"{}", 200)])
def test_what_cannot_be_read_is_refused_as_anywhere(body: bytes, status: int, http: FlaskClient) -> None:
    """The limits stand before this door too; an object that is no Bundle is answered with what is wrong."""
    answer = http.post(PATH, data=body, headers=HEADERS)
    assert answer.status_code == status
    assert answer.get_json()["issue"][0]["severity"] == "error"


def test_another_type_in_its_place_is_told(http: FlaskClient) -> None:
    """Who wraps the Bundle in Parameters is told that a Bundle is expected."""
    body = json.dumps({"resourceType": "Parameters", "parameter": []})
    issues = http.post(PATH, data=body, headers=HEADERS).get_json()["issue"]
    assert any("Bundle" in issue["details"]["text"] for issue in issues)
