"""What was put to people, as the journal notes it: terms of a negotiation, or under a contract what would change it.

Of the changes of a contract at most two wait at once: the document of the other side that is on the table, and one that
we would offer. The facts that note them hold the last one of each, and whether it waits still is seen from the
engagement.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from undersigned.contract import Price, ReleaseDocument, Terms, same_terms
from undersigned.encoding import Digest, Instant, JsonObject, canonicalize, digest_bytes, from_struct, shift
from undersigned.protocol import Engagement, may_change
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import value_in
from undersigned.runtime.names import fresh_urn
from undersigned.trust import Put, release_digest, terms_digest

__all__ = [
    "ASKED",
    "GIVEN",
    "OFFERED",
    "OURS",
    "THEIRS",
    "AskedChange",
    "AskedTerms",
    "Change",
    "ChangeTo",
    "ReleaseTerms",
    "asked_in",
    "change_in",
    "drafted",
    "given_in",
    "put",
    "tabled_change",
    "time_for",
    "waiting_change",
    "waiting_changes",
    "was_offered",
]

ASKED: Final = "approval-asked"
THEIRS: Final = "change-asked"
OURS: Final = "change-drafted"
OFFERED: Final = "change-offered"
GIVEN: Final = "approvals"
"""Names of the facts in the journal: the terms that wait in a negotiation; under a contract the document of the other
side that does, the one that we would offer, and the last that we did offer because people said so; all statements about
anything of the engagement so far."""
SEND_SECONDS: Final = 5
"""From the last moment at which people may decide to that at which the answer has to be there."""


class ReleaseTerms(NamedTuple):
    """What a release says."""

    owed: Price
    """All told."""
    reason: str


ChangeTo: TypeAlias = Terms | ReleaseTerms
"""What a contract is changed to: other terms, or a release from it."""


class Change(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An amendment of a contract or a release from it, which people are asked about."""

    name: Digest
    """What people know it by: the digest of the document, or of the draft where that is not offered yet."""
    kind: str
    """`Amendment` or `Release`."""
    amends: Digest
    """The document in force."""
    owed: Price | None = None
    """By a release."""
    reason: str = ""
    document: Digest | None = None
    """The document itself, once it is on the table."""
    seconds: int = 0
    """Of a draft: how long it may be accepted once it is offered."""
    order: str = ""
    """Of a draft: what is noted as done with the offer."""
    dropped: str = ""
    """Of a draft that will not be offered: why not."""


