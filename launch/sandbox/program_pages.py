"""What the advocate of the sandbox program sees: an inbox, one item, a form to refer someone, and what came back.

Plain pages without script. The list names nobody: an item says who it is about only once it was opened. No button is
shown that the clinic would refuse: until the survivor signed our release there is nothing to tell, only a phone.
"""

from __future__ import annotations

import re
import time
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for

from launch.sandbox.program_clinic import Answer, ClinicError
from launch.sandbox.program_messages import DECLINE_REASONS, NEEDS, Payload, Referral
from launch.sandbox.program_state import TIERS, Program, part_of

# Program and clinic are in one town. A visit is told with its zone: an hour off is somebody waiting alone.
ZONE = ZoneInfo("America/Chicago")
NEED_WORDS = {**NEEDS, "housing": "A place to stay", "legal": "Legal help", "food": "Food"}
MEET_WORDS = {
    "on-site": "Together at the clinic",
    "call-now": "By phone, now",
    "clinic-phone": "By phone at the clinic",
    "safe-contact": "We call the number below",
    "survivor-calls": "They call us",
}
VOICEMAIL_WORDS = {"none": "Do not leave a message", "silent": "Hang up in silence", "safe": "A message is safe"}
TIER_WORDS = {
    "none": "Nothing",
    "contact": "Whether we took it on, and that we made contact",
    "appointment": "Whether we took it on, that we made contact, and that a meeting is arranged",
    "outcome": "All of that, and how it ended",
}
STATUS_WORDS = {
    "requested": "New",
    "received": "The clinic has it",
    "accepted": "Accepted",
    "in-progress": "Under way",
    "on-hold": "On hold",
    "rejected": "Declined",
    "cancelled": "Closed by the clinic",
    "completed": "Completed",
    "failed": "Ended without result",
}
LANGUAGES = {"en": "English", "es": "Spanish"}
# action -> (button, least tier, statuses it is offered in, new status, business status)
ACTIONS: dict[str, tuple[str, str, tuple[str, ...], str, str | None]] = {
    "accept": ("Accept", "contact", ("requested",), "accepted", None),
    "contact": ("We made contact", "contact", ("accepted",), "in-progress", "contact-made"),
    "arranged": ("A meeting is arranged", "appointment", ("accepted", "in-progress"), "in-progress", "5.1.1"),
    "completed": ("It is completed", "outcome", ("accepted", "in-progress"), "completed", "5.1.4"),
}
_ORDER = ("none", *TIERS)
_PHONE = re.compile(r"\+?[0-9(][0-9 ().x/-]{2,28}[0-9]")


