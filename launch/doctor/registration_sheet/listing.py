"""The public listing: what may be copied into a vendor's form as it stands. Neutral words only (R27)."""

from __future__ import annotations

from collections.abc import Iterator

from launch.doctor.neutral_words import telling
from launch.doctor.registration_sheet.document import (
    Block,
    Document,
    Heading,
    Line,
    Table,
    bullets,
    exact,
    line,
    paragraph,
    said,
)
from launch.doctor.registration_sheet.form_rows import LISTED, Row, sections
from launch.doctor.registration_sheet.subject import AskedScope, Subject

FIELDS = ("Field", "Answer")


def listing(subject: Subject) -> Document:
    """The listing as a document."""
    title = f"{subject.product}: registration at {subject.vendor.name}"
    return Document("listing", title, subject.listing.company, title, tuple(_blocks(subject)))


def open_rows(subject: Subject) -> list[str]:
    """What settings do not say yet, as "key: what to write"; each key once."""
    missing = [row.missing for _, rows in sections(subject) for row in rows if row.missing]
    return list(dict.fromkeys(missing))


def telling_keys(subject: Subject) -> list[str]:
    """Each setting that would bring a telling word into a public text, with what to do (R27). No word is quoted."""
    return [
        f"{key}: would tell in public what the app is for; choose neutral words"
        for key, value in _in_public(subject)
        if telling(value)
    ]


def scope_table(scopes: tuple[AskedScope, ...], syntax: str, *, is_public: bool) -> Table:
    """One row for each scope: how it is spelled there, and why it is asked."""
    rows: list[tuple[Line, ...]] = []
    for one in scopes:
        why = line(one.public if is_public else f"{one.public} {one.plain}")
        older = exact(" ".join(one.v1))
        if syntax == "auto":
            rows.append((exact(one.v2), line("the same") if one.v1 == (one.v2,) else older, why))
        else:
            rows.append((older if syntax == "v1" else exact(one.v2), why))
    if syntax == "auto":
        return Table(("Scope", "In version 1", "Why"), tuple(rows), (0.31, 0.31, 0.38))
    return Table(("Scope", "Why"), tuple(rows), (0.36, 0.64))


def _blocks(subject: Subject) -> Iterator[Block]:
    registration = subject.registration
    yield paragraph(
        "For the registration ",
        exact(registration.id),
        " (",
        said(registration.ehr_name),
        "). Public: the words are neutral throughout, and every answer may be copied into the vendor's form.",
        is_notice=True,
    )
    for title, rows in sections(subject):
        yield Heading(title)
        yield _table(rows)
        if title == "Launch and sign-in":
            yield Heading("Scopes")
            yield paragraph(_scope_words(registration.scope_syntax))
            yield scope_table(subject.scopes, registration.scope_syntax, is_public=True)
    yield Heading("Questions to the vendor")
    yield bullets(*subject.vendor.ask)


def _scope_words(syntax: str) -> str:
    spelled = {
        "auto": "Spelled in version 2 where the server lists `permission-v2`, else in version 1.",
        "v1": "Spelled in version 1.",
        "v2": "Spelled in version 2.",
    }[syntax]
    return f"{spelled} No wildcard, no `offline_access`, no `system/` scope. What is not granted is done without."


def _table(rows: tuple[Row, ...]) -> Table:
    return Table(FIELDS, tuple((said(row.label), row.value) for row in rows), (0.25, 0.75))


def _in_public(subject: Subject) -> Iterator[tuple[str, str]]:
    """Every setting of which something stands in a public text, with what stands there."""
    registration, facts = subject.registration, subject.facts
    yield "product_name", subject.product
    yield "public_base_url", subject.base
    yield "listing.company (else site.name)", subject.listing.company
    yield "site.phone", subject.listing.phone
    for name in (*LISTED, "signs_proof"):
        yield f"listing.{name}", getattr(subject.listing, name) or ""
    where = f"ehr.{registration.id}" if not telling(registration.id) else "ehr"
    for name in ("id", "issuer", "client_id"):
        yield f"{where}.{name}", getattr(registration, name)
    yield f"{where}.name", registration.ehr_name
    yield f"{where}.frame_origins", " ".join(registration.frame_origins)
    yield f"{where}.test_patients", " ".join(sorted(facts.test_patients))
