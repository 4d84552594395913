"""The vectors of the W3C EdDSA cryptosuites, each intermediate value, signatures byte for byte; and the proof set."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from proofs import key_of, vector_contexts
from support import refuses
from undersigned.encoding import canonicalize, multibase_decode, multibase_encode, multicodec_decode
from undersigned.errors import ProofError
from undersigned.jsonld import document_quads
from undersigned.proof import attach, make_proof, prepare, proof_config, verify_proof, verify_proof_set

pytestmark = pytest.mark.conformance

VECTORS = (("eddsa-rdfc-2022", "DataInt"), ("eddsa-jcs-2022", "JCS"), ("Ed25519Signature2020", "EdSig"))
"""Folder, and what its files end with."""


def read(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text()


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def private_key(multibase: str) -> SigningKey:
    return SigningKey(multicodec_decode(multibase_decode(multibase, "z"))[1])


def canonical(suite: str, document: Any, contexts: Any) -> str:
    if suite == "eddsa-jcs-2022":
        return canonicalize(document).decode()
    return document_quads(document, contexts=contexts).decode()


@pytest.mark.parametrize(("suite", "ending"), VECTORS)
def test_intermediate_values(conformance: Path, suite: str, ending: str) -> None:
    """Canonical forms and hashes; also of the old suite, whose proofs are refused below."""
    folder = conformance / "vc-di-eddsa" / suite
    contexts = vector_contexts(conformance)
    document = load(conformance / "vc-di-eddsa/unsigned.json")
    config = load(folder / f"proofConfig{ending}.json")
    document["@context"] = config["@context"]
    assert canonical(suite, document, contexts) == read(folder, f"canonDoc{ending}")
    assert sha256(read(folder, f"canonDoc{ending}").encode()).hexdigest() == read(folder, f"docHash{ending}")
    assert canonical(suite, config, contexts) == read(folder, f"proofCanon{ending}")
    assert sha256(read(folder, f"proofCanon{ending}").encode()).hexdigest() == read(folder, f"proofHash{ending}")
    combined = read(folder, f"proofHash{ending}") + read(folder, f"docHash{ending}")
    assert combined == read(folder, f"combinedHash{ending}")


@pytest.mark.parametrize(("suite", "ending"), VECTORS[:2])
def test_our_proof_is_theirs(conformance: Path, suite: str, ending: str) -> None:
    """The bytes to be signed, the signature and the signed document."""
    folder = conformance / "vc-di-eddsa" / suite
    contexts = vector_contexts(conformance)
    document = load(conformance / "vc-di-eddsa/unsigned.json")
    theirs = load(folder / f"proofConfig{ending}.json")
    config = proof_config(suite, theirs["verificationMethod"], theirs["proofPurpose"], theirs["created"])
    to_sign = prepare(document, config, "Ed25519", contexts=contexts)
    assert to_sign.hex() == read(folder, f"combinedHash{ending}")
    signature = (
        private_key(load(conformance / "vc-di-eddsa/keyPair.json")["privateKeyMultibase"]).sign(to_sign).signature
    )
    assert signature.hex() == read(folder, f"sigHex{ending}")
    assert multibase_encode("z", signature) == read(folder, f"sigBTC58{ending}")
    assert attach(document, config, signature) == load(folder / f"signed{ending}.json")


@pytest.mark.parametrize(("suite", "ending"), VECTORS[:2])
def test_their_proof_verifies(conformance: Path, suite: str, ending: str) -> None:
    """And with any member of the document changed it does not."""
    contexts = vector_contexts(conformance)
    signed = load(conformance / "vc-di-eddsa" / suite / f"signed{ending}.json")
    given: dict[str, Any] = {"key": key_of, "purpose": "assertionMethod", "contexts": contexts}
    assert verify_proof(signed, **given) == signed
    for name in ("id", "name", "description", "issuer", "validFrom"):
        with refuses(ProofError, "proof_invalid"):
            verify_proof(
                {**signed, name: signed[name] + "1" if name != "validFrom" else "2023-01-02T00:00:00Z"}, **given
            )


def test_the_old_suite_is_refused(conformance: Path) -> None:
    """Ed25519Signature2020 holds as a signature, and is no DataIntegrityProof."""
    signed = load(conformance / "vc-di-eddsa/Ed25519Signature2020/signedEdSig.json")
    with refuses(ProofError, "suite_not_allowed"):
        verify_proof(signed, key=key_of, purpose="assertionMethod", contexts=vector_contexts(conformance))


def test_proof_set(conformance: Path) -> None:
    """Two signers, one after the other; each proof is the published one and stands for itself."""
    folder = conformance / "vc-di-eddsa/proof-set"
    contexts = vector_contexts(conformance)
    pairs = load(folder / "multiKeyPairs.json")
    document = load(folder / "unsigned.json")
    for number in (1, 2):
        config = load(folder / f"proofSetConfig{number}.json")
        to_sign = prepare(document, config, "Ed25519", contexts=contexts)
        signature = private_key(pairs[f"keyPair{number}"]["privateKeyMultibase"]).sign(to_sign).signature
        assert make_proof(document, config, signature) == load(folder / f"proofSetConfigSigned{number}.json")
        document = attach(document, config, signature)
        assert document == load(folder / f"signedProofSet{number}.json")
    signers = [proof["verificationMethod"].partition("#")[0] for proof in document["proof"]]
    given: dict[str, Any] = {"key": key_of, "purpose": "assertionMethod", "contexts": contexts}
    assert verify_proof_set(document, required=signers, **given) == document
    assert verify_proof_set(document, required=signers[::-1], **given) == document
    with refuses(ProofError, "proof_invalid"):
        verify_proof_set(document, required=signers[:1], **given)
