"""What the letter and the drafts promise is what the app does: each number and fact against the code that keeps it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from launch.client_authentication import ASSERTION_SECONDS
from launch.doctor.registration_sheet.cli import TEXTS
from launch.doctor.registration_sheet.document import plain
from launch.doctor.registration_sheet.form_rows import sections
from launch.doctor.registration_sheet.subject import Subject
from launch.registrations import SIGNING_ALGS
from launch.session import COOKIE_NAME, IDLE_SECONDS, LAUNCH_SECONDS
from smart_app.app import create_app
from smart_app.gateways import cipher
from smart_app.policy import consent, minimum_necessary
from smart_app.settings import load
from smart_app.workflows.referral import DEFAULT_DAYS

ROOT = Path(__file__).resolve().parents[4]


def words(subject: Subject, name: str) -> str:
    return TEXTS[name](subject).words()


def row(subject: Subject, row_id: str) -> str:
    (found,) = [plain(one.value) for _, rows in sections(subject) for one in rows if one.id == row_id]
    return found


def test_minutes_are_those_of_the_code(center: Any) -> None:
    """Three minutes on the page, four on the server, an hour at most: as the script and the session have them."""
    script = (ROOT / "smart_app" / "static" / "hide.js").read_text()
    (page,) = re.findall(r"IDLE_MS = (\d+) \* 60 \* 1000", script)
    subject = center.subject()
    for text in (words(subject, "letter"), words(subject, "privacy"), row(subject, "session")):
        told = {
            int(number)
            for number in re.findall(r"\b(\d+)(?= minutes)|(?:after )(\d+)\b", text)
            for number in number
            if number
        }
        assert {int(page), IDLE_SECONDS // 60, LAUNCH_SECONDS // 60} <= told


def test_days_of_a_release_are_those_of_the_code(center: Any) -> None:
    """Thirty days by default and ninety at most."""
    subject = center.subject()
    assert f"a release of {DEFAULT_DAYS} days by default and {consent.LONGEST_DAYS} at most" in words(subject, "letter")
    assert f"after {DEFAULT_DAYS} days unless the patient chooses otherwise, and after {consent.LONGEST_DAYS}" in words(
        subject, "privacy"
    )


def test_what_never_leaves_is_cut_by_the_allow_list() -> None:
    """Birth date, address, insurance, diagnosis and story are cut by the list that the privacy officer reads."""
    text = Path(minimum_necessary.__file__).with_suffix(".toml").read_text()
    for element in ("birthDate", "address", "insurance", "reasonCode", "note", "telecom"):
        assert re.search(rf'^"{element}" = ', text.split(".skip]", 1)[1], re.MULTILINE)
    kept = {line for block in re.findall(r"\.keep\]\n(.*?)\n\n", text, re.DOTALL) for line in block.splitlines()}
    assert not [line for line in kept if re.match(r'"(birthDate|address|telecom|insurance|reasonCode|note)\b', line)]


def test_cookie_is_the_one_that_a_browser_gets(center: Any) -> None:
    """Name and attributes on the sheet are those of the cookie that the launch address sets."""
    app = create_app(load(center.write()))
    told = row(center.subject(), "cookie")
    assert COOKIE_NAME in told
    interface = app.session_interface
    response = app.response_class()
    interface._set_cookie(response, "x")  # type: ignore[attr-defined]
    sent = {part.strip() for part in response.headers["Set-Cookie"].split(";")[1:]}
    assert sent == {"Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/"}
    assert [part for part in sent if part not in told] == []


@pytest.fixture
def served(center: Any) -> Flask:
    return create_app(load(center.write()))


def test_addresses_on_the_sheet_answer(served: Flask, center: Any) -> None:
    """Launch, redirect, key set and icon are addresses that the app has; the keys are of both algorithms told."""
    subject, client = center.subject(), served.test_client()
    for row_id in ("launch-url", "redirect-uri", "jwks-url", "icon"):
        address = row(subject, row_id)
        assert address.startswith(subject.base)
        assert client.get(address.removeprefix(subject.base)).status_code != 404
    keys = client.get(row(subject, "jwks-url").removeprefix(subject.base)).get_json()["keys"]
    assert {key["alg"] for key in keys} == set(SIGNING_ALGS)
    assert all(alg in row(subject, "algorithms") for alg in SIGNING_ALGS)


def test_frames_on_the_sheet_are_those_of_the_header(served: Flask, center: Any) -> None:
    """The origins that the vendor reads are the ones that the browser is told, all of them."""
    header = served.test_client().get("/").headers["Content-Security-Policy"]
    allowed = header.split("frame-ancestors ")[1].split(";")[0].split()
    assert allowed == ["'self'", *center.ehr["frame_origins"]]
    assert all(origin in row(center.subject(), "frames") for origin in center.ehr["frame_origins"])


def test_other_measures_are_those_of_the_code(center: Any, served: Flask) -> None:
    """Cipher, life of an assertion, files of our own only: as told in the letter."""
    letter = words(center.subject(), "letter")
    assert f"an assertion of {ASSERTION_SECONDS} seconds" in letter
    assert "AES-256-GCM" in letter
    assert cipher.KEY_BYTES * 8 == 256
    header = served.test_client().get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'" in header
