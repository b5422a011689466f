"""The program's control port: break it, look at what it received, and do by request what the advocate does by hand.

Its own loopback port, started only with ``--control``.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from launch.sandbox.program_clinic import Answer, ClinicError
from launch.sandbox.program_messages import NEEDS, Referral
from launch.sandbox.program_state import Program


def create_app(program: Program) -> Flask:
    """The control app. Every error is one sentence as JSON."""
    app = Flask("launch.sandbox.program_control")
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 400

    @app.errorhandler(ValueError)
    @app.errorhandler(LookupError)
    def wrong(error: Exception) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.errorhandler(ClinicError)
    def no_clinic(error: ClinicError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 502

    @app.get("/state")
    def state() -> Response:
        return jsonify(
            program=program.origin,
            clinic=program.clinic.origin,
            knobs=program.knobs.as_dict(),
            received=len(program.store.items()),
        )

    @app.post("/set")
    def set_knobs() -> Response:
        program.knobs.set(_body())
        return jsonify(program.knobs.as_dict())

    @app.get("/received")
    def received() -> Response:
        return jsonify(
            [
                {
                    "bundle": bytes(item["raw"]).decode("utf-8", "replace"),
                    "task_id": item["task_url"].rsplit("/", 1)[-1],
                    "task_url": item["task_url"],
                    "times_received": item["times_received"],
                    "status": item["status"],
                    "tier": item["tier"],
                }
                for item in program.store.items()
            ]
        )

    @app.get("/sent")
    def sent() -> Response:
        return jsonify(
            [
                {
                    "bundle": bytes(row["raw"]).decode("utf-8", "replace"),
                    "sender": row["sender"],
                    "location": row["location"],
                    "status": row["http_status"],
                }
                for row in program.store.sent()
            ]
        )

    @app.post("/release")
    def release() -> Response:
        body = _body()
        return _told(program.record_release(_text(body, "task_url"), _text(body, "tier"), body.get("signer", "self")))

    @app.post("/status")
    def status() -> Response:
        body = _body()
        return _told(
            program.report(
                _text(body, "task_url"),
                status=body.get("status"),
                business_status=body.get("business_status"),
                reason=body.get("reason"),
                if_match=body.get("if_match"),
            )
        )

    @app.post("/refer")
    def refer() -> Response:
        body = _body()
        form = Referral(
            alias=_text(body, "alias"),
            phone=body.get("phone"),
            needs=tuple(body.get("needs", ("medical-visit",))),
            tells_time=body.get("release_a") is True,
            say_as=body.get("say_as"),
            code_word=body.get("code_word"),
            language=body.get("language"),
            signer=body.get("signer", "self"),
        )
        if not set(form.needs) <= NEEDS.keys():
            raise ValueError("needs are among: " + ", ".join(NEEDS))
        answer, bundle = program.refer(body.get("as", "harbor"), form, body.get("overrides"))
        return _told(answer, location=answer.location, sent=bundle)

    @app.get("/look")
    def look() -> Response:
        answer = program.clinic.get(request.args.get("as", "harbor"), request.args["url"])
        return _told(answer, etag=answer.etag)

    @app.post("/reset")
    def reset() -> Response:
        program.store.reset()
        program.knobs.set({"down": False, "refuse": False, "slow_seconds": 0})
        return jsonify(ok=True)

    return app


def _told(answer: Answer, **more: Any) -> Response:
    return jsonify(status=answer.status, body=answer.body, **more)


def _body() -> dict[str, Any]:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ValueError("send a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text")
    return value
