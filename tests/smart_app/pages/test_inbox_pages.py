"""The inbox on a real vault: who gets in, what is shown before and after a person opens an item, what may go back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html import unescape
from typing import Any, cast

import pytest
from flask import Flask
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from launch.doctor.neutral_words import telling
from smart_app import guards
from smart_app.gateways.inbox_accounts import SqlAccounts
from smart_app.gateways.inbox_alerts import SqlAlertRoutes
from smart_app.gateways.inbox_sessions import SqlSessions
from smart_app.gateways.tables import inbox_session, vault_case
from smart_app.inbox_ports import AlertRoute, Member, Passkey, PasskeyError, Route
from smart_app.pages import advocate
from smart_app.pages.advocate.session import COOKIE_NAME, InboxSessions
from smart_app.workflows import program_accounts, referral, release

BASE = "http://localhost:8100"
PHONE = "555-0142"
STAFF = "Canary-Staff-Ana"
PUBLIC = ("/", "/phones", "/sign-in", "/recover", "/join/none", "/nowhere")


class FakePasskeys:
    """A device whose answer is the name of its passkey."""

    def options_to_register(self, member_id: str, known: Any) -> tuple[str, bytes]:
        return "{}", b"c"

    def registered(self, answer: str, challenge: bytes, member_id: str) -> Passkey:
        return Passkey(member_id, self.credential_id_of(answer), b"key")

    def options_to_sign_in(self) -> tuple[str, bytes]:
        return "{}", b"c"

    def credential_id_of(self, answer: str) -> bytes:
        if not answer or answer == "forged":
            raise PasskeyError
        return answer.encode()

    def signed_in(self, answer: str, challenge: bytes, passkey: Passkey) -> int:
        return passkey.sign_count + 1


@dataclass
class Inbox:
    """The surface, its clock, and the accounts behind it."""

    app: Flask
    world: Any
    accounts: SqlAccounts
    routes: SqlAlertRoutes
    clock: list[datetime]
    said: list[str] = field(default_factory=list)

    def member(self, partner_id: str = "northside", *, is_admin: bool = True, name: str = STAFF) -> Member:
        """Somebody with two passkeys, named after themselves."""
        made = program_accounts.invite(self.accounts, partner_id, name, is_admin=is_admin, now=self.clock[0])
        member = program_accounts.join(self.accounts, made.token, made.code, self.clock[0])
        for number in (1, 2):
            passkey = Passkey(member.member_id, f"{member.member_id}-{number}".encode(), b"key")
            assert self.accounts.add_passkey(passkey, self.clock[0])
        program_accounts.finish(self.accounts, member, self.clock[0])
        return replace(member, is_ready=True)

    def browser(self) -> Browser:
        return Browser(self)

    def signed_in(self, member: Member | None = None, *, shared: bool = False) -> Browser:
        made, who = self.browser(), member or self.member()
        form = {"answer": f"{who.member_id}-1"} | ({"shared": "yes"} if shared else {})
        assert made.post("/sign-in", "/sign-in", **form).status_code == 303
        return made

    def tick(self, **passed: int) -> None:
        self.clock[0] += timedelta(**passed)


@dataclass
class Browser:
    """A person's browser: it sends the token of the page it is on."""

    inbox: Inbox

    def __post_init__(self) -> None:
        self.http = self.inbox.app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.http.get(path, base_url=BASE)

    def text(self, path: str) -> str:
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.get(path).get_data(as_text=True))).split())

    def post(self, path: str, page: str = "/items", **form: str) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).get_data(as_text=True))
        token = {"csrf_token": found.group(1)} if found else {}
        headers = {"Sec-Fetch-Site": "same-origin"}
        return self.http.post(path, data={**token, **form}, headers=headers, base_url=BASE)

    @property
    def cookie(self) -> str:
        found = self.http.get_cookie(COOKIE_NAME)
        return found.value if found else ""


