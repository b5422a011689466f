"""PATCH and $status of a Task: the same release, the same machine as PUT, and an offer that is never refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_profiles import terminology as t
from fhir_profiles.referral_task import business_status_of
from fhir_profiles.sample_referral import shortest_referral
from fhir_profiles.validation.examine import examine
from smart_app.policy.access import Requester
from smart_app.policy.task_states import STATUSES
from smart_app.workflows import referral

FORBIDDEN = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden"}]}'
NOT_FOUND = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}'
MADE_UP = "00000000-0000-4000-8000-000000000000"
PATCH = "application/json-patch+json"
TIERS = (None, "none", "contact", "appointment", "outcome")
Payload = dict[str, Any]


@pytest.fixture
def our_task(world: Any, clinician: Callable[..., Requester]) -> str:
    """Path of the Task of a referral that we sent to Harbor."""
    form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
    return f"/fhir/{referral.send(world.services, clinician(), form, world.services.now()).task_reference}"


def headers(who: str = "harbor", content_type: str = "application/fhir+json", **more: str) -> dict[str, str]:
    named = {key.replace("_", "-"): value for key, value in more.items()}
    return {"Authorization": f"Bearer {who}", "Content-Type": content_type, **named}


def patch(http: FlaskClient, path: str, steps: Any, etag: str | None = None, who: str = "harbor") -> Any:
    etag = etag or http.get(path, headers=headers()).headers["ETag"]
    return http.patch(path, data=json.dumps(steps), headers=headers(who, PATCH, If_Match=etag))


def release(http: FlaskClient, path: str, consent: Callable[..., Payload], tier: str | None) -> None:
    if tier is not None:
        body = json.dumps(consent(http.get(path, headers=headers()).get_json(), tier))
        assert http.post("/fhir/Consent", data=body, headers=headers()).status_code == 201


def to(status: str) -> list[Payload]:
    return [{"op": "replace", "path": "/status", "value": status}]


def test_a_patch_does_what_a_put_does(http: FlaskClient, our_task: str, release_b: Any) -> None:
    """One step for one word: accepted, then contact made, each with the ETag that the answer before gave."""
    release(http, our_task, release_b, "contact")
    first = patch(http, our_task, to("accepted"))
    assert (first.status_code, first.get_json()["status"]) == (200, "accepted")
    steps = [
        {"op": "test", "path": "/status", "value": "accepted"},
        {"op": "add", "path": "/businessStatus", "value": business_status_of("contact-made")},
    ]
    second = patch(http, our_task, steps, first.headers["ETag"])
    assert second.get_json()["businessStatus"] == business_status_of("contact-made")
    assert http.get(our_task, headers=headers()).data == second.data
    assert patch(http, our_task, to("on-hold"), first.headers["ETag"]).status_code == 412
    assert http.patch(our_task, data=json.dumps(to("on-hold")), headers=headers("harbor", PATCH)).status_code == 428


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    "steps",
    [
        *(to(status) for status in STATUSES if status != "requested"),
        [{"op": "add", "path": "/output", "value": [{"type": {"text": "Quillfeather"}}]}],
        [{"op": "add", "path": "/note", "value": [{"text": "Quillfeather"}]}],
        [{"op": "test", "path": "/status", "value": "requested"}],
        [{"op": "test", "path": "/status", "value": "accepted"}],
        [{"op": "remove", "path": "/Quillfeather"}],
    ],
    ids=str,
)
def test_rule_R20_without_a_release_every_patch_is_the_same_403(
    http: FlaskClient, world: Any, our_task: str, steps: list[Payload]
) -> None:
    """Legal or not, empty or not: refused before it is tried, constant bytes, not stored. Break: call ``body_of``
    before the look at the tier."""
    before = world.totals()
    answer = patch(http, our_task, steps)
    assert (answer.status_code, answer.data) == (403, FORBIDDEN)
    assert world.totals() == before
    assert b"Quillfeather" not in world.bytes_on_disk()
    assert [row["rule"] for row in world.audit("refuse")] == ["R20"]


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (to("completed"), 403),
        ([{"op": "replace", "path": "/owner/reference", "value": "Organization/northside"}], 403),
        ([{"op": "remove", "path": "/restriction"}], 422),
        ([{"op": "add", "path": "/note", "value": [{"text": "Quillfeather"}]}], 422),
        ([{"op": "add", "path": "/Quillfeather", "value": 1}], 422),
        ([{"op": "replace", "path": "/id", "value": MADE_UP}], 422),
        ([{"op": "replace", "path": "", "value": {"resourceType": "Task"}}], 422),
        ([{"op": "replace", "path": "", "value": []}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "/Quillfeather/x", "value": 1}], 422),
        ([{"op": "add", "path": "/identifier/99", "value": 1}], 422),
        ([{"op": "add", "path": "no-slash", "value": 1}], 422),
        ([{"op": "test", "path": "/status", "value": "on-hold"}], 422),
        ([{"op": "remove", "path": "/meta/security/0"}], 403),
        ([{"op": "copy", "from": "/identifier", "path": "/output"}], 422),
        ([{"op": "move", "from": "/identifier", "path": "/output"}], 422),
        ([{"op": "replace", "path": "/status"}], 422),
        ([{"op": "replace", "path": "/status", "value": "accepted", "Quillfeather": 1}], 422),
        (to("accepted") * 21, 422),
        ([], 422),
        ({}, 422),
        ({"op": "replace", "path": "/status", "value": "accepted"}, 422),
        ("Quillfeather", 422),
        (None, 422),
    ],
    ids=str,
)
def test_rule_R20_a_patch_outside_field_tier_or_shape_stores_nothing(
    http: FlaskClient, world: Any, our_task: str, release_b: Any, steps: Any, status: int
) -> None:
    """Inside a "contact" release too: other fields, other words, other operations are refused, and nothing of them is
    kept or repeated. Break: allow "copy", or leave ``_require_valid`` out of the patch's path."""
    release(http, our_task, release_b, "contact")
    before, stored = world.totals(), world.resource(our_task.removeprefix("/fhir/"))
    answer = patch(http, our_task, steps)
    assert (answer.status_code, answer.get_json()["resourceType"]) == (status, "OperationOutcome")
    assert b"Quillfeather" not in answer.data + world.bytes_on_disk()
    assert (world.totals(), world.resource(our_task.removeprefix("/fhir/"))) == (before, stored)


