"""The confidential letter to the vendor's reviewer, in plain words: what the app does, why the listing is neutral."""

from __future__ import annotations

from collections.abc import Iterator

from launch.client_authentication import ASSERTION_SECONDS
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
from launch.doctor.registration_sheet.listing import scope_table
from launch.doctor.registration_sheet.subject import Subject
from launch.session import IDLE_SECONDS, LAUNCH_SECONDS

FOOTER = "Confidential: for the reviewer. Not for a listing, a ticket or an archive that others read."


def letter(subject: Subject) -> Document:
    """The letter as a document."""
    title = f"{subject.product}: what it does, for the reviewer of this registration"
    return Document("letter", title, subject.listing.company, FOOTER, tuple(_blocks(subject)), is_confidential=True)


def _blocks(subject: Subject) -> Iterator[Block]:
    yield paragraph(
        "Confidential. Please keep this letter out of every public listing, and out of anything that patients, proxies "
        "or staff without a need can read. Why stands below.",
        is_notice=True,
    )
    yield paragraph("To the reviewer at ", said(subject.vendor.name), ". Date: ____________")
    yield from _what(subject)
    yield from _why()
    yield from _scopes(subject)
    yield from _written(subject)
    yield from _measures(subject)
    yield from _where_it_stands()
    yield from _questions(subject)


def _what(subject: Subject) -> Iterator[Block]:
    registration = subject.registration
    yield paragraph(
        said(subject.listing.company),
        " asks you to register ",
        said(subject.product),
        " for the FHIR base ",
        exact(registration.issuer),
        f" ({subject.facts.environment}). The public listing beside this letter holds every address and field. "
        "It says less than this letter does, on purpose.",
    )
    yield Heading("What the app does, and for whom")
    yield paragraph(
        "It connects patients of a health center with advocates at programs against domestic and sexual violence, in "
        "both directions. It is for staff of the health center; patients and their proxies have no way in."
    )
    yield bullets(
        "Every patient is offered two safety cards. That adds one to a count; no name goes with it.",
        "A patient who wants to is put in touch with an advocate: by phone together, by the patient's own call, or by "
        "a referral (ServiceRequest, Task, Consent) that is sent to one program under a release the patient signed.",
        "A disclosure is noted only if the patient wants that. No help depends on one.",
        "A program may ask for a visit, under a release of its own. A scheduler books it as an ordinary office visit.",
        "The phone list works at any time, and when everything else is down.",
    )


def _why() -> Iterator[Block]:
    yield Heading("Why this is sensitive")
    yield paragraph(
        "The person who does harm may be a portal proxy, a parent of the same child, the holder of the insurance "
        "policy, a member of staff, or the person in the room. If they learn that somebody asked for help, it can cost "
        "a life. So the rule above all others is: who is not on a referral must not be able to tell whether it exists."
    )
    yield Heading("Why the listing is neutral")
    yield paragraph(
        "A tile, a tab, a list of linked apps, a launch in an access log: each can be seen by the wrong person. Name, "
        "icon, addresses, description, privacy policy and terms therefore hold no word that tells what the app is for; "
        "the command that wrote this letter refuses to write them otherwise. They hold nothing that is untrue. "
        "We ask you to keep it so: please add no category, tag, screenshot or review note that would tell."
    )


def _scopes(subject: Subject) -> Iterator[Block]:
    yield Heading("Scopes, one by one")
    yield scope_table(subject.scopes, subject.registration.scope_syntax, is_public=False)
    yield paragraph(
        "Not asked: `offline_access`, any wildcard, any `system/` scope, any type that is not in this table. What you "
        "do not grant is done without, and the page says what does not work."
    )


