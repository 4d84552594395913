"""What the peer is told of an error: a `Problem` for what it said, a `Withdraw` for what we could not decide.

Source: protocol-spec/05-negotiation.md; 09-errors.md
"""

from __future__ import annotations

from typing import Any, Final

from undersigned.encoding import Digest
from undersigned.errors import CODES, CredentialError, LogProofError, ProofError, UndersignedError
from undersigned.messages import Acceptance, VerifiedMessage, problem_path_told
from undersigned.protocol import Owe

from .turn import Declined, Say

__all__ = ["told_of_decision", "told_of_message"]

MAX_PROBLEM_BYTES: Final = 2048
"""A message longer than that is longer than any refusal of it, so that may say which place is meant."""


def told_of_message(message: VerifiedMessage, error: UndersignedError) -> list[Say]:
    """What is said where `error` keeps us from recording a move. An acceptance that will never do is answered with the
    end of it as well.
    """
    body = message.message
    code = error.code if error.row.told != "never" else "decision_failed"
    row = CODES[code]
    problem: dict[str, Any] = {
        "of": message.digest,
        "code": code,
        "class_": row.family,
        "retryable": row.retryable,
        # What waited here too long is taken once it is signed again (HIRE-PRF-05): its place is not to be another's.
        "final": not (row.retryable or "waited" in error.detail or body.type in ("Acceptance", "Seal")),
    }
    if code == error.code and len(message.raw) > MAX_PROBLEM_BYTES and (path := problem_path_told(error)):
        problem["path"] = path
    said = [Say("Problem", problem)]
    # If its sender has seen a move that we do not have, it may be our store that went back: then we end nothing.
    rewritten = error.code == "ledger_diverged" and isinstance(error, LogProofError)
    if isinstance(body, Acceptance) and (error.code == "terms_mismatch" or rewritten):
        reason = "decision_failed" if rewritten else error.code
        said.append(Say("Withdraw", {"reason": reason, "offer": body.offer}))
    return said


def told_of_decision(owed: Owe, live: Digest | None, error: UndersignedError) -> Say:
    """The `Withdraw` where `error` keeps us from what is owed and we try no more; `live` is the offer that is open."""
    if "Seal" in owed.moves:
        # An acceptance is answered in any case, and only by what the offerer cannot help (HIRE-NEG-16).
        # `revoked` is believed by whoever reads it, so it is said of a no about the other side alone.
        no = isinstance(error, Declined | CredentialError | ProofError) and not error.code.startswith("status_")
        reason = "revoked" if no and not error.retryable else "status_unavailable"
    elif error.code in ("revoked", "status_unavailable", "policy_denied"):
        reason = error.code
    elif error.code == "status_invalid":
        reason = "status_unavailable"
    else:
        reason = "decision_failed"
    body = {"reason": reason, "offer": live}
    if isinstance(error, Declined):
        return Say("Withdraw", {**body, "needed": error.needed}, facts=error.facts, evidence=error.evidence)
    return Say("Withdraw", body)
