"""The pages in a real browser: Hide, idle, Back, keyboard only, narrow screens, no script (R28, attacks 3 and 4)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from smart_app.workflows import referral

# What a common EHR allows its frames: everything but leaving the frame.
FRAME_SANDBOX = "allow-forms allow-modals allow-popups allow-same-origin allow-scripts allow-downloads"
BLANK_MILLISECONDS = 100
BUDGET_KEYS = 8


@pytest.fixture
def served(app: Flask, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The app on a port, its cookie as in production, with a program that says "received" to everything."""
    app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None", SESSION_COOKIE_PARTITIONED=True)
    monkeypatch.setattr(referral, "preview", lambda form, *_: [f"Name to use: {form.alias}", f"Meet: {form.meet}"])
    monkeypatch.setattr(
        referral,
        "send",
        lambda *_: SimpleNamespace(case_id="case-7", task_reference="Task/t1", place_words=(), lines_by_hand=()),
    )
    shown = SimpleNamespace(
        case_id="case-7",
        partner_id="harbor",
        state="received",
        state_words="Received by their system",
        next_step="",
        is_good=True,
        needs_call=False,
        ends_on=date(2026, 12, 24),
        is_taken_back=False,
    )
    monkeypatch.setattr(referral, "status_of", lambda *_: shown)

    @app.after_request
    def not_kept(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.get("/ehr")
    def chart() -> str:
        inside = f"{address}/v/{request.args['launch']}/"
        return f'<iframe sandbox="{FRAME_SANDBOX}" width="900" height="600" src="{inside}"></iframe>'

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield address
    server.shutdown()
    thread.join(5)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """An empty profile of the size of an EHR's frame."""
    opened = browser.new_context(viewport={"width": 900, "height": 700})
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, served: str, enter: Any) -> Page:
    """The first page of a launch."""
    tab = context.new_page()
    tab.goto(f"{served}/v/{enter().launch_id}/")
    return tab


