"""The framework's own handler logs what broke: the address, and the text of the error."""

from __future__ import annotations

from typing import Any

CHECK = "canaries: in the log"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(bench.without.here.clinic.logger, "handlers", [])
    monkeypatch.setattr(bench.without.here.clinic.logger, "propagate", True)
