"""Certificates as they should be, and as they are found in the field: made new for each test run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SLACK = timedelta(hours=1)


class Authority:
    """A root of our own. ``trusted`` is its certificate as a file."""

    def __init__(self, folder: Path, name: str = "Root of these tests") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        root = self._signed(self._name, self._key, (now - 2 * SLACK, now + timedelta(days=400)), None, self._key)
        self.trusted = folder / f"{name}.pem"
        self.trusted.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def certificate(
        self, name: str = "localhost", *, begins_in: float = 0, ends_in: float = 90, signs_itself: bool = False
    ) -> str:
        """A PEM file with key and certificate for ``name``, good from ``begins_in`` to ``ends_in`` days from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        dates = (now + timedelta(days=begins_in) - SLACK, now + timedelta(days=ends_in) + SLACK)
        made = self._signed(subject, key, dates, name, key if signs_itself else self._key, signs_itself)
        file = self._folder / f"{name}-{begins_in}-{ends_in}-{signs_itself}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return str(file)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        dates: tuple[datetime, datetime],
        host: str | None,
        signer: ec.EllipticCurvePrivateKey,
        signs_itself: bool = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signs_itself else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dates[0])
            .not_valid_after(dates[1])
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(signer, hashes.SHA256())
