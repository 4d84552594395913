"""A verdict on an artifact: what is needed for it is gathered, and it is kept with what it was made from.

It can be made beside a running peer, and by somebody who has never hired anybody.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from undersigned.credentials import Credential, StatusList, read_credential, signed_document, status_urls
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import UndersignedError
from undersigned.evidence import Case, check_pack
from undersigned.ledger import Ledger, TrustStore
from undersigned.messages import Presentation
from undersigned.runtime.clock import Clock
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.fetching.status_keeper import StatusKeeper
from undersigned.runtime.home.anchors import load_anchors
from undersigned.runtime.home.home import Home
from undersigned.trace import (
    AskedAbout,
    Earlier,
    GraphAnswers,
    ProvedEngagement,
    SeenList,
    TraceEvidence,
    Verdict,
    asked_about,
    held_in,
    memberships,
    wanting,
)
from undersigned.trust import Accused, Anchors, Graph, IssuerAuthority, Viewpoint, accused, answer, authority

from .decisions import kept_document
from .last_known import before_in_ledger, before_in_packs, documents_in_ledger, newest
from .reliance import readable_credentials
from .tracing import OwnEvidence, by_did
from .verdict_book import VerdictBasis, VerdictBook, evidence_of, grouped, held_alone

__all__ = ["judge_artifact"]

MAX_WHY: Final = 300
"""Characters of why a list or document could not be had."""
OFFLINE: Final = "nothing was asked, offline"


async def judge_artifact(
    home: Home,
    ledger: Ledger,
    artifact: Digest,
    purpose: str,
    *,
    packs: Mapping[str, bytes],
    known: Iterable[DidDocument],
    gatherer: Gatherer | None,
    clock: Clock,
) -> tuple[Verdict, Path]:
    """The verdict on an artifact for a purpose, and where it is kept. With a gatherer, DID documents that nobody
    brought and status lists are fetched; without, they are not there. Where a list could not be had, or is not the
    newest, the newest that our ledger, our earlier verdicts or the packs hold is looked into; where a document could
    not be had or lacks a key, those that our ledger or our earlier verdicts rested on are.

    Raises:
        VerificationError: A pack, or what is recorded, does not hold.
        LedgerError: The ledger or the graph is damaged.
    """
    now, own = clock.now(), OwnEvidence(ledger, home, clock.now(), bare=True)
    await own.about({artifact}, ())
    brought, book = list(known), VerdictBook(home)
    mine = [one for held in own.held.values() for found in held.case.known.values() for one in found]
    mine += own.documents
    asked = _spoken(packs.values(), now) - {one.id for one in brought}
    fetched, missing = await _fetched(asked, gatherer)
    documents = by_did([*brought, *mine, *fetched])
    beside = [one for found in documents.values() for one in found]
    every = [(raw, f"the record of {engagement}") for engagement, raw in own.packs.items()]
    every += [(raw, f"the pack {name}") for name, raw in packs.items()]
    all_held = [(raw, held_alone(raw, name, beside, now)) for raw, name in every]
    # Packs that say nothing of the artifact prove nothing of it, and are not kept.
    used = [(raw, held) for raw, held in all_held if TraceEvidence.of([held], documents=documents).made(artifact)]
    evidence = TraceEvidence.of([held for _, held in used], documents=documents)
    if dids := wanting(artifact, evidence):
        before = [*await documents_in_ledger(ledger, dids), *await book.documents(dids)]
        evidence = msgspec.structs.replace(evidence, earlier=_earlier(before, documents, now))
    anchors, policy = load_anchors(home, now), home.configuration.policy
    heard, links = _heard(home, asked_about(artifact, evidence), purpose, anchors, home.configuration.own, now)
    relied = [one for made in evidence.made(artifact) for one in memberships(made, evidence)]
    lists, missed = await _lists([*relied, *links], gatherer, clock)
    theirs = [held for _, held in all_held[len(own.packs) :]]
    known_by = [*beside, *(one.document for found in evidence.earlier.values() for one in found)]
    seen = await _last_seen(ledger, book, theirs, known_by, lists, missed, now)
    missing |= {url: why for (url, _), why in missed.items() if url not in {one.list.url for one in seen}}
    taking = {did for held in evidence.held for did in _dids(held) if not is_derived(did)}
    needed = {one.raw_digest: one.raw for one in beside if one.id in taking}
    earlier = [one for found in evidence.earlier.values() for one in found]
    given = VerdictBasis(policy, anchors, heard, links, lists, seen)
    asking = Verdict(
        outcome="deny",
        artifact=artifact,
        purpose=purpose,
        by=home.configuration.did,
        policy="",
        at=now,
        inputs=given.named([raw for raw, _ in used], needed, earlier, missing),
    )
    rested = evidence_of([raw for raw, _ in used], [kept_document(raw) for raw in needed.values()], earlier, now)
    verdict = given.judged(asking, rested)
    kept = [*given.kept(), *(raw for raw, _ in used), *needed.values(), *(one.document.raw for one in earlier)]
    return verdict, await book.put(verdict, kept)


async def _last_seen(
    ledger: Ledger,
    book: VerdictBook,
    theirs: list[ProvedEngagement],
    documents: Iterable[DidDocument],
    lists: Mapping[str, StatusList],
    missed: Mapping[tuple[str, Did], str],
    now: Instant,
) -> list[SeenList]:
    """Of the lists that could not be had, and of those that were had if it is not the one of now: the newest that our
    ledger, our earlier verdicts and packs of others hold.
    """
    wanted = dict(missed) | {
        (url, one.issuer): f"{url} serves an older one, of {one.credential.made}" for url, one in lists.items()
    }
    urls = {url for url, _ in wanted}
    if not urls:
        return []
    old = [*await before_in_ledger(ledger, urls), *await book.before(urls)]
    # Against a list of now nothing counts that a key of before signed: whoever stole it could date it as late.
    issuers = by_did(documents) | {one.issuer: (one.by,) for one in lists.values() if one.by is not None}
    old += before_in_packs(TraceEvidence.of(theirs).held, issuers, urls)
    return [one for one in newest(old, wanted, now) if _newer(one, lists)]


def _earlier(
    before: Iterable[tuple[DidDocument, Instant]], documents: Mapping[Did, tuple[DidDocument, ...]], now: Instant
) -> dict[Did, tuple[Earlier, ...]]:
    """Each document of before once, the latest first, that is none of those known now."""
    when: dict[DidDocument, Instant] = {}
    for one, at in before:
        if at <= now and one not in documents.get(one.id, ()):
            when[one] = max(at, when.get(one, at))
    latest = sorted(when.items(), key=lambda found: (found[1], found[0].raw_digest), reverse=True)
    return grouped(Earlier(one, at) for one, at in latest)


async def _fetched(dids: Iterable[Did], gatherer: Gatherer | None) -> tuple[list[DidDocument], dict[str, str]]:
    """The documents of these DIDs as they are now; and of the others why they could not be had."""
    found: list[DidDocument] = []
    missing: dict[str, str] = {}
    for did in sorted(dids):
        try:
            if gatherer is None:
                missing[did] = OFFLINE
            else:
                found.append(await gatherer.document(did))
        except UndersignedError as error:
            missing[did] = error.message[:MAX_WHY]
    return found, missing


def _newer(seen: SeenList, lists: Mapping[str, StatusList]) -> bool:
    """Whether its issuer made it later than the one of now, or another one at that time."""
    live = lists.get(seen.list.url)
    if live is None:
        return True
    made = live.credential.made or ""
    return seen.made > made or (seen.made == made and seen.list.credential.digest != live.credential.digest)


def _dids(held: ProvedEngagement) -> set[Did]:
    verifier = held.document.terms.evidence.verifier
    found = {*held.parties, *([verifier] if verifier else ())}
    for said in held.said:
        if isinstance(said.message, Presentation):
            found |= {one.issuer for one in readable_credentials(said.message)}
    return found


def _spoken(packs: Iterable[bytes], now: Instant) -> set[Did]:
    """Whose DID documents packs call for; those that follow from their DIDs are not asked for."""
    cases: list[Case] = [check_pack(raw, now=now)[1] for raw in packs]
    return {did for case in cases for held in held_in(case, "") for did in _dids(held) if not is_derived(did)}


def _heard(
    home: Home, asked: AskedAbout, purpose: str, anchors: Anchors, own: tuple[Did, ...], now: Instant
) -> tuple[GraphAnswers, list[Credential]]:
    """What the graph answers, and the credentials of the chains that have a status."""
    store = TrustStore(home.trust, read_only=True) if home.trust.exists() else None
    try:

        def ask(question: Any) -> Any:
            return store.ask(question) if store is not None else answer(question, Graph(()).read)

        view = Viewpoint(anchors=anchors, own=own, now=now, refused=frozenset(home.configuration.policy.refuse))
        entitled: list[IssuerAuthority] = [
            ask(authority(issuer, predicate, purpose, msgspec.structs.replace(view, now=at)))
            for issuer, predicate, at in asked.authority
        ]
        suspected: list[Accused] = [ask(accused(did, view)) for did in asked.accused]
        digests = {edge.digest for one in entitled for path in one.paths for edge in path.edges}
        held = store.held(digests) if store is not None and digests else {}
    finally:
        if store is not None:
            store.close()
    links = [
        read_credential(signed_document(raw)) for digest in sorted(digests) if (raw := held.get(digest)) is not None
    ]
    return GraphAnswers(tuple(entitled), tuple(suspected)), links


async def _lists(
    credentials: list[Credential], gatherer: Gatherer | None, clock: Clock
) -> tuple[dict[str, StatusList], dict[tuple[str, Did], str]]:
    """The status lists of these credentials by URL, as far as they could be had; and, by URL and issuer, why not, which
    is told of whatever else was served as well.
    """
    wanted: set[tuple[str, Did]] = set()
    for one in credentials:
        try:
            wanted |= set(status_urls([one]).items())
        except UndersignedError:
            continue  # what names no place to look up is no, and the verdict says so
    if gatherer is None:
        return {}, dict.fromkeys(wanted, OFFLINE)
    lists: dict[str, StatusList] = {}
    missed: dict[tuple[str, Did], str] = {}

    async def look(url: str, issuer: Did) -> None:
        try:
            lists[url] = await keeper.list_at(url, issuer)
        except UndersignedError as error:
            said = error.message if url in error.message else f"{url} gave no list of its issuer: {error.message}"
            missed[url, issuer] = said[:MAX_WHY]

    async with StatusKeeper(gatherer, gatherer.document, clock) as keeper:
        await asyncio.gather(*(look(url, issuer) for url, issuer in sorted(wanted)))
    return lists, missed
