"""What a walk goes through: packs that hold, and the decisions of whoever kept them.

An own ledger is read as the packs that it makes, so that whatever is said of an artifact is checked by the same steps,
whoever asks. Packs inside packs, of what was hired below, are part of the evidence.

Source: protocol-spec/19-trace.md, section 19.1
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from msgspec import MsgspecError, Struct, json

from undersigned.attestation import VerifiedStatement, WorkPredicate
from undersigned.contract import ContractDocument, Terms
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import (
    Amount,
    Did,
    DidUrl,
    Digest,
    EngagementId,
    Instant,
    compare_amounts,
    digest_bytes,
    shift,
)
from undersigned.evidence import Case, sealed_of, terms_at
from undersigned.messages import Artifact, Delivery, Message, Review, VerifiedMessage
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.scope import Action, Scope, permits, whole_scope
from undersigned.trust import Decision

__all__ = ["CheckedDecision", "Earlier", "Made", "ProvedEngagement", "TraceEvidence", "TranscriptMessage", "held_in"]


class CheckedDecision(Struct, frozen=True, kw_only=True):
    """A recorded decision about the other side, and whether it came out the same when it was made again."""

    decision: Decision
    by: Did
    same: bool | None
    """None: it was not made again."""
    detail: str
    """How it came out; unless the same, what differs or is not there."""


class TranscriptMessage(NamedTuple):
    """One verified message of a transcript."""

    number: int
    at: Instant
    """When it was recorded."""
    kind: str
    verified: VerifiedMessage

    @property
    def message(self) -> Message:
        """The message itself."""
        return self.verified.message


class ProvedEngagement(Struct, frozen=True, eq=False):
    """One engagement with a contract, as a pack that holds proves it."""

    case: Case
    source: str
    """Where it is from, for people."""

    @property
    def contract(self) -> Digest:
        """The contract as first sealed."""
        return sealed_of(self.case).digest

    @property
    def document(self) -> ContractDocument:
        """What was sealed first."""
        return sealed_of(self.case).document

    @property
    def parties(self) -> tuple[Did, Did]:
        """Hirer and provider."""
        return self.document.hirer, self.document.provider

    @property
    def engagement(self) -> EngagementId:
        """The engagement."""
        return self.case.pack.manifest.engagement if self.case.pack else ""

    @property
    def state(self) -> str:
        """What its messages lead to; unless that is an end, there may be more of them."""
        return self.case.engagement.state if self.case.engagement else ""

    @property
    def packer(self) -> Did:
        """Whose pack it is."""
        return self.case.pack.manifest.own if self.case.pack else ""

    @property
    def said(self) -> tuple[TranscriptMessage, ...]:
        """Its messages, in the order of the packer's journal."""
        return tuple(TranscriptMessage(one.number, one.at, one.kind, message) for one, message in self.case.verified)

    @property
    def delivered(self) -> Iterator[tuple[TranscriptMessage, Delivery, Artifact]]:
        """Each artifact of each delivery, in order."""
        for said in self.said:
            if isinstance(said.message, Delivery):
                for item in said.message.artifacts:
                    yield said, said.message, item

    @property
    def lists(self) -> tuple[tuple[bytes, Instant], ...]:
        """Status lists that its packer consulted, as they were signed; each with when it was looked into the last time,
        by the packer's word. Nothing in them is verified here.
        """
        if self.case.pack is None:
            return ()
        when: dict[Digest, Instant] = {}
        for one in self.decisions:
            inputs = one.decision.inputs
            times = inputs.lists_verified or (one.decision.at,) * len(inputs.status_lists)
            for digest, at in zip(inputs.status_lists, times, strict=False):
                when[digest] = max(at, when.get(digest, at))
        created = self.case.pack.manifest.created
        return tuple((raw, when.get(digest_bytes(raw), created)) for _, raw in self.case.pack.of_kind("status"))

    @property
    def decisions(self) -> tuple[CheckedDecision, ...]:
        """What the packer decided about the other side, as far as the pack holds it."""
        if self.case.pack is None:
            return ()
        why = "as the packer recorded it; not made again here"
        found: list[Decision] = []
        for _, raw in self.case.pack.of_kind("decision"):
            with suppress(MsgspecError):  # what is no decision tells nothing
                found.append(json.decode(raw, type=Decision))
        found.sort(key=lambda one: (one.at, one.inputs.terms is not None))
        return tuple(CheckedDecision(decision=one, by=self.packer, same=None, detail=why) for one in found)

    def terms(self, number: int) -> Terms:
        """The terms in force when this message was recorded."""
        return terms_at(self.case, number)

    def judge(self, review: TranscriptMessage) -> Did:
        """Whose verdict a review carries: the hirer's own, or that of a verifier whom the terms named."""
        return self.case.judges[review.verified.digest]

    def outside(self, number: int, action: Action, at: Instant) -> str:
        """Why an action that was done at a time before message `number` lies outside the scope that was in force then,
        empty if inside: action, target, prohibitions and window. The provider says when, by its own clock: of an
        amendment within the clocks' tolerance of it, either side counts.

        What was used of a limit and the facts of a condition are known to the gates that counted them; a statement does
        not tell them for each action.
        """
        changed = [sealed for sealed, _ in self.case.amended if sealed < number]
        when = {one.number: one.at for one in self.said}
        begun = [place for place in changed if when[place] <= shift(at, MAX_SKEW_SECONDS)]
        over = [place for place in changed if when[place] < shift(at, -MAX_SKEW_SECONDS)]
        why = ""
        for place in range(len(over), len(begun) + 1):
            why = _outside(self.terms(changed[place - 1] + 1 if place else 0), action, at)
            if not why:
                break
        return why

    def granted(self, number: int) -> dict[str, dict[str, Amount | None]]:
        """Clause -> unit -> the most of it that any document allowed in force before message `number`; None if
        one set no bound on it. What a document that was in force earlier allowed may have been used then.
        """
        places = [0, *(sealed + 1 for sealed, _ in self.case.amended if sealed < number)]
        found: dict[str, dict[str, Amount | None]] = {}
        for place in places:
            terms = self.terms(place)
            for grant in whole_scope(terms.scope).grants:
                most: dict[str, Amount | None] = {one.unit: one.max for one in grant.limits if one.per is None}
                known = found.setdefault(grant.id, most)
                for unit in known.keys() | most.keys():
                    one, other = known.get(unit), most.get(unit)
                    if one is None or other is None:
                        known[unit] = None
                    else:
                        known[unit] = one if compare_amounts(one, other) > 0 else other
        return found

    def strange_to(self, did: Did, documents: Collection[DidDocument]) -> tuple[DidUrl, ...]:
        """The methods by which the pack's documents let a DID sign at a time of the transcript, and none of these
        documents does, by the same key.
        """
        found: dict[DidUrl, None] = {}
        for document in self.case.documents.get(did, ()):
            for at in () if document in documents else {said.at for said in self.said}:
                for purpose in ("authentication", "assertionMethod"):
                    listed = [one.keys(purpose, now=at) for one in documents]
                    for method, key in document.keys(purpose, now=at).items():
                        if not any(keys.get(method) == key for keys in listed):
                            found[method] = None
        return tuple(found)

    def keys_from(self, did: Did) -> str:
        """By whose word the keys of a party are its own."""
        if is_derived(did):
            return "that follows from its DID"
        return "known here" if did in self.case.known else "that the pack alone vouches for"


