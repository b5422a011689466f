"""An error page repeats the address that was asked for."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.exceptions import HTTPException

CHECK = "canaries: in answers"


def seed(monkeypatch: Any, bench: Any) -> None:
    handlers = bench.without.here.clinic.error_handler_spec[None][None]
    monkeypatch.setitem(handlers, HTTPException, lambda error: (f"{request.full_path} is not here.", 404))
