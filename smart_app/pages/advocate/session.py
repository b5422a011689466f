"""The browser session of a program's person: one opaque cookie, everything else sealed on the server.

At a shared computer it ends after minutes and with Hide; elsewhere after ten minutes without a request, twelve hours at
most. Whoever was removed has none with the next request: the row is gone with the member.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, Request, Response
from flask import session as flask_session
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict

from smart_app.inbox_ports import KeptSession, Sessions

COOKIE_NAME = "__Host-in"
UNSIGNED_SECONDS = 10 * 60
SIGNED_SECONDS = 12 * 60 * 60
SHARED_SECONDS = 60 * 60
TOUCH_SECONDS = 30
NOBODY_THERE = ("/", "/rest")  # where an idle page goes by itself: no sign that somebody is there
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_KEPT_AT_SIGN_IN = ("language",)


class InboxSession(CallbackDict[str, Any], SessionMixin):
    """What Flask calls the session. ``cookie`` is None until something has to be kept."""

    def __init__(self, kept: KeptSession | None = None) -> None:
        super().__init__(dict(kept.data) if kept else {}, self._note_change)
        self.cookie = kept.cookie if kept else None
        self.member_id = kept.member_id if kept else None
        self.is_shared = kept.is_shared if kept else False
        self.old_cookies: list[str] = []
        self.is_new = False
        self.modified = False
        self.new = kept is None

    def _note_change(self, _changed: Any = None) -> None:
        self.modified = True


class InboxSessions(SessionInterface):
    """Flask's session, kept by ``Sessions``."""

    def __init__(self, store: Sessions, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def open_session(self, app: Flask, request: Request) -> InboxSession:
        """The session of the request's cookie, or an empty one; an unknown cookie value is never taken over."""
        cookie, now = request.cookies.get(COOKIE_NAME, ""), int(self._clock())
        kept = self._store.read(cookie, now) if _COOKIE.fullmatch(cookie) else None
        is_seen = kept is not None and now - kept.last_seen_at >= TOUCH_SECONDS
        if is_seen and request.path not in NOBODY_THERE:
            self._store.touch(cookie, now)
        return InboxSession(kept)

    def is_null_session(self, obj: object) -> bool:
        """True where the store failed before there was a session: then there is nothing to save either."""
        return not isinstance(obj, InboxSession)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write what changed; the cookie only when it is another."""
        browser, now = cast("InboxSession", session), int(self._clock())
        response.vary.add("Cookie")
        for cookie in browser.old_cookies:
            self._store.end(cookie)
        if browser.modified and browser:
            lasts = None
            if browser.cookie is None:
                browser.cookie, browser.is_new = secrets.token_urlsafe(32), True
            if browser.is_new:
                lasts = UNSIGNED_SECONDS
                if browser.member_id is not None:
                    lasts = SHARED_SECONDS if browser.is_shared else SIGNED_SECONDS
            kept = KeptSession(browser.cookie, dict(browser), browser.member_id, browser.is_shared)
            self._store.write(kept, expires_at=None if lasts is None else now + lasts, now=now)
        if browser.is_new:
            _set_cookie(response, cast("str", browser.cookie))
        elif browser.old_cookies:
            _set_cookie(response, "", max_age=0)


def browser_session() -> InboxSession:
    """The session of this request; an empty one where the store failed before there was any, so that the page that says
    so, with the numbers to call, can be shown."""
    try:
        found = cast("InboxSession | None", cast("Any", flask_session)._get_current_object())
    except AssertionError:  # how Flask says that none was opened
        found = None
    return InboxSession() if found is None else found


def sign_in(member_id: str, *, is_shared: bool, **data: Any) -> None:
    """Under a new cookie: what was known before the sign-in is worth nothing after it."""
    browser = browser_session()
    kept = {key: browser[key] for key in _KEPT_AT_SIGN_IN if key in browser}
    _drop(browser)
    browser.update({**kept, **data, "csrf_token": secrets.token_hex(20)})
    browser.member_id, browser.is_shared = member_id, is_shared


def sign_out() -> None:
    """Ends here and now."""
    _drop(browser_session())


def _drop(browser: InboxSession) -> None:
    if browser.cookie is not None:
        browser.old_cookies.append(browser.cookie)
    browser.clear()
    browser.cookie = browser.member_id = None
    browser.is_shared = browser.is_new = False


def _set_cookie(response: Response, value: str, max_age: int | None = None) -> None:
    # Strict: nobody comes here from another page signed in, and this is never framed.
    response.set_cookie(COOKIE_NAME, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="Strict")