@pytest.mark.parametrize("body", [b"", b"[", b"[1", b'[],"patch":[]', b'[], "x": 1', b"\xff", b"[" * 50 + b"]" * 50])
def test_what_is_no_patch_is_a_4xx(http: FlaskClient, our_task: str, body: bytes) -> None:
    """Cut off, doubled, deep or empty: refused from the bytes alone."""
    answer = http.patch(our_task, data=body, headers=headers("harbor", PATCH, If_Match="x"))
    assert answer.status_code in (400, 422)


def test_a_patch_has_its_own_content_type(http: FlaskClient, our_task: str) -> None:
    """A FHIR body sent as a patch is not read as one, nor XML."""
    for content_type in ("application/fhir+json", "application/json", "application/xml-patch+xml"):
        answer = http.patch(our_task, data=b"[]", headers=headers("harbor", content_type, If_Match="x"))
        assert answer.status_code == 415


@pytest.mark.rule("R19")
def test_rule_R19_for_another_program_patch_and_status_find_nothing(http: FlaskClient, our_task: str) -> None:
    """Existing or made up, the same 404. Break: let ``links._of_partner`` take every program for a party."""
    for path in (our_task, f"/fhir/Task/{MADE_UP}"):
        answers = [patch(http, path, to("accepted"), "x", "northside")]
        answers += [http.open(f"{path}/$status", method=one, headers=headers("northside")) for one in ("GET", "POST")]
        assert {(answer.status_code, answer.data) for answer in answers} == {(404, NOT_FOUND)}


