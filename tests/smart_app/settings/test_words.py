"""Every setting can be explained, and the schema of the file is the one that is kept."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from smart_app.settings import words
from smart_app.settings.words import default_words, environment_name, explain, keys, schema, schema_text, toml_value

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "config.schema.json"
KEYS = dict(keys())


@pytest.mark.parametrize("key", KEYS)
def test_each_setting_explains_itself(key: str) -> None:
    """Somebody who meets a key reads what it is, its type, its default, an example and where else it can be set."""
    told = explain(key)
    assert told.startswith(f"{key}: {KEYS[key].description}")
    assert KEYS[key].description
    for part in ("  type         ", "  default      ", "  environment  "):
        assert [line for line in told.splitlines() if line.startswith(part) and len(line) > len(part)], told
    has_example = bool(KEYS[key].examples)
    assert ("  example      " in told) is has_example
    assert has_example or default_words(KEYS[key]) not in ("none", "none: it must be given")
    assert ("  never starts " in told) is (key in words.UNSAFE)


def test_examples_are_lines_that_could_stand_in_the_file() -> None:
    """Whoever copies an example has a line that TOML reads as what was meant."""
    for key, field in KEYS.items():
        if key in ("master_key", "client_secrets") or not field.examples:
            continue
        name = key.rsplit(".", 1)[-1]
        assert tomllib.loads(words.example_line(key, field)) == {name: field.examples[0]}


@pytest.mark.parametrize(
    ("key", "place"),
    [("public_base_url", "in config.toml"), ("listing.website", "[listing]"), ("ehr.issuer", "[[ehr]]")],
)
def test_a_remedy_says_where_the_line_stands(key: str, place: str) -> None:
    """Whoever misses a setting reads what it is, in which block it stands, and a line that TOML reads."""
    told, line = words.remedy(key)
    assert told.startswith(str(KEYS[key].description))
    assert place in told
    assert tomllib.loads(line) == {key.rsplit(".", 1)[-1]: KEYS[key].examples[0]}  # type: ignore[index]


def test_what_is_asked_for_by_part_of_its_name_is_found() -> None:
    """A group lists its keys, and a near miss names what is near."""
    assert "site.cut_off" in explain("site")
    assert "ehr.roles" in explain("ehr")
    with pytest.raises(KeyError, match=r"ehr\.placement"):
        explain("placement")
    with pytest.raises(KeyError, match="public_base_url"):
        explain("public_base_uri")
    with pytest.raises(KeyError, match="docs/settings"):
        explain("zzzzzz")


def test_unsafe_values_are_told_of_settings_that_exist() -> None:
    """No warning is about a key that is gone."""
    assert set(words.UNSAFE) <= set(KEYS) | {"ehr"}


def test_name_in_the_environment() -> None:
    """The variable is the key in capitals; a block of a list has none."""
    assert environment_name("site.phone") == "WARM_REFERRAL_SITE__PHONE"
    assert environment_name("client_secrets") == "WARM_REFERRAL_CLIENT_SECRETS__<ID>"
    assert environment_name("ehr.issuer") is None


@pytest.mark.parametrize(
    "value",
    ["plain", 'with "quotes" and \\', "ümlaut ✓", 7, True, ["a", "b"], [1, 2], {"a": "b", "x|y": "z"}, {}, []],
)
def test_values_are_written_as_toml_reads_them(value: Any) -> None:
    """What is written into config.toml is read back as it was."""
    assert tomllib.loads(f"key = {toml_value(value)}") == {"key": value}


def test_kept_schema_is_the_one_of_the_code() -> None:
    """Editors check with the schema that is kept: `warm-referral config schema > docs/config.schema.json`."""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_schema_knows_every_key_and_no_secret() -> None:
    """The schema refuses a key that does not exist and has no place for a secret."""
    text, made = json.dumps(schema()), schema()
    assert "master_key_file" in made["properties"]
    assert not {"master_key", "client_secrets"} & set(made["properties"])
    assert '"client_secret"' not in text
    parts = [made, *made["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts if part["type"] == "object")
    described = {name for part in parts for name, one in part["properties"].items() if one.get("description")}
    assert {key.rsplit(".", 1)[-1] for key in KEYS} - {"master_key", "client_secrets"} <= described
