"""Public keys: both text forms and back, and every key that must not exist is refused when decoded."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add
from nacl.signing import SigningKey

from support import refuses
from undersigned.encoding import base64url_decode, base64url_encode, multibase_encode, multicodec_encode
from undersigned.errors import ProofError, VerificationError
from undersigned.keys import PublicKey, public_key, public_key_from_jwk, public_key_from_multikey, public_key_from_raw

P = 2**255 - 19
SEED = SigningKey(bytes(range(32)))
EDWARDS = public_key_from_raw("Ed25519", bytes(SEED.verify_key))
CURVES = {"P-256": (ec.SECP256R1(), SHA256(), 32), "P-384": (ec.SECP384R1(), SHA384(), 48)}
NIST = {name: ec.derive_private_key(0x1234567, curve) for name, (curve, _, _) in CURVES.items()}


def nist_key(name: str) -> PublicKey:
    raw = NIST[name].public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return public_key_from_raw(name, raw)


ALL = [EDWARDS, nist_key("P-256"), nist_key("P-384")]


def ecdsa(name: str, data: bytes) -> tuple[int, int]:
    algorithm = CURVES[name][1]
    return decode_dss_signature(NIST[name].sign(data, ec.ECDSA(algorithm)))


def refusal(make: object, *arguments: object) -> str:
    with pytest.raises(VerificationError) as caught:
        make(*arguments)
    assert len(str(caught.value)) < 300
    return caught.value.code


@pytest.mark.parametrize("key", ALL, ids=lambda key: key.kind)
def test_both_text_forms_and_back(key: PublicKey):
    assert public_key_from_multikey(key.multikey) == key
    assert public_key_from_jwk(key.jwk) == key
    assert PublicKey(key.kind, key.raw) == key
    assert hash(PublicKey(key.kind, key.raw)) == hash(key)
    assert len({key, public_key_from_jwk(key.jwk), *ALL}) == 3


def test_text_forms_look_as_others_write_them():
    assert EDWARDS.multikey.startswith("z6Mk")
    assert ALL[1].multikey.startswith("zDn")
    assert ALL[2].multikey.startswith("z82")
    assert EDWARDS.jwk == {"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(EDWARDS.raw)}
    numbers = NIST["P-256"].public_key().public_numbers()
    assert base64url_decode(ALL[1].jwk["y"]) == numbers.y.to_bytes(32, "big")


def test_a_key_cannot_be_changed():
    with pytest.raises(AttributeError):
        EDWARDS.raw = b""


@given(st.binary(max_size=100))
def test_ed25519_agrees_with_another_library(data: bytes):
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(SEED))
    EDWARDS.verify(other.sign(data), data)
    with pytest.raises(ProofError):
        EDWARDS.verify(other.sign(data), data + b"x")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_ed25519_signature_length(length: int):
    signature = (SEED.sign(b"data").signature * 2)[:length]
    with refuses(ProofError, "proof_invalid"):
        EDWARDS.verify(signature, b"data")


def test_ed25519_s_above_the_order_is_refused():
    """HIRE-KEY-02."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = SEED.sign(b"data").signature
    s = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(ProofError):
        EDWARDS.verify(signature[:32] + s.to_bytes(32, "little"), b"data")


@pytest.mark.parametrize("name", CURVES)
def test_ecdsa(name: str):
    """The higher form of s is another signature for the same message: refused in this protocol (HIRE-KEY-02)."""
    key, size, order = nist_key(name), CURVES[name][2], CURVES[name][0].group_order
    for number in range(8):
        data = bytes([number])
        r, s = ecdsa(name, data)
        low, high = sorted((s, order - s))
        lower, higher = (r.to_bytes(size, "big") + half.to_bytes(size, "big") for half in (low, high))
        key.verify(lower, data)
        key.verify(lower, data, low_s=False)
        key.verify(higher, data, low_s=False)
        longer = lower[:size] + b"\0" + lower[size:]  # the same two numbers
        others = [(signature, data) for signature in (higher, lower[:-1], lower + b"\0", longer)]
        for signature, over in (*others, (lower, data + b"x")):
            with refuses(ProofError, "proof_invalid"):
                key.verify(signature, over)


