"""What ``init`` and ``ehr add`` write: complete, commented, and read back by the settings themselves."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from launch.registrations import TEMPLATES, template
from smart_app.settings import load
from smart_app.settings.model import EhrSettings, EhrSiteSettings, Settings, SiteSettings
from smart_app.settings.writing import NewEhr, appended, ehr_block, id_from, new_config, origin_of

NEW = NewEhr("main-ehr", "Main EHR", "https://ehr.example.org/fhir/r4", "our-client")
FACTS = {
    "epic": ("private_key_jwt", "production", "lists no revocation endpoint", "Observation.create takes vital signs"),
    "oracle": ("private_key_jwt", "production", "R4 only", "does not", "409, not 412"),
    "athena": ("private_key_jwt", "production", "no top navigation", "name and birth date"),
    "ecw": ("private_key_jwt", "production", "issuer is its FHIR base", "books by hand"),
    "generic": ("private_key_jwt", "production", "byte for byte"),
    "public-launcher": ("none", "test", "proves\n# the launch and nothing else", "untested"),
}


def config_in(folder: Any) -> str:
    given = {
        "public_base_url": "https://care.example.org",
        "tenant_id": "riverside",
        "database_url": "sqlite:////tmp/vault.sqlite3",
        "master_key_file": folder.directory / "master.key",
        "keys_file": folder.directory / "app-keys.json",
        "site.name": 'Riverside "West"',
        "site.phone": "555-0123",
        "site.time_zone": "America/Chicago",
    }
    return new_config(given)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_vendor_s_template_is_loaded_by_the_real_settings(folder: Any, name: str) -> None:
    """A block made from a vendor's template starts the app as it is, says what is special there, and writes nothing to
    the EHR."""
    block = ehr_block(template(name), NEW)
    settings = load(written(folder.directory / "new.toml", appended(config_in(folder), block)))
    (ehr,) = settings.registrations.ehrs
    method, environment, *facts = FACTS[name]
    assert (ehr.id, ehr.issuer, ehr.client_id) == (NEW.id, NEW.issuer, NEW.client_id)
    assert ehr.frame_origins == ("https://ehr.example.org",)
    assert (ehr.token_endpoint_auth_method, settings.ehr[0].environment) == (method, environment)
    assert (ehr.write_types, settings.ehr[0].placement) == (frozenset(), {})
    assert not [fact for fact in facts if fact not in block]


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_block_is_complete(name: str) -> None:
    """Every key of a block stands in it, given or as a comment, so nobody has to know that it exists."""
    block = ehr_block(template(name), NEW)
    named = set(re.findall(r"^(?:# )?\[?(?:ehr\.)?(\w+)\]?(?: = |$)", block, re.MULTILINE))
    assert set(EhrSettings.model_fields) | set(EhrSiteSettings.model_fields) <= named
    assert "@" not in block
    assert max(map(len, block.splitlines())) <= 120


def test_a_new_file_is_complete_and_only_says_what_was_given(folder: Any) -> None:
    """Whoever opens a new config.toml sees every key with its meaning; what counts is what was given."""
    text = config_in(folder)
    named = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE))
    assert (
        set(Settings.model_fields) - {"ehr", "demo", "site", "listing", "inbox", "mail", "master_key", "client_secrets"}
    ) <= named
    assert set(SiteSettings.model_fields) <= named
    assert set(tomllib.loads(text)["site"]) == {"name", "phone", "time_zone"}
    assert tomllib.loads(text)["site"]["name"] == 'Riverside "West"'
    uncommented = re.sub(r"^# (\[?\w+\]?(?: = .*)?)$", r"\1", text, flags=re.MULTILINE)
    assert set(SiteSettings.model_fields) <= set(tomllib.loads(uncommented)["site"])


def test_what_a_person_says_is_written_as_it_was_said(folder: Any) -> None:
    """Roles, origins, test patients and a name with quotes arrive in the settings unchanged."""
    new = NewEhr(
        "two",
        'The "other" EHR \\ @NAME@',
        "https://two.example.org/r4",
        frame_origins=("https://a.example.org", "https://b.example.org:8443"),
        environment="test",
        test_patients=("p1", "p2"),
        roles={"Practitioner/1": "nurse", "Practitioner/2": "it-admin"},
        client_secret_file=folder.directory / "master.key",
    )
    text = appended(appended(config_in(folder), ehr_block(template("generic"), NEW)), ehr_block(template("ecw"), new))
    settings = load(written(folder.directory / "new.toml", text))
    two = settings.ehr_for("two")
    assert (two.name, two.frame_origins, two.test_patients) == (new.name, new.frame_origins, {"p1", "p2"})
    assert two.roles == new.roles
    assert two.token_endpoint_auth_method == "client_secret_basic"
    assert [e.id for e in settings.ehr] == ["main-ehr", "two"]


def test_ids_and_origins_are_made_of_what_is_known() -> None:
    """A name becomes a short id that no other block has; an address gives its origin, or none."""
    assert id_from("Fhir.Ehr Example!", ()) == "fhir-ehr-example"
    assert id_from("epic", ["epic", "epic-2"]) == "epic-3"
    assert id_from("***", ()) == "ehr"
    assert origin_of("https://ehr.example.org:8443/r4/x") == "https://ehr.example.org:8443"
    assert (origin_of("ehr"), origin_of("https://[x")) == ("", "")
