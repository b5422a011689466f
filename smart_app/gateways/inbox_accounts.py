"""Accounts of the programs' people, as rows. A token, a code and a credential id are found by keyed digest: whoever has
the tables alone cannot use one, and none of them can be guessed from its digest without our key.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.engine import insert_ignoring
from smart_app.gateways.tables import inbox_invite, inbox_member, inbox_passkey, inbox_recovery_code
from smart_app.inbox_ports import Invitation, Member, Passkey


class SqlAccounts:
    """Implements ``inbox_ports.Accounts``."""

    def __init__(self, engine: Engine, cipher: MasterCipher) -> None:
        self._engine = engine
        self._reading = engine.execution_options(is_read_only="once")
        self._cipher = cipher
        self._tenant_id = cipher.tenant_id

    # -- invitations ---------------------------------------------------------------------------------------------

    def add_invite(self, invitation: Invitation, invited: Member, *, expires_at: datetime, now: datetime) -> None:
        """One row, in place of what has expired."""
        row = {
            "tenant_id": self._tenant_id,
            "invite_index": self._index("inbox-invite", invitation.token),
            "partner_id": invited.partner_id,
            "month": f"{now:%Y-%m}",
            "is_admin": invited.is_admin,
            "code_index": self._index("inbox-code", invitation.token, invitation.code),
            "wrong_codes": 0,
            "expires_at": int(expires_at.timestamp()),
            "sealed": self._sealed({"member": invited.member_id, "name": invited.name}, "invite"),
        }
        with self._engine.begin() as connection:
            connection.execute(
                delete(inbox_invite).where(
                    inbox_invite.c.tenant_id == self._tenant_id, inbox_invite.c.expires_at <= now.timestamp()
                )
            )
            connection.execute(inbox_invite.insert().values(**row))

    def take_invite(self, invitation: Invitation, now: datetime, *, most_wrong_codes: int) -> Member | None:
        """The new member; None for anything that is not exactly this invitation, now."""
        where = (
            inbox_invite.c.tenant_id == self._tenant_id,
            inbox_invite.c.invite_index == self._index("inbox-invite", invitation.token),
        )
        with self._engine.begin() as connection:
            row = connection.execute(select(inbox_invite).where(*where).with_for_update()).one_or_none()
            if row is None or row.expires_at <= now.timestamp():
                return None
            expected = self._index("inbox-code", invitation.token, invitation.code)
            is_right = hmac.compare_digest(bytes(row.code_index), expected)
            if not is_right and row.wrong_codes + 1 < most_wrong_codes:
                connection.execute(update(inbox_invite).where(*where).values(wrong_codes=row.wrong_codes + 1))
                return None
            connection.execute(delete(inbox_invite).where(*where))
            return self._new_member(connection, row, now) if is_right else None

    def _new_member(self, connection: Connection, invite: Any, now: datetime) -> Member:
        who = self._opened(invite.sealed, "invite")
        member = Member(who["member"], invite.partner_id, who["name"], invite.is_admin)
        connection.execute(
            inbox_member.insert().values(
                tenant_id=self._tenant_id,
                member_id=member.member_id,
                partner_id=member.partner_id,
                month=f"{now:%Y-%m}",
                is_admin=member.is_admin,
                is_ready=False,
                sealed=self._sealed({"name": member.name}, f"member|{member.member_id}"),
            )
        )
        return member

    # -- members -------------------------------------------------------------------------------------------------

    def member(self, member_id: str) -> Member | None:
        """One person."""
        return next(iter(self._members(inbox_member.c.member_id == member_id)), None)

    def members(self, partner_id: str) -> list[Member]:
        """All people of one program, by name."""
        return sorted(self._members(inbox_member.c.partner_id == partner_id), key=lambda one: one.name.casefold())

    def set_ready(self, member_id: str) -> None:
        """From now on this person may see the inbox."""
        with self._engine.begin() as connection:
            connection.execute(update(inbox_member).where(*self._of(inbox_member, member_id)).values(is_ready=True))

    def remove(self, member_id: str, partner_id: str) -> bool:
        """One row; passkeys, codes and sessions go with it (``ON DELETE CASCADE``)."""
        statement = delete(inbox_member).where(
            *self._of(inbox_member, member_id), inbox_member.c.partner_id == partner_id
        )
        with self._engine.begin() as connection:
            return bool(connection.execute(statement).rowcount == 1)

    def _members(self, *where: Any) -> list[Member]:
        statement = select(inbox_member).where(inbox_member.c.tenant_id == self._tenant_id, *where)
        with self._reading.begin() as connection:
            rows = connection.execute(statement).all()
        return [
            Member(
                row.member_id,
                row.partner_id,
                self._opened(row.sealed, f"member|{row.member_id}")["name"],
                bool(row.is_admin),
                bool(row.is_ready),
            )
            for row in rows
        ]

    # -- passkeys ------------------------------------------------------------------------------------------------

    def add_passkey(self, passkey: Passkey, now: datetime) -> bool:
        """One more for this person."""
        index = self._index("inbox-passkey", passkey.credential_id.hex())
        content = {"id": passkey.credential_id.hex(), "key": passkey.public_key.hex(), "at": now.timestamp()}
        row = {
            "tenant_id": self._tenant_id,
            "credential_index": index,
            "member_id": passkey.member_id,
            "month": f"{now:%Y-%m}",
            "sign_count": passkey.sign_count,
            "sealed": self._sealed(content, f"passkey|{index.hex()}"),
        }
        with self._engine.begin() as connection:
            return insert_ignoring(connection, inbox_passkey, [row]) == 1

    def passkey(self, credential_id: bytes) -> Passkey | None:
        """One passkey, whosever it is."""
        index = self._index("inbox-passkey", credential_id.hex())
        return next(iter(self._passkeys(inbox_passkey.c.credential_index == index)), None)

    def passkeys(self, member_id: str) -> list[Passkey]:
        """One person's, oldest first."""
        return self._passkeys(inbox_passkey.c.member_id == member_id)

    def note_use(self, credential_id: bytes, sign_count: int) -> None:
        """The authenticator's own count, by which a copy shows."""
        index = self._index("inbox-passkey", credential_id.hex())
        statement = update(inbox_passkey).where(
            inbox_passkey.c.tenant_id == self._tenant_id, inbox_passkey.c.credential_index == index
        )
        with self._engine.begin() as connection:
            connection.execute(statement.values(sign_count=sign_count))

    def drop_passkey(self, member_id: str, number: int, *, keep: int) -> bool:
        """The member's row is locked meanwhile: two windows cannot drop the last two together."""
        with self._engine.begin() as connection:
            connection.execute(
                select(inbox_member.c.member_id).where(*self._of(inbox_member, member_id)).with_for_update()
            )
            rows = connection.execute(select(inbox_passkey).where(*self._of(inbox_passkey, member_id))).all()
            found = {one.number: one for one in self._numbered(rows)}
            if number not in found or len(found) <= keep:
                return False
            index = self._index("inbox-passkey", found[number].credential_id.hex())
            connection.execute(
                delete(inbox_passkey).where(
                    *self._of(inbox_passkey, member_id), inbox_passkey.c.credential_index == index
                )
            )
            return True

    def _passkeys(self, *where: Any) -> list[Passkey]:
        statement = select(inbox_passkey).where(inbox_passkey.c.tenant_id == self._tenant_id, *where)
        with self._reading.begin() as connection:
            return self._numbered(connection.execute(statement).all())

    def _numbered(self, rows: Sequence[Any]) -> list[Passkey]:
        opened = [(row, self._opened(row.sealed, f"passkey|{bytes(row.credential_index).hex()}")) for row in rows]
        opened.sort(key=lambda pair: (pair[1]["at"], pair[1]["id"]))
        return [
            Passkey(row.member_id, bytes.fromhex(one["id"]), bytes.fromhex(one["key"]), row.sign_count, number)
            for number, (row, one) in enumerate(opened, start=1)
        ]

    # -- recovery codes ------------------------------------------------------------------------------------------

    def set_recovery_codes(self, member_id: str, codes: Sequence[str], now: datetime) -> None:
        """In place of all that were there. A code has 100 random bits: a slow hash would add nothing."""
        rows = [
            {
                "tenant_id": self._tenant_id,
                "code_index": self._index("inbox-recovery", code),
                "member_id": member_id,
                "month": f"{now:%Y-%m}",
            }
            for code in codes
        ]
        with self._engine.begin() as connection:
            connection.execute(delete(inbox_recovery_code).where(*self._of(inbox_recovery_code, member_id)))
            connection.execute(inbox_recovery_code.insert(), rows)

    def take_recovery_code(self, code: str) -> Member | None:
        """Whose it was; it works once."""
        statement = (
            delete(inbox_recovery_code)
            .where(
                inbox_recovery_code.c.tenant_id == self._tenant_id,
                inbox_recovery_code.c.code_index == self._index("inbox-recovery", code),
            )
            .returning(inbox_recovery_code.c.member_id)
        )
        with self._engine.begin() as connection:
            member_id = connection.execute(statement).scalar_one_or_none()
        return None if member_id is None else self.member(member_id)

    # -- inside --------------------------------------------------------------------------------------------------

    def _of(self, table: Any, member_id: str) -> tuple[Any, ...]:
        return (table.c.tenant_id == self._tenant_id, table.c.member_id == member_id)

    def _index(self, kind: str, *parts: str) -> bytes:
        return self._cipher.blind_index(kind, *parts)

    def _sealed(self, content: dict[str, Any], place: str) -> bytes:
        return self._cipher.seal(json.dumps(content).encode(), purpose=f"inbox|{place}")

    def _opened(self, sealed: bytes, place: str) -> dict[str, Any]:
        return dict(json.loads(self._cipher.open(bytes(sealed), purpose=f"inbox|{place}")))
