"""A message that came, before and after its proof was checked.

Bytes become a `SignedMessage`, and `verify_message` makes a `VerifiedMessage` of it or raises; only the latter enters
the fold.

Source: protocol-spec/04-envelope-and-digests.md, sections 4.2 and 4.4
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct
from msgspec.json import decode

from undersigned.encoding import Did, Digest, EngagementId, JsonObject, canonicalize, digest_bytes
from undersigned.errors import ProofError
from undersigned.messages.base import Message, Proof

__all__ = ["SignedMessage", "VerifiedMessage", "engagement_id"]


class SignedMessage(Struct, frozen=True, gc=False, kw_only=True, eq=False):
    """A well-formed message whose proof nobody checked yet. Believe nothing in it."""

    message: Message
    digest: Digest
    raw: bytes
    """The bytes as they came."""
    canonical: bytes
    """JCS of the message without its proof, which the digest covers."""
    canonical_sha256: bytes
    """The hash that `digest` writes."""

    @property
    def content(self) -> JsonObject:
        """The message without its proof, as JSON: a new copy each time."""
        return decode(self.canonical)

    @property
    def proof(self) -> Proof:
        """The proof, which `decode_message` has seen to be there."""
        proof = self.message.proof
        if proof is None:
            raise ProofError("proof_missing", "expected a message with a proof; came one without", path="/proof")
        return proof


class VerifiedMessage(Struct, frozen=True, gc=False, kw_only=True, eq=False):
    """A message whose proof held when it came. Two are equal if their digests are, whatever their proofs."""

    message: Message
    digest: Digest
    raw: bytes
    """The bytes as they came, or as they are sent."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifiedMessage) and other.digest == self.digest

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct without an `eq` of its own would go by identity

    def __hash__(self) -> int:
        return hash(self.digest)


@lru_cache(maxsize=256)
def engagement_id(hirer: Did, provider: Did, nonce: str) -> EngagementId:
    """The engagement's id: a digest of both parties and the hirer's nonce, so that it can belong to no others.

    Asked for when an inquiry is verified, and again when it is folded in.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.2
    """
    return f"urn:hire:engagement:{digest_bytes(canonicalize({'hirer': hirer, 'nonce': nonce, 'provider': provider}))}"
