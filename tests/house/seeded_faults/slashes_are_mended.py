"""An address with two slashes is mended by a redirect to whatever the Host header says."""

from __future__ import annotations

from typing import Any

CHECK = "headers: no way elsewhere"


def seed(monkeypatch: Any, bench: Any) -> None:
    from flask import request

    def mend() -> Any:
        from werkzeug.utils import redirect

        return redirect(f"http://{request.host}/") if "//" in request.path else None

    app = bench.without.here.clinic
    monkeypatch.setitem(app.before_request_funcs, None, [mend, *app.before_request_funcs[None]])
