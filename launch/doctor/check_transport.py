"""Certificates, clock and speed: what lies under every call."""

from __future__ import annotations

import socket
import ssl
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from launch.doctor.findings import Finding, Stops, green, not_checked, red, warning
from launch.doctor.wire import Reply
from launch.registrations import is_loopback
from launch.transport import MAX_ADDRESSES, PUBLIC_ONLY, AddressRules, resolved

MOST_SKEW_SECONDS = 5.0
CONNECT_SECONDS = 5.0
SHORT_OF_DAYS = 30
SLOW_SECONDS = 2.0
FAMILIES = {
    "certificate-expired": "the certificate has expired, or is not valid yet",
    "certificate-name": "the certificate is for another name",
    "certificate-chain": "no authority that this computer trusts signed it, or the chain is incomplete",
    "tls": "no TLS 1.2 or newer came about",
    "no-connection": "no connection came about",
}


@dataclass(frozen=True)
class Certificate:
    """What one TLS handshake showed. ``problem`` is a key of ``FAMILIES``; ``ends_at`` is None without a handshake."""

    host: str
    ends_at: datetime | None = None
    problem: str | None = None


def certificate(address: str, *, rules: AddressRules = PUBLIC_ONLY, trusted: str | None = None) -> Certificate:
    """Shake hands with the host of an https address: chain, name and dates are checked as a launch would. A name that
    leads where ``rules`` do not allow is not connected to, and counts as "no-connection"."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context(cafile=trusted)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        addresses = resolved(host, port)
        if not addresses or not all(map(rules.allow, addresses)):
            return Certificate(host, problem="no-connection")
        with (
            _connected(addresses, port) as plain_socket,
            context.wrap_socket(plain_socket, server_hostname=host) as tls,
        ):
            ends = str((tls.getpeercert() or {}).get("notAfter", ""))
    except ssl.SSLCertVerificationError as error:
        return Certificate(host, problem=_problem_of(error.verify_code))
    except ssl.SSLError:
        return Certificate(host, problem="tls")
    except OSError:
        return Certificate(host, problem="no-connection")
    return Certificate(host, datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC))


def can_trust(file: str) -> bool:
    """Whether a file holds root certificates that could be trusted."""
    try:
        return bool(ssl.create_default_context(cafile=file).get_ca_certs())
    except OSError:
        return False


def _connected(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first of these addresses that answers. Raises the last ``OSError``."""
    failure = OSError()
    for address in addresses[:MAX_ADDRESSES]:
        try:
            return socket.create_connection((address, port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise failure


def _problem_of(verify_code: int) -> str:
    """OpenSSL's X509_V_ERR_*: 9 not yet valid, 10 expired, 62 and 64 other host name or address."""
    if verify_code in (9, 10):
        return "certificate-expired"
    return "certificate-name" if verify_code in (62, 64) else "certificate-chain"


def judge_certificates(
    addresses: Iterable[str],
    now: datetime,
    *,
    ours: str,
    trusted: str | None,
    rules_for: Callable[[str], AddressRules],
) -> Iterator[Finding]:
    """One finding for each host behind ``addresses``; ``ours`` is our own address, for whom the remedy is ours.
    ``rules_for(address)``: where its name may lead."""
    seen: set[tuple[str, int | None]] = set()
    for address in (*addresses, ours):
        parts = urlsplit(address)
        if not parts.hostname or (parts.hostname, parts.port) in seen:
            continue
        seen.add((parts.hostname, parts.port))
        who = "Ours" if address == ours else "The EHR's"
        if parts.scheme == "http" and is_loopback(parts.hostname):
            yield not_checked("tls.loopback", f"{who}: http on this computer (the demo), so there is no certificate.")
        else:
            found = certificate(address, rules=rules_for(address), trusted=trusted)
            yield _certificate(found, now, is_ours=address == ours)


def _certificate(found: Certificate, now: datetime, *, is_ours: bool) -> Finding:
    who = "Our" if is_ours else "The EHR's"
    ask = "" if is_ours else "Please renew the certificate, with its full chain and for the host name that apps use."
    stops = Stops.SETUP if is_ours else Stops.LAUNCH
    if found.problem == "no-connection":
        return red("tls.no-connection", f"{who} host {found.host}: {FAMILIES['no-connection']}.", ask, stops=stops)
    if found.problem is not None:
        return red(f"tls.{found.problem}", f"{who} host {found.host}: {FAMILIES[found.problem]}.", ask, stops=stops)
    assert found.ends_at is not None
    days = (found.ends_at - now).days
    words = f"{who} host {found.host}: certificate, name and chain hold; it ends in {days} days."
    return warning("tls.ends-soon", words, ask) if days < SHORT_OF_DAYS else green("tls.certificate", words)


def judge_clock(reply: Reply, asked_at: datetime) -> Finding:
    """Our clock against the EHR's ``Date``, which names whole seconds. Assertions and tokens live by both clocks."""
    try:
        told = parsedate_to_datetime(reply.headers.get("Date", ""))
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return not_checked("clock", "The EHR sends no Date header, so clocks could not be compared.")
    # the answer was written between asking and hearing; a second more, because Date is cut to whole seconds
    lead = (told - asked_at).total_seconds()
    skew = lead - reply.seconds if lead > reply.seconds else min(0.0, lead + 1.0)
    if abs(skew) <= MOST_SKEW_SECONDS:
        return green("clock.skew", "Our clock and the EHR's agree within five seconds.")
    way = "ahead of" if skew > 0 else "behind"
    return red(
        "clock.skew",
        f"The EHR's clock is about {abs(skew):.0f} seconds {way} ours: assertions and tokens will be refused. Set this "
        "computer by a time server (NTP) first.",
        f"By our clock, which a time server sets, your server's Date header is {abs(skew):.0f} seconds off. Please "
        "check its clock.",
    )


def judge_speed(replies: Mapping[str, Sequence[Reply]]) -> Finding:
    """The middle of several calls of each kind ("sign-in", "FHIR"), and which kind is slow."""
    times = {kind: [one.seconds for one in some if one.failure is None] for kind, some in replies.items()}
    middles = {kind: statistics.median(seconds) for kind, seconds in times.items() if seconds}
    if not middles:
        return not_checked("speed", "No call succeeded, so speed was not measured.")
    told = "; ".join(f"{kind} {middle * 1000:.0f} ms" for kind, middle in middles.items())
    slow = [kind for kind, middle in middles.items() if middle > SLOW_SECONDS]
    if slow:
        return warning(
            "speed",
            f"The EHR is slow. Half of the calls took at most: {told}. A launch waits for about five such calls.",
            f"Calls for {' and '.join(slow)} take more than {SLOW_SECONDS:.0f} s from here. Is there a faster "
            "address for apps?",
        )
    return green("speed", f"Half of the calls took at most: {told}.")
