"""What the door costs: a read beside one without it, and searches of 50 items as the vault grows to a million rows.

    make bench                          # or: .venv/bin/python bench/door.py --rows 10000 100000 1000000

Prints one JSON object. Fifty referrals of one program are posted to the app; around them grow closed cases of other
programs, copied row by row with new ids, so that tables and indexes have their real shape and size. At each size:

* read: the Task of one referral through the door (label, links, release, audit row in a commit with full sync,
  decrypted), beside the same Task selected by its primary key from a table of plain JSON.
* search: the fifty as their program lists them (``GET /fhir/Task``) and as the scheduler's desk does.

Times are wall times of whole calls in this process; ``growth`` is the middle of the largest size over that of the
smallest, beside what a logarithm would make of it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import inbound  # noqa: E402
from databases import find_program  # noqa: E402

from smart_app import logs, surface  # noqa: E402
from smart_app.app import create_app  # noqa: E402
from smart_app.foundation import Foundation, lay_foundation  # noqa: E402
from smart_app.gateways.tables import vault_case, vault_key, vault_resource  # noqa: E402
from smart_app.policy import task_search  # noqa: E402
from smart_app.policy.access import Purpose, Requester, Role  # noqa: E402
from smart_app.workflows import partner_tasks, scheduling  # noqa: E402

FOUND = 50
CASES_AT_ONCE = 2_000
WARM, REPEATS = 5, 60
PROGRAM = Requester(Role.ADVOCATE, "Organization/harbor", Purpose.COC)
SCHEDULER = Requester(
    Role.SCHEDULER, "Practitioner/bench", Purpose.HOPERAT, registration_id="b", launch_id="l", site_role="scheduler"
)
READ_LIMIT_MS = 1.0  # p50, over a read without the door, SQLite
SEARCH_LIMIT_MS = {"sqlite": 100.0, "postgresql": 50.0}  # p95 at the largest size


def post_referrals(settings: Any) -> None:
    """Fifty referrals of one program, in at the front door."""
    client = create_app(settings).test_client()
    token = inbound.token_for(client, settings)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    for body in inbound.bodies(FOUND):
        answer = client.post("/fhir", data=body, headers=headers)
        if answer.status_code != 202:
            sys.exit(f"a referral was answered {answer.status_code}")


def pattern(connection: Connection) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The rows of one of the fifty cases: case, key, resources."""
    case = dict(connection.execute(select(vault_case).limit(1)).mappings().one())
    of_case = {table: table.c.case_id == case["case_id"] for table in (vault_key, vault_resource)}
    key = dict(connection.execute(select(vault_key).where(of_case[vault_key])).mappings().one())
    rows = connection.execute(select(vault_resource).where(of_case[vault_resource])).mappings()
    return case, key, [dict(row) for row in rows]


def grow(engine: Engine, rows: int) -> None:
    """Closed cases of other programs, until the vault holds ``rows`` resources."""
    programs = [secrets.token_bytes(32) for _ in range(200)]
    with engine.connect() as connection:
        case, key, resources = pattern(connection)
        there = connection.execute(text("SELECT count(*) FROM vault_resource")).scalar_one()
    left = max(0, rows - there) // len(resources)
    while left > 0:
        ids = [str(uuid.uuid4()) for _ in range(min(left, CASES_AT_ONCE))]
        left -= len(ids)
        closed = {"is_open": False, "due_on": None, "needs_person": False}
        of = {one: {"case_id": one, "partner_index": secrets.choice(programs)} for one in ids}
        with engine.begin() as connection:
            connection.execute(insert(vault_case), [{**case, **closed, **of[one]} for one in ids])
            connection.execute(insert(vault_key), [{**key, "case_id": one} for one in ids])
            new = [{**row, "case_id": one, "resource_id": str(uuid.uuid4())} for one in ids for row in resources]
            connection.execute(insert(vault_resource), new)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def plain_copy(base: Foundation, reference: str) -> Callable[[], Any]:
    """The same Task in a table of plain JSON, and how it is read without any door."""
    with base.door.open_for(PROGRAM, datetime.now(UTC)) as work:
        payload = json.dumps(work.read(reference).payload)
    with base.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE plain_copy (id varchar(100) PRIMARY KEY, body text NOT NULL)")
        connection.execute(text("INSERT INTO plain_copy VALUES (:id, :body)"), {"id": reference, "body": payload})
    statement = text("SELECT body FROM plain_copy WHERE id = :id")

    def read() -> Any:
        with base.engine.begin() as connection:
            return json.loads(connection.execute(statement, {"id": reference}).scalar_one())

    return read


