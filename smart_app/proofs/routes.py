"""Role × relation × route, from the URL map: who may open which page is written down here a second time."""

from __future__ import annotations

import secrets

from smart_app import guards
from smart_app.proofs.check import Check, require
from smart_app.proofs.headers import routes
from smart_app.proofs.instance import PARTNER_SCOPES, Instance, Seat
from smart_app.proofs.observers import AUTHOR, INBOUND, OTHER_PATIENT, OUT_TO_INBOX, OUT_TO_SYSTEM, PATIENT
from smart_app.proofs.recording import alike
from smart_app.proofs.two_worlds import Bench

CLINICIANS = frozenset({"dr-lee", "nurse-ortiz", "ma-brooks", "sw-haddad", "bh-novak"})
DESKS = frozenset({"sched-kim", "coord-ellis", "officer-grant", "lead-osei", "it-raman"})
# Blueprint -> who may open its pages. A new blueprint under a launch has to be written down here.
MAY_OPEN: dict[str, frozenset[str]] = {
    "chart": CLINICIANS,
    "disclosure": CLINICIANS,
    "education": CLINICIANS,
    "referral": CLINICIANS,
    "schedule": frozenset({"sched-kim"}),
    "follow_up": frozenset({"coord-ellis"}),
    "privacy": frozenset({"officer-grant"}),
    "audit_trail": frozenset({"officer-grant"}),
    "holds": frozenset({"officer-grant"}),
    "left_out": CLINICIANS,
    "decisions": frozenset({"officer-grant", "lead-osei"}),
    "patient_copy": frozenset({"officer-grant", "lead-osei"}),
    "partnership": frozenset({"lead-osei"}),
    "registrations": frozenset({"it-raman"}),
    "launch_check": frozenset({"it-raman"}),
}
FOR_EACH = frozenset({"entry", "phones_in_launch", "ehr_colors"})  # whoever has a role and a launch
DENIED = frozenset({403, 404})
# Pages without an id in them do open for their own role: the rest is denied for who asks, not for what is asked.
OPENED = frozenset({"cards", "connect", "queue", "contacts", "alerts", "agreements", "registrations"})


def by_role(bench: Bench) -> None:
    """Each person of the clinic at each page and form: the own ones open, all others are "Nothing to show here"."""
    here = bench.without.here
    with here.undone():
        for user in sorted(CLINICIANS | DESKS):
            seat = here.launch(user, PATIENT if user in CLINICIANS else None)
            start, token = seat.path, {"csrf_token": seat.token()}
            seat.path = ""
            for rule, path in routes(here.clinic, launch_id=seat.launch_id):
                blueprint = rule.endpoint.partition(".")[0]
                if not rule.rule.startswith("/v/<launch_id>/") or blueprint in FOR_EACH:
                    continue
                allowed = MAY_OPEN.get(blueprint)
                require(allowed is not None, f"nobody wrote down who may open {blueprint}")
                for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                    answer = seat.ask(method, path, form=token if method == "POST" else None)
                    status, said = answer.status_code, f"{user}: {method} {rule.rule}"
                    if allowed is not None and user not in allowed and not _is_check_of_test(user, blueprint):
                        require(status in DENIED, f"{said}: {status}")
                    elif method == "GET" and path.removeprefix(start) in OPENED:
                        require(status in (200, 303), f"{said}: {status}")


def _is_check_of_test(user: str, blueprint: str) -> bool:
    """In a test environment the launch check of a listed test patient is open to whoever launched."""
    return blueprint == "launch_check" and user in CLINICIANS


