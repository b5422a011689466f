"""What a person sees when a launch cannot go on here and now: an honest wait, or a window of its own."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask

from launch.launch_rate import AT_ONCE
from smart_app.settings import Settings

FRAMED = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def test_a_flood_gets_a_page_that_says_when_to_come_back(app: Flask) -> None:
    """The page, its header and its words name the same wait, and the phone numbers stand on it."""
    http, place = app.test_client(), {"REMOTE_ADDR": "203.0.113.9"}
    query = {"iss": "https://nowhere.example/fhir", "launch": "x"}
    answers = [http.get("/launch", query_string=query, environ_base=place) for _ in range(AT_ONCE + 50)]
    refused: Any = answers[-1]
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    text = refused.get_data(as_text=True)
    assert f"Wait {wait} second" in text
    assert "Call now" in text
    assert refused.headers["Cache-Control"] == "no-store"
    elsewhere = http.get("/launch", query_string=query, environ_base={"REMOTE_ADDR": "203.0.113.10"})
    assert elsewhere.status_code == 400


def test_a_frame_without_cookies_gets_a_button_for_the_same_launch(app: Flask, settings: Settings) -> None:
    """The button leads to our own launch with the same two values, escaped, in a window that cannot reach back."""
    issuer = settings.registrations.for_id("a").issuer
    launch = '"><script>alert(1)</script>&x=1'
    http = app.test_client(use_cookies=False)
    first = http.get("/launch", query_string={"iss": issuer, "launch": launch}, headers=FRAMED)
    page = http.get(first.headers["Location"], headers=FRAMED)
    text = page.get_data(as_text=True)
    assert page.status_code == 400
    assert "<script>alert" not in text
    assert "alert(1)" not in text.replace("alert%281%29", "")
    button = next(link for link in Links(text).found if link.get("target") == "_blank")
    address = urlsplit(str(button["href"]))
    assert (address.scheme, address.netloc, address.path) == ("", "", "/launch")
    assert parse_qs(address.query) == {"iss": [issuer], "launch": [launch]}
    assert set(str(button["rel"]).split()) == {"noopener", "noreferrer"}
