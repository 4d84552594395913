"""What a decision asks of the trust graph, and the answers that it is given: values, so that it can be made again.

    asked = asked_about(presented, policy)
    answers = Answers.of(asked, view, Graph(edges).read)
    decision = evaluate(presented, anchors, policy, now, answers=answers)

Who keeps answers gives those that still stand (HIRE-TRU-12); the decision takes none that does not.

Source: protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from undersigned.credentials import MEMBERSHIP, Credential, VerifiedPresentation
from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.accused import Accused, accused
from undersigned.trust.anchors import Anchors
from undersigned.trust.authority import Entitled, IssuerAuthority, authority, entitled
from undersigned.trust.edge import KINDS, MAX_DEPTH
from undersigned.trust.graph import Question, Reader, answer
from undersigned.trust.policy import Demand, Policy, Stake
from undersigned.trust.reliance import ShownClaim, shown_in
from undersigned.trust.reputation import Reputation, reputation
from undersigned.trust.viewpoint import Viewpoint
from undersigned.trust.written import DecisionInput

__all__ = [
    "Answer",
    "Answers",
    "Claimed",
    "Questions",
    "Rated",
    "Subject",
    "Suspected",
    "asked_about",
    "parties_of",
    "question_of",
]

_ABOUT_NONE = frozenset(of.claim.type for of in KINDS.values() if of.capability is None)
"""Types of ours whose claims are about no capability."""


class Claimed(Struct, frozen=True):
    """A kind of claim: who may make it, by a chain of so many links?"""

    credential_type: str
    capability: str | None = None
    links: int = MAX_DEPTH

    @property
    def listable(self) -> bool:
        """Whether all who may make it can be listed: of a claim about a capability, only once it is known which."""
        return self.capability is not None or self.credential_type in _ABOUT_NONE


class Rated(Struct, frozen=True):
    """A party: how well is it spoken of, for this?"""

    party: Did
    capability: str | None


class Suspected(Struct, frozen=True):
    """A party: is it accused by somebody whose word counts?"""

    party: Did


Subject: TypeAlias = ShownClaim | Claimed | Rated | Suspected
"""What one question of a decision is about."""
Answer: TypeAlias = IssuerAuthority | Entitled | Reputation | Accused


class Questions(Struct, frozen=True):
    """The questions of one decision, each once."""

    authority: tuple[ShownClaim, ...]
    """Is this issuer entitled to that?"""
    entitled: tuple[Claimed, ...]
    """Who would be?"""
    reputation: tuple[Rated, ...]
    accused: tuple[Suspected, ...]
    """The party itself, and the organisations that it says it belongs to."""


class Answers(DecisionInput, frozen=True, kw_only=True):
    """The answers, in any order. What is not among them was not answered, and counts as no."""

    authority: tuple[IssuerAuthority, ...] = ()
    entitled: tuple[Entitled, ...] = ()
    reputation: tuple[Reputation, ...] = ()
    accused: tuple[Accused, ...] = ()

    @classmethod
    def of(cls, asked: Questions, view: Viewpoint, read: Reader) -> Answers:
        """The answers of one state of a graph."""
        return cls.given(asked, lambda one: answer(question_of(one, view), read))

    @classmethod
    def given(cls, asked: Questions, ask: Callable[[Subject], Any]) -> Answers:
        """What `ask` answers to each."""
        return cls(
            authority=tuple(map(ask, asked.authority)),
            entitled=tuple(map(ask, asked.entitled)),
            reputation=tuple(map(ask, asked.reputation)),
            accused=tuple(map(ask, asked.accused)),
        )

    @cached_property
    def _span(self) -> tuple[frozenset[Digest], Instant, Instant | None]:
        """The anchors that gave them, and from when until when all stand: "" is ever since, and None has no end."""
        every: tuple[Answer, ...] = (*self.authority, *self.entitled, *self.reputation, *self.accused)
        ends = [one.until for one in every if one.until is not None]
        by = frozenset([one.anchors for one in every])
        return by, max([one.at for one in every], default=""), min(ends, default=None)

    def standing(self, anchors: Anchors, now: Instant) -> Answers:
        """Those that these anchors gave, and that nothing has begun or ended since (HIRE-TRU-12)."""
        given_by, (by, since, until) = anchors.digest, self._span
        if by <= {given_by} and since <= now and (until is None or now <= until):
            return self

        def stands(one: Answer) -> bool:
            return one.anchors == given_by and one.at <= now and (one.until is None or now <= one.until)

        return Answers(
            authority=tuple(filter(stands, self.authority)),
            entitled=tuple(filter(stands, self.entitled)),
            reputation=tuple(filter(stands, self.reputation)),
            accused=tuple(filter(stands, self.accused)),
        )

    @property
    def accusations(self) -> set[Digest]:
        """Those that are heard in them."""
        led = (*self.authority, *self.entitled, *self.reputation, *self.accused)
        return {edge.digest for one in led for edge in one.dissent}

    def not_knowing(self, unknown: Iterable[str]) -> Answers:
        """The same answers, of which those that are no yes say what could not be looked up."""
        missing = tuple(sorted(unknown))[:3]
        told = [one if one.entitled else replace(one, missing=(*one.missing, *missing)) for one in self.authority]
        return replace(self, authority=tuple(told))

    def about(self, shown: ShownClaim) -> IssuerAuthority | None:
        """Whether the issuer of a claim is entitled to it; None: not answered."""
        for one in self.authority:
            if (one.issuer, one.credential_type, one.capability) == (
                shown.issuer,
                shown.credential_type,
                shown.capability,
            ):
                return one
        return None

    def who(self, claimed: Claimed) -> Entitled | None:
        """Who may make a claim; None: not answered."""
        for one in self.entitled:
            if (one.credential_type, one.capability, one.links) == (
                claimed.credential_type,
                claimed.capability,
                claimed.links,
            ):
                return one
        return None

    def of_party(self, rated: Rated) -> Reputation | None:
        """How well a party is spoken of; None: not answered."""
        for one in self.reputation:
            if (one.party, one.capability) == (rated.party, rated.capability):
                return one
        return None

    def against(self, party: Did) -> Accused | None:
        """Whether a party is accused; None: not answered."""
        for one in self.accused:
            if one.party == party:
                return one
        return None


def question_of(about: Subject, view: Viewpoint) -> Question[Answer]:
    """Asks one of the questions of a decision."""
    if isinstance(about, Suspected):
        return accused(about.party, view)
    if isinstance(about, Claimed):
        return entitled(about.credential_type, about.capability, view, links=about.links)
    if isinstance(about, Rated):
        return reputation(about.party, about.capability, view)
    return authority(about.issuer, about.credential_type, about.capability, view)


def asked_about(presented: VerifiedPresentation, policy: Policy, stake: Stake | None = None) -> Questions:
    """What a decision about this presentation by this policy has to know of the graph.

    Source: protocol-spec/12-trust.md, section 12.8
    """
    demands, claims, rated = _sought(policy, stake)
    shown: dict[ShownClaim, None] = {}
    for demand in demands:
        for credential in presented.credentials:
            if demand.type in credential.types and credential.issuer != presented.holder:
                shown[shown_in(credential, demand.type)] = None
    return Questions(
        authority=tuple(shown),
        entitled=claims,
        reputation=(Rated(presented.holder, None if stake is None else stake.capability),) if rated else (),
        accused=tuple(map(Suspected, parties_of(presented.holder, presented.credentials))),
    )


@lru_cache(maxsize=256)
def _sought(policy: Policy, stake: Stake | None) -> tuple[tuple[Demand, ...], tuple[Claimed, ...], bool]:
    """What a policy asks to be shown, the claims in it of which it can be listed who may make them, and whether it
    rates a party.
    """
    demands = policy.asked(stake)
    claims = [Claimed(one.type, one.capability, one.max_links) for one in demands]
    return demands, tuple(dict.fromkeys(one for one in claims if one.listable)), policy.rates(stake)


def parties_of(holder: Did, credentials: Iterable[Credential]) -> tuple[Did, ...]:
    """The party, and the organisations that it says by these credentials it belongs to: whose accusation is one of the
    party, and who is of its side.
    """
    parties = {holder: None}
    for one in credentials:
        if MEMBERSHIP in one.types:
            parties[one.issuer] = None
    return tuple(parties)
