"""What a proxy of our own, or another app behind it, does to our launch: named by the check-up, with exit code 2."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from front_proxy import FrontProxy, Passing, Spoil

JWKS = "/.well-known/jwks.json"


@pytest.fixture
def front(clinic: Any) -> Iterator[FrontProxy]:
    """A proxy in front of the app; the EHR has its redirect address on file."""
    made = FrontProxy(clinic.place.app_url)
    clinic.set(redirect_on_file=made.url + "/callback")
    yield made
    made.stop()


@pytest.fixture
def behind(clinic: Any, front: FrontProxy, tmp_path: Path) -> Any:
    """The clinic as it is reached through the proxy."""
    return clinic.behind(front.url, tmp_path / "config.toml")


def header(name: str, change: Callable[[str], str | None]) -> Spoil:
    """A proxy that changes one header wherever it stands, or sets it."""

    def spoil(passing: Passing) -> None:
        if name == "X-Frame-Options" or passing.value(name):
            passing.put(name, change(passing.value(name)))

    return spoil


def ancestors(said: str) -> Spoil:
    return header("Content-Security-Policy", lambda policy: re.sub(r"frame-ancestors [^;]*", said, policy))


def without(attribute: str) -> Spoil:
    return header("Set-Cookie", lambda cookie: re.sub(rf"; *{attribute}\b", "", cookie))


def launch(old: str, new: str) -> Spoil:
    """Another app answers at our launch address: it asks the EHR with another value."""

    def spoil(passing: Passing) -> None:
        if passing.path == "/launch":
            passing.put("Location", re.sub(old, new, passing.value("Location")) or None)
            passing.body = re.sub(old, new, passing.body)

    return spoil


def status(path: str, code: int) -> Spoil:
    def spoil(passing: Passing) -> None:
        if passing.path == path:
            passing.status, passing.body = code, ""
            passing.put("Location", None)

    return spoil


def key_set(change: Callable[[list[dict[str, Any]]], list[Any]]) -> Spoil:
    """A proxy that publishes something else in place of our keys."""

    def spoil(passing: Passing) -> None:
        if passing.path == JWKS:
            passing.body = json.dumps({"keys": change(json.loads(passing.body)["keys"])})

    return spoil


def cache(said: str | None) -> Spoil:
    def spoil(passing: Passing) -> None:
        if passing.path == JWKS:
            passing.put("Cache-Control", said)

    return spoil


# what goes wrong -> finding, light, exit code
OURS: dict[str, tuple[Spoil, str, str, int]] = {
    "nothing": (lambda passing: None, "frame.ancestors", "green", 0),
    "x-frame-options": (header("X-Frame-Options", lambda _: "SAMEORIGIN"), "frame.options", "red", 2),
    "policy-dropped": (header("Content-Security-Policy", lambda _: None), "frame.anyone", "red", 2),
    "framed-by-anyone": (ancestors("frame-ancestors *"), "frame.anyone", "red", 2),
    "framed-by-ourselves-only": (ancestors("frame-ancestors 'self'"), "frame.ancestors", "red", 2),
    "framed-by-another": (ancestors("frame-ancestors https://other.example"), "frame.ancestors", "red", 2),
    "cookie-not-partitioned": (without("Partitioned"), "door.cookie", "red", 2),
    "cookie-not-secure": (without("Secure"), "door.cookie", "red", 2),
    "cookie-for-scripts": (without("HttpOnly"), "door.cookie", "red", 2),
    "cookie-lax": (
        header("Set-Cookie", lambda it: it.replace("SameSite=None", "SameSite=Lax")),
        "door.cookie",
        "red",
        2,
    ),
    "cookie-renamed": (header("Set-Cookie", lambda it: it.removeprefix("__Host-")), "door.cookie", "red", 2),
    "launch-forbidden": (status("/launch", 403), "door.refused", "red", 2),
    "app-down": (status("/launch", 502), "door.unreachable", "red", 2),
    "another-redirect": (launch(r"(/|%2F)callback", r"\1called"), "door.request", "red", 2),
    "another-client": (launch("care-connections", "another-app"), "door.request", "red", 2),
    "without-pkce": (launch("S256", "plain"), "door.request", "red", 2),
    "another-issuer": (launch(r"(/|%2F)a(/|%2F)fhir", r"\1b\2fhir"), "door.request", "red", 2),
    "keys-behind-a-log-in": (status(JWKS, 401), "keys.visible", "red", 2),
    "private-key": (key_set(lambda keys: [{**keys[0], "d": "c2VjcmV0"}, *keys[1:]]), "keys.private", "red", 2),
    "one-kid-twice": (key_set(lambda keys: [{**key, "kid": "same"} for key in keys]), "keys.kid", "red", 2),
    "one-algorithm": (
        key_set(lambda keys: [key for key in keys if key["alg"] == "ES384"]),
        "keys.algorithms",
        "red",
        2,
    ),
    "other-keys": (key_set(lambda keys: [{**key, "kid": key["kid"] + "x"} for key in keys]), "keys.equal", "red", 2),
    "no-keys": (key_set(lambda keys: []), "keys.algorithms", "red", 2),
    "no-key-set": (key_set(lambda keys: ["not a key"]), "keys.visible", "red", 2),
    "keys-uncached": (cache("no-store"), "keys.cache", "warning", 4),
    "keys-cached-for-a-week": (cache("max-age=604800"), "keys.cache", "warning", 4),
    "keys-without-a-word": (cache(None), "keys.cache", "warning", 4),
}


@pytest.mark.parametrize("fault", OURS)
def test_a_check_up_names_what_is_wrong_on_our_own_side(behind: Any, front: FrontProxy, fault: str) -> None:
    """A proxy that spoils our pages, cookie or keys is found before a clinician meets an empty frame."""
    front.spoil, finding, light, code = OURS[fault]
    report = behind.doctor()
    lights = {one["id"]: one["light"] for one in report["findings"]}
    assert lights.get(finding) == light, report["findings"]
    assert report["exit"] == code
    if fault == "nothing":
        assert set(lights.values()) == {"green", "not checked"}


def test_a_public_address_where_nobody_listens_is_named(clinic: Any, free_port: Any, tmp_path: Path) -> None:
    """An app that does not run is told as that, for our page and for our keys."""
    report = clinic.behind(f"http://127.0.0.1:{free_port()}", tmp_path / "config.toml").doctor()
    lights = {one["id"]: one["light"] for one in report["findings"]}
    assert (lights["door.unreachable"], lights["keys.visible"], report["exit"]) == ("red", "red", 2)


def only(path: str, spoil: Spoil) -> Spoil:
    def spoil_there(passing: Passing) -> None:
        if passing.path == path:
            spoil(passing)

    return spoil_there


def forget_the_cookie(passing: Passing) -> None:
    """The page that sends the browser on to the EHR takes the cookie away again."""
    if passing.status == 200:
        gone = "__Host-cc=gone; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
        passing.headers.append(("Set-Cookie", gone))


IN_A_BROWSER: dict[str, tuple[Spoil, str]] = {
    "cookie-not-partitioned": (without("Partitioned"), "frame.cookie"),
    "cookie-lost-on-the-way-back": (only("/launch", forget_the_cookie), "frame.cookie"),
    "way-back-not-shown": (only("/callback", ancestors("frame-ancestors 'self'")), "frame.shown"),
}


@pytest.mark.parametrize("fault", IN_A_BROWSER)
def test_in_a_real_browser_the_frame_shows_the_fault(
    behind: Any, front: FrontProxy, fault: str, require_tool: Any
) -> None:
    """In Chromium a page that may not be framed stays empty, and a cookie that is not Partitioned does not return.

    Breaks when ``browser._judged`` calls what it saw green."""
    require_tool("chromium")
    front.spoil, finding = IN_A_BROWSER[fault]
    result = behind.run("doctor", behind.issuer, "-o", "json")
    lights = {one["id"]: one["light"] for one in json.loads(result.stdout)["findings"]}
    assert lights.get(finding) == "red", lights
    assert result.exit_code == 2
