"""Detached proofs: a proof that travels apart from its document, in a header or the property of a queue.

Nothing is signed differently. The parts are put together again and verified as one document.

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from undersigned.encoding import Instant, JsonObject
from undersigned.errors import ProofError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.proof.cryptosuite import Document
from undersigned.proof.data_integrity import KeyLookup, Registry, proofs_of, verify_proof
from undersigned.proof.suites import CRYPTOSUITES

__all__ = ["detach", "verify_detached"]


def detach(document: Document) -> tuple[JsonObject, JsonObject]:
    """The document without its one proof, and the proof.

    Raises:
        ProofError: `proof_missing`; `proof_invalid`: more than one, which belong together and do not travel apart.
    """
    proofs = proofs_of(document)
    if len(proofs) != 1 or not isinstance(proofs[0], dict):
        raise ProofError("proof_invalid", f"expected one proof; came {len(proofs)}", path="/proof")
    return {name: value for name, value in document.items() if name != "proof"}, cast("JsonObject", proofs[0])


def verify_detached(
    document: Document,
    proof: Mapping[str, Any] | None,
    *,
    key: KeyLookup,
    purpose: str,
    now: Instant | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    suites: Collection[str] | None = None,
    jcs: bytes | None = None,
    contexts: Contexts = CONTEXTS,
    registry: Registry = CRYPTOSUITES,
    foreign: bool = False,
) -> JsonObject:
    """The document as given, which has no proof of its own, once `proof` is known to hold for it.

    Raises:
        ProofError, VerificationError, FormatError: As `verify_proof`; `proof_invalid` also for a document that
            carries a proof, because then it would not be clear which of the two was meant.
    """
    if "proof" in document:
        raise ProofError("proof_invalid", "expected a document without its proof; came one with", path="/proof")
    verify_proof(
        {**document, "proof": proof if isinstance(proof, dict) else None},
        key=key,
        purpose=purpose,
        now=now,
        challenge=challenge,
        domain=domain,
        suites=suites,
        jcs=jcs,
        contexts=contexts,
        registry=registry,
        foreign=foreign,
    )
    return document if isinstance(document, dict) else dict(document)
