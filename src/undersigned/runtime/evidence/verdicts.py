"""Verdicts on artifacts: what is needed for one is gathered, and what it was made from is kept with it.

A verdict belongs to no engagement, so it stands beside the ledger: a file by its digest, and each input by its own. It
can be made beside a running peer, and by somebody who has never hired anybody.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from undersigned.credentials import (
    Credential,
    StatusList,
    read_credential,
    signed_document,
    status_urls,
    verify_status_list,
)
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Did, Digest, Instant, digest_bytes, write_canonical
from undersigned.errors import ConfigurationError, LedgerError, UndersignedError
from undersigned.evidence import Case, check_pack, sealed_of
from undersigned.ledger import Ledger, TrustStore
from undersigned.messages import Presentation
from undersigned.runtime.artifacts.store import ArtifactStore
from undersigned.runtime.clock import Clock
from undersigned.runtime.engagement.kept import signed_bytes
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.fetching.status_keeper import StatusKeeper
from undersigned.runtime.files import files_of, read_file, write_whole
from undersigned.runtime.home.anchors import load_anchors
from undersigned.runtime.home.home import Home
from undersigned.trace import (
    AskedAbout,
    Earlier,
    EarlierUsed,
    Evidence,
    Heard,
    Held,
    LastKnown,
    ListUsed,
    MadeFrom,
    Missing,
    SeenList,
    Verdict,
    asked_about,
    held_in,
    judge,
    memberships,
    wanting,
)
from undersigned.trust import (
    Accused,
    Anchors,
    Authority,
    Difference,
    Graph,
    Policy,
    Viewpoint,
    accused,
    answer,
    authority,
    canonical_bytes,
    differences,
)

from .decisions import kept_document
from .last_known import Before, before_in_ledger, before_in_packs, documents_in_ledger, newest
from .tracing import OwnEvidence, verified_pack

__all__ = ["ReplayedVerdict", "VerdictBook", "judge_artifact"]

MAX_VERDICT_BYTES: Final = 4 * 1024 * 1024
SHORTEST_PART: Final = 6
MAX_WHY: Final = 300
"""Characters of why a list or document could not be had."""
OFFLINE: Final = "nothing was asked, offline"


class ReplayedVerdict(NamedTuple):
    """A verdict made again; None if an input is not what it was."""

    verdict: Verdict | None
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether it came out as recorded."""
        return not self.differences