@pytest.fixture
def inbox(world: Any) -> Inbox:
    """The pages as ``inbox_app`` puts them together, with a device that obeys and a clock that is turned by hand."""
    clock = [world.services.now()]
    app = Flask("smart_app")
    app.config.update(SECRET_KEY="test", WTF_CSRF_SSL_STRICT=False, PROPAGATE_EXCEPTIONS=False)
    CSRFProtect(app)
    services = replace(world.services, public_base_url=BASE, now=lambda: clock[0])
    guards.install(app, services=services, settings=cast("Any", None), partner_tokens=cast("Any", None))
    accounts, routes = SqlAccounts(world.engine, world.cipher), SqlAlertRoutes(world.engine, world.cipher)
    said: list[str] = []
    ports = advocate.Inbox(
        accounts=accounts,
        passkeys=FakePasskeys(),
        routes=routes,
        facts=routes,
        has_mail=True,
        audit=lambda name, member: said.append(name),
    )
    store = SqlSessions(world.engine, world.cipher)
    advocate.register(app, ports, store)
    app.session_interface = InboxSessions(store, clock=lambda: clock[0].timestamp())
    return Inbox(app, world, accounts, routes, clock, said)


@pytest.fixture
def live(inbox: Inbox) -> Inbox:
    """Northside takes items: its route was tested."""
    inbox.routes.choose("northside", AlertRoute(Route.PHONE))
    assert inbox.routes.test_opened("northside")
    return inbox


@pytest.fixture
def refer(live: Inbox, clinician: Callable[..., Any]) -> Callable[..., str]:
    """A clinician sends a referral to Northside's inbox; returns the case id."""

    def send(**changes: Any) -> str:
        made: dict[str, Any] = {"partner_id": "northside", "meet": "safe-contact", "phone": PHONE, "alias": "Robin"}
        form = referral.ReferralForm(**{**made, "signed": "paper", "release_days": 60, **changes})
        return referral.send(live.world.services, clinician(), form, live.clock[0]).case_id

    return send


def path_of(rule: Any) -> str:
    """An address that fits the rule, with ids that nobody has."""
    values = {name: 1 if name == "number" else str(uuid.uuid4()) for name in rule.arguments}
    return str(rule.build(values, append_unknown=False)[1])


def opened(browser: Browser, case_id: str) -> str:
    assert browser.post(f"/items/{case_id}/open").status_code == 303
    return browser.text(f"/items/{case_id}")


def enter_release(browser: Browser, case_id: str, tier: str, **changes: str) -> TestResponse:
    page = f"/items/{case_id}"
    form = {"tier": tier, "days": "30", "signer": "self", "signed": "yes", "once": str(uuid.uuid4()), **changes}
    return browser.post(f"{page}/release", page, **form)


def offered(browser: Browser, case_id: str) -> list[str]:
    return re.findall(r'name="move" value="([^"]+)"', browser.get(f"/items/{case_id}").get_data(as_text=True))


def tell(browser: Browser, case_id: str, move: str, **more: str) -> TestResponse:
    page = f"/items/{case_id}"
    found = re.search(r'name="etag" value="([^"]+)"', browser.get(page).get_data(as_text=True))
    return browser.post(f"{page}/move", page, move=move, etag=unescape(found.group(1)) if found else "", **more)


# -- getting in ------------------------------------------------------------------------------------------------------


def test_a_person_joins_with_a_code_said_by_voice_and_two_passkeys(inbox: Inbox) -> None:
    """The address alone does not open an account; with the code, two devices and the recovery codes seen, it does."""
    made = program_accounts.invite(inbox.accounts, "northside", STAFF, is_admin=True, now=inbox.clock[0])
    browser = inbox.browser()
    page = f"/join/{made.token}"
    assert browser.post(page, page, code="000000" if made.code != "000000" else "1").status_code == 403
    assert browser.post(page, page, code=f"{made.code[:3]} {made.code[3:]}").status_code == 303
    assert browser.get("/items").status_code == 404
    assert browser.post("/passkeys/codes", "/passkeys").status_code == 403
    assert browser.post("/passkeys", "/passkeys", answer="phone").status_code == 303
    assert browser.post("/passkeys/codes", "/passkeys").status_code == 403, "one passkey is not enough"
    assert browser.post("/passkeys", "/passkeys", answer="phone").status_code == 403, "the same device twice"
    assert browser.post("/passkeys", "/passkeys", answer="key").status_code == 303
    assert browser.post("/passkeys/codes", "/passkeys").get_data(as_text=True).count("<code>") == 8
    assert browser.get("/items").status_code == 200
    assert inbox.browser().post(page, page, code=made.code).status_code == 403, "an invitation works once"


