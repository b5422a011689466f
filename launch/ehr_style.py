"""The EHR's colours, from the ``smart_style_url`` beside its token: taken from the EHR's own origin only, and only what
is plainly a colour or a size.

The address was chosen by whoever answered as the EHR, the content by whoever answers there. So neither decides more
than four values of a fixed form; no text of theirs ever stands in a page or in a style sheet of ours.
Source: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html (styling)
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from launch import transport
from launch.discovery import BoundedSession
from launch.errors import UnknownIssuerError
from launch.registrations import Registrations
from launch.transport import AddressRules

CACHE_SECONDS = 3600.0
FAILURE_SECONDS = 300.0
MAX_CACHED = 64
TIMEOUT = (1.0, 2.0)
MIN_FONT_PX, MAX_FONT_PX = 14, 22
_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_PIXELS = re.compile(r"([0-9]{1,2})px")


@dataclass(frozen=True)
class EhrStyle:
    """What is left of a style: colours as "#rrggbb", a font size in pixels. None: the EHR said nothing usable."""

    background: str | None = None
    text: str | None = None
    highlight: str | None = None
    font_size_px: int | None = None


class _StyleSession(BoundedSession):
    max_answer_bytes = 16 * 1024
    deadline_seconds = 3.0


class EhrStyles:
    """Fetches and keeps styles by address. One object per process, safe for threads."""

    def __init__(self, registrations: Registrations, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._registrations = registrations
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, EhrStyle | None]] = {}
        self._lock = threading.Lock()

    def of(self, registration_id: str, url: str) -> EhrStyle | None:
        """The style at ``url``, None when it is not on that EHR's origin or cannot be had. A page never waits for it
        longer than three seconds, and after a failure not at all for some minutes."""
        if not self._is_at_home(registration_id, url):
            return None
        with self._lock:
            kept = self._kept.get(url)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        style = _fetched(url, transport.rules_of(self._registrations.for_id(registration_id)))
        until = self._monotonic() + (CACHE_SECONDS if style is not None else FAILURE_SECONDS)
        with self._lock:
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            self._kept[url] = (until, style)
        return style

    def _is_at_home(self, registration_id: str, url: str) -> bool:
        """Whether the address has exactly the scheme, host and port of the registered issuer."""
        try:
            issuer = urlsplit(self._registrations.for_id(registration_id).issuer)
            parts = urlsplit(url)
            own, told = (issuer.scheme, issuer.hostname, issuer.port), (parts.scheme, parts.hostname, parts.port)
        except (UnknownIssuerError, ValueError):
            return False
        return own == told and transport.plain_host(url) is not None


def _fetched(url: str, rules: AddressRules) -> EhrStyle | None:
    try:
        with _StyleSession(rules) as session:
            answer = session.get(url, headers={"Accept": "application/json"}, timeout=TIMEOUT)
    except (requests.RequestException, OSError):
        return None
    if answer.status_code != 200:
        return None
    try:
        return parse(json.loads(answer.content))
    except (ValueError, RecursionError):
        return None


def parse(document: object) -> EhrStyle | None:
    """The usable members of a style document; None when it is not a JSON object."""
    if not isinstance(document, dict):
        return None
    size = document.get("dim_font_size")
    found = _PIXELS.fullmatch(size) if isinstance(size, str) else None
    pixels = int(found[1]) if found else 0
    return EhrStyle(
        _color(document.get("color_background")),
        _color(document.get("color_text")),
        _color(document.get("color_highlight")),
        pixels if MIN_FONT_PX <= pixels <= MAX_FONT_PX else None,
    )


def _color(value: object) -> str | None:
    if not isinstance(value, str) or not _COLOR.fullmatch(value):
        return None
    digits = value[1:].lower()
    return "#" + ("".join(digit * 2 for digit in digits) if len(digits) == 3 else digits)
