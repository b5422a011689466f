"""What the program says about itself: full today, somebody there now; how its people are told that an item waits."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.errors import InvalidError, NothingToShowError
from smart_app.inbox_ports import AlertRoute, Route
from smart_app.pages.advocate.guard import inbox, member, partner, require_advocate, today
from smart_app.pages.advocate.words import say

blueprint = Blueprint("inbox_desk", __name__)
guards.protect(blueprint, require_advocate)

ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+){1,8}")


@blueprint.get("/desk")
def show() -> str:
    """Room, hours, alert."""
    return _page()


@blueprint.post("/desk/full")
def say_full() -> Response:
    """A fact about the program, for today; nobody who is referred is named by it."""
    inbox().facts.set_full(partner().partner_id, today() if request.form.get("full") == "yes" else None)
    return redirect("/items" if request.form.get("from") == "items" else "/desk", 303)


@blueprint.post("/desk/answering")
def say_answering() -> Response:
    """Is somebody there now? The clinic sees it beside the program's phone."""
    inbox().facts.set_answering(partner().partner_id, request.form.get("answering") == "yes")
    return redirect("/desk", 303)


@blueprint.post("/desk/route")
def choose_route() -> Response | tuple[str, int]:
    """The admin's choice; a new route is tested by an item that a person opens."""
    if not member().is_admin:
        raise NothingToShowError(rule="R19")
    try:
        route = _route()
    except InvalidError as error:
        return _page(problem=error.said), error.status
    inbox().routes.choose(partner().partner_id, route)
    inbox().audit("inbox-alert-route-chosen", member())
    return redirect("/desk", 303)


def _route() -> AlertRoute:
    chosen, address = request.form.get("route"), request.form.get("address", "").strip()
    if chosen == Route.PHONE.value:
        return AlertRoute(Route.PHONE)
    if chosen != Route.EMAIL.value or not inbox().has_mail:
        raise InvalidError("Choose how you want to be told.")
    if not ADDRESS.fullmatch(address) or len(address) > 150:
        raise InvalidError("Write one e-mail address.")
    return AlertRoute(Route.EMAIL, address=address)


def _page(problem: str | None = None) -> str:
    program = partner()
    return render_template(
        "advocate/desk.html",
        is_full=program.full_on == today(),
        is_answering=program.is_answering,
        is_live=program.inbox_alert is not None,
        route=inbox().routes.of(program.partner_id),
        has_mail=inbox().has_mail,
        problem=problem and say(problem),
    )
