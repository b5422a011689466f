"""The EHRs that may open this app, parsed from configuration. Everything that is wrong is said at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from launch.errors import UnknownIssuerError

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
    "signing_alg",
}


class RegistrationsError(ValueError):
    """Configuration that cannot be used. ``problems``: one sentence with its remedy for each bad key."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Registration:
    """One EHR. ``issuer`` is its FHIR base without a trailing slash; ``write_types`` are written back to it."""

    id: str
    issuer: str
    client_id: str
    ehr_name: str
    frame_origins: tuple[str, ...]
    write_types: frozenset[str]
    token_endpoint_auth_method: str = "private_key_jwt"  # noqa: S105 - the name of a method, not a secret
    signing_alg: str = "ES384"


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
    """Registrations from one mapping (see the README's table of settings). ``RegistrationsError`` names all faults."""
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
    problems.doubled("ehr", "id", [ehr.id for ehr in ehrs])
    problems.doubled("ehr", "issuer", [ehr.issuer for ehr in ehrs])
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
    write_types = frozenset(problems.texts(f"{where}.write_types", one.get("write_types", [])))
    if not all(_TYPE.fullmatch(name) for name in write_types):
        problems.add(f"{where}.write_types", "must be names of FHIR types such as Observation; no wildcard")
    method = one.get("token_endpoint_auth_method", "private_key_jwt")
    if method != "private_key_jwt":
        problems.add(f"{where}.token_endpoint_auth_method", 'must be "private_key_jwt"; no shared secret')
    alg = one.get("signing_alg", "ES384")
    if alg not in ("ES384", "RS384"):
        problems.add(f"{where}.signing_alg", 'must be "ES384" or "RS384"')
    return Registration(registration_id, issuer, client_id, name, frame_origins, write_types, str(method), str(alg))


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

    def unknown_keys(self, where: str, mapping: Mapping[str, Any], known: set[str]) -> None:
        for key in sorted(set(mapping) - known):
            self.add(f"{where}{key}", f"is not a setting; known here: {', '.join(sorted(known))}")

    def doubled(self, key: str, what: str, values: list[str]) -> None:
        for value in sorted({value for value in values if value and values.count(value) > 1}):
            self.add(key, f"has two blocks with the {what} {value}; keep one")


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
