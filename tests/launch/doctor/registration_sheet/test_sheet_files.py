"""Files: nothing is overwritten unasked, the letter is for its owner, exit codes say how complete the sheet is."""

from __future__ import annotations

from typing import Any

import pytest

KEYS = (
    *("listing.support_email", "listing.support_url", "listing.website", "listing.privacy_url", "listing.terms_url"),
    *("listing.signs_proof", "ehr.main-ehr.test_patients"),
)


def mode(path: Any) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_a_complete_sheet_is_exit_code_0(center: Any) -> None:
    """With complete settings there is nothing left to fill in, and a script can see that."""
    result = center.run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 8
    assert "To fill in" not in (center.out / "public" / "listing.md").read_text()


def test_all_that_is_left_open_is_named_at_once(center: Any) -> None:
    """A sheet with gaps is written, exit code 1; each gap is named with what it is and the line that fills it."""
    center.settings["listing"] = {}
    center.without("ehr.test_patients")
    result = center.run()
    assert result.exit_code == 1
    named = [line for line in result.stderr.splitlines() if line.startswith("  - ")]
    assert {line.split(":")[0].removeprefix("  - ") for line in named} == set(KEYS)
    text = (center.out / "public" / "listing.md").read_text()
    assert text.count("To fill in: ") == len(KEYS) == len(named)
    assert '`support_email = "apps@example.org"`' in text
    assert "whom vendors write to; in config.toml under" in text
    assert "Riverside Health Center" in text, "the site's name stands for the company"


def test_bad_settings_are_all_named_and_nothing_is_written(center: Any) -> None:
    """What could not start anyway makes no sheet: every wrong key in one list, exit code 2."""
    center.without("site.phone")
    center.without("ehr.issuer")
    center.set("public_base_url", "http://care.riverside.example")
    center.set("listing.suport_email", "x@riverside.example")
    result = center.run()
    assert (result.exit_code, center.out.exists()) == (2, False)
    for key in ("site.phone", "ehr.main-ehr.issuer", "public_base_url", "listing.suport_email"):
        assert f"  - {key}: " in result.stderr
    assert "did you mean support_email?" in result.stderr


def test_nothing_is_overwritten_unasked(center: Any) -> None:
    """A second run leaves the files of the first as somebody may have finished them; --replace writes them anew."""
    center.run()
    listing = center.out / "public" / "listing.md"
    listing.write_text("finished by hand")
    (center.out / "public" / "terms-of-use.pdf").unlink()
    again = center.run()
    assert again.exit_code == 2
    assert "public/listing.md" in again.stderr
    assert "--replace" in again.stderr
    assert listing.read_text() == "finished by hand"
    assert not (center.out / "public" / "terms-of-use.pdf").exists(), "all or nothing"
    assert center.run("--replace").exit_code == 0
    assert "Care Connections" in listing.read_text()


def test_letter_is_for_its_owner_alone(center: Any) -> None:
    """Other users of the computer cannot open the letter, after a second run neither; no half-written file is left."""
    for words in ((), ("--replace",)):
        assert center.run(*words).exit_code == 0
        letters = sorted((center.out / "confidential").iterdir())
        assert [path.name for path in letters] == ["letter.md", "letter.pdf"]
        assert [mode(path) for path in (center.out / "confidential", *letters)] == ["0o700", "0o600", "0o600"]
        (center.out / "confidential" / "letter.md").chmod(0o644)


def test_a_link_is_not_written_through(center: Any, tmp_path: Any) -> None:
    """Where somebody laid a link in place of a file, the file it leads to stays as it is."""
    target = tmp_path / "precious.txt"
    target.write_text("precious")
    (center.out / "public").mkdir(parents=True)
    (center.out / "public" / "listing.md").symlink_to(target)
    assert center.run().exit_code == 2
    assert center.run("--replace").exit_code == 0
    assert target.read_text() == "precious"
    assert not (center.out / "public" / "listing.md").is_symlink()


def test_the_registration_is_named_where_it_is_not_clear(center: Any) -> None:
    """With several EHRs the one whose id is the vendor's is meant, else the command asks which, with their ids."""
    second = {**center.ehr, "id": "north", "issuer": "https://north.example/fhir", "name": "North"}
    center.settings["ehr"].append(second)
    asked = center.run("--text", "listing", "--print")
    assert asked.exit_code == 2
    assert "In config.toml: main-ehr, north." in asked.stderr
    for named in ("north", "https://north.example/fhir", "https://north.example/fhir/"):
        assert "https://north.example/fhir" in center.run(named, "--text", "listing", "--print").stdout
    assert center.run("nowhere", "--text", "listing", "--print").exit_code == 2
    second["id"] = "epic-2"
    assert "https://north.example/fhir" in center.run("--text", "listing", "--print").stdout


@pytest.mark.parametrize("words", [("--ehr", "cerner"), ("--text", "novel"), ("--format", "docx")])
def test_unknown_words_are_refused(center: Any, words: tuple[str, str]) -> None:
    """A vendor, text or form that there is not is a usage error that lists those there are."""
    result = center.run(*words)
    assert (result.exit_code, center.out.exists()) == (2, False)
    assert "is not one of" in result.stderr


def test_a_demo_has_no_address_that_a_vendor_could_reach(center: Any) -> None:
    """Addresses of this computer are left open: nobody registers what leads nowhere."""
    center.settings |= {"mode": "demo", "public_base_url": "http://127.0.0.1:8000"}
    center.ehr.update(issuer="http://localhost:9000/a/fhir", frame_origins=["http://localhost:9000"])
    result = center.run("--format", "md")
    assert result.exit_code == 1
    assert result.stderr.count("public_base_url") == 2, "the key once, and once in the line that gives it"
    assert "127.0.0.1:8000/launch" not in (center.out / "public" / "listing.md").read_text()
