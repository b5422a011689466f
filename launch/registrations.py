"""The EHRs that may open this app, parsed from configuration. Everything that is wrong is said at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from launch.errors import UnknownIssuerError
from launch.keys import KeyFileError, KeyRing

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_TOP_KEYS = {"public_base_url", "keys_file", "allows_loopback_http", "product_name", "ehr"}
_EHR_KEYS = {
    "id",
    "issuer",
    "client_id",
    "name",
    "frame_origins",
    "write_types",
    "token_endpoint_auth_method",
    "client_secret",
    "signing_alg",
    "scope_syntax",
    "authorize_method",
    "read_types",
    "private_network",
}
AUTH_METHODS = ("private_key_jwt", "client_secret_basic", "none")
SIGNING_ALGS = ("ES384", "RS384")
SCOPE_SYNTAXES = ("auto", "v1", "v2")
AUTHORIZE_METHODS = ("auto", "get", "post")
MAX_SECRET_CHARACTERS = 512
UNKNOWN_CLIENT_ID = "put-the-client-id-of-the-ehr-here"  # what a new block says until the EHR has given one
TEMPLATES = ("epic", "oracle", "athena", "ecw", "generic", "public-launcher")


class RegistrationsError(ValueError):
    """Configuration that cannot be used. ``problems``: one sentence with its remedy for each bad key."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Registration:
    """One EHR. ``issuer`` is its FHIR base without a trailing slash; ``write_types`` are written back to it;
    ``read_types`` are read from it beyond what every launch reads (such as PractitionerRole).

    ``token_endpoint_auth_method`` is one of ``AUTH_METHODS`` ("none": a public client, which names itself in the form).
    ``client_secret`` is there exactly when the method is "client_secret_basic". ``scope_syntax`` and
    ``authorize_method`` "auto" follow what the EHR says of itself (permission-v2, authorize-post). ``private_network``:
    the EHR is on the hospital's own network, so that its names may lead to private addresses.
    """

    id: str
    issuer: str
    client_id: str
    ehr_name: str
    frame_origins: tuple[str, ...]
    write_types: frozenset[str]
    token_endpoint_auth_method: str = "private_key_jwt"  # noqa: S105 - the name of a method, not a secret
    signing_alg: str = "ES384"
    client_secret: str | None = field(default=None, repr=False)
    scope_syntax: str = "auto"
    authorize_method: str = "auto"
    read_types: frozenset[str] = frozenset()
    private_network: bool = False


@dataclass(frozen=True)
class Registrations:
    """All EHRs and the few facts about ourselves that OAuth needs. All our own URLs come from ``public_base_url``."""

    public_base_url: str
    keys_file: Path
    allows_loopback_http: bool
    product_name: str
    ehrs: tuple[Registration, ...] = field(default=())

    @property
    def launch_url(self) -> str:
        """Where the EHR sends the browser to begin."""
        return self.public_base_url + "/launch"

    @property
    def redirect_uri(self) -> str:
        """Where the EHR sends the browser back, byte for byte as registered."""
        return self.public_base_url + "/callback"

    def for_issuer(self, iss: str) -> Registration:
        """The registration whose issuer is exactly ``iss``, but for one trailing slash. ``UnknownIssuerError``."""
        for registration in self.ehrs:
            if iss in (registration.issuer, registration.issuer + "/"):
                return registration
        raise UnknownIssuerError

    def for_id(self, registration_id: str) -> Registration:
        """The registration with this id. ``UnknownIssuerError`` if it was taken out of configuration."""
        for registration in self.ehrs:
            if registration.id == registration_id:
                return registration
        raise UnknownIssuerError("registration-gone")

    def all_frame_origins(self) -> tuple[str, ...]:
        """Every origin that may frame us before an issuer is known (error pages)."""
        return tuple(dict.fromkeys(origin for ehr in self.ehrs for origin in ehr.frame_origins))