def test_the_cookie_from_before_the_sign_in_is_worth_nothing_after_it(inbox: Inbox) -> None:
    """Whoever planted or saw a cookie before somebody signed in does not get in with it."""
    browser, who = inbox.browser(), inbox.member()
    browser.get("/sign-in")
    before = browser.cookie
    browser.post("/sign-in", "/sign-in", answer=f"{who.member_id}-1")
    assert browser.cookie not in ("", before)
    thief = inbox.browser()
    thief.http.set_cookie(COOKIE_NAME, before, domain="localhost")
    assert thief.get("/items").status_code == 404


@pytest.mark.parametrize("answer", ["", "forged", "unknown-passkey"])
def test_a_passkey_that_is_not_known_opens_nothing(inbox: Inbox, answer: str) -> None:
    """A wrong or unknown passkey gets one answer, and nothing behind it."""
    inbox.member()
    browser = inbox.browser()
    refused = browser.post("/sign-in", "/sign-in", answer=answer)
    assert refused.status_code == 403
    assert "That did not work. Try again." in refused.get_data(as_text=True)
    assert browser.get("/items").status_code == 404


def test_an_answer_to_no_question_of_ours_opens_nothing(inbox: Inbox) -> None:
    """An answer that was overheard elsewhere does not count here: this browser was asked nothing."""
    who, browser = inbox.member(), inbox.browser()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/sign-in").get_data(as_text=True))
    assert token is not None
    form = {"csrf_token": token.group(1), "answer": "forged"}
    send = lambda: browser.http.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"}, base_url=BASE)  # noqa: E731
    with browser.http.session_transaction(base_url=BASE) as kept:
        kept.pop("challenge")
    form["answer"] = f"{who.member_id}-1"
    assert send().status_code == 403


@pytest.mark.rule("R19")
def test_rule_R19_who_is_removed_is_out_with_the_next_click(inbox: Inbox) -> None:
    """Somebody who left the program sees nothing more from the admin's click on, in a browser that is signed in too.

    Break: in ``0004_inbox`` leave out ``of_member()`` of ``inbox_session``, and in ``guard.require_person`` take
    the session's word that the member is there.
    """
    admin, other = inbox.member(), inbox.member(is_admin=False, name="Ben")
    theirs, desk = inbox.signed_in(other), inbox.signed_in(admin)
    assert theirs.get("/items").status_code == 200
    assert desk.post(f"/team/{other.member_id}/remove", "/team").status_code == 303
    assert theirs.get("/items").status_code == 404
    again = inbox.browser()
    assert again.post("/sign-in", "/sign-in", answer=f"{other.member_id}-1").status_code == 403
    assert "inbox-removed" in inbox.said


def test_the_last_admin_cannot_be_removed_and_others_cannot_remove(inbox: Inbox) -> None:
    """A program is never left without somebody who can let people in; only an admin lets people in or out."""
    admin, other = inbox.member(), inbox.member(is_admin=False, name="Ben")
    stranger = inbox.member("harbor", name="Cleo")
    desk = inbox.signed_in(admin)
    assert desk.post(f"/team/{admin.member_id}/remove", "/team").status_code == 403
    assert desk.post(f"/team/{stranger.member_id}/remove", "/team").status_code == 404
    assert inbox.signed_in(other).get("/team").status_code == 404
    assert {one.member_id for one in inbox.accounts.members("northside")} == {admin.member_id, other.member_id}


