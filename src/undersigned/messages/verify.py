"""Whether a message is by its sender, for us, and for this purpose.

What depends on more than the sender's own bytes is checked after the signature, so that whoever cannot sign learns
nothing from the answer.

Source: protocol-spec/10-security.md, section 10.1
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import to_builtins

from undersigned.did import DidDocument
from undersigned.encoding import Did, Instant, JsonObject, seconds_between
from undersigned.errors import ProofError, ResolutionError, UndersignedError, VerificationError
from undersigned.messages.base import MAX_POINTER, Proof
from undersigned.messages.discovery import Inquiry
from undersigned.messages.signed import SignedMessage, VerifiedMessage, engagement_id
from undersigned.proof import MAX_SKEW_SECONDS, verify_options, verify_signature

__all__ = ["check_recordable", "problem_code_told", "problem_path_told", "verify_message"]

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

    Source: protocol-spec/10-security.md, section 10.1
    """
    message, proof = received.message, received.proof

    # Steps 1 and 2: a suite that both agreed on; the purpose of the type, as what proves who speaks does not bind to a
    # contract.
    options: JsonObject = to_builtins(proof)
    suite = verify_options(options, purpose=message.purpose, suites=suites, times=False)
    # Instants of a message were read by its schema, and compare as text.
    if proof.created > proof.expires:
        text = f"expected created before expires; came {proof.created} and {proof.expires}"
        raise ProofError("proof_invalid", text, path="/proof")
    # Step 3: the key is the sender's own, and its document lists it for the purpose.
    method = proof.verification_method
    if method.partition("#")[0] != message.sender:
        text = f"expected a verification method of the sender {message.sender}; came {method}"
        raise VerificationError("key_not_authorized", text, path="/proof/verificationMethod")
    document = documents.get(message.sender)
    if document is None:
        text = f"expected the DID document of {message.sender}; none was resolved"
        raise ResolutionError("did_unresolvable", text, path="/sender")
    signer = document.key_for(method, message.purpose, now=now)
    # Step 4: the signature. All that follows is told, for its sender has proved to be itself.
    verify_signature(
        {} if suite.signs_json else received.content,
        options,
        suite,
        signer,
        context=message.context,
        jcs=received.canonical,
        jcs_sha256=received.canonical_sha256,
    )
    # Step 5: good for no longer than it may be, made not too far ahead, and still good.
    if seconds_between(proof.created, proof.expires) > MAX_PROOF_SECONDS:
        text = f"expected at most {MAX_PROOF_SECONDS} s after {proof.created}; came {proof.expires}"
        raise _proved("proof_expired", text, "/proof/expires", ProofError)
    _check_times(proof, now)
    # Step 6: it is for us.
    if message.recipient != recipient:
        raise _proved("wrong_recipient", f"expected recipient {recipient}; came {message.recipient}", "/recipient")
    # Step 7: nobody hires itself, under one DID or two.
    if message.sender == recipient:
        raise _proved("self_dealing", f"expected two parties; came {message.sender} twice", "/sender")
    if recipient in documents and documents[recipient].signs_by(signer):
        text = f"expected keys of two parties; {proof.verification_method} is a key of {recipient} too"
        raise _proved("self_dealing", text, "/proof/verificationMethod")
    # Step 8: an inquiry's engagement is that of these two parties.
    if isinstance(message, Inquiry):
        expected = engagement_id(message.sender, message.recipient, message.nonce)
        if message.engagement != expected:
            raise _proved("wrong_negotiation", f"expected {expected}; came {message.engagement}", "/engagement")
    return VerifiedMessage(message=message, digest=received.digest, raw=received.raw)


def check_recordable(verified: VerifiedMessage, document: DidDocument, *, now: Instant) -> None:
    """Returns if the proof of a message counts `now` too, when it is recorded, however long it waited since it was
    verified by its sender's `document`: whoever is shown it later knows that time alone.

    Raises:
        ProofError: `proof_expired`, with `waited` in its detail: it was good when it came, and signed again it is.
        VerificationError: `key_not_authorized`: its key had its end meanwhile.

    Source: protocol-spec/04-envelope-and-digests.md, HIRE-PRF-03
    """
    proof = verified.message.proof
    assert proof is not None  # noqa: S101  (it was verified)
    document.key_for(proof.verification_method, verified.message.purpose, now=now)
    try:
        _check_times(proof, now)
    except ProofError as error:
        error.detail["waited"] = True
        raise


def problem_code_told(error: UndersignedError, *, proved: bool = False) -> str | None:
    """The code that a peer is told of an error, or None if it is told nothing.

    `proved` says that the message at fault was verified; an error of `verify_message` says it itself. Before that a
    peer hears only what its own bytes decide, and of everything else `proof_invalid`: also for an engagement that
    does not exist.

    Source: protocol-spec/09-errors.md, section 9.3
    """
    told = error.row.told
    if told == "never":
        return None
    if told == "at once" or proved or error.detail.get("proved") is True:
        return error.code
    return "proof_invalid"


def problem_path_told(error: UndersignedError) -> str | None:
    """The JSON pointer that a peer is told beside the code, or None: it points nowhere, or is too long to be sent.

    Send it only with a code that `problem_code_told` gives as it is: the place says what was looked at.

    Source: protocol-spec/10-security.md, section 10.5
    """
    return error.path if 0 < len(error.path) <= MAX_POINTER else None


def _check_times(proof: Proof, now: Instant) -> None:
    # Of what a proof's times say only this is ever another; both ends are inclusive.
    if proof.created > now and seconds_between(now, proof.created) > MAX_SKEW_SECONDS:
        text = f"expected at most {MAX_SKEW_SECONDS} s after {now}; came {proof.created}"
        raise _proved("proof_from_future", text, "/proof/created", ProofError)
    if proof.expires < now:
        raise _proved("proof_expired", f"expected {now} or later; came {proof.expires}", "/proof/expires", ProofError)


def _proved(code: str, text: str, path: str, of: type[VerificationError] = VerificationError) -> VerificationError:
    return of(code, text, path=path, proved=True)
