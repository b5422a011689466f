"""Each setting in words, and the JSON Schema of them all; both are made from the models, so neither grows old."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from smart_app.settings.model import Settings

# What the app refuses to start with (R41, R6), by key. docs/settings.md links here; a test tries every one.
UNSAFE: Mapping[str, str] = {
    "mode": '"demo" with any host that is not this computer',
    "public_base_url": "http (except in the demo), a path, a wildcard, a user name",
    "bind_host": "anything but loopback in the demo",
    "trusted_proxies": "a network that holds every address, such as 0.0.0.0/0; a host name",
    "master_key_file": "a file that others can read, or without 32 bytes in base64",
    "master_key": "in config.toml; not 32 bytes in base64",
    "master_key_plugin": "beside a master key of its own",
    "key_ring_file": "left out where the master key is in no file",
    "backup_recipient": "anything but a public age key",
    "client_secrets": "in config.toml; for an id that no registration has",
    "keys_file": "a file that others can read, or without a key for each algorithm in use",
    "inbox.public_base_url": "http (except for localhost in the demo), an IP address, a path; the app's own address",
    "inbox.bind_host": "anything but loopback in the demo",
    "mail.security": "none for a server that is not on this computer",
    "mail.sender": "anything but one address",
    "mail.password": "in config.toml",
    "confidentiality": "anything below R",
    "ehr": "none at all; two blocks with the same id or issuer",
    "ehr.id": "the id of another block",
    "ehr.issuer": "http (except in the demo), a wildcard, a query, a user name; the issuer of another block",
    "ehr.token_endpoint_auth_method": '"client_secret_basic" without a secret; a secret with any other method',
    "ehr.client_secret_file": "a file that others can read",
    "ehr.frame_origins": "an empty list, a wildcard, a path, http (except in the demo)",
    "ehr.test_patients": "an empty list where a test environment gets copies",
    "ehr.placement": "ehr-and-vault without a proof (outside a test environment), or for a type that is never copied",
    "ehr.proof_file": "the proof of another registration, or one that says nothing of a type that is copied",
    "ehr.roles": "a wildcard, or somebody who is no Practitioner",
    "ehr.practitioner_roles": "a wildcard; a role that opens pages without a chart",
    "ehr.treating_roles": "a role that is not clinical",
}


def field_at(path: Sequence[str | int]) -> FieldInfo | None:
    """The setting at ("ehr", 0, "issuer") or ("ehr", "issuer"); None where that is not one of the settings."""
    model: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    for step in path:
        if isinstance(step, int):
            continue
        if model is None or step not in model.model_fields:
            return None
        field = model.model_fields[step]
        model = model_in(field.annotation)
    return field


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its dotted key, in the order of the file."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            yield prefix + name, field
        else:
            yield from keys(inner, f"{prefix}{name}.")


def explain(key: str) -> str:
    """One setting in words. Raises ``KeyError`` with a sentence when there is none of this name."""
    known = dict(keys())
    if key not in known:
        groups = {name: [one for one in known if one.startswith(f"{name}.")] for name in _groups(known)}
        if key in groups:
            return f"{key}: {_described(key)}\n" + "".join(f"  {one}\n" for one in groups[key]).rstrip("\n")
        near = [*difflib.get_close_matches(key, known, n=3), *(one for one in known if one.endswith(f".{key}"))]
        more = f"Near it: {', '.join(dict.fromkeys(near))}." if near else "docs/settings.md lists them all."
        raise KeyError(f"There is no such setting. {more}")
    field = known[key]
    lines = [
        f"{key}: {field.description}",
        f"  type         {type_words(field)}",
        f"  default      {default_words(field)}",
    ]
    if field.examples:
        lines.append(f"  example      {example_line(key, field)}")
    if key in UNSAFE:
        lines.append(f"  never starts {UNSAFE[key]}")
    lines.append(f"  environment  {environment_name(key) or 'not there: each [[ehr]] block stands in config.toml'}")
    return "\n".join(lines)


def remedy(key: str) -> tuple[str, str]:
    """What a setting is and where it stands, and a line that gives it. Raises ``KeyError`` when there is none of this
    name."""
    field, group = dict(keys())[key], key.rpartition(".")[0]
    place = {"": "config.toml", "ehr": "this [[ehr]] block"}.get(group, f"config.toml under [{group}]")
    return f"{field.description}; in {place}", example_line(key, field)


def environment_name(key: str) -> str | None:
    """The variable that wins over config.toml; None for keys of a list of blocks."""
    if key.startswith("ehr."):
        return None
    name = "WARM_REFERRAL_" + key.replace(".", "__").upper()
    return f"{name}__<ID>" if key == "client_secrets" else name


def default_words(field: FieldInfo) -> str:
    """The default as a person would say it."""
    if field.is_required():
        return "none: it must be given"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None or value in ((), frozenset(), {}) else toml_value(value)


def type_words(field: FieldInfo) -> str:
    """The type as a person would say it."""
    return " or ".join(dict.fromkeys(_type_names(field.annotation)))


def example_line(key: str, field: FieldInfo) -> str:
    """A line that could stand in the file; for what never stands there, the variable itself."""
    example = (field.examples or [None])[0]
    if key == "client_secrets":
        return str(example)
    if key == "master_key":
        return f"{environment_name(key)}={example}"
    return f"{key.rsplit('.', 1)[-1]} = {toml_value(example)}"


def toml_value(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, Mapping):
        pairs = (
            f"{name if name.isidentifier() else json.dumps(name)} = {toml_value(one)}" for name, one in value.items()
        )
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, frozenset | set):
        return toml_value(sorted(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, time):
        return f'"{value:%H:%M}"'
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value if isinstance(value, int) else str(value), ensure_ascii=False)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of config.toml: editors complete and check with it."""
    made = Settings.model_json_schema(mode="validation")
    for name in ("master_key", "client_secrets"):  # from the environment only
        made["properties"].pop(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "config.toml of Warm Referral",
        "description": "All settings. Secrets stand in files or in the environment, never here.",
    }


def schema_text() -> str:
    """``schema`` as the committed file holds it."""
    return json.dumps(schema(), indent=2, sort_keys=True, default=_listed) + "\n"


def _listed(value: object) -> object:
    if isinstance(value, frozenset | set | tuple):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _groups(known: Mapping[str, FieldInfo]) -> list[str]:
    return list(dict.fromkeys(key.rsplit(".", 1)[0] for key in known if "." in key))


def _described(key: str) -> str:
    field = field_at(key.split("."))
    return str(field.description) if field is not None else ""


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[EhrSettings, ...]``, else None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := model_in(part)) is not None), None)


_NAMES: Mapping[Any, str] = {
    str: "text",
    SecretStr: "text",
    int: "whole number",
    bool: "true or false",
    Path: "path of a file",
    time: "time of day",
    date: "date",
}


def _type_names(annotation: Any) -> list[str]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return [_NAMES[annotation]]
    if origin is typing.Literal:
        return [json.dumps(one) for one in inner]
    if origin in (tuple, frozenset, list):
        of = " or ".join(_type_names(inner[0]))
        return [f"list of: {of}"]
    if origin is dict:
        return [f"table of {_type_names(inner[0])[0]} -> {' or '.join(_type_names(inner[1]))}"]
    return [name for part in inner if part is not type(None) for name in _type_names(part)]
