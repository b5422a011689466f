"""The log has the address in place of the route's template."""

from __future__ import annotations

from typing import Any

from flask import request

from smart_app import surface

CHECK = "canaries: in the log"


def seed(monkeypatch: Any, bench: Any) -> None:
    class Leaky:
        def info(self, event: str, **fields: Any) -> None:
            log.info(event, **{**fields, "route": request.full_path})

    log = surface.LOG
    monkeypatch.setattr(surface, "LOG", Leaky())
