"""SC-08 and SC-09: keys that must not exist are refused when decoded, whatever text they come in."""

from __future__ import annotations

import pytest
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_is_valid_point
from nacl.signing import SigningKey

from support import refuses
from undersigned.did import DidDocument, document_from, fetches
from undersigned.encoding import base64url_encode, canonicalize, multibase_encode
from undersigned.errors import VerificationError
from undersigned.evidence import verifier_page
from undersigned.keys import ed25519, public_key_from_jwk, public_key_from_multikey, public_key_from_raw

P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SIGN = 1 << 255
GOOD = bytes(SigningKey(bytes(32)).verify_key)

# The y of the eight points whose order divides 8, and those that also fit in 255 bits unreduced; with both signs.
WEAK = [y + sign for y in (0, 1, P - 1, ORDER_8, P - ORDER_8, P, P + 1) for sign in (0, SIGN)]


def everywhere(raw: bytes, prefix: bytes = b"\xed\x01") -> list:
    """Every way in which these bytes can come in as an Ed25519 key."""
    multikey = multibase_encode("z", prefix + raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(raw)}
    did = "did:web:acme.example"
    method = {"id": f"{did}#k", "type": "Multikey", "controller": did, "publicKeyMultibase": multikey}
    document = DidDocument(did, canonicalize({"id": did, "authentication": [method]}))
    ways = [
        lambda: public_key_from_multikey(multikey),
        lambda: fetches(f"did:key:{multikey}"),
        lambda: document_from(f"did:key:{multikey}", {}),
        lambda: document.key_for(f"{did}#k", "authentication", now=None),
    ]
    if prefix == b"\xed\x01":
        ways += [
            lambda: public_key_from_raw("Ed25519", raw),
            lambda: public_key_from_jwk(jwk),
            lambda: document_from("did:jwk:" + base64url_encode(canonicalize(jwk)), {}),
        ]
    return ways


def test_these_are_all_points_whose_order_divides_8():
    """The numbers are right, here, in the library and in the verifier page: the points are multiples of one."""
    first = ORDER_8.to_bytes(32, "little")
    points = [first]
    while len(points) < 8:
        points.append(crypto_core_ed25519_add(points[-1], first))
    assert points[-1] == b"\x01" + bytes(31)
    assert len(set(points)) == 8
    assert {int.from_bytes(point, "little") % SIGN for point in points} == ed25519._SMALL_ORDER
    assert f"const ORDER_8 = 0x{ORDER_8:x}n;" in verifier_page().decode()


def test_a_good_key_passes_everywhere():
    for way in everywhere(GOOD):
        way()


@pytest.mark.parametrize("number", WEAK, ids=lambda number: number.to_bytes(32, "little").hex()[:8] + "…")
def test_sc_08_small_order_and_non_canonical_keys(number: int):
    """One fixed signature (R the identity, S zero) would fit every message under such a key (HIRE-KEY-01)."""
    for way in everywhere(number.to_bytes(32, "little")):
        with refuses(VerificationError, "key_weak"):
            way()


@pytest.mark.parametrize("excess", range(2, 19))
def test_sc_08_every_unreduced_y(excess: int):
    for sign in (0, SIGN):
        for way in everywhere((P + excess + sign).to_bytes(32, "little")):
            with refuses(VerificationError, "key_weak"):
                way()


def test_sc_08_what_is_no_point_is_told_from_one_of_mixed_order():
    """As libsodium has it, which adds to any point of the curve and to nothing else."""
    told: set[str | None] = set()
    for number in range(2, 66):
        raw = number.to_bytes(32, "little")
        try:
            crypto_core_ed25519_add(raw, GOOD)
            code = None if crypto_core_ed25519_is_valid_point(raw) else "key_weak"
        except RuntimeError:
            code = "did_document_invalid"
        told.add(code)
        try:
            ed25519.check_point(raw)
            found = None
        except VerificationError as exc:
            found = exc.code
        assert found == code, number
    assert told == {None, "key_weak", "did_document_invalid"}


PREFIXES = {
    "X25519": b"\xec\x01",
    "BLS12-381 G2": b"\xeb\x01",
    "RSA": b"\x85\x24",
    "secp256k1": b"\xe7\x01",
    "P-256, of another length": b"\x80\x24",
    "unknown": b"\x99\x99\x09",
    "non-minimal varint": b"\xed\x81\x00",
    "varint without end": b"\xff" * 10,
    "no prefix": b"",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_sc_09_wrong_multicodec(prefix: bytes):
    """HIRE-KEY-01."""
    for way in everywhere(GOOD, prefix):
        with pytest.raises(VerificationError) as caught:
            way()
        assert caught.value.code == "did_document_invalid"
        # Nothing of a library's exception is in what an operator reads, and the peer gets the code alone.
        assert "Error" not in caught.value.message


@pytest.mark.parametrize("length", [0, 31, 33])
def test_sc_09_wrong_length(length: int):
    for way in everywhere((GOOD * 2)[:length]):
        with refuses(VerificationError, "did_document_invalid"):
            way()


@pytest.mark.parametrize("spoil", ["0{}", "{}0", "{}O", "{}l", "{}I", "{}-", "1{}", "{}é", "{} ", "{}\n"])
def test_sc_09_base58_spelling(spoil: str):
    """Illegal characters, and a leading digit that another decoder would drop."""
    text = "z" + spoil.format(multibase_encode("z", b"\xed\x01" + GOOD)[1:])
    for way in (lambda: public_key_from_multikey(text), lambda: document_from(f"did:key:{text}", {})):
        with refuses(VerificationError, "did_document_invalid"):
            way()
