"""Connect with an advocate: who answers, how the two will meet, exactly what leaves, and what became of it.

No disclosure is needed (R1). What was shown before sending is what is sent: the form is kept sealed with the launch
between the two steps, and the second step names it.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time
from importlib import resources
from zoneinfo import ZoneInfo

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from fhir_profiles.referral_service_request import NEEDS
from fhir_profiles.release_consent import DEFAULT_DAYS
from fhir_profiles.safe_contact import VOICEMAILS
from smart_app import guards, privacy_question
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy import minors, placement
from smart_app.policy.form_words import LANGUAGES, RELEASE_DAYS, VOICEMAIL_WORDS
from smart_app.ports import Partner
from smart_app.workflows import follow_up, referral, release

blueprint = Blueprint("referral", __name__)
guards.protect(blueprint, guards.require_clinician)

ALIASES = tuple(resources.files(__package__).joinpath("aliases.txt").read_text(encoding="utf-8").split())
SENDS = ("send", "send-and-copy")
CLOSING_WORDS = {
    "patient-reports-connected": "They are in touch",
    "handoff-made": "We brought them together",
    "no-information": "No news: close it",
}
REVIEW, SENT = "connect-review", "connect-sent"


@dataclass(frozen=True)
class _Typed:
    """What a person chose in the first step, as typed; ``workflows.referral`` is the one that judges it."""

    alias: str
    language: str
    meet: str = ""
    phone: str = ""
    voicemail: str = VOICEMAILS[0]
    say_as: str = ""
    code_word: str = ""
    needs: list[str] = field(default_factory=list)
    release_days: int = DEFAULT_DAYS
    day: str = ""
    at: str = ""
    has_interpreter: bool = False


@blueprint.get("/v/<launch_id>/connect")
def choose(launch_id: str) -> Response | str:
    """Straight to the program that fits best: it takes referrals, has room and speaks the patient's language. The
    others stand below it."""
    partners = _open_partners()
    if not partners:
        return render_template("no_partner.html")
    return redirect(url_for("referral.form", launch_id=launch_id, partner_id=partners[0].partner_id), 303)


@blueprint.get("/v/<launch_id>/connect/<partner_id>")
def form(launch_id: str, partner_id: str) -> Response | str:
    """How will the two meet? Nothing is chosen beforehand (R13)."""
    if not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    if guards.launch().encounter_id is None and guards.recall(guards.REASON_WITHOUT_ENCOUNTER) is None:
        return redirect(url_for("chart.ask_reason", launch_id=launch_id, step="connect"), 303)
    partner = _partner(partner_id)
    if _is_minor():
        return render_template("locked.html", words="Call instead of sending", next_step=minors.LOCKED_WORDS)
    kept = guards.recall(REVIEW)
    typed = _Typed(**kept["typed"]) if kept and kept["partner_id"] == partner_id else _untouched()
    return _show_form(partner, typed)


@blueprint.post("/v/<launch_id>/connect/<partner_id>")
def go_on(launch_id: str, partner_id: str) -> Response | str:
    """See what is sent, send it, or call together."""
    privacy_question.require_attested()
    partner = _partner(partner_id)
    step, signed = request.form.get("step"), request.form.get("signed", "")
    if step == "call" or (step in SENDS and signed == "cannot-sign"):
        return render_template("call_together.html", partner=partner, site_name=guards.services().site.name)
    if step == "review":
        return _review(partner, _parse())
    if step in SENDS:
        return _send(launch_id, partner, signed, wants_copy=step == "send-and-copy")
    raise InvalidError


@blueprint.get("/v/<launch_id>/sent/<case_id>")
def sent(launch_id: str, case_id: str) -> Response | str:
    """What became of it, in plain words, and where each item lives."""
    if not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    services = guards.services()
    status = referral.status_of(services.door, guards.requester(), case_id, services.now())
    partner = services.directory.partner(status.partner_id)
    kept = guards.recall(SENT) or {}
    return render_template(
        "sent.html",
        status=status,
        partner=partner,
        just_sent=kept if kept.get("case_id") == case_id else None,
        closing=CLOSING_WORDS.items(),
        follow_url=f"/follow?item={case_id}" if services.demo is not None else None,
    )


@blueprint.get("/v/<launch_id>/sent/<case_id>/back")
def ask_back(launch_id: str, case_id: str) -> Response | str:
    """The patient takes it back: what that stops and what it does not, once, before it is done. No reason is asked."""
    if not privacy_question.is_attested():
        return redirect(url_for("entry.home", launch_id=launch_id), 303)
    services = guards.services()
    status = referral.status_of(services.door, guards.requester(), case_id, services.now())
    if status.is_taken_back:
        return redirect(url_for("referral.sent", launch_id=launch_id, case_id=case_id), 303)
    return render_template("take_back.html", status=status, partner=services.directory.partner(status.partner_id))


@blueprint.post("/v/<launch_id>/sent/<case_id>/back")
def take_back(launch_id: str, case_id: str) -> Response:
    """By voice is enough, at once, and whether or not a visit is open (R11)."""
    privacy_question.require_private_moment()
    services = guards.services()
    release.withdraw(services.door, guards.requester(), case_id, services.now())
    return redirect(url_for("referral.sent", launch_id=launch_id, case_id=case_id), 303)


@blueprint.post("/v/<launch_id>/sent/<case_id>/close")
def close(launch_id: str, case_id: str) -> Response:
    """How it went, as the patient tells it at a later visit; "no news" is a full answer and is not asked again."""
    privacy_question.require_private_moment()
    services = guards.services()
    follow_up.close(services.door, guards.requester(), case_id, request.form.get("outcome", ""), services.now())
    return redirect(url_for("referral.sent", launch_id=launch_id, case_id=case_id), 303)


def _review(partner: Partner, typed: _Typed) -> str | Response:
    try:
        items = _preview(partner, typed)
    except InvalidError as error:
        return _show_form(partner, typed, problem=error.said)
    review = str(uuid.uuid4())
    guards.remember(REVIEW, {"review": review, "partner_id": partner.partner_id, "typed": asdict(typed)})
    return _show_review(partner, typed, review, items)


def _send(launch_id: str, partner: Partner, signed: str, *, wants_copy: bool) -> Response | str:
    """Send what was reviewed, once. Pressing Send twice leads to the same page (attack 8); a review that is no longer
    the last one is refused (attack 10)."""
    review, sent_before = request.form.get("review", ""), guards.recall(SENT)
    if sent_before is None or sent_before["review"] != review:
        kept = guards.recall(REVIEW)
        if not review or kept is None or kept["review"] != review or kept["partner_id"] != partner.partner_id:
            raise ConflictError
        typed = _Typed(**kept["typed"])
        services = guards.services()
        if signed not in referral.SIGNED:
            items = _preview(partner, typed)
            return _show_review(partner, typed, review, items, problem="Has the patient signed? Choose one.")
        wanted = _form(partner, typed, signed=signed, wants_copy=wants_copy, once=review)
        result = referral.send(services, guards.requester(), wanted, services.now())
        g.followed = result.task_reference
        sent_before = {
            "review": review,
            "case_id": result.case_id,
            "place_words": result.place_words,
            "lines_by_hand": result.lines_by_hand,
        }
        guards.remember(SENT, sent_before)
        guards.remember(REVIEW, None)
    return redirect(url_for("referral.sent", launch_id=launch_id, case_id=sent_before["case_id"]), 303)


def _preview(partner: Partner, typed: _Typed) -> list[str]:
    services = guards.services()
    return referral.preview(_form(partner, typed), services.site, partner, services.now())


def _show_form(partner: Partner, typed: _Typed, *, problem: str | None = None) -> Response | str:
    page = render_template(
        "connect.html",
        partner=partner,
        takes_data=_takes_data(partner),
        is_full=_is_full(partner),
        others=[p for p in _open_partners() if p.partner_id != partner.partner_id],
        form=typed,
        problem=problem,
        voicemails=VOICEMAIL_WORDS.items(),
        needs=NEEDS.items(),
        languages=LANGUAGES,
        release_days=RELEASE_DAYS,
    )
    return page if problem is None else Response(page, InvalidError.status, content_type="text/html; charset=utf-8")


def _show_review(
    partner: Partner, typed: _Typed, review: str, items: list[str], *, problem: str | None = None
) -> Response | str:
    patient = guards.patient()
    page = render_template(
        "review.html",
        partner=partner,
        form=typed,
        review=review,
        items=items,
        problem=problem,
        # Initials and age: a last look against the wrong chart (attack 10).
        check=f"{patient.initials}, {patient.age} years.",
        may_copy=_may_copy(),
        ehr_name=_ehr_name(),
    )
    return page if problem is None else Response(page, InvalidError.status, content_type="text/html; charset=utf-8")


def _parse() -> _Typed:
    """The first step's form. A field that a person cannot have typed wrong is read as it is; the workflow judges."""
    typed = request.form
    is_by_phone, is_at_clinic = typed.get("meet") == "safe-contact", typed.get("meet") == "clinic-phone"
    days = typed.get("release_days", str(DEFAULT_DAYS))
    return _Typed(
        alias=typed.get("alias", "").strip(),
        language=typed.get("language", ""),
        meet=typed.get("meet", ""),
        # A number left over from another choice is not a safe contact: it stays here (R13).
        phone=typed.get("phone", "").strip() if is_by_phone else "",
        voicemail=typed.get("voicemail", VOICEMAILS[0]),
        say_as=typed.get("say_as", "").strip() if is_by_phone else "",
        code_word=typed.get("code_word", "").strip(),
        needs=typed.getlist("needs"),
        release_days=int(days) if days.isascii() and days.isdigit() and len(days) < 4 else 0,
        day=typed.get("day", "") if is_at_clinic else "",
        at=typed.get("at", "") if is_at_clinic else "",
        # Part of what is reviewed: an answer changed in between must not change what is sent (R12).
        has_interpreter=(privacy_question.attestation() or {}).get("interpreter") == "trained",
    )