class VerdictBook:
    """The verdicts of a state folder: `verdicts/<digest>.json`, and what they name in `verdicts/inputs/<digest>`."""

    def __init__(self, home: Home) -> None:
        self._folder = home.verdicts
        self._inputs = ArtifactStore(home.verdicts / "inputs")

    async def put(self, verdict: Verdict, inputs: Iterable[bytes]) -> Path:
        """Keeps the inputs, then the verdict; where it is."""
        for raw in inputs:
            await self._inputs.put(raw)
        raw = write_canonical(verdict)
        path = self._folder / f"{digest_bytes(raw)}.json"
        write_whole(path, raw)
        return path

    def listed(self) -> tuple[list[Verdict], list[LedgerError]]:
        """All of them, oldest first; and `store_corrupt` of each file that is not what its name says."""
        found: list[tuple[Instant, int, Digest, Verdict]] = []
        damaged: list[LedgerError] = []
        for path in files_of(self._folder, "uEi*.json"):
            try:
                one = _read(path)
                # Of one second, in the order in which they were written.
                found.append((one.at, path.stat().st_mtime_ns, one.digest, one))
            except LedgerError as error:
                damaged.append(error)
        return [one for *_, one in sorted(found, key=lambda row: row[:3])], damaged

    def named(self, text: str) -> Verdict | None:
        """The verdict that `text` names: its digest, or a part of it that no other has.

        Raises:
            ConfigurationError: `not_found`, more than one is named.
            LedgerError: `store_corrupt`.
        """
        paths = [
            path
            for path in files_of(self._folder, "uEi*.json")
            if path.stem == text or (len(text) >= SHORTEST_PART and text in path.stem)
        ]
        if len(paths) > 1:
            raise ConfigurationError("not_found", f"{text[:100]!a} names {len(paths)} verdicts: write more of the id")
        return _read(paths[0]) if paths else None

    async def replay(self, recorded: Verdict) -> ReplayedVerdict:
        """The verdict made again from what was kept: no network, no graph, no clock.

        Raises:
            UndersignedError: `not_found`, an input is not there.
        """
        inputs = recorded.inputs
        try:
            policy = msgspec.json.decode(await self._inputs.get(inputs.policy), type=Policy)
            heard = msgspec.json.decode(await self._inputs.get(inputs.heard), type=Heard)
            anchors = msgspec.json.decode(await self._inputs.get(inputs.anchors), type=Anchors)
            documents = [kept_document(await self._inputs.get(digest)) for digest in inputs.documents]
            earlier = [Earlier(kept_document(await self._inputs.get(one.document)), one.at) for one in inputs.earlier]
            packs = [await self._inputs.get(digest) for digest in inputs.packs]
            links = [read_credential(signed_document(await self._inputs.get(digest))) for digest in inputs.links]
            lists = {one.url: await self._list(one) for one in inputs.lists}
            known = [SeenList(await self._list(one), one.own, one.why) for one in inputs.known]
            evidence = _evidence(packs, documents, earlier, recorded.at)
            again = _Given(policy, anchors, heard, links, lists, known).judged(recorded, evidence)
        except UndersignedError as error:
            if error.code == "not_found":
                raise
            return ReplayedVerdict(None, (Difference("verdict", recorded.outcome, f"none: {error}"),))
        if again == recorded:
            return ReplayedVerdict(again, ())
        return ReplayedVerdict(again, differences("verdict", recorded, again))

    async def before(self, urls: Collection[str]) -> list[Before]:
        """The lists of these URLs that their issuers gave for a verdict before.

        Raises:
            UndersignedError: One of them is damaged, or not there: it may be the one that speaks against somebody.
        """
        verdicts, damaged = self.listed()
        if damaged:
            raise damaged[0]
        used = {(one.list, one.document): one for verdict in verdicts for one in verdict.inputs.lists}
        found: list[Before] = []
        for one in used.values():
            if one.url in urls:
                listed = await self._list(one)
                by = () if listed.by is None else (listed.by,)
                found.append(Before(one.url, listed.credential, one.verified, True, by))
        return found

    async def documents(self, dids: Collection[Did]) -> list[tuple[DidDocument, Instant]]:
        """The documents of these DIDs on which a verdict rested before, and when. What is damaged is left out: the less
        is known, the less is allowed.
        """
        verdicts, _ = self.listed()
        when: dict[Digest, Instant] = {}
        for inputs, at in ((verdict.inputs, verdict.at) for verdict in verdicts):
            rested = [*((one, at) for one in inputs.documents), *((one.document, one.verified) for one in inputs.lists)]
            for digest, since in rested:
                when[digest] = max(since, when.get(digest, since))
        found: list[tuple[DidDocument, Instant]] = []
        for digest, at in when.items():
            with suppress(UndersignedError):
                document = kept_document(await self._inputs.get(digest))
                if document.id in dids:
                    found.append((document, at))
        return found

    async def _list(self, used: ListUsed) -> StatusList:
        signed = signed_document(await self._inputs.get(used.list))
        document = kept_document(await self._inputs.get(used.document))
        return verify_status_list(
            signed, url=used.url, issuer=document.id, documents={document.id: document}, now=used.verified
        )


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
    mine += [one for found in own.documents.values() for one in found]
    asked = _spoken(packs.values(), now) - {one.id for one in brought}
    fetched, missing = await _fetched(asked, gatherer)
    documents = _by_did([*brought, *mine, *fetched])
    beside = [one for found in documents.values() for one in found]
    every = [(raw, f"the record of {engagement}") for engagement, raw in own.packs.items()]
    every += [(raw, f"the pack {name}") for name, raw in packs.items()]
    all_held = [(raw, _held(raw, name, beside, now)) for raw, name in every]
    # Packs that say nothing of the artifact prove nothing of it, and are not kept.
    used = [(raw, held) for raw, held in all_held if Evidence.of([held], documents=documents).made(artifact)]
    evidence = Evidence.of([held for _, held in used], documents=documents)
    if dids := wanting(artifact, evidence):
        before = [*await documents_in_ledger(ledger, dids), *await book.documents(dids)]
        evidence = msgspec.structs.replace(evidence, earlier=_earlier(before, documents, now))
    anchors, policy = load_anchors(home, now), home.configuration.policy
    part = home.configuration.organisation
    ours = (home.configuration.did, *([part.did] if part else []))
    heard, links = _heard(home, asked_about(artifact, evidence), purpose, anchors, ours, now)
    relied = [one for made in evidence.made(artifact) for one in memberships(made, evidence)]
    lists, missed = await _lists([*relied, *links], gatherer, clock)
    theirs = [held for _, held in all_held[len(own.packs) :]]
    known_by = [*beside, *(one.document for found in evidence.earlier.values() for one in found)]
    seen = await _last_seen(ledger, book, theirs, known_by, lists, missed, now)
    missing |= {url: why for (url, _), why in missed.items() if url not in {one.list.url for one in seen}}
    taking = {did for held in evidence.held for did in _dids(held) if not is_derived(did)}
    needed = {one.raw_digest: one.raw for one in beside if one.id in taking}
    earlier = [one for found in evidence.earlier.values() for one in found]
    given = _Given(policy, anchors, heard, links, lists, seen)
    asking = Verdict(
        outcome="deny",
        artifact=artifact,
        purpose=purpose,
        by=home.configuration.did,
        policy="",
        at=now,
        inputs=given.named([raw for raw, _ in used], needed, earlier, missing),
    )
    rested = _evidence([raw for raw, _ in used], [kept_document(raw) for raw in needed.values()], earlier, now)
    verdict = given.judged(asking, rested)
    kept = [*given.kept(), *(raw for raw, _ in used), *needed.values(), *(one.document.raw for one in earlier)]
    return verdict, await book.put(verdict, kept)


