"""The whole demo with its vault in PostgreSQL instead of a SQLite file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage
from databases import PostgresDatabase, PostgresServer
from demo_arguments import demo_arguments
from parties import Vault

from smart_app.demo import Place, Ports
from smart_app.gateways.backup import back_up
from smart_app.proofs.canary_search import found_in_bytes


def test_the_tour_is_the_same_on_postgresql(
    postgres: PostgresServer, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """All four flows play as on SQLite, the audit log holds, and a dump of the database names nobody. The app's role is
    no superuser, so row security holds for everything it does.

    Breaks: put a statement that only SQLite knows into a gateway; leave ``tenant_id`` out in ``lay_foundation``.
    """
    owner = postgres.create("tour")
    url = postgres.role("app_of_tour", of=owner)
    place = Place(tmp_path, Ports(*(free_port() for _ in range(6))), url)
    arguments = [sys.executable, *demo_arguments(place), "--tour"]
    played = subprocess.run(arguments, capture_output=True, text=True, timeout=180, check=False)
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    vault = Vault(place)
    counts = vault.counts()
    assert min(counts["Observation"], counts["Task"], counts["Consent"], counts["Appointment"]) >= 1
    assert vault.audit_holds()
    vault.close()
    assert not (tmp_path / "vault.sqlite3").exists()
    dumped = PostgresDatabase(owner).raw()
    assert b"[A|SDV]" in dumped  # the search does find what is there
    names = ("Thrumwhistle", "Zarcefuente")
    assert found_in_bytes(names, dumped) == []
    for canary in (b"p-dana", b"p-rosa", b"dr-lee"):
        assert canary not in dumped
    offline = pyrage.x25519.Identity.generate()
    back_up(url, tmp_path / "backup.age", str(offline.to_public()), "hc1")
    opened = pyrage.decrypt((tmp_path / "backup.age").read_bytes(), [offline])
    assert b"[A|SDV]" in opened
    assert found_in_bytes(names, opened) == []
