"""What the examples of the specification carry inside holds as well: presentations, statements, ledger proofs."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from support import ROOT
from undersigned.attestation import verify_delivery, verify_statement
from undersigned.credentials import verify_presentation
from undersigned.did import document_from
from undersigned.encoding import base64url_decode, digest_bytes, digest_of
from undersigned.keys import PublicKey
from undersigned.transparency import contract_leaf, leaf_digest, read_inclusion, verify_note

VECTORS = ROOT / "protocol-spec" / "vectors"
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


def message(suite: str, name: str) -> dict[str, Any]:
    return json.loads((VECTORS / "messages" / suite / name / "input.json").read_bytes())


def key_of(did: str) -> tuple[str, PublicKey]:
    document = document_from(did, {})
    method = document.methods("assertionMethod")[0]
    return method, document.key_for(method, "assertionMethod", now=None)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("side", ["hirer", "provider"])
def test_each_presentation_answers_the_move_that_asked(suite: str, side: str) -> None:
    """HIRE-NEG-03, HIRE-CRD-05: challenge, domain, holder and engagement are those of the hire."""
    said = message(suite, f"presentation-{side}")
    asked = message(suite, "profile" if side == "hirer" else "presentation-hirer")
    shown = verify_presentation(
        said["presentation"],
        challenge=digest_of(asked),
        domain=said["recipient"],
        holder=said["sender"],
        engagement=said["engagement"],
        documents={said["sender"]: document_from(said["sender"], {})},
        now=said["proof"]["created"],
    )
    assert said["answers"] == digest_of(asked)
    assert shown.holder == said["sender"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_delivery_and_its_review_state_the_same_artifact(suite: str) -> None:
    """HIRE-ATT-02, HIRE-ATT-04, HIRE-ATT-06: the provider's statement and the hirer's verdict on it."""
    delivery, review = message(suite, "delivery"), message(suite, "review")
    contract = message(suite, "start")["contract"]
    artifacts = {one["name"]: one["digest"] for one in delivery["artifacts"]}
    method, key = key_of(delivery["sender"])
    made = verify_delivery(
        delivery["statements"],
        attester=delivery["sender"],
        keys={method: key},
        contract=contract,
        artifacts=artifacts,
        required=["https://w3id.org/hire/attestation/work/v1"],
    )
    reviewer, own = key_of(review["sender"])
    verdict = verify_statement(
        review["statement"], attester=review["sender"], keys={reviewer: own}, contract=contract, artifacts=artifacts
    )
    assert review["delivery"] == digest_of(delivery)
    assert reviewer != method
    payload = b64decode(delivery["statements"][0]["payload"])
    assert made[0].digest == digest_bytes(payload)
    read = verdict.statement.predicate["inputAttestations"][0]["digest"]["sha256"]
    assert read == base64url_decode(made[0].digest[1:])[2:].hex()


@pytest.mark.parametrize("suite", SUITES)
def test_the_contract_stands_where_the_seal_says(suite: str) -> None:
    """HIRE-LOG-01, HIRE-LOG-02, HIRE-LOG-03: leaf, place and checkpoint of the receipt are those of the seal."""
    seal, receipt = message(suite, "seal"), message(suite, "receipt-inclusion")
    short = suite.split("-")[1]
    sealed = json.loads((VECTORS / "contracts" / f"{short}-sealed" / "input.json").read_bytes())
    leaf = leaf_digest(contract_leaf(sealed["document"]))
    proof = read_inclusion(receipt["inclusion"])
    _, key = key_of(seal["sender"])
    checkpoint = verify_note(base64url_decode(receipt["checkpoint"][1:]).decode(), key)
    assert (leaf, proof.leaf, proof.index) == (seal["ledger"]["leaf"],) * 2 + (seal["ledger"]["index"],)
    assert (checkpoint.origin, checkpoint.size) == (seal["ledger"]["log"], proof.size)
    proof.verify(checkpoint.root)