def blueprint(program: Program) -> Blueprint:
    """All pages."""
    pages = Blueprint("program", __name__)

    @pages.before_request
    def require_own_form() -> None:
        if request.method != "POST":
            return
        site = request.headers.get("Sec-Fetch-Site")
        if not (site == "same-origin" or (site is None and request.headers.get("Origin") == program.origin)):
            abort(403, "Open this page from the program's own address.")

    @pages.get("/")
    def inbox() -> str:
        sent = program.store.all("SELECT * FROM sent WHERE sender='harbor' ORDER BY sent_at DESC")
        return render_template(
            "program/inbox.html",
            items=[_item_line(item) for item in program.store.items()],
            sent=[_sent_line(row) for row in sent],
            said=request.args.get("said") == "sent",
        )

    @pages.get("/items/<uuid:item_id>")
    def item(item_id: Any) -> str:
        return _item_page(_found(item_id))

    @pages.post("/items/<uuid:item_id>/open")
    def open_item(item_id: Any) -> Response:
        program.store.run(
            "UPDATE item SET opened_at=? WHERE item_id=? AND opened_at IS NULL", time.time(), str(item_id)
        )
        return _back_to(item_id)

    @pages.post("/items/<uuid:item_id>/release")
    def release(item_id: Any) -> Response:
        found, tier, signer = _found(item_id), request.form.get("tier"), request.form.get("signer")
        if tier not in TIERS or signer not in ("self", "representative-not-abuser"):
            return _say(item_id, "Choose how far the release goes and who signed it.")
        try:
            answer = program.record_release(found["task_url"], tier, signer)
        except ClinicError as error:
            return _say(item_id, str(error))
        is_taken = answer.status in (200, 201, 202)
        return _say(item_id, "The clinic has the release." if is_taken else _refused(answer))

    @pages.post("/items/<uuid:item_id>/status")
    def status(item_id: Any) -> Response:
        found, action, reason = _found(item_id), request.form.get("action", ""), request.form.get("reason")
        offered = {name for name, _ in _offered(found)} | ({"decline"} if _may_decline(found) else set())
        if action not in offered or (action == "decline" and reason not in DECLINE_REASONS):
            return _say(item_id, "Choose one of the steps shown, and a reason if you decline.")
        try:
            if action == "decline":
                answer = program.report(found["task_url"], status="rejected", reason=reason)
            else:
                _, _, _, new, business = ACTIONS[action]
                answer = program.report(found["task_url"], status=new, business_status=business)
        except ClinicError as error:
            return _say(item_id, str(error))
        return _say(item_id, "The clinic was told." if answer.status == 200 else _refused(answer))

    @pages.get("/refer")
    def refer_form() -> str:
        return _refer_page({}, "")

    @pages.post("/refer")
    def refer() -> Response:
        form = {name: value.strip() for name, value in request.form.items()}
        problem = _problem(form)
        if problem:
            return make_response(_refer_page(form, problem), 422)
        try:
            answer, _ = program.refer("harbor", _referral(form))
        except ClinicError as error:
            return make_response(_refer_page(form, str(error)), 502)
        if answer.status not in (200, 202):
            return make_response(_refer_page(form, _refused(answer)), 502)
        return _redirect(url_for("program.inbox", said="sent"))

    @pages.post("/sent/<uuid:sent_id>/ask")
    def ask(sent_id: Any) -> Response:
        try:
            program.ask_back(str(sent_id))
        except LookupError:
            abort(404)
        except ClinicError as error:
            return make_response(render_template("program/sentence.html", sentence=str(error)), 502)
        return _redirect(url_for("program.inbox"))

    def _found(item_id: Any) -> Any:
        found = program.store.item(str(item_id))
        if found is None:
            abort(404)
        return found

    def _say(item_id: Any, words: str) -> Response:
        program.store.run("UPDATE item SET said=? WHERE item_id=?", words, str(item_id))
        return _back_to(item_id)

    def _back_to(item_id: Any) -> Response:
        return _redirect(url_for("program.item", item_id=item_id))

    def _item_page(found: Any) -> str:
        if found["said"]:
            program.store.run("UPDATE item SET said='' WHERE item_id=?", found["item_id"])
        return render_template(
            "program/item.html",
            item=_item_line(found),
            said=found["said"],
            facts=_facts(found) if found["opened_at"] else [],
            tiers=[(tier, TIER_WORDS[tier]) for tier in TIERS],
            tier_words=TIER_WORDS[found["tier"]],
            actions=_offered(found),
            may_decline=_may_decline(found),
            reasons=DECLINE_REASONS.items(),
        )

    def _refer_page(form: dict[str, str], problem: str) -> str:
        chosen = set(request.form.getlist("need")) if request.method == "POST" else set()
        return render_template(
            "program/refer.html",
            form=form,
            problem=problem,
            needs=[(code, words, code in chosen) for code, words in NEEDS.items()],
            voicemails=VOICEMAIL_WORDS.items(),
            languages=LANGUAGES.items(),
        )

    return pages


def _redirect(address: str) -> Response:
    return make_response(redirect(address, 303))


def _refused(answer: Answer) -> str:
    return f"The clinic did not take it (HTTP {answer.status}). Nothing was changed. Call the clinic instead."


def _problem(form: dict[str, str]) -> str:
    """The first thing that is missing in the referral form, as a sentence; empty when it can be sent."""
    if not form.get("alias") or len(form["alias"]) > 40 or not form["alias"].isprintable():
        return "Write the name they want to be called by, 40 characters at most."
    if form.get("meet") not in ("safe-contact", "survivor-calls"):
        return "Choose how they and the clinic will meet."
    if form["meet"] == "safe-contact" and not _PHONE.fullmatch(form.get("phone", "")):
        return "Write the phone number the clinic may call."
    if form.get("voicemail", "none") not in VOICEMAIL_WORDS or form.get("language", "en") not in LANGUAGES:
        return "Choose one of the options shown."
    for name, most in (("say_as", 60), ("code_word", 40)):
        if len(form.get(name, "")) > most or not form.get(name, "").isprintable():
            return "Keep the words short, on one line."
    if form.get("signer") not in ("self", "representative-not-abuser"):
        return "Choose who signed the release. Without a signed release nothing is sent."
    return ""