@pytest.mark.rule("R28")
@pytest.mark.parametrize(
    ("shared", "minutes", "status"), [(True, 3, 200), (True, 5, 404), (False, 9, 200), (False, 11, 404)]
)
def test_rule_R28_an_idle_session_ends(inbox: Inbox, shared: bool, minutes: int, status: int) -> None:
    """A shared computer is signed out after four minutes without a click, one's own after ten.

    Break: drop the idle check in ``SqlSessions.read``.
    """
    browser = inbox.signed_in(shared=shared)
    inbox.tick(minutes=minutes)
    assert browser.get("/items").status_code == status


def test_no_session_lives_longer_than_a_day_of_work(inbox: Inbox) -> None:
    """However busy somebody is: after twelve hours they show their passkey again."""
    browser = inbox.signed_in()
    for _ in range(12 * 7):
        inbox.tick(minutes=9)
        last = browser.get("/items").status_code
    assert last == 404


def test_leaving_ends_the_session_on_the_server(inbox: Inbox) -> None:
    """Hide ends it here, not only in the browser: the cookie taken from the disk opens nothing."""
    browser = inbox.signed_in()
    kept = browser.cookie
    assert browser.post("/leave").status_code == 303
    browser.http.set_cookie(COOKIE_NAME, kept, domain="localhost")
    assert browser.get("/items").status_code == 404
    with inbox.world.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(inbox_session)).scalar_one() == 0


@pytest.mark.rule("attack 11")
def test_attack_11_no_form_of_the_inbox_is_taken_without_its_token_or_from_elsewhere(inbox: Inbox) -> None:
    """A page somewhere else cannot make an advocate's browser send a form. Break: exempt a blueprint from the check."""
    browser, checked = inbox.signed_in(), 0
    for rule in inbox.app.url_map.iter_rules():
        if "POST" not in (rule.methods or set()):
            continue
        path = path_of(rule)
        for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            answer = browser.http.post(path, data={}, headers=headers, base_url=BASE)
            assert answer.status_code == 403, (path, headers)
            checked += 1
    assert checked >= 3 * 12
    assert browser.get("/items").status_code == 200


@pytest.mark.rule("R23")
def test_each_page_of_the_inbox_needs_a_signed_in_person(inbox: Inbox) -> None:
    """Whoever types an address finds nothing but the way in, and the phone list."""
    stranger, found = inbox.browser(), []
    for rule in inbox.app.url_map.iter_rules():
        if "GET" not in (rule.methods or set()) or rule.endpoint == "static":
            continue
        path = path_of(rule)
        if stranger.get(path).status_code != 404:
            found.append(rule.rule)
    assert sorted(found) == ["/", "/join/<token>", "/phones", "/recover", "/sign-in"]


@pytest.mark.rule("R27")
@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("language", ["en", "es"])
def test_rule_R27_what_a_stranger_sees_of_the_inbox_is_neutral(inbox: Inbox, path: str, language: str) -> None:
    """No page that opens without signing in, in either language, says what this is for. Break: name it in base.html."""
    answer = inbox.app.test_client().get(path, headers={"Accept-Language": language})
    assert telling(answer.get_data(as_text=True)) == []
    assert telling(str(answer.headers)) == []


def test_the_language_is_chosen_before_signing_in_and_leads_back_here(inbox: Inbox) -> None:
    """Somebody who reads Spanish at an English computer switches on the first page; no other address is followed."""
    browser = inbox.browser()
    answer = browser.post("/language", "/sign-in", language="es", back="/sign-in")
    assert answer.headers["Location"] == "/sign-in"
    assert "Usar mi llave de acceso" in browser.text("/sign-in")
    for elsewhere in ("https://evil.example", "//evil.example", "/sign-in\r\nX: 1", "/leave"):
        assert browser.post("/language", "/sign-in", language="en", back=elsewhere).headers["Location"] == "/"


def test_nobodys_name_stands_in_the_tables(inbox: Inbox) -> None:
    """Whoever gets the disk reads neither the staff's names nor the address of their desk."""
    inbox.signed_in()
    inbox.routes.choose("northside", AlertRoute(Route.EMAIL, address="canary-desk@northside.example"))
    on_disk = inbox.world.bytes_on_disk()
    assert b"Canary-Staff" not in on_disk
    assert b"canary-desk" not in on_disk
    assert inbox.routes.of("northside").address == "canary-desk@northside.example"


