"""Connections go to the address that was checked, whatever a name leads to the next time it is asked."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import DEFAULT_CA_BUNDLE_PATH

from launch import transport
from launch.backend_services import Client
from launch.client_authentication import JwksCache, KeysUnavailableError
from launch.errors import PartnerSystemError
from launch.keys import KeyRing
from launch.transport import PUBLIC_ONLY, AddressRules, CheckedAdapter, trusted_authorities

DEMO = AddressRules(allows_loopback=True)
HOSPITAL = AddressRules(allows_private=True)


class Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def plain_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Names:
    """A resolver that answers what it is told, one list for each time it is asked, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def session(rules: AddressRules, names: Names) -> requests.Session:
    made = requests.Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, CheckedAdapter(rules, resolve=names))
    return made


def held(rules: AddressRules, names: Names) -> requests.Session:
    """As ``session``, deaf to this computer's own settings as ``transport.hold`` leaves it."""
    made = session(rules, names)
    made.trust_env = False
    return made


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that a socket of this process is connected to."""
    seen: list[object] = []
    genuine = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        seen.append(address)
        genuine(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


# --- which addresses -------------------------------------------------------------------------------------------------

FORBIDDEN = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
    "2002:7f00:1::", "2002:a00:1::1", "2001:0:a00:1::1", "192.0.0.192", "168.63.129.16", "not-a-number", "",
    "127.1", "0x7f.1", "2606:4700::1111%eth0",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_never_public(address: str) -> None:
    """This computer, its neighbours, the cloud's own addresses, and IPv6 spellings of all of them are refused."""
    assert not PUBLIC_ONLY.allow(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    """A public address is where an EHR in the cloud or a partner is."""
    assert PUBLIC_ONLY.allow(address)


def test_a_hospital_network_is_allowed_only_where_registration_says_so() -> None:
    """An EHR on the hospital's own network needs a word in its registration; the cloud's key address never opens."""
    private = ["10.1.2.3", "172.31.0.9", "192.168.5.5", "fd12::7"]
    assert not any(map(PUBLIC_ONLY.allow, private))
    assert all(map(HOSPITAL.allow, private))
    never = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "100.64.0.1", "::ffff:169.254.169.254"]
    assert not any(map(HOSPITAL.allow, never))


def test_loopback_is_for_the_demo_alone() -> None:
    """This computer is reached only in the demo, and the demo reaches nothing else that is private."""
    assert all(map(DEMO.allow, ["127.0.0.1", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(DEMO.allow, ["10.0.0.1", "169.254.169.254", "fe80::1"]))


@pytest.mark.rule("R41")
def test_rule_R41_http_is_for_this_computer_alone_and_in_the_demo_alone() -> None:
    """Without TLS nothing goes to another machine, in the demo either; and outside the demo nothing goes here.

    Break: in ``AddressRules.allow_url`` leave out ``is_here`` or ``allows_loopback`` where the scheme is not https.
    """
    here, there = ["http://localhost:9000/a", "http://127.0.0.1:9000/a", "http://[::1]:9000/a"], "http://ehr.example/a"
    assert all(map(DEMO.allow_url, here))
    assert not any(rules.allow_url(there) for rules in (DEMO, HOSPITAL, PUBLIC_ONLY))
    assert not any(rules.allow_url(one) for one in here for rules in (HOSPITAL, PUBLIC_ONLY))


@pytest.mark.parametrize(
    "url",
    ["ftp://localhost/a", "gopher://localhost/a", "ws://localhost/a", "HTTP://localhost/a", "hTTps://ehr.example/a"],
)
def test_a_scheme_is_http_or_https_in_small_letters(url: str) -> None:
    """No other scheme is read, and none in another spelling, on this computer neither.

    Breaks: in ``_plain_host`` leave out the scheme, or its spelling.
    """
    assert transport.plain_host(url) is None
    assert not DEMO.allow_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://[2606:4700:0:0::1111]/a",
        "https://[2606:4700::1111%eth0]/a",
        "https://[2606:4700::1111%25eth0]/a",
        "https://ehr%2eexample/a",
    ],
)
def test_a_host_is_written_in_one_way_only(url: str) -> None:
    """A public number in a long spelling, with a network's name behind it, or a name with percent signs is not read.

    Breaks: in ``_plain_host`` leave out ``_is_canonical`` of IPv6, or the percent sign.
    """
    assert transport.plain_host("https://[2606:4700::1111]/a") == "2606:4700::1111"
    assert transport.plain_host(url) is None


