"""What counted clauses keep in an amendment: their names, their limits, and what is used under them.

Source: protocol-spec/07-contract.md, section 7.10
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from undersigned.contract import MAX_ITEMS, Terms
from undersigned.encoding import Amount, compare_amounts
from undersigned.errors import PolicyError
from undersigned.ledger import Ledger
from undersigned.messages import Delivery, Progress, Usage, recorded_message
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.scope import Grant, whole_scope

__all__ = ["check_counted", "grants_of", "used_so_far"]


def check_counted(now: Terms, terms: Terms, used: Mapping[tuple[str, str], Amount]) -> None:
    """Returns if terms may follow those of `now`, where so much is used by clause and unit: it counts against the new
    limits, under the names it has, and is stated beside what they limit (HIRE-LAN-06, HIRE-LAN-09).

    Raises:
        PolicyError: `policy_denied`.
    """
    before, after = grants_of(now), grants_of(terms)
    for grant in after.values():
        for limit in grant.limits:
            spent = used.get((grant.id, limit.unit))
            if limit.per is None and spent is not None and compare_amounts(str(limit.max), spent) < 0:
                text = f"clause {grant.id}: {spent} {limit.unit} are used, the amendment allows {limit.max}"
                raise PolicyError("policy_denied", text)
    spent_under = {clause for (clause, _), spent in used.items() if spent != "0"}
    added = {one.action for one in after.values() if not _goes_on(one, before)}
    hint = "what is not wanted any more stays with a limit of what is used"
    for grant in before.values():
        goes_on = _goes_on(grant, after)
        if not goes_on and (grant.id in spent_under or (grant.limits and grant.action in added)):
            why = "something is used under it" if grant.id in spent_under else f"another {grant.action} is added"
            text = f"clause {grant.id} ({grant.action}) is left out or is another, and {why}: {hint}"
            raise PolicyError("policy_denied", text)
        kept = {limit.name for limit in after[grant.id].limits} if goes_on else set[str]()
        in_all = {limit.unit for limit in grant.limits if limit.per is None}
        for limit in grant.limits:
            # No usage tells of a period, so unless the whole is counted as well it may be used up.
            spent = used.get((grant.id, limit.unit), "0") != "0" if limit.unit in in_all else True
            if spent and limit.name not in kept:
                text = f"clause {grant.id}: its limit of {limit.explain()} is left out, and may be used: {hint}"
                raise PolicyError("policy_denied", text)
    # What is in force may be used until the seal; a list too long for a `Delivery` could never be sent.
    stated = {*_counted(now), *_counted(terms)}
    stated.update(name for name, spent in used.items() if spent != "0")
    if len(stated) > MAX_ITEMS:
        text = f"usage so far and of the amendment would be {len(stated)} lines; at most {MAX_ITEMS}"
        raise PolicyError("policy_denied", text)


async def used_so_far(
    conversation: Conversation, ledger: Ledger, own: Iterable[Usage]
) -> dict[tuple[str, str], Amount]:
    """What was used by clause and unit, as our own gate counted it or, where that is more, as the provider last
    stated it: what its work did may have come by no gate of ours.
    """
    used = {(one.clause, one.unit): one.amount for one in own}
    late = tuple(conversation.journal.kept_back)  # a sign of life is stored with the next move
    for row in reversed((*await ledger.rows(conversation.id), *late)):
        message = recorded_message(row.raw).message if row.type in ("Progress", "Delivery") else None
        if isinstance(message, Progress | Delivery) and message.usage is not None:
            for one in message.usage:
                name = one.clause, one.unit
                if name not in used or compare_amounts(used[name], one.amount) < 0:
                    used[name] = one.amount
            break
    return used


def grants_of(terms: Terms) -> dict[str, Grant]:
    """The grants of a contract, by id."""
    return {grant.id: grant for grant in whole_scope(terms.scope).grants}


def _goes_on(grant: Grant, other: Mapping[str, Grant]) -> bool:
    """Whether other terms have this clause, whatever they say of it beside."""
    same = other.get(grant.id)
    return same is not None and same.action == grant.action


def _counted(terms: Terms) -> set[tuple[str, str]]:
    """Clause and unit of each limit without a period: a line each of what is stated as used."""
    return {(one.id, limit.unit) for one in grants_of(terms).values() for limit in one.limits if limit.per is None}