# -- items -----------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_of_an_item_before_a_person_opens_it(inbox: Inbox, refer: Callable[..., str]) -> None:
    """The list says that something came and when; a link alone opens nothing."""
    case_id, browser = refer(), inbox.signed_in()
    listed = browser.get("/items").get_data(as_text=True)
    assert case_id in listed
    assert "Robin" not in listed
    assert browser.get(f"/items/{case_id}").status_code == 404
    assert PHONE in opened(browser, case_id)
    assert "Robin" in browser.get("/items").get_data(as_text=True)


def test_the_clinician_sees_when_a_person_opened_it_and_nothing_else(
    inbox: Inbox, refer: Callable[..., str], clinician: Callable[..., Any]
) -> None:
    """ "Opened by a person at HH:MM" is a fact of ours without content; the first time counts; closing empties it."""
    case_id, browser, door = refer(), inbox.signed_in(), inbox.world.door
    see = lambda: referral.status_of(door, clinician(), case_id, inbox.clock[0])  # noqa: E731
    assert see().state_words == "In their inbox. Nobody has opened it yet"
    assert see().needs_call, "they are told by phone"
    inbox.tick(minutes=5)
    opened(browser, case_id)
    inbox.tick(minutes=5)
    opened(browser, case_id)
    assert see().state_words == "Opened by a person at 09:05"
    assert not see().is_released
    with inbox.world.door.open_for(clinician(), inbox.clock[0]) as work:
        work.close_case(case_id)
    with inbox.world.engine.begin() as connection:
        assert connection.execute(select(vault_case.c.opened_at)).scalars().all() == [None]


def test_a_program_whose_setting_says_so_does_not_tell_when_it_was_opened(
    inbox: Inbox, refer: Callable[..., str], clinician: Callable[..., Any]
) -> None:
    """Counsel may decide that even this is not told; then the clinician reads that it is in their inbox."""
    case_id, browser = refer(), inbox.signed_in()
    northside = inbox.world.directory.partner("northside")
    inbox.world.directory.add_partner(replace(northside, tells_opened=False))
    assert PHONE in opened(browser, case_id)
    status = referral.status_of(inbox.world.door, clinician(), case_id, inbox.clock[0])
    assert "Opened" not in status.state_words


@pytest.mark.rule("R19")
def test_rule_R19_another_programs_item_is_not_there(inbox: Inbox, refer: Callable[..., str]) -> None:
    """Harbor's people find nothing of what went to Northside, by no button either. Two guards hold it. Break
    both: drop ``is_partner`` from ``links._of_partner``, and the recipient from ``consent.covers``."""
    case_id, theirs, stranger = refer(), inbox.signed_in(), inbox.signed_in(inbox.member("harbor", name="Cleo"))
    opened(theirs, case_id)
    assert case_id not in stranger.get("/items").get_data(as_text=True)
    before = inbox.world.totals()
    for path in (f"/items/{case_id}/open", f"/items/{case_id}/move", f"/items/{case_id}/release"):
        assert stranger.post(path).status_code == 404
    assert stranger.get(f"/items/{case_id}").status_code == 404
    assert inbox.world.totals() == before


@pytest.mark.rule("R19")
def test_rule_R19_a_suspended_agreement_closes_the_inbox_at_once(inbox: Inbox, refer: Callable[..., str]) -> None:
    """From the suspension on the next click shows the clinic's phone and nothing else.

    Break: leave ``is_current`` out of ``guard.require_advocate``.
    """
    case_id, browser = refer(), inbox.signed_in()
    opened(browser, case_id)
    inbox.world.directory.set_suspended("northside", True)
    refused = browser.get(f"/items/{case_id}")
    assert refused.status_code == 403
    assert "Robin" not in refused.get_data(as_text=True)
    assert "555-0123" in refused.get_data(as_text=True)


