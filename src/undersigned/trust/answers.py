"""What a decision asks of the trust graph, and the answers that it is given: values, so that it can be made again.

    asked = asked_about(presented, policy)
    answers = Answers.of(asked, view, Graph(edges).read)
    decision = evaluate(presented, anchors, policy, now, answers=answers)

Who keeps answers gives those that still stand (HIRE-TRU-12); the decision takes none that does not.

Source: protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from undersigned.credentials import MEMBERSHIP, VerifiedPresentation
from undersigned.encoding import Did, Digest, Instant, digest_bytes
from undersigned.trust.accused import Accused, accused
from undersigned.trust.anchors import Anchors
from undersigned.trust.authority import Authority, Entitled, authority, entitled
from undersigned.trust.edge import KINDS, MAX_DEPTH
from undersigned.trust.graph import Question, Reader, answer
from undersigned.trust.policy import Policy, Stake
from undersigned.trust.reliance import Shown, shown_in
from undersigned.trust.reputation import Reputation, reputation
from undersigned.trust.viewpoint import Viewpoint
from undersigned.trust.written import canonical_bytes

__all__ = [
    "Answer",
    "Answers",
    "Asked",
    "Claimed",
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


Subject: TypeAlias = Shown | Claimed | Rated | Suspected
"""What one question of a decision is about."""
Answer: TypeAlias = Authority | Entitled | Reputation | Accused


class Asked(NamedTuple):
    """The questions of one decision, each once."""

    authority: tuple[Shown, ...]
    """Is this issuer entitled to that?"""
    entitled: tuple[Claimed, ...]
    """Who would be?"""
    reputation: tuple[Rated, ...]
    accused: tuple[Suspected, ...]
    """The party itself, and the organisations that it says it belongs to."""


class Answers(Struct, frozen=True, kw_only=True, cache_hash=True):
    """The answers, in any order. What is not among them was not answered, and counts as no."""

    authority: tuple[Authority, ...] = ()
    entitled: tuple[Entitled, ...] = ()
    reputation: tuple[Reputation, ...] = ()
    accused: tuple[Accused, ...] = ()

    @classmethod
    def of(cls, asked: Asked, view: Viewpoint, read: Reader) -> Answers:
        """The answers of one state of a graph."""
        return cls.given(asked, lambda one: answer(question_of(one, view), read))

    @classmethod
    def given(cls, asked: Asked, ask: Callable[[Subject], Any]) -> Answers:
        """What `ask` answers to each."""
        return cls(
            authority=tuple(map(ask, asked.authority)),
            entitled=tuple(map(ask, asked.entitled)),
            reputation=tuple(map(ask, asked.reputation)),
            accused=tuple(map(ask, asked.accused)),
        )

    @property
    def digest(self) -> Digest:
        """Names these answers in decisions that were made by them."""
        return _digest(self)

    def standing(self, anchors: Anchors, now: Instant) -> Answers:
        """Those that these anchors gave, and that nothing has begun or ended since (HIRE-TRU-12)."""
        given_by = anchors.digest

        def stands(one: Answer) -> bool:
            return one.anchors == given_by and one.at <= now and (one.until is None or now <= one.until)

        return Answers(
            authority=tuple(filter(stands, self.authority)),
            entitled=tuple(filter(stands, self.entitled)),
            reputation=tuple(filter(stands, self.reputation)),
            accused=tuple(filter(stands, self.accused)),
        )

    def about(self, shown: Shown) -> Authority | None:
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


@lru_cache(maxsize=64)
def _digest(answers: Answers) -> Digest:
    return digest_bytes(canonical_bytes(answers))


def question_of(about: Subject, view: Viewpoint) -> Question[Answer]:
    """Asks one of the questions of a decision."""
    if isinstance(about, Suspected):
        return accused(about.party, view)
    if isinstance(about, Claimed):
        return entitled(about.credential_type, about.capability, view, links=about.links)
    if isinstance(about, Rated):
        return reputation(about.party, about.capability, view)
    return authority(about.issuer, about.credential_type, about.capability, view)


def asked_about(presented: VerifiedPresentation, policy: Policy, stake: Stake | None = None) -> Asked:
    """What a decision about this presentation by this policy has to know of the graph.

    Source: protocol-spec/12-trust.md, section 12.8
    """
    shown: dict[Shown, None] = {}
    for demand in policy.asked(stake):
        for credential in presented.credentials:
            if demand.type in credential.types and credential.issuer != presented.holder:
                shown[shown_in(credential, demand.type)] = None
    rated = policy.rates(stake)
    return Asked(
        authority=tuple(shown),
        entitled=_listable(policy, stake),
        reputation=(Rated(presented.holder, None if stake is None else stake.capability),) if rated else (),
        accused=tuple(map(Suspected, parties_of(presented))),
    )


@lru_cache(maxsize=256)
def _listable(policy: Policy, stake: Stake | None) -> tuple[Claimed, ...]:
    claims = [Claimed(one.type, one.capability, one.max_links) for one in policy.asked(stake)]
    return tuple(dict.fromkeys(one for one in claims if one.listable))


def parties_of(presented: VerifiedPresentation) -> tuple[Did, ...]:
    """The party, and the organisations that it says it belongs to: whose accusation is one of the party."""
    parties = {presented.holder: None}
    for one in presented.credentials:
        if MEMBERSHIP in one.types:
            parties[one.issuer] = None
    return tuple(parties)
