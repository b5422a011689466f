"""Hostile bodies through real HTTP: each is refused, and not a byte of one is anywhere afterwards."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from pathlib import Path

import pytest
from parties import ProgramSystem, Vault
from refused_bodies import corpus

from smart_app.demo import Place
from smart_app.proofs.canary_search import found_in, kept_by_the_app

LARGEST = 50_000_000


def temporary(since: float) -> list[Path]:
    """What was written to the folder for temporary files since then."""
    found = []
    for file in Path(tempfile.gettempdir()).iterdir():
        try:
            status = file.stat()
        except OSError:
            continue
        if file.is_file() and status.st_mtime >= since and status.st_size < LARGEST:
            found.append(file)
    return found


def test_there_are_at_least_a_hundred_and_each_is_another() -> None:
    """The corpus is what it says."""
    names = [body.name for body in corpus()]
    assert len(names) >= 100
    assert len(set(names)) == len(names)


@pytest.mark.rule("R16")
@pytest.mark.rule("R17")
def test_rule_R17_of_hostile_bodies_nothing_is_stored_logged_or_repeated(
    demo: Place, vault: Vault, harbor: ProgramSystem
) -> None:
    """More than a hundred hostile referrals, each with a word of its own: every one is a 4xx in our words, the tables
    hold as many rows as before, and no word is in the answer, the database, its write-ahead log, the app's logs or a
    temporary file, in clear, escaped, encoded or hashed. Break: log ``request.get_data()`` in ``show_app_error``, or
    store before ``problems`` is asked."""
    before, started = vault.counts(), time.time() - 1
    words = []
    for body in corpus():
        word = f"Zyx{secrets.token_hex(9)}"
        words.append(word)
        sent = body.make(harbor.bundle("WORD"), word)
        answer = harbor.send("POST", "", sent, body.headers)
        assert 400 <= answer.status_code < 500, (body.name, answer.status_code, answer.text[:300])
        assert word not in answer.text + str(answer.headers), body.name
        assert answer.json()["resourceType"] == "OperationOutcome", body.name
    assert vault.counts() == before
    assert found_in(words, [*kept_by_the_app(demo.directory), *temporary(started)]) == []
    lines = [json.loads(line) for line in (demo.directory / "app.log").read_text().splitlines() if line[:1] == "{"]
    assert not [line for line in lines if line.get("status") == 500 or line["event"] == "unexpected"]


def test_the_search_would_have_found_them(demo: Place, harbor: ProgramSystem, tmp_path: Path) -> None:
    """The search itself is tried: one body left in a file, as it is or in Base64, is noticed."""
    word = f"Zyx{secrets.token_hex(9)}"
    body = next(one for one in corpus() if one.name == "ServiceRequest.note").make(harbor.bundle("WORD"), word)
    (tmp_path / "left.log").write_bytes(body)
    assert found_in([word], tmp_path.iterdir())
    seeded = Path(tempfile.gettempdir()) / f"{word[:6]}-{secrets.token_hex(4)}"
    seeded.write_bytes(body)
    try:
        assert found_in([word], [file for file in temporary(time.time() - 60) if file == seeded])
    finally:
        seeded.unlink()
