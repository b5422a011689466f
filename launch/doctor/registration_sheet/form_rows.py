"""The fields that vendors' forms ask, each filled from settings, or left open with the key that would fill it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from launch.doctor.registration_sheet.document import Line, exact, line, said
from launch.doctor.registration_sheet.subject import Subject, read_types
from launch.registrations import UNKNOWN_CLIENT_ID, is_loopback
from launch.session import COOKIE_NAME, IDLE_SECONDS, LAUNCH_SECONDS

# How the app shows the token endpoint who it is: (client type, authentication), by token_endpoint_auth_method.
CLIENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "private_key_jwt": ("Confidential, asymmetric", "`private_key_jwt`: a signed assertion, PKCE S256 beside it"),
        "client_secret_basic": ("Confidential, symmetric", "`client_secret_basic`, PKCE S256 beside it"),
        "none": ("Public", "none (the client id in the form), PKCE S256"),
    }
)
WITH_KEYS = "private_key_jwt"
NO_KEYS = "Not used with this client type."
LISTED: Mapping[str, str] = MappingProxyType(
    {
        "support_email": "Support e-mail",
        "support_url": "Support page",
        "website": "Website",
        "privacy_url": "Privacy policy",
        "terms_url": "Terms of use",
    }
)


@dataclass(frozen=True)
class Row:
    """One field. ``key``: the setting it is filled from, "" where it is the same for everybody. ``missing``: what to
    write into settings, "" when nothing is missing."""

    id: str
    label: str
    value: Line
    key: str = ""
    missing: str = ""


def sections(subject: Subject) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Every field but the scopes, in the order of the sheet."""
    yield "The app", tuple(_app(subject))
    yield "Who offers it", tuple(_offerer(subject))
    yield "Launch and sign-in", tuple(_launch(subject))
    yield "Browser and network", tuple(_network(subject))
    yield "Before it is switched on", tuple(_before(subject))
    yield f"At {subject.vendor.name}", tuple(_vendor(subject))


def _app(subject: Subject) -> Iterator[Row]:
    product = said(subject.product)
    yield Row("app-name", "Name, on the tile too", product, "product_name")
    yield Row(
        "description",
        "Short description",
        line(
            product,
            " lets health-center staff offer information cards to every patient, keeps the phone numbers of community "
            "services at hand, and arranges visits and introductions with partnered community organizations.",
        ),
        "product_name",
    )
    yield Row("long-description", "Long description", _long_description(subject), "product_name")
    yield Row(
        "users",
        "Users",
        line(
            "Staff of the health center, each with a role that the health center configured. Patients do not sign in."
        ),
    )
    yield _address(subject, "icon", "Icon, neutral", f"{subject.base}/static/icon.svg")
    yield _listed(subject, "privacy_url")
    yield _listed(subject, "terms_url")


def _long_description(subject: Subject) -> Line:
    written = subject.facts.copied_types
    return line(
        said(subject.product),
        " opens from the patient's chart or from the schedule, inside the EHR, for staff who are signed in there. "
        "It shows two information cards and a phone list, helps a clinician to introduce a patient who wants that to a "
        "partnered community organization, and lets schedulers book visits that such an organization asks for, on the "
        "next open clinic day. It reads only what stands in the table of scopes. "
        + (
            f"It writes {_and(written)} where the health center has switched that on."
            if written
            else "It writes nothing to the EHR."
        ),
    )


def _offerer(subject: Subject) -> Iterator[Row]:
    yield Row("company", "Company", said(subject.listing.company), "listing.company")
    yield Row("support-phone", "Support phone", said(subject.listing.phone), "site.phone")
    for name in ("support_email", "support_url", "website"):
        yield _listed(subject, name)


def _listed(subject: Subject, name: str) -> Row:
    value: str | None = getattr(subject.listing, name)
    return _row(subject, name.replace("_", "-"), LISTED[name], exact(value) if value else None, f"listing.{name}")


def _row(subject: Subject, row_id: str, label: str, value: Line | None, key: str, remedy_of: str = "") -> Row:
    """A row, open where there is no value: then it says which key to fill, and how."""
    if value is not None:
        return Row(row_id, label, value, key)
    words, written = subject.site.remedies[remedy_of or key]
    return Row(
        row_id,
        label,
        line("To fill in: ", exact(key), ", ", said(words), ": ", exact(written)),
        key,
        f"{key}: {words}: {written}",
    )


