"""Messages on their way out: what has to be signed, and the wire form once it is.

The core holds no private key. `draft` checks the message with the parser and schema that its receiver uses, and gives
the bytes to be signed; `Draft.signed` puts the signature in. The message is written once: the wire form is the
canonical form with the proof put in its place.

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from typing import Any, Final, cast

from msgspec import MsgspecError, Struct
from msgspec.structs import replace

from undersigned.encoding import DidUrl, Digest, Instant, JsonObject, decode_json, digest_bytes
from undersigned.errors import FormatError
from undersigned.messages.base import Message, Proof
from undersigned.messages.codec import read_message
from undersigned.messages.signed import VerifiedMessage, write_canonical
from undersigned.proof import Kind, make_proof, prepare, proof_config

__all__ = ["Draft", "draft", "redraft"]

_PROOF_ROOM: Final = 460
"""Bytes that a proof in its place takes beside its method: names, `@context`, times, suite, the longest signature."""


class Draft(Struct, frozen=True, kw_only=True, eq=False):
    """A message without its signature."""

    message: Message
    digest: Digest
    to_sign: bytes
    """What the key signs."""
    canonical: bytes
    content: JsonObject
    config: JsonObject

    def signed(self, signature: bytes) -> VerifiedMessage:
        """The message with this signature, ready to be recorded and sent. The signature is not checked again."""
        proof = make_proof(self.content, self.config, signature)
        raw = _with_proof(self.canonical, self.content, proof)
        return VerifiedMessage(message=replace(self.message, proof=_struct_of(proof)), digest=self.digest, raw=raw)


def draft(message: Message, method: DidUrl, suite: str, kind: Kind, created: Instant, expires: Instant) -> Draft:
    """The message and the bytes to be signed for it. `kind` is the key's: Ed25519, P-256 or P-384.

    Raises:
        FormatError: As `decode_message`: a message that no peer would take is not signed.
        ProofError: `suite_not_allowed`: the suite is unknown or does not sign with such a key.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.5
    """
    unsigned = message if message.proof is None else replace(message, proof=None)
    try:
        canonical = write_canonical(unsigned)
    except (MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise FormatError("bad_json", f"expected a message of JSON values: {exc}") from exc
    content = cast("dict[str, Any]", decode_json(canonical))
    config = proof_config(suite, method, message.purpose, created, expires)
    checked = read_message(content, len(canonical) + len(method) + _PROOF_ROOM)
    return Draft(
        message=checked,
        digest=digest_bytes(canonical),
        to_sign=prepare(content, config, kind, jcs=canonical),
        canonical=canonical,
        content=content,
        config=config,
    )


def redraft(
    verified: VerifiedMessage, method: DidUrl, suite: str, kind: Kind, created: Instant, expires: Instant
) -> Draft:
    """The same content to be signed again, once its proof is past `expires` or its key was replaced (rule C9).

    Same id, same digest, new proof.

    Raises:
        FormatError, ProofError: As `draft`.
    """
    return draft(verified.message, method, suite, kind, created, expires)


def _struct_of(proof: JsonObject) -> Proof:
    """The proof that was just made, which needs no second look at its shape."""
    made = cast("dict[str, Any]", proof)
    return Proof(
        type="DataIntegrityProof",
        context=made.get("@context"),
        cryptosuite=made["cryptosuite"],
        created=made["created"],
        expires=made["expires"],
        verification_method=made["verificationMethod"],
        proof_purpose=made["proofPurpose"],
        proof_value=made["proofValue"],
    )


def _with_proof(canonical: bytes, content: JsonObject, proof: JsonObject) -> bytes:
    """Canonical form of the whole message, without writing it again: members are sorted, so `proof` has one place.

    `recipient`, `role`, `sender` and more always follow it, `@context` always stands before.
    """
    after = write_canonical({name: value for name, value in content.items() if name > "proof"})[1:]
    return b"".join((canonical[: -len(after)], b'"proof":', write_canonical(proof), b",", after))
