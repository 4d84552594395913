"""Who may send which moves now, by the tables and by what the state holds; what they say is the guards' to judge.

Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md
"""

from __future__ import annotations

from collections.abc import Set

from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol.engagement import Engagement
from undersigned.protocol.lane import lane_legal
from undersigned.protocol.states import ROWS, Role

__all__ = ["legal", "legal_by_state"]

_LEGAL: dict[tuple[str, str], tuple[str, ...]] = {}
"""Types by state and role, in the order of the tables."""
for _at, _kind, _sender, _case in ROWS:
    if _kind in MESSAGE_TYPES:
        _LEGAL[_at, _sender] = tuple(dict.fromkeys((*_LEGAL.get((_at, _sender), ()), _kind)))


def legal(engagement: Engagement, role: Role) -> tuple[str, ...]:
    """Types of moves that `role` may send now, in the order of the tables; what they say is the guards' to judge."""
    found = legal_by_state(engagement, role)
    if engagement.contract is None or engagement.offer is None:
        return found
    return (*found, *lane_legal(engagement, role))


def legal_by_state(engagement: Engagement, role: Role, but: Set[str] = frozenset()) -> tuple[str, ...]:
    """The same without moves about documents under a contract, and without the types that are not asked for."""
    state, talks, contract, offer = engagement.state, engagement.talks, engagement.contract, engagement.offer
    found, without = _LEGAL.get((state, role), ()), {*but}
    if contract is None or offer is None:
        if state == "ready" and talks is not None:
            sealed = talks.tender is not None and talks.tender.sealed
            without |= {"Offer" if sealed else "Bid"} if role == talks.opens else {"Offer", "Bid"}
        elif state.startswith("offered-by-") and talks is not None and (talks.offers >= talks.rounds or talks.tender):
            without.add("Offer")
        return tuple([kind for kind in found if kind not in without]) if without else found
    if state == "closing" and role in contract.closed_by:
        without.add("Closing")
    if state in ("working", "suspended", "cancelling"):
        without.add("Closing")  # by the table one by silence may still arrive here, but nobody sends it any more
    if offer.terms.arbiter is None or contract.disputes or contract.released or role in contract.closed_by:
        without.add("Dispute")
    unruled = contract.disputes and not any(ending.basis in ("ruling", "release") for ending in contract.endings)
    if state == "closing" and (not unruled or role in contract.closed_by):
        without.add("Ruling")
    if not (contract.asked and contract.open_requests()):
        without.add("Approval")
    return tuple([kind for kind in found if kind not in without])
