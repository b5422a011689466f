"""HTTP for one launch: the token goes to the FHIR base it was given for and nowhere else.

Not along a page link, a redirect, a ``..`` or a look-alike host. The check sits in ``send``, where the address is
final.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from launch.discovery import BoundedSession
from launch.ehr_line import EhrLine
from launch.transport import PUBLIC_ONLY, AddressRules, leads_up


class PinnedSession(BoundedSession):
    """HTTP for one launch: bearer token to the FHIR base only, no redirect, limits on time and size."""

    max_answer_bytes = 5 * 1024 * 1024

    def __init__(
        self,
        base: str,
        access_token: Callable[[], str],
        line: EhrLine | None = None,
        rules: AddressRules = PUBLIC_ONLY,
    ) -> None:
        super().__init__(rules)
        self._base = base.rstrip("/") + "/"
        self._access_token = access_token
        self._line = line or EhrLine()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Put the token on and send. ``PermissionError`` for an address outside the base, or a redirect;
        ``EhrWaitError`` while the line to this EHR rests."""
        require_inside(request.url or "", self._base)
        if request.method in ("POST", "PUT", "PATCH") and not urlsplit(request.url or "").path.endswith("/_search"):
            request.headers.setdefault("Prefer", "return=representation")
        send = super().send

        def with_token() -> requests.Response:
            request.headers["Authorization"] = "Bearer " + self._access_token()
            return send(request, **kwargs)

        response = self._line.carry(with_token)
        if response.is_redirect or 300 <= response.status_code < 400:
            raise PermissionError("redirect")
        return response


def require_inside(url: str, base: str) -> None:
    """Raise ``PermissionError`` unless ``url`` (final, absolute) lies inside ``base`` (which ends with a slash)."""
    address, _, _ = url.partition("?")
    if not (address + "/").startswith(base) or "#" in url or "\\" in address or leads_up(urlsplit(url).path):
        raise PermissionError("outside the FHIR base")