class AskedTerms(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Terms of a negotiation that were put to people, as the journal notes it; its fact `decision` has what asks."""

    terms: Terms
    """Of a release: those in force, with what is owed as their price."""
    cause: Digest | None
    """The last move before; in a negotiation, what waits is the answer to it."""
    needed: int
    until: Instant
    """Last instant for the people, by our clock."""
    opens: bool
    """Whether it would be offered by us; else it is the other side's, to be accepted."""

    def about(self, engagement: Engagement) -> Put:
        """What exactly people are asked about."""
        return put(engagement, self.terms)


class AskedChange(AskedTerms, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A change of a contract that was put to people."""

    change: Change
    decision: str
    """The decision that asks, as JSON."""

    def about(self, engagement: Engagement) -> Put:
        """What exactly people are asked about."""
        return put(engagement, self.terms, self.change)


def put(engagement: Engagement, terms: Terms, change: Change | None = None) -> Put:
    """What exactly people are asked about: these terms, or this change to them."""
    contract = engagement.contract
    owed = change.owed if change is not None else None
    return Put(
        terms=terms_digest(terms) if owed is None or contract is None else release_digest(contract.digest, owed),
        engagement=engagement.id,
        hirer=engagement.hirer,
        provider=engagement.provider,
        change=change.name if change is not None else None,
    )


def asked_in(facts: Mapping[str, str], engagement: Engagement) -> AskedTerms | None:
    """The terms that people are asked about where the negotiation is now."""
    asked = value_in(facts, ASKED, AskedTerms)
    return asked if asked is not None and asked.cause == engagement.cause else None


def change_in(facts: Mapping[str, str], name: str) -> AskedChange | None:
    """What the fact of this name holds: `THEIRS`, `OURS` or `OFFERED`."""
    return value_in(facts, name, AskedChange)


def given_in(facts: Mapping[str, str]) -> list[JsonObject]:
    """What people said about anything of the engagement, as far as it is noted."""
    return value_in(facts, GIVEN, list[dict[str, Any]]) or []


def waiting_changes(facts: Mapping[str, str], engagement: Engagement) -> tuple[AskedChange, ...]:
    """What waits for people under a contract; the other side's first."""
    return tuple([one for name in (THEIRS, OURS) if (one := change_in(facts, name)) and _waits(facts, engagement, one)])


def waiting_change(facts: Mapping[str, str], engagement: Engagement, name: Digest | None) -> AskedChange | None:
    """What waits for people under a contract by this name of its change; None if nothing does."""
    return next((one for one in waiting_changes(facts, engagement) if one.change.name == name), None)


def was_offered(facts: Mapping[str, str], change: Change) -> bool:
    """Whether what we would offer was offered."""
    offered = change_in(facts, OFFERED)
    return offered is not None and offered.change.name == change.name


def _waits(facts: Mapping[str, str], engagement: Engagement, asked: AskedChange) -> bool:
    change, contract, tabled = asked.change, engagement.contract, engagement.tabled
    if contract is None or not may_change(engagement.state, change.kind):
        return False
    if not asked.opens:
        return tabled is not None and tabled.document == change.document and tabled.acceptance is None
    return not (was_offered(facts, change) or change.dropped) and contract.in_force == change.amends


def drafted(conversation: Conversation, engagement: Engagement, what: ChangeTo, seconds: int, order: str) -> Change:
    """What people know a change by that we would offer: the same as before, if exactly that waits already."""
    contract = engagement.contract
    amends, of = (contract.in_force, contract.digest) if contract is not None else ("", "")
    for one in waiting_changes(conversation.facts, engagement):
        if one.opens and _same(one, what):
            return one.change
    # A fresh id, so that what was approved once and came to nothing is put to people once more.
    named: JsonObject = {"id": fresh_urn(), "contract": of, "amends": amends}
    if isinstance(what, Terms):
        named |= {"type": "Amendment", "terms": terms_digest(what)}
        owed, reason = None, ""
    else:
        owed, reason = what
        named |= {"type": "Release", "settlement": from_struct(owed), "reason": reason}
    return Change(
        name=digest_bytes(canonicalize(named)),
        kind=str(named["type"]),
        amends=amends,
        owed=owed,
        reason=reason,
        seconds=seconds,
        order=order,
    )


def _same(asked: AskedChange, what: ChangeTo) -> bool:
    if isinstance(what, Terms):
        return asked.change.owed is None and same_terms(asked.terms, what)
    return (asked.change.owed, asked.change.reason) == what


def tabled_change(conversation: Conversation, engagement: Engagement) -> Change | None:
    """What people know the document on the table by; None if there is none."""
    tabled, contract = engagement.tabled, engagement.contract
    if tabled is None or contract is None:
        return None
    offered = change_in(conversation.facts, OFFERED)
    if offered is not None and offered.change.document == tabled.document:
        return offered.change
    document = conversation.tabled(engagement)
    release = document if isinstance(document, ReleaseDocument) else None
    return Change(
        name=tabled.document,
        kind=tabled.kind,
        amends=contract.in_force,
        owed=release.settlement if release is not None else None,
        reason=release.reason if release is not None else "",
        document=tabled.document,
    )


def time_for(engagement: Engagement, terms: Terms, change: Change | None, now: Instant) -> Instant:
    """How long it makes sense to wait for people."""
    if change is None:
        # Until shortly before the negotiation closes, because what is signed then has to reach the other side, or until
        # the work could not be started any more.
        talks = engagement.talks
        ends = [terms.deadlines.start, terms.deadlines.until]
        return min(ends if talks is None else [*ends, shift(talks.closes_at, -SEND_SECONDS)])
    tabled, offer = engagement.tabled, engagement.offer
    until = shift(now, change.seconds)
    if tabled is not None and tabled.document == change.document:
        until = shift(tabled.valid_until, -SEND_SECONDS)
    # Nothing is amended after the contract's end; a dispute about it may take longer than that.
    return until if offer is None or change.owed is not None else min(until, offer.terms.deadlines.until)
