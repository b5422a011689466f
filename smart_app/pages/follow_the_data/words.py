"""What a newcomer reads on the page: kinds, types, labels, and for each reader the decision rule in one sentence."""

from __future__ import annotations

from smart_app.ports import CaseKind

KIND_WORDS = {
    CaseKind.DISCLOSURE: "A protected note",
    CaseKind.REFERRAL: "A referral to a program",
    CaseKind.INBOUND: "A referral from a program",
}
TYPES = {
    "Observation": "What the patient told, as one coded fact",
    "Patient": "The person, under the name to use",
    "Consent": "The patient's release{to}: who may get what, until when",
    "ServiceRequest": "What is asked, and how the two will meet",
    "Task": "Where it stands",
    "Appointment": "The visit",
}
LABEL_WORDS = {
    "V": "very restricted: only who treats this person, or whom a release names",
    "R": "restricted",
    "N": "normal",
    "L": "low",
    "SDV": "about domestic or sexual violence: a locked compartment of its own",
    "NORDSCLCD": "may not be passed on without the patient's consent",
    "NOREUSE": "may not be used for anything else",
    "PERSISTLABEL": "the labels stay on, and their history is kept",
    "TREAT": "for treatment",
    "COC": "for coordination of care between the two sides",
    "PATRPT": "the patient said so",
    "CLINAST": "a clinician found so",
    "LOCIS": "a place or a visit would tell by itself",
    "CPLYCD": "use only as the consent says",
    "REDACTED": "parts were taken out for this reader",
    "NOPAT": "not to be shown to the patient",
}

# Why a reader sees what it sees: rows D2 to D13 of the decision table, each in one sentence.
WHY_TREATING = "Who wrote it, and who cares for this patient in this visit, sees all of it."
WHY_TREATING_INBOUND = "It is in nobody's chart yet: a program's request goes to the scheduler alone."
WHY_STAFF = "Neither wrote it nor cares for this patient in this visit: for them it is as if it were not there."
WHY_PORTAL = "Patients cannot sign in here, so nobody can watch it over their shoulder. For the EHR's portal see below."
WHY_FRONT_DESK = "Has no tie to the item: of a visit it knows only what the EHR's own schedule says."
WHY_SCHEDULER = "Sees only what a program asks the clinic for. This is no such request."
WHY_SCHEDULER_INBOUND = (
    "While the survivor's release lasts, only what booking needs: name to use, how to reach them, which day."
)
WHY_ADDRESSEE = "It is addressed to them, and the patient's release covers it now."
WHY_NO_LONGER = "The patient's release to them has ended: for them it is as if it had never been there."
WHY_SENDER = "They sent it. What became of it they read only as far as the survivor's release to them goes."
WHY_ANOTHER = "A program sees only what is addressed to it, or what it sent itself."

# Tokens of the sandbox EHR: reader, and why it finds what it finds.
EHR_READERS = {
    "clinician": ("Treating clinician", "Launched from this chart, in a role that the EHR lets read these labels."),
    "patient": ("Patient portal", "The EHR keeps what carries these labels out of the portal; the probe showed it."),
    "proxy": ("Somebody with portal access for the patient", "May be the very person to be feared; sees no more."),
    "third-party": ("A health app of the patient's", "What reaches an app has left the EHR for good: nothing does."),
    "unprivileged-staff": ("Front desk", "Has no role that the EHR lets read these labels."),
}
WHY_PLAIN_VISIT = "A plain office visit: whoever reads the schedule finds it, and it tells nothing."
