"""Every field of the vendors' forms is on the sheet, filled from settings, or open with the key that fills it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch.doctor.registration_sheet.document import plain, said
from launch.doctor.registration_sheet.form_rows import sections
from launch.doctor.registration_sheet.listing import listing
from launch.doctor.registration_sheet.subject import VENDORS, Subject

# What a registration sheet has to hold (the scopes have a test file of their own).
FIELDS = {
    *("app-name", "description", "company", "support-email", "support-phone", "privacy-url", "terms-url", "icon"),
    *("fhir-version", "launch-type", "client-type", "authentication", "algorithms", "jwks-url"),
    *("launch-url", "redirect-uri", "frames", "cookie", "network", "proof-signer", "test-patient", "test-proxy"),
}
# What is special about a vendor: words that its sheet must say.
SPECIAL = {
    "epic": ("non-production", "version 1", "Hyperdrive", "chosen at registration"),
    "oracle": ("R4 only", "cannot be changed after registration", "WebView2", "Port 443", "570 seconds"),
    "athena": ("allow-same-origin", "name and birth date", "appClose", "revocation endpoint"),
    "ecw": ("not verified", "Appointment is not offered"),
    "generic": ("ask the vendor",),
}
CHANGES = [
    ("product_name", "Northside Links", "Northside Links"),
    ("public_base_url", "https://other.example:8443", "https://other.example:8443/launch"),
    ("public_base_url", "https://other.example:8443", "https://other.example:8443/callback"),
    ("public_base_url", "https://other.example:8443", "https://other.example:8443/.well-known/jwks.json"),
    ("public_base_url", "https://other.example:8443", "on port 8443"),
    ("site.phone", "555-0199", "555-0199"),
    ("listing.company", "Northside Group", "Northside Group"),
    ("listing.support_email", "help@other.example", "help@other.example"),
    ("listing.support_url", "https://other.example/help", "https://other.example/help"),
    ("listing.website", "https://www.other.example", "https://www.other.example"),
    ("listing.privacy_url", "https://other.example/p", "https://other.example/p"),
    ("listing.terms_url", "https://other.example/t", "https://other.example/t"),
    ("listing.signs_proof", "Chief medical officer", "Chief medical officer"),
    ("ehr.id", "north-ehr", "north-ehr"),
    ("ehr.name", "North EHR", "North EHR"),
    ("ehr.issuer", "https://fhir.other.example/r4", "https://fhir.other.example/r4"),
    ("ehr.client_id", "client-0815", "client-0815"),
    ("ehr.signing_alg", "RS384", "Used at this EHR: RS384"),
    ("ehr.token_endpoint_auth_method", "none", "Public"),
    ("ehr.frame_origins", ["https://frames.other.example"], "https://frames.other.example"),
    ("ehr.test_patients", ["zoe-test"], "zoe-test"),
    ("ehr.environment", "test", "test"),
    ("ehr.scope_syntax", "v1", "Spelled in version 1."),
    ("ehr.practitioner_roles", {"http://snomed.info/sct|224535009": "nurse"}, "user/PractitionerRole.rs"),
    ("ehr.care_team_sources", ["ehr-care-team"], "patient/CareTeam.rs"),
]


def rows(subject: Subject) -> dict[str, str]:
    return {row.id: plain(row.value) for _, found in sections(subject) for row in found}


def on_the_page(subject: Subject) -> str:
    """The listing without the author, whom only the PDF names beside its pages."""
    title, _, *lines = map(plain, listing(subject).lines())
    return "\n".join([title, *lines])


@pytest.mark.parametrize("vendor_key", VENDORS)
def test_each_field_is_on_each_vendors_sheet(center: Any, vendor_key: str) -> None:
    """Whoever fills in a form finds an answer to every field that these forms are known to ask, and none is blank."""
    found = rows(center.subject(vendor_key))
    assert set(found) >= FIELDS
    assert [name for name, value in found.items() if not value.strip()] == []
    assert "To fill in" not in " ".join(found.values())


@pytest.mark.parametrize("vendor_key", VENDORS)
def test_what_is_special_about_a_vendor_is_said(center: Any, vendor_key: str) -> None:
    """Each vendor's sheet says what is known of that form, and asks the vendor for the rest."""
    subject = center.subject(vendor_key)
    text = listing(subject).words()
    assert [words for words in SPECIAL[vendor_key] if words.lower() not in text.lower()] == []
    assert all(question.replace("`", "") in text for question in subject.vendor.ask)


