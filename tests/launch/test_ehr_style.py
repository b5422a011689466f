"""The EHR's colours: only from its own origin, only in limits, and only what is plainly a colour or a size."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Response, redirect

from launch.ehr_style import CACHE_SECONDS, FAILURE_SECONDS, EhrStyle, EhrStyles, parse
from launch.registrations import parse as registrations_of

STYLE = {
    "color_background": "#EDEDED",
    "color_text": "#123",
    "color_highlight": "#2f5d62",
    "dim_font_size": "18px",
    "color_error": "#9b2c2c",
}
SAFE = EhrStyle("#ededed", "#112233", "#2f5d62", 18)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def style_path() -> str:
    """A place on the EHR's origin, beside its FHIR base: the double answers it as FHIR, with our answer."""
    return "/style.json"


@pytest.fixture
def styles(ehr: Any, key_file: Path) -> tuple[EhrStyles, Clock]:
    block = {"id": "a", "issuer": ehr.fhir_base, "client_id": "x", "name": "A", "frame_origins": [ehr.origin]}
    configuration = {
        "public_base_url": "http://127.0.0.1:8000", "keys_file": str(key_file), "allows_loopback_http": True,
        "product_name": "x", "ehr": [block],
    }  # fmt: skip
    clock = Clock()
    return EhrStyles(registrations_of(configuration), clock), clock


def test_a_style_is_fetched_once_an_hour(styles: Any, ehr: Any, style_path: str) -> None:
    """The EHR is asked for its colours once, without any token, and again after an hour.

    Breaks when ``of`` does not keep what it got.
    """
    found, clock = styles
    ehr.style_answer = lambda: Response(json.dumps(STYLE), mimetype="text/plain")
    for _ in range(3):
        assert found.of("a", ehr.origin + style_path) == SAFE
    (asked,) = ehr.received
    assert "Authorization" not in asked.headers
    assert "Cookie" not in asked.headers
    clock.now += CACHE_SECONDS + 1
    assert found.of("a", ehr.origin + style_path) == SAFE
    assert len(ehr.received) == 2


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/style.json",
        "http://127.0.0.1:1/style.json",
        "http://localhost:{port}/style.json",
        "https://127.0.0.1:{port}/style.json",
        "{origin}@evil.example/style.json",
        "http://user@127.0.0.1:{port}/style.json",
        "{origin}.evil.example/style.json",
        "{origin}\\@evil.example/style.json",
        "{origin}/style.json#x",
        "//127.0.0.1:{port}/style.json",
        "file:///etc/passwd",
        "data:application/json,{{}}",
        "javascript:alert(1)",
        "http://[::1/style.json",
        "",
    ],
)
def test_a_style_elsewhere_is_not_fetched(styles: Any, ehr: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever address stands beside the token: nothing goes anywhere but to the registered EHR's own origin.

    Breaks when ``_is_at_home`` compares the host only, or with ``startswith``.
    """
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("something was sent"))
    address = url.format(origin=ehr.origin, port=ehr.origin.rpartition(":")[2])
    assert styles[0].of("a", address) is None


def test_a_style_of_an_ehr_that_is_gone_is_not_fetched(styles: Any, ehr: Any, style_path: str) -> None:
    """An EHR that was taken out of configuration hears nothing."""
    assert styles[0].of("gone", ehr.origin + style_path) is None
    assert ehr.received == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Response("", 404),
        lambda: Response("not json"),
        lambda: Response("[]"),
        lambda: Response("[" * 10_000),
        lambda: Response(json.dumps({**STYLE, "padding": "x" * 20_000})),
        lambda: redirect("https://evil.example/style.json"),
    ],
    ids=["missing", "text", "list", "nested", "too-large", "redirect"],
)
def test_a_style_that_fails_is_left_alone_for_minutes(styles: Any, ehr: Any, style_path: str, answer: Any) -> None:
    """Missing, broken, endless or redirected: our own colours, and the EHR is not asked with every page.

    Breaks when a failure is not kept.
    """
    found, clock = styles
    ehr.style_answer = answer
    assert found.of("a", ehr.origin + style_path) is None
    ehr.style_answer = lambda: Response(json.dumps(STYLE))
    assert found.of("a", ehr.origin + style_path) is None
    assert len(ehr.received) == 1
    clock.now += FAILURE_SECONDS + 1
    assert found.of("a", ehr.origin + style_path) == SAFE


def test_a_slow_style_holds_nobody_up(styles: Any, ehr: Any, style_path: str) -> None:
    """A style that does not come is given up after about two seconds."""

    def slow() -> Response:
        time.sleep(4)
        return Response(json.dumps(STYLE))

    ehr.style_answer = slow
    began = time.monotonic()
    assert styles[0].of("a", ehr.origin + style_path) is None
    assert time.monotonic() - began < 3.9


@pytest.mark.parametrize(
    "value",
    [
        "red", "#12", "#1234", "#12345g", "#123456;", "#123456 }", "rgb(1,2,3)", "url(https://evil.example)",
        "#fff;background:url(//evil.example)", "expression(alert(1))", "\\23fff", "#ffffff\n", "", None, 7, ["#ffffff"],
    ],
)  # fmt: skip
def test_only_a_plain_colour_is_a_colour(value: Any) -> None:
    """Nothing but "#" and three or six digits passes; no text of the EHR's reaches a style sheet.

    Breaks when ``_COLOR`` is searched for instead of matched in full.
    """
    assert parse({"color_background": value, "color_text": value, "color_highlight": value}) == EhrStyle()


@pytest.mark.parametrize("value", ["13px", "23px", "999px", "16pt", "1.2rem", "16px;", "-16px", "016px", None, 16])
def test_only_a_readable_size_is_a_size(value: Any) -> None:
    """A size too small or too large to read, or not in pixels, is left out."""
    assert parse({"dim_font_size": value}) == EhrStyle()
