"""A script may read the cookie."""

from __future__ import annotations

from typing import Any

from launch.session import COOKIE_NAME, ServerSideSessionInterface

CHECK = "headers: cookies"


def seed(monkeypatch: Any, bench: Any) -> None:
    def set_cookie(_sessions: Any, response: Any, value: str, max_age: int | None = None) -> None:
        response.set_cookie(COOKIE_NAME, value, max_age=max_age, path="/", secure=True, samesite="None")

    monkeypatch.setattr(ServerSideSessionInterface, "_set_cookie", set_cookie)
