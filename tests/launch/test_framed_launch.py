"""A launch in a frame whose browser keeps our cookie from us is noticed before anything of it is used up."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from launch.tables import launch_pending, launch_session

FRAMED = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}


def rows(launch_app: Any, table: Any) -> int:
    with launch_app.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_frame_gets_its_cookie_first_and_then_goes_to_the_ehr(launch_app: Any, ehr: Any) -> None:
    """In a frame without a cookie one more step shows whether it comes back; the EHR hears nothing before that."""
    browser = launch_app.browser()
    first = browser.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "a b&c"}, headers=FRAMED)
    assert first.status_code == 303
    assert ehr.received == []
    again = urlsplit(first.headers["Location"])
    assert again.netloc == ""
    assert parse_qs(again.query) == {"iss": [ehr.fhir_base], "launch": ["a b&c"], "cookie-asked": ["1"]}
    second = browser.get(first.headers["Location"], headers=FRAMED)
    assert second.headers["Location"].startswith(ehr.origin + "/authorize?")
    assert parse_qs(urlsplit(second.headers["Location"]).query)["launch"] == ["a b&c"]
    assert rows(launch_app, launch_session) == 1


def test_where_the_cookie_does_not_come_back_the_same_launch_is_offered_in_a_window(launch_app: Any, ehr: Any) -> None:
    """The page that says so holds the address of the same launch, unused, and nothing is kept for this browser.

    Break: in ``routes.launch`` leave out ``_ask_for_the_cookie``.
    """
    browser = launch_app.app.test_client(use_cookies=False)
    first = browser.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}, headers=FRAMED)
    lost = browser.get(first.headers["Location"], headers=FRAMED)
    assert (lost.status_code, lost.get_json()["code"]) == (400, "cookie-lost")
    assert "Location" not in lost.headers
    assert rows(launch_app, launch_pending) == 0
    assert ehr.received == []
    window = launch_app.browser()
    opened = window.get(
        "/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}, headers={"Sec-Fetch-Dest": "document"}
    )
    assert opened.headers["Location"].startswith(ehr.origin + "/authorize?")


@pytest.mark.parametrize("destination", ["document", None])
def test_at_top_level_there_is_no_extra_step(destination: str | None, launch_app: Any, ehr: Any) -> None:
    """A launch in a tab of its own goes straight to the EHR."""
    headers = {"Sec-Fetch-Dest": destination} if destination else {}
    answer = launch_app.browser().get("/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}, headers=headers)
    assert answer.headers["Location"].startswith(ehr.origin + "/authorize?")


def test_a_frame_that_brings_its_cookie_goes_straight_on(launch_app: Any, ehr: Any) -> None:
    """The second chart of the same morning needs no extra step."""
    browser = launch_app.browser()
    launch_app.finish(browser, ehr)
    answer = browser.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}, headers=FRAMED)
    assert answer.headers["Location"].startswith(ehr.origin + "/authorize?")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"iss": "https://evil.example/fhir", "launch": "x"}, "unknown-issuer"),
        ({"iss": "", "launch": "x"}, "launch-request"),
        ({"iss": "https://evil.example/fhir"}, "standalone-launch"),
        ({"iss": "https://evil.example/fhir", "launch": "x", "cookie-asked": "1"}, "unknown-issuer"),
    ],
)
def test_a_frame_with_a_wrong_query_is_refused_without_a_cookie(
    query: dict[str, str], code: str, launch_app: Any, ehr: Any
) -> None:
    """The extra step echoes nothing of a launch that is not registered, and gives it no session."""
    answer = launch_app.browser().get("/launch", query_string=query, headers=FRAMED)
    assert (answer.status_code, answer.get_json()["code"]) == (400, code)
    assert "Set-Cookie" not in answer.headers
    assert rows(launch_app, launch_session) == 0
