"""A program without a FHIR system at its inbox: passkeys by a virtual authenticator, keyboard only, axe, Spanish."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from missing import skip_or_fail
from playwright.sync_api import BrowserContext, CDPSession, Locator, Page, expect

from smart_app.demo import Place
from smart_app.tour.sandboxes import SandboxEhr

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("INBOX_PICTURES")  # a folder: then every page looked at is kept there
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Device:
    """One authenticator: a phone or a security key that verifies its owner."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session
        self._id = self._make()

    def _make(self) -> str:
        options = {
            "protocol": "ctap2",
            "transport": "usb",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        return str(self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"])

    def put_away(self) -> list[dict[str, Any]]:
        """Out of reach, with what it holds."""
        held = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]
        self._session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._id})
        return list(held)

    def take_out(self, held: list[dict[str, Any]]) -> None:
        """Within reach again."""
        self._id = self._make()
        for credential in held:
            self._session.send("WebAuthn.addCredential", {"authenticatorId": self._id, "credential": credential})


class Person:
    """Somebody at the inbox who uses the keyboard and nothing else."""

    def __init__(self, page: Page) -> None:
        self.page = page
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        self.session = session
        self.looked_at = 0

    def reach(self, control: Locator) -> None:
        """Tab until the control has the focus, as somebody without a mouse would."""
        for _ in range(60):
            if control.evaluate("(e) => e === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"not reachable by keyboard: {control}")

    def press(self, name: str, role: Any = "button") -> None:
        """Reach a button or link by its name and press Enter; each leads to a page."""
        control = self.page.get_by_role(role, name=name, exact=True).first
        self.reach(control)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def tick(self, control: Locator) -> None:
        """Reach a box, or one of a group of choices, and choose it."""
        if control.get_attribute("type") == "radio":
            group = self.page.locator(f"input[name='{control.get_attribute('name')}']")
            here = next(
                (one for one in group.all() if one.evaluate("(e) => e.tabIndex >= 0 && e.checked")), group.first
            )
            self.reach(here)
            for _ in range(group.count()):
                if control.evaluate("(e) => e === document.activeElement"):
                    break
                self.page.keyboard.press("ArrowDown")
        else:
            self.reach(control)
        if not control.is_checked():
            self.page.keyboard.press("Space")
        assert control.is_checked()

    def write(self, control: Locator, words: str) -> None:
        """Reach a field and type."""
        self.reach(control)
        self.page.keyboard.type(words)

    def look(self, name: str) -> None:
        """The page is sound for everybody (axe), and a picture of it is kept if somebody wants one."""
        if not AXE.is_file():
            skip_or_fail("axe-core is missing: make node_modules/.package-lock.json")
        # Playwright puts the script in by the debugger, so the page's own policy (own files only) stays as it is.
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("(tags) => axe.run(document, {runOnly: tags})", WCAG)
        problems = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]]
        assert problems == [], f"{name}: {problems}"
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], f"{name} is wider than the screen"
        self.looked_at += 1
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@pytest.fixture
def ehr(demo: Place) -> SandboxEhr:
    return demo.sandboxes()[0]


@pytest.fixture
def invited(demo: Place) -> tuple[str, str]:
    """A new invitation of an admin of Northside: its address, and the code that is said by voice."""
    from click.testing import CliRunner

    from smart_app.cli import cli

    result = CliRunner().invoke(cli, ["--config", str(demo.config), "inbox", "invite", "northside", "--name", "Ana"])
    assert result.exit_code == 0, result.output
    address, code = re.findall(r": (\S+)$", result.output, flags=re.MULTILINE)
    return address, code


@pytest.fixture
def person(page: Page) -> Person:
    return Person(page)


