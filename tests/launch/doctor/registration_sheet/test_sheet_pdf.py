"""The PDF says what the Markdown says, is the same each time, and carries its title and language."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from launch.doctor.registration_sheet.cli import TEXTS
from launch.doctor.registration_sheet.document import (
    Document,
    Heading,
    Table,
    UnknownSignError,
    bullets,
    exact,
    paragraph,
    plain,
    said,
)
from launch.doctor.registration_sheet.markdown import as_markdown
from launch.doctor.registration_sheet.pdf import as_pdf
from launch.doctor.registration_sheet.subject import VENDORS
from smart_app.settings import PLACEABLE

LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc", "Cf"]), max_size=60)


def squeezed(text: str) -> str:
    return "".join(text.split())


def text_of(reader: PdfReader, document: Document) -> str:
    """What stands on the pages, without the foot of each, the bullets and white space."""
    pages = []
    for number, page in enumerate(reader.pages, start=1):
        text = squeezed(page.extract_text()).replace("•", "")
        foot = squeezed(f"{document.footer} Page {number}")
        assert foot in text
        pages.append(text.replace(foot, "", 1))
    return "".join(pages)


def body(document: Document) -> str:
    """What should stand there: title and blocks."""
    lines = [plain(line) for line in document.lines()]
    return squeezed(lines[0] + "".join(lines[3:]))


@pytest.mark.parametrize("vendor_key", VENDORS)
@pytest.mark.parametrize("name", TEXTS)
def test_pdf_and_markdown_say_the_same(center: Any, vendor_key: str, name: str) -> None:
    """Nobody gets less from one form than from the other: each word of the text is in both, in the same order."""
    center.ehr.update(environment="test", placement={"Observation": "ehr-and-vault", "Appointment": "ehr-and-vault"})
    document = TEXTS[name](center.subject(vendor_key))
    reader = PdfReader(io.BytesIO(as_pdf(document)))
    found, expected = text_of(reader, document), body(document)
    for block in document.blocks:  # a table that goes over a page begins anew with its header
        if isinstance(block, Table):
            head = squeezed("".join(block.header))
            found, expected = found.replace(head, ""), expected.replace(head, "")
    assert found == expected
    read = squeezed(re.sub(r"\\(?=[_\[\]|*<>#~])|`", "", as_markdown(document)))
    title, _, footer, *lines = (squeezed(plain(line)) for line in document.lines())
    position = 0
    for text in (title, *lines, footer):
        position = read.index(text, position) + len(text)


@pytest.mark.parametrize("name", TEXTS)
def test_pdf_carries_title_language_and_bookmarks(center: Any, name: str) -> None:
    """A reader shows the title in place of a file name, speaks English, and offers each section in its outline."""
    document = TEXTS[name](center.subject())
    reader = PdfReader(io.BytesIO(as_pdf(document)))
    catalog = reader.trailer["/Root"]
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == (document.title, "Riverside Group")
    assert catalog["/Lang"] == "en-US"
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"] in (True, "/true")
    outline = [entry for part in reader.outline for entry in (part if isinstance(part, list) else [part])]
    assert [entry.title for entry in outline] == [
        document.title,
        *(block.text for block in document.blocks if isinstance(block, Heading)),
    ]


@pytest.mark.parametrize("syntax", ["auto", "v1", "v2"])
def test_a_scope_is_never_cut_in_two(center: Any, syntax: str) -> None:
    """Whoever copies a scope or an address of ours from the PDF gets all of it, on one line.

    Breaks when a column of ``scope_table`` is too narrow.
    """
    center.ehr.update(environment="test", scope_syntax=syntax, placement=dict.fromkeys(PLACEABLE, "ehr-and-vault"))
    center.ehr.update(practitioner_roles={"http://x.example|1": "nurse"}, care_team_sources=["ehr-care-team"])
    subject = center.subject()
    wanted = {"auto": ("v1", "v2"), "v1": ("v1",), "v2": ("v2",)}[syntax]
    scopes = {one.v2 for one in subject.scopes if "v2" in wanted}
    scopes |= {spelled for one in subject.scopes if "v1" in wanted for spelled in one.v1}
    for name in ("listing", "letter"):
        reader = PdfReader(io.BytesIO(as_pdf(TEXTS[name](subject))))
        text = "\n".join(page.extract_text() for page in reader.pages)
        assert [scope for scope in scopes if scope not in text] == []


def test_every_font_is_in_the_file(center: Any) -> None:
    """A printer or a vendor's viewer without our fonts shows the same page."""
    reader = PdfReader(io.BytesIO(as_pdf(TEXTS["listing"](center.subject()))))
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    used = [font for font in fonts if font["/Subtype"] == "/TrueType"]
    assert used
    assert all("/FontFile2" in font["/FontDescriptor"] for font in used)
    texts = "".join(page.extract_text() for page in reader.pages)
    assert "https://care.riverside.example/callback" in squeezed(texts)


def test_the_same_settings_make_the_same_bytes(center: Any) -> None:
    """Two people who make the sheet on two days compare files and find no difference; nothing in it is random or dated.

    Breaks when ``invariant`` is left out in ``as_pdf``.
    """
    files = []
    for seed in ("1", "2"):
        folder = center.folder / seed
        command = [sys.executable, "-m", "smart_app", "--config", str(center.write())]
        command += ["registration-sheet", "--ehr", "oracle", "-o", str(folder)]
        subprocess.run(
            command, check=True, capture_output=True, timeout=120, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        files.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert files[0] == files[1]
    assert len(files[0]) == 8


def sample(text: str) -> Document:
    table = Table(("One", "Two"), ((said(text), exact(text)),), (0.5, 0.5))
    blocks = (paragraph("It says ", said(text), is_notice=True), bullets(exact(text), "`code`"), table)
    return Document("sample", "A sample", "Somebody", "Foot", blocks)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(text=LATIN)
def test_no_sign_of_a_value_turns_into_markup(text: str) -> None:
    """A name with an ampersand, a tag or a brace is shown as it is, in words and where it is to be copied."""
    document = sample(text)
    reader = PdfReader(io.BytesIO(as_pdf(document)))
    assert text_of(reader, document) == body(document).replace("•", "")


@pytest.mark.parametrize(
    ("value", "words", "code"),
    [
        ("a|b", r"a\|b", r"`a\|b`"),
        ("*a* _b_", r"\*a\* \_b\_", "`*a* _b_`"),
        ("`x`", r"\`x\`", "`` `x` ``"),
        ("[a](javascript:x)", r"\[a\](javascript:x)", "`[a](javascript:x)`"),
        ("<b>", r"\<b\>", "`<b>`"),
        ("one\ntwo", "one two", "`one two`"),
    ],
)
def test_markdown_shows_a_value_as_it_is(value: str, words: str, code: str) -> None:
    """No bar ends a cell, no star makes bold, no bracket a link, no line break a new row."""
    assert f"| {words} | {code} |" in as_markdown(sample(value))


def test_a_name_that_the_fonts_cannot_write_is_not_left_out(center: Any) -> None:
    """Rather than a PDF with an empty box in a name, the command says to take Markdown, which has every sign."""
    center.set("listing.company", "健康センター")
    with pytest.raises(UnknownSignError):
        as_pdf(TEXTS["listing"](center.subject()))
    result = center.run()
    assert (result.exit_code, center.out.exists()) == (2, False)
    assert "--format md" in result.stderr
    assert center.run("--format", "md").exit_code == 0
    assert "健康センター" in Path(center.out / "public" / "listing.md").read_text()
