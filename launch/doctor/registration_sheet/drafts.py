"""Drafts of the privacy policy and the terms of use. Both are published, so they are public texts: neutral words only.

They say what the app does today and nothing it does not do; what only a health center and its counsel can say stands in
square brackets. tests/launch/doctor/test_sheet_promises.py holds their numbers to the code.
"""

from __future__ import annotations

from collections.abc import Iterator

from launch.doctor.registration_sheet.document import (
    Block,
    Document,
    Heading,
    Line,
    bullets,
    exact,
    line,
    paragraph,
    said,
)
from launch.doctor.registration_sheet.subject import Subject
from launch.session import COOKIE_NAME, IDLE_SECONDS, LAUNCH_SECONDS

NOTICE = (
    "Draft. Counsel must read, finish and approve this before it is published. It describes what the app does today; "
    "what stands in [square brackets] only the health center can say. Keep the words as general as they are: whoever "
    "reads this page may be looking over a patient's shoulder."
)


def privacy_policy(subject: Subject) -> Document:
    """The draft of the privacy policy."""
    return _draft(subject, "privacy-policy", "Privacy policy", tuple(_privacy(subject)))


def terms_of_use(subject: Subject) -> Document:
    """The draft of the terms of use."""
    return _draft(subject, "terms-of-use", "Terms of use", tuple(_terms(subject)))


def _draft(subject: Subject, name: str, kind: str, blocks: tuple[Block, ...]) -> Document:
    title = f"{kind} of {subject.product} (draft)"
    notice = paragraph(NOTICE, is_notice=True)
    return Document(name, title, subject.listing.company, f"{title}: counsel must read it first", (notice, *blocks))


def _privacy(subject: Subject) -> Iterator[Block]:
    product, company = said(subject.product), said(subject.listing.company)
    yield Heading("Who we are")
    yield paragraph(
        product,
        " is offered by ",
        company,
        " to its own staff. Patients do not sign in to it and need no account. [How this policy relates to the health "
        "center's Notice of Privacy Practices.]",
    )
    yield Heading("What is read from the chart")
    yield paragraph(
        "When a staff member opens the app from a chart, it reads the patient's name, birth date and preferred "
        "language, and whether a visit is open. This is shown and not stored. It reads who the "
        "staff member is, to give them their role."
    )
    yield Heading("What is kept, and where")
    yield bullets(
        "Notes, requests to partnered community organizations, permissions, and requests for visits: in an encrypted "
        "store of the health center's own, under a reference to the chart. [Where it is hosted, and by whom.]",
        _copies(subject),
        "Counts, such as how many information cards were offered in a month: without any person.",
        "A record of who read or changed what, which cannot be changed unseen. It holds references and no names of "
        "patients.",
        "For each launch: the staff member's sign-in at the EHR and its tokens, encrypted, until the launch ends.",
    )
    yield Heading("Who can see it")
    yield paragraph(
        "Staff with a role that the health center gave them, as far as that role needs: the author and the care team "
        "of the visit see their own records, schedulers see what they need to book. Family members, proxies, insurers "
        "and other patients see nothing of it in this app. The IT role of the app can configure it and open no record."
    )
    yield Heading("What leaves the health center")
    yield paragraph(
        "Only what a patient has permitted, to the one organization the patient has named, until the permission ends: "
        "after 30 days unless the patient chooses otherwise, and after 90 at most. Staff show the exact items before "
        "they are sent. Not part of them: the name in the chart, birth date, address, chart number, insurance, "
        "diagnoses. A permission can be taken back at any time by word of mouth and without a reason; then "
        "nothing more is sent. [What the law requires the health center to share, and how patients are told.]"
    )
    yield Heading("What is never done")
    yield bullets(
        "No sale of data, no advertising, no analytics, no tracking.",
        "No files, fonts or scripts from other companies.",
        "No text message, e-mail, push message, letter or portal message to patients from this app.",
    )
    yield Heading("Cookies")
    yield paragraph(
        "One cookie, ",
        exact(COOKIE_NAME),
        ", keeps a staff member's browser signed in. It holds a random value and nothing else. The page empties "
        f"itself after 3 minutes without use; the server ends a launch after {IDLE_SECONDS // 60} minutes without use, "
        f"and any launch after {LAUNCH_SECONDS // 60} minutes. Nothing else is stored in the browser.",
    )
    yield Heading("How it is protected")
    yield paragraph(
        "Encryption on the way and in the store, with a key of its own for each case; sign-in by the EHR; one place "
        "that decides every access; a record of each. No system is without risk. [How patients are told of a breach.]"
    )
    yield Heading("How long it is kept")
    yield paragraph(
        "[The health center's retention schedule.] This version of the app deletes no record by itself; the end of a "
        "permission ends sharing, not the record."
    )
    yield Heading("Your choices")
    yield paragraph(
        "You may say no to any of this without giving a reason, and get the same care. You may ask what is kept about "
        "you, ask for a copy or a correction, and take a permission back. [How, and within what time.]"
    )
    yield Heading("Contact")
    yield paragraph(*_contact(subject))
    yield paragraph("[Date from which this holds. How changes are told.]")


