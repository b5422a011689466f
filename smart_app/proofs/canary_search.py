"""Looks for words in files in every form in which they may have leaked: as they are, escaped, encoded, hashed."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8  # a shorter needle turns up in ciphertext by chance


def forms_of(word: str) -> dict[str, bytes]:
    """Name of the form -> the bytes to look for. Base64 shifts with what stands before the word, so it has three forms;
    its first and last characters hold bits of the neighbours too and are left out."""
    raw = word.encode()
    forms = {
        "raw": raw,
        "upper": word.upper().encode(),
        "lower": word.lower().encode(),
        "url": quote(word, safe="").encode(),
        "form": quote_plus(word).encode(),
        "json": json.dumps(word)[1:-1].encode(),
        "utf-16": word.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "sha256": hashlib.sha256(raw).hexdigest().encode(),
        "sha256-bytes": hashlib.sha256(raw).digest(),
        "sha256-base64": base64.b64encode(hashlib.sha256(raw).digest()).rstrip(b"="),
    }
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        inner = encoded[(0, 2, 3)[before] : len(encoded) - (0, 3, 2)[(before + len(raw)) % 3]]
        forms[f"base64-{before}"] = inner
        forms[f"base64url-{before}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    distinct = {needle: name for name, needle in reversed(forms.items()) if len(needle) >= SHORTEST}
    return {name: needle for needle, name in distinct.items()}


def found_in(words: Iterable[str], files: Iterable[Path]) -> list[str]:
    """One line for each word, form and file. The words are test data: they may be named."""
    contents = {file.name: file.read_bytes() for file in files if file.is_file()}
    return [
        f"{word} ({form}) in {name}"
        for word in words
        for form, needle in forms_of(word).items()
        for name, content in contents.items()
        if needle in content
    ]


def found_in_bytes(words: Iterable[str], content: bytes) -> list[str]:
    """The same for what is in no file."""
    return [f"{word} ({form})" for word in words for form, needle in forms_of(word).items() if needle in content]


def kept_by_the_app(folder: Path) -> list[Path]:
    """Every file of a demo but what belongs to the sandboxes: their databases and keys."""
    theirs = ("ehr.sqlite3", "program.sqlite3", "program-keys.json")
    return [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(theirs)]


def tables_of(database: Path) -> dict[str, str]:
    """All that SQL shows of each table; blobs as Latin-1, so that a readable word in one is readable here too."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: "\n".join(
                "|".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row)
                for row in connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - its own table names
            )
            for table in tables
        }