def _form(
    partner: Partner, typed: _Typed, *, signed: str = "", wants_copy: bool = False, once: str = ""
) -> referral.ReferralForm:
    return referral.ReferralForm(
        partner_id=partner.partner_id,
        meet=typed.meet,
        alias=typed.alias,
        signed=signed,
        phone=typed.phone or None,
        voicemail=typed.voicemail if typed.phone else None,
        say_as=typed.say_as or None,
        code_word=typed.code_word or None,
        language=typed.language or None,
        interpreter=True if typed.has_interpreter else None,
        at=_instant(typed),
        needs=tuple(typed.needs),
        release_days=typed.release_days,
        wants_ehr_copy=wants_copy,
        once=once,
    )


def _instant(typed: _Typed) -> datetime | None:
    """Day and time at the clinic's phone, on the clinic's clock; both or neither. Raises ``InvalidError``."""
    if not typed.day and not typed.at:
        return None
    try:
        local = datetime.combine(date.fromisoformat(typed.day), time.fromisoformat(typed.at))
    except ValueError:
        raise InvalidError("Write the day and the time of the call, or leave both empty.", rule="R13") from None
    zone = ZoneInfo(guards.services().site.time_zone)
    return local.replace(tzinfo=zone).astimezone(UTC)


def _untouched() -> _Typed:
    """A name to use from our own list, never near the real one, and the chart's language."""
    patient = guards.patient()
    real = patient.name.lower()
    aliases = [alias for alias in ALIASES if alias.lower() not in real]
    return _Typed(alias=secrets.choice(aliases), language=patient.language)