def _copies(subject: Subject) -> Line:
    copied = subject.facts.copied_types
    if not copied:
        return line("Nothing of it is written to the EHR by this app. Staff may enter a visit there by hand.")
    return line(
        "A copy in the EHR, where the health center has switched that on, of: ",
        *[part for name in copied for part in (line(", "), exact(name))][1:],
        ". Except for visits, which are entered as ordinary office visits, only if the patient agrees.",
    )


def _terms(subject: Subject) -> Iterator[Block]:
    product, company = said(subject.product), said(subject.listing.company)
    yield Heading("Who may use it")
    yield paragraph(
        "These terms are between ",
        company,
        " and the members of its staff who use ",
        product,
        ". It opens from the EHR, for people who are signed in there and have a role that the health center gave them. "
        "Nobody may use it with another person's sign-in.",
    )
    yield Heading("What it is for")
    yield paragraph(
        "To offer information cards, to introduce patients who want that to partnered community organizations, and to "
        "book visits. It gives no medical advice, makes no diagnosis and is no medical device. [Confirm.] "
        "It is no emergency service: where somebody is in danger, call 911."
    )
    yield Heading("How it may be used")
    yield bullets(
        "Open a chart only for the care of that patient. Each access is recorded.",
        "Say truthfully how private the talk is when the app asks, before anything is recorded or sent.",
        "Send only what the patient has agreed to, after showing the exact items.",
        "Do not copy, photograph or print what it shows into other places, and hide the page when somebody comes near.",
        "Do not test its protection on real records. Tell the health center at once of anything that seems wrong.",
    )
    yield Heading("When it is not available")
    yield paragraph(
        "The app depends on the EHR and on partnered organizations. When they do not answer, it says so and does not "
        "pretend that something was sent; the phone list stays open. A request is not a promise of an organization to "
        "act. [Hours of support.]"
    )
    yield Heading("Ending")
    yield paragraph(
        "The health center may take a role away at any time; the next launch is then refused. A page that is not used "
        "empties itself, and what was not yet saved is lost."
    )
    yield Heading("Software and responsibility")
    yield paragraph(
        "The software is open source under the Apache License 2.0, which comes without warranty. [Liability, "
        "indemnity, governing law, disputes.]"
    )
    yield Heading("Contact")
    yield paragraph(*_contact(subject))
    yield paragraph("[Date from which this holds. How changes are told.]")


def _contact(subject: Subject) -> tuple[str | Line, ...]:
    listing = subject.listing
    more = [value for value in (listing.support_email, listing.support_url) if value]
    return (
        said(listing.company),
        ", phone ",
        exact(listing.phone),
        *(part for value in more for part in (", ", exact(value))),
        ".",
    )
