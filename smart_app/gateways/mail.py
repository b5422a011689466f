"""The only mail that leaves: "You have an item", to a program's own desk, in the same bytes for everything there is.

No transport to a patient exists anywhere in this app (R15).
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from secrets import token_hex

SUBJECT = "You have an item"
BODY = "You have an item.\nTiene un mensaje.\n"
TIMEOUT_SECONDS = 20


class MailError(Exception):
    """The server did not take it now; nobody is told what it said."""


@dataclass(frozen=True)
class SmtpMail:
    """One mail server. ``security``: "starttls", "tls" or "none"."""

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def send(self, address: str, now: datetime) -> None:
        """To one address. Raises ``MailError``."""
        try:
            with self._connected() as server:
                if self.user is not None and self.password is not None:
                    server.login(self.user, self.password)
                server.send_message(self._message(address, now), self.sender, [address])
        except (OSError, smtplib.SMTPException):
            raise MailError from None

    def _message(self, address: str, now: datetime) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = address
        message["Subject"] = SUBJECT
        message["Date"] = format_datetime(now.astimezone(UTC))
        message["Message-ID"] = f"<{token_hex(16)}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(BODY, charset="us-ascii")
        return message

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
        if self.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server
