"""After the flows, nothing of a patient can be read from what the app keeps: database, logs, settings (attack 6)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pyrage
import pytest
import requests
from parties import Plays, Vault, case_of, sit_down

from smart_app.demo import Place
from smart_app.foundation import lay_foundation
from smart_app.gateways.backup import back_up, write_key_copy
from smart_app.proofs.canary_search import found_in, found_in_bytes, kept_by_the_app, tables_of
from smart_app.settings import load
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram, bundle_of, resource_in, until

# Agreements, and which programs' computers spoke to us in the last minutes: no case and no patient in them.
# Which programs there are, and which of them has accounts here: no row of these belongs to a case.
PUBLIC_TABLES = (
    "partner",
    "launch_client",
    "launch_token",
    "launch_jti",
    "inbox_invite",
    "inbox_member",
    "inbox_alert",
)


@pytest.fixture(scope="module")
def words(ehr: SandboxEhr, program: SandboxProgram, plays: Plays, vault: Vault) -> dict[str, str]:
    """What a patient told or is: a referral each way with words of our own, booked and answered; who, where, how."""
    plays.of("a", "p-dana")
    plays.of("b", "p-rosa")
    mark = secrets.token_hex(4)
    told = {
        "alias": f"Quillabye {mark}",
        "phone": f"555-{secrets.randbelow(10_000):04d}{secrets.randbelow(100):02d}",
        "say_as": f"Vexmobile {mark}",
        "code_word": f"Plumdraft {mark}",
        "visitor": f"Ombelrot {mark}",
        "visitor_phone": f"555-{secrets.randbelow(10_000):04d}{secrets.randbelow(100):02d}",
    }
    desk = sit_down(ehr, "a", "dr-lee", "p-marcus", answer="chosen-company")
    desk.open("connect/harbor")
    desk.submit(
        "/connect/harbor", step="review", meet="safe-contact", alias=told["alias"], phone=told["phone"],
        say_as=told["say_as"], code_word=told["code_word"],
    )  # fmt: skip
    desk.submit("/connect/harbor", step="send", signed="screen")
    told["launch"], told["case"] = desk.home.split("/v/")[1].strip("/"), case_of(desk.page)
    assert program.refer(told["visitor"], told["visitor_phone"], tells_time=True)["status"] == 202
    _book(ehr, told["visitor"])
    # A name to use is on the wire and in the vault: the search below would be worth nothing if it never was.
    assert until(lambda: told["alias"] in json.dumps([bundle_of(item) for item in program.received()]))
    told["sent patient"] = _patient_sent(program, told["alias"])
    return told


def _book(ehr: SandboxEhr, alias: str) -> None:
    desk = sit_down(ehr, "a", "sched-kim", None)
    item = desk.browser.get(desk.page.links_by_text[alias])
    form = next(form for form in item.forms if "book" in form.choices.get("step", []))
    assert desk.browser.submit(item, form, {"step": "book", "chart": "p-marcus"}).status == 200


def _patient_sent(program: SandboxProgram, alias: str) -> str:
    for item in program.received():
        if alias in item["bundle"]:
            return str(resource_in(bundle_of(item), "Patient")["identifier"][0]["value"])
    raise LookupError(alias)


@pytest.mark.rule("attack 6")
def test_attack_06_no_canary_in_anything_the_app_keeps(demo: Place, ehr: SandboxEhr, words: dict[str, str]) -> None:
    """Names, numbers, aliases and words of patients are in no file of the app: raw, encoded or hashed.

    Break: log ``request.full_path`` in ``surface.install_headers``, or store a payload beside ``body``.
    """
    canaries = requests.get(f"{ehr.control}/canaries", timeout=10).json()
    files = kept_by_the_app(demo.directory)
    assert {"vault.sqlite3", "app.log", "worker.log"} <= {file.name for file in files}
    told = [words[name] for name in ("alias", "phone", "say_as", "code_word", "visitor", "visitor_phone")]
    assert len(canaries) > 20
    assert found_in([*canaries, *told], files) == []


@pytest.mark.rule("attack 6")
def test_attack_06_logs_hold_no_launch_no_case_and_no_program(demo: Place, words: dict[str, str]) -> None:
    """The log says which kind of page was asked for and how it went; it cannot say by whom or about whom.

    Break: log ``request.path`` instead of the route's template in ``surface.install_headers``.
    """
    logs = [demo.directory / "app.log", demo.directory / "worker.log"]
    assert found_in([words["launch"], words["case"], words["sent patient"]], logs) == []
    assert found_in(["harbor-system", "Practitioner", "client_assertion", "__Host-cc"], logs) == []
    assert not [
        word for log in logs for word in ("harbor", "p-dana", "dr-lee", "code=", "iss=") if word in log.read_text()
    ]


@pytest.mark.rule("attack 14")
def test_attack_14_no_canary_in_a_backup_a_dump_or_the_key_copy(
    demo: Place, ehr: SandboxEhr, words: dict[str, str], tmp_path: Path
) -> None:
    """Whoever holds a backup, even with its private key, or a dump, or the one copy of the keys, reads no name, number
    or word of a patient: raw, encoded or hashed. What is searched is seen to be the right thing.

    Break: write the alias into a column of ``alert`` when a referral is queued.
    """
    canaries = requests.get(f"{ehr.control}/canaries", timeout=10).json()
    told = [words[name] for name in ("alias", "phone", "say_as", "code_word", "visitor", "visitor_phone")]
    settings = load(demo.config)
    base = lay_foundation(settings)
    offline, copy = pyrage.x25519.Identity.generate(), tmp_path / "key.copy"
    back_up(settings.database_url, tmp_path / "backup.age", str(offline.to_public()), "hc1")
    assert write_key_copy(base.engine, settings.tenant_id, base.ring, copy) > 3
    base.engine.dispose()
    sealed = (tmp_path / "backup.age").read_bytes()
    opened = pyrage.decrypt(sealed, [offline])
    dumped = "".join(tables_of(demo.directory / "vault.sqlite3").values()).encode()
    assert all(b"[A|SDV]" in content for content in (opened, dumped))
    assert b"[A|SDV]" not in sealed
    for content in (sealed, opened, dumped, copy.read_bytes()):
        assert found_in_bytes([*canaries, *told], content) == []


@pytest.mark.rule("attack 14")
def test_attack_14_a_dump_does_not_say_which_program_a_case_is_with(demo: Place, words: dict[str, str]) -> None:
    """Whoever steals the database reads which programs exist, never which of them a person was sent to.

    Break: store ``partner_id`` in ``vault_case`` as it is.
    """
    dumped = tables_of(demo.directory / "vault.sqlite3")
    telling = {table: text for table, text in dumped.items() if table not in PUBLIC_TABLES}
    assert telling["vault_case"]
    assert telling["delivery"]
    for word in (
        "harbor",
        "Harbor",
        "northside",
        "p-dana",
        "p-marcus",
        "Practitioner",
        "dr-lee",
        "sched-kim",
    ):
        assert [table for table, text in telling.items() if word in text] == [], word


@pytest.mark.rule("attack 14")
def test_attack_14_finished_work_leaves_no_exact_time(vault: Vault, words: dict[str, str]) -> None:
    """A delivered message keeps neither when, nor whose, nor to whom.

    Break: take ``case_id`` out of ``outbox.EMPTY``.
    """
    columns = "lane, case_id, reference, due_at, lease_until, lease_owner, last_error_code"
    assert until(lambda: not vault.rows("SELECT 1 FROM delivery WHERE state = 'open'"))
    assert set(vault.rows(f"SELECT {columns} FROM delivery WHERE state = 'done'")) == {(None,) * 7}


def test_a_seeded_leak_is_found_in_every_form(tmp_path: Path) -> None:
    """The search itself is tried: whatever way a word leaks, it is found."""
    word = "Thrumwhistle Ødegård-22"
    raw = word.encode()
    leaks = {
        "plain": b"x" + raw + b"y",
        "address": b"GET /v?name=" + quote(word).encode(),
        "json": json.dumps({"name": word}).encode(),
        "base64": base64.b64encode(b"ab" + raw + b"c"),
        "token": base64.urlsafe_b64encode(b"abc" + raw + b"cd"),
        "sha256": hashlib.sha256(raw).hexdigest().encode(),
        "hex": raw.hex().encode(),
        "utf-16": word.encode("utf-16-le"),
    }
    for name, content in leaks.items():
        (tmp_path / name).write_bytes(content)
        assert found_in([word], [tmp_path / name]), name
    (tmp_path / "clean").write_bytes(secrets.token_bytes(100_000))
    assert found_in([word], [tmp_path / "clean"]) == []


def test_a_seeded_leak_in_the_database_is_found(demo: Place, tmp_path: Path) -> None:
    """The database is read as a file, journal included: a word in a row of it does not hide."""
    copy = tmp_path / "vault.sqlite3"
    with sqlite3.connect(f"file:{demo.directory / 'vault.sqlite3'}?mode=ro", uri=True) as source:
        target = sqlite3.connect(copy)
        source.backup(target)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("UPDATE fact SET outcome = 'Thrumwhistle' WHERE rowid = (SELECT min(rowid) FROM fact)")
    target.commit()
    assert found_in(["Thrumwhistle"], kept_by_the_app(tmp_path)) == ["Thrumwhistle (raw) in vault.sqlite3-wal"]
    assert "Thrumwhistle" in tables_of(copy)["fact"]
    target.close()
