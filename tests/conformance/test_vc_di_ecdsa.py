"""The vectors of the W3C ECDSA cryptosuites, P-256 and P-384, with each intermediate value."""

from __future__ import annotations

import json
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any

import pytest

from proofs import Key, key_of, vector_contexts
from support import refuses
from undersigned.encoding import canonicalize, multibase_decode, multibase_encode, multicodec_decode
from undersigned.errors import ProofError
from undersigned.jsonld import document_quads
from undersigned.proof import attach, prepare, proof_config, verify_proof

pytestmark = pytest.mark.conformance

VECTORS = (
    ("ecdsa-rdfc-2019-p256", "ECDSAP256", "P-256"),
    ("ecdsa-rdfc-2019-p384", "ECDSAP384", "P-384"),
    ("ecdsa-jcs-2019-p256", "JCSECDSAP256", "P-256"),
)
"""Folder, what its files end with, kind of key."""

HIGH_S = {"ecdsa-rdfc-2019-p256": "the published signature has the higher s; our own documents take the lower only"}
"""Vectors that verify without our rule on s, and not with it; one that does fails the run."""


def read(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text()


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize(("name", "ending", "kind"), VECTORS)
def test_intermediate_values(conformance: Path, name: str, ending: str, kind: str) -> None:
    """Canonical forms, hashes (SHA-384 throughout with P-384, RDFC-1.0 included) and the bytes to be signed."""
    folder = conformance / "vc-di-ecdsa" / name
    contexts = vector_contexts(conformance)
    document = load(conformance / "vc-di-ecdsa/unsigned.json")
    config = load(folder / f"proofConfig{ending}.json")
    digest = sha384 if kind == "P-384" else sha256

    def canonical(of: Any) -> bytes:
        if "jcs" in name:
            return canonicalize(of)
        return document_quads(of, contexts=contexts, algorithm="sha384" if kind == "P-384" else "sha256")

    for of, form, hashed in ((document, "canonDoc", "docHash"), (config, "proofCanon", "proofHash")):
        assert canonical(of).decode() == read(folder, f"{form}{ending}")
        assert digest(canonical(of)).hexdigest() == read(folder, f"{hashed}{ending}")
    combined = read(folder, f"proofHash{ending}") + read(folder, f"docHash{ending}")
    assert combined == read(folder, f"combinedHash{ending}")
    assert prepare(document, config, kind, contexts=contexts).hex() == combined  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "ending", "kind"), VECTORS)
def test_their_proof_verifies(conformance: Path, name: str, ending: str, kind: str) -> None:
    """The signature is the one given in hex, and holds for this document only."""
    folder = conformance / "vc-di-ecdsa" / name
    signed = load(folder / f"signed{ending}.json")
    assert multibase_encode("z", bytes.fromhex(read(folder, f"sigHex{ending}"))) == read(folder, f"sigBTC58{ending}")
    assert signed["proof"]["proofValue"] == read(folder, f"sigBTC58{ending}")
    given: dict[str, Any] = {"key": key_of, "purpose": "assertionMethod", "contexts": vector_contexts(conformance)}
    assert verify_proof(signed, foreign=True, **given) == signed
    for changed in ({**signed, "name": "Another"}, {**signed, "issuer": "https://vc.example/issuers/1"}):
        with refuses(ProofError, "proof_invalid"):
            verify_proof(changed, foreign=True, **given)
    if name in HIGH_S:
        with refuses(ProofError, "proof_invalid"):
            verify_proof(signed, **given)
    else:
        assert verify_proof(signed, **given) == signed


@pytest.mark.parametrize(("name", "ending", "kind"), VECTORS)
def test_our_proof_by_their_key(conformance: Path, name: str, ending: str, kind: str) -> None:
    """Another signature, since ECDSA draws a number; the same options, and it verifies."""
    contexts = vector_contexts(conformance)
    pair = load(conformance / "vc-di-ecdsa" / ("p384KeyPair.json" if kind == "P-384" else "p256KeyPair.json"))
    key = Key(kind, multicodec_decode(multibase_decode(pair["secretKeyMultibase"], "z"))[1])
    assert key.public.multikey == pair["publicKeyMultibase"]
    theirs = load(conformance / "vc-di-ecdsa" / name / f"signed{ending}.json")
    document = load(conformance / "vc-di-ecdsa/unsigned.json")
    proof = theirs["proof"]
    config = proof_config(proof["cryptosuite"], proof["verificationMethod"], proof["proofPurpose"], proof["created"])
    ours = attach(document, config, key.sign(prepare(document, config, key.public.kind, contexts=contexts)))
    assert {**ours["proof"], "proofValue": ""} == {**proof, "proofValue": ""}  # type: ignore[dict-item]
    assert verify_proof(ours, key=key_of, purpose="assertionMethod", contexts=contexts) == ours
