"""Reads ``config.toml`` and the environment, and nobody else does. Says everything that is wrong in one go."""

from __future__ import annotations

import copy
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource
from pydantic_settings import SettingsError as EnvironmentValueError

from smart_app.settings.checks import NEVER_A_SETTING, unsafe
from smart_app.settings.model import Settings
from smart_app.settings.words import field_at, model_in, toml_value

PREFIX = "WARM_REFERRAL_"
NOT_SETTINGS = frozenset({"WARM_REFERRAL_CONFIG"})  # read by the command line: where config.toml is
REPAIRS = 5  # one uncovers the next: a table that is no table first, then what stands in it
ONLY_FROM_ENVIRONMENT = ("master_key", "client_secrets")


class SettingsError(Exception):
    """Start is refused. ``problems`` names every bad key, each with what to write instead."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load(path: Path | None, **overrides: Any) -> Settings:
    """Read ``path`` (TOML) and the environment; raises ``SettingsError`` with every problem found."""
    settings, problems = examined(path, **overrides)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def examined(path: Path | None, **overrides: Any) -> tuple[Settings | None, list[str]]:
    """The settings, safe or not, and every problem with them. None when they cannot even be understood.

    A key that cannot be understood is set aside and an example put in its place, so that the keys beside it are judged
    in the same run. Raises ``SettingsError`` when there is no file, or no TOML in it.
    """
    problems = [*_misplaced(_toml(path)), *_unknown_environment()]
    values: dict[str, Any] = {}
    try:
        settings = _source(path, values)(**overrides)
    except ValidationError as error:
        return None, list(dict.fromkeys(problems + _after_repair(values, error)))
    except EnvironmentValueError as error:  # names the field and the source, never the value
        return None, [*problems, f"environment: {error}; lists and tables are written there as JSON"]
    return settings, problems + unsafe(settings)


def _toml(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    if not path.is_file():
        raise SettingsError([f"no settings file at {path}; make one with `warm-referral init`"])
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:  # the parser's message names line and column, never a value
        raise SettingsError([f"{path} is not valid TOML: {error}"]) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError([f"{path} cannot be read; it must be UTF-8 text that this user may read"]) from None


def _source(path: Path | None, kept: dict[str, Any]) -> type[Settings]:
    """``Settings`` that read ``path`` below the environment, and leave what they were given in ``kept``."""

    class _FromFile(Settings):
        @model_validator(mode="before")
        @classmethod
        def keep(cls, values: Any) -> Any:
            kept.update(copy.deepcopy(values))
            return values

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
            return (*sources, TomlConfigSettingsSource(settings_cls, path)) if path else sources

    return _FromFile


class _Given(Settings):
    """Settings from a mapping alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _after_repair(values: dict[str, Any], error: ValidationError) -> list[str]:
    """What ``error`` says, and what is wrong beside it."""
    problems: list[str] = []
    aside: set[str] = set()
    for _ in range(REPAIRS):
        errors = error.errors(include_input=False, include_url=False, include_context=False)
        problems += [_in_words(one, values) for one in errors]
        for one in errors:
            aside.add(_named(_path_of(one), values))
            _set_aside(values, one["loc"], is_unknown=_is_unknown(one))
        try:
            beside = unsafe(_Given(**values))
        except ValidationError as next_error:
            error = next_error
        else:
            return problems + [one for one in beside if not _is_about(one, aside)]
    return problems


def _is_about(problem: str, aside: set[str]) -> bool:
    key = problem.split(": ", 1)[0]
    return any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in aside)


def _set_aside(values: dict[str, Any], loc: tuple[str | int, ...], *, is_unknown: bool) -> None:
    """Put the default, else an example, where ``values`` holds what cannot be understood."""
    path = loc if is_unknown else _field_path(loc)
    inside: Any = values
    for step in path[:-1]:
        try:
            inside = inside[step]
        except (KeyError, IndexError, TypeError):
            return
    field = field_at(path)
    if not isinstance(inside, dict):
        return
    if is_unknown or field is None or not field.is_required():
        inside.pop(path[-1], None)
    else:
        inside[path[-1]] = _example(field, next((step for step in path if isinstance(step, int)), 0))


def _is_unknown(error: Any) -> bool:
    return bool(error["type"] == "extra_forbidden")


def _path_of(error: Any) -> tuple[str | int, ...]:
    return tuple(error["loc"]) if _is_unknown(error) else _field_path(error["loc"])


def _field_path(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The longest beginning of ``loc`` that is a setting: what pydantic adds behind it is a place inside its value."""
    for end in range(len(loc), 0, -1):
        if isinstance(loc[end - 1], str) and field_at(loc[:end]) is not None:
            return loc[:end]
    return loc


def _example(field: Any, number: int) -> Any:
    if field.examples:
        example = field.examples[0]
        return f"{example}-{number}" if isinstance(example, str) and number else example
    inner = model_in(field.annotation)
    fields = inner.model_fields.items() if inner else ()
    return {name: _example(one, 0) for name, one in fields if one.is_required()}


def _misplaced(raw: Mapping[str, Any]) -> list[str]:
    """Secrets that stand in the file. They may have been read by others, so they are not merely ignored."""
    problems = []
    for name in ONLY_FROM_ENVIRONMENT:
        if name in raw:
            words = "never in config.toml; put it into a file or the environment, and make a new one if others saw it"
            problems.append(f"{name}: {words}")
    if isinstance(raw.get("mail"), Mapping) and "password" in raw["mail"]:
        problems.append("mail.password: never in config.toml; set WARM_REFERRAL_MAIL__PASSWORD")
    return problems


def _unknown_environment() -> list[str]:
    """A variable that looks like a setting and is none would be a setting that silently does not count."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return [
        f"{name}: there is no such setting; unset it, or see docs/settings.md"
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX) and name not in NOT_SETTINGS and name.upper().split("__")[0] not in known
    ]


def _named(path: tuple[str | int, ...], values: Mapping[str, Any]) -> str:
    """ "ehr.main-ehr.issuer" for ("ehr", 0, "issuer"); the number where the block has no id."""
    rest: list[str | int] = list(path)
    if len(rest) > 1 and rest[0] == "ehr" and isinstance(rest[1], int):
        rest[:2] = [f"ehr.{_id_of(values, rest[1])}"]
    return ".".join(str(step) for step in rest) or "settings"


def _id_of(values: Mapping[str, Any], number: int) -> str:
    try:
        found = values["ehr"][number]["id"]
    except (KeyError, IndexError, TypeError):
        return f"[{number}]"
    return found if isinstance(found, str) and re.fullmatch(r"[\w-]{1,40}", found, re.ASCII) else f"[{number}]"


def _in_words(error: Any, values: Mapping[str, Any]) -> str:
    path = _path_of(error)
    name, field = _named(path, values), field_at(path)
    if _is_unknown(error):
        last = str(error["loc"][-1])
        near = difflib.get_close_matches(last, _beside(error["loc"]), n=1)
        advice = f"did you mean {near[0]}?" if near else "remove it, or see docs/settings.md"
        return f"{name}: {NEVER_A_SETTING.get(last, f'there is no such setting; {advice}')}"
    example = f", for example {toml_value(field.examples[0])}" if field is not None and field.examples else ""
    if error["type"] == "missing":
        return f"{name}: is missing; give the {field.description if field is not None else 'value'}{example}"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}{example}"


def _beside(loc: tuple[str | int, ...]) -> list[str]:
    above = field_at(loc[:-1]) if len(loc) > 1 else None
    model: type[BaseModel] | None = model_in(above.annotation) if above is not None else Settings
    return list(model.model_fields) if model is not None else []