def timed(call: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Milliseconds of each call, after some that do not count."""
    took = []
    for number in range(WARM + repeats):
        started = time.perf_counter()
        call()
        if number >= WARM:
            took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


def told(took: list[float]) -> dict[str, float]:
    """Middle and 95th of a hundred."""
    return {"p50_ms": round(statistics.median(took), 2), "p95_ms": round(took[math.ceil(len(took) * 0.95) - 1], 2)}


def listed(base: Foundation) -> list[Any]:
    """The fifty as their program lists them."""
    query = task_search.read([("_count", str(FOUND))])
    assert query is not None
    page = partner_tasks.search(base.door, PROGRAM, query, datetime.now(UTC))
    assert len(page.tasks) == FOUND, len(page.tasks)
    return list(page.tasks)


def desk(base: Foundation) -> None:
    """The fifty as the scheduler sees them."""
    items = scheduling.queue(base.door, SCHEDULER, datetime.now(UTC), places_per_day=FOUND)
    assert len(items) == FOUND, len(items)


def read_cost(base: Foundation) -> dict[str, float]:
    """One Task through the door, beside the plain copy, in turn."""
    reference = f"Task/{listed(base)[0].payload['id']}"
    unguarded = plain_copy(base, reference)

    def guarded() -> None:
        with base.door.open_for(PROGRAM, datetime.now(UTC)) as work:
            work.read(reference)

    through, without = timed(guarded, 300), timed(unguarded, 300)
    return {
        "read_p50_ms": round(statistics.median(through), 2),
        "unguarded_p50_ms": round(statistics.median(without), 2),
        "door_p50_ms": round(statistics.median(through) - statistics.median(without), 2),
    }


def measure(folder: Path, sizes: list[int], database: str | None) -> dict[str, Any]:
    """Everything on one database: SQLite in ``folder``, or ``database``."""
    settings = inbound.settings_in(folder, database)
    post_referrals(settings)
    base = lay_foundation(settings)
    surface.keep_for_good()  # as the served app does
    made: dict[str, Any] = {"read": read_cost(base), "search": {}}
    for size in sizes:
        grow(base.engine, size)
        made["search"][str(size)] = {
            "program": told(timed(lambda: listed(base))),
            "desk": told(timed(lambda: desk(base))),
        }
    first, last = (made["search"][str(size)] for size in (sizes[0], sizes[-1]))
    made["growth"] = {name: round(last[name]["p50_ms"] / first[name]["p50_ms"], 2) for name in ("program", "desk")}
    made["growth_of_a_logarithm"] = round(math.log(sizes[-1]) / math.log(sizes[0]), 2)
    base.engine.dispose()
    return made


def missed(made: dict[str, Any], sizes: list[int]) -> Iterator[str]:
    """The limits that were not kept."""
    if made["sqlite"]["read"]["door_p50_ms"] > READ_LIMIT_MS:
        yield "read, sqlite"
    for store, limit in SEARCH_LIMIT_MS.items():
        for name, took in made.get(store, {"search": {str(sizes[-1]): {}}})["search"][str(sizes[-1])].items():
            if took["p95_ms"] > limit:
                yield f"search by {name}, {store}"
            if made[store]["growth"][name] > made[store]["growth_of_a_logarithm"]:
                yield f"growth of search by {name}, {store}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--no-postgres", action="store_true", help="SQLite only")
    given = options.parse_args()
    logs.configure(stream=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Any] = {"sqlite": measure(Path(folder), given.rows, None)}
    initdb, postgres = find_program("initdb"), find_program("postgres")
    if initdb and postgres and not given.no_postgres:
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(inbound.Durable(initdb, postgres)) as server:
            made["postgresql"] = measure(Path(folder), given.rows, server.create("door"))
    made["missed_targets"] = list(missed(made, given.rows))
    made |= {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    print(json.dumps(made, indent=2))
    return 1 if made["missed_targets"] else 0


if __name__ == "__main__":
    sys.exit(main())