async def _last_seen(
    ledger: Ledger,
    book: VerdictBook,
    theirs: list[Held],
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
    issuers = _by_did(documents) | {one.issuer: (one.by,) for one in lists.values() if one.by is not None}
    old += before_in_packs(Evidence.of(theirs).held, issuers, urls)
    return [one for one in newest(old, wanted, now) if _newer(one, lists)]


class _Given(NamedTuple):
    """What a verdict is made from, beside the evidence about the artifact."""

    policy: Policy
    anchors: Anchors
    heard: Heard
    links: Sequence[Credential]
    lists: Mapping[str, StatusList]
    """Those that could be had, by their URLs."""
    known: Sequence[SeenList]
    """The last known ones of others."""

    def judged(self, of: Verdict, evidence: Evidence) -> Verdict:
        """The verdict on what `of` asks about."""
        return judge(
            of.artifact,
            of.purpose,
            evidence,
            policy=self.policy,
            own=of.by,
            now=of.at,
            anchors=self.anchors,
            heard=self.heard,
            links=self.links,
            lists=self.lists,
            known=self.known,
            inputs=of.inputs,
        )

    def named(
        self,
        packs: Iterable[bytes],
        documents: Iterable[Digest],
        earlier: Iterable[Earlier],
        missing: Mapping[str, str],
    ) -> MadeFrom:
        """All of it, and what the evidence is from, by digest."""
        return MadeFrom(
            policy=self.policy.digest,
            anchors=self.anchors.digest,
            heard=self.heard.digest,
            packs=tuple(digest_bytes(raw) for raw in packs),
            documents=tuple(documents),
            links=tuple(one.digest for one in self.links),
            lists=tuple(
                ListUsed(url=url, list=one.credential.digest, document=one.by.raw_digest, verified=one.verified)
                for url, one in sorted(self.lists.items())
                if one.by is not None
            ),
            known=tuple(
                LastKnown(
                    url=one.list.url,
                    list=one.list.credential.digest,
                    document=one.list.by.raw_digest,
                    verified=one.list.verified,
                    own=one.own,
                    why=one.why,
                )
                for one in self.known
                if one.list.by is not None
            ),
            earlier=tuple(EarlierUsed(document=one.document.raw_digest, at=one.at) for one in earlier),
            missing=tuple(Missing(what=what, why=why) for what, why in sorted(missing.items())),
        )

    def kept(self) -> list[bytes]:
        """The bytes of all that `named` names of it."""
        lists = [one for one in self.lists.values() if one.by is not None] + [one.list for one in self.known]
        return [
            *(canonical_bytes(self.policy), canonical_bytes(self.anchors), canonical_bytes(self.heard)),
            *map(signed_bytes, self.links),
            *(signed_bytes(one.credential) for one in lists),
            *(one.by.raw for one in lists if one.by is not None),
        ]


def _evidence(
    packs: Iterable[bytes], documents: list[DidDocument], earlier: Iterable[Earlier], now: Instant
) -> Evidence:
    held = [_held(raw, "a pack", documents, now) for raw in packs]
    return Evidence.of(held, documents=_by_did(documents), earlier=_grouped(earlier))


def _held(raw: bytes, name: str, beside: Iterable[DidDocument], now: Instant) -> Held:
    """A pack that holds by its own documents. Whose keys those are is another question, and not answered by bytes: a
    document of today is not that of then. Of who is no party and has none in it, those `beside` it are taken.

    Raises:
        VerificationError: It does not hold.
    """
    report, case = check_pack(raw, now=now)
    if not report.ok:
        inside = {did for held in held_in(case, name) for did in held.case.documents}
        case = verified_pack(raw, name, now=now, known=[one for one in beside if one.id not in inside])
        case.known.clear()
    return Held(case, name)


def _earlier(
    before: Iterable[tuple[DidDocument, Instant]], documents: Mapping[Did, tuple[DidDocument, ...]], now: Instant
) -> dict[Did, tuple[Earlier, ...]]:
    """Each document of before once, the latest first, that is none of those known now."""
    when: dict[DidDocument, Instant] = {}
    for one, at in before:
        if at <= now and one not in documents.get(one.id, ()):
            when[one] = max(at, when.get(one, at))
    latest = sorted(when.items(), key=lambda found: (found[1], found[0].raw_digest), reverse=True)
    return _grouped(Earlier(one, at) for one, at in latest)


def _grouped(earlier: Iterable[Earlier]) -> dict[Did, tuple[Earlier, ...]]:
    found: dict[Did, tuple[Earlier, ...]] = {}
    for one in earlier:
        found[one.document.id] = (*found.get(one.document.id, ()), one)
    return found


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


def _dids(held: Held) -> set[Did]:
    document = sealed_of(held.case).document
    found = {document.hirer, document.provider}
    found |= {terms.evidence.verifier for terms in (document.terms,) if terms.evidence.verifier}
    for said in held.said:
        if isinstance(said.message, Presentation):
            shown = cast("list[Any]", said.message.presentation.get("verifiableCredential", []))
            for one in shown:
                try:
                    found.add(read_credential(one).issuer)
                except UndersignedError:
                    continue  # it counted for nothing when it was shown, either
    return found


def _spoken(packs: Iterable[bytes], now: Instant) -> set[Did]:
    """Whose DID documents packs call for; those that follow from their DIDs are not asked for."""
    cases: list[Case] = [check_pack(raw, now=now)[1] for raw in packs]
    return {did for case in cases for held in held_in(case, "") for did in _dids(held) if not is_derived(did)}


def _heard(
    home: Home, asked: AskedAbout, purpose: str, anchors: Anchors, own: tuple[Did, ...], now: Instant
) -> tuple[Heard, list[Credential]]:
    """What the graph answers, and the credentials of the chains that have a status."""
    store = TrustStore(home.trust, read_only=True) if home.trust.exists() else None
    try:

        def ask(question: Any) -> Any:
            return store.ask(question) if store is not None else answer(question, Graph(()).read)

        entitled: list[Authority] = []
        for issuer, predicate, at in asked.authority:
            view = Viewpoint(anchors=anchors, own=own, now=at)
            entitled.append(ask(authority(issuer, predicate, purpose, view)))
        suspected: list[Accused] = [
            ask(accused(did, Viewpoint(anchors=anchors, own=own, now=now))) for did in asked.accused
        ]
        digests = {edge.digest for one in entitled for path in one.paths for edge in path.edges}
        held = store.held(digests) if store is not None and digests else {}
    finally:
        if store is not None:
            store.close()
    links = [
        read_credential(signed_document(raw)) for digest in sorted(digests) if (raw := held.get(digest)) is not None
    ]
    return Heard(tuple(entitled), tuple(suspected)), links


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
    keeper = StatusKeeper(gatherer, gatherer.document, clock)
    lists: dict[str, StatusList] = {}
    missed: dict[tuple[str, Did], str] = {}

    async def look(url: str, issuer: Did) -> None:
        try:
            lists[url] = await keeper.list_at(url, issuer)
        except UndersignedError as error:
            said = error.message if url in error.message else f"{url} gave no list of its issuer: {error.message}"
            missed[url, issuer] = said[:MAX_WHY]

    try:
        await asyncio.gather(*(look(url, issuer) for url, issuer in sorted(wanted)))
    finally:
        await keeper.close()
    return lists, missed


def _by_did(documents: Iterable[DidDocument]) -> dict[Did, tuple[DidDocument, ...]]:
    found: dict[Did, tuple[DidDocument, ...]] = {}
    for one in documents:
        if one not in found.get(one.id, ()):
            found[one.id] = (*found.get(one.id, ()), one)
    return found


def _read(path: Path) -> Verdict:
    try:
        raw = read_file(path, MAX_VERDICT_BYTES)
        if digest_bytes(raw) != path.stem:
            raise LedgerError("store_corrupt", f"{path.name} has other bytes than its name says")
        return msgspec.json.decode(raw, type=Verdict)
    except (OSError, msgspec.MsgspecError) as exc:
        raise LedgerError("store_corrupt", f"{path.name} is no verdict: {exc}") from exc