def offered(http: FlaskClient, path: str) -> dict[str, list[Any]]:
    answer = http.get(f"{path}/$status", headers=headers())
    assert answer.status_code == 200
    assert [issue for issue in examine(answer.get_json()) if issue.severity == "error"] == []
    assert answer.headers["ETag"] == http.get(path, headers=headers()).headers["ETag"]
    found: dict[str, list[Any]] = {name: [] for name in ("status", "tier", "move", "businessStatus", "output")}
    for one in answer.get_json()["parameter"]:
        found[one["name"]].append(next(value for key, value in one.items() if key.startswith("value")))
    return found


@pytest.mark.rule("R20")
@pytest.mark.parametrize("tier", TIERS)
def test_rule_R20_what_status_offers_is_exactly_what_is_taken(
    http: FlaskClient, world: Any, our_task: str, release_b: Any, tier: str | None
) -> None:
    """Under every release, each of the ten statuses is taken if it was offered and refused if not. Break: offer the
    machine's moves without asking ``may_write_status``."""
    release(http, our_task, release_b, tier)
    for step in ("requested", "accepted", "in-progress"):
        if step != "requested" and patch(http, our_task, to(step)).status_code != 200:
            break
        told = offered(http, our_task)
        assert told["status"] == [step]
        assert told["tier"] == [tier or "none"]
        for status in set(STATUSES) - {step}:
            if status in told["move"]:
                assert status in ("accepted", "rejected", "cancelled", "in-progress", "on-hold", "completed", "failed")
            else:
                assert patch(http, our_task, to(status)).status_code in (403, 422)
    told = offered(http, our_task)
    assert told["output"] == [tier == "outcome"]
    codes = {coding["code"] for coding in told["businessStatus"]}
    assert ("contact-made" in codes) == (tier not in (None, "none"))
    last = next(iter(sorted(told["move"])), None)
    if last is not None:
        assert patch(http, our_task, to(last)).status_code == 200
    else:
        assert tier in (None, "none")


def test_of_its_own_request_the_only_move_is_to_call_it_off(http: FlaskClient, post: Any) -> None:
    """A program that referred somebody may cancel, by patch too, and the reason is ours: closed."""
    sent = http.post("/fhir", data=post(release_a="outcome").body, headers=headers())
    path = sent.headers["Location"].split("8000", 1)[1]
    assert offered(http, path)["move"] == ["cancelled"]
    assert offered(http, path)["businessStatus"] == []
    assert patch(http, path, to("accepted")).status_code == 403
    answer = patch(http, path, to("cancelled"))
    assert answer.status_code == 200
    assert answer.get_json()["statusReason"]["coding"] == [{"system": t.REFERRAL_REASON, "code": "closed"}]
    assert offered(http, path)["move"] == []


def test_a_request_that_claims_no_profile_can_be_called_off_too(http: FlaskClient) -> None:
    """Most programs send no profile: what they read back has labels only, and can be sent back, by PUT and by PATCH.
    Breaks when a ``meta`` without its labels stays as an empty object."""
    for number, way in (("1", "put"), ("2", "patch")):
        body = json.dumps(shortest_referral(date(2026, 11, 24), number=number))
        path = http.post("/fhir", data=body, headers=headers()).headers["Location"].split("8000", 1)[1]
        read = http.get(path, headers=headers())
        assert set(read.get_json()["meta"]) == {"security"}
        if way == "patch":
            answer = patch(http, path, to("cancelled"))
        else:
            changed = json.dumps({**read.get_json(), "status": "cancelled"})
            answer = http.put(path, data=changed, headers=headers(If_Match=read.headers["ETag"]))
        assert (answer.status_code, answer.get_json().get("status")) == (200, "cancelled")


@pytest.mark.rule("R3")
def test_rule_R3_a_patch_cannot_lower_a_label(http: FlaskClient, world: Any, our_task: str, release_b: Any) -> None:
    """Taking a label away is 403 and audited by its rule, inside the widest release too. Break: leave the look at
    ``lowers_labels`` out of ``patch_from_partner``."""
    release(http, our_task, release_b, "outcome")
    answer = patch(http, our_task, [{"op": "remove", "path": "/meta/security/1"}])
    assert (answer.status_code, answer.data) == (403, FORBIDDEN)
    assert [row["rule"] for row in world.audit("refuse")] == ["R3"]
