import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from parties import Party
from support import refuses
from undersigned.attestation import PAYLOAD_TYPE, envelope, pae, verify_envelope
from undersigned.errors import FormatError, ProofError
from undersigned.keys import public_key_from_raw

ALICE, BOB = Party("alice"), Party("bob", "P-256")
PAYLOAD = b'{"a":1}'


def signed(*parties: Party, payload: bytes = PAYLOAD, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    return envelope(payload, [(one.method, one.sign(pae(payload_type, payload))) for one in parties], payload_type)


@pytest.mark.conformance
def test_the_protocol_vector_verifies(conformance: Path) -> None:
    vector = json.loads((conformance / "dsse" / "protocol-vector.json").read_text())
    body = vector["body_utf8"].encode()
    assert pae(vector["type"] if "type" in vector else vector["payloadType"], body).decode() == vector["pae_utf8"]
    x, y = int(vector["key"]["x"]), int(vector["key"]["y"])
    key = public_key_from_raw("P-256", bytes([2 + y % 2]) + x.to_bytes(32))
    document = vector["envelope"]
    verified = verify_envelope(document, keys={"k": key}, payload_type=document["payloadType"])
    assert verified.payload == body
    with pytest.raises(ProofError):
        verify_envelope(
            {**document, "payload": "aGVsbG8gd29ybGU="}, keys={"k": key}, payload_type=document["payloadType"]
        )


def test_lengths_stand_before_values() -> None:
    assert pae("a", b"b c") == b"DSSEv1 1 a 3 b c"
    assert pae("é", b"") == "DSSEv1 2 é 0 ".encode()
    assert pae("a 1 b", b"") != pae("a", b"b")


@pytest.mark.parametrize("party", [ALICE, BOB])
def test_what_was_signed_comes_out(party: Party) -> None:
    verified = verify_envelope(signed(party), keys=party.keys)
    assert (verified.payload, verified.payload_type, verified.signers) == (PAYLOAD, PAYLOAD_TYPE, (party.method,))


def test_both_alphabets_of_base64_are_read() -> None:
    payload = bytes(range(256))
    document = signed(ALICE, payload=payload)
    assert "+" in document["payload"]
    document["payload"] = urlsafe_b64encode(payload).decode()
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    assert verify_envelope(document, keys=ALICE.keys).payload == payload


def test_a_keyid_is_a_hint() -> None:
    """HIRE-ATT-02."""
    document = signed(ALICE)
    for keyid in ("", BOB.method, "did:key:zUnknown#x"):
        document["signatures"][0]["keyid"] = keyid
        assert verify_envelope(document, keys=ALICE.keys | BOB.keys).signers == (ALICE.method,)
    del document["signatures"][0]["keyid"]
    assert verify_envelope(document, keys=ALICE.keys).signers == (ALICE.method,)


def test_a_threshold_counts_keys_and_not_signatures() -> None:
    twice = signed(ALICE, ALICE)
    with pytest.raises(ProofError):
        verify_envelope(twice, keys=ALICE.keys, threshold=2)
    with pytest.raises(ProofError):
        verify_envelope(twice, keys={"one": ALICE.key, "two": ALICE.key}, threshold=2)
    named = {**twice, "signatures": [{**twice["signatures"][0], "keyid": name} for name in ("one", "two")]}
    with pytest.raises(ProofError):
        verify_envelope(named, keys={"one": ALICE.key, "two": ALICE.key}, threshold=2)
    with refuses(ProofError, "proof_missing"):
        verify_envelope(twice, keys=BOB.keys, threshold=0)
    assert len(verify_envelope(signed(ALICE, BOB), keys=ALICE.keys | BOB.keys, threshold=2).signers) == 2


@pytest.mark.parametrize("signatures", [[], None])
def test_sc_27_no_signature_is_no_proof(signatures: Any) -> None:
    document = {**signed(ALICE), "signatures": signatures}
    with pytest.raises((ProofError, FormatError)) as caught:
        verify_envelope(document, keys=ALICE.keys)
    assert caught.value.code in ("proof_missing", "schema_violation")


def test_sc_30_another_type_is_another_thing() -> None:
    """The type is inside what is signed: it can be neither changed nor ignored."""
    document = signed(ALICE, payload_type="application/json")
    with pytest.raises(ProofError):
        verify_envelope(document, keys=ALICE.keys)
    with pytest.raises(ProofError):
        verify_envelope({**document, "payloadType": PAYLOAD_TYPE}, keys=ALICE.keys)


def test_a_stranger_is_named_and_a_broken_signature_is_broken() -> None:
    with pytest.raises(ProofError) as caught:
        verify_envelope(signed(BOB), keys=ALICE.keys)
    assert caught.value.code == "attester_not_trusted"
    nameless = signed(BOB)
    nameless["signatures"].append({"sig": nameless["signatures"][0]["sig"]})
    with pytest.raises(ProofError) as caught:
        verify_envelope(nameless, keys=ALICE.keys)
    assert caught.value.code == "proof_invalid"  # of the second one nobody can say whose it is
    broken = signed(ALICE)
    broken["payload"] = signed(ALICE, payload=b'{"a":2}')["payload"]
    with pytest.raises(ProofError) as caught:
        verify_envelope(broken, keys=ALICE.keys)
    assert caught.value.code == "proof_invalid"
    with pytest.raises(ProofError):
        verify_envelope(signed(ALICE), keys={})


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "YQ"},
        {"payload": "YR=="},
        {"payload": "Y Q=="},
        {"payload": "+-=="},
        {"payload": "+-+-"},
        {"payload": "/_/_"},
        {"payload": 1},
        {"payloadType": ""},
        {"extra": 1},
        {"signatures": [{"sig": "!!!!"}]},
        {"signatures": [{"sig": "YWFh", "cert": "x"}]},
        {"signatures": [{"keyid": "x"}]},
        {"signatures": [{"sig": "YWFh"}] * 9},
    ],
)
def test_only_an_envelope_is_one(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        verify_envelope({**signed(ALICE), **change}, keys=ALICE.keys)
