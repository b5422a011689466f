"""The program's people, for its admin: invite, and remove at once."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.errors import InvalidError, LockedError
from smart_app.pages.advocate.guard import inbox, member, partner, require_admin
from smart_app.pages.advocate.words import say
from smart_app.workflows import program_accounts

blueprint = Blueprint("inbox_team", __name__)
guards.protect(blueprint, require_admin)


@blueprint.get("/team")
def show() -> str:
    """Who has an account, and who has not finished."""
    return _page()


@blueprint.post("/team/invite")
def invite() -> str | tuple[str, int]:
    """The address and the code are shown this once: the address goes by any way, the code by voice."""
    is_admin = request.form.get("admin") == "yes"
    try:
        made = program_accounts.invite(
            inbox().accounts,
            partner().partner_id,
            request.form.get("name", ""),
            is_admin=is_admin,
            now=guards.services().now(),
        )
    except InvalidError as error:
        return _page(problem=error.said), error.status
    inbox().audit("inbox-invited", member())
    return _page(address=program_accounts.address_of(made, guards.services().public_base_url), code=made.code)


@blueprint.post("/team/<member_id>/remove")
def remove(member_id: str) -> Response | tuple[str, int]:
    """From their next click on they are out."""
    try:
        program_accounts.remove(inbox().accounts, member(), member_id)
    except LockedError as error:
        return _page(problem=error.said), error.status
    inbox().audit("inbox-removed", member())
    return redirect("/team", 303)


def _page(problem: str | None = None, address: str = "", code: str = "") -> str:
    return render_template(
        "advocate/team.html",
        people=inbox().accounts.members(partner().partner_id),
        me=member(),
        problem=problem and say(problem),
        address=address,
        code=code,
    )