@pytest.mark.rule("R11")
def test_rule_R11_what_was_taken_back_is_gone_with_the_next_click(
    inbox: Inbox, refer: Callable[..., str], clinician: Callable[..., Any]
) -> None:
    """The patient takes it back by voice: the program can no longer read it; who had opened it is told by phone.

    Break: count every Consent as active in ``consent.covers``.
    """
    case_id, unopened, browser = refer(), refer(alias="Wren"), inbox.signed_in()
    opened(browser, case_id)
    for one in (case_id, unopened):
        release.withdraw(inbox.world.door, clinician(), one, inbox.clock[0])
    assert browser.get(f"/items/{case_id}").status_code == 404
    listed = browser.get("/items").get_data(as_text=True)
    assert case_id not in listed
    assert unopened not in listed
    told = [referral.status_of(inbox.world.door, clinician(), one, inbox.clock[0]) for one in (case_id, unopened)]
    assert [one.needs_call for one in told] == [True, False]


@pytest.mark.rule("R14")
def test_rule_R14_the_number_is_gone_after_its_last_day(inbox: Inbox, refer: Callable[..., str]) -> None:
    """A safe number ends after thirty days, while the release still runs. Break: show ``contact`` whatever its end."""
    case_id = refer(release_days=35)
    opened(inbox.signed_in(), case_id)
    inbox.tick(days=31)
    page = inbox.signed_in().text(f"/items/{case_id}")
    assert PHONE not in page
    assert "The contact has ended. Call the clinic." in page
    inbox.tick(days=5)
    assert inbox.signed_in().get(f"/items/{case_id}").status_code == 404, "and with the release all of it is"


@pytest.mark.rule("R20")
def test_rule_R20_without_a_release_no_button_tells_anything_and_a_forged_one_is_not_stored(
    inbox: Inbox, refer: Callable[..., str], clinician: Callable[..., Any]
) -> None:
    """Under tier none the page offers no answer; a form made by hand changes nothing. Break: let
    ``may_write_status`` answer yes in ``task_states.moves_of_target`` for ``Tier.NONE``, and drop its first line."""
    case_id, browser = refer(), inbox.signed_in()
    opened(browser, case_id)
    assert offered(browser, case_id) == []
    before = inbox.world.totals()
    for move in ("status|accepted", "contact|contact-made", "status|rejected", "status|nonsense"):
        assert tell(browser, case_id, move).status_code == 409
    assert inbox.world.totals() == before
    status = referral.status_of(inbox.world.door, clinician(), case_id, inbox.clock[0])
    assert status.state == "opened"


@pytest.mark.rule("R20")
@pytest.mark.parametrize("tier", ["contact", "outcome"])
def test_rule_R20_each_button_that_is_shown_works(inbox: Inbox, refer: Callable[..., str], tier: str) -> None:
    """No button answers "not allowed": each one that a new item shows is taken by the same door as a system's.

    Break: let ``moved`` keep the old ``statusReason``, or send another ETag from ``item.html``.
    """
    browser = inbox.signed_in()
    pressed, case_id = 0, refer()
    opened(browser, case_id)
    assert enter_release(browser, case_id, tier).status_code == 303
    for name in offered(browser, case_id):
        fresh = refer()
        opened(browser, fresh)
        enter_release(browser, fresh, tier)
        assert tell(browser, fresh, name, reason="language").status_code == 303, name
        for second in offered(browser, fresh):
            assert tell(browser, fresh, second, reason="unable").status_code == 303, (name, second)
            pressed += 1
            break
    assert pressed >= 2


@pytest.mark.rule("R20")
def test_rule_R20_under_a_release_the_answer_reaches_the_clinician_in_our_words(
    inbox: Inbox, refer: Callable[..., str], clinician: Callable[..., Any]
) -> None:
    """A program that may say no says so with a reason from the list, nothing about the person."""
    case_id, browser = refer(), inbox.signed_in()
    opened(browser, case_id)
    enter_release(browser, case_id, "contact")
    assert tell(browser, case_id, "status|rejected", reason="outside-area").status_code == 303
    status = referral.status_of(inbox.world.door, clinician(), case_id, inbox.clock[0])
    assert (status.state, status.is_released) == ("rejected", True)