def _open_partners() -> list[Partner]:
    """Programs with a current agreement (R19), the best fit first."""
    services = guards.services()
    now = services.now()
    language = guards.patient().language

    def misfit(partner: Partner) -> tuple[bool, bool, bool, str]:
        return (not _takes_data(partner), _is_full(partner), language not in partner.languages, partner.name)

    current = (p for p in services.directory.partners() if services.mou_gate.is_open(p.partner_id, now))
    return sorted(current, key=misfit)


def _takes_data(partner: Partner) -> bool:
    """By its FHIR system, or in its inbox here."""
    return partner.fhir_address is not None or partner.inbox_alert is not None


def _is_full(partner: Partner) -> bool:
    """It said so, for good or for today."""
    services = guards.services()
    today = services.now().astimezone(ZoneInfo(services.site.time_zone)).date()
    return partner.is_full(today)


def _partner(partner_id: str) -> Partner:
    found = next((p for p in _open_partners() if p.partner_id == partner_id), None)
    if found is None:
        raise NothingToShowError(rule="R19")
    return found


def _is_minor() -> bool:
    return minors.is_locked(guards.patient().birth_date, guards.services().now().date())


def _may_copy() -> bool:
    services, launch = guards.services(), guards.launch()
    return placement.decide(
        services.placement,
        registration_id=launch.registration_id,
        resource_type="ServiceRequest",
        patient_id=launch.patient_id or "",
        patient_wants_ehr_copy=True,
        today=services.now().date(),
    ).has_ehr_copy


def _ehr_name() -> str:
    registration = guards.services().placement.registrations.get(guards.launch().registration_id)
    return registration.ehr_name if registration else "this EHR"
