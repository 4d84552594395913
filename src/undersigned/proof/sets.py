"""Proof sets and chains: several proofs on one document, each required signer exactly once.

In a set every proof stands alone. In a chain each signer after the first also signs the proof before it, named in
`previousProof`, so a countersignature cannot be moved to another body or under another first signature.

Source: protocol-spec/07-contract.md, section 7.3; W3C Verifiable Credential Data Integrity 1.0, section 4.5
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from undersigned.encoding import Did, Instant, JsonObject, write_canonical
from undersigned.errors import ProofError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import PublicKey
from undersigned.proof.cryptosuite import Document
from undersigned.proof.data_integrity import KeyLookup, Registry, proofs_of, secured, verify_options, verify_signature
from undersigned.proof.options import check_options, previous_proofs
from undersigned.proof.suites import CRYPTOSUITES

__all__ = ["verify_proof_set"]


def verify_proof_set(
    document: Document,
    *,
    key: KeyLookup,
    purpose: str,
    required: Sequence[Did],
    chain: bool = False,
    now: Instant | None = None,
    suites: Collection[str] | None = None,
    jcs: bytes | None = None,
    strict: bool = False,
    contexts: Contexts = CONTEXTS,
    registry: Registry = CRYPTOSUITES,
    foreign: bool = False,
) -> JsonObject:
    """The document as given, once each of `required` is known to have signed it exactly once and nobody else has.

    `required` are the DIDs of the signers; in a chain in the order in which they signed, which is the order of the
    proofs. `jcs` is the canonical JSON of the document without its proofs, if the caller has it; `strict` is as of
    `prepare`.

    Raises:
        ProofError: As `verify_proof`; `proof_invalid` also if a signer is missing, signs twice or is not required, if
            two proofs are by one key or share an id, or if a proof does not build on exactly the one before it.
        VerificationError: What `key` raises.
        FormatError: The document has no canonical form in a suite.

    Source: protocol-spec/07-contract.md, section 7.3
    """
    # Step 1: the shape of each, and at least one.
    proofs = [check_options(proof, path=f"/proof/{place}") for place, proof in enumerate(proofs_of(document))]
    # Step 2: each signer once, and in a chain in its place. One more by a stranger is refused, not ignored.
    signers = [str(proof["verificationMethod"]).partition("#")[0] for proof in proofs]
    if signers != list(required) if chain else sorted(signers) != sorted(required):
        text = f"expected proofs by {', '.join(required)}; came {', '.join(signers)!a:.400}"
        raise ProofError("proof_invalid", text, path="/proof")
    ids = [str(proof["id"]) for proof in proofs if "id" in proof]
    if len(set(ids)) != len(ids):
        raise ProofError("proof_invalid", "expected an id of its own on each proof", path="/proof")
    keys: set[PublicKey] = set()
    for place, proof in enumerate(proofs):
        path = f"/proof/{place}"
        # Step 3: a set refers to nothing; in a chain each refers to the proof before it and no other.
        previous = previous_proofs(proof)
        expected = (str(proofs[place - 1].get("id")),) if chain and place else ()
        if previous != expected or (place and chain and "id" not in proofs[place - 1]):
            text = f"expected a proof that builds on {expected or 'none'!s:.200}; came {previous or 'none'!s:.200}"
            raise ProofError("proof_invalid", text, path=f"{path}/previousProof")
        # Steps 4 and 5: its options and its signature, as of a proof alone.
        suite = verify_options(
            proof,
            purpose=purpose,
            now=now,
            challenge=None,
            domain=None,
            suites=suites,
            registry=registry,
            path=path,
        )
        content = secured(document, previous)
        chained = write_canonical(content) if strict and previous else None
        public = key(str(proof["verificationMethod"]), purpose)
        verify_signature(
            content,
            proof,
            suite,
            public,
            context=document.get("@context"),
            jcs=chained if previous else jcs,
            contexts=contexts,
            foreign=foreign,
            path=path,
        )
        keys.add(public)
    # Step 6: two names for one key are one signer.
    if len(keys) != len(proofs):
        raise ProofError("proof_invalid", f"expected {len(proofs)} keys; came {len(keys)}", path="/proof")
    return document if isinstance(document, dict) else dict(document)