@pytest.mark.rule("R10")
@pytest.mark.parametrize("changes", [{"signed": ""}, {"signer": "partner"}, {"tier": "everything"}, {"days": "91"}])
def test_rule_R10_a_release_that_lacks_something_is_not_entered(
    inbox: Inbox, refer: Callable[..., str], changes: dict[str, str]
) -> None:
    """Unsigned, signed by somebody else, too long or for nothing: the page says what is missing and stores nothing."""
    case_id, browser = refer(), inbox.signed_in()
    opened(browser, case_id)
    before = inbox.world.stored("Consent")
    tier = changes.pop("tier", "contact")
    assert enter_release(browser, case_id, tier, **changes).status_code == 422
    assert inbox.world.stored("Consent") == before
    assert offered(browser, case_id) == []


def test_an_answer_to_what_was_changed_meanwhile_is_not_taken(inbox: Inbox, refer: Callable[..., str]) -> None:
    """Two colleagues at one item: the second sees what the first said before answering."""
    case_id, browser = refer(), inbox.signed_in()
    opened(browser, case_id)
    enter_release(browser, case_id, "contact")
    page = f"/items/{case_id}"
    answer = browser.post(f"{page}/move", page, move="status|accepted", etag='W/"old"')
    assert answer.status_code == 412
    assert "This was changed meanwhile" in answer.get_data(as_text=True)


# -- the desk --------------------------------------------------------------------------------------------------------


def test_a_program_goes_live_only_when_a_person_opened_the_test_item(
    inbox: Inbox, clinician: Callable[..., Any]
) -> None:
    """Chosen is not tested: until somebody opened the test item, the clinician is told to call. Another route starts
    again. Break: set ``inbox_alert`` in ``choose``."""
    admin = inbox.member()
    browser = inbox.signed_in(admin)
    is_live = lambda: inbox.world.directory.partner("northside").inbox_alert  # noqa: E731
    assert browser.post("/items/test").status_code == 404
    assert browser.post("/desk/route", "/desk", route="phone").status_code == 303
    assert is_live() is None
    form = referral.ReferralForm("northside", "survivor-calls", "Robin", signed="paper")
    with pytest.raises(Exception, match="takes referrals by phone"):
        referral.send(inbox.world.services, clinician(), form, inbox.clock[0])
    assert browser.post("/items/test").status_code == 303
    assert is_live() == "phone"
    assert browser.post("/desk/route", "/desk", route="email", address="desk@northside.example").status_code == 303
    assert is_live() is None
    assert browser.post("/items/test").status_code == 404, "the mail has not gone yet"
    assert inbox.signed_in(inbox.member(is_admin=False, name="Ben")).post("/desk/route", "/desk").status_code == 404


def test_full_today_is_a_fact_of_today(inbox: Inbox) -> None:
    """Said once it holds for the clinic's day and is over by itself the next; hours switch at once."""
    browser, directory = inbox.signed_in(), inbox.world.directory
    browser.post("/desk/full", full="yes")
    assert directory.partner("northside").full_on == inbox.clock[0].date()
    assert "The clinic sees: full today" in browser.text("/items")
    browser.post("/desk/answering", "/desk", answering="no")
    assert not directory.partner("northside").is_answering
    inbox.tick(days=1)
    assert "The clinic sees: full today" not in inbox.signed_in().text("/items")


# -- a visit asked for -----------------------------------------------------------------------------------------------


ASKED = {
    "alias": "Marigold",
    "meet": "safe-contact",
    "phone": "555-0161",
    "voicemail": "none",
    "needs": "medical-visit",
    "signed": "yes",
    "signer": "self",
    "tells_time": "yes",
    "days": "30",
}


