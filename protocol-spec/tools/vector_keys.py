"""Vectors of public keys: what is a key, and what is refused when it is decoded."""

from __future__ import annotations

from collections.abc import Iterator

from example_parties import HIRER, PROVIDER
from vector_parts import EcParty, Vector

from undersigned.encoding import multibase_encode

__all__ = ["key_vectors"]

# Encodings of points whose order divides 8, and of the same points with y written above the field's prime.
SMALL_ORDER = {
    "identity": "0100000000000000000000000000000000000000000000000000000000000000",
    "order-2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order-4-negative": "0000000000000000000000000000000000000000000000000000000000000080",
    "order-8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order-8-negative": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order-8-other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order-8-other-negative": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}
NOT_CANONICAL = {
    "identity-above-the-prime": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "zero-above-the-prime": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "identity-with-sign": "0100000000000000000000000000000000000000000000000000000000000080",
}


def key_vectors() -> Iterator[Vector]:
    """All of them."""
    for name, multikey, kind in (
        ("ed25519", HIRER.multikey, "Ed25519"),
        ("ed25519-other", PROVIDER.multikey, "Ed25519"),
        ("p-256", EcParty("hirer", "P-256").multikey, "P-256"),
        ("p-384", EcParty("hirer", "P-384").multikey, "P-384"),
    ):
        yield _key(name, f"a key of kind {kind}", multikey, {"keyKind": kind})
    for name, raw in SMALL_ORDER.items():
        says = f"an Ed25519 point of small order ({name})"
        yield _key(f"small-{name}", says, multibase_encode("z", b"\xed\x01" + bytes.fromhex(raw)), {"code": "key_weak"})
    for name, raw in NOT_CANONICAL.items():
        multikey = multibase_encode("z", b"\xed\x01" + bytes.fromhex(raw))
        yield _key(
            f"not-canonical-{name}", f"an Ed25519 key in another spelling ({name})", multikey, {"code": "key_weak"}
        )
    raw = bytes(HIRER.key.verify_key)
    for name, says, data in (
        ("x25519", "a key for another use, X25519", b"\xec\x01" + raw),
        ("short", "31 bytes", b"\xed\x01" + raw[:-1]),
        ("long", "33 bytes", b"\xed\x01" + raw + b"\0"),
        ("codec-not-minimal", "a multicodec in three bytes instead of two", b"\xed\x81\x00" + raw),
        ("codec-unknown", "a multicodec that is no key", b"\x55" + raw),
        ("p-256-not-on-the-curve", "an x that no point has", b"\x80\x24\x02" + b"\0" * 31 + b"\x01"),
        ("p-256-uncompressed", "an uncompressed point", b"\x80\x24\x04" + b"\x01" * 64),
    ):
        yield _key(name, says, multibase_encode("z", data), {"code": "did_document_invalid"})
    in_base64 = multibase_encode("u", b"\xed\x01" + raw)
    yield _key("other-base", "base64url instead of base58btc", in_base64, {"code": "did_document_invalid"})


def _key(name: str, says: str, multikey: str, expected: dict[str, str]) -> Vector:
    return Vector(f"keys/{name}", says, multikey.encode(), {"kind": "key"}, expected)