def by_relation(bench: Bench) -> None:
    """The item by its own ids: its author sees it; from another chart, another EHR, without a visit, at another desk
    or program it is what nothing is, in the same bytes."""
    for variant in (OUT_TO_SYSTEM, OUT_TO_INBOX, INBOUND):
        world, none = bench.worlds[variant], bench.without.ids
        here = world.here
        with here.undone():
            sent, visit = f"sent/{world.ids.case}", f"queue/{world.ids.visit}"
            others: list[tuple[str, Seat, str, str]] = [
                ("another chart", _asked(here.launch(AUTHOR, OTHER_PATIENT)), sent, f"sent/{none.case}"),
                ("another EHR", _asked(here.launch(AUTHOR, PATIENT, registration="b")), sent, f"sent/{none.case}"),
                ("no visit", _asked(here.launch("ma-brooks", PATIENT, has_visit=False)), sent, f"sent/{none.case}"),
                ("a desk", here.launch("coord-ellis", None), visit, f"queue/{none.visit}"),
                ("the officer", here.launch("officer-grant", None), sent, f"sent/{none.case}"),
            ]
            if variant != OUT_TO_INBOX:
                task, nobody = f"/Task/{world.ids.task}", f"/Task/{none.task}"
                others.append(("another program", here.program("northside"), task, nobody))
                others.append(
                    ("another inbox", here.advocate("northside"), f"/items/{world.ids.case}", f"/items/{none.case}")
                )
            for who, seat, it, nothing in others:
                got, absent = seat.record("GET", it), seat.record("GET", nothing)
                same = (got.status, alike(got.body), alike(got.headers), got.statements)
                want = (404, alike(absent.body), alike(absent.headers), absent.statements)
                require(
                    same == want,
                    f"{variant}, {who}: {got.status} with {got.statements} statements, "
                    f"absent {absent.status} with {absent.statements}",
                )
            _sees_it(here, variant, sent, visit)


def _sees_it(here: Instance, variant: str, sent: str, visit: str) -> None:
    on_it = here.launch("sched-kim", None) if variant == INBOUND else _asked(here.launch(AUTHOR, PATIENT))
    status = on_it.ask("GET", visit if variant == INBOUND else sent).status_code
    require(status == 200, f"{variant}: who is on it gets {status}")


def _asked(seat: Seat) -> Seat:
    """After the privacy question."""
    form = {"answer": "alone", "limits_said": "yes", "interpreter": "none", "csrf_token": seat.token()}
    seat.ask("POST", "privacy", form=form)
    return seat


def by_cookie(bench: Bench) -> None:
    """A launch belongs to the browser that made it: with no cookie, a wrong one, another person's, or that of the
    same person's other launch, it is not there."""
    here = bench.without.here
    with here.undone():
        mine, theirs = here.launch(AUTHOR, PATIENT), here.launch("nurse-ortiz", PATIENT)
        require(mine.ask("GET", "cards").status_code == 200, "the own launch does not open")
        other = here.launch(AUTHOR, OTHER_PATIENT).headers["Cookie"]
        wrong = "__Host-cc=" + secrets.token_urlsafe(32)
        for what, cookie in (("none", ""), ("wrong", wrong), ("theirs", theirs.headers["Cookie"]), ("other", other)):
            for path in ("", "cards", "connect", "note", "phones", "colors.css"):
                seat = Seat(here, here.clinic, mine.path, {"Cookie": cookie} if cookie else {})
                status = seat.ask("GET", path).status_code
                require(status == 404 or (path == "phones" and status == 200), f"cookie {what}, {path}: {status}")


def by_token(bench: Bench) -> None:
    """A program's system without a living token gets 401 everywhere, one whose scope is too small 403, and neither
    asks the vault."""
    here = bench.without.here
    with here.undone():
        for headers in ({}, {"Authorization": "Bearer nobody-s"}, {"Authorization": "Basic abc"}):
            seat = Seat(here, here.clinic, "", headers)
            for rule, path in routes(here.clinic):
                if guards.guard_names(here.clinic).get(rule.endpoint.partition(".")[0]) != "require_partner":
                    continue
                for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                    one = seat.record(method, path)
                    require(one.status == 401 and one.statements <= 1, f"{method} {rule.rule}: {one.status}")
        for left_out, method, path in (
            ("system/Task.crus", "GET", "/Task"),
            ("system/Appointment.cr", "GET", "/Appointment/x"),
        ):
            seat = here.program("harbor", scopes=PARTNER_SCOPES.replace(left_out, ""))
            status = seat.ask(method, path).status_code
            require(status == 403, f"{path} without {left_out}: {status}")


CHECKS: tuple[Check[Bench], ...] = (
    Check("routes: by role", "each role opens its own pages and nothing else", by_role),
    Check(
        "routes: by relation",
        "who is not on the item gets what is not there, to the byte and the statement",
        by_relation,
    ),
    Check("routes: by cookie", "a launch id opens nothing but for its own browser", by_cookie),
    Check("routes: by token", "no token 401, too small a scope 403, before any look-up", by_token),
)
