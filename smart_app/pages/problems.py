"""Refusals in words: what happened, what to do next, and the numbers that always work. Never a trace, a value, a name.

Denied and absent are one page of constant bytes (safety section 1). A page of this file needs no database.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, g, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from smart_app.errors import AppError, LockedError, NothingToShowError

LOG = structlog.get_logger()

WORDS = {
    HTTPStatus.BAD_REQUEST: "That did not come through in full. Nothing was saved.",
    HTTPStatus.FORBIDDEN: "That form did not come from this page. Nothing was saved.",
    HTTPStatus.METHOD_NOT_ALLOWED: "That cannot be done here. Nothing was saved.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That was too much at once. Nothing was saved.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something is missing or not allowed here. Nothing was saved.",
    HTTPStatus.TOO_MANY_REQUESTS: "That was too fast. Wait a minute and try again.",
}
AGAIN = "Go back and try again. If it happens again, open the app from the chart."
REOPEN = "Open the app again from the chart."


def install(app: Flask) -> None:
    """Render what pages refuse. Blueprints of the API have handlers of their own, which come first."""
    app.register_error_handler(AppError, show_app_error)
    app.register_error_handler(CSRFError, lambda error: show(WORDS[HTTPStatus.FORBIDDEN], REOPEN, HTTPStatus.FORBIDDEN))
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(Exception, show_unexpected)


def nothing_to_show() -> Response:
    """The one page for denied and absent."""
    g.frame_is_plain = True
    return Response(render_template("nothing.html"), HTTPStatus.NOT_FOUND, content_type="text/html; charset=utf-8")


def show(words: str, next_step: str, status: int, *, has_way_back: bool = False, window: str | None = None) -> Response:
    """One problem. ``has_way_back``: the launch still stands, so its first page is one tap away. ``window``: our
    address that works in a window of its own."""
    launch_id = (request.view_args or {}).get("launch_id") if has_way_back and "launch" in g else None
    g.frame_is_plain = True
    back = {"url": f"/v/{launch_id}/", "words": "Back to the first page"} if launch_id else None
    text = render_template("problem.html", words=words, next_step=next_step, back=back, window=window)
    return Response(text, status, content_type="text/html; charset=utf-8")


def show_app_error(error: AppError) -> Response:
    """Our own refusals, in their own words."""
    if isinstance(error, NothingToShowError):
        return nothing_to_show()
    next_step = "" if isinstance(error, LockedError) else AGAIN
    return show(error.said, next_step, error.status, has_way_back=True)


def show_http_error(error: HTTPException) -> Response:
    """A 404 looks like anything denied; a redirect is left alone; the rest is said in our words."""
    if isinstance(error.response, Response):
        return error.response
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return nothing_to_show()
    return show(WORDS.get(HTTPStatus(status), AppError.words), AGAIN, status, has_way_back=True)


def show_unexpected(error: Exception) -> Response:
    """A defect of ours: the log gets the class of the error and nothing else (safety section 7)."""
    LOG.error("unexpected", error=type(error).__name__)
    return show(AppError.words, AGAIN, HTTPStatus.INTERNAL_SERVER_ERROR)
