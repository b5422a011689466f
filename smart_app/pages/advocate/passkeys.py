"""One's own passkeys: two at least, more if wanted; recovery codes, shown once."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.errors import LockedError
from smart_app.pages.advocate.guard import ONLY_PASSKEYS, inbox, member, require_person
from smart_app.pages.advocate.session import browser_session, sign_out
from smart_app.pages.advocate.sign_in import keep_challenge, take_challenge
from smart_app.pages.advocate.words import say
from smart_app.workflows import program_accounts

blueprint = Blueprint("inbox_passkeys", __name__)
guards.protect(blueprint, require_person)


@blueprint.get("/passkeys")
def show() -> str:
    """What is registered, and what is still missing."""
    return _page()


@blueprint.post("/passkeys")
def add() -> Response | tuple[str, int]:
    """One more. After a recovery code the next step is to sign in with it."""
    now = guards.services().now()
    try:
        program_accounts.register(
            inbox().accounts, inbox().passkeys, member(), request.form.get("answer", ""), take_challenge(), now
        )
    except LockedError as error:
        return _page(problem=error.said), error.status
    inbox().audit("inbox-passkey-added", member())
    if (
        member().is_ready
        and ONLY_PASSKEYS in browser_session()
        and program_accounts.may_finish(inbox().accounts, member())
    ):
        sign_out()
        return redirect("/sign-in", 303)
    return redirect("/passkeys", 303)


@blueprint.post("/passkeys/<int:number>/drop")
def drop(number: int) -> Response | tuple[str, int]:
    """A lost or old device."""
    try:
        program_accounts.drop_passkey(inbox().accounts, member(), number)
    except LockedError as error:
        return _page(problem=error.said), error.status
    inbox().audit("inbox-passkey-dropped", member())
    return redirect("/passkeys", 303)


@blueprint.post("/passkeys/codes")
def finish() -> str | tuple[str, int]:
    """New recovery codes, this once, in place of all older ones."""
    try:
        codes = program_accounts.finish(inbox().accounts, member(), guards.services().now())
    except LockedError as error:
        return _page(problem=error.said), error.status
    inbox().audit("inbox-recovery-codes-made", member())
    grouped = ["-".join(code[at : at + 5] for at in range(0, len(code), 5)) for code in codes]
    return render_template("advocate/codes.html", codes=grouped)


def _page(problem: str | None = None) -> str:
    known = inbox().accounts.passkeys(member().member_id)
    options, challenge = inbox().passkeys.options_to_register(member().member_id, known)
    keep_challenge(challenge)
    return render_template(
        "advocate/passkeys.html",
        passkeys=known,
        options=options,
        fewest=program_accounts.FEWEST_PASSKEYS,
        problem=problem and say(problem),
    )
