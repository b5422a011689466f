"""The next site learns the address of a page."""

from __future__ import annotations

from typing import Any

CHECK = "headers: no referrer"


def seed(monkeypatch: Any, bench: Any) -> None:
    def without(response: Any) -> Any:
        response.headers.pop("Referrer-Policy", None)
        return response

    app = bench.without.here.clinic
    monkeypatch.setitem(app.after_request_funcs, None, [without, *app.after_request_funcs[None]])