def test_a_request_by_the_form_is_a_referral_like_one_by_fhir(inbox: Inbox, scheduler: Any) -> None:
    """The form makes one case with release, request, Task and a proposed visit; the scheduler sees name and number;
    sent twice it is one."""
    from smart_app.workflows import scheduling

    browser, once = inbox.signed_in(), str(uuid.uuid4())
    for _ in range(2):
        assert browser.post("/ask", "/ask", once=once, **ASKED).status_code == 303
    items = scheduling.queue(inbox.world.door, scheduler, inbox.clock[0])
    assert [item.alias for item in items] == ["Marigold"]
    assert items[0].contact["telecom"]["value"] == "555-0161"
    assert inbox.world.facts() == {("inbound", "received"): 1}
    assert "Marigold" in browser.text("/items")


@pytest.mark.rule("R21")
@pytest.mark.parametrize(("answer", "is_told"), [("yes", True), ("no", False)])
def test_rule_R21_day_and_time_come_back_only_where_the_survivor_said_so(
    inbox: Inbox, scheduler: Any, answer: str, is_told: bool
) -> None:
    """ "May the clinic tell you day and time?" decides what the inbox shows once the visit is booked.

    Break: put release A into the bundle whatever was answered.
    """
    from smart_app.workflows import scheduling

    browser = inbox.signed_in()
    browser.post("/ask", "/ask", once=str(uuid.uuid4()), **{**ASKED, "tells_time": answer})
    item = scheduling.queue(inbox.world.door, scheduler, inbox.clock[0])[0]
    start = inbox.clock[0] + timedelta(days=1)
    services = inbox.world.services
    scheduling.book(
        services.door,
        services.ehr,
        scheduler,
        item.appointment_reference,
        start,
        start + timedelta(minutes=30),
        None,
        services.placement,
        inbox.clock[0],
    )
    shown = browser.text("/items")
    assert ("Visit booked: Wed 25 Nov, 09:00" in shown) is is_told
    assert ("Received by the clinic" in shown) is not is_told


@pytest.mark.rule("R16")
@pytest.mark.parametrize(
    "changes",
    [
        {"signed": ""},
        {"signer": ""},
        {"tells_time": ""},
        {"meet": ""},
        {"phone": ""},
        {"alias": ""},
        {"needs": "money"},
    ],
)
def test_rule_R16_a_form_that_lacks_something_is_said_and_not_kept(inbox: Inbox, changes: dict[str, str]) -> None:
    """Unsigned, unanswered or without a way to meet: nothing is kept, and what was typed is still on the page."""
    browser, before = inbox.signed_in(), inbox.world.totals()
    answer = browser.post("/ask", "/ask", once=str(uuid.uuid4()), **{**ASKED, **changes})
    assert answer.status_code == 422
    assert inbox.world.totals() == before
    assert ("Marigold" in answer.get_data(as_text=True)) is (changes != {"alias": ""})


def test_a_request_is_taken_back_by_one_button(inbox: Inbox, scheduler: Any) -> None:
    """They changed their mind: the scheduler sees it taken back, no reason is asked."""
    from smart_app.workflows import scheduling

    browser = inbox.signed_in()
    browser.post("/ask", "/ask", once=str(uuid.uuid4()), **ASKED)
    path = re.search(r'action="(/asked/[^"]+/back)"', browser.get("/items").get_data(as_text=True))
    assert path is not None
    assert browser.post(path.group(1)).status_code == 303
    assert "Taken back" in browser.text("/items")
    assert [item.is_cancelled for item in scheduling.queue(inbox.world.door, scheduler, inbox.clock[0])] in ([True], [])


def test_whoever_reads_is_named_in_the_audit_by_an_opaque_id(inbox: Inbox, refer: Callable[..., str]) -> None:
    """No shared log-in: each read says which person of the program it was, and under which release."""
    case_id, who = refer(), inbox.member()
    opened(inbox.signed_in(who), case_id)
    rows = [row for row in inbox.world.audit() if row.get("member")]
    assert {row["member"] for row in rows} == {who.member_id}
    assert any(row["action"] == "open-item" and row["is_disclosure"] and row["consents"] for row in rows)
