"""Certificates as they are found in the field, at the EHR and at our own address: what the check-up says of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from front_proxy import FrontProxy

from launch.doctor.check_transport import certificate
from launch.transport import AddressRules

# certificate -> finding, light, exit code when the EHR has it
AT_THE_EHR: dict[str, tuple[dict[str, Any], str, int]] = {
    "expired": ({"begins_in": -90, "ends_in": -2}, "tls.certificate-expired", 1),
    "not-yet-valid": ({"begins_in": 3}, "tls.certificate-expired", 1),
    "for-another-name": ({"name": "ehr.example"}, "tls.certificate-name", 1),
    "signed-by-itself": ({"signs_itself": True}, "tls.certificate-chain", 1),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def fronts() -> Iterator[list[FrontProxy]]:
    """Servers that are stopped at the end."""
    made: list[FrontProxy] = []
    yield made
    for one in made:
        one.stop()


def at_the_ehr(clinic: Any, fronts: list[FrontProxy], tmp_path: Path, pem: str | None) -> Any:
    """The clinic with an EHR behind this certificate; None: an https address where only http is spoken."""
    fronts.append(FrontProxy(clinic.place.ehr_url, pem, "localhost"))
    return clinic.behind(clinic.place.app_url, tmp_path / "c.toml", ehr=fronts[-1].url.replace("http:", "https:"))


@pytest.mark.parametrize("fault", AT_THE_EHR)
def test_a_certificate_that_does_not_hold_is_named(
    clinic: Any, authority: Authority, fronts: list[FrontProxy], tmp_path: Path, fault: str
) -> None:
    """Expired, not yet valid, another name, nobody's: each is said as what it is, with what to ask the vendor."""
    made, finding, code = AT_THE_EHR[fault]
    other = at_the_ehr(clinic, fronts, tmp_path, authority.certificate(**made))
    report = other.doctor("--trusted", str(authority.trusted))
    told = {one["id"]: one for one in report["findings"]}
    assert told[finding]["light"] == "red", report["findings"]
    assert "certificate" in told[finding]["ask"]
    assert (told["discovery.certificate"]["light"], report["exit"]) == ("red", code)


def test_an_authority_that_this_computer_does_not_trust_is_named(
    clinic: Any, authority: Authority, fronts: list[FrontProxy], tmp_path: Path
) -> None:
    """A hospital's own root has to be known here; ``--trusted`` tries one."""
    other = at_the_ehr(clinic, fronts, tmp_path, authority.certificate())
    lights = {one["id"]: one["light"] for one in other.doctor()["findings"]}
    assert lights["tls.certificate-chain"] == "red"
    lights = {one["id"]: one["light"] for one in other.doctor("--trusted", str(authority.trusted))["findings"]}
    assert (lights["tls.certificate"], lights["discovery.document"]) == ("green", "green")


def test_an_https_address_without_tls_and_one_where_nobody_listens_are_told_apart(
    clinic: Any, fronts: list[FrontProxy], tmp_path: Path, free_port: Any
) -> None:
    """A port that speaks plain http stops launches (1); one where nobody listens is an EHR that does not answer (3)."""
    plain = at_the_ehr(clinic, fronts, tmp_path, None).doctor()
    lights = {one["id"]: one["light"] for one in plain["findings"]}
    assert (lights["tls.tls"], plain["exit"]) == ("red", 1)
    nobody = clinic.behind(clinic.place.app_url, tmp_path / "n.toml", ehr=f"https://localhost:{free_port()}").doctor()
    lights = {one["id"]: one["light"] for one in nobody["findings"]}
    assert (lights["tls.no-connection"], lights["discovery.unreachable"], nobody["exit"]) == ("red", "red", 3)


@pytest.mark.parametrize(
    ("made", "finding", "light", "code"),
    [
        ({}, "tls.certificate", "green", 0),
        ({"ends_in": 12}, "tls.ends-soon", "warning", 4),
        ({"begins_in": -90, "ends_in": -2}, "tls.certificate-expired", "red", 2),
        ({"name": "care.example"}, "tls.certificate-name", "red", 2),
        ({"signs_itself": True}, "tls.certificate-chain", "red", 2),
    ],
)
def test_our_own_certificate_is_looked_at_as_well(
    clinic: Any,
    authority: Authority,
    fronts: list[FrontProxy],
    tmp_path: Path,
    made: dict[str, Any],
    finding: str,
    light: str,
    code: int,
) -> None:
    """EHRs fetch our keys over TLS too: our own certificate counts, and what is wrong with it is ours to mend."""
    fronts.append(FrontProxy(clinic.place.app_url, authority.certificate(**made), "localhost"))
    clinic.set(redirect_on_file=fronts[-1].url + "/callback")
    report = clinic.behind(fronts[-1].url, tmp_path / "c.toml").doctor("--trusted", str(authority.trusted))
    told = {one["id"]: one for one in report["findings"]}
    assert told[finding]["light"] == light, report["findings"]
    assert told[finding]["words"].startswith("Our host localhost")
    assert report["exit"] == code


def test_a_file_without_certificates_is_not_trusted(clinic: Any, tmp_path: Path) -> None:
    """A wrong file for ``--trusted`` is one sentence and exit code 2, and nobody was asked."""
    wrong = tmp_path / "roots.pem"
    wrong.write_text("these are no certificates")
    result = clinic.run("doctor", clinic.issuer, "--trusted", str(wrong))
    assert (result.exit_code, result.output) == (2, "The file of --trusted holds no certificates in PEM.\n")


@pytest.mark.rule("attack 9")
def test_a_name_that_leads_inside_gets_no_handshake(authority: Authority, fronts: list[FrontProxy]) -> None:
    """The look at a certificate connects nowhere a launch would not.

    Break: in ``check_transport.certificate`` leave out ``rules.allow``."""
    fronts.append(FrontProxy("http://127.0.0.1:9", authority.certificate(), "localhost"))
    trusted = str(authority.trusted)
    assert certificate(fronts[-1].url, trusted=trusted).problem == "no-connection"
    assert certificate(fronts[-1].url, rules=AddressRules(allows_loopback=True), trusted=trusted).problem is None
