"""The reference implementation of DSSE verifies our envelopes, and we verify its."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError as TheirError
from securesystemslib.signer import CryptoSigner, SSlibKey

from parties import Party
from undersigned.attestation import PAYLOAD_TYPE, envelope, pae, verify_envelope
from undersigned.errors import ProofError
from undersigned.keys import PublicKey, public_key_from_raw

ALICE, BOB = Party("alice"), Party("bob")
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def theirs(document: dict[str, Any]) -> Envelope:
    return Envelope.from_dict(deepcopy(document))  # it changes what it is given


def as_their_key(party: Party) -> SSlibKey:
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(party.key.raw), keyid=party.method)


def test_they_verify_what_we_sign() -> None:
    document = envelope(PAYLOAD, [(one.method, one.sign(pae(PAYLOAD_TYPE, PAYLOAD))) for one in (ALICE, BOB)])
    read = theirs(document)
    assert (read.payload, read.payload_type, read.pae()) == (PAYLOAD, PAYLOAD_TYPE, pae(PAYLOAD_TYPE, PAYLOAD))
    keys = [as_their_key(ALICE), as_their_key(BOB)]
    assert set(read.verify(keys, 2)) == {ALICE.method, BOB.method}
    assert read.to_dict() == document
    read.payload += b" "
    with pytest.raises(TheirError):
        read.verify(keys, 1)


def test_we_verify_what_they_sign() -> None:
    signer = CryptoSigner.generate_ed25519()
    made = Envelope(PAYLOAD, PAYLOAD_TYPE, {})
    made.sign(signer)
    key = public_key_from_raw("Ed25519", bytes.fromhex(signer.public_key.keyval["public"]))
    document = made.to_dict()
    assert verify_envelope(document, keys={signer.public_key.keyid: key}).payload == PAYLOAD
    with pytest.raises(ProofError):
        verify_envelope({**document, "payload": "e30="}, keys={signer.public_key.keyid: key})


def test_their_ecdsa_is_in_asn1() -> None:
    """DSSE leaves the form of a signature to the key's kind: ours is r and s (JWA), theirs ASN.1; both are read where
    others may have signed, and only ours where a party does."""
    private = generate_private_key(SECP256R1())
    public: EllipticCurvePublicKey = private.public_key()
    signer = CryptoSigner(private, SSlibKey.from_crypto(public, keyid="theirs"))
    made = Envelope(PAYLOAD, PAYLOAD_TYPE, {})
    made.sign(signer)
    raw = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    keys: dict[str, PublicKey] = {"theirs": public_key_from_raw("P-256", raw)}
    assert verify_envelope(made.to_dict(), keys=keys, asn1=True).signers == ("theirs",)
    with pytest.raises(ProofError):
        verify_envelope(made.to_dict(), keys=keys)
    party = Party("carol", "P-256")
    plain = envelope(PAYLOAD, [(party.method, party.sign(pae(PAYLOAD_TYPE, PAYLOAD)))])
    assert verify_envelope(plain, keys=party.keys, asn1=True).signers == (party.method,)