def answer(page: Page) -> None:
    """The privacy question, by one key."""
    expect(page.locator("[autofocus]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("What would help today?")
    page.wait_for_load_state("load")  # the script is deferred: the words stand before it runs


@pytest.mark.parametrize("keys", [["Escape"], ["Shift", "Shift", "Shift"]])
@pytest.mark.rule("R28")
def test_rule_R28_keys_empty_the_page_and_end_the_launch(page: Page, desk: Any, keys: list[str], served: str) -> None:
    """Esc, or Shift three times: the page is empty, the launch has ended, and Back brings nothing back.

    Break: in hide.js, delete the call of blank() in hide().
    """
    answer(page)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_url(served + "/")
    assert desk.ended == ["launch-0"]
    page.go_back()
    expect(page.locator("h1")).to_have_text("Nothing to show here")


@pytest.mark.rule("R28")
def test_rule_R28_blank_comes_before_anything_else(page: Page) -> None:
    """The page is empty in less than a tenth of a second, before the network is asked.

    Break: in hide.js, call blank() after post() instead of before it.
    """
    answer(page)
    page.route("**/leave", lambda route: None)
    took = page.evaluate(
        """() => { const start = performance.now();
        document.querySelector("button[data-hide]").click();
        return document.body.childElementCount === 0 ? performance.now() - start : -1; }"""
    )
    assert 0 <= took < BLANK_MILLISECONDS
    assert page.title() == "Care Connections"


@pytest.mark.rule("R28")
def test_rule_R28_hide_works_framed(context: BrowserContext, served: str, enter: Any, desk: Any) -> None:
    """In an EHR's sandboxed frame without top navigation, Hide empties and ends the same way.

    Break: in hide.js, write top.location in place of location.
    """
    ehr = served.replace("127.0.0.1", "localhost") + f"/ehr?launch={enter().launch_id}"
    tab = context.new_page()
    tab.goto(ehr)
    frame = tab.frame_locator("iframe")
    frame.get_by_role("button", name="Alone").click()
    expect(frame.locator("h1")).to_have_text("What would help today?")
    frame.get_by_role("button", name="Hide (Esc)").click()
    expect(frame.locator("h1")).to_have_text("Care Connections")
    assert desk.ended == ["launch-0"]
    assert tab.url == ehr


@pytest.mark.rule("R28")
def test_rule_R28_a_page_from_memory_is_emptied(page: Page, desk: Any) -> None:
    """A page that the browser kept in memory is emptied and asked for again; the ended launch shows nothing.

    Break: in hide.js, return at once from the pageshow listener.
    """
    answer(page)
    desk.launches.clear()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.locator("h1")).to_have_text("Nothing to show here")


@pytest.mark.rule("R28")
def test_rule_R28_idle_goes_back_to_the_neutral_page_and_locks(page: Page, desk: Any) -> None:
    """Three minutes without a move: the neutral first page, locked again; three more and the launch ends.

    Break: in hide.js, set IDLE_MS to 30 minutes.
    """
    page.clock.install()
    answer(page)
    page.clock.fast_forward("02:50")
    expect(page.locator("h1")).to_have_text("What would help today?")
    page.clock.fast_forward("00:15")
    expect(page.locator("h1")).to_have_text("Is this a private moment?")
    assert desk.ended == []
    assert desk.notes["launch-0", "attestation"]["answer"] == "not-private"
    page.wait_for_load_state()  # the heading is there before the script that watches the clock
    page.clock.fast_forward("03:05")
    page.wait_for_url(re.compile(r":\d+/$"))
    assert desk.ended == ["launch-0"]


def test_who_still_moves_keeps_the_launch_and_who_does_not_asks_for_nothing(page: Page) -> None:
    """A long talk over one form does not lose it: movement is told to the server, once a minute; stillness is not.

    Break: in hide.js, delete the call of beat().
    """
    page.clock.install()
    answer(page)
    beats: list[str] = []
    page.on("request", lambda asked: beats.append(asked.url) if asked.method == "HEAD" else None)
    page.clock.fast_forward("01:10")
    assert beats == []
    page.mouse.move(40, 60)
    page.mouse.move(90, 120)
    page.clock.fast_forward("00:05")
    page.wait_for_timeout(200)
    assert [url.endswith("/phones") for url in beats] == [True]


@pytest.mark.rule("R28")
def test_rule_R28_idle_after_typing_ends_the_launch(page: Page, desk: Any) -> None:
    """Where something was entered, three idle minutes end the launch.

    Break: in hide.js, drop isTouched from idle().
    """
    page.clock.install()
    answer(page)
    expect(page.locator("[autofocus]")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_text("Change the name").click()
    page.get_by_label("A word that proves").fill("blue")
    page.clock.fast_forward("03:05")
    page.wait_for_url(re.compile(r":\d+/$"))
    assert desk.ended == ["launch-0"]


def test_nothing_is_kept_in_the_browser(page: Page) -> None:
    """No storage of the browser is used, before or after Hide."""
    answer(page)
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_from_launch_to_sent_with_eight_keys_and_no_typing(page: Page) -> None:
    """Keyboard only: Enter (alone), Enter (connect), Space, Tab, Enter (how), Space, Tab, Enter (signed and sent)."""
    keys = ["Enter", "Enter", "Space", "Tab", "Enter", "Space", "Tab", "Enter"]
    headings = {
        0: "What would help today?",
        1: "Harbor Program",
        4: "Exactly this goes to Harbor Program",
        7: "Sent to Harbor Program",
    }
    assert len(keys) <= BUDGET_KEYS
    for number, key in enumerate(keys):
        page.keyboard.press(key)
        if number in headings:
            expect(page.locator("h1")).to_have_text(headings[number])
            expect(page.locator("[autofocus]")).to_be_focused()


def test_another_language_stays_within_eight_keys(context: BrowserContext, served: str, enter: Any, desk: Any) -> None:
    """For a patient who speaks Spanish one more choice, the interpreter, still fits: Enter in a choice goes on."""
    desk.patient = desk.patient | {"communication": [{"language": {"coding": [{"code": "es"}]}}]}
    page = context.new_page()
    page.goto(f"{served}/v/{enter().launch_id}/")
    for key, heading in (
        ("Space", None),
        ("Enter", "What would help today?"),
        ("Enter", "Harbor Program"),
        ("Space", None),
        ("Enter", "Exactly this goes to Harbor Program"),
        ("Space", None),
        ("Enter", "Sent to Harbor Program"),
    ):
        page.keyboard.press(key)
        if heading:
            expect(page.locator("h1")).to_have_text(heading)
            expect(page.locator("[autofocus]")).to_be_focused()


def test_everything_but_idle_works_without_script(browser: Browser, served: str, enter: Any, desk: Any) -> None:
    """With scripts off the way to "sent" is the same, and Hide is a form that ends in an empty page."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served}/v/{enter().launch_id}/")
    page.get_by_role("button", name="Alone").click()
    page.get_by_role("link", name=re.compile("Connect with an advocate")).click()
    page.get_by_text("The patient will call them").click()
    page.get_by_role("button", name="Next: see what is sent").click()
    page.get_by_text("agrees and signs here").click()
    page.get_by_role("button", name="Send now").click()
    expect(page.locator("h1")).to_have_text("Sent to Harbor Program")
    page.get_by_role("button", name="Hide (Esc)").click()
    assert page.locator("body").inner_text() == ""
    assert desk.ended == ["launch-0"]
    context.close()


@pytest.mark.parametrize(
    "path",
    ["", "cards", "cards/read", "note", "connect/harbor", "phones", "sent/case-7", "sent/case-7/back"],
)
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, path: str, served: str) -> None:
    """At 320 px nothing is cut off, and what can be pressed is at least 24 px high."""
    answer(page)
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(f"{served}/v/launch-0/{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    low = page.evaluate(
        """() => [...document.querySelectorAll("a[href]:not(.skip), button, summary, select, label")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
        .map((one) => one.textContent.trim().slice(0, 40))"""
    )
    assert low == []


def test_paper_stays_empty_but_for_the_public_card(page: Page, served: str) -> None:
    """Printing a page of a patient gives an empty sheet; the public card prints (R29)."""
    answer(page)
    page.emulate_media(media="print")
    for path, is_printed in (("", False), ("connect/harbor", False), ("cards/read", True)):
        page.goto(f"{served}/v/launch-0/{path}")
        assert (page.locator("body").inner_text().strip() != "") is is_printed, path
        assert "Whitlock" not in page.locator("body").inner_text()
