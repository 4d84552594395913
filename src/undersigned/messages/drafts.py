"""Messages on their way out: what has to be signed, and the wire form once it is.

The core holds no private key. `draft` checks the message with the parser and schema that its receiver uses, and gives
the bytes to be signed; `Draft.signed` puts the signature in. The wire form is the canonical form.

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from copy import copy
from hashlib import sha256
from typing import Any, Final, cast

from msgspec import MsgspecError, Struct
from msgspec.json import decode
from msgspec.structs import force_setattr, replace

from undersigned.encoding import (
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    decode_json,
    digest_from_hash,
    multibase_encode,
    write_canonical,
)
from undersigned.errors import FormatError
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.keys import KeyKind
from undersigned.messages.base import Message, Proof
from undersigned.messages.codec import read_canonical, read_message
from undersigned.messages.signed import VerifiedMessage
from undersigned.proof import proof_config, suite_for

__all__ = ["Draft", "draft"]

_PROOF_ROOM: Final = 460
"""Bytes that a proof in its place takes beside its method: names, `@context`, times, suite, the longest signature."""


class Draft(Struct, frozen=True, kw_only=True, eq=False):
    """A message without its signature."""

    message: Message
    digest: Digest
    to_sign: bytes
    """What the key signs."""
    options: JsonObject
    """Those of the proof, all but its value."""

    def signed(self, signature: bytes) -> VerifiedMessage:
        """The message with this signature, ready to be recorded and sent. The signature is not checked again."""
        made: dict[str, Any] = self.options
        proof = Proof(  # it was just made, and needs no second look at its shape
            type="DataIntegrityProof",
            context=made.get("@context"),
            cryptosuite=made["cryptosuite"],
            created=made["created"],
            expires=made["expires"],
            verification_method=made["verificationMethod"],
            proof_purpose=made["proofPurpose"],
            proof_value=multibase_encode("z", signature),
        )
        # A copy, and not made anew: no other member has to fit the proof.
        message = copy(self.message)
        force_setattr(message, "proof", proof)
        return VerifiedMessage(message=message, digest=self.digest, raw=write_canonical(message))


def draft(message: Message, method: DidUrl, suite: str, kind: KeyKind, created: Instant, expires: Instant) -> Draft:
    """The message and the bytes to be signed for it. `kind` is the key's: Ed25519, P-256 or P-384.

    A message that has a proof is drafted to be signed again, once that is past `expires` or its key was replaced (rule
    C9): same id, same digest, new proof.

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
    room = len(method) + _PROOF_ROOM
    checked = read_canonical(canonical, room, unsigned)
    if checked is None:
        checked = read_message(cast("dict[str, Any]", decode_json(canonical)), len(canonical) + room)
    of = suite_for(suite, kind)
    options = proof_config(suite, method, message.purpose, created, expires)
    if of.carries_context:
        options["@context"] = HIRE_CONTEXT
    # A suite that signs canonical JSON needs no more than that.
    content: JsonObject = {} if of.signs_json else decode(canonical)
    hashed = sha256(canonical).digest()
    return Draft(
        message=checked,
        digest=digest_from_hash(hashed),
        to_sign=of.hash(content, options, kind, jcs=canonical, jcs_sha256=hashed),
        options=options,
    )