def parse(mapping: Mapping[str, Any]) -> Registrations:
    """Registrations from one mapping (see docs/settings.md). ``RegistrationsError`` names all faults."""
    problems = _Problems()
    problems.unknown_keys("", mapping, _TOP_KEYS)
    allows_http = mapping.get("allows_loopback_http", False)
    if not isinstance(allows_http, bool):
        problems.add("allows_loopback_http", "must be true or false; leave it out unless this is the demo")
        allows_http = False
    urls = _Urls(problems, allows_http)
    public_base_url = urls.origin("public_base_url", mapping.get("public_base_url"))
    keys_file = problems.text("keys_file", mapping, "name the file that `warm-referral keys create` wrote")
    product_name = problems.text("product_name", mapping, "give the neutral name that people see")
    listed = mapping.get("ehr", [])
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        problems.add("ehr", "must be a list of tables; write one [[ehr]] block for each EHR")
        listed = []
    if not listed and "ehr" not in problems.keys:
        problems.add("ehr", "names no EHR; write one [[ehr]] block for each EHR")
    ehrs = tuple(_ehr(f"ehr[{number}]", one, problems, urls) for number, one in enumerate(listed))
    problems.doubled("ehr.id", "id", [ehr.id for ehr in ehrs])
    problems.doubled("ehr.issuer", "issuer", [ehr.issuer for ehr in ehrs])
    if problems.found:
        raise RegistrationsError(problems.found)
    return Registrations(public_base_url, Path(keys_file), allows_http, product_name, ehrs)


def _ehr(where: str, one: Mapping[str, Any], problems: _Problems, urls: _Urls) -> Registration:
    problems.unknown_keys(where + ".", one, _EHR_KEYS)
    registration_id = problems.text(f"{where}.id", one, "give a short id such as main-ehr")
    if registration_id and not _ID.fullmatch(registration_id):
        problems.add(f"{where}.id", "may hold a-z, 0-9 and - only, 32 characters at most")
    issuer = urls.fhir_base(f"{where}.issuer", one.get("issuer"))
    client_id = problems.text(f"{where}.client_id", one, "copy the client id that the EHR gave at registration")
    name = problems.text(f"{where}.name", one, "give the name of the EHR as staff know it")
    origins = problems.texts(f"{where}.frame_origins", one.get("frame_origins", []))
    if not origins:
        problems.add(f"{where}.frame_origins", "is empty; list the origins of the EHR pages that show this app")
    frame_origins = tuple(urls.origin(f"{where}.frame_origins", origin) for origin in origins)
    types = {}
    for key in ("write_types", "read_types"):
        types[key] = frozenset(problems.texts(f"{where}.{key}", one.get(key, [])))
        if not all(_TYPE.fullmatch(name) for name in types[key]):
            problems.add(f"{where}.{key}", "must be names of FHIR types such as Observation; no wildcard")
    method = problems.choice(f"{where}.token_endpoint_auth_method", one, AUTH_METHODS)
    return Registration(
        registration_id,
        issuer,
        client_id,
        name,
        frame_origins,
        types["write_types"],
        method,
        problems.choice(f"{where}.signing_alg", one, SIGNING_ALGS),
        _client_secret(f"{where}.client_secret", one.get("client_secret"), method, problems),
        problems.choice(f"{where}.scope_syntax", one, SCOPE_SYNTAXES),
        problems.choice(f"{where}.authorize_method", one, AUTHORIZE_METHODS),
        types["read_types"],
        problems.flag(f"{where}.private_network", one),
    )


def _client_secret(key: str, value: object, method: str, problems: _Problems) -> str | None:
    """The shared secret of "client_secret_basic"; no other method has one. No sentence ever quotes it."""
    if method != "client_secret_basic":
        if value is not None:
            problems.add(
                key, 'is given, but only token_endpoint_auth_method = "client_secret_basic" uses it; remove it'
            )
        return None
    if not isinstance(value, str) or not re.fullmatch(rf"[\x20-\x7e]{{1,{MAX_SECRET_CHARACTERS}}}", value):
        problems.add(key, "is missing or not plain ASCII text; put what the EHR gave into a file or the environment")
        return None
    return value