def test_addresses_are_exactly_those_of_the_app(center: Any) -> None:
    """What is registered is what the app uses, byte for byte."""
    found, registrations = rows(center.subject()), center.subject().site.registrations
    assert found["launch-url"] == registrations.launch_url == "https://care.riverside.example/launch"
    assert found["redirect-uri"] == registrations.redirect_uri == "https://care.riverside.example/callback"
    assert found["fhir-base"] == "https://ehr.riverside.example/fhir/r4"


@pytest.mark.parametrize(("key", "value", "shown"), CHANGES, ids=[f"{key}-{shown}" for key, _, shown in CHANGES])
def test_another_setting_makes_another_sheet(center: Any, key: str, value: Any, shown: str) -> None:
    """Nothing on the sheet is fixed that settings say: the new value stands there, and the sheet was another before."""
    before = on_the_page(center.subject())
    center.set(key, value)
    after = on_the_page(center.subject())
    assert shown in after
    assert before != after


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("private_key_jwt", ("Confidential, asymmetric", "RS384 and ES384", "/.well-known/jwks.json")),
        ("client_secret_basic", ("Confidential, symmetric", "Not used", "Not used")),
        ("none", ("Public", "Not used", "Not used")),
    ],
)
def test_each_kind_of_client_is_told_as_it_is(center: Any, tmp_path: Any, method: str, told: tuple[str, ...]) -> None:
    """A vendor that takes another kind of client is not told of keys that nobody will use; no secret is on a sheet."""
    center.set("ehr.token_endpoint_auth_method", method)
    if method == "client_secret_basic":
        (tmp_path / "secret").write_text("canary-secret")
        (tmp_path / "secret").chmod(0o600)
        center.set("ehr.client_secret_file", str(tmp_path / "secret"))
    found = rows(center.subject())
    for name, words in zip(("client-type", "algorithms", "jwks-url"), told, strict=True):
        assert words in found[name]
    assert center.run().exit_code == 0
    assert [path for path in center.out.rglob("*.md") if "canary-secret" in path.read_text()] == []


def test_a_client_id_that_nobody_gave_yet_is_no_client_id(center: Any) -> None:
    """Before registration the sheet says that the vendor gives the client id, not the placeholder of the settings."""
    center.set("ehr.client_id", "put-the-client-id-of-the-ehr-here")
    assert rows(center.subject())["client-id"] == "The vendor gives it."


def test_what_is_written_there_is_said_before_anybody_asks(center: Any) -> None:
    """A reader of the listing learns whether the app writes to the EHR, and what."""
    assert "It writes nothing to the EHR." in rows(center.subject())["long-description"]
    center.set("ehr.environment", "test")
    center.set("ehr.placement", {"Appointment": "ehr-and-vault", "Observation": "ehr-and-vault"})
    assert "It writes Appointment and Observation where" in rows(center.subject())["long-description"]


@pytest.fixture
def subject(center: Any) -> Subject:
    return center.subject()  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(company=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_name_is_shown_as_it_is_whatever_its_signs(subject: Subject, company: str) -> None:
    """An apostrophe, a bar, a star or a foreign letter in a name neither breaks the sheet nor disappears from it."""
    site = replace(subject.site, listing=replace(subject.site.listing, company=company))
    text = listing(replace(subject, site=site)).words()
    assert plain(said(company)) in text
    kept = [sign for sign in company if sign.isprintable() and not sign.isspace()]
    assert [sign for sign in plain(said(company)) if sign != " "] == kept