@pytest.mark.parametrize("times", range(10))
def test_a_way_up_is_seen_however_often_it_is_encoded(times: int) -> None:
    """A server that decodes once more than we do would find the way up: what never ends decoding counts as one.

    Break: let ``leads_up`` say False at its end.
    """
    path = "/fhir/%2e%2e/admin"
    for _ in range(times):
        path = path.replace("%", "%25")
    assert transport.leads_up(path)
    assert not transport.leads_up("/fhir/Patient/a..b%20c")


# --- pinning ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("attack 9")
def test_the_connection_goes_to_the_address_that_was_checked(plain_port: int, connections: list[object]) -> None:
    """A name that would lead elsewhere the second time is asked only once: the checked answer is the one used.

    Break: in ``_CheckedConnection._new_conn`` connect to ``(host, port)`` instead of ``(address, port)``.
    """
    names = Names(["127.0.0.1"], ["10.0.0.7"])
    answer = session(DEMO, names).get(f"http://ehr.example:{plain_port}/", timeout=5)
    assert answer.text == "ok"
    assert names.asked == ["ehr.example"]
    assert connections == [("127.0.0.1", plain_port)]


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["10.0.0.7"], ["169.254.169.254"], ["::1"], ["8.8.8.8", "10.0.0.7"], []]
)
def test_a_name_that_leads_inside_is_not_connected_to(answers: list[str], connections: list[object]) -> None:
    """One private answer is enough to distrust the name, even beside a public one.

    Break: in ``_CheckedConnection._new_conn`` say ``any`` for ``all``.
    """
    for scheme in ("http", "https"):
        with pytest.raises(requests.ConnectionError) as refused:
            session(PUBLIC_ONLY, Names(answers)).get(f"{scheme}://rebound.example/", timeout=5)
        assert transport.was_refused(refused.value)
    assert connections == []


def test_the_next_connection_is_checked_again(plain_port: int, connections: list[object]) -> None:
    """A name that turns inwards between two requests is refused at the second."""
    names = Names(["127.0.0.1"], ["10.0.0.7"])
    for expected in (True, False):
        with session(DEMO, names) as one:
            if expected:
                assert one.get(f"http://ehr.example:{plain_port}/", timeout=5).text == "ok"
                continue
            with pytest.raises(requests.ConnectionError):
                one.get(f"http://ehr.example:{plain_port}/", timeout=5)
    assert connections == [("127.0.0.1", plain_port)]


def test_a_dead_address_gives_way_to_the_next(plain_port: int) -> None:
    """A name with several allowed answers works as long as one of them does."""
    names = Names(["127.0.0.9", "127.0.0.1"])
    assert session(DEMO, names).get(f"http://ehr.example:{plain_port}/", timeout=5).text == "ok"
    with pytest.raises(requests.ConnectionError) as failed:
        session(DEMO, Names(["127.0.0.9"])).get(f"http://ehr.example:{plain_port}/", timeout=5)
    assert not transport.was_refused(failed.value)


