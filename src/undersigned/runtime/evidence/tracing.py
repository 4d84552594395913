"""What is known here about an artifact: packs that somebody handed over, and our own ledger, as the packs it makes.

It needs no key and no connection, so it works beside a running peer and years later.

Source: protocol-spec/19-trace.md, section 19.1
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias

from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId, Instant
from undersigned.errors import UndersignedError
from undersigned.evidence import Case, check_pack
from undersigned.ledger import Ledger, Summary
from undersigned.runtime.home.home import Home
from undersigned.trace import CheckedDecision, ProvedEngagement, TraceEvidence, held_in

from .decisions import kept_document, recorded_decisions, replay_decision
from .delivered import ABSENT, Absent
from .export import export_pack

__all__ = ["OwnEvidence", "by_did", "gather_evidence", "given_packs", "verified_pack"]

OWN: Final = "our ledger"
Told: TypeAlias = Callable[[int, int], None]


def untold(at: int, of: int) -> None:
    """Nobody wants to hear how far it is."""


def verified_pack(data: bytes, source: str, *, now: Instant, known: Iterable[DidDocument] = ()) -> Case:
    """What the steps of a pack's verification found, once all of them hold.

    Raises:
        BrokenPack: One does not, with its code.
    """
    report, case = check_pack(data, now=now, known=known)
    report.require_ok(source)
    return case


def given_packs(
    packs: Mapping[str, bytes], *, now: Instant, known: Iterable[DidDocument] = ()
) -> list[ProvedEngagement]:
    """What packs prove that somebody handed over, by their names.

    Raises:
        BrokenPack: As `verified_pack`.
    """
    named = [(f"the pack {name}", data) for name, data in packs.items()]
    return [ProvedEngagement(verified_pack(data, source, now=now, known=known), source) for source, data in named]


def by_did(documents: Iterable[DidDocument]) -> dict[Did, tuple[DidDocument, ...]]:
    """Each document once, by DID."""
    found: dict[Did, tuple[DidDocument, ...]] = {}
    for one in documents:
        if one not in found.get(one.id, ()):
            found[one.id] = (*found.get(one.id, ()), one)
    return found


class OwnEvidence:
    """The engagements of a ledger that have a contract, each made into evidence when it is asked for."""

    def __init__(self, ledger: Ledger, home: Home, now: Instant, *, bare: bool = False, replayed: bool = True) -> None:
        """`bare`: without the artifacts themselves. Not `replayed`: decisions are told as they were recorded, and what
        they rested on is not looked up, which takes a quarter of the time.
        """
        self._ledger, self._now = ledger, now
        self._replayed = replayed
        self._artifacts = None if bare else home.open_artifacts()
        self._own = home.configuration.did
        self.held: dict[EngagementId, ProvedEngagement] = {}
        self.packs: dict[EngagementId, bytes] = {}
        self.decisions: dict[EngagementId, tuple[CheckedDecision, ...]] = {}
        self.absent: dict[Digest, str] = {}
        """Why the bytes of what was delivered are in none of them."""
        self._ours = home.documents()
        self.documents = list(self._ours)
        """Each once: ours, and those on which its decisions rested."""

    async def about(self, artifacts: Collection[Digest], contracts: Collection[Digest], told: Told = untold) -> bool:
        """Adds the engagements that delivered one of these artifacts or made one of these contracts; whether any did.
        `told` hears how many of how many were looked at.

        Raises:
            BrokenPack: One makes no evidence that holds.
        """
        summaries = [
            one
            for one in await self._ledger.summaries()
            if one.contract is not None and one.engagement not in self.held
        ]
        wanted = [digest.encode() for digest in artifacts]
        found = False
        for place, summary in enumerate(summaries, start=1):
            told(place, len(summaries))
            if summary.contract in contracts or (wanted and await self._delivered(summary, wanted)):
                await self.add(summary)
                found = True
        return found

    async def of(self, did: Did, told: Told = untold) -> None:
        """Adds every engagement with a contract of which `did` is a party.

        Raises:
            BrokenPack: One makes no evidence that holds.
        """
        summaries = [one for one in await self._ledger.summaries() if one.contract is not None]
        wanted = [one for one in summaries if did in (one.peer, self._own)]
        for place, summary in enumerate(wanted, start=1):
            told(place, len(wanted))
            if summary.engagement not in self.held:
                await self.add(summary)

    async def _delivered(self, summary: Summary, wanted: list[bytes]) -> bool:
        rows = await self._ledger.rows(summary.engagement)
        return any(
            row.type == "Delivery" and row.kind != "noted" and any(digest in row.raw for digest in wanted)
            for row in rows
        )

    async def add(self, summary: Summary) -> None:
        """Adds an engagement with its decisions, each made again if they are `replayed`.

        Raises:
            BrokenPack: It makes no evidence that holds.
        """
        engagement = summary.engagement
        data = await export_pack(
            self._ledger, self._artifacts, self._own, engagement, ours=self._ours, absent=self._not_there
        )
        case = verified_pack(data, f"the record of {engagement}", now=self._now)
        self.held[engagement], self.packs[engagement] = ProvedEngagement(case, OWN), data
        for one in held_in(case, OWN):
            # Whoever recorded it had resolved them.
            one.case.known.update(one.case.documents)
            if not self._replayed:
                continue
            decided: list[CheckedDecision] = []
            for recorded in await recorded_decisions(self._ledger, one.engagement):
                try:
                    again = await replay_decision(self._ledger, self._own, recorded)
                    same = again.same
                    detail = (
                        "made again from what was kept: the same, every byte" if same else str(again.differences[0])
                    )
                except UndersignedError as error:
                    same, detail = False, f"it could not be made again: {error.message}"
                decided.append(CheckedDecision(decision=recorded.decision, by=self._own, same=same, detail=detail))
                for digest in recorded.decision.inputs.documents:
                    await self._document(digest)
            self.decisions[one.engagement] = tuple(decided)

    def _not_there(self, one: Absent) -> None:
        self.absent[one.digest] = ABSENT[one.why]

    async def _document(self, digest: Digest) -> None:
        raw = await self._ledger.blob(digest)
        if raw is not None and (document := kept_document(raw)) not in self.documents:
            self.documents.append(document)


async def gather_evidence(
    artifact: Digest,
    *,
    own: OwnEvidence | None,
    packs: Mapping[str, bytes],
    now: Instant,
    known: Iterable[DidDocument] = (),
    told: Told = untold,
) -> TraceEvidence:
    """All evidence that an artifact leads to: from our own ledger, if there is one, and from packs, by their names.

    Raises:
        BrokenPack: A pack, or what is recorded, does not hold.
        LedgerError: `store_corrupt`.
    """
    documents = tuple(known)
    given = given_packs(packs, now=now, known=documents)
    evidence = TraceEvidence.of(given, documents=by_did(documents))
    artifacts, contracts = evidence.wanted()
    while own is not None and await own.about({artifact, *artifacts}, contracts, told):
        merged = by_did([*documents, *own.documents])
        evidence = TraceEvidence.of([*own.held.values(), *given], own.decisions, merged, own.absent)
        artifacts, contracts = evidence.wanted()
    return evidence
