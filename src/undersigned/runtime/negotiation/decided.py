"""A decision of ours, as it is noted and as the other side hears of it.

Source: protocol-spec/02-identity-and-keys.md, section 2.8
"""

from __future__ import annotations

from undersigned.messages import Need
from undersigned.runtime.engagement.turn import Say, fact
from undersigned.trust import Decision, Needed

__all__ = ["declined", "need_of", "needed_for", "recorded"]


def recorded(decision: Decision) -> tuple[tuple[str, str], ...]:
    """The decision as a fact of the journal."""
    return (fact("decision", decision),)


def declined(decision: Decision) -> Say:
    """The `Withdraw` of a decision that is not a yes, with what would change it."""
    return Say("Withdraw", {"reason": "policy_denied", "needed": needed_for(decision)}, facts=recorded(decision))


def needed_for(decision: Decision) -> tuple[Need, ...] | None:
    """What would change a decision, as messages have it; None if nothing would."""
    return tuple(map(need_of, decision.needed)) or None


def need_of(need: Needed) -> Need:
    """One thing that would change the answer, as a message has it."""
    return Need(
        code=need.code,
        credential=need.credential,
        issuers=need.issuers,
        capability=need.capability,
        max_age=need.max_age,
        member=need.member,
    )