def test_a_name_nobody_knows_is_no_answer() -> None:
    """A resolver that fails is an ordinary failure, not a refusal and not a crash."""

    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "unknown")

    made = requests.Session()
    made.mount("https://", CheckedAdapter(resolve=unknown))
    with pytest.raises(requests.ConnectionError) as failed:
        made.get("https://nobody.example/", timeout=5)
    assert not transport.was_refused(failed.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_held_session_is_held_with_and_without_tls(scheme: str, plain_port: int, connections: list[object]) -> None:
    """Neither scheme is left to connections that check nothing.

    Break: in ``hold`` leave out one of the two.
    """
    with requests.Session() as one:
        transport.hold(one)
        with pytest.raises(requests.ConnectionError) as refused:
            one.get(f"{scheme}://127.0.0.1:{plain_port}/", timeout=5)
    assert transport.was_refused(refused.value)
    assert connections == []


def test_nothing_of_the_environment_stands_between(
    plain_port: int, connections: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy variable would be asked to connect for us, unchecked, and a .netrc would replace the token we send.

    Break: in ``hold`` leave out ``trust_env``.
    """
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.9:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with requests.Session() as one:
        transport.hold(one, DEMO)
        answer = one.get(f"http://127.0.0.1:{plain_port}/", headers={"Authorization": "Bearer ours"}, timeout=5)
    assert answer.request.headers["Authorization"] == "Bearer ours"
    assert connections == [("127.0.0.1", plain_port)]


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secure_server(tmp_path: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Starts an https server on 127.0.0.1 whose certificate is for one name; returns its port and the file to trust."""
    servers: list[HTTPServer] = []

    def start(name: str) -> tuple[int, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        trusted, chain = tmp_path / "trusted.pem", tmp_path / "chain.pem"
        trusted.write_bytes(pem)
        chain.write_bytes(private + pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server = HTTPServer(("127.0.0.1", 0), Quiet)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server.server_port, str(trusted)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.requirement("smart@1")
@pytest.mark.requirement("smart@230")
@pytest.mark.requirement("smart@318")
@pytest.mark.parametrize(("certified", "opens"), [("ehr.example", True), ("other.example", False)])
def test_tls_proves_the_name_not_the_address(
    certified: str, opens: bool, secure_server: Callable[[str], tuple[int, str]]
) -> None:
    """The certificate must be for the host's name, though the connection goes to a number."""
    port, trusted = secure_server(certified)
    one = session(DEMO, Names(["127.0.0.1"]))
    if opens:
        assert one.get(f"https://ehr.example:{port}/", verify=trusted, timeout=5).text == "ok"
        return
    with pytest.raises(requests.exceptions.SSLError):
        one.get(f"https://ehr.example:{port}/", verify=trusted, timeout=5)


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What certificate authorities were read from files, from a process that has read none yet."""
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str | None = None, *more: object) -> None:
        read.append(cafile)
        load(context, cafile, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    trusted_authorities.cache_clear()
    yield read
    trusted_authorities.cache_clear()


@pytest.mark.requirement("smart@1")
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("named", [None, "ehr.example", "other.example"])
def test_usual_connections_share_their_authorities_and_still_prove_who_answers(
    named: str | None, secure_server: Callable[[str], tuple[int, str]], read_files: list[object]
) -> None:
    """A server is believed only for an authority we trust (None: for one we do not) and its own name, whoever asked
    before and however; the authorities are read once.

    Breaks when ``CheckedAdapter`` hands the shared context to a connection that verifies nothing, or when
    ``trusted_authorities`` does not require a certificate.
    """
    port, authority = secure_server(named or "ehr.example")
    if named is not None:
        trusted_authorities().load_verify_locations(authority)
    with held(DEMO, Names(["127.0.0.1"])) as careless:
        assert careless.get(f"https://ehr.example:{port}/", verify=False, timeout=5).text == "ok"
    for _ in range(3):
        with held(DEMO, Names(["127.0.0.1"])) as one:
            if named == "ehr.example":
                assert one.get(f"https://ehr.example:{port}/", timeout=5).text == "ok"
                continue
            with pytest.raises(requests.exceptions.SSLError):
                one.get(f"https://ehr.example:{port}/", timeout=5)
    assert [file for file in read_files if file != authority] == [DEFAULT_CA_BUNDLE_PATH]


# --- who uses it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def rebound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name leads to a neighbour of this computer; the names that were asked for."""
    asked: list[str] = []

    def answer(host: str, port: int, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = host if host.replace(".", "").isdigit() else "10.0.0.7"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (str(ipaddress.ip_address(address)), port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


@pytest.mark.rule("attack 9")
def test_partner_keys_are_not_fetched_from_a_neighbour(rebound: list[str], connections: list[object]) -> None:
    """A partner's key address whose name leads inside is not connected to, and nobody gets in.

    Break: in ``JwksCache._fetch`` leave out ``hold(session, self._rules)``.
    """
    with pytest.raises(KeysUnavailableError, match="jwks-address"):
        JwksCache().keys("https://partner.example/jwks.json", "k")
    assert rebound == ["partner.example"]
    assert connections == []


@pytest.mark.rule("attack 9")
def test_nothing_is_delivered_to_a_neighbour(rebound: list[str], connections: list[object], keys: KeyRing) -> None:
    """A program's address whose name leads inside gets no assertion, no token and no referral.

    Break: in ``Client._session`` leave out ``hold(session, self._rules)``.
    """
    with pytest.raises(PartnerSystemError, match="address-refused"):
        Client(keys).post(
            fhir_address="https://partner.example/fhir",
            token_endpoint="https://partner.example/token",
            client_id="us",
            scope="system/Task.c",
            body=b"{}",
        )
    assert connections == []
