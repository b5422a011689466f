"""The app inside another site's page, in browsers that keep cookies from frames: it works, or says how it will.

Each browser is first shown to block what it is said to block, by a page of the test's own.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

from smart_app.demo import Place

BLOCKS_THIRD_PARTY = "--test-third-party-cookie-phaseout"
COOKIES = ("plain=1; SameSite=None; Secure; Path=/", "__Host-parted=1; SameSite=None; Secure; Path=/; Partitioned")


class _CookieSite(BaseHTTPRequestHandler):
    """/set gives two cookies and goes on to /read, which says what came back; /frame?port frames that site."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/set":
            self.send_response(303)
            for cookie in COOKIES:
                self.send_header("Set-Cookie", cookie)
            self.send_header("Location", "/read")
            self.end_headers()
            return
        names = sorted(part.strip().partition("=")[0] for part in self.headers.get("Cookie", "").split(";"))
        text = f'<iframe src="http://127.0.0.1:{query}/set"></iframe>' if path == "/frame" else " ".join(names)
        body = f"<!doctype html><title>site</title><body>{text}</body>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def cookie_site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _CookieSite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def cookies_in_a_frame(page: Page, port: int) -> str:
    """Which cookies a page of 127.0.0.1 gets back when a page of localhost frames it."""
    page.goto(f"http://localhost:{port}/frame?{port}")
    frame = page.frame_locator("iframe").locator("body")
    expect(frame).not_to_have_text("unread")
    page.wait_for_timeout(300)
    return frame.inner_text()


def cookies_at_top(page: Page, port: int) -> str:
    page.goto(f"http://127.0.0.1:{port}/set")
    return page.locator("body").inner_text()


def arguments_for_root() -> list[str]:
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture
def third_party_blocked(browser: Browser, require_tool: Callable[[str], str]) -> Iterator[BrowserContext]:
    """A Chromium that keeps unpartitioned cookies from frames of other sites."""
    arguments = [BLOCKS_THIRD_PARTY, "--disable-gpu", *arguments_for_root()]
    running = browser.browser_type.launch(executable_path=require_tool("chromium"), args=arguments)
    context = running.new_context(locale="en-US")
    context.set_default_timeout(10_000)
    yield context
    running.close()


@pytest.fixture
def frames_blocked(
    browser: Browser, require_tool: Callable[[str], str], tmp_path: Path, demo: Place, cookie_site: int
) -> Iterator[BrowserContext]:
    """A Chromium whose settings block every cookie, partitioned too, of a frame of 127.0.0.1 in a page of localhost."""
    rule = {"setting": 2}
    pairs = [
        (f"http://127.0.0.1:{demo.ports.app}", demo.ehr_url),
        (f"http://127.0.0.1:{cookie_site}", f"http://localhost:{cookie_site}"),
    ]
    rules = {f"{framed},{framing}": rule for framed, framing in pairs}
    profile = tmp_path / "profile"
    (profile / "Default").mkdir(parents=True)
    preferences = {"profile": {"content_settings": {"exceptions": {"cookies": rules}}}}
    (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    context = browser.browser_type.launch_persistent_context(
        profile, executable_path=require_tool("chromium"), args=["--disable-gpu", *arguments_for_root()], locale="en-US"
    )
    context.set_default_timeout(10_000)
    yield context
    context.close()


def app_frame(page: Page, demo: Place, path: str) -> Frame:
    """The frame that shows us, once it shows an address of ours that begins with ``path``."""
    for _ in range(100):
        for frame in page.frames:
            if frame != page.main_frame and frame.url.startswith(demo.app_url + path):
                frame.wait_for_load_state()
                return frame
        page.wait_for_timeout(100)
    raise AssertionError([frame.url.partition("?")[0] for frame in page.frames])


@pytest.mark.rule("attack 11")
def test_launch_works_in_a_frame_where_third_party_cookies_are_blocked(
    third_party_blocked: BrowserContext, demo: Place, cookie_site: int
) -> None:
    """A browser that gives frames no third-party cookies still gives ours, because it is partitioned.

    Break: in ``session._set_cookie`` leave out ``partitioned=True``.
    """
    page = third_party_blocked.new_page()
    assert cookies_in_a_frame(page, cookie_site) == "__Host-parted"
    assert "plain" in cookies_at_top(page, cookie_site), "the same cookie is kept where it is not a third party's"
    page.goto(f"{demo.ehr_url}/a/chart/p-dana/app?as=dr-lee")
    frame = app_frame(page, demo, "/v/")
    frame.get_by_role("button", name="Alone", exact=True).click()
    expect(frame.get_by_text("What would help today?")).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in third_party_blocked.cookies()}
    assert cookies["__Host-cc"]["partitionKey"]  # type: ignore[typeddict-item]


def test_where_no_cookie_comes_back_a_new_window_opens_the_same_launch(
    frames_blocked: BrowserContext, demo: Place, cookie_site: int
) -> None:
    """A browser that gives frames no cookie at all shows one button, and the window it opens is the launched app.

    Break: in ``routes.launch`` leave out ``_ask_for_the_cookie``.
    """
    page = frames_blocked.new_page()
    assert cookies_in_a_frame(page, cookie_site) == ""
    assert "plain" in cookies_at_top(page, cookie_site)
    page.goto(f"{demo.ehr_url}/a/chart/p-dana/app?as=dr-lee")
    frame = app_frame(page, demo, "/launch")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("keeps the app from working inside")
    with frames_blocked.expect_page() as opening:
        frame.get_by_role("link", name="Open in a new window").click()
    window = opening.value
    window.get_by_role("button", name="Alone", exact=True).click()
    expect(window.get_by_text("What would help today?")).to_be_visible()
    assert window.url.startswith(f"{demo.app_url}/v/")
    assert window.evaluate("window.opener") is None


@pytest.mark.rule("R28")
@pytest.mark.parametrize("way", ["key", "button"])
def test_quick_exit_in_a_frame_leaves_the_page_around_it_alone(page: Page, demo: Place, way: str) -> None:
    """Hide empties our frame in place; the EHR's page keeps its address, its content and its history.

    Break: in ``hide`` of hide.js say ``location.assign`` for ``location.replace``, or ``top.location``.
    """
    page.goto(f"{demo.ehr_url}/a/chart/p-dana/app?as=dr-lee")
    frame = app_frame(page, demo, "/v/")
    frame.get_by_role("button", name="Alone", exact=True).click()
    expect(frame.get_by_text("What would help today?")).to_be_visible()
    frame.wait_for_load_state("load")
    around = page.url
    before = page.evaluate("[history.length, document.body.innerText]")
    moves: list[str] = []
    page.on("framenavigated", lambda moved: moves.append("top" if moved == page.main_frame else "frame"))
    opened: list[Page] = []
    page.context.on("page", lambda tab: opened.append(tab))
    if way == "key":
        frame.locator("body").press("Escape")
    else:
        frame.get_by_role("button", name="Hide").first.click()
    # Empty, and a moment later the neutral page: on a busy machine only the second is seen.
    expect(frame.locator("body")).not_to_contain_text("What would help today?")
    page.wait_for_timeout(1500)
    assert "top" not in moves
    assert page.url == around
    assert page.evaluate("[history.length, document.body.innerText]") == before
    assert opened == []
    assert "What would help today?" not in frame.locator("body").inner_text()
