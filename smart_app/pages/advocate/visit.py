"""Ask the clinic for a visit by a form of two or three minutes, with the program's own release; the same way in as a
FHIR system's referral has."""

from __future__ import annotations

import uuid

import orjson
from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from fhir_profiles.referral_service_request import NEEDS
from fhir_profiles.release_consent import DEFAULT_DAYS
from fhir_profiles.release_signer import SIGNERS
from smart_app import guards
from smart_app.errors import InvalidError
from smart_app.pages.advocate.guard import partner, require_advocate, today
from smart_app.pages.advocate.words import say
from smart_app.policy.form_words import LANGUAGES, RELEASE_DAYS, VOICEMAIL_WORDS
from smart_app.workflows import inbound, inbox_request
from smart_app.workflows.inbox_request import RequestForm

blueprint = Blueprint("inbox_visit", __name__)
guards.protect(blueprint, require_advocate)

MEETS = {
    "safe-contact": "The clinic calls a safe number",
    "survivor-calls": "They call the clinic",
    "on-site": "We come along",
}
SPOKEN = {code: LANGUAGES[code] for code in ("en", "es", "vi", "zh", "ar", "ht")}  # here, most often


@blueprint.get("/ask")
def form() -> str:
    """Nothing is signed or answered beforehand."""
    return _show(RequestForm(alias="", meet="", once=str(uuid.uuid4())))


@blueprint.post("/ask")
def send() -> Response | tuple[str, int]:
    """Through the same door as a referral by FHIR; sent twice it is one."""
    services, typed, program = guards.services(), _parse(), partner()
    try:
        payload = inbox_request.bundle_of(
            typed,
            program=guards.requester().user_reference,
            clinic=services.site.organization_reference,
            today=today(),
        )
    except InvalidError as error:
        return _show(typed, problem=error.said), error.status
    inbound.accept(
        services.door,
        guards.requester(),
        program,
        payload,
        orjson.dumps(payload),
        services.site,
        services.now(),
        services.public_base_url,
    )
    return redirect("/asked/urgent" if typed.is_urgent else "/asked", 303)


@blueprint.get("/asked")
@blueprint.get("/asked/<urgent>")
def sent(urgent: str = "") -> str:
    """Received, and the telephone for what cannot wait."""
    return render_template("advocate/asked.html", is_urgent=urgent == "urgent")


def _show(typed: RequestForm, problem: str | None = None) -> str:
    return render_template(
        "advocate/ask.html",
        form=typed,
        meets=MEETS,
        voicemails=VOICEMAIL_WORDS,
        spoken=SPOKEN,
        needs=NEEDS,
        release_days=RELEASE_DAYS,
        problem=problem and say(problem),
    )


def _parse() -> RequestForm:
    typed = request.form
    is_called = typed.get("meet") == "safe-contact"
    once, days = typed.get("once", ""), typed.get("days", "")
    return RequestForm(
        once=once if _is_uuid(once) else str(uuid.uuid4()),
        alias=typed.get("alias", "").strip(),
        meet=typed.get("meet", ""),
        # A number left over from another choice is not a safe contact: it stays here (R13).
        phone=typed.get("phone", "").strip() if is_called else "",
        voicemail=typed.get("voicemail", "none"),
        say_as=typed.get("say_as", "").strip() if is_called else "",
        code_word=typed.get("code_word", "").strip(),
        language=typed.get("language", "") if typed.get("language") in SPOKEN else "",
        interpreter=typed.get("interpreter") == "yes",
        needs=tuple(typed.getlist("needs")),
        is_urgent=typed.get("urgent") == "yes",
        is_signed=typed.get("signed") == "yes",
        signer=typed.get("signer", "") if typed.get("signer") in SIGNERS else "",
        tells_time={"yes": True, "no": False}.get(typed.get("tells_time", "")),
        release_days=int(days) if days in map(str, RELEASE_DAYS) else DEFAULT_DAYS,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
