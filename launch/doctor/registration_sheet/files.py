"""Where the texts go: the public ones in one folder, the letter in another. Nothing is overwritten unasked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from launch.doctor.registration_sheet.document import Document
from launch.doctor.registration_sheet.markdown import as_markdown

FORMATS = ("md", "pdf")
PUBLIC, CONFIDENTIAL = "public", "confidential"


def contents(documents: Iterable[Document], formats: Iterable[str]) -> Mapping[Path, bytes]:
    """The bytes of each file, by its place under the folder that was named."""
    return {
        Path(CONFIDENTIAL if one.is_confidential else PUBLIC) / f"{one.name}.{form}": _written(one, form)
        for one in documents
        for form in formats
    }


def write_all(folder: Path, files: Mapping[Path, bytes], *, replaces: bool) -> list[Path]:
    """Write every file, or none that would overwrite another (``FileExistsError``, with their names in its text)."""
    there = [path for path in files if (folder / path).is_symlink() or (folder / path).exists()]
    if there and not replaces:
        raise FileExistsError(", ".join(str(folder / path) for path in there))
    for path, content in files.items():
        is_confidential = path.parts[0] == CONFIDENTIAL
        (folder / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700 if is_confidential else 0o777)
        _put(folder / path, content, mode=0o600 if is_confidential else 0o644)
    return [folder / path for path in files]


def _written(document: Document, form: str) -> bytes:
    if form == "md":
        return as_markdown(document).encode()
    from launch.doctor.registration_sheet.pdf import as_pdf  # the library is loaded only where a PDF is wanted

    return as_pdf(document)


def _put(path: Path, content: bytes, *, mode: int) -> None:
    """Put a whole file in its place: what was there, a link too, is replaced and never written through."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