def _written(subject: Subject) -> Iterator[Block]:
    yield Heading("What is written to your EHR")
    copied = subject.facts.copied_types
    if not copied:
        yield paragraph(
            "Nothing. Every record lives in an encrypted store of the health center's own, outside the chart. The page "
            "gives staff neutral lines to enter by hand where a visit has to stand in your schedule."
        )
        return
    under = (
        "This is a test environment: only its listed test patients can be opened, and every page says so."
        if subject.facts.environment == "test"
        else "A dated proof, made on a non-production server with test patients, has to show that your server keeps "
        "our security labels and hides what they mark from the portal, proxies, patient apps and staff without access. "
        "When it expires, or your server changes, writing stops by itself."
    )
    yield paragraph("Copies of ", _names(copied), f", besides the record in the health center's own store. {under}")
    yield bullets(
        "Each create is read back. If it differs from what was sent, our copy is taken back, the privacy officer is "
        "told, and nothing is written anywhere else instead: no note, no document, no message.",
        "A create of unknown outcome is looked up and not sent again.",
        "An Appointment carries no program, no reason and no link. The app never writes a diagnosis or a claim.",
    )


def _measures(subject: Subject) -> Iterator[Block]:
    minutes = f"{IDLE_SECONDS // 60} minutes without use and after {LAUNCH_SECONDS // 60} in any case"
    yield Heading("Security measures")
    yield bullets(
        "Launch: an exact allow-list of FHIR bases before any network call; state, nonce and PKCE S256 kept on the "
        "server, single use; `id_token` checked; issuer and token endpoint pinned for each launch.",
        _sign_in(subject),
        "Tokens stay on the server, encrypted, and go to your FHIR base only; no redirect or page link to another host "
        "is followed. At exit they are revoked where you list a revocation endpoint.",
        f"Session: one opaque cookie; a page empties itself after 3 minutes, the server ends a launch after {minutes}. "
        "A Hide button, and Esc, blank the page at once.",
        "Access: roles bound to `fhirUser`; one place in the code decides every read and write; what is denied looks "
        "exactly like what does not exist. The IT role configures and cannot read.",
        "Before anything is recorded or sent, the clinician has to say how private the talk is.",
        "At rest: AES-256-GCM, a key for each case. Every read, write and denial is a row in an append-only, "
        "hash-chained audit log.",
        "What leaves to a program: an allow-list of elements, shown to the patient first, under a release of 30 days "
        "by default and 90 at most that is read again before each message. No name from the chart, no birth date, no "
        "address, no chart number, no insurance, no diagnosis, no story.",
        "The browser loads our own files only; no analytics, no third party; nothing is stored in the browser but the "
        "cookie. Logs hold event names and opaque ids.",
        "The app sends patients nothing: no mail, no text, no portal message.",
    )


def _sign_in(subject: Subject) -> Line:
    method = subject.registration.token_endpoint_auth_method
    if method == "private_key_jwt":
        return line(
            f"Sign-in at your token endpoint: an assertion of {ASSERTION_SECONDS} seconds with a new `jti` each time, "
            f"signed with {subject.registration.signing_alg}. Private keys never leave the server; keys are rotated "
            "with an overlap."
        )
    if method == "client_secret_basic":
        return line(
            "Sign-in at your token endpoint: a shared secret, kept in a file that only the app's user can read. We "
            "would rather use `private_key_jwt`."
        )
    return line("Sign-in at your token endpoint: a public client with PKCE. We would rather use `private_key_jwt`.")


def _where_it_stands() -> Iterator[Block]:
    yield Heading("Where this stands")
    yield paragraph(
        "This is an early release without independent review, and not for real patients yet. Not built yet: lists of "
        "people whom a patient excludes, matching of a user with the patient's contacts, emergency access with its "
        "reviews, erasure by schedule. Recording and sending are off for minors."
    )


def _questions(subject: Subject) -> Iterator[Block]:
    listing = subject.listing
    yield Heading("What we ask you")
    yield bullets(*subject.vendor.ask)
    yield paragraph(
        "Answers to ",
        said(listing.company),
        ", phone ",
        exact(listing.phone),
        *((", e-mail ", exact(listing.support_email)) if listing.support_email else ()),
        ". Please call before you write about what this letter says.",
    )
    yield paragraph("Signed: ________________________   Name and role: ________________________")


def _names(types: tuple[str, ...]) -> Line:
    return line(*[part for name in types for part in (line(", "), exact(name))][1:])
