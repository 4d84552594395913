"""What our gate said no to, kept: a fact in the journal, and a signed statement for whoever asks later.

Source: protocol-spec/06-scope.md, section 6.6; attestation/refusal-v1.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from undersigned.attestation import refusal as statement_of
from undersigned.encoding import Digest, canonicalize, digest_bytes, from_struct
from undersigned.errors import LocalProtocolError
from undersigned.ledger import Blob
from undersigned.runtime.engagement.turn import noting

from .gate import MAX_REFUSALS, Refusal

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase
    from undersigned.runtime.negotiation.papers import Papers

__all__ = ["record_refusal"]

_log = structlog.get_logger()


async def record_refusal(agent: AgentBase, papers: Papers, contract: Digest, refusal: Refusal) -> None:
    """Returns once it is durable, or there are so many that no more are recorded.

    Raises:
        LocalProtocolError: `not_found`: no engagement under way has this contract.
    """
    error = refusal.error
    conversation = agent.conversations.contracts.get(contract)
    if conversation is None:
        raise LocalProtocolError("not_found", f"no engagement under way has contract {contract}")
    if conversation.recorded().refusals >= MAX_REFUSALS:
        # Whichever process recorded them, and whenever: all of them go into one pack (HIRE-LIM-05).
        _log.warning("refused, and too often to be recorded", contract=contract, error=str(error))
        return
    predicate = statement_of(
        refusal.action,
        contract=contract,
        engagement=conversation.id,
        gate=agent.identity.did,
        at=refusal.at,
        code=error.code,
        clause=error.clause or "scope",
        reason=error.message,
        would_pass=error.would_pass,
        repeated=refusal.repeated,
    )
    signed = canonicalize(await papers.stated({"contract": contract}, predicate))
    kept = Blob(digest_bytes(signed), signed, kind="refusal", name=predicate.clause)
    fact = ("refused-action", canonicalize(from_struct(predicate)).decode())
    await conversation.say(noting(fact, evidence=(kept,)))
