"""The way in: neutral front page, sign-in by passkey, invitation, recovery code, language, leaving. Open to anyone."""

from __future__ import annotations

import base64
import re

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from smart_app import guards
from smart_app.errors import InvalidError, LockedError
from smart_app.pages.advocate.guard import ONLY_PASSKEYS, inbox
from smart_app.pages.advocate.session import browser_session, sign_in, sign_out
from smart_app.pages.advocate.words import LANGUAGES, say
from smart_app.workflows import program_accounts

blueprint = Blueprint("inbox_front", __name__)
guards.protect(blueprint, guards.public)

CHALLENGE = "challenge"
PAGES = re.compile(r"/(sign-in|recover|passkeys|items|ask|desk|team|join/[A-Za-z0-9_-]{1,64}|items/[a-f0-9-]{36})")


@blueprint.get("/")
def front() -> str:
    """Where Hide leads, and what a stranger sees."""
    return render_template("advocate/front.html", is_back=browser_session().member_id is not None)


@blueprint.get("/phones")
def phones() -> str:
    """Numbers that work without signing in."""
    return render_template("advocate/phones.html")


@blueprint.get("/sign-in")
def ask_passkey() -> str:
    """Touch a passkey; nothing has to be typed."""
    return _show_sign_in()


@blueprint.post("/sign-in")
def take_passkey() -> Response | tuple[str, int]:
    """The passkey's answer to this browser's own question, which counts once."""
    try:
        member = program_accounts.sign_in(
            inbox().accounts, inbox().passkeys, request.form.get("answer", ""), take_challenge()
        )
    except LockedError as error:
        return _show_sign_in(problem=error.said), error.status
    sign_in(member.member_id, is_shared=request.form.get("shared") == "yes")
    inbox().audit("inbox-signed-in", member)
    return redirect("/items" if member.is_ready else "/passkeys", 303)


@blueprint.get("/join/<token>")
def ask_code(token: str) -> str:
    """An invitation: its code comes by voice."""
    return render_template("advocate/join.html", problem=None)


@blueprint.post("/join/<token>")
def take_code(token: str) -> Response | tuple[str, int]:
    """The right code opens the registration of passkeys, once."""
    try:
        member = program_accounts.join(inbox().accounts, token, request.form.get("code", ""), guards.services().now())
    except LockedError as error:
        return render_template("advocate/join.html", problem=say(error.said)), error.status
    sign_in(member.member_id, is_shared=True)
    inbox().audit("inbox-joined", member)
    return redirect("/passkeys", 303)


@blueprint.get("/recover")
def ask_recovery_code() -> str:
    """For somebody whose passkeys are lost."""
    return render_template("advocate/recover.html", problem=None)


@blueprint.post("/recover")
def take_recovery_code() -> Response | tuple[str, int]:
    """It opens the registration of a new passkey and nothing else."""
    try:
        member = program_accounts.recover(inbox().accounts, request.form.get("code", "")[:100])
    except LockedError as error:
        return render_template("advocate/recover.html", problem=say(error.said)), error.status
    sign_in(member.member_id, is_shared=True, **{ONLY_PASSKEYS: True})
    inbox().audit("inbox-recovery-code-used", member)
    return redirect("/passkeys", 303)


@blueprint.post("/language")
def choose_language() -> Response:
    """Kept with this browser session."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        raise InvalidError
    browser_session()["language"] = chosen
    back = request.form.get("back", "")
    return redirect(back if PAGES.fullmatch(back) else "/", 303)


@blueprint.post("/leave")
def leave() -> Response:
    """Hide, idle, sign out: it ends here. Elsewhere than at a shared computer an idle page is only emptied."""
    sign_out()
    return redirect("/", 303)


@blueprint.post("/rest")
def rest() -> Response:
    """A page that emptied itself at one's own computer: the session stays for its ten minutes."""
    return redirect("/", 303)


def keep_challenge(challenge: bytes) -> None:
    """For the next request of this browser session alone."""
    browser_session()[CHALLENGE] = base64.b64encode(challenge).decode()


def take_challenge() -> bytes:
    """Used up by looking. Raises ``LockedError`` when there is none."""
    kept = browser_session().pop(CHALLENGE, None)
    if not isinstance(kept, str):
        raise LockedError(program_accounts.NOT_SIGNED_IN)
    return base64.b64decode(kept)


def _show_sign_in(problem: str | None = None) -> str:
    options, challenge = inbox().passkeys.options_to_sign_in()
    keep_challenge(challenge)
    return render_template("advocate/sign_in.html", options=options, problem=problem and say(problem))
