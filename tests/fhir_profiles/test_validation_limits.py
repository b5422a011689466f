"""Limits in front of every parser: size, syntax, doubled keys, depth (R17, attack 7)."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from fhir_profiles.validation import MAX_BYTES, MAX_DEPTH, LimitError, parse


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b" " * (MAX_BYTES + 1), 413),
        (b"", 400),
        (b"{", 400),
        (b"[1, 2]", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"\xff\xfe{\x00}\x00", 400),
        ('{"a": 1}'.encode("utf-16"), 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'{"x": {"a": 1, "b": 2, "a": 1}}', 400),
        (b'{"a": NaN}', 400),
        (b'{"a": Infinity}', 400),
        (b'{"a": "\\ud800"}', 400),
        (b'{"\\udfff": 1}', 400),
        (b'{"a": ' + b"9" * 5000 + b"}", 400),
        (b'{"a": "\x00"}', 400),
        (nested(MAX_DEPTH + 1), 400),
        (b"[" * 500_000, 400),
        (b"]" * 500_000, 400),
        (b'{"a":' * 150_000, 400),
    ],
)
def test_a_body_outside_the_limits_is_refused_and_never_echoed(body: bytes, status: int) -> None:
    """Each kind of broken or oversized body is refused with a fixed sentence."""
    with pytest.raises(LimitError) as caught:
        parse(body)
    assert caught.value.status == status
    assert caught.value.code in {"too-long", "too-costly", "structure"}
    assert str(caught.value) == caught.value.text


def test_depth_is_counted_exactly_and_brackets_in_strings_do_not_count() -> None:
    """Forty levels pass, forty-one do not, and a name that contains brackets is only a name."""
    parse(nested(MAX_DEPTH))
    text = "[{" * 60 + '\\"' + "]" * 3
    assert parse(('{"a": "' + text + '"}').encode())["a"] == text.replace('\\"', '"')
    with pytest.raises(LimitError):
        parse(b'{"a": "\\\\", "b":' + nested(MAX_DEPTH) + b"}")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (nested(MAX_DEPTH + 1), "too-costly"),
        (b'{"a":' * (MAX_DEPTH + 1), "too-costly"),
        (nested(MAX_DEPTH + 2)[:-1], "too-costly"),
        (b"[" * 500_000, "too-costly"),
        (b'{"a":' * MAX_DEPTH, "structure"),
        (nested(MAX_DEPTH)[:-1], "structure"),
        (nested(3) + b"}", "structure"),
        (b"]" * 5000, "structure"),
        (b'{"a": "[[[', "structure"),
        (b'{"a": [1, 2', "structure"),
    ],
)
def test_a_body_that_was_cut_off_is_not_called_deep(body: bytes, code: str) -> None:
    """Who lost the end of a body is told that it is no JSON; too deep is what opens over forty levels."""
    with pytest.raises(LimitError) as caught:
        parse(body)
    assert caught.value.code == code


def test_numbers_keep_their_digits() -> None:
    """A number with a fraction is not bent by the computer's arithmetic."""
    assert parse(b'{"a": 0.10, "b": 7}') == {"a": Decimal("0.10"), "b": 7}


def test_whole_characters_written_as_escapes_are_fine() -> None:
    """A pair of escapes that makes one character is a character."""
    assert parse(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 499_000 + b"\\",
        b'"\\"' * 330_000,
        b"[]," * 330_000,
        b"{}" * 499_999,
        b'{"a":"' + b"\\\\" * 499_000,
        b"[" * 40 + b"]" * 999_900,
    ],
)
def test_hostile_bodies_cost_a_fraction_of_a_second(body: bytes) -> None:
    """One megabyte made to be slow is refused quickly."""
    start = time.process_time()
    with pytest.raises(LimitError):
        parse(body)
    assert time.process_time() - start < 1.0
