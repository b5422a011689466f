"""The pages of the sandbox EHR, as they arrive in a browser."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

FRAME = (
    "allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts "
    "allow-downloads"
)


def _page(world, path: str) -> requests.Response:
    return requests.get(f"{world.url}{path}", timeout=10, allow_redirects=False)


def test_home_lists_people_and_staff_of_both_bases(world) -> None:
    """A newcomer sees who can be signed in, the six patients twice, and that nobody is real."""
    page = _page(world, "/").text
    assert "synthetic people" in page
    for name in ("Jordan Lee", "Min Kim", "Casey Dunn", "Rosa Elena Zarcefuente"):
        assert name in page
    assert "/a/chart/p-rosa?as=dr-lee" in page
    assert "/b/chart/p-rosa?as=dr-lee" in page


@pytest.mark.parametrize("path", ["/a/chart/p-rosa/app?as=dr-lee", "/a/schedule/app?as=sched-kim"])
def test_the_app_is_framed_the_way_a_common_ehr_does_it(world, path) -> None:
    """The frame may run the app and may not move the whole window; it starts with a fresh launch."""
    page = _page(world, path).text
    assert f'sandbox="{FRAME}"' in page
    assert "allow-top-navigation" not in page
    address = html.unescape(re.search(r'<iframe[^>]* src="([^"]+)"', page)[1])
    query = parse_qs(urlsplit(address).query)
    assert address.startswith(world.ehr.addresses.launch_url)
    assert query["iss"] == [world.fhir_base("a")]
    token = world.token("a", launch=query["launch"][0])
    assert token.get("patient") == ("p-rosa" if "chart" in path else None)


def test_a_new_tab_gets_a_launch_of_its_own(world) -> None:
    """The button for a new tab leads straight into the app, each time with another launch."""
    first, second = (_page(world, "/a/chart/p-rosa/tab?as=dr-lee") for _ in range(2))
    assert first.status_code == 303
    assert first.headers["Location"].startswith(world.ehr.addresses.launch_url)
    assert first.headers["Location"] != second.headers["Location"]
    link = 'href="/a/chart/p-rosa/tab?as=dr-lee" target="_blank" rel="noopener"'
    assert link in _page(world, "/a/chart/p-rosa?as=dr-lee").text


def test_what_the_app_wrote_shows_with_its_labels_to_the_treating_clinician_only(fresh, observation) -> None:
    """The clinician finds the record in the chart with small tags; clerk, scheduler and portal do not."""
    token = fresh.minted("clinician", patient="p-rosa")
    kind = {"coding": [{"system": "https://warm-referral.example/fhir/CodeSystem/x", "code": "odd-marmalade-word"}]}
    order = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "Odd parsnip order"},
        "subject": {"reference": "Patient/p-rosa"},
        "meta": observation()["meta"],
    }
    assert fresh.fhir("POST", "Observation", token, observation("p-rosa", code=kind)).status_code == 201
    assert fresh.fhir("POST", "ServiceRequest", token, order).status_code == 201
    seen = _page(fresh, "/a/chart/p-rosa?as=nurse-ortiz").text
    assert "Odd marmalade word" in seen
    assert "Odd parsnip order" in seen
    assert '<abbr class="tag tag-level" title="very restricted">V</abbr>' in seen
    assert '<abbr class="tag" title="sexual assault, abuse, or domestic violence information">SDV</abbr>' in seen
    for path in (
        "/a/chart/p-rosa?as=clerk-dunn",
        "/a/chart/p-rosa?as=sched-kim",
        "/a/chart/p-rosa?as=officer-grant",
        "/a/portal/p-rosa",
        "/a/portal/p-rosa?as=proxy",
        "/b/chart/p-rosa?as=dr-lee",
        "/a/schedule?as=dr-lee",
    ):
        page = _page(fresh, path)
        assert page.status_code == 200
        assert not re.search("marmalade|parsnip|SDV", page.text), path


def test_the_schedule_shows_a_neutral_visit(fresh) -> None:
    """A booked visit stands on the schedule as an office visit, with no hint of where it came from."""
    visit = {
        "resourceType": "Appointment",
        "status": "booked",
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        "serviceType": [{"text": "Office visit"}],
        "start": "2099-12-01T10:00:00Z",
        "end": "2099-12-01T10:20:00Z",
        "participant": [{"actor": {"reference": "HealthcareService/main"}, "status": "accepted"}],
    }
    assert fresh.fhir("POST", "Appointment", fresh.minted("scheduler"), visit).status_code == 201
    assert "Dec 1, 2099" in _page(fresh, "/a/schedule?as=sched-kim").text
    assert "Dec 1, 2099" not in _page(fresh, "/a/schedule?as=clerk-dunn").text


def test_pages_allow_nothing_from_outside_but_the_app(world) -> None:
    """No script, no foreign picture or style; only the registered app may be framed; no address is passed on."""
    answer = _page(world, "/a/chart/p-rosa/app?as=dr-lee")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert f"frame-src 'self' {world.ehr.addresses.app}" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize(
    "path", ["/c/chart/p-rosa", "/a/chart/nobody", "/a/chart/p-rosa?as=nobody", "/a/portal/nobody", "/nowhere"]
)
def test_a_wrong_address_is_a_plain_page(world, path) -> None:
    """A mistyped address is answered with "nothing here" and no stack trace."""
    answer = _page(world, path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_the_ehr_answers_under_one_name(world) -> None:
    """Under its number instead of its name the EHR shows where it really is; under a foreign name it shows nothing."""
    port = urlsplit(world.url).port
    by_number = requests.get(f"http://127.0.0.1:{port}/", timeout=10)
    assert by_number.status_code == 421
    assert f"{world.url}/" in by_number.text
    foreign = requests.get(f"http://127.0.0.1:{port}/", headers={"Host": "rebound.example"}, timeout=10)
    assert foreign.status_code == 421
    assert "Rosa" not in foreign.text