def _launch(subject: Subject) -> Iterator[Row]:
    registration, registrations = subject.registration, subject.site.registrations
    client_type, authentication = CLIENTS[registration.token_endpoint_auth_method]
    uses_keys = registration.token_endpoint_auth_method == WITH_KEYS
    yield Row("fhir-version", "FHIR version", line("R4 (4.0.1)"))
    yield Row(
        "launch-type",
        "Launch",
        line(
            "Provider EHR launch, SMART App Launch 2.2. With a patient from the chart, and without one for schedulers, "
            "coordinators, officers and IT. No standalone launch, no patient launch."
        ),
    )
    yield Row("fhir-base", "FHIR base (iss)", exact(registration.issuer), f"ehr.{registration.id}.issuer")
    yield Row("client-type", "Client type", line(client_type), f"ehr.{registration.id}.token_endpoint_auth_method")
    yield Row(
        "authentication",
        "Client authentication",
        line(authentication),
        f"ehr.{registration.id}.token_endpoint_auth_method",
    )
    yield Row(
        "algorithms",
        "Signing algorithms",
        line("RS384 and ES384, one key of each. Used at this EHR: ", exact(registration.signing_alg))
        if uses_keys
        else line(NO_KEYS),
        f"ehr.{registration.id}.signing_alg",
    )
    if uses_keys:
        yield _address(subject, "jwks-url", "Key set (JWKS) address", f"{subject.base}/.well-known/jwks.json")
    else:
        yield Row("jwks-url", "Key set (JWKS) address", line(NO_KEYS))
    yield _address(subject, "launch-url", "Launch address", registrations.launch_url)
    yield _address(subject, "redirect-uri", "Redirect address, exact", registrations.redirect_uri)
    yield Row("client-id", "Client id", _client_id(subject), f"ehr.{registration.id}.client_id")


def _address(subject: Subject, row_id: str, label: str, address: str) -> Row:
    """One of our own addresses; open while it leads to this computer only (the demo)."""
    host = subject.base.split("://")[-1].rsplit(":", 1)[0].strip("[]")
    if not is_loopback(host):
        return Row(row_id, label, exact(address), "public_base_url")
    return _row(subject, row_id, label, None, "public_base_url")


def _client_id(subject: Subject) -> Line:
    given = subject.registration.client_id
    return line("The vendor gives it.") if given == UNKNOWN_CLIENT_ID else exact(given)


def _network(subject: Subject) -> Iterator[Row]:
    origins = [part for origin in subject.registration.frame_origins for part in (line(", "), exact(origin))][1:]
    yield Row(
        "frames",
        "Frames",
        line(
            "May be shown in a frame. `Content-Security-Policy: frame-ancestors` names these origins and no other: ",
            *origins,
        ),
        f"ehr.{subject.registration.id}.frame_origins",
    )
    yield Row(
        "cookie",
        "Cookie",
        line(
            "One: ",
            exact(COOKIE_NAME),
            ", `Secure; HttpOnly; SameSite=None; Partitioned; Path=/`, an opaque id. No other storage in the browser. "
            "Where a frame returns no cookie, the app offers to open in a new window.",
        ),
    )
    yield Row(
        "session",
        "Session",
        line(
            f"A page empties itself after 3 minutes without use; the server ends a launch after {IDLE_SECONDS // 60} "
            f"minutes without use, and any launch after {LAUNCH_SECONDS // 60}."
        ),
    )
    yield Row(
        "network",
        "Network",
        line(
            "The EHR's browsers reach ",
            exact(subject.base),
            f" on port {_port(subject.base)}, TLS 1.2 or newer, "
            "with a certificate of a public authority. The app reaches the FHIR base, its token and key addresses.",
        ),
        "public_base_url",
    )


def _port(base: str) -> str:
    host = base.split("://", 1)[-1]
    port = host.rpartition(":")[2]
    return port if ":" in host and port.isdigit() else "443"


def _before(subject: Subject) -> Iterator[Row]:
    registration, signer = subject.registration, subject.listing.signs_proof
    yield _row(
        subject, "proof-signer", "Who signs the label proof", said(signer) if signer else None, "listing.signs_proof"
    )
    patients = ", ".join(sorted(subject.facts.test_patients))
    yield _row(
        subject,
        "test-patient",
        "Test patient",
        exact(patients) if patients else None,
        f"ehr.{registration.id}.test_patients",
        "ehr.test_patients",
    )
    yield Row(
        "test-proxy",
        "Test proxy account",
        line(
            "Ask the vendor: one of the test patients needs a proxy account, and the app's settings have no key for it."
        ),
    )
    yield Row("environment", "Environment", line(subject.facts.environment), f"ehr.{registration.id}.environment")


def _vendor(subject: Subject) -> Iterator[Row]:
    types = ", ".join(read_types(subject.scopes))
    for number, (field, answer) in enumerate(subject.vendor.answers):
        filled = answer.replace("{types}", types).replace("{environment}", subject.facts.environment)
        yield Row(f"vendor-{number}", field, line(filled))


def _and(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
