"""The pictures of README.md and use-the-inbox.md, taken from a running demo in Debian's Chromium.

Start ``make demo`` (empty is best: ``make demo-reset``), then ``.venv/bin/python docs/make_pictures.py``. It plays a
note, a referral each way, an advocate at the inbox, and looks. Exit 1 when a picture is larger than it should be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from smart_app.demo import Place, Ports

IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 250_000
PATIENT = "p-dana"
# Chromium would otherwise look up its maker's hosts at every start.
ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    """Take all; say what each weighs."""
    place = _place()
    IMAGES.mkdir(exist_ok=True)
    with _browser() as context:
        framed_home(context.new_page(), place)
        connect(context.new_page(), place)
        queue(context.new_page(), place)
        follow_the_data(context.new_page(), place)
        inbox(context, place)
    sizes = {path.name: path.stat().st_size for path in sorted(IMAGES.glob("*.png"))}
    for name, size in sizes.items():
        sys.stdout.write(f"{size:>8,} bytes  {name}\n")
    too_large = [name for name, size in sizes.items() if size > MOST_BYTES]
    if too_large:
        sys.exit(f"Larger than {MOST_BYTES:,} bytes: {', '.join(too_large)}. Take a smaller part of the page.")


def framed_home(page: Page, place: Place) -> None:
    """The privacy question in the EHR's own frame."""
    page.set_viewport_size({"width": 1000, "height": 720})
    page.goto(f"{place.ehr_url}/a/chart/{PATIENT}/app?as=dr-lee")
    page.frame_locator("iframe").get_by_role("button", name="Alone", exact=True).wait_for()
    _take(page, "framed-home")


def connect(page: Page, place: Place) -> None:
    """A program's card, and how the two will meet."""
    _open_chart(page, place, height=820)
    page.get_by_role("link", name="Connect with an advocate").click()
    page.get_by_text("The patient will call them").click()
    _take(page, "connect")


def queue(page: Page, place: Place) -> None:
    """What programs asked for, as the scheduler finds it."""
    ehr, program = place.sandboxes()
    program.refer("Marigold", "555-0161", tells_time=True, needs=["medical-visit", "counseling"])
    program.refer("Robin", "555-0162", tells_time=False, needs=["medical-visit"], say_as="the library")
    page.set_viewport_size({"width": 1000, "height": 590})
    page.goto(ehr.launch_url("a", "sched-kim", None))
    page.get_by_role("link", name="Marigold").first.wait_for()
    _take(page, "queue")


def follow_the_data(page: Page, place: Place) -> None:
    """One note, its labels in words, and who sees what."""
    _open_chart(page, place, height=1245)
    page.get_by_role("link", name="Make a protected note").click()
    page.get_by_role("button", name="Save, with a protected copy in the chart").click()
    page.get_by_role("link", name="Follow the data").click()
    page.get_by_role("heading", name="View as").wait_for()
    _take(page, "follow-the-data")


def inbox(context: BrowserContext, place: Place) -> None:
    """A new item at a program without a FHIR system, and the same item opened."""
    page = context.new_page()
    page.set_viewport_size({"width": 1000, "height": 440})
    _join_inbox(page, place)
    page.goto(f"{place.inbox_url}/desk")
    page.get_by_text("The clinic phones us").click()
    page.get_by_role("button", name="Choose and test").click()
    page.goto(f"{place.inbox_url}/items")
    page.get_by_role("button", name="Open the test item").click()
    chart = context.new_page()
    _open_chart(chart, place, height=820)
    chart.goto(f"{chart.url}connect/northside")
    chart.get_by_text("They may call a safe number").click()
    chart.get_by_label("Safe number", exact=True).fill("555-0142")
    chart.get_by_role("button", name="Next: see what is sent").click()
    chart.get_by_text("agrees and signs here").click()
    chart.locator("button[value=send]").click()
    chart.get_by_text("In their inbox").wait_for()
    page.goto(f"{place.inbox_url}/items")
    _take(page, "inbox-items")
    page.set_viewport_size({"width": 1000, "height": 540})
    page.get_by_role("button", name="Open", exact=True).first.click()
    page.get_by_role("heading", name="How you meet").wait_for()
    _take(page, "inbox-item")


def _join_inbox(page: Page, place: Place) -> None:
    """By a new invitation, with two virtual authenticators."""
    command = [sys.executable, "-m", "smart_app", "--config", str(place.config), "inbox", "invite", "northside"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    address, code = (line.rpartition(": ")[2] for line in said.splitlines())
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    page.goto(address)
    page.get_by_label("The six digits you were told by phone").fill(code)
    page.get_by_role("button", name="Go on").click()
    for _ in range(2):
        names = ("hasResidentKey", "hasUserVerification", "isUserVerified", "automaticPresenceSimulation")
        options = {"protocol": "ctap2", "transport": "usb"} | dict.fromkeys(names, True)
        device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        with page.expect_navigation():
            page.get_by_role("button", name="Add a passkey").click()
        devices.send("WebAuthn.removeVirtualAuthenticator", device)
    page.get_by_role("button", name="Next: recovery codes").click()
    page.get_by_role("link", name="I wrote them down").click()


def _open_chart(page: Page, place: Place, *, height: int) -> None:
    page.set_viewport_size({"width": 1000, "height": height})
    page.goto(place.sandboxes()[0].launch_url("a", "dr-lee", PATIENT))
    page.get_by_role("button", name="Alone", exact=True).click()


def _take(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")


@contextmanager
def _browser() -> Iterator[BrowserContext]:
    """Chromium with an empty profile. Its own sandbox is off only for root, where it cannot run."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not here. On Debian: apt-get install chromium")
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running.new_context(locale="en-US")
        running.close()


def _place() -> Place:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path("var/demo"))
    for name, port in vars(Ports()).items():
        parser.add_argument(f"--{name.replace('_', '-')}-port", dest=name, type=int, default=port)
    given = vars(parser.parse_args())
    return Place(given.pop("directory"), Ports(**given))


if __name__ == "__main__":
    main()
