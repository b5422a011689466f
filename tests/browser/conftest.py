"""One Chromium for all browser tests; each test has its own empty profile and may speak to this machine only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

# Chromium would otherwise look up its maker's hosts at every start.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OUR_HOSTS = {"localhost", "127.0.0.1"}
PICTURES = Path(__file__).resolve().parents[2] / "var" / "browser"


@pytest.fixture(scope="session")
def browser(require_tool: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless. Its own sandbox is off only for root, where it cannot run."""
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    chromium = require_tool("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """An empty profile. A request to any other machine fails the test that made it (attack 12)."""
    outside: list[str] = []

    def look(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in OUR_HOSTS:
            outside.append(str(address.hostname))

    opened = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    opened.set_default_timeout(10_000)
    opened.on("request", look)
    yield opened
    opened.close()
    assert not outside, f"the browser asked other machines: {sorted(set(outside))}"


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab. If the test fails, what it showed is in ``var/browser/<test>.png``."""
    failures = request.session.testsfailed
    tab = context.new_page()
    yield tab
    if request.session.testsfailed > failures and not tab.is_closed():
        PICTURES.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=PICTURES / f"{request.node.name}.png", full_page=True)
