"""What every web server of ours has in common, whoever its pages are for: forms, headers, files, proxies, the sweep."""

from __future__ import annotations

import gc
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Response, g, request
from flask_wtf.csrf import CSRFProtect
from whitenoise import WhiteNoise

from smart_app.logs import ClassOnly
from smart_app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STATIC_SECONDS = 600
SWEEP = "sweep"
SWEEP_SECONDS = 30
LOG = structlog.get_logger()


def take_forms(app: Flask, *, key: bytes, most_bytes: int) -> CSRFProtect:
    """Forms with a token each, and bodies of ``most_bytes`` at most.

    ``key`` signs form tokens only: sessions are rows of ours. It is the same in every process and after a restart, so
    that a form can be sent again to whoever answers then.
    """
    app.config.update(
        SECRET_KEY=key,
        WTF_CSRF_SSL_STRICT=False,  # under no-referrer our own POST has no Referer; guards check Sec-Fetch-Site instead
        WTF_CSRF_TIME_LIMIT=None,  # the token lives as long as the browser session, which is minutes
        MAX_CONTENT_LENGTH=most_bytes,
        MAX_FORM_MEMORY_SIZE=100_000,
    )
    app.logger.handlers, app.logger.propagate = [ClassOnly()], False
    app.url_map.merge_slashes = False  # werkzeug mends "//" by a redirect to whatever the Host header says
    return CSRFProtect(app)


def finish(app: Flask, settings: Settings, *, policy: Callable[[], str], sweep: Callable[[], None]) -> None:
    """Headers on every answer (``policy``: the Content-Security-Policy of this one), our files, the proxies in front,
    and what ``swept`` does now and then."""
    install_headers(app, settings, policy)
    app.extensions[SWEEP] = sweep
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app, root=str(Path(__file__).parent / "static"), prefix="static/", max_age=STATIC_SECONDS
    )
    if settings.trusted_proxies:
        app.wsgi_app = BehindProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]


def keep_for_good() -> None:
    """What was made at start lives as long as the process: the garbage collector need not walk through it again, which
    is a twentieth of what a launch computes."""
    gc.collect()
    gc.freeze()


def swept(app: Flask) -> Flask:
    """``app``, whose sweep a thread of its own does every half minute."""
    keep_for_good()

    def sweep() -> None:
        while True:
            time.sleep(SWEEP_SECONDS)
            try:
                app.extensions[SWEEP]()
            except Exception as error:  # the next round tries again; the log gets the class and nothing else
                LOG.error("sweep", error=type(error).__name__)

    threading.Thread(target=sweep, name="sweep", daemon=True).start()
    return app


class BehindProxies:
    """Counts and audits callers by their own address where a proxy that settings trust tells it. The last address that
    is not a proxy of ours counts: what stands before it is the caller's own word."""

    def __init__(self, inner: WSGIApplication, trusted: tuple[str, ...]) -> None:
        """``trusted``: addresses or networks."""
        self._inner = inner
        self._trusted = tuple(ipaddress.ip_network(text) for text in trusted)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request, under its caller's own address."""
        if self._is_ours(_address(str(environ.get("REMOTE_ADDR", "")))):
            told = [_address(part.strip()) for part in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
            callers = [address for address in told if not self._is_ours(address)]
            if callers and callers[-1] is not None:
                environ["REMOTE_ADDR"] = str(callers[-1])
        return self._inner(environ, start_response)

    def _is_ours(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; one of version 4 that is written in version 6 is the same one."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def install_headers(app: Flask, settings: Settings, policy: Callable[[], str]) -> None:
    """Security headers on every answer, error pages too, and one log line of allow-listed fields."""

    @app.before_request
    def start_clock() -> None:
        g.started = time.monotonic()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy()
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if settings.mode == "production":
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        LOG.info(
            "request",
            route=request.url_rule.rule if request.url_rule else "none",
            method=request.method,
            status=response.status_code,
            milliseconds=round((time.monotonic() - g.get("started", time.monotonic())) * 1000, 1),
            request_id=secrets.token_hex(8),
        )
        return response


def content_security_policy(frame_origins: tuple[str, ...], form_target: str = "") -> str:
    """Own files only, no inline script or style, framed by ``frame_origins`` and nobody else (attacks 11, 12). Forms
    go to ourselves, and, on the one page that carries a launch to its EHR, to that EHR's origin."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            f"form-action 'self' {form_target}".rstrip(),
            "base-uri 'none'",
            "frame-ancestors " + " ".join(("'self'", *frame_origins)),
        )
    )