class Made(NamedTuple):
    """One delivery of an artifact."""

    held: ProvedEngagement
    said: TranscriptMessage
    delivery: Delivery
    name: str
    """What the provider called it: text for people, and nothing else."""

    @property
    def statements(self) -> tuple[VerifiedStatement, ...]:
        """Those of the delivery that are about this artifact."""
        found = self.held.case.statements.get(self.said.verified.digest, ())
        return tuple(one for one in found if any(subject.name == self.name for subject in one.statement.subject))

    @property
    def reviews(self) -> tuple[TranscriptMessage, ...]:
        """Those of the delivery, in order."""
        digest = self.said.verified.digest
        return tuple(
            one for one in self.held.said if isinstance(one.message, Review) and one.message.delivery == digest
        )

    @property
    def judge(self) -> Did:
        """Who said what came of it last, or is to."""
        if reviews := self.reviews:
            return self.held.judge(reviews[-1])
        return self.held.terms(self.said.number).evidence.verifier or self.held.document.hirer


class Earlier(NamedTuple):
    """A DID document that we relied on before; what its DID publishes now is another, or could not be had."""

    document: DidDocument
    at: Instant
    """When we did, the last time."""


class TraceEvidence(Struct, frozen=True):
    """All that is here: engagements by contract, decisions by engagement, DID documents beside those of the packs."""

    held: tuple[ProvedEngagement, ...]
    """Each contract once; an earlier one goes before a later one of the same contract."""
    decisions: Mapping[EngagementId, tuple[CheckedDecision, ...]] = MappingProxyType({})
    documents: Mapping[Did, tuple[DidDocument, ...]] = MappingProxyType({})
    absent: Mapping[Digest, str] = MappingProxyType({})
    """Why the bytes of an artifact are not here, where more is known than that they are not."""
    earlier: Mapping[Did, tuple[Earlier, ...]] = MappingProxyType({})
    """For a verdict: DID documents of before."""

    @classmethod
    def of(
        cls,
        held: Iterable[ProvedEngagement],
        decisions: Mapping[EngagementId, tuple[CheckedDecision, ...]] = MappingProxyType({}),
        documents: Mapping[Did, tuple[DidDocument, ...]] = MappingProxyType({}),
        absent: Mapping[Digest, str] = MappingProxyType({}),
        earlier: Mapping[Did, tuple[Earlier, ...]] = MappingProxyType({}),
    ) -> TraceEvidence:
        """What is here, with the packs inside others."""
        by_contract: dict[Digest, ProvedEngagement] = {}
        decided = dict(decisions)
        for one in held:
            for found in held_in(one.case, one.source):
                by_contract.setdefault(found.contract, found)
                # Each side has its own in its own pack; those that were made again go before those that a pack tells.
                known = decided.get(found.engagement, ())
                if found.packer not in {decision.by for decision in known}:
                    decided[found.engagement] = (*known, *found.decisions)
        return cls(tuple(by_contract.values()), decided, documents, absent, earlier)

    def known(self, held: ProvedEngagement, did: Did) -> tuple[DidDocument, ...]:
        """The documents of a DID that are known from elsewhere than a pack."""
        return (*self.documents.get(did, ()), *held.case.known.get(did, ()))

    def under(self, contract: Digest | None) -> ProvedEngagement | None:
        """The engagement of a contract."""
        return next((one for one in self.held if one.contract == contract), None)

    def made(self, artifact: Digest) -> tuple[Made, ...]:
        """Each delivery of these bytes, the latest round of a contract only."""
        found: dict[Digest, Made] = {}
        for held in self.held:
            for said, delivery, item in held.delivered:
                if item.digest == artifact:
                    found[held.contract] = Made(held, said, delivery, item.name)
        return tuple(found.values())

    def wanted(self) -> tuple[set[Digest], set[Digest]]:
        """What leads on from here: artifacts that went into the work, and contracts named above and below."""
        artifacts: set[Digest] = set()
        contracts: set[Digest] = set()
        for held in self.held:
            parent = held.document.parent
            contracts |= {parent} if parent else set()
            for statements in held.case.statements.values():
                for one in statements:
                    if isinstance(one.predicate, WorkPredicate):
                        artifacts |= {item.digest for item in one.predicate.inputs}
                        contracts |= {line.contract for line in one.predicate.subcontracts if line.contract}
        return artifacts, contracts - {held.contract for held in self.held}


def held_in(case: Case, source: str) -> Iterator[ProvedEngagement]:
    """The engagement of a verified pack, and those of the packs inside it; one without a contract is left out."""
    if case.sealed is None:
        return
    yield ProvedEngagement(case, source)
    for below in case.below:
        yield from held_in(below, f"{source}, with what was hired under {sealed_of(case).digest}")


def _outside(terms: Terms, action: Action, at: Instant) -> str:
    scope = whole_scope(terms.scope)
    bare = tuple(type(grant)(grant.id, grant.action, grant.target, window=grant.window) for grant in scope.grants)
    found = permits(Scope(grants=bare, prohibitions=scope.prohibitions), {}, action, at)
    return "" if found.allowed else f"[{found.clause}] {found.reason}"
