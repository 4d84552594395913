"""Real images and signing certificates for tests of C2PA manifests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from undersigned.attestation.media import MediaSigner


def png(shade: int = 9) -> bytes:
    """A picture of 8 times 8 pixels."""
    rows = b"".join(b"\0" + b"".join(bytes([x * 30, y * 30, shade]) for x in range(8)) for y in range(8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def samples() -> dict[str, bytes]:
    """The smallest media of each kind into which a manifest is written."""
    return {
        "image/png": png(),
        "image/jpeg": _JPEG,
        "image/webp": _riff(b"WEBP", (b"VP8 ", _VP8)),
        "image/tiff": _tiff(),
        "image/avif": _avif(),
        "video/mp4": _mp4(),
        "audio/wav": wav(100),
    }


def wav(length: int) -> bytes:
    """Silence of so many bytes."""
    return _riff(b"WAVE", (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)), (b"data", bytes(length)))


def _riff(kind: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    body = kind + b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff() -> bytes:
    """Grey, 8 times 8; the directory comes last."""
    tags = ((256, 3, 8), (257, 3, 8), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 8))
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in (*tags, (279, 4, 64))]
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def _full(kind: bytes, *parts: bytes) -> bytes:
    return _box(kind, bytes(4), *parts)


def _avif() -> bytes:
    """One item, which lies behind the boxes that say where."""
    head = _box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")

    def meta(at: int) -> bytes:
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, at, 64)),
            _full(b"iinf", struct.pack(">H", 1), _box(b"infe", b"\2\0\0\0", struct.pack(">HH", 1, 0), b"av01\0")),
            _box(b"iprp", _box(b"ipco", _full(b"ispe", struct.pack(">II", 8, 8)))),
        )

    return head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", bytes(range(64)))


def _mp4() -> bytes:
    """One track whose only chunk lies behind the boxes that say where."""
    head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")

    def moov(at: int) -> bytes:
        table = _box(
            b"stbl",
            _full(b"stsd", bytes(4)),
            _full(b"stts", struct.pack(">III", 1, 1, 1)),
            _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
            _full(b"stsz", struct.pack(">II", 64, 1)),
            _full(b"stco", struct.pack(">II", 1, at)),
        )
        media = _box(b"mdia", _full(b"hdlr", bytes(4), b"vide", bytes(13)), _box(b"minf", table))
        return _box(b"moov", _full(b"mvhd", bytes(96)), _box(b"trak", media))

    return head + moov(len(head) + len(moov(0)) + 8) + _box(b"mdat", bytes(range(64)))


_VP8 = bytes.fromhex("300100009d012a010001000ec0fe25a40003700000000000")
_JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010101004800480000ffdb004300"
    + "01" * 64
    + "ffc0000b080001000101011100ffc4001400010000000000"
    "0000000000000000000009ffc40014100100000000000000000000000000000000ffda0008010100003f0054ffd9"
)


class Authority:
    """A root, and certificates that it issues for signing media."""

    def __init__(self, name: str = "Root") -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._issue(name, self._key, ca=True)
        self.der = self._root.public_bytes(Encoding.DER)
        """What a contract names as an anchor."""

    def signer(self, name: str = "Globex", **said: Any) -> MediaSigner:
        """A new certificate, with what signs by its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        return MediaSigner(_pem(self._issue(name, key, ca=False, **said), self._root), _signing(key))

    def posing(self, **wrong: Any) -> tuple[MediaSigner, bytes, bytes]:
        """A signer whose certificate is good while media are made, its DER, and that of another one of the same length,
        key and serial number, which is `wrong`: put in the place of the first, the signature is right by it.
        """
        key, serial, length = ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number(), 0
        while True:  # signatures differ in length
            bad = self._issue("Globex", key, ca=False, serial=serial, **wrong).public_bytes(Encoding.DER)
            good = self._issue("G" + "x" * length, key, ca=False, serial=serial)
            der = good.public_bytes(Encoding.DER)
            if len(der) == len(bad):
                break
            length = (length + 1) % 40
        sign = _signing(key)
        return MediaSigner(_pem(good, self._root), lambda data: sign(data.replace(der, bad))), der, bad

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
        serial: int | None = None,
        days: tuple[int, int] = (-1, 30),
        usages: tuple[str, ...] = ("digital_signature",),
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
        by: ec.EllipticCurvePrivateKey | None = None,
        asked_at: str = "",
    ) -> x509.Certificate:
        now, usage = datetime.now(UTC), dict.fromkeys(_USAGES, False)
        usage |= dict.fromkeys(("key_cert_sign", "crl_sign") if ca else usages, True)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
            .add_extension(x509.KeyUsage(**usage), True)
        )
        if not ca:
            made = made.add_extension(x509.ExtendedKeyUsage([purpose]), False)
        if asked_at:  # whether it was revoked, by OCSP
            where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(asked_at))
            made = made.add_extension(x509.AuthorityInformationAccess([where]), False)
        return made.sign(by or self._key, SHA256())


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def _signing(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _named(name: str) -> x509.Name:
    parts = ((NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, "Globex"))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