def template(name: str) -> str:
    """The commented ``[[ehr]]`` block of one of ``TEMPLATES``, with @NAMES@ where values of the site go."""
    return (resources.files("launch") / "registration_templates" / f"{name}.toml").read_text(encoding="utf-8")


def keys_file_problem(path: Path) -> str | None:
    """Why our signing keys cannot be used, with the remedy; None when they can. Both algorithms have to be there."""
    try:
        ring = KeyRing.load(path)
        for alg in SIGNING_ALGS:
            ring.signing_key(alg)
    except KeyFileError as error:
        return str(error).removesuffix(".")
    return None


class _Problems:
    """Collects one sentence for each bad key, so that a person fixes all of them in one go."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.keys: set[str] = set()

    def add(self, key: str, words: str) -> None:
        self.found.append(f"{key} {words}.")
        self.keys.add(key)

    def text(self, key: str, mapping: Mapping[str, Any], remedy: str) -> str:
        value = mapping.get(key.rsplit(".", 1)[-1])
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, str) and value.strip() == value and 0 < len(value) <= 1024 and value.isprintable():
            return value
        self.add(key, f"is missing or not a plain text; {remedy}")
        return ""

    def texts(self, key: str, value: object) -> list[str]:
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return [str(one) for one in value]
        self.add(key, "must be a list of texts")
        return []

    def choice(self, key: str, mapping: Mapping[str, Any], allowed: Sequence[str]) -> str:
        """One of ``allowed``; the first is the default."""
        value = mapping.get(key.rsplit(".", 1)[-1], allowed[0])
        if not isinstance(value, str) or value not in allowed:
            self.add(key, "must be " + " or ".join(f'"{one}"' for one in allowed))
            return allowed[0]
        return value

    def flag(self, key: str, mapping: Mapping[str, Any]) -> bool:
        """True or false; false when it is not given."""
        value = mapping.get(key.rsplit(".", 1)[-1], False)
        if not isinstance(value, bool):
            self.add(key, "must be true or false")
        return value is True

    def unknown_keys(self, where: str, mapping: Mapping[str, Any], known: set[str]) -> None:
        for key in sorted(set(mapping) - known):
            self.add(f"{where}{key}", f"is not a setting; known here: {', '.join(sorted(known))}")

    def doubled(self, key: str, what: str, values: list[str]) -> None:
        for value in sorted({value for value in values if value and values.count(value) > 1}):
            self.add(key, f"is {value} in two blocks; keep one, or give each its own {what}")


class _Urls:
    """What counts as an acceptable address. http only with ``allows_loopback_http``, and then loopback everywhere."""

    def __init__(self, problems: _Problems, allows_loopback_http: bool) -> None:
        self._problems = problems
        self._allows_loopback_http = allows_loopback_http

    def origin(self, key: str, value: object) -> str:
        """``scheme://host[:port]`` and nothing behind it (one trailing slash is taken off)."""
        address = self._address(key, value)
        if address and urlsplit(address).path:
            self._problems.add(key, "must be an origin such as https://app.example.org, without a path")
        return address

    def fhir_base(self, key: str, value: object) -> str:
        """A FHIR base address, without its trailing slash."""
        return self._address(key, value)

    def _address(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or "*" in value:
            self._problems.add(key, "is missing or not an address; write it out in full, without a wildcard")
            return ""
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or any(sign in value for sign in "?#@\\ "):
            self._problems.add(key, "must be a full address without user name, query or fragment")
            return ""
        self._scheme(key, parts.scheme, is_loopback(host))
        return value.removesuffix("/")

    def _scheme(self, key: str, scheme: str, is_local: bool) -> None:
        if self._allows_loopback_http and not is_local:
            self._problems.add(key, "must be a loopback address while http is allowed; use a public address with https")
        elif scheme != "https" and not (scheme == "http" and is_local and self._allows_loopback_http):
            self._problems.add(key, "must begin with https; http is for the demo on this computer only")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this computer itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
