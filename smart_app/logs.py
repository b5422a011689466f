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


def _only_known_fields(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if key in FIELDS}
