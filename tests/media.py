"""Real images and signing certificates for tests of C2PA manifests."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from undersigned.attestation.media import MediaSigner


def png(shade: int = 9) -> bytes:
    """A picture of 8 times 8 pixels."""
    rows = b"".join(b"\0" + b"".join(bytes([x * 30, y * 30, shade]) for x in range(8)) for y in range(8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class Authority:
    """A root, and certificates that it issues for signing media."""

    def __init__(self, name: str = "Root") -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._issue(name, self._key, ca=True)
        self.der = self._root.public_bytes(Encoding.DER)
        """What a contract names as an anchor."""

    def signer(self, name: str = "Globex") -> MediaSigner:
        """A new certificate, with what signs by its key."""
        key = ec.generate_private_key(ec.SECP256R1())

        def sign(data: bytes) -> bytes:
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")

        chain = (self._issue(name, key, ca=False), self._root)
        return MediaSigner("".join(one.public_bytes(Encoding.PEM).decode() for one in chain), sign)

    def _issue(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
        now, usage = datetime.now(UTC), dict.fromkeys(_USAGES, False)
        usage |= {"key_cert_sign": True, "crl_sign": True} if ca else {"digital_signature": True}
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
            .add_extension(x509.KeyUsage(**usage), True)
        )
        if not ca:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return made.sign(self._key, SHA256())


_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _named(name: str) -> x509.Name:
    parts = ((NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, "Globex"))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
