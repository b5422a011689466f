"""A text as headings, paragraphs, lists and tables. Markdown and PDF are two ways to write the same one.

Our own sentences may hold `code` between backticks. What comes from settings never does: it is put in as ``said`` (as
words) or ``exact`` (to be copied letter by letter), so that nothing in it can turn into markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class UnknownSignError(ValueError):
    """A form of writing has no sign for some character of the text."""


@dataclass(frozen=True)
class Span:
    """Some characters of one kind. ``is_exact``: to be copied letter by letter."""

    text: str
    is_exact: bool = False


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Heading:
    """The beginning of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Some sentences. ``is_notice``: framed, to be read before anything else."""

    line: Line
    is_notice: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list whose order does not matter."""

    items: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """``widths``: the share of each column; they add up to 1."""

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    widths: tuple[float, ...]


Block = Heading | Paragraph | Bullets | Table


@dataclass(frozen=True)
class Document:
    """One text. ``name`` is its file without an ending. ``footer`` stands on each page of a PDF."""

    name: str
    title: str
    author: str
    footer: str
    blocks: tuple[Block, ...]
    is_confidential: bool = False

    def lines(self) -> Iterator[Line]:
        """Everything it says, in order, title and footer too."""
        yield said(self.title)
        yield said(self.author)
        yield said(self.footer)
        for block in self.blocks:
            yield from _lines_of(block)

    def words(self) -> str:
        """Everything it says as plain text."""
        return "\n".join(plain(line) for line in self.lines())


def said(value: str) -> Line:
    """A value as words: white space put in order, and what cannot be printed left out."""
    return (Span(_printable(value)),)


def exact(value: str) -> Line:
    """A value that somebody will copy."""
    return (Span(_printable(value), is_exact=True),)


def line(*parts: str | Line) -> Line:
    """Our own sentences (with `code` in them) and values, one behind the other."""
    return tuple(span for part in parts for span in (_parsed(part) if isinstance(part, str) else part))


def paragraph(*parts: str | Line, is_notice: bool = False) -> Paragraph:
    """One paragraph of sentences and values."""
    return Paragraph(line(*parts), is_notice)


def bullets(*items: str | Line) -> Bullets:
    """A list of sentences or lines."""
    return Bullets(tuple(line(item) for item in items))


def plain(spans: Line) -> str:
    """A line without its marks."""
    return "".join(span.text for span in spans)


def _parsed(sentence: str) -> Iterator[Span]:
    for number, text in enumerate(sentence.split("`")):
        if text:
            yield Span(text, is_exact=number % 2 == 1)


def _printable(value: str) -> str:
    return re.sub(r"\s+", " ", "".join(sign for sign in value if sign.isprintable() or sign.isspace())).strip()


def _lines_of(block: Block) -> Iterator[Line]:
    if isinstance(block, Heading):
        yield said(block.text)
    elif isinstance(block, Paragraph):
        yield block.line
    elif isinstance(block, Bullets):
        yield from block.items
    else:
        yield from (said(name) for name in block.header)
        yield from (cell for row in block.rows for cell in row)
