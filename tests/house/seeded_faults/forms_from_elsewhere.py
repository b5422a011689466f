"""Nobody looks where a form comes from."""

from __future__ import annotations

from typing import Any

CHECK = "headers: foreign forms"


def seed(monkeypatch: Any, bench: Any) -> None:
    app = bench.without.here.clinic
    kept = [one for one in app.before_request_funcs[None] if one.__name__ != "refuse_foreign_posts"]
    assert len(kept) == len(app.before_request_funcs[None]) - 1
    monkeypatch.setitem(app.before_request_funcs, None, kept)
