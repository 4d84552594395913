"""Who speaks for a delivery, and what has to be known of them before it is judged.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from undersigned.credentials import MEMBERSHIP, Credential
from undersigned.did import is_derived
from undersigned.encoding import Did, Digest, Instant
from undersigned.trace.evidence import Earlier, Made, TraceEvidence
from undersigned.trace.walk import shown_credentials

__all__ = [
    "AskedAbout",
    "DeliverySpeaker",
    "ShownMembership",
    "asked_about",
    "memberships",
    "parties_of",
    "signed_by",
    "wanting",
]


class AskedAbout(Struct, frozen=True):
    """What a verdict asks of the trust graph, each once, in order."""

    authority: tuple[tuple[Did, str, Instant], ...]
    """Who, which predicate, and when; each for the purpose."""
    accused: tuple[Did, ...]


class ShownMembership(NamedTuple):
    """A membership that the provider showed before the contract."""

    credential: Credential
    earlier: Earlier | None = None
    """By which document it holds, where it holds by none of now."""
    why: str = ""
    """Why it holds by no document that is known from elsewhere than the pack; it counts for nothing then."""

    @property
    def issuer(self) -> Did:
        """Of whom it is."""
        return self.credential.issuer


class DeliverySpeaker(NamedTuple):
    """Who spoke for a delivery: the signer, and the memberships that it showed."""

    made: Made
    signer: Did
    predicates: tuple[str, ...]
    members: tuple[ShownMembership, ...]
    unproved: tuple[ShownMembership, ...]

    @property
    def speakers(self) -> tuple[Did, ...]:
        """The signer, and of whom it is a member."""
        return (self.signer, *(one.issuer for one in self.members))


def memberships(made: Made, evidence: TraceEvidence) -> tuple[Credential, ...]:
    """The memberships that the provider showed before the contract, as far as their signatures hold by keys that are
    known from elsewhere than a pack.
    """
    return tuple(one.credential for one in _shown(made, evidence) if not one.why)


def _shown(made: Made, evidence: TraceEvidence) -> Iterator[ShownMembership]:
    held, provider = made.held, made.held.document.provider
    by_earlier: dict[Digest, Earlier] = {}
    for place in range(max(map(len, evidence.earlier.values()), default=0)):
        at = {did: every[place] for did, every in evidence.earlier.items() if place < len(every)}
        for one, step in shown_credentials(held, provider, lambda did, at=at: (at[did].document,) if did in at else ()):
            if step.state == "verified" and one.issuer in at:
                by_earlier.setdefault(one.digest, at[one.issuer])
    for one, step in shown_credentials(held, provider, lambda did: evidence.known(held, did)):
        if MEMBERSHIP in one.types:
            earlier = None if step.state == "verified" else by_earlier.get(one.digest)
            yield ShownMembership(one, earlier, "" if earlier or step.state == "verified" else step.why)


def signed_by(made: Made, evidence: TraceEvidence) -> DeliverySpeaker:
    """Who spoke for this delivery."""
    predicates = tuple(dict.fromkeys(one.statement.predicate_type for one in made.statements))
    signer, shown = made.held.document.provider, list(_shown(made, evidence))
    holding, others = [one for one in shown if not one.why], [one for one in shown if one.why]
    return DeliverySpeaker(made, signer, predicates, tuple(holding), tuple(others))


def wanting(artifact: Digest, evidence: TraceEvidence) -> set[Did]:
    """Of whom what a verdict rests on does not hold by the DID documents known: those of before may say more."""
    found: set[Did] = set()
    for made in evidence.made(artifact):
        found |= {one.issuer for one in _shown(made, evidence) if one.why}
        for did in parties_of(made):
            known = evidence.known(made.held, did)
            if not known or made.held.strange_to(did, known):
                found.add(did)
    return {did for did in found if not is_derived(did)}


def parties_of(made: Made) -> tuple[Did, ...]:
    """The signer, who accepted, and the hirer."""
    document = made.held.document
    return tuple(dict.fromkeys((document.provider, made.judge, document.hirer)))


def asked_about(artifact: Digest, evidence: TraceEvidence) -> AskedAbout:
    """What the trust graph is to be asked before `judge`."""
    authority: dict[tuple[Did, str, Instant], None] = {}
    suspected: dict[Did, None] = {}
    for made in evidence.made(artifact):
        signed = signed_by(made, evidence)
        for speaker in signed.speakers:
            suspected[speaker] = None
        # Of those whose word does not count yet, too: whether it would is what a person has to know.
        for speaker in (*signed.speakers, *(one.issuer for one in signed.unproved)):
            for predicate in signed.predicates:
                authority[speaker, predicate, made.said.at] = None
    return AskedAbout(tuple(authority), tuple(suspected))
