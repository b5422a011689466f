"""Who may sign in for a program: invited by its own admin, known by two passkeys or more, removed at once.

An invitation works once and for a day: its address may go by any way, its code is said by voice. A person sees nothing
before two passkeys are registered and the recovery codes were shown. Nobody here knows a password.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta

from smart_app.errors import InvalidError, LockedError, NothingToShowError
from smart_app.inbox_ports import Accounts, Invitation, Member, PasskeyError, Passkeys

INVITE_LASTS = timedelta(hours=24)
MOST_WRONG_CODES = 5
FEWEST_PASSKEYS = 2
RECOVERY_CODES = 8
LONGEST_NAME = 40
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 that nobody confuses on paper or by voice
NOT_NOW = "That did not work. Try again, or ask for a new invitation."
NOT_SIGNED_IN = "That did not work. Try again."


def invite(accounts: Accounts, partner_id: str, name: str, *, is_admin: bool, now: datetime) -> Invitation:
    """An invitation for one person. Raises ``InvalidError`` for a name that is no short line."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidError("Write a short name.")
    made = Invitation(secrets.token_urlsafe(32), f"{secrets.randbelow(10**6):06d}")
    invited = Member(str(uuid.uuid4()), partner_id, name, is_admin)
    accounts.add_invite(made, invited, expires_at=now + INVITE_LASTS, now=now)
    return made


def address_of(invitation: Invitation, public_base_url: str) -> str:
    """Where it opens."""
    return f"{public_base_url}/join/{invitation.token}"


def join(accounts: Accounts, token: str, code: str, now: datetime) -> Member:
    """The new member, who has still to register passkeys. Unknown, used, expired and wrong are one answer."""
    digits = "".join(character for character in code if character.isdigit())
    member = accounts.take_invite(Invitation(token, digits), now, most_wrong_codes=MOST_WRONG_CODES)
    if member is None:
        raise LockedError(NOT_NOW)
    return member


def register(
    accounts: Accounts, passkeys: Passkeys, member: Member, answer: str, challenge: bytes, now: datetime
) -> None:
    """One more passkey. Raises ``LockedError``."""
    try:
        made = passkeys.registered(answer, challenge, member.member_id)
    except PasskeyError:
        raise LockedError(NOT_SIGNED_IN) from None
    if not accounts.add_passkey(made, now):
        raise LockedError(NOT_SIGNED_IN)


def may_finish(accounts: Accounts, member: Member) -> bool:
    """Two or more passkeys: one lost device does not lock anybody out."""
    return len(accounts.passkeys(member.member_id)) >= FEWEST_PASSKEYS


def finish(accounts: Accounts, member: Member, now: datetime) -> tuple[str, ...]:
    """New recovery codes, shown once; from now on this person may see the inbox. Raises ``LockedError``."""
    if not may_finish(accounts, member):
        raise LockedError("Add a second passkey first.")
    codes = tuple(_recovery_code() for _ in range(RECOVERY_CODES))
    accounts.set_recovery_codes(member.member_id, codes, now)
    accounts.set_ready(member.member_id)
    return codes


def sign_in(accounts: Accounts, passkeys: Passkeys, answer: str, challenge: bytes) -> Member:
    """Whose passkey this is. Unknown passkey and wrong answer are one refusal (``LockedError``)."""
    try:
        known = accounts.passkey(passkeys.credential_id_of(answer))
        member = accounts.member(known.member_id) if known is not None else None
        if known is None or member is None:
            raise PasskeyError
        accounts.note_use(known.credential_id, passkeys.signed_in(answer, challenge, known))
    except PasskeyError:
        raise LockedError(NOT_SIGNED_IN) from None
    return member


def recover(accounts: Accounts, code: str) -> Member:
    """Whose recovery code this was; it opens the registration of new passkeys and nothing else."""
    letters = "".join(character for character in code.upper() if character in _LETTERS)
    member = accounts.take_recovery_code(letters)
    if member is None:
        raise LockedError(NOT_SIGNED_IN)
    return member


def drop_passkey(accounts: Accounts, member: Member, number: int) -> None:
    """One passkey less; two stay. Raises ``LockedError``."""
    if not accounts.drop_passkey(member.member_id, number, keep=FEWEST_PASSKEYS):
        raise LockedError("Two passkeys have to stay. Add another one first.")


def remove(accounts: Accounts, by: Member, member_id: str) -> None:
    """Gone with passkeys, codes and sessions, for every process with its next request. An admin removes colleagues,
    never the last admin."""
    people = accounts.members(by.partner_id)
    if not by.is_admin or member_id not in {one.member_id for one in people}:
        raise NothingToShowError(rule="R19")
    if not any(one.is_admin and one.is_ready and one.member_id != member_id for one in people):
        raise LockedError("Another admin has to be there first.")
    accounts.remove(member_id, by.partner_id)


def _recovery_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(20))
