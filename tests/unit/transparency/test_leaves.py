"""Leaves of contracts, and inclusion proofs as JSON."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import pytest

from undersigned.encoding import JsonValue, canonicalize, digest_from_hex
from undersigned.errors import LogProofError
from undersigned.transparency import (
    InclusionProof,
    contract_leaf,
    decision_leaf,
    decision_salt,
    leaf_digest,
    leaf_hash,
    move_leaf,
    node_hash,
    read_inclusion,
    refusal_leaf,
)

CONTRACT: dict[str, Any] = {
    "id": "urn:x",
    "terms": {"price": "5"},
    "proof": [{"proofValue": "z1"}, {"proofValue": "z2"}],
}


def test_a_leaf_is_a_label_and_a_hash() -> None:
    """Nothing of the contract can be read from it (HIRE-LOG-01)."""
    leaf = contract_leaf(CONTRACT)
    assert leaf == b"hire/v1 contract\n" + sha256(canonicalize(CONTRACT)).digest()
    assert leaf_digest(leaf) == digest_from_hex(sha256(b"\x00" + leaf).hexdigest())


def test_each_kind_of_leaf_has_a_label_of_its_own_and_a_decision_a_salt() -> None:
    """HIRE-LOG-01."""
    salt = decision_salt(b"a decision", b"the secret")
    assert salt == hmac.digest(b"the secret", b"a decision", "sha256")[:16]
    assert decision_leaf(b"a decision", salt) == b"hire/v1 decision\n" + sha256(salt + b"a decision").digest()
    assert move_leaf(b"a move") == b"hire/v1 move\n" + sha256(b"a move").digest()
    assert refusal_leaf(b"a refusal") == b"hire/v1 refusal\n" + sha256(b"a refusal").digest()


@pytest.mark.parametrize("path", ["terms", "first proof", "second proof", "order"])
def test_terms_and_both_proofs_are_in_the_leaf(path: str) -> None:
    """The signatures are the salt: whoever does not hold them cannot confirm a guess at the terms (HIRE-LOG-01)."""
    one, two = CONTRACT["proof"]
    other = {
        "terms": {**CONTRACT, "terms": {"price": "6"}},
        "first proof": {**CONTRACT, "proof": [{"proofValue": "z3"}, two]},
        "second proof": {**CONTRACT, "proof": [one, {"proofValue": "z3"}]},
        "order": {**CONTRACT, "proof": [two, one]},
    }[path]
    assert contract_leaf(other) != contract_leaf(CONTRACT)


@pytest.mark.parametrize("proof", [None, {"proofValue": "z1"}, [], [{"proofValue": "z1"}]])
def test_half_a_contract_has_no_leaf(proof: JsonValue) -> None:
    with pytest.raises(LogProofError):
        contract_leaf({**CONTRACT, "proof": proof})
    with pytest.raises(LogProofError):
        contract_leaf({"id": "urn:x"})


def test_an_inclusion_proof_travels_as_json() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    proof = InclusionProof.of(right, 1, 2, (left,))
    again = read_inclusion(proof.document())
    assert again == proof
    assert again.leaf_hash == right
    again.verify(node_hash(left, right))
    with pytest.raises(LogProofError):
        again.verify(node_hash(right, left))


@pytest.mark.parametrize(
    "change",
    [
        {"leaf": "uEi"},
        {"leaf": "f" * 64},
        {"index": "1"},
        {"index": 1.5},
        {"size": None},
        {"path": "x"},
        {"path": ["x"]},
        {"path": [1]},
        {"more": 1},
    ],
)
def test_what_is_no_inclusion_proof_is_refused(change: dict[str, JsonValue]) -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    document = {**InclusionProof.of(right, 1, 2, (left,)).document(), **change}
    with pytest.raises(LogProofError) as caught:
        read_inclusion(document)
    assert caught.value.code == "log_proof_invalid"


@pytest.mark.parametrize("value", [None, [], "proof", 1, {}])
def test_another_json_value_is_no_inclusion_proof(value: JsonValue) -> None:
    with pytest.raises(LogProofError):
        read_inclusion(value)


def test_hashes_of_another_length_make_no_proof() -> None:
    with pytest.raises(LogProofError):
        InclusionProof.of(b"short", 0, 1, ())
