"""Words that a patient could have said are looked for in everything that is kept: raw, escaped, encoded, hashed."""

from __future__ import annotations

import json
from typing import Any

from smart_app.logs import FIELDS
from smart_app.proofs.canary_search import found_in, tables_of
from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance, Seat, sent_to_log
from smart_app.proofs.observers import AUTHOR, PATIENT
from smart_app.proofs.referrals import CANARIES
from smart_app.proofs.two_worlds import Bench

WORDS = (*CANARIES.values(), "Provewell")
ECHO = "Ombelrot-Gasworks-77"  # what a caller writes where it does not belong


def on_disk(bench: Bench) -> None:
    """Database, log of writes and settings of each world: no name, number or word of a patient in any form."""
    for variant, world in bench.worlds.items():
        files = [one for one in sorted(world.here.place.directory.iterdir()) if one.is_file()]
        require(any(one.name == "vault.sqlite3" for one in files), "no database was there to look at")
        found = found_in(WORDS, files)
        require(found == [], f"{variant}: {found[:3]}")


def in_the_clear(bench: Bench) -> None:
    """No table says which program a referral is with, whose it is or who made it."""
    for variant, world in bench.worlds.items():
        dumped = tables_of(world.here.database)
        for table in ("vault_case", "vault_resource", "delivery", "audit_row", "vault_receipt"):
            for word in ("harbor", "northside", PATIENT, AUTHOR, "Practitioner"):
                require(word not in dumped.get(table, ""), f"{variant}: {table} holds «{word}»")
        require(bool(dumped.get("vault_case")) and bool(dumped.get("vault_resource")), "nothing was there to look at")


def in_the_log(bench: Bench) -> None:
    """Log lines have the fixed fields and no other, and neither a path, a query nor a word of a caller, also when
    something breaks."""
    here = bench.without.here
    with here.undone():
        start = sent_to_log(here)
        _write_everywhere(here)
        lines = start()
    require(len(lines) > 20, f"only {len(lines)} log lines were written")
    for line in lines:
        require(line.startswith("{"), f"a log line is none of ours: «{line[:60]}»")
        fields = json.loads(line)
        require(set(fields) <= FIELDS, f"a log line has {sorted(set(fields) - FIELDS)}")
        require(ECHO not in line and "=" not in str(fields.get("route", "")), "a log line quotes a caller")
        require(PATIENT not in line and AUTHOR not in line, "a log line names somebody")


def in_answers(bench: Bench) -> None:
    """No error page, refusal or 500 repeats what a caller wrote; none holds a trace."""
    here = bench.without.here
    with here.undone():
        for asked, text in _write_everywhere(here):
            require(ECHO not in text, f"{asked} repeats what was written")
            require("Traceback" not in text and "sqlite" not in text.lower(), f"{asked} shows a trace")


def _write_everywhere(here: Instance) -> list[tuple[str, str]]:
    """A word in paths, queries, headers, forms and bodies, and a store that is gone: what came back for each."""
    clinician, program, person = here.launch(AUTHOR, PATIENT), here.program("harbor"), here.advocate("northside")
    word = {"csrf_token": clinician.token(), "alias": ECHO, "answer": ECHO, "step": ECHO, "reason": ECHO, "kind": ECHO}
    asked: list[tuple[Seat, str, str, dict[str, Any]]] = [
        *(
            (seat, "GET", f"{path}{ECHO}", {})
            for seat in (here.stranger(""), clinician, program, person)
            for path in ("/", "/?q=", "/x/")
        ),
        *(
            (clinician, "POST", path, {"form": word})
            for path in ("privacy", "note", "connect/harbor", "reason", "cards")
        ),
        *(
            (program, "POST", path, {"body": body, "content_type": "application/fhir+json"})
            for path in ("", "/Consent", "/Bundle/$validate")
            for body in (
                ECHO.encode(),
                b'{"resourceType":"Bundle","%s":1}' % ECHO.encode(),
                json.dumps({"resourceType": "Bundle", "type": ECHO, "entry": [{"resource": {ECHO: 1}}]}).encode(),
            )
        ),
        (here.stranger(""), "GET", f"/launch?iss=https://{ECHO}.example&launch={ECHO}", {}),
        (here.stranger(""), "GET", f"/callback?code={ECHO}&state={ECHO}", {}),
        (
            here.stranger(""),
            "POST",
            "/token",
            {"body": f"client_assertion={ECHO}".encode(), "content_type": "application/x-www-form-urlencoded"},
        ),
    ]
    answers = []
    for seat, method, path, more in asked:
        text = seat.ask(method, path, headers={"Referer": ECHO}, **more).get_data(as_text=True)
        answers.append((f"{method} {path}".replace(ECHO, "…"), text))
    with here.broken_store(ECHO):
        seats = ((clinician, ""), (clinician, "connect"), (program, "/Task"), (person, "/items"), (person, "/"))
        for seat, path in (*seats, (here.stranger(""), "/health")):
            answers.append((f"GET {path}, store gone", seat.ask("GET", path).get_data(as_text=True)))
    return answers


CHECKS: tuple[Check[Bench], ...] = (
    Check("canaries: on disk", "no word of a patient in any file, in any encoding", on_disk),
    Check("canaries: in a dump", "no table says who, with whom or about whom", in_the_clear),
    Check("canaries: in the log", "fixed fields only, no word of a caller, also when something breaks", in_the_log),
    Check("canaries: in answers", "no error page or refusal repeats what was written", in_answers),
)
