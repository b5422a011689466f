"""Accounts of the programs' people on both databases: what works once works once, who is removed is gone everywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from smart_app.errors import LockedError
from smart_app.gateways.inbox_accounts import SqlAccounts
from smart_app.gateways.inbox_sessions import SqlSessions
from smart_app.gateways.tables import inbox_invite, inbox_member, inbox_passkey, inbox_recovery_code, inbox_session
from smart_app.inbox_ports import Invitation, KeptSession, Member, Passkey
from smart_app.workflows import program_accounts

TABLES = (inbox_member, inbox_passkey, inbox_recovery_code, inbox_session, inbox_invite)


@pytest.fixture
def accounts(world: Any) -> SqlAccounts:
    return SqlAccounts(world.engine, world.cipher)


def invited(world: Any, accounts: SqlAccounts) -> Invitation:
    return program_accounts.invite(accounts, "northside", "Canary-Ana", is_admin=True, now=world.now)


def joined(world: Any, accounts: SqlAccounts, passkeys: int = 2) -> Member:
    made = invited(world, accounts)
    member = program_accounts.join(accounts, made.token, made.code, world.now)
    for number in range(passkeys):
        later = world.now + timedelta(seconds=number)
        assert accounts.add_passkey(Passkey(member.member_id, f"{member.member_id}{number}".encode(), b"k"), later)
    return member


def rows(world: Any) -> list[int]:
    with world.engine.begin() as connection:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def test_an_invitation_works_once_and_for_a_day(world: Any, accounts: SqlAccounts) -> None:
    """Used, or a day old, it opens nothing, with the right code too."""
    made = invited(world, accounts)
    program_accounts.join(accounts, made.token, made.code, world.now)
    with pytest.raises(LockedError):
        program_accounts.join(accounts, made.token, made.code, world.now)
    old = invited(world, accounts)
    with pytest.raises(LockedError):
        program_accounts.join(accounts, old.token, old.code, world.now + timedelta(hours=24))


def test_five_wrong_codes_end_an_invitation(world: Any, accounts: SqlAccounts) -> None:
    """Whoever found the address cannot try all codes: after five the right one does not work either."""
    made = invited(world, accounts)
    wrong = f"{(int(made.code) + 1) % 10**6:06d}"
    for _ in range(program_accounts.MOST_WRONG_CODES):
        assert accounts.take_invite(replace(made, code=wrong), world.now, most_wrong_codes=5) is None
    with pytest.raises(LockedError):
        program_accounts.join(accounts, made.token, made.code, world.now)
    assert rows(world)[0] == 0


def test_four_wrong_codes_do_not(world: Any, accounts: SqlAccounts) -> None:
    """Somebody who mistypes still gets in."""
    made = invited(world, accounts)
    wrong = f"{(int(made.code) + 1) % 10**6:06d}"
    for _ in range(program_accounts.MOST_WRONG_CODES - 1):
        assert accounts.take_invite(replace(made, code=wrong), world.now, most_wrong_codes=5) is None
    assert program_accounts.join(accounts, made.token, made.code, world.now).partner_id == "northside"


def test_removal_takes_everything_in_one_commit(world: Any, accounts: SqlAccounts) -> None:
    """Passkeys, recovery codes and open sessions go with the person."""
    member = joined(world, accounts)
    program_accounts.finish(accounts, member, world.now)
    sessions, now = SqlSessions(world.engine, world.cipher), int(world.now.timestamp())
    sessions.write(KeptSession("c" * 43, {"a": 1}, member.member_id), expires_at=now + 60, now=now)
    assert sessions.read("c" * 43, now) is not None
    assert not accounts.remove(member.member_id, "harbor"), "another program's admin cannot"
    assert accounts.remove(member.member_id, "northside")
    assert sessions.read("c" * 43, now) is None
    assert rows(world) == [0, 0, 0, 0, 0]


def test_two_passkeys_stay(world: Any, accounts: SqlAccounts) -> None:
    """A person cannot lock themselves out by removing their last but one."""
    member = joined(world, accounts, passkeys=3)
    assert accounts.drop_passkey(member.member_id, 1, keep=2)
    assert not accounts.drop_passkey(member.member_id, 1, keep=2)
    assert [one.number for one in accounts.passkeys(member.member_id)] == [1, 2]


def test_a_recovery_code_works_once_however_it_is_written(world: Any, accounts: SqlAccounts) -> None:
    """Typed with dashes and small letters it is the same code; a second time it is none."""
    member = joined(world, accounts)
    codes = program_accounts.finish(accounts, member, world.now)
    typed = "-".join(codes[0][at : at + 5] for at in range(0, 20, 5)).lower()
    assert program_accounts.recover(accounts, typed).member_id == member.member_id
    with pytest.raises(LockedError):
        program_accounts.recover(accounts, typed)
    program_accounts.finish(accounts, member, world.now)
    with pytest.raises(LockedError):
        program_accounts.recover(accounts, codes[1])


def test_neither_names_nor_codes_stand_in_the_rows(world: Any, accounts: SqlAccounts) -> None:
    """Whoever reads the tables finds nobody's name and nothing that opens an account."""
    made = invited(world, accounts)
    member = joined(world, accounts)
    codes = program_accounts.finish(accounts, member, world.now)
    with world.engine.begin() as connection:
        text = repr([tuple(row) for table in TABLES for row in connection.execute(select(table))])
    for secret in ("Canary-Ana", made.token, f"'{made.code}'", codes[0]):
        assert secret not in text
