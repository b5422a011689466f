"""The page that carries an authorization request to the EHR as a form, so that nothing of it stands in an address.

A script of ours sends it at once; without one there is a button. It has no blueprint: ``launch`` shows it.
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import urlsplit

from flask import Response, g, render_template

# What may stand in our policy header: an address whose host is a plain name or number, so that no sign of it ends one
# directive and begins another.
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Request(Protocol):
    """What goes to the EHR: where, and the members of the form."""

    @property
    def endpoint(self) -> str:
        """The authorization endpoint, as the EHR publishes it."""

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """Names and values, each once."""


def show(wanted: Request) -> Response:
    """The page, and leave for its form to go to that EHR."""
    g.frame_is_plain = True
    g.form_target = origin(wanted.endpoint)
    text = render_template("to_the_ehr.html", action=wanted.endpoint, members=wanted.members)
    return Response(text, content_type="text/html; charset=utf-8")


def origin(address: str) -> str:
    """ "https://ehr.example:8443" of an address there; "" for a host with odd signs, and then the form goes nowhere."""
    parts = urlsplit(address)
    found = f"{parts.scheme}://{parts.netloc}"
    return found if _ORIGIN.fullmatch(found) else ""
