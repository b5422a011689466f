"""Every look, denial and send leaves a row; nothing of the chain can be changed unseen."""

from __future__ import annotations

import sqlite3
from typing import Any

from smart_app.gateways import audit_log
from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance
from smart_app.proofs.observers import AUTHOR, INBOUND, OUT_TO_SYSTEM, PATIENT
from smart_app.proofs.referrals import send
from smart_app.proofs.two_worlds import Bench

FLIPPED = "CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB)"  # a byte with its bits changed


def _rows_since(here: Instance, position: int) -> list[dict[str, Any]]:
    return [row for _, row in audit_log.readable_entries(here.base.engine, here.base.cipher, after=position)]


def _position(here: Instance) -> int:
    return audit_log.anchor(here.base.engine, here.settings.tenant_id).position


def holds(bench: Bench) -> None:
    """The chain of each world holds, and has the rows of what was done there."""
    for variant, world in bench.worlds.items():
        found = audit_log.verify(world.here.base.engine, world.here.base.cipher)
        require(found.holds and found.rows > 20, f"{variant}: {found.rows} rows, {found.problem or 'holds'}")


def finds_a_change(bench: Bench) -> None:
    """One flipped bit, a row taken out of the middle and a cut tail are found, and the first bad row is named."""
    here = bench.worlds[INBOUND].here
    last = _position(here)
    middle = last // 2
    changes = {
        "a flipped bit": (f"UPDATE audit_row SET body = {FLIPPED} WHERE position = ?", middle),  # noqa: S608 - ours
        "a row taken out": ("DELETE FROM audit_row WHERE position = ?", middle),
        "a cut tail": ("DELETE FROM audit_row WHERE position >= ?", last),
    }
    for what, (statement, position) in changes.items():
        with here.undone():
            connection = sqlite3.connect(here.database, timeout=20)
            connection.execute("DROP TRIGGER IF EXISTS audit_row_no_update")
            connection.execute("DROP TRIGGER IF EXISTS audit_row_no_delete")
            changed = connection.execute(statement, (position,)).rowcount
            connection.commit()
            connection.close()
            found = audit_log.verify(here.base.engine, here.base.cipher)
        require(changed > 0, f"{what}: nothing was changed")
        require(
            not found.holds and found.position == position, f"{what} at {position}: {found.problem} at {found.position}"
        )


def every_look(bench: Bench) -> None:
    """A read, a denied read, a read of nothing and a list: a row each, with who asked and what the answer was."""
    world = bench.worlds[INBOUND]
    here, ids = world.here, world.ids
    with here.undone():
        for who, partner_id, path, result in (
            ("reads it", "harbor", f"/Task/{ids.task}", "permit"),
            ("is denied", "northside", f"/Task/{ids.task}", "deny"),
            ("asks for nothing", "northside", f"/Task/{bench.without.ids.task}", "absent"),
        ):
            seat, before = here.program(partner_id), _position(here)
            seat.ask("GET", path)
            rows = [row for row in _rows_since(here, before) if row.get("phase") == "vault"]
            results = {entity.get("result") for row in rows for entity in row.get("entities", [])}
            named = {row.get("who") for row in rows}
            require(
                result in results and named == {f"Organization/{partner_id}"}, f"{who}: {sorted(map(str, results))}"
            )
        before = _position(here)
        here.launch("sched-kim", None).ask("GET", "queue")
        lists = [row for row in _rows_since(here, before) if row.get("action") == "find"]
        require(len(lists) == 1 and len(lists[0]["entities"]) > 2, f"a list left {len(lists)} rows")


def every_crossing(bench: Bench) -> None:
    """A call to an EHR or a program is announced before it is made and concluded after, under one id; a send names the
    release it was made under."""
    here = bench.without.here
    with here.undone():
        before = _position(here)
        here.senses.wire.take()
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        calls = [
            call for call in here.senses.wire.take()[0].splitlines() if "/fhir" in call and "well-known" not in call
        ]
        rows = _rows_since(here, before)
    intended = [row["crossing"] for row in rows if row.get("phase") == "intended"]
    outcomes = [row["crossing"] for row in rows if row.get("phase") == "outcome"]
    require(sorted(intended) == sorted(outcomes) and len(set(intended)) == len(intended), "announced is not concluded")
    require(len(intended) == len(calls), f"{len(calls)} calls, {len(intended)} announced")
    sent = [row for row in rows if row.get("action") == "release" and row.get("phase") == "intended"]
    require(len(sent) == 1 and bool(sent[0].get("consents")), "the send names no release")


def no_row_no_crossing(bench: Bench) -> None:
    """When the audit cannot be written, nothing is read, stored or sent."""
    world = bench.worlds[OUT_TO_SYSTEM]
    here = world.here
    with here.undone(), here.no_audit():
        here.senses.settle()
        for seat, path in (
            (here.launch(AUTHOR, PATIENT), f"sent/{world.ids.case}"),
            (here.launch(AUTHOR, PATIENT), ""),
            (here.program("harbor"), f"/Task/{world.ids.task}"),
            (here.launch("sched-kim", None), "queue"),
        ):
            answer = seat.ask("GET", path)
            require(answer.status_code >= 303, f"{path} is answered {answer.status_code} without a row")
        calls = here.senses.wire.take()[0]
        require(calls == "", f"an EHR was asked without a row: {calls[:60]}")


CHECKS: tuple[Check[Bench], ...] = (
    Check("audit: the chain holds", "in every world, with the rows of what was done", holds),
    Check(
        "audit: a change is found",
        "a flipped bit, a missing row, a cut tail; the first bad row is named",
        finds_a_change,
    ),
    Check("audit: every look", "a row for each read, denial, absence and list", every_look),
    Check("audit: every crossing", "announced before, concluded after, one id, the release named", every_crossing),
    Check("audit: no row, no crossing", "without the audit nothing is read or asked", no_row_no_crossing),
)
