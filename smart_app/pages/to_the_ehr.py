"""The page that carries an authorization request to the EHR as a form, so that nothing of it stands in an address.

A script of ours sends it at once; without one there is a button. It has no blueprint: ``launch`` shows it.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from flask import Response, g, render_template


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
    """ "https://ehr.example:8443" of an address there."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
