"""Limits before any parser: size, encoding, count and depth of values, syntax, doubled keys, half characters (R17).

``parse`` turns bytes into a payload or raises ``LimitError``. What it says is constant: no byte of the body comes back.
The count of parts keeps every answer under 50 ms of processor time: a megabyte of tiny values, or of tags in a
narrative, costs ten times what a megabyte of text does. R4 sets no such limit; a large referral has some 600 values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_profiles.terminology import Payload

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_PARTS = 10_000  # items of lists and objects, tags and attributes ("<" and "=" anywhere in the body) together
MAX_DIGITS = 64  # characters of one number; R4 expects 18 digits to be kept
MAX_EXPONENT = 308  # as far as a double reaches
NO_JSON = "The body is not valid JSON."

# A string, closed or not, so that brackets inside it do not count. Possessive: linear on hostile input.
_STRING = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]++")
_SURROGATE = re.compile(r"\\u[dD]")
_MARKS = ("<", "=", "\\u003c", "\\u003C", "\\u003d", "\\u003D")
_ONE_KIND = str.maketrans("{}", "[]")


@dataclass(eq=False)
class LimitError(ValueError):
    """The body is refused before it is looked at: HTTP ``status``, FHIR issue ``code`` and constant ``text``."""

    status: int
    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def parse(body: bytes) -> Payload:
    """The JSON object in ``body``. Numbers with a fraction or an exponent become ``Decimal``.

    Raises ``LimitError``: 413 over 1 MB; 400 for bad UTF-8 or JSON, too many values or tags, a doubled key, nesting
    over 40, a number of absurd size, or no object. All is counted before the (recursive) parser sees the body.
    """
    if len(body) > MAX_BYTES:
        raise LimitError(413, "too-long", "The body is larger than 1 MB.")
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise LimitError(400, "structure", "The body is not UTF-8.") from None
    require_few(text)
    try:
        payload = json.loads(
            text,
            object_pairs_hook=_without_doubles,
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=_no_constant,
        )
    except LimitError:
        raise
    except (ValueError, RecursionError):
        raise LimitError(400, "structure", NO_JSON) from None
    if not isinstance(payload, dict):
        raise LimitError(400, "structure", "The body is not a JSON object.")
    if _SURROGATE.search(text) is not None and _has_lone_surrogate(payload):
        raise LimitError(400, "structure", "The body holds half a character.")
    return payload


def require_few(text: str) -> None:
    """Refuse too many values, tags or levels in JSON: ``LimitError``. None of this costs more than a few scans."""
    marks = sum(map(text.count, _MARKS))
    # A value has at most a key and a string, so four quotes. This comes first, for cutting strings out costs by string.
    quotes = text.count('"') - text.count('\\"')
    bare = _STRING.sub("", text) if marks + quotes // 4 <= MAX_PARTS else None
    if bare is None or marks + _most(bare, ",[{", "]}") > MAX_PARTS:
        raise LimitError(400, "too-costly", f"The body holds more than {MAX_PARTS} values, tags and attributes.")
    left = _unpaired(bare)
    if "[]" in left or left.count("[") > MAX_DEPTH:
        raise LimitError(400, "too-costly", f"The body is nested more than {MAX_DEPTH} levels deep.")
    if left:
        raise LimitError(400, "structure", NO_JSON)


def _most(bare: str, *groups: str) -> int:
    return max(sum(map(bare.count, group)) for group in groups)


def _unpaired(bare: str) -> str:
    """What is left of the brackets without recursion: each round removes the innermost pairs, so the rounds are the
    depth. A pair that is left stands too deep, a bracket alone has no other half."""
    brackets = _NOT_BRACKETS.sub("", bare).translate(_ONE_KIND)
    for _ in range(MAX_DEPTH):
        if not brackets:
            break
        brackets = brackets.replace("[]", "")
    return brackets


def _whole(text: str) -> int:
    _require_short(text)
    return int(text)


def _decimal(text: str) -> Decimal:
    _require_short(text)
    try:
        made = Decimal(text)
        is_absurd = abs(made.adjusted()) > MAX_EXPONENT
    except InvalidOperation:
        is_absurd = True
    if is_absurd:
        raise LimitError(400, "too-costly", "A number is larger or smaller than any that is read here.")
    return made


def _require_short(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise LimitError(400, "too-long", f"A number has more than {MAX_DIGITS} characters.")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise LimitError(400, "structure", "A key stands twice in one object.")
    return made


def _no_constant(_: str) -> None:
    raise ValueError


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return _is_half(value)
    if isinstance(value, dict):
        return any(_is_half(key) or _has_lone_surrogate(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


def _is_half(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
