"""Public texts hold no word that tells (R27), in every vendor's sheet and with every kind of settings; the letter does,
and stands apart."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from launch.doctor.neutral_words import telling
from launch.doctor.registration_sheet import cli as sheet_cli
from launch.doctor.registration_sheet import listing as listing_module
from launch.doctor.registration_sheet.cli import TEXTS
from launch.doctor.registration_sheet.document import Document
from launch.doctor.registration_sheet.listing import listing
from launch.doctor.registration_sheet.subject import VENDORS
from smart_app.settings import PLACEABLE

PUBLIC = sorted(set(TEXTS) - {"letter"})
TELLING_SETTINGS = [
    ("product_name", "Safe from Violence"),
    ("public_base_url", "https://dv-help.example"),
    ("listing.company", "Shelter Alliance"),
    ("listing.support_email", "survivors@riverside.example"),
    ("listing.support_url", "https://riverside.example/abuse"),
    ("listing.website", "https://stop-assault.example"),
    ("listing.privacy_url", "https://riverside.example/dv/privacy"),
    ("listing.terms_url", "https://riverside.example/ipv/terms"),
    ("listing.signs_proof", "Lead of the sexual assault team"),
    ("site.phone", "555-0100 hotline"),
    ("ehr.id", "dv-ehr"),
    ("ehr.name", "EHR of the shelter"),
    ("ehr.issuer", "https://ehr.example/stalking/r4"),
    ("ehr.client_id", "victim-app"),
    ("ehr.frame_origins", ["https://rape-crisis.example"]),
    ("ehr.test_patients", ["abused-test"]),
]


@pytest.mark.rule("R27")
@pytest.mark.parametrize("vendor_key", VENDORS)
@pytest.mark.parametrize("environment", ["production", "test"])
def test_rule_R27_public_texts_are_neutral(center: Any, vendor_key: str, environment: str) -> None:
    """Whoever reads a listing, a policy or the terms learns nothing of what the app is for; the letter says it.

    Break: write "survivors" for "patient" in one sentence of ``drafts.py``, ``form_rows.py`` or ``vendors.toml``.
    """
    copies = [{}] if environment == "production" else [{}, dict.fromkeys(PLACEABLE, "ehr-and-vault")]
    center.set("ehr.environment", environment)
    center.set("ehr.practitioner_roles", {"http://snomed.info/sct|224535009": "nurse"})
    center.set("ehr.care_team_sources", ["treating-role", "ehr-care-team"])
    for placement, (method, syntax) in product(copies, (("private_key_jwt", "auto"), ("none", "v1"))):
        center.ehr.update(placement=placement, token_endpoint_auth_method=method, scope_syntax=syntax)
        subject = center.subject(vendor_key)
        assert {name: telling(TEXTS[name](subject).words()) for name in PUBLIC} == {name: [] for name in PUBLIC}
        assert telling(TEXTS["letter"](subject).words())


@pytest.mark.rule("R27")
def test_rule_R27_lines_to_fill_in_are_neutral_too(center: Any) -> None:
    """A sheet that somebody sends before it is complete tells nothing either."""
    center.settings["listing"] = {}
    center.without("ehr.test_patients")
    document = listing(center.subject())
    assert "To fill in" in document.words()
    assert telling(document.words()) == []


@pytest.mark.rule("R27")
@pytest.mark.parametrize(("key", "value"), TELLING_SETTINGS, ids=[key for key, _ in TELLING_SETTINGS])
def test_rule_R27_a_setting_that_tells_is_named_and_nothing_is_written(center: Any, key: str, value: Any) -> None:
    """A telling word that comes from settings stops the sheet, with the key to change and without repeating the word.

    Break: take the key out of ``_in_public``; the document is then refused without saying which key it is.
    """
    center.set(key, value)
    result = center.run()
    assert (result.exit_code, center.out.exists()) == (2, False)
    named = [line.split(":")[0].strip(" -") for line in result.stderr.splitlines() if line.startswith("  - ")]
    assert [name.replace("main-ehr", "").replace("..", ".") for name in named] == [
        {"listing.company": "listing.company (else site.name)"}.get(key, key)
    ]
    assert telling(result.stderr.replace(str(key), "")) == []


@pytest.mark.rule("R27")
def test_rule_R27_all_settings_that_tell_are_named_at_once(center: Any) -> None:
    """Somebody with a telling name in three places mends all three in one go."""
    for key, value in TELLING_SETTINGS[:3]:
        center.set(key, value)
    told = center.run().stderr
    assert [key for key, _ in TELLING_SETTINGS[:3] if key not in told] == []
    assert "3 setting(s) to mend: nothing was written." in told


@pytest.mark.rule("R27")
def test_rule_R27_a_sentence_of_ours_that_tells_is_never_written(center: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a telling word come into our own sentences one day, the command refuses rather than publish it.

    Break: return ``documents`` in ``_neutral`` without the last look.
    """

    def spoiled(subject: Any) -> Document:
        made = listing_module.listing(subject)
        return Document(made.name, made.title, made.author, "For survivors", made.blocks)

    monkeypatch.setattr(sheet_cli, "TEXTS", {**TEXTS, "listing": spoiled})
    result = center.run()
    assert (result.exit_code, center.out.exists()) == (2, False)
    assert "Please report this" in result.stderr


