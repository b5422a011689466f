"""The sandbox EHR as a person sees it, and the start of its process: pages, OAuth and FHIR on one port."""

from __future__ import annotations

import argparse
import sys
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, make_response, render_template, request
from werkzeug.http import http_date

from launch.sandbox import authorization_server, control, fhir_server, pages, serving
from launch.sandbox.addresses import LOOPBACK_HOSTS, Addresses
from launch.sandbox.database import Database
from launch.sandbox.ehr import Ehr

MAX_REQUEST_BYTES = 2_000_000


def create_app(ehr: Ehr) -> Flask:
    """Pages, OAuth and FHIR of both bases."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(authorization_server.blueprint(ehr))
    app.register_blueprint(fhir_server.blueprint(ehr))
    app.register_blueprint(pages.blueprint(ehr))
    ehr_host = urlsplit(ehr.addresses.ehr).netloc

    @app.before_request
    def only_our_name() -> Response | None:
        """Answer under one name only: another name would be another origin, and may be a rebinding attack."""
        if request.host == ehr_host:
            return None
        is_ours = request.host.rsplit(":", 1)[0].strip("[]") in LOOPBACK_HOSTS
        return make_response(render_template("other_name.html", address=ehr.addresses.ehr if is_ours else ""), 421)

    @app.after_request
    def with_headers(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", content_policy(ehr.addresses))
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers.setdefault("Cache-Control", "no-store")
        if ehr.knobs["clock_skew_seconds"]:
            answer.headers["Date"] = http_date(ehr.now())
        return answer

    return app


def content_policy(addresses: Addresses) -> str:
    """Own styles only; the one thing that may be framed is the registered app (and our redirects inside that frame)."""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors 'self'; frame-src 'self' {addresses.app}"
    )


def main(args: argparse.Namespace) -> int:
    """Run the EHR until it is told to stop."""
    try:
        addresses = Addresses(ehr=f"http://localhost:{args.port}", app=args.app.rstrip("/"))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if args.data is not None and not args.data.is_dir():
        sys.stderr.write(f"{args.data} is not a folder of Synthea bundles.\n")
        return 2
    ehr = Ehr(addresses, Database(args.database), args.data)
    sites: list[tuple[Any, int]] = [(create_app(ehr), args.port)]
    if args.control is not None:
        sites.append((control.create_app(ehr), args.control))
    return serving.run(sites, ready=f"Ready: sandbox EHR at {addresses.ehr}/")
