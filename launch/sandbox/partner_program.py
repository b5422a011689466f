"""A sandbox program that works with the clinic: an inbox for its advocate, a FHIR endpoint, and keys of its own.

It stands for the real thing on the other side of the wire. It shares no code with the app it talks to.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, make_response, render_template, request

from launch.sandbox import program_control, program_machine, program_pages, serving
from launch.sandbox.program_clinic import Clinic, ProgramKeys
from launch.sandbox.program_state import Program
from launch.sandbox.program_store import ProgramStore

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def create_app(program: Program) -> Flask:
    """Pages and machine endpoints on one port, under one name."""
    app = Flask("launch.sandbox")
    app.config["MAX_CONTENT_LENGTH"] = 2_000_000
    app.register_blueprint(program_machine.blueprint(program))
    app.register_blueprint(program_pages.blueprint(program))
    name = urlsplit(program.origin).netloc

    @app.before_request
    def only_our_name() -> Response | None:
        """Answer under one name only: another name is another origin, and may be a rebinding attack."""
        if request.host == name:
            return None
        return make_response(render_template("program/other_name.html", address=program.origin), 421)

    @app.after_request
    def with_headers(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = CONTENT_POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    return app


def main(args: argparse.Namespace) -> int:
    """Run the program until it is told to stop. Exit code 2: wrong arguments or a busy port."""
    if urlsplit(args.clinic).hostname not in LOOPBACK:
        sys.stderr.write("--clinic must be an address of this machine: the sandbox never talks to another.\n")
        return 2
    origin = f"http://localhost:{args.port}"
    keys = ProgramKeys(args.keys)
    program = Program(origin, ProgramStore(args.database), keys, Clinic(args.clinic, keys))
    sites: list[tuple[Any, int]] = [(create_app(program), args.port)]
    if args.control is not None:
        sites.append((program_control.create_app(program), args.control))
    return serving.run(sites, ready=f"Ready: sandbox program at {origin}/")
