"""The browser's session: one opaque cookie, everything else sealed in our own table.

One cookie is one browser session and may hold several launches, each with its own id in the path. A launch id that is
not this cookie's finds nothing, exactly as one that never was. The cookie is replaced whenever somebody signs in.
Reads write nothing, except that use is noted every half minute: SQLite has one writer.
"""

from __future__ import annotations

import copy
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from flask import Flask, Request, Response, current_app, has_request_context
from flask import session as flask_session
from flask.sessions import SessionInterface, SessionMixin
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import CallbackDict

from launch.context import LaunchContext
from launch.errors import LaunchNotFoundError, StateError
from launch.store import Beside, LaunchRow, LaunchStore, nothing_more

COOKIE_NAME = "__Host-cc"
IDLE_SECONDS = 4 * 60  # a page empties itself after 3 minutes; this ends what a closed tab left open (R28)
LAUNCH_SECONDS = 60 * 60  # the longest a launch lives, used or not
PENDING_SECONDS = 10 * 60  # from /launch to /callback
TOUCH_SECONDS = 30
REVOKE_WAIT_SECONDS = 1.0
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


class BrowserSession(CallbackDict[str, Any], SessionMixin):
    """What Flask calls the session. ``session_id`` is None until something has to be kept."""

    def __init__(self, session_id: str | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(data or {}, self._note_change)
        self.session_id = session_id
        self.new_cookie: str | None = None
        self.is_ended = False
        self.modified = False
        self.new = session_id is None
        # What this request has read already: a page asks for its launch at every step, and the database need not.
        self.seen_rows: dict[tuple[str, str], LaunchRow] = {}
        self.seen_notes: dict[tuple[str, str], Any] = {}

    def forget(self) -> None:
        """Read anew from here on."""
        self.seen_rows.clear()
        self.seen_notes.clear()

    def _note_change(self, _changed: Any = None) -> None:
        self.modified = True


class ServerSideSessionInterface(SessionInterface):
    """Flask's session, kept by ``LaunchStore``. ``revoke(row)`` asks the EHR to forget an ended launch's tokens."""

    def __init__(
        self,
        store: LaunchStore,
        *,
        revoke: Callable[[LaunchRow], None],
        on_end: Callable[[LaunchContext, str], None],
        idle_seconds: int = IDLE_SECONDS,
        launch_seconds: int = LAUNCH_SECONDS,
        on_sign_in: Callable[[MutableMapping[str, Any]], None] = lambda session: None,
    ) -> None:
        self._store = store
        self._on_sign_in = on_sign_in
        self._revoke = revoke
        self._on_end = on_end
        self._idle_seconds = idle_seconds
        # Whoever is still signing in at the EHR is not idle here; each launch has its own idle time besides.
        self._session_idle_seconds = max(idle_seconds, PENDING_SECONDS)
        self._launch_seconds = launch_seconds

    # --- Flask's side

    def open_session(self, app: Flask, request: Request) -> BrowserSession:
        """The session of the request's cookie, or an empty one; an unknown cookie value is never taken over."""
        cookie, now = request.cookies.get(COOKIE_NAME, ""), _now()
        if not _COOKIE.fullmatch(cookie):
            return BrowserSession()
        row = self._store.session_of(cookie, now=now, idle_seconds=self._session_idle_seconds)
        if row is None:
            return BrowserSession()
        if now - row.last_seen_at >= TOUCH_SECONDS:
            self._store.touch_session(row.session_id, now=now)
        return BrowserSession(row.session_id, row.data)

    def is_null_session(self, obj: object) -> bool:
        """True where the store failed before there was a session: then there is nothing to save either."""
        return not isinstance(obj, BrowserSession)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write only what changed; set the cookie only when it is new."""
        browser = cast("BrowserSession", session)
        response.vary.add("Cookie")
        if browser.is_ended:
            self._set_cookie(response, "", max_age=0)
            return
        if browser.modified and (browser or browser.session_id is not None):
            self._store.save_session(self._establish(browser), dict(browser))
        if browser.new_cookie is not None:
            self._set_cookie(response, browser.new_cookie)

    def _set_cookie(self, response: Response, value: str, max_age: int | None = None) -> None:
        # Partitioned: in a frame of another site Chromium sends back no other kind. SameSite=None protects nothing:
        # CSRF tokens and Sec-Fetch-Site do.
        response.set_cookie(
            COOKIE_NAME,
            value,
            max_age=max_age,
            path="/",
            secure=True,
            httponly=True,
            samesite="None",
            partitioned=True,
        )

    def _establish(self, browser: BrowserSession) -> str:
        if browser.session_id is None:
            browser.session_id, browser.new_cookie = str(uuid.uuid4()), _new_cookie()
            now = _now()
            expires_at = now + PENDING_SECONDS
            self._store.create_session(browser.session_id, browser.new_cookie, now=now, expires_at=expires_at)
        return browser.session_id

    # --- what a launch on its way needs

    def has_session(self) -> bool:
        """Whether this request brought a cookie of a living session."""
        return _browser().session_id is not None

    def signed_in_session(self) -> str | None:
        """The id of this browser's session if somebody has a launch in it."""
        session_id = _browser().session_id
        return session_id if session_id is not None and self._store.launches_of(session_id) else None

    def keep_pending(self, state: str, content: dict[str, Any], also: Beside = nothing_more) -> None:
        """Keep what the callback of this browser needs, with a new session if it has none yet. ``also`` writes in the
        same transaction."""
        browser, now = _browser(), _now()
        is_new = browser.session_id is None
        if browser.session_id is None:
            browser.session_id, browser.new_cookie = str(uuid.uuid4()), _new_cookie()
        cookie = browser.new_cookie if is_new else None
        until = now + PENDING_SECONDS
        self._store.add_pending(
            state, browser.session_id, content, now=now, expires_at=until, new_cookie=cookie, also=also
        )

    def session_id_to_begin(self) -> str:
        """The id of this browser's session; a new one if it has none yet."""
        return self._establish(_browser())

    def session_id_to_complete(self) -> str:
        """The id of the session this browser brought back. ``StateError`` when its cookie did not come along."""
        session_id = _browser().session_id
        if session_id is None:
            raise StateError("no-cookie")
        return session_id

    def keep_launch(self, context: LaunchContext, tokens: dict[str, Any], also: Beside = nothing_more) -> None:
        """Bind a finished launch to this browser session and rotate its cookie; this person's other launches stay.
        ``also`` writes in the same transaction."""
        browser, now = _browser(), _now()
        row = LaunchRow(
            launch_id=context.launch_id,
            session_id=self.session_id_to_complete(),
            context=context.to_json(),
            tokens=tokens,
            token_version=1,
            refresh_lease_until=0,
            last_seen_at=now,
            expires_at=now + self._launch_seconds,
        )
        self._on_sign_in(browser)
        data = dict(browser) if browser.modified else None
        browser.new_cookie = _new_cookie()
        until = row.expires_at
        if not self._store.add_launch(
            row, new_cookie=browser.new_cookie, session_expires_at=until, data=data, also=also
        ):
            browser.new_cookie = None
            raise StateError("session-gone")
        browser.modified = False
        self._end_others(row.session_id, context)

    def _end_others(self, session_id: str, signed_in: LaunchContext) -> None:
        """Whoever signs in next at a shared computer finds nothing of the person before in its history (attack 4)."""
        for row in self._store.launches_of(session_id, but=signed_in.launch_id):
            context = LaunchContext.from_json(row.context)
            is_same_ehr = context.registration_id == signed_in.registration_id
            if is_same_ehr and context.fhir_user != signed_in.fhir_user:
                ended, _ = self._store.end_launch(row.launch_id)
                if ended is not None:
                    self._after_end(ended, "another-person")

    # --- what a page needs

    def current_launch(self, launch_id: str) -> LaunchContext:
        """The launch, if it is alive and bound to this request's cookie. ``LaunchNotFoundError`` for all else."""
        return LaunchContext.from_json(self._row(launch_id).context)

    def remember(self, launch_id: str, key: str, value: Any) -> None:
        """Keep one JSON value for the life of a launch. ``LaunchNotFoundError``."""
        self._row(launch_id)
        try:
            self._store.put_note(launch_id, key, value)
        except IntegrityError:
            raise LaunchNotFoundError("ended-meanwhile") from None
        finally:
            _browser().seen_notes.pop((launch_id, key), None)

    def recall(self, launch_id: str, key: str) -> Any:
        """What was kept, or None. ``LaunchNotFoundError``."""
        self._row(launch_id)
        notes = _browser().seen_notes
        if (launch_id, key) not in notes:
            notes[launch_id, key] = self._store.note(launch_id, key)
        return copy.deepcopy(notes[launch_id, key])

    def end_launch(self, launch_id: str, reason: str = "left") -> None:
        """Drop a launch of this browser and its tokens, then ask the EHR to revoke them. ``LaunchNotFoundError``."""
        self._row(launch_id)
        row, is_last = self._store.end_launch(launch_id)
        _browser().forget()
        if is_last:
            browser = _browser()
            browser.clear()
            browser.is_ended, browser.session_id = True, None
        if row is not None:
            self._after_end(row, reason)

    def end_expired(self) -> int:
        """Drop and revoke launches that were left alone or are past their time, of any browser. Returns how many."""
        rows = self._store.expired_launches(now=_now(), idle_seconds=self._idle_seconds)
        for row in rows:
            if self._store.end_launch(row.launch_id)[0] is not None:
                self._after_end(row, "expired")
        return len(rows)

    def _row(self, launch_id: str) -> LaunchRow:
        session_id, now = _browser().session_id, _now()
        if session_id is None:
            raise LaunchNotFoundError("no-cookie")
        seen = _browser().seen_rows
        if (session_id, launch_id) in seen:
            return seen[session_id, launch_id]
        row = self._store.launch(launch_id, now=now, idle_seconds=self._idle_seconds, session_id=session_id)
        if row is None:
            raise LaunchNotFoundError
        if now - row.last_seen_at >= TOUCH_SECONDS:
            self._store.touch_launch(launch_id, now=now)
        seen[session_id, launch_id] = row
        return row

    def seen_row(self, launch_id: str) -> LaunchRow | None:
        """The launch as this request has read it for its own browser; None where it has not."""
        browser = _browser() if has_request_context() else None
        return None if browser is None else browser.seen_rows.get((browser.session_id or "", launch_id))

    def _after_end(self, row: LaunchRow, reason: str) -> None:
        self._on_end(LaunchContext.from_json(row.context), reason)
        # Somebody may need this screen gone now: a slow EHR is not waited for.
        revoking = threading.Thread(target=self._revoke, args=(row,), daemon=True)
        revoking.start()
        revoking.join(REVOKE_WAIT_SECONDS)


def current_launch(launch_id: str) -> LaunchContext:
    """The launch of this request's path, if it is alive and bound to its cookie. ``LaunchNotFoundError`` otherwise."""
    return _sessions().current_launch(launch_id)


def remember(launch_id: str, key: str, value: Any) -> None:
    """Keep one JSON value (an answer, a choice) for the life of a launch, sealed. ``LaunchNotFoundError``."""
    _sessions().remember(launch_id, key, value)


def recall(launch_id: str, key: str) -> Any:
    """What ``remember`` kept, or None. ``LaunchNotFoundError``."""
    return _sessions().recall(launch_id, key)


def end_launch(launch_id: str) -> None:
    """End a launch of this browser: tokens dropped and revoked; the cookie goes with the last one."""
    _sessions().end_launch(launch_id)


def _sessions() -> ServerSideSessionInterface:
    return cast("ServerSideSessionInterface", current_app.session_interface)


def _browser() -> BrowserSession:
    return cast("BrowserSession", cast("Any", flask_session)._get_current_object())


def _new_cookie() -> str:
    return secrets.token_urlsafe(32)


def _now() -> int:
    return int(time.time())
