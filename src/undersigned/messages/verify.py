"""Whether a message is by its sender, for us, and for this purpose.

What depends on more than the sender's own bytes is checked after the signature, so that whoever cannot sign learns
nothing from the answer.

Source: protocol-spec/05-messages.md, section 5.5
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from undersigned.did import DidDocument
from undersigned.encoding import Did, DidUrl, Instant, seconds_between
from undersigned.errors import ProofError, ResolutionError, UndersignedError, VerificationError
from undersigned.keys import PublicKey
from undersigned.messages.base import Message, Proof
from undersigned.messages.discovery import Inquiry
from undersigned.messages.signed import SignedMessage, VerifiedMessage, engagement_id
from undersigned.proof import CRYPTOSUITES, verify_proof

__all__ = ["MAX_PROOF_SECONDS", "MAX_SKEW_SECONDS", "problem_code_told", "verify_message"]

MAX_SKEW_SECONDS: Final = 60
"""How far ahead of our clock a proof may have been made; inclusive."""
MAX_PROOF_SECONDS: Final = 24 * 60 * 60
"""How long a proof may be good for; inclusive. The same content can be signed again."""


def verify_message(
    received: SignedMessage,
    documents: Mapping[Did, DidDocument],
    *,
    now: Instant,
    recipient: Did,
    suites: Collection[str] | None = None,
) -> VerifiedMessage:
    """The message, once its sender is known to have signed it for `recipient`, lately, and for this purpose.

    `documents` holds the sender's DID document as resolved at receipt, and the recipient's own if the parties' keys
    are to be compared. `suites` are those allowed in this engagement; without it, all that are implemented.

    Raises:
        ProofError: `suite_not_allowed`, `proof_purpose_mismatch`, `proof_invalid`; and, with `detail["proved"]`
            because the signature held, `proof_from_future`, `proof_expired`.
        VerificationError: `key_not_authorized`, `did_document_invalid`; and, `proved`, `wrong_recipient`,
            `self_dealing`, `wrong_negotiation`.
        ResolutionError: `did_unresolvable`: the sender's document is not among `documents`.

    Source: protocol-spec/05-messages.md, section 5.5
    """
    message, proof = received.message, received.proof
    # Step 1: the suite is one that both agreed on.
    allowed = CRYPTOSUITES if suites is None else suites
    if proof.cryptosuite not in allowed or proof.cryptosuite not in CRYPTOSUITES:
        expected = " or ".join(sorted(allowed))
        raise ProofError(
            "suite_not_allowed", f"expected {expected}; came {proof.cryptosuite}", path="/proof/cryptosuite"
        )
    # Step 2: the purpose is that of the type. What proves who speaks does not bind to a contract.
    if proof.proof_purpose != message.purpose:
        text = f"expected {message.purpose} for {message.type}; came {proof.proof_purpose}"
        raise ProofError("proof_purpose_mismatch", text, path="/proof/proofPurpose")
    # Step 3: the key is the sender's own, and listed for the purpose.
    method = proof.verification_method
    if method.partition("#")[0] != message.sender:
        text = f"expected a verification method of the sender {message.sender}; came {method}"
        raise VerificationError("key_not_authorized", text, path="/proof/verificationMethod")
    document = documents.get(message.sender)
    if document is None:
        text = f"expected the DID document of {message.sender}; none was resolved"
        raise ResolutionError("did_unresolvable", text, path="/sender")

    def key(method: DidUrl, purpose: str) -> PublicKey:
        return document.key_for(method, purpose)

    # Step 4: the signature. All that follows is told to a sender who has proved to be itself.
    signed = {**received.content, "proof": proof.as_json()}
    verify_proof(signed, key=key, purpose=message.purpose, suites=allowed, jcs=received.canonical)
    _check_times(proof, now)
    # Step 6: it is for us.
    if message.recipient != recipient:
        raise _proved("wrong_recipient", f"expected recipient {recipient}; came {message.recipient}", "/recipient")
    # Step 7: nobody hires itself, under one DID or two.
    _check_two_parties(message, method, documents)
    # Step 8: an inquiry's engagement is that of these two parties.
    if isinstance(message, Inquiry):
        hirer, provider = message.sender, message.recipient
        if message.engagement != (own := engagement_id(hirer, provider, message.nonce)):
            raise _proved("wrong_negotiation", f"expected {own}; came {message.engagement}", "/engagement")
    return VerifiedMessage(message=message, digest=received.digest, raw=received.raw)


def problem_code_told(error: UndersignedError, *, proved: bool = False) -> str | None:
    """The code that a peer is told of an error, or None if it is told nothing.

    `proved` says that the message at fault was verified; an error of `verify_message` says it itself. Before that a
    peer hears only what its own bytes decide, and of everything else `proof_invalid`: also for an engagement that
    does not exist.

    Source: protocol-spec/09-errors.md, section 9.2
    """
    told = error.row.told
    if told == "never":
        return None
    if told == "at once" or proved or error.detail.get("proved") is True:
        return error.code
    return "proof_invalid"


def _check_times(proof: Proof, now: Instant) -> None:
    # Step 5: made not too far ahead, and still good. Both ends are inclusive.
    if seconds_between(proof.created, proof.expires) > MAX_PROOF_SECONDS or proof.expires < proof.created:
        text = f"expected at most {MAX_PROOF_SECONDS} s after {proof.created}, and not before; came {proof.expires}"
        raise _proved("proof_expired", text, "/proof/expires", ProofError)
    if seconds_between(now, proof.created) > MAX_SKEW_SECONDS:
        text = f"expected at most {MAX_SKEW_SECONDS} s after {now}; came {proof.created}"
        raise _proved("proof_from_future", text, "/proof/created", ProofError)
    if proof.expires < now:
        raise _proved("proof_expired", f"expected {now} or later; came {proof.expires}", "/proof/expires", ProofError)


def _check_two_parties(message: Message, method: DidUrl, documents: Mapping[Did, DidDocument]) -> None:
    if message.sender == message.recipient:
        raise _proved("self_dealing", f"expected two parties; came {message.sender} twice", "/recipient")
    ours = documents.get(message.recipient)
    if ours is None:
        return
    theirs = documents[message.sender].key_for(method, message.purpose)
    for relationship in ("authentication", "assertionMethod"):
        for own in ours.methods(relationship):
            if ours.key_for(own, relationship) == theirs:
                text = f"expected keys of two parties; {method} and {own} are one key"
                raise _proved("self_dealing", text, "/proof/verificationMethod")


def _proved(code: str, text: str, path: str, of: type[VerificationError] = VerificationError) -> VerificationError:
    return of(code, text, path=path, proved=True)
