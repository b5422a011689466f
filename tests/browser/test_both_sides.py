"""The advocate's, the scheduler's and the newcomer's pages in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from smart_app.demo import Place
from smart_app.tour.sandboxes import SandboxEhr, until


@pytest.fixture
def ehr(demo: Place) -> SandboxEhr:
    return demo.sandboxes()[0]


def test_advocate_refers_scheduler_books_advocate_reads_day_and_time(
    context: BrowserContext, page: Page, demo: Place, ehr: SandboxEhr
) -> None:
    """An advocate asks for a visit, the scheduler books it from the EHR's schedule, and the advocate sees when."""
    page.goto(f"{demo.program_url}/")
    page.get_by_role("link", name="Refer someone to the clinic").click()
    page.get_by_label("Name they want to be called by").fill("Larkspur")
    page.get_by_label("The clinic calls a safe number").check()
    page.get_by_label("Safe phone number").fill("555-0161")
    page.get_by_label("The survivor signed it").check()
    page.get_by_label("Yes, they signed").check()
    page.get_by_role("button", name="Send to the clinic").click()
    expect(page.get_by_text("Larkspur").first).to_be_visible()

    desk = context.new_page()
    desk.goto(f"{demo.ehr_url}/a/schedule?as=sched-kim")
    desk.get_by_role("link", name="Open Care Connections").click()
    frame = desk.frame_locator("iframe")
    frame.get_by_role("link", name="Larkspur").click()
    frame.get_by_label("Chart id").fill("p-walter")
    frame.get_by_role("button", name="Book").click()
    booked = frame.get_by_text("Booked:").first
    expect(booked).to_be_visible()
    at = booked.inner_text().rpartition(" ")[2]  # the first half hour that is free that day
    desk.goto(f"{demo.ehr_url}/a/schedule?as=sched-kim")
    text = desk.locator("body").inner_text()
    assert "Harbor" not in text
    assert "Larkspur" not in text
    assert "SDV" not in text
    page.goto(f"{demo.program_url}/")
    page.get_by_role("button", name="Ask the clinic").first.click()
    expect(page.get_by_text(at).first).to_be_visible()


def test_follow_the_data_shows_every_resource_and_who_sees_what(page: Page, demo: Place, ehr: SandboxEhr) -> None:
    """After a send, the newcomer sees each resource as stored, as sent and as received, and that others see nothing."""
    page.goto(ehr.launch_url("a", "dr-lee", "p-dana"))
    page.get_by_role("button", name="Alone", exact=True).click()
    page.get_by_role("link", name="Connect with an advocate").click()
    page.get_by_text("The patient will call them").click()
    page.get_by_role("button", name="Next: see what is sent").click()
    page.get_by_text("agrees and signs here").click()
    page.get_by_role("button", name="Send, with a protected copy in the chart").click()
    follow = page.get_by_role("link", name="Follow the data").get_attribute("href")
    address = f"{demo.app_url}{follow}"

    def is_received() -> bool:
        page.goto(address)
        return page.get_by_text("The other side got exactly what was sent").count() >= 4

    assert until(is_received)
    for resource_type in ("Patient", "Consent", "ServiceRequest", "Task"):
        expect(page.get_by_role("heading", name=resource_type).first).to_be_visible()
    row = page.get_by_role("row", name="Northside Advocates")
    assert set(row.get_by_role("cell").all_inner_texts()) == {"Nothing to show here"}
    assert "something else" not in page.locator("body").inner_text()
