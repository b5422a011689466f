"""Our pages in a frame of another site, in a real Chromium: does the cookie come back, and is the page shown?

The outer page stands at the EHR's own frame origin, but no EHR is asked: the browser is given that page, and the answer
of the authorization endpoint, by this program. Only our own app is called. Needs Playwright (``pip install
playwright``) and a Chromium; where either is missing, the check says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from launch.doctor.check_door import launch_address
from launch.doctor.findings import Finding, Stops, green, not_checked, red
from launch.errors import AuthorizationRefusedError
from launch.registrations import Registration, Registrations

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
WAIT_MILLISECONDS = 20_000
REFUSED_BY_EHR = AuthorizationRefusedError.status
# The outer page is not fetched from anywhere, so Chromium cannot know on which network it stands and would refuse a
# frame from a private one. Whether a real EHR page may frame a private address is the browser's own question.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-features=LocalNetworkAccessChecks",
]
OUTER = "/doctor-frame"
# What athenaOne allows its frames, which is as little as any EHR is known to give: no top navigation.
SANDBOX = (
    "allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts "
    "allow-downloads"
)


def judge(registrations: Registrations, registration: Registration, authorization_endpoint: str) -> Iterator[Finding]:
    """One launch of ours inside a frame, for each registered frame origin."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        yield _missing("Playwright", "python -m pip install playwright")
        return
    if program is None:
        yield _missing("Chromium", "on Debian and Ubuntu: apt-get install chromium")
        return
    try:
        with sync_playwright() as playwright:
            arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
            chromium = playwright.chromium.launch(executable_path=program, args=arguments)
            try:
                for origin in registration.frame_origins:
                    seen = _framed_launch(chromium, origin, registrations, registration, authorization_endpoint)
                    yield from _judged(seen, origin)
            finally:
                chromium.close()
    except Error:
        yield not_checked("frame.browser", "Chromium did not run this check to its end. Run it on a desk computer.")


def _missing(what: str, how: str) -> Finding:
    return not_checked(
        "frame.browser", f"The cookie in a framed page was not tried: {what} is missing here. To have it: {how}"
    )


def _framed_launch(
    chromium: Any, origin: str, registrations: Registrations, registration: Registration, endpoint: str
) -> dict[str, bool]:
    """Open the frame and follow our launch to the callback. Returns what happened, as yes and no."""
    page = chromium.new_page()
    seen = {"came-back": False, "cookie": False, "shown": False, "lost-at-once": False}
    redirect_uri = registrations.redirect_uri

    def is_the_end(response: Any) -> bool:
        """The way back; or our own refusal to begin, which the app gives when its cookie does not return."""
        address = response.url.partition("?")[0]
        return bool(address == redirect_uri or (address == registrations.launch_url and response.status >= 400))

    def outer(route: Any) -> None:
        address = escape(launch_address(registrations, registration), quote=True)
        frame = f'<iframe sandbox="{SANDBOX}" src="{address}" width="900" height="700"></iframe>'
        route.fulfill(status=200, content_type="text/html", body=f"<!doctype html><title>frame</title>{frame}")

    def authorize(route: Any) -> None:
        request = route.request
        sent = parse_qs(request.post_data or "") or parse_qs(urlsplit(request.url).query)
        back = {"error": "access_denied", "state": sent.get("state", [""])[0]}
        target = escape(f"{redirect_uri}?{urlencode(back)}", quote=True)
        body = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}">'
        route.fulfill(status=200, content_type="text/html", body=body)

    try:
        page.route(origin + OUTER, outer)
        page.route(lambda url: url.partition("?")[0] == endpoint.partition("?")[0], authorize)
        with page.expect_response(is_the_end, timeout=WAIT_MILLISECONDS) as answered:
            page.goto(origin + OUTER, timeout=WAIT_MILLISECONDS)
        seen["came-back"] = answered.value.url.partition("?")[0] == redirect_uri
        # Outside a frame this launch was begun a moment ago: in one, a refusal can only mean the cookie.
        seen["lost-at-once"] = not seen["came-back"]
        # The request's Cookie header is not shown for pages that were given to the browser, so the app's own answer
        # counts: it knows this way back only together with the cookie, and then says that the EHR refused.
        seen["cookie"] = answered.value.status == REFUSED_BY_EHR
        page.wait_for_timeout(300)
        seen["shown"] = any(frame.url.partition("?")[0] == redirect_uri for frame in page.frames)
    except Exception as error:
        if type(error).__name__ != "TimeoutError":
            raise
    finally:
        page.close()
    return seen


def _cookie_lost(origin: str) -> Finding:
    return red(
        "frame.cookie",
        f"Framed by {origin}, our cookie does not come back in Chromium: each launch needs a new window.",
        stops=Stops.SETUP,
    )


def _judged(seen: dict[str, bool], origin: str) -> Iterator[Finding]:
    if seen["lost-at-once"]:
        yield _cookie_lost(origin)
        return
    if not seen["came-back"]:
        yield red(
            "frame.launch",
            f"Framed by {origin}, our launch did not get as far as the way back. See the findings about our door.",
            stops=Stops.SETUP,
        )
        return
    if seen["cookie"]:
        yield green("frame.cookie", f"Framed by {origin}, our cookie comes back in Chromium.")
    else:
        yield _cookie_lost(origin)
    if seen["shown"]:
        yield green("frame.shown", f"Framed by {origin}, our page is shown.")
    else:
        yield red(
            "frame.shown", f"{origin} may not show our page: the browser leaves its frame empty.", stops=Stops.SETUP
        )
