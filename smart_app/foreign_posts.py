"""A form can only come from our own page (attack 11), whatever cookie came along with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, request

BEARER_BLUEPRINTS = ("partner_fhir", "partner_oauth")  # they take no cookie


def install(app: Flask, public_base_url: str) -> None:
    """Refuse, with 403, what is sent from elsewhere, before any view. Under ``no-referrer`` our own POST says
    ``Origin: null``, so the fetch metadata decide; an older browser that sends none must name our origin."""
    ours = urlsplit(public_base_url)
    origin = f"{ours.scheme}://{ours.netloc}"

    @app.before_request
    def refuse_foreign_posts() -> None:
        if request.method in ("GET", "HEAD", "OPTIONS") or request.blueprint in BEARER_BLUEPRINTS:
            return
        fetch_site = request.headers.get("Sec-Fetch-Site")
        if fetch_site != "same-origin" and not (fetch_site is None and request.headers.get("Origin") == origin):
            abort(403)
