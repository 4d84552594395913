"""Messages on their way out."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import to_builtins
from msgspec.structs import replace

from message_examples import HIRER, NOW, conversation, sign, verify
from undersigned.did import did_key, document_from
from undersigned.encoding import canonicalize, decode_json_canonical, shift
from undersigned.errors import FormatError, ProofError
from undersigned.keys import public_key_from_raw
from undersigned.messages import Offer, Presentation, Start, draft

LATER = shift(NOW, 3600)


@pytest.mark.parametrize("name", sorted(conversation()))
def test_the_wire_form_is_canonical(name: str) -> None:
    raw = conversation()[name].raw
    value, proved = decode_json_canonical(raw)
    assert proved
    assert raw == canonicalize(value)


def test_what_is_signed_again_is_the_same_message_with_another_proof() -> None:
    """Same id, same digest, new proof, so that an expired move leaves no hole in the chain (C9).

    HIRE-PRF-05, HIRE-ENV-07.
    """
    for said in conversation().values():
        party = HIRER if said.message.role == "hirer" else None
        if party is None:
            continue
        made = draft(said.message, party.method, "eddsa-jcs-2022", "Ed25519", LATER, shift(LATER, 60))
        again = made.signed(party.sign(made.to_sign))
        assert again == said
        assert made.digest == said.digest
        assert again.raw != said.raw
        old, new = json.loads(said.raw), json.loads(again.raw)
        assert old.pop("proof") != new.pop("proof")
        assert old == new
        assert verify(again.raw, now=LATER) == said


def test_a_contract_document_keeps_its_digest_through_the_struct() -> None:
    """The document is inside the message's digest with its proof, so it must come out as it went in."""
    said = conversation()["offer-counter"]
    assert isinstance(said.message, Offer)
    assert json.loads(said.raw)["document"] == json.loads(json.dumps(said.message.as_json()))["document"]


def _start() -> Start:
    said = conversation()["start"].message
    assert isinstance(said, Start)
    return replace(said, proof=None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"contract": "x"}, "schema_violation"),
        ({"inputs": [{"name": "a"}]}, "schema_violation"),
        ({"inputs": (object(),)}, "bad_json"),
        ({"sequence": 2**53}, "number_out_of_range"),
        ({"sequence": 1.5}, "number_out_of_range"),
        ({"sender": "did:key:\ud800"}, "bad_json"),
        ({"sender": "did:key:a\nb"}, "bad_unicode"),
    ],
)
def test_what_no_peer_would_take_is_not_signed(changes: dict[str, object], code: str) -> None:
    with pytest.raises(FormatError) as caught:
        draft(replace(_start(), **changes), HIRER.method, "eddsa-jcs-2022", "Ed25519", NOW, LATER)
    assert caught.value.code == code


def test_a_name_that_would_be_written_twice_is_not_signed() -> None:
    """A decoder keeps one of the two, so what it gives is not what was to be said."""
    said = next(said.message for said in conversation().values() if isinstance(said.message, Presentation))
    twice = replace(said, proof=None, presentation={**said.presentation, "1": "one", 1: "other"})
    with pytest.raises(FormatError) as caught:
        draft(twice, HIRER.method, "eddsa-jcs-2022", "Ed25519", NOW, LATER)
    assert caught.value.code == "bad_json"


def test_what_is_said_in_other_types_of_memory_is_the_same_message() -> None:
    """Lists and objects in place of tuples and structs read as what the schema makes of them."""
    for said in conversation().values():
        config = (HIRER.method, "eddsa-jcs-2022", "Ed25519", NOW, LATER)
        plain = {name: to_builtins(getattr(said.message, name)) for name in said.message.__struct_fields__}
        loose = replace(said.message, **{**plain, "proof": None})
        assert draft(loose, *config).message == draft(said.message, *config).message


def test_what_is_too_large_is_not_signed() -> None:
    said = conversation()["problem"].message
    large = replace(said, proof=None, supported=("x" * 256,) * 10)
    with pytest.raises(FormatError) as caught:
        draft(large, HIRER.method, "eddsa-jcs-2022", "Ed25519", NOW, LATER)
    assert caught.value.code == "too_large"


def test_room_for_the_proof_is_counted_before_signing() -> None:
    """A draft that fits without its proof and not with it would be refused by every peer."""
    said = conversation()["problem"].message
    fitted: list[int] = []
    for length in range(1, 256, 3):
        wide = replace(said, proof=None, supported=("x" * 256,) * 3 + ("x" * length,))
        try:
            fitted.append(len(sign(wide).raw))
        except FormatError:
            break
    assert 1 < len(fitted) < 85
    assert 1800 < max(fitted) <= 2048


@pytest.mark.parametrize("suite", ["eddsa-jcs", "none", "ecdsa-jcs-2019", ""])
def test_a_suite_that_does_not_sign_with_such_a_key_makes_no_draft(suite: str) -> None:
    with pytest.raises(ProofError) as caught:
        draft(_start(), HIRER.method, suite, "Ed25519", NOW, LATER)
    assert caught.value.code == "suite_not_allowed"


@pytest.mark.parametrize("suite", ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"])
@pytest.mark.parametrize(
    ("kind", "curve", "hashed"), [("P-256", ec.SECP256R1(), SHA256()), ("P-384", ec.SECP384R1(), SHA384())]
)
def test_messages_are_signed_by_ecdsa_keys_too(suite, kind, curve, hashed) -> None:
    private = ec.generate_private_key(curve)
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    did = did_key(public_key_from_raw(kind, point))
    method = f"{did}#{did.removeprefix('did:key:')}"
    made = draft(replace(_start(), sender=did), method, suite, kind, NOW, LATER)
    r, s = decode_dss_signature(private.sign(made.to_sign, ec.ECDSA(hashed)))
    order = {
        "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        "P-384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    }[kind]
    size = len(point) - 1
    low, high = min(s, order - s), max(s, order - s)
    good = made.signed(r.to_bytes(size, "big") + low.to_bytes(size, "big"))
    documents = {did: document_from(did, {})}
    assert verify(good.raw, documents=documents, suites=(suite,)) == good
    bad = made.signed(r.to_bytes(size, "big") + high.to_bytes(size, "big"))
    with pytest.raises(ProofError) as caught:
        verify(bad.raw, documents=documents, suites=(suite,))
    assert caught.value.code == "proof_invalid"
