"""The alert to a program's staff, over a real mail server: always the same mail, until it is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from smart_app.delivery.staff_alert import TELL_CLINIC_AFTER, StaffAlert
from smart_app.gateways.inbox_alerts import SqlAlertRoutes, note_due
from smart_app.gateways.mail import MailError, SmtpMail
from smart_app.gateways.tables import inbox_alert
from smart_app.inbox_ports import AlertRoute, Route, RouteTest
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.workflows import referral

DESK = "desk@northside.example"


@dataclass
class Mailbox:
    """What a mail server took: sender, recipients and bytes of each."""

    taken: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(mailbox: Mailbox, port: int) -> Iterator[Controller]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield controller
    controller.stop()


@dataclass
class Post:
    """The rows, the sender, and how often the clinic was told."""

    routes: SqlAlertRoutes
    alert: StaffAlert
    told: list[str]


@pytest.fixture
def post(world: Any, port: int) -> Post:
    routes, told = SqlAlertRoutes(world.engine, world.cipher), []
    mail = SmtpMail("127.0.0.1", port, "none", "office@example.org")
    alert = StaffAlert(
        routes, lambda address: mail.send(address, datetime.now(UTC)), tell_clinic=lambda: told.append("told")
    )
    return Post(routes, alert, told)


def go_live(post: Post) -> None:
    post.routes.choose("northside", AlertRoute(Route.EMAIL, address=DESK))
    assert post.alert.run_once() == 1
    assert post.routes.test_opened("northside")


def make_due(world: Any) -> None:
    with world.engine.begin() as connection:
        assert note_due(connection, "hc1", "northside") == "email"


def test_the_test_item_waits_until_the_mail_server_has_the_mail(server: Controller, post: Post) -> None:
    """Nobody can open a test item whose mail never left: the route is tested, not only chosen."""
    post.routes.choose("northside", AlertRoute(Route.EMAIL, address=DESK))
    assert post.routes.of("northside").test is RouteTest.WAITING
    assert not post.routes.test_opened("northside")
    post.alert.run_once()
    assert post.routes.of("northside").test is RouteTest.SENT


@pytest.mark.rule("attack 13")
def test_attack_13_every_alert_is_the_same_mail(
    server: Controller, post: Post, mailbox: Mailbox, world: Any, clinician: Any
) -> None:
    """Test, one item or three: same sender, subject, size and words; a mailbox that others read tells nothing.

    Break: put a count or the program's name into ``BODY``.
    """
    go_live(post)
    for many in (1, 3):
        for number in range(many):
            form = referral.ReferralForm("northside", "survivor-calls", f"Robin{number}", signed="paper")
            referral.send(world.services, clinician(), form, world.services.now())
        assert post.alert.run_once() == 1, "one alert for all that waits"
    assert len(mailbox.taken) == 3
    messages = [message_from_bytes(one.content) for one in mailbox.taken]
    assert {one["Subject"] for one in messages} == {"You have an item"}
    assert {one["From"] for one in messages} == {"office@example.org"}
    assert {one.mail_from for one in mailbox.taken} == {"office@example.org"}
    assert {tuple(one.rcpt_tos) for one in mailbox.taken} == {(DESK,)}
    assert len({len(one.content) for one in mailbox.taken}) == 1
    assert {one.get_payload() for one in messages} == {"You have an item.\r\nTiene un mensaje.\r\n"}
    assert not any(b"Robin" in one.content or b"Northside" in one.content for one in mailbox.taken)


def test_a_mail_server_that_is_down_is_asked_again_and_a_person_is_told(post: Post, world: Any) -> None:
    """The alert is not lost while the mail server is down; after some tries somebody at the clinic is told, once."""
    post.routes.choose("northside", AlertRoute(Route.EMAIL, address=DESK))
    for _ in range(TELL_CLINIC_AFTER + 2):
        assert post.alert.run_once() == 0
        with world.engine.begin() as connection:  # its time has come again
            connection.execute(inbox_alert.update().values(due_at=0.0))
    assert post.told == ["told"]
    assert post.routes.of("northside").test is RouteTest.WAITING


def test_what_comes_while_a_mail_is_on_its_way_is_told_by_another(
    server: Controller, post: Post, mailbox: Mailbox, world: Any
) -> None:
    """An item that arrives between the mail and its "taken" is not forgotten."""
    go_live(post)
    make_due(world)
    claimed = post.routes.claim(lease_seconds=60)
    assert post.routes.claim(lease_seconds=60) == [], "each alert has one worker"
    make_due(world)
    post.routes.sent(claimed[0])
    assert post.alert.run_once() == 1
    assert post.alert.run_once() == 0


def test_no_mail_goes_in_the_clear_unless_the_server_is_here(server: Controller, port: int) -> None:
    """With starttls a server that offers none gets nothing."""
    mail = SmtpMail("127.0.0.1", port, "starttls", "office@example.org")
    with pytest.raises(MailError):
        mail.send(DESK, datetime.now(UTC))


def test_a_phone_route_sends_no_mail(server: Controller, post: Post, mailbox: Mailbox, world: Any) -> None:
    """Where the clinic phones, nothing is mailed: the clinician reads that they have to call."""
    post.routes.choose("northside", AlertRoute(Route.PHONE))
    assert post.routes.test_opened("northside")
    northside = world.directory.partner("northside")
    assert northside is not None
    assert northside.inbox_alert == "phone"
    asks = Requester(Role.CLINICIAN, "Practitioner/dr-lee", Purpose.TREAT, patient_id="p-dana", encounter_id="e-1")
    asks = replace(asks, registration_id="a", launch_id="l-1", site_role="physician")
    form = referral.ReferralForm("northside", "survivor-calls", "Robin", signed="paper")
    case_id = referral.send(world.services, asks, form, world.services.now()).case_id
    assert post.alert.run_once() == 0
    assert mailbox.taken == []
    assert "You have an item." in referral.status_of(world.door, asks, case_id, world.services.now()).next_step
