"""How long the audit chain takes to verify, and whether one flipped bit in it is found and named.

    make bench                          # or: .venv/bin/python bench/audit.py --events 1000000

Prints one JSON object. The rows are what the log holds of reads and sends, added by the log itself, a thousand in a
commit, to a SQLite file. Then ``verify`` walks all of them on one core; then somebody who owns the file takes the
table's guards away, flips one bit in each column of some row in turn, and ``verify`` has to name that row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
import uuid
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smart_app.gateways import migrations_runner
from smart_app.gateways.audit_log import AuditLog, verify
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.engine import make_engine

AT_ONCE = 1_000
LIMIT_SECONDS = 60.0
COLUMNS = ("body", "prev_hash", "row_hash", "month", "position")


def record() -> dict[str, Any]:
    """One row as a list read leaves it: who, why, and four items with their labels and the answer to each."""
    entities = [
        {
            "what": f"{kind}/{uuid.uuid4()}/_history/1",
            "labels": "[C|V][A|SDV]",
            "result": "permit",
            "rule": "D7",
            "link": "author",
        }
        for kind in ("Patient", "Consent", "ServiceRequest", "Task")
    ]
    return {
        "at": datetime.now(UTC).isoformat(),
        "who": "Practitioner/dr-lee",
        "role": "clinician",
        "purpose": "TREAT",
        "registration": "a",
        "crossing": str(uuid.uuid4()),
        "phase": "vault",
        "action": "list",
        "entities": entities,
    }


def flip(file: Path, position: int, column: str) -> tuple[str, object]:
    """Flip one bit of one column, as the owner of the file can; what stood there before."""
    with closing(sqlite3.connect(file)) as database:
        for change in ("update", "delete"):
            database.execute(f"DROP TRIGGER IF EXISTS audit_row_no_{change}")
        (before,) = database.execute(f"SELECT {column} FROM audit_row WHERE position = ?", (position,)).fetchone()
        if isinstance(before, bytes):
            after: object = bytes([before[0] ^ 1]) + before[1:]
        else:
            after = -before if isinstance(before, int) else chr(ord(before[0]) ^ 1) + before[1:]
        database.execute(f"UPDATE audit_row SET {column} = ? WHERE position = ?", (after, position))
        database.commit()
    return column, before


def restore(file: Path, position: int, changed: tuple[str, object]) -> None:
    """Put it back."""
    column, before = changed
    now_at = -position if column == "position" else position
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"UPDATE audit_row SET {column} = ? WHERE position = ?", (before, now_at))
        database.commit()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=1_000_000)
    events = options.parse_args().events
    with suppress(AttributeError, OSError):  # one core; Linux only
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.sqlite"
        migrations_runner.migrate(f"sqlite:///{file}")
        engine = make_engine(f"sqlite:///{file}")
        cipher = MasterCipher(MasterKey(os.urandom(32)), "bench")
        log, started = AuditLog(cipher), time.perf_counter()
        for _ in range(events // AT_ONCE):
            with engine.begin() as connection:
                log.append(connection, [record() for _ in range(AT_ONCE)], datetime.now(UTC))
        added_seconds = time.perf_counter() - started
        started, cpu = time.perf_counter(), time.process_time()
        found = verify(engine, cipher)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        assert found.holds, found
        named = {}
        for column in COLUMNS:
            position = random.randrange(1, min(found.rows, 20_000))
            changed = flip(file, position, column)
            told = verify(engine, cipher)
            named[column] = not told.holds and told.position == position
            restore(file, position, changed)
        holds_again = verify(engine, cipher).holds if found.rows <= 20_000 else None
        engine.dispose()
        size = file.stat().st_size
    figures = {
        "events": found.rows,
        "verify_seconds": round(seconds, 1),
        "verify_cpu_seconds": round(cpu_seconds, 1),
        "events_verified_per_second": round(found.rows / seconds),
        "added_per_second": round(events / added_seconds),
        "bytes_an_event": round(size / found.rows),
        "flipped_bit_named": named,
        "holds_again": holds_again,
        "limit_seconds": LIMIT_SECONDS * found.rows / 1_000_000,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(figures, indent=2))
    return 0 if all(named.values()) and seconds <= max(1.0, float(figures["limit_seconds"])) else 1  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
