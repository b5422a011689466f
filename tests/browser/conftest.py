"""Each browser test has its own empty profile and may speak to this machine only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

OUR_HOSTS = {"localhost", "127.0.0.1"}
PICTURES = Path(__file__).resolve().parents[2] / "var" / "browser"


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