def join(person: Person, invited: tuple[str, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """From the invitation to the inbox, with two devices. The recovery codes, and what the second device holds."""
    page, (address, code) = person.page, invited
    page.goto(address)
    person.look("join")
    person.write(page.get_by_label("The six digits you were told by phone"), code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/passkeys")
    person.look("passkeys-none")
    phone = Device(person.session)
    person.press("Add a passkey")
    expect(page.get_by_text("Registered: 1 of 2")).to_be_visible()
    held = phone.put_away()
    key = Device(person.session)
    person.press("Add a passkey")
    expect(page.get_by_role("button", name="Next: recovery codes")).to_be_visible()
    person.look("passkeys-two")
    person.press("Next: recovery codes")
    expect(page.locator("main code")).to_have_count(8)
    codes = page.locator("main code").all_inner_texts()
    person.look("codes")
    assert len(set(codes)) == 8
    key.put_away()
    phone.take_out(held)
    person.press("I wrote them down", "link")
    page.wait_for_url("**/items")
    return codes, held


def make_live(person: Person) -> None:
    """The admin chooses how they are told, and a person opens the test item."""
    page = person.page
    person.press("Our desk", "link")
    person.look("desk")
    person.tick(page.get_by_label("The clinic phones us"))
    person.press("Choose and test")
    expect(page.get_by_text("A test item waits")).to_be_visible()
    person.press("Items", "link")
    person.look("items-test")
    person.press("Open the test item")
    expect(page.get_by_role("button", name="Open the test item")).to_have_count(0)


def refer(page: Page, ehr: SandboxEhr) -> None:
    """A clinician sends a referral to Northside, with a safe number."""
    page.goto(ehr.launch_url("a", "dr-lee", "p-dana"))
    page.get_by_role("button", name="Alone", exact=True).click()
    page.get_by_role("link", name="Connect with an advocate").click()
    if page.get_by_role("link", name="Northside Advocates").count():
        page.get_by_role("link", name="Northside Advocates").click()
    page.get_by_text("They may call a safe number").click()
    page.get_by_label("Safe number", exact=True).fill("555-0142")
    page.get_by_role("button", name="Next: see what is sent").click()
    page.get_by_text("agrees and signs here").click()
    page.get_by_role("button", name="Send", exact=False).first.click()


@pytest.mark.rule("R13")
@pytest.mark.rule("R20")
def test_a_program_without_a_computer_system_joins_opens_and_asks_by_keyboard(
    context: BrowserContext, page: Page, demo: Place, ehr: SandboxEhr, invited: tuple[str, str], person: Person
) -> None:
    """From an invitation to an opened item, a release, an answer and a visit asked for: by keyboard alone, each page
    sound for everybody, and the clinician sees when a person opened it."""
    join(person, invited)
    person.look("items-before")
    make_live(person)

    clinician = context.new_page()
    refer(clinician, ehr)
    expect(clinician.get_by_text("Nobody has opened it yet")).to_be_visible()
    expect(clinician.get_by_text("You have an item.")).to_be_visible()

    person.press("Look again", "link")
    expect(page.get_by_role("heading", name="New", exact=True)).to_be_visible()
    assert "555-0142" not in page.content()
    person.look("items-new")
    person.press("Open")
    page.wait_for_url(re.compile(r"/items/[0-9a-f-]{36}$"))
    expect(page.get_by_text("555-0142")).to_be_visible()
    names = page.get_by_role("main").get_by_role("button").all_inner_texts()
    assert [name for name in names if name != "Enter the release"] == [], "without a release no button tells anything"
    person.look("item-none")
    clinician.get_by_role("link", name="Look again").click()
    expect(clinician.get_by_text(re.compile(r"Opened by a person at \d\d:\d\d"))).to_be_visible()
    if PICTURES:
        clinician.screenshot(path=f"{PICTURES}/clinician-opened.png", full_page=True)

    person.reach(page.locator("summary"))
    page.keyboard.press("Enter")
    person.tick(page.get_by_label("That we take it or not, and that we spoke"))
    person.tick(page.get_by_label("The person", exact=True))
    person.tick(page.get_by_label("It is signed, on our own form, for this clinic alone"))
    person.look("item-release")
    person.press("Enter the release")
    person.press("We take it")
    expect(page.get_by_text("You told the clinic: we take it")).to_be_visible()
    person.look("item-accepted")
    clinician.get_by_role("link", name="Look again").click()
    expect(clinician.get_by_text("The program accepted")).to_be_visible()

    person.press("Ask for a visit", "link")
    person.look("ask")
    person.write(page.get_by_label("Name they want to be called by"), "Marigold")
    person.tick(page.get_by_label("They call the clinic"))
    person.tick(page.get_by_label("They signed our own release"))
    person.tick(page.get_by_label("The person", exact=True))
    person.tick(page.get_by_label("Yes, they signed the clinic's form for that"))
    person.press("Send to the clinic")
    page.wait_for_url("**/asked")
    person.look("asked")
    person.press("Back to the items", "link")
    expect(page.get_by_text("Marigold", exact=True)).to_be_visible()
    person.press("We are full today")
    expect(page.get_by_text("The clinic sees: full today")).to_be_visible()
    person.look("items-all")
    person.press("People", "link")
    person.look("team")
    assert person.looked_at >= 14


@pytest.mark.rule("R28")
def test_rule_R28_esc_hides_and_signs_out_and_a_passkey_brings_it_back_in_spanish(
    demo: Place, invited: tuple[str, str], person: Person
) -> None:
    """Esc empties the page at once and ends the session; signing in again takes one touch; the pages speak Spanish.

    Fails when ``sign_out`` in ``session.py`` no longer ends the row.
    """
    page = person.page
    _, held = join(person, invited)
    page.keyboard.press("Escape")
    page.wait_for_url(f"{demo.inbox_url}/")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto(f"{demo.inbox_url}/items")
    expect(page.get_by_text("Nothing to show here")).to_be_visible()
    person.look("signed-out")
    page.go_back()
    assert "Northside" not in page.content()

    page.goto(f"{demo.inbox_url}/sign-in")
    person.look("sign-in")
    person.press("Use my passkey")
    page.wait_for_url("**/items")
    person.press("Español")
    page.wait_for_url("**/items")
    expect(page.get_by_role("heading", name="Mensajes para Northside Advocates")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "es"
    person.look("items-spanish")
    person.press("Pedir una cita", "link")
    person.look("ask-spanish")
    person.press("Nuestra oficina", "link")
    person.look("desk-spanish")
    page.set_viewport_size({"width": 320, "height": 640})
    person.look("desk-spanish-narrow")
    page.goto(f"{demo.inbox_url}/ask")
    person.look("ask-spanish-narrow")
    assert held


def test_a_recovery_code_opens_the_registration_of_passkeys_and_nothing_else(
    demo: Place, invited: tuple[str, str], person: Person
) -> None:
    """Somebody whose passkeys are lost gets to register a new one with a code from paper, once, and sees no item."""
    page = person.page
    codes, _ = join(person, invited)
    page.keyboard.press("Escape")
    page.wait_for_url(f"{demo.inbox_url}/")
    page.goto(f"{demo.inbox_url}/recover")
    person.look("recover")
    person.write(page.get_by_label("One of your recovery codes"), codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url("**/passkeys")
    page.goto(f"{demo.inbox_url}/items")
    expect(page.get_by_text("Nothing to show here")).to_be_visible()
    page.goto(f"{demo.inbox_url}/recover")
    person.write(page.get_by_label("One of your recovery codes"), codes[0])
    page.keyboard.press("Enter")
    expect(page.get_by_text("That did not work. Try again.")).to_be_visible()
