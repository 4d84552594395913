"""What a decision asks of the trust graph, and the answers that it is given: values, so that it can be made again.

    asked = asked_about(presented, policy)
    answers = Answers.of(asked, view, Graph(edges).read)
    decision = evaluate(presented, anchors, policy, now, answers=answers)

Who keeps answers gives those that still stand (HIRE-TRU-12); the decision takes none that does not.

Source: protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, cast

from msgspec import Struct

from undersigned.credentials import VerifiedPresentation
from undersigned.encoding import Digest, Instant, digest_bytes, write_canonical
from undersigned.trust.anchors import Anchors
from undersigned.trust.authority import Authority, Entitled, authority, entitled
from undersigned.trust.edge import KINDS
from undersigned.trust.graph import Question, Reader, answer
from undersigned.trust.policy import Policy
from undersigned.trust.reliance import Shown, shown_in
from undersigned.trust.viewpoint import Viewpoint

__all__ = ["Answers", "Asked", "Claimed", "asked_about", "question_of"]

_ABOUT_NONE = frozenset(of.claim.type for of in KINDS.values() if of.capability is None)
"""Types of ours whose claims are about no capability."""


class Claimed(NamedTuple):
    """A kind of claim: who may make it?"""

    credential_type: str
    capability: str | None = None

    @property
    def listable(self) -> bool:
        """Whether all who may make it can be listed: of a claim about a capability, only once it is known which."""
        return self.capability is not None or self.credential_type in _ABOUT_NONE


class Asked(NamedTuple):
    """The questions of one decision, each once."""

    authority: tuple[Shown, ...]
    """Is this issuer entitled to that?"""
    entitled: tuple[Claimed, ...]
    """Who would be?"""


class Answers(Struct, frozen=True, kw_only=True):
    """The answers, in any order. What is not among them was not answered, and counts as no."""

    authority: tuple[Authority, ...] = ()
    entitled: tuple[Entitled, ...] = ()

    @classmethod
    def of(cls, asked: Asked, view: Viewpoint, read: Reader) -> Answers:
        """The answers of one state of a graph."""
        return cls(
            authority=tuple(cast("Authority", answer(question_of(one, view), read)) for one in asked.authority),
            entitled=tuple(cast("Entitled", answer(question_of(one, view), read)) for one in asked.entitled),
        )

    @property
    def digest(self) -> Digest:
        """Names these answers in decisions that were made by them."""
        return _digest(self)

    def standing(self, anchors: Anchors, now: Instant) -> Answers:
        """Those that these anchors gave, and that nothing has begun or ended since (HIRE-TRU-12)."""

        def stands(one: Authority | Entitled) -> bool:
            return one.anchors == anchors.digest and one.at <= now and (one.until is None or now <= one.until)

        return Answers(authority=tuple(filter(stands, self.authority)), entitled=tuple(filter(stands, self.entitled)))

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
            if (one.credential_type, one.capability) == claimed:
                return one
        return None


@lru_cache(maxsize=64)
def _digest(answers: Answers) -> Digest:
    return digest_bytes(write_canonical(answers))


def question_of(about: Shown | Claimed, view: Viewpoint) -> Question[Authority | Entitled]:
    """Asks one of the questions of a decision."""
    if isinstance(about, Claimed):
        return entitled(about.credential_type, about.capability, view)
    return authority(about.issuer, about.credential_type, about.capability, view)


def asked_about(presented: VerifiedPresentation, policy: Policy) -> Asked:
    """What a decision about this presentation by this policy has to know of the graph.

    Source: protocol-spec/12-trust.md, section 12.8
    """
    return Asked(
        authority=tuple(
            dict.fromkeys(
                shown_in(credential, required)
                for required in policy.require
                for credential in presented.credentials
                if required in credential.types and credential.issuer != presented.holder
            )
        ),
        entitled=tuple(dict.fromkeys(one for one in map(Claimed, policy.require) if one.listable)),
    )