@pytest.mark.rule("R27")
def test_rule_R27_the_letter_is_nowhere_among_the_public_files(center: Any) -> None:
    """Whoever uploads the public folder uploads nothing of the letter; names of files and folders are neutral.

    Break: leave ``is_confidential`` out in ``letter``.
    """
    assert center.run().exit_code == 0
    files = {path.relative_to(center.out).as_posix() for path in center.out.rglob("*") if path.is_file()}
    stems = ("public/listing", "public/privacy-policy", "public/terms-of-use", "confidential/letter")
    assert files == {f"{stem}.{form}" for stem in stems for form in ("md", "pdf")}
    assert telling(" ".join(files)) == []
    assert telling((center.out / "confidential" / "letter.md").read_text())
    assert [path for path in (center.out / "public").glob("*.md") if telling(path.read_text())] == []


def test_only_the_text_that_was_asked_is_written(center: Any) -> None:
    """Somebody who asks for the listing has no confidential letter lying about."""
    assert center.run("--text", "listing", "--format", "md").exit_code == 0
    assert [path.relative_to(center.out).as_posix() for path in center.out.rglob("*.md")] == ["public/listing.md"]
    assert not (center.out / "confidential").exists()
    shown = center.run("--text", "listing", "--print")
    assert shown.stdout == (center.out / "public" / "listing.md").read_text()
    assert center.run("--print").exit_code == 2


def test_letter_says_what_is_asked_and_why(center: Any) -> None:
    """The reviewer reads what the app does, why it is sensitive, every scope and the measures, in plain words."""
    subject = center.subject()
    text = TEXTS["letter"](subject).words()
    assert "programs against domestic and sexual violence" in text
    for heading in ("Why this is sensitive", "Why the listing is neutral", "Scopes, one by one", "Security measures"):
        assert heading in text
    assert [one.v2 for one in subject.scopes if one.v2 not in text] == []
    assert "Nothing. Every record lives" in text
    center.ehr.update(environment="test", placement={"Observation": "ehr-and-vault"})
    assert "Copies of Observation" in TEXTS["letter"](center.subject()).words()


def test_drafts_say_that_they_are_drafts(center: Any) -> None:
    """Nobody takes a draft for a finished policy: title, first lines and each page say that counsel must read it."""
    for name in ("privacy", "terms"):
        document = TEXTS[name](center.subject())
        assert "(draft)" in document.title
        assert "counsel must read it first" in document.footer
        assert document.words().count("Counsel must read, finish and approve this before it is published.") == 1
        assert document.words().count("[") >= 3
