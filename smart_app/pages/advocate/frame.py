"""What stands around every page of the inbox, and how it refuses: neutral words, the clinic's phone, a way to hide."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from smart_app import guards
from smart_app.errors import AppError, NothingToShowError
from smart_app.pages.advocate import words
from smart_app.pages.advocate.guard import ONLY_PASSKEYS
from smart_app.pages.advocate.session import browser_session
from smart_app.pages.advocate.words import say

LOG = structlog.get_logger()
NOT_FROM_HERE = "That form did not come from this page. Nothing was saved."
NOT_ALLOWED = "Something is missing or not allowed here. Nothing was saved."
WENT_WRONG = "Something went wrong here. Nothing was saved."


def install(app: Flask) -> None:
    """Give every template its frame, and every refusal its page."""
    app.context_processor(context)
    app.register_error_handler(AppError, show_app_error)
    app.register_error_handler(CSRFError, lambda error: show(NOT_FROM_HERE, HTTPStatus.FORBIDDEN))
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(Exception, show_unexpected)


def context() -> dict[str, Any]:
    """The frame of this request. ``is_in``: signed in, so the page empties itself when nobody is there."""
    services, browser = guards.services(), browser_session()
    is_plain = bool(g.get("frame_is_plain"))
    member = None if is_plain else g.get("member")
    return {
        "product_name": services.product_name,
        "clinic": services.site,
        "lang": words.language(),
        "languages": words.LANGUAGES,
        "here": request.path,
        "t": say,
        "day": words.day,
        "moment": words.moment,
        "member": member,
        "program": None if is_plain else g.get("partner"),
        "is_in": member is not None,
        "is_inside": member is not None and member.is_ready and ONLY_PASSKEYS not in browser,
        "is_shared": browser.is_shared,
    }


def show(english: str, status: int) -> Response:
    """One problem in words; nothing in it depends on anybody."""
    g.frame_is_plain = True
    return Response(
        render_template("advocate/problem.html", words=say(english)), status, content_type="text/html; charset=utf-8"
    )


def nothing_to_show() -> Response:
    """The one page for denied, absent and signed out."""
    g.frame_is_plain = True
    return Response(
        render_template("advocate/nothing.html"), HTTPStatus.NOT_FOUND, content_type="text/html; charset=utf-8"
    )


def show_app_error(error: AppError) -> Response:
    """Our own refusals, in their own words."""
    return nothing_to_show() if isinstance(error, NothingToShowError) else show(error.said, error.status)


def show_http_error(error: HTTPException) -> Response:
    """A 404 looks like anything denied; a redirect is left alone."""
    if isinstance(error.response, Response):
        return error.response
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return nothing_to_show()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return show(WENT_WRONG, status)
    return show(NOT_FROM_HERE if status == HTTPStatus.FORBIDDEN else NOT_ALLOWED, status)


def show_unexpected(error: Exception) -> Response:
    """A defect of ours: the log gets the class of the error and nothing else."""
    LOG.error("unexpected", error=type(error).__name__)
    return show(WENT_WRONG, HTTPStatus.INTERNAL_SERVER_ERROR)
