"""Operational logs: a fixed list of fields, nothing else (safety section 7). Never a query, a body or an exception's
text: those can hold a patient's words."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = frozenset({"timestamp", "level", "event", "route", "method", "status", "milliseconds", "request_id", "error"})
QUIET = ("fhirclient", "urllib3", "requests", "sqlalchemy.engine", "authlib", "werkzeug", "alembic")


def configure(*, stream: Any = None) -> None:
    """Set up structlog and silence libraries that log data. ``error`` is a class name, never a message."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_known_fields,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class ClassOnly(logging.Handler):
    """In place of a framework's own handler: the class of the error and nothing else. Flask's quotes the address (a
    launch) and the error's text (a driver's, with values) of what breaks before any page has the request."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of ours."""
        kind = record.exc_info[0] if record.exc_info else None
        structlog.get_logger().error("unexpected", error=kind.__name__ if kind else None)


def server_logger() -> type:
    """gunicorn's logger without what a request held: its warnings quote a malformed request line or header, and its
    exceptions the whole address (launch, code, state) and a trace. Start-up errors, such as a busy port, stay."""
    from gunicorn.glogging import Logger

    class _ServerLogger(Logger):  # type: ignore[misc]
        def warning(self, _msg: object, *_args: object, **_more: object) -> None:
            structlog.get_logger().warning("server-warning")

        def exception(self, _msg: object, *_args: object, **_more: object) -> None:
            kind = sys.exc_info()[0]
            structlog.get_logger().error("unexpected", error=kind.__name__ if kind else None)

    return _ServerLogger


def _only_known_fields(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if key in FIELDS}
