"""Writes a new config.toml, complete and commented, and adds a block for an EHR to one. Text in, text out.

Every key that the models know is there: given, or as a comment with its default. An addition is put at the end of the
file, so that nothing a person wrote is touched.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from launch.registrations import UNKNOWN_CLIENT_ID
from smart_app.settings.model import EhrSettings, EhrSiteSettings, Settings
from smart_app.settings.words import default_words, model_in, toml_value

WIDTH = 118
NOT_IN_FILE = ("master_key", "client_secrets", "password")
PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


@dataclass(frozen=True)
class NewEhr:
    """What ``ehr add`` was told. ``roles``: "Practitioner/<id>" -> role."""

    id: str
    name: str
    issuer: str
    client_id: str = UNKNOWN_CLIENT_ID
    frame_origins: tuple[str, ...] = ()
    environment: str = "production"
    test_patients: tuple[str, ...] = ()
    roles: Mapping[str, str] | None = None
    client_secret_file: Path | None = None


def new_config(given: Mapping[str, Any]) -> str:
    """A whole config.toml. ``given``: dotted key -> value; whatever is not given stands there as a comment."""
    lines = [
        "# Settings of Warm Referral, made by `warm-referral init`. Behind # stands a default, or an example.",
        "# `warm-referral config explain KEY` says more; `warm-referral config check` reads all of it.",
        "# Secrets never stand here: they are in files that only the app's user can read, or in the environment.",
        "",
    ]
    lines += _key_lines(Settings, given, "")
    for name, field in Settings.model_fields.items():
        model = model_in(field.annotation)
        if model is None or name in ("ehr", "demo"):
            continue
        written = _key_lines(model, given, f"{name}.")
        header = f"[{name}]" if any(not line.startswith("#") for line in written) else f"# [{name}]"
        lines += ["", *_words(field), header, *written]
    lines += ["", "# One [[ehr]] block for each EHR follows. `warm-referral ehr add ISSUER` writes it."]
    return "\n".join(lines) + "\n"


def ehr_block(template: str, ehr: NewEhr) -> str:
    """One complete [[ehr]] block from the text of a template."""
    values = {
        "ID": ehr.id,
        "NAME": ehr.name,
        "ISSUER": ehr.issuer,
        "CLIENT_ID": ehr.client_id,
        "FRAME_ORIGINS": list(ehr.frame_origins or (origin_of(ehr.issuer),)),
        "ENVIRONMENT": ehr.environment,
        "TEST_PATIENTS": list(ehr.test_patients),
    }
    filled = PLACEHOLDER.sub(lambda found: toml_value(values[found[1]]), template).rstrip("\n")
    if ehr.client_secret_file is not None:
        filled = re.sub(
            r"^token_endpoint_auth_method = .*$",
            lambda _: (
                'token_endpoint_auth_method = "client_secret_basic"\n'
                f"client_secret_file = {toml_value(ehr.client_secret_file)}"
            ),
            filled,
            flags=re.MULTILINE,
        )
    present = set(re.findall(r"^(\w+) =", filled, re.MULTILINE)) | {"roles", "site"}
    rest = {name: field for name, field in EhrSettings.model_fields.items() if name not in present}
    lines = [filled, *_commented(rest), "", "# Who may do what: fhirUser reference = role.", "[ehr.roles]"]
    roles = ehr.roles or {}
    lines += [f"{toml_value(user)} = {toml_value(role)}" for user, role in roles.items()]
    lines += [] if roles else ['# "Practitioner/123" = "physician"']
    lines += ["", "# What differs from [site] where this EHR is used.", "# [ehr.site]"]
    lines += _commented(EhrSiteSettings.model_fields, with_words=False)
    return "\n".join(lines) + "\n"


def appended(text: str, block: str) -> str:
    """``text`` with ``block`` at its end and one empty line between them."""
    return text.rstrip("\n") + "\n\n" + block


def origin_of(address: str) -> str:
    """ "https://host:port" of an address; "" for what is none."""
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.hostname else ""
    except ValueError:
        return ""


def id_from(text: str, taken: Sequence[str]) -> str:
    """A short id made of a name or host, another than those ``taken``."""
    wanted = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:28].strip("-") or "ehr"
    free = [wanted, *(f"{wanted}-{number}" for number in range(2, 100))]
    return next(one for one in free if one not in taken)


def write_new(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that was not there. ``FileExistsError`` when it was: nothing is ever overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


def replace_with(path: Path, unfinished: Path) -> None:
    """Put a finished file in the place of ``path``, with the mode that ``path`` had."""
    unfinished.chmod(path.stat().st_mode & 0o777)
    unfinished.replace(path)


def _key_lines(model: type[BaseModel], given: Mapping[str, Any], prefix: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        if model_in(field.annotation) is not None or name in NOT_IN_FILE:
            continue
        if f"{prefix}{name}" in given:
            lines += [*_words(field), f"{name} = {toml_value(given[prefix + name])}"]
        else:
            lines += _commented({name: field})
    return lines


def _commented(fields: Mapping[str, FieldInfo], *, with_words: bool = True) -> list[str]:
    lines: list[str] = []
    for name, field in fields.items():
        default = default_words(field)
        value = (
            toml_value(field.examples[0]) if field.examples and (default == "none" or field.is_required()) else default
        )
        lines += [*(_words(field) if with_words else []), f"# {name} = {value}"]
    return lines


def _words(field: FieldInfo) -> list[str]:
    return textwrap.wrap(str(field.description), WIDTH, initial_indent="# ", subsequent_indent="# ")
