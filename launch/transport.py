"""Which addresses of others we connect to, and a transport that connects to exactly the address it has checked.

An address can be wrong in what it says (a user name, an odd spelling of 127.0.0.1) or in where its name leads: whoever
answers for a name may point it at this computer or at its neighbours, and differently each time it is asked ("DNS
rebinding"). So the spelling is checked before anything is looked up, the name is looked up once, every answer must be
a public address, and the connection goes to the answer that was checked. TLS still proves the name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import connection
from urllib3.util.ssl_ import create_urllib3_context

from launch.registrations import Registration, is_loopback

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_CHARACTERS: Final = 2048
MAX_ENCODINGS: Final = 5
MAX_ADDRESSES: Final = 4  # of one name are tried
_UNSAFE: Final = re.compile(r'[\s\\"<>^`{|}#]')
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_PRIVATE_NETWORKS: Final = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
# Not marked private everywhere, and yet not the world outside: two clouds keep their services there.
_CLOUD_NETWORKS: Final = tuple(
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class AddressRules:
    """Where a connection may go besides public addresses.

    ``allows_loopback``: this computer, for the demo, where everything registered is here. ``allows_private``: a
    hospital's own network (10/8, 172.16/12, 192.168/16, fc00::/7), for an EHR whose registration says that it is there.
    Link-local addresses, where clouds keep their keys, are never allowed.
    """

    allows_loopback: bool = False
    allows_private: bool = False

    def allow(self, address: str) -> bool:
        """Whether a numeric address, as a resolver gives it, may be connected to."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return not getattr(parsed, "scope_id", None) and all(map(self._allow_one, _meant(parsed)))

    def _allow_one(self, address: IPAddress) -> bool:
        if address.is_loopback:
            return self.allows_loopback
        if self.allows_private and any(address in network for network in _PRIVATE_NETWORKS):
            return True
        if any(address in network for network in _CLOUD_NETWORKS):
            return False
        is_unicast = address.version == 4 or any(address in network for network in (_GLOBAL_UNICAST, _NAT64))
        return is_unicast and address.is_global and not address.is_multicast

    def allow_url(self, url: str) -> bool:
        """Whether a URL is spelled plainly and, if its host is a number, whether that may be connected to.

        https; or http to this computer where loopback is allowed. No user name, no fragment, no way up, one spelling:
        a dotted-quad address or a name in ASCII. What a name leads to is checked at the connection.
        """
        host = plain_host(url)
        if host is None:
            return False
        is_here = is_loopback(host)
        if urlsplit(url).scheme != "https":
            return is_here and self.allows_loopback
        return (self.allows_loopback if is_here else True) and (not _is_number(host) or self.allow(host))


PUBLIC_ONLY: Final = AddressRules()


def rules_of(registration: Registration) -> AddressRules:
    """Where the connections for one EHR may go: this computer only if its registered issuer is here."""
    return AddressRules(
        allows_loopback=is_loopback(urlsplit(registration.issuer).hostname or ""),
        allows_private=registration.private_network,
    )


def is_plain_text(url: str) -> bool:
    """Whether a URL, or a part of one, holds only what a URL may hold, and no fragment. To be asked before ``urljoin``
    and ``requests``, which drop line breaks and blanks and so mend what was not meant for us."""
    return url.isascii() and url.isprintable() and len(url) <= MAX_URL_CHARACTERS and not _UNSAFE.search(url)


def plain_host(url: str) -> str | None:
    """The host of an http(s) URL that can be read in one way only, without the brackets of IPv6; otherwise None."""
    return _plain_host(url) if is_plain_text(url) else None


@lru_cache(maxsize=512)  # the same few addresses are asked about with every launch
def _plain_host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    written = parts.netloc.rpartition("@")[2]
    has_more = parts.username is not None or port == 0 or written.endswith(":")
    if has_more or parts.scheme not in ("http", "https") or url.partition(":")[0] != parts.scheme or "%" in written:
        return None
    if leads_up(parts.path):
        return None
    if ":" in host:
        return host if _is_canonical(host) else None
    if not _NAME.fullmatch(host) or written.partition(":")[0].lower() != host:
        return None
    last = host.rpartition(".")[2]
    is_numeric = last.isdigit() or last.startswith("0x")
    return host if not is_numeric or _is_canonical(host) else None


