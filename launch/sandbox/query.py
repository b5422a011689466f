"""Add parameters to a URL."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode


def with_query(url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The URL with more query parameters, percent-encoded."""
    return url + ("&" if "?" in url else "?") + urlencode(list(parameters))
