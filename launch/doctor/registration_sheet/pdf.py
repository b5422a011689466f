"""A document as PDF: the same bytes each time, with title, language, bookmarks and fonts of its own.

The library writes no structure tags; where somebody reads with a screen reader, the Markdown beside it is the better
form. ReportLab is loaded here and nowhere else.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, ListFlowable, ListItem, LongTable, SimpleDocTemplate
from reportlab.platypus import Paragraph as Words

from launch.doctor.registration_sheet.document import (
    Block,
    Bullets,
    Document,
    Heading,
    Line,
    Paragraph,
    Table,
    UnknownSignError,
    said,
)

TEXT, BOLD = "Vera", "VeraBd"  # they come with the library, so that each PDF holds what it is set in
MARGIN = 0.85 * inch
PADDING = 6  # what the library keeps free inside the margins
WIDTH = LETTER[0] - 2 * (MARGIN + PADDING)
ROOM_FOR_A_START = 1.2 * inch  # a heading goes to the next page rather than stand alone at the end of one
INK, EXACT, RULE, SHADE = (colors.HexColor(code) for code in ("#1b1b1b", "#0b3d66", "#b8bfc6", "#eef1f4"))


def as_pdf(document: Document) -> bytes:
    """The whole file. ``UnknownSignError`` rather than a file with holes."""
    _require_signs(document)
    out = io.BytesIO()
    made = SimpleDocTemplate(
        out,
        pagesize=LETTER,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=document.title,
        author=document.author,
        subject=document.footer,
        creator=document.author,
        producer="ReportLab",
        lang="en-US",
        displayDocTitle=True,
        invariant=1,
    )

    def dress(canvas: Any, page: Any) -> None:
        canvas.saveState()
        canvas.setFont(TEXT, 7.5)
        canvas.setFillColor(INK)
        canvas.drawString(MARGIN + PADDING, 0.5 * inch, document.footer)
        canvas.drawRightString(LETTER[0] - MARGIN - PADDING, 0.5 * inch, f"Page {page.page}")
        canvas.restoreState()

    made.build(_story(document), onFirstPage=dress, onLaterPages=dress)
    return out.getvalue()


def _story(document: Document) -> list[Flowable]:
    story: list[Flowable] = [_Bookmark(document.title, 0, 0), _words(said(document.title), "title")]
    for number, block in enumerate(document.blocks, start=1):
        if isinstance(block, Heading):
            story += [CondPageBreak(ROOM_FOR_A_START), _Bookmark(block.text, 1, number)]
            story.append(_words(said(block.text), "heading"))
        else:
            story.append(_block(block))
    return story


class _Bookmark(Flowable):  # type: ignore[misc]
    """A place in the outline that a reader opens beside the pages."""

    def __init__(self, text: str, level: int, number: int) -> None:
        super().__init__()
        self.width = self.height = 0
        self._text, self._level, self._key = text, level, f"section{number}"

    def draw(self) -> None:
        self.canv.bookmarkPage(self._key)
        self.canv.addOutlineEntry(self._text, self._key, self._level)


def _block(block: Block) -> Flowable:
    if isinstance(block, Paragraph):
        return _words(block.line, "notice" if block.is_notice else "text")
    if isinstance(block, Bullets):
        items = [ListItem(_words(item, "item")) for item in block.items]
        return ListFlowable(
            items, bulletType="bullet", start="•", bulletFontName=TEXT, bulletFontSize=8, leftIndent=12, spaceAfter=6
        )
    assert isinstance(block, Table)
    return _table(block)


def _table(table: Table) -> Flowable:
    rows = [[_words(said(name), "head") for name in table.header]]
    rows += [[_words(cell, _style_of(cell, number)) for number, cell in enumerate(row)] for row in table.rows]
    made = LongTable(rows, colWidths=[WIDTH * share for share in table.widths], repeatRows=1, spaceAfter=8)
    made.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), 5),
            ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        ]
    )
    return made


def _style_of(cell: Line, column: int) -> str:
    """The first column is a label, unless it is something to be copied: that has to fit on one line."""
    return "label" if column == 0 and not any(span.is_exact for span in cell) else "cell"


def _words(line: Line, style: str) -> Flowable:
    marked = "".join(
        f'<font color="{EXACT.hexval().replace("0x", "#")}">{escape(span.text)}</font>'
        if span.is_exact
        else escape(span.text)
        for span in line
    )
    return Words(marked, _styles()[style])


@cache
def _styles() -> dict[str, ParagraphStyle]:
    _register_fonts()
    text = ParagraphStyle("text", fontName=TEXT, fontSize=9.5, leading=14, textColor=INK, spaceAfter=7)
    cell = ParagraphStyle("cell", parent=text, fontSize=8, leading=11.5, spaceAfter=0, splitLongWords=1)
    return {
        "text": text,
        "title": ParagraphStyle("title", parent=text, fontName=BOLD, fontSize=16, leading=21, spaceAfter=14),
        "heading": ParagraphStyle(
            "heading", parent=text, fontName=BOLD, fontSize=11.5, leading=15, spaceBefore=11, spaceAfter=5
        ),
        "notice": ParagraphStyle(
            "notice",
            parent=text,
            borderWidth=0.75,
            borderColor=RULE,
            backColor=SHADE,
            borderPadding=7,
            leftIndent=7,
            rightIndent=7,
            spaceAfter=15,
            spaceBefore=8,
        ),
        "item": ParagraphStyle("item", parent=text, spaceAfter=3),
        "cell": cell,
        "label": ParagraphStyle("label", parent=cell, fontName=BOLD, fontSize=8),
        "head": ParagraphStyle("head", parent=cell, fontName=BOLD, fontSize=8),
    }


@cache
def _register_fonts() -> None:
    for name in (TEXT, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    pdfmetrics.registerFontFamily(TEXT, normal=TEXT, bold=BOLD, italic=TEXT, boldItalic=BOLD)


def _require_signs(document: Document) -> None:
    _register_fonts()
    known: Iterable[int] = pdfmetrics.getFont(TEXT).face.charToGlyph
    if any(ord(sign) not in known for sign in set(document.words()) - {"\n"}):
        raise UnknownSignError("The PDF's fonts have no sign for some character of this text.")