@pytest.mark.parametrize("name", CURVES)
def test_ecdsa_edges(name: str):
    """r and s of 0, of the order and past it; DER; and the digest of the other curve."""
    key, size, order = nist_key(name), CURVES[name][2], CURVES[name][0].group_order
    r, s = ecdsa(name, b"data")
    der = NIST[name].sign(b"data", ec.ECDSA(CURVES[name][1]))
    other = decode_dss_signature(NIST[name].sign(b"data", ec.ECDSA(SHA512())))
    top = 2 ** (8 * size) - 1
    pairs = [(0, s), (r, 0), (0, 0), (order, s), (r, order), (top, top), (1, 1), other]
    written = [one.to_bytes(size, "big") + two.to_bytes(size, "big") for one, two in pairs]
    for signature in [*written, der, b"", bytes(2 * size)]:
        for low_s in (True, False):
            with refuses(ProofError, "proof_invalid"):
                key.verify(signature, b"data", low_s=low_s)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What signatures were worked out for, with nothing remembered at first."""
    signed: list[bytes] = []
    really = PublicKey.verify

    def verify(self: PublicKey, signature: bytes, data: bytes, **options: bool) -> None:
        signed.append(data)
        really(self, signature, data, **options)

    monkeypatch.setattr(PublicKey, "verify", verify)
    public_key._held.cache_clear()
    return signed


def test_a_signature_that_held_is_remembered(done: list[bytes]):
    signature = SEED.sign(b"data").signature
    for _ in range(3):
        # Other objects of equal value, as a second copy of a document gives them.
        PublicKey(EDWARDS.kind, bytes(bytearray(EDWARDS.raw))).verify_remembering(bytes(bytearray(signature)), b"data")
    assert done == [b"data"]


def test_a_signature_that_did_not_hold_is_never_remembered(done: list[bytes]):
    """Neither before nor after the right one: a wrong signature, other bytes, another key."""
    signature, other = SEED.sign(b"data").signature, SigningKey(bytes(32))
    stranger = public_key_from_raw("Ed25519", bytes(other.verify_key))
    wrong = [
        (EDWARDS, signature[:-1] + bytes([signature[-1] ^ 1]), b"data"),
        (EDWARDS, signature + b"\0", b"data"),
        (EDWARDS, signature, b"Data"),
        (stranger, signature, b"data"),
    ]
    for _ in range(2):
        for key, claimed, data in wrong:
            with refuses(ProofError, "proof_invalid"):
                key.verify_remembering(claimed, data)
        EDWARDS.verify_remembering(signature, b"data")
    assert len(done) == 2 * len(wrong) + 1
    # Nor where one signature and its bytes are cut at another place: what is remembered is not their sum.
    with pytest.raises(ProofError):
        EDWARDS.verify_remembering(signature[:-1], signature[-1:] + b"data")


@pytest.mark.parametrize("name", CURVES)
def test_what_is_remembered_of_one_rule_says_nothing_of_another(name: str, done: list[bytes]):
    """The higher form of s, which a credential may have and a message may not."""
    key, size, order = nist_key(name), CURVES[name][2], CURVES[name][0].group_order
    r, s = ecdsa(name, b"data")
    higher = r.to_bytes(size, "big") + max(s, order - s).to_bytes(size, "big")
    key.verify_remembering(higher, b"data", low_s=False)
    with pytest.raises(ProofError):
        key.verify_remembering(higher, b"data")
    key.verify_remembering(higher, b"data", low_s=False)
    assert done == [b"data"] * 2


def test_what_is_remembered_has_a_bound(done: list[bytes]):
    """Long texts are verified each time, and of short ones the oldest is forgotten."""
    most = public_key.MAX_REMEMBERED_BYTES
    for data in (bytes(most), bytes(most + 1)):
        for _ in range(2):
            EDWARDS.verify_remembering(SEED.sign(data).signature, data)
    assert [len(data) for data in done] == [most, most + 1, most + 1]
    limit = public_key._held.cache_info().maxsize
    assert limit is not None
    for number in range(limit):
        data = number.to_bytes(8, "big")
        EDWARDS.verify_remembering(SEED.sign(data).signature, data)
    assert public_key._held.cache_info().currsize == limit
    done.clear()
    EDWARDS.verify_remembering(SEED.sign(bytes(most)).signature, bytes(most))
    assert done == [bytes(most)]


def test_one_kind_does_not_pass_for_another():
    for key in ALL:
        for other in {"Ed25519", "P-256", "P-384"} - {key.kind}:
            assert refusal(PublicKey, other, key.raw) == "did_document_invalid"
    assert refusal(PublicKey, "RSA", b"") == "did_document_invalid"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_ed25519_key_length(length: int):
    raw = (EDWARDS.raw * 2)[:length]
    assert refusal(PublicKey, "Ed25519", raw) == "did_document_invalid"
    assert refusal(public_key_from_multikey, multibase_encode("z", b"\xed\x01" + raw)) == "did_document_invalid"


@pytest.mark.parametrize("excess", range(19))
@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_ed25519_y_must_be_reduced(excess: int, sign: int):
    assert refusal(PublicKey, "Ed25519", (P + excess + sign).to_bytes(32, "little")) == "key_weak"


def test_ed25519_off_the_curve():
    codes = []
    for y in range(2, 40):
        try:
            codes.append(PublicKey("Ed25519", y.to_bytes(32, "little")).kind)
        except VerificationError as error:
            codes.append(error.code)
    # Half of all y have no point; of the others, one in eight lies in the prime-order group.
    assert {"did_document_invalid", "key_weak"} <= set(codes)
    assert 10 < codes.count("did_document_invalid") < 28


def test_ed25519_of_mixed_order():
    """A full-order key shifted by a point of order 8 still verifies some signatures in some libraries."""
    order_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    assert refusal(PublicKey, "Ed25519", order_8) == "key_weak"
    mixed = crypto_core_ed25519_add(EDWARDS.raw, order_8)
    assert refusal(PublicKey, "Ed25519", mixed) == "key_weak"


@pytest.mark.parametrize("name", CURVES)
def test_nist_key_forms(name: str):
    curve, _, size = CURVES[name]
    key = nist_key(name)
    uncompressed = NIST[name].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    prime_or_more = b"\xff" * size
    off = next(x for x in (bytes([2]) + number.to_bytes(size, "big") for number in range(2, 50)) if _is_off(curve, x))
    hybrid = b"\x06" + key.raw[1:]
    for raw in (uncompressed, b"\x00", b"", key.raw[1:], key.raw + b"\0", b"\x02" + prime_or_more, off, hybrid):
        assert refusal(PublicKey, name, raw) == "did_document_invalid"


def _is_off(curve: ec.EllipticCurve, raw: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(curve, raw)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("member", ["d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"])
@pytest.mark.parametrize("key", ALL, ids=lambda key: key.kind)
def test_jwk_with_private_parts(key: PublicKey, member: str):
    with pytest.raises(VerificationError) as caught:
        public_key_from_jwk({**key.jwk, member: "c2VjcmV0"})
    assert caught.value.code == "did_document_invalid"
    assert "c2VjcmV0" not in f"{caught.value} {caught.value.detail}"


@pytest.mark.parametrize(
    "more",
    [
        {"use": "enc"},
        {"use": None},
        {"alg": "ES256K"},
        {"alg": "none"},
        {"alg": ["Ed25519"]},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": None},
        {"key_ops": "verify"},
        {"kty": "EC"},
        {"kty": ["OKP"]},
        {"crv": "X25519"},
        {"crv": "Ed448"},
        {"crv": "ed25519"},
        {"crv": {}},
        {"x": 5},
        {"x": ""},
        {"x": "AA"},
        {"x": "A" * 100_000},
        {"x": base64url_encode(EDWARDS.raw) + "="},
        {"x": base64url_encode(EDWARDS.raw + b"\0")},
        {"x": base64url_encode(EDWARDS.raw[1:])},
    ],
)
def test_jwk_refused(more: dict):
    assert refusal(public_key_from_jwk, {**EDWARDS.jwk, **more}) == "did_document_invalid"


@pytest.mark.parametrize("missing", ["kty", "crv", "x", "y"])
def test_jwk_with_a_member_missing(missing: str):
    jwk = {name: value for name, value in ALL[1].jwk.items() if name != missing}
    assert refusal(public_key_from_jwk, jwk) == "did_document_invalid"


@pytest.mark.parametrize(
    ("key", "more"),
    [
        (ALL[0], {"alg": "EdDSA", "use": "sig", "kid": "x", "key_ops": ["verify"]}),
        (ALL[0], {"alg": "Ed25519"}),
        (ALL[1], {"alg": "ES256", "x5t": "x"}),
        (ALL[2], {"alg": "ES384"}),
    ],
)
def test_jwk_may_say_more(key: PublicKey, more: dict):
    assert public_key_from_jwk({**key.jwk, **more}) == key


@pytest.mark.parametrize("name", CURVES)
def test_jwk_coordinates(name: str):
    """Off the curve, the other y, swapped, short, and as a number that needs a leading zero."""
    jwk, size = nist_key(name).jwk, CURVES[name][2]
    y = int.from_bytes(base64url_decode(jwk["y"]), "big")
    changed = base64url_encode((y ^ 1).to_bytes(size, "big"))
    for more in ({"y": changed}, {"x": jwk["y"], "y": jwk["x"]}, {"y": jwk["y"][:-4]}, {"x": "AAAA" + jwk["x"]}):
        assert refusal(public_key_from_jwk, {**jwk, **more}) == "did_document_invalid"
    assert refusal(public_key_from_jwk, {**jwk, "y": "AAAA" + jwk["y"]}) == "did_document_invalid"
    zero = base64url_encode(bytes(size))
    assert refusal(public_key_from_jwk, {**jwk, "x": zero, "y": zero}) == "did_document_invalid"


CODES = {
    "X25519": 0xEC,
    "secp256k1": 0xE7,
    "BLS12-381 G1": 0xEA,
    "BLS12-381 G2": 0xEB,
    "P-521": 0x1202,
    "RSA": 0x1205,
    "multicodec 0x0": 0,
    "multicodec 0x1300": 0x1300,
}


@pytest.mark.parametrize("named", CODES)
def test_multikey_of_another_kind_is_named(named: str):
    text = multibase_encode("z", multicodec_encode(CODES[named], EDWARDS.raw))
    with pytest.raises(VerificationError) as caught:
        public_key_from_multikey(text)
    assert caught.value.code == "did_document_invalid"
    assert named in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        "z1",
        EDWARDS.multikey[1:],
        EDWARDS.multikey + "1",
        "z1" + EDWARDS.multikey[1:],
        EDWARDS.multikey.replace("M", "0", 1),
        EDWARDS.multikey + "\n",
        " " + EDWARDS.multikey,
        multibase_encode("u", b"\xed\x01" + EDWARDS.raw),
        multibase_encode("z", b"\xed\x81\x00" + EDWARDS.raw),
        multibase_encode("z", b"\xff" * 12),
        "z" + "2" * 600,
    ],
)
def test_multikey_refused(text: str):
    assert refusal(public_key_from_multikey, text) == "did_document_invalid"


@given(st.binary(max_size=52), st.sampled_from([b"\xed\x01", b"\x80\x24", b"\x81\x24", b""]))
def test_any_multikey_gives_a_key_or_a_refusal(raw: bytes, code: bytes):
    text = multibase_encode("z", code + raw)
    try:
        key = public_key_from_multikey(text)
    except VerificationError:
        return
    assert key.multikey == text
    assert public_key_from_jwk(key.jwk) == key
