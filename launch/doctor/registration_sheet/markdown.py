"""A document as Markdown (GitHub's, for the tables)."""

from __future__ import annotations

import re

from launch.doctor.registration_sheet.document import Block, Bullets, Document, Heading, Line, Paragraph, Span, said

_MARKS = re.compile(r"([\\`*_\[\]<>|#~])")


def as_markdown(document: Document) -> str:
    """The whole text, ending in a line break."""
    blocks = [
        f"# {_inline(said(document.title))}",
        *map(_block, document.blocks),
        f"*{_inline(said(document.footer))}*",
    ]
    return "\n\n".join(blocks) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {_inline(said(block.text))}"
    if isinstance(block, Paragraph):
        return ("> " if block.is_notice else "") + _inline(block.line)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_inline(item)}" for item in block.items)
    rows = [tuple(said(name) for name in block.header), *block.rows]
    lines = ["| " + " | ".join(_inline(cell, in_table=True) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(block.header), *lines[1:]])


def _inline(line: Line, *, in_table: bool = False) -> str:
    return "".join(_exact(span, in_table) if span.is_exact else _MARKS.sub(r"\\\1", span.text) for span in line)


def _exact(span: Span, in_table: bool) -> str:
    """A code span whose fence is longer than any row of backticks in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", span.text)), default=0))
    text = f" {span.text} " if span.text.startswith("`") or span.text.endswith("`") else span.text
    return fence + (text.replace("|", r"\|") if in_table else text) + fence
