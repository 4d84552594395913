"""An arbiter's ruling: a document of somebody who is neither party, which either of them may carry.

Source: protocol-spec/07-contract.md, section 7.11
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, cast

from msgspec import Struct, field

from undersigned.contract.check import read_linked
from undersigned.contract.terms import Currency, Text
from undersigned.encoding import Did, DidUrl, Digest, Instant, JsonObject, MessageId, Owed
from undersigned.errors import ProofError
from undersigned.proof import KeyLookup, proof_config, verify_proof

__all__ = ["ArbiterRuling", "Ruled", "read_ruling", "ruled_by", "ruling_config", "verify_ruling"]

PURPOSE: Final = "assertionMethod"

Ruled: TypeAlias = Literal["for_hirer", "for_provider", "divided"]


class ArbiterRuling(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What the arbiter named in the contract decided about one dispute."""

    context: Literal["https://w3id.org/hire/v1"] = field(name="@context")
    id: MessageId
    type: Literal["ArbiterRuling"]
    contract: Digest
    """Of the contract as first sealed."""
    dispute: Digest
    """Digest of the `Dispute`."""
    outcome: Ruled
    """Who is right."""
    amount: Owed
    """What the hirer owes, all told; may be 0."""
    currency: Currency
    reasons: Text
    """Why, in the arbiter's words."""
    proof: dict[str, Any] | None = None


def ruling_config(suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of the arbiter's proof, for `prepare`. It has no expiry: a ruling stays provable."""
    return proof_config(suite, method, PURPOSE, created)


def read_ruling(document: Mapping[str, Any]) -> ArbiterRuling:
    """The ruling in this JSON object; its proof is not looked at.

    Raises:
        FormatError: As `read_linked`.
    """
    return read_linked(document, ArbiterRuling)


def ruled_by(document: Mapping[str, Any], arbiters: Sequence[Did]) -> Did:
    """Of those who may rule, at least one, whose ruling this says to be; if it is none of theirs, the last, who did not
    sign it.
    """
    proof: object = document.get("proof")
    method = cast("dict[str, object]", proof).get("verificationMethod") if isinstance(proof, dict) else None
    return next((did for did in arbiters if isinstance(method, str) and method.startswith(f"{did}#")), arbiters[-1])


def verify_ruling(document: Mapping[str, Any], *, arbiter: Did, keys: KeyLookup) -> ArbiterRuling:
    """The ruling, once it is known to be the arbiter's: what it is about is for the caller to compare.

    Raises:
        FormatError: As `read_ruling`.
        ProofError: `proof_missing`, `proof_invalid` and the others of `verify_proof`; `key_not_authorized`: another
            than `arbiter` signed it.
        VerificationError: What `keys` raises.

    Source: protocol-spec/07-contract.md, section 7.11
    """
    read = read_ruling(document)

    def of_arbiter(method: DidUrl, purpose: str):
        if method.partition("#")[0] != arbiter:
            raise ProofError("key_not_authorized", f"expected a method of the arbiter {arbiter}; came {method!a:.200}")
        return keys(method, purpose)

    verify_proof(document, key=of_arbiter, purpose=PURPOSE)
    return read