def leads_up(path: str) -> bool:
    """Whether a path holds a ``..``, however often it is encoded; ``..;x`` is one too: some servers drop the rest."""
    for _ in range(MAX_ENCODINGS):
        path, before = unquote(path), path
        if path == before:
            return any(segment.partition(";")[0] == ".." for segment in re.split(r"[/\\]", path))
    return True


def _is_number(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdigit()


def _is_canonical(host: str) -> bool:
    """Whether a numeric address is written the one usual way: 127.1, 0x7f000001 and 2130706433 are not."""
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        return False


def _meant(address: IPAddress) -> list[IPAddress]:
    """The address itself, and the IPv4 address that an IPv6 address stands for."""
    found: list[IPAddress] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return [address.ipv4_mapped]
        found += [address.sixtofour] if address.sixtofour is not None else []
        if address in _NAT64:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


# --- the connection --------------------------------------------------------------------------------------------------


class AddressRefusedError(NewConnectionError):
    """A name led to an address that we do not connect to. Nothing was sent."""


def was_refused(error: Exception) -> bool:
    """Whether a ``requests`` error says that a name led to an address that we do not connect to."""
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), AddressRefusedError)


def resolved(host: str, port: int) -> list[str]:
    """The numeric addresses of a name, asked once."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class _CheckedConnection(HTTPConnection):
    """Looks its name up once and connects to what it found, if all of it is allowed."""

    rules: AddressRules = PUBLIC_ONLY
    resolve: Resolve = staticmethod(resolved)

    def _new_conn(self) -> socket.socket:
        host, port = self._dns_host.strip("[]"), self.port
        try:
            addresses = type(self).resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(self.host, self, cast(Any, error)) from error
        # One forbidden answer among allowed ones is how a rebinding attack looks: the whole name is not trusted.
        if not addresses or not all(map(self.rules.allow, addresses)):
            raise AddressRefusedError(self, "the name leads to an address that is not connected to")
        failure: OSError | None = None
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return connection.create_connection(
                    (address, port), self.timeout, self.source_address, self.socket_options
                )
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "connecting took too long") from failure
        raise NewConnectionError(self, "no connection came about") from failure


@lru_cache(maxsize=64)
def _pools(rules: AddressRules, resolve: Resolve) -> dict[str, type[HTTPConnectionPool]]:
    """The pools whose connections keep ``rules``."""
    held = {"rules": rules, "resolve": staticmethod(resolve)}
    plain = type("CheckedHTTPConnection", (_CheckedConnection,), held)
    secure = type("CheckedHTTPSConnection", (_CheckedConnection, HTTPSConnection), held)
    return {
        "http": type("CheckedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("CheckedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


@lru_cache(maxsize=1)
def trusted_authorities() -> ssl.SSLContext:
    """TLS with the certificate authorities that ``requests`` trusts, read once. It would read all of them for every
    connection, which costs more than all else that a launch computes."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)  # as urllib3 would make it: names checked, TLS 1.2 up
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


class CheckedAdapter(HTTPAdapter):
    """Mount it on a ``requests.Session`` for https:// and http://; ``hold`` does both."""

    def __init__(self, rules: AddressRules = PUBLIC_ONLY, *, resolve: Resolve = resolved) -> None:
        self._pools = _pools(rules, resolve)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Connections of both schemes are checked ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """As ``requests`` does; usual https takes the authorities that were read before. Only ``verify=True`` does: a
        connection writes what it was asked to verify into the context it gets, and the others share this one."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {**pool, "ssl_context": trusted_authorities()} if _is_usual_tls(host["scheme"], verify) else pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """As ``requests`` does, but name no file to read where the authorities were read before."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if _is_usual_tls(url.partition(":")[0].lower(), verify):
            conn.ca_certs = None


def _is_usual_tls(scheme: str, verify: object) -> bool:
    return scheme == "https" and verify is True


def hold(session: requests.Session, rules: AddressRules = PUBLIC_ONLY) -> None:
    """Let a session connect to checked addresses only. Proxies and ``.netrc`` of the environment are switched off."""
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, CheckedAdapter(rules))
