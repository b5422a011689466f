"""R4's limits on a narrative (txt-1, txt-2): basic formatting only, no script, no form, no event, some content.

A tokenizer of one linear expression, not an XML parser: entities and processing instructions never reach one.
"""

from __future__ import annotations

import re

_VALUE = r"\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+')"
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9]*+)((?:\s++[A-Za-z:-]++{_VALUE})*+)\s*+(/?)>")
_ATTRIBUTE = re.compile(rf"([A-Za-z:-]++){_VALUE}")
_COMMENT = re.compile(r"<!--(?!-?>)(?:[^-]|-(?!-))*+-->")  # "<!-->" is a whole comment to a browser
_ENTITY = re.compile(r"&(?![A-Za-z][A-Za-z0-9]{1,30};|#[0-9]{1,7};|#x[0-9A-Fa-f]{1,6};)")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # of XML 1.0

# XHTML 1.0 chapters 7-11 (without section 4 of chapter 9) and 15, as R4 lists them.
_ELEMENT_NAMES = (
    "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img "
    "li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var"
)
_ATTRIBUTE_NAMES = (
    "abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset "
    "cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel "
    "rev rowspan rules scope shape span src start style summary tabindex title type valign value vspace width xml:lang "
    "xmlns"
)
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())


def is_xhtml(text: str) -> bool:
    """True for one ``div`` of allowed elements, well nested, with something to read or see in it."""
    if _NO_CHARACTER.search(text):
        return False
    open_names: list[str] = []
    position, has_content, is_closed = 0, False, False
    while (start := text.find("<", position)) >= 0:
        if start > position and (words := text[position:start].strip()):  # between two tags
            if not open_names or _ENTITY.search(words):
                return False
            has_content = True
        tag = _TAG.match(text, start)
        if tag is None:
            # Only here a comment is one: in a value it hides what follows from us, and from no browser.
            comment = _COMMENT.match(text, start)
            if comment is None:
                return False
            position = comment.end()
            continue
        ends, name, attributes, is_empty = tag.groups()
        if is_closed or not (open_names or name == "div") or name not in _ELEMENTS:
            return False
        if attributes and not _are_allowed(attributes):
            return False
        position = tag.end()
        if name == "img":
            has_content = True
        if ends:
            if attributes or is_empty or not open_names or open_names.pop() != name:
                return False
        elif not is_empty:
            open_names.append(name)
        is_closed = not open_names
    return is_closed and has_content and not text[position:].strip()


def _are_allowed(attributes: str) -> bool:
    names = _ATTRIBUTE.findall(attributes)
    return len(names) == len(set(names)) and not _ENTITY.search(attributes) and _ATTRIBUTES.issuperset(names)
