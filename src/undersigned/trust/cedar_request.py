"""What is judged, as a request to Cedar: principal, action, resource, context, and the entities that are known.

The party is the principal. Only credentials that count for us are told, so a policy cannot be talked into something by
what a stranger signed. Everything is told exactly or not at all: what has no exact form in Cedar is not judged by it.

Source: protocol-spec/13-policy.md, section 13.2
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from undersigned.contract import Price, Terms
from undersigned.credentials import MEMBERSHIP, Credential
from undersigned.encoding import Did, EngagementId, Instant, compare_amounts
from undersigned.errors import FormatError
from undersigned.scope import read_scope

__all__ = ["CedarRequest", "cedar_request"]

_MOST: Final = "922337203685477"
"""A decimal of Cedar is a 64-bit integer of ten-thousandths."""
_PLACES: Final = 4
_UNITS_PER_PLACE: Final = 100_000
"""Billionths in a ten-thousandth."""
_CAPABILITIES: Final = ("mayAttest", "capability", "accreditedFor", "auditedFor")
"""Members of our claims that name a capability."""


class CedarRequest(NamedTuple):
    """One question, in the JSON form of Cedar."""

    request: dict[str, Any]
    entities: list[dict[str, Any]]
    summary: str
    """The question in one line."""


def cedar_request(
    holder: Did,
    engagement: EngagementId,
    counting: Iterable[tuple[str, Credential]],
    now: Instant,
    *,
    terms: Terms | None = None,
    reputation: int | None = None,
) -> CedarRequest:
    """The question whether to work with `holder` or, with `terms`, whether to bind ourselves to these.

    `counting` are the credentials that count for us, each with the type in which it does; `reputation` is in
    billionths.

    Raises:
        FormatError: `number_out_of_range`: a price that no decimal of Cedar is; others: a scope that cannot be read.
    """
    context: dict[str, Any] = {"now": now}
    if reputation is not None:
        # Cut and not rounded: nobody is better spoken of than it is.
        places, whole = reputation // _UNITS_PER_PLACE % 10**_PLACES, reputation // 10**9
        context["reputation"] = f"{whole}.{places:04d}"
    action, summary = "meet", "meeting"
    if terms is not None:
        context["terms"] = _terms(terms)
        action = "sign"
        summary = f"{terms.task.kind} for {terms.price} until {terms.deadlines.until}"
    shown = _shown(holder, counting)
    party: dict[str, Any] = {
        "uid": _party(holder),
        "attrs": {"did": holder},
        # Whoever vouches for itself is in itself as it is; Cedar takes no circle.
        "parents": [one for one in shown.get(MEMBERSHIP, {}).get("issuers", []) if one["id"] != holder],
        "tags": shown,
    }
    request: dict[str, Any] = {
        "principal": _party(holder),
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Engagement", "id": engagement},
        "context": context,
    }
    return CedarRequest(request, [party], summary)


def _party(did: Did) -> dict[str, str]:
    return {"type": "Party", "id": did}


def _shown(holder: Did, counting: Iterable[tuple[str, Credential]]) -> dict[str, Any]:
    """What was shown, by its names. Of several the weakest bounds are told: all of them are at least this good."""
    named: dict[str, list[Credential]] = {}
    for type, credential in counting:
        for name in (type, f"{type} by {credential.issuer}"):
            named.setdefault(name, []).append(credential)
    return {name: _bounds(holder, found) for name, found in sorted(named.items())}


def _bounds(holder: Did, found: list[Credential]) -> dict[str, Any]:
    named = [one.claims(holder).get(member) for one in found for member in _CAPABILITIES]
    told: dict[str, Any] = {
        "issuers": [_party(did) for did in sorted({one.issuer for one in found})],
        "capabilities": sorted({name for name in named if isinstance(name, str)}),
    }
    for member, moments in (
        ("validFrom", [one.valid_from for one in found]),
        ("validUntil", [one.valid_until for one in found]),
    ):
        known = [_second(moment) for moment in moments if moment is not None]
        if len(known) == len(moments):
            told[member] = min(known)
    return told


def _second(moment: str) -> str:
    """The whole second at or before a moment that somebody wrote with any zone."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def _terms(terms: Terms) -> dict[str, Any]:
    data, fee = terms.data_handling, terms.termination.fee
    told = {
        "task": terms.task.kind,
        "price": {"amount": _decimal(terms.price, "/price/amount"), "currency": terms.price.currency},
        "actions": sorted({grant.action for grant in read_scope(terms.scope).grants}),
        "until": terms.deadlines.until,
        "subcontracting": terms.subcontracting.depth if terms.subcontracting.allowed else 0,
        "dataClasses": sorted(data.classes),
        "onward": data.onward,
        "training": data.training,
    }
    if fee is not None:
        told["fee"] = _decimal(fee, "/termination/fee/amount")
    if terms.arbiter is not None:
        told["arbiter"] = _party(terms.arbiter)
    return told


def _decimal(price: Price, path: str) -> str:
    amount = price.amount
    whole, _, fraction = amount.partition(".")
    if len(fraction) > _PLACES or compare_amounts(whole.lstrip("-"), _MOST) >= 0:
        raise FormatError(
            "number_out_of_range",
            f"{amount} {price.currency} has no exact form in Cedar",
            path=path,
        )
    return f"{whole}.{fraction or '0'}"