def _referral(form: dict[str, str]) -> Referral:
    is_called = form["meet"] == "safe-contact"
    return Referral(
        alias=form["alias"],
        phone=form["phone"] if is_called else None,
        voicemail=form.get("voicemail", "none"),
        say_as=form.get("say_as") or None,
        code_word=form.get("code_word") or None,
        language=form.get("language") or None,
        needs=tuple(need for need in request.form.getlist("need") if need in NEEDS),
        tells_time=form.get("tells_time") == "yes",
        signer=form["signer"],
    )


def _offered(item: Any) -> list[tuple[str, str]]:
    """The steps that the release allows now: (action, button)."""
    if not item["opened_at"]:
        return []
    reach = _ORDER.index(item["tier"])
    return [
        (name, button)
        for name, (button, tier, statuses, _, business) in ACTIONS.items()
        if reach >= _ORDER.index(tier)
        and item["status"] in statuses
        and (business is None or business != item["business_status"])
    ]


def _may_decline(item: Any) -> bool:
    return bool(item["opened_at"] and item["tier"] != "none" and item["status"] == "requested")


def _item_line(item: Any) -> dict[str, Any]:
    return {
        "id": item["item_id"],
        "received": _clock(item["received_at"]),
        "is_open": bool(item["opened_at"]),
        "opened": _clock(item["opened_at"]) if item["opened_at"] else "",
        "tier": item["tier"],
        "status": STATUS_WORDS.get(item["status"], "New"),
    }


def _sent_line(row: Any) -> dict[str, Any]:
    return {
        "id": row["sent_id"],
        "alias": row["alias"],
        "sent": _clock(row["sent_at"]),
        "status": "The clinic has it" if row["status"] == "requested" else STATUS_WORDS.get(row["status"], "Unknown"),
        "visit": _moment(row["visit_start"]),
        "asked": _clock(row["asked_at"]) if row["asked_at"] else "",
    }


def _facts(item: Any) -> list[tuple[str, str]]:
    """What the clinic sent, line by line, in words."""
    patient, request_, task = (part_of(item["raw"], kind) for kind in ("Patient", "ServiceRequest", "Task"))
    contact = _contact(request_)
    lines = [("Name to use", str(patient["name"][0]["given"][0]))]
    lines.append(("How you meet", MEET_WORDS.get(str(contact.get("meet")), "Ask the clinic")))
    if "telecom" in contact:
        lines.append(("Phone", str(contact["telecom"].get("value", ""))))
        lines.append(("Voicemail", VOICEMAIL_WORDS.get(str(contact.get("voicemail", "none")), VOICEMAIL_WORDS["none"])))
    else:
        lines.append(("Contact", "Do not contact. No number was given on purpose."))
    labels = {"sayAs": "Say you are", "codeWord": "Their word", "language": "Language", "expiresOn": "Contact ends on"}
    for name, words in labels.items():
        if name in contact:
            lines.append((words, _in_words(name, str(contact[name]))))
    needs = [NEED_WORDS[code] for code in _needs(request_) if code in NEED_WORDS]
    if needs:
        lines.append(("They ask for", ", ".join(needs)))
    lines.append(("Please act by", _moment(task["restriction"]["period"]["end"])))
    return lines


def _in_words(name: str, value: str) -> str:
    if name == "language":
        return LANGUAGES.get(value, value)
    if name == "expiresOn" and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return date.fromisoformat(value).strftime("%-d %B %Y")
    return value


def _contact(service_request: Payload) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for extension in service_request.get("extension") or []:
        for part in extension.get("extension") or []:
            found[part.get("url", "")] = next((v for k, v in part.items() if k.startswith("value")), "")
    return found


def _needs(service_request: Payload) -> list[str]:
    return [detail["coding"][0]["code"] for detail in service_request.get("orderDetail") or []]


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, ZONE).strftime("%-d %b, %H:%M")


def _moment(text: str | None) -> str:
    if not text:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(ZONE).strftime("%A %-d %B, %H:%M, Central time")
    except ValueError:
        return ""
