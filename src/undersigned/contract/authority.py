"""Whether a contract allows an action: its own times first, then its scope.

That the contract is sealed and in the state `working` is the caller's to know: this sees the document alone.

Source: protocol-spec/06-scope.md, section 6.6
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from undersigned.contract.document import ContractDocument
from undersigned.encoding import Instant
from undersigned.scope import Action, Approved, GateDecision, Usage, permits, read_scope

__all__ = ["authorises"]


def authorises(
    document: ContractDocument,
    usage: Usage,
    action: Action,
    now: Instant,
    *,
    approved: Collection[Approved] = (),
    understood: Iterable[str] = (),
) -> GateDecision:
    """The gate's answer under this contract, after `usage`; both ends of its time are inclusive. `approved` are the
    approvals given under it.

    Raises:
        FormatError: `schema_violation`: the scope holds a critical extension that is not in `understood`, or `now` is
            no instant.

    Source: protocol-spec/06-scope.md, section 6.6
    """
    scope = read_scope(document.terms.scope, understood)
    decision = permits(scope, usage, action, now, approved)
    times = document.terms.deadlines
    # Outside its time a contract gives no authority, whatever a clause says of its own window.
    if times.not_before is not None and now < times.not_before:
        return _outside(
            action,
            decision.clause,
            f"the contract gives no authority before {times.not_before}",
            f"from {times.not_before}",
        )
    if now > times.until:
        return _outside(action, decision.clause, f"the contract's authority ended at {times.until}", "")
    return decision


def _outside(action: Action, clause: str, reason: str, would_pass: str) -> GateDecision:
    return GateDecision(
        allowed=False,
        action=action.name,
        target=action.target,
        clause=clause,
        code="contract_expired",
        reason=reason,
        would_pass=would_pass,
    )
