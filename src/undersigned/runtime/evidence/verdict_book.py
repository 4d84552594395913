"""Verdicts on artifacts as they are kept: each with all that it was made from, so that it can be made again.

A verdict belongs to no engagement, so it stands beside the ledger: a file by its digest, and each input by its own.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from undersigned.credentials import Credential, StatusList, read_credential, signed_document, verify_status_list
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, digest_bytes, write_canonical
from undersigned.errors import ConfigurationError, LedgerError, UndersignedError
from undersigned.evidence import check_pack
from undersigned.runtime.artifacts.store import ArtifactStore
from undersigned.runtime.engagement.kept import signed_bytes
from undersigned.runtime.files import files_of, read_file, write_whole
from undersigned.runtime.home.home import Home
from undersigned.trace import (
    Earlier,
    EarlierUsed,
    GraphAnswers,
    LastKnown,
    ListUsed,
    MadeFrom,
    Missing,
    ProvedEngagement,
    SeenList,
    TraceEvidence,
    Verdict,
    held_in,
    judge,
)
from undersigned.trust import Anchors, Difference, Policy, differences

from .decisions import kept_document, names
from .last_known import Before
from .tracing import by_did, verified_pack

__all__ = ["ReplayedVerdict", "VerdictBasis", "VerdictBook", "evidence_of", "grouped", "held_alone"]

MAX_VERDICT_BYTES: Final = 4 * 1024 * 1024


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
        found: list[tuple[Instant, int, str, Verdict]] = []
        damaged: list[LedgerError] = []
        for path in files_of(self._folder, "uEi*.json"):
            try:
                one = _read(path)
                # Of one second, in the order in which they were written.
                found.append((one.at, path.stat().st_mtime_ns, path.stem, one))
            except LedgerError as error:
                damaged.append(error)
        return [one for *_, one in sorted(found)], damaged

    def named(self, text: str) -> Verdict | None:
        """The verdict that `text` names: its digest, or a part of it that no other has.

        Raises:
            ConfigurationError: `not_found`, more than one is named.
            LedgerError: `store_corrupt`.
        """
        paths = [path for path in files_of(self._folder, "uEi*.json") if names(text, path.stem)]
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
            heard = msgspec.json.decode(await self._inputs.get(inputs.heard), type=GraphAnswers)
            anchors = msgspec.json.decode(await self._inputs.get(inputs.anchors), type=Anchors)
            documents = [kept_document(await self._inputs.get(digest)) for digest in inputs.documents]
            earlier = [Earlier(kept_document(await self._inputs.get(one.document)), one.at) for one in inputs.earlier]
            packs = [await self._inputs.get(digest) for digest in inputs.packs]
            links = [read_credential(signed_document(await self._inputs.get(digest))) for digest in inputs.links]
            lists = {one.url: await self._list(one) for one in inputs.lists}
            known = [SeenList(await self._list(one), one.own, one.why) for one in inputs.known]
            evidence = evidence_of(packs, documents, earlier, recorded.at)
            again = VerdictBasis(policy, anchors, heard, links, lists, known).judged(recorded, evidence)
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


class VerdictBasis(NamedTuple):
    """What a verdict is made from, beside the evidence about the artifact."""

    policy: Policy
    anchors: Anchors
    heard: GraphAnswers
    links: Sequence[Credential]
    lists: Mapping[str, StatusList]
    """Those that could be had, by their URLs."""
    known: Sequence[SeenList]
    """The last known ones of others."""

    def judged(self, of: Verdict, evidence: TraceEvidence) -> Verdict:
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
            self.policy.canonical,
            self.anchors.canonical,
            self.heard.canonical,
            *map(signed_bytes, self.links),
            *(signed_bytes(one.credential) for one in lists),
            *(one.by.raw for one in lists if one.by is not None),
        ]


def evidence_of(
    packs: Iterable[bytes], documents: list[DidDocument], earlier: Iterable[Earlier], now: Instant
) -> TraceEvidence:
    """What packs say of an artifact, by these documents."""
    held = [held_alone(raw, "a pack", documents, now) for raw in packs]
    return TraceEvidence.of(held, documents=by_did(documents), earlier=grouped(earlier))


def held_alone(raw: bytes, name: str, beside: Iterable[DidDocument], now: Instant) -> ProvedEngagement:
    """A pack that holds by its own documents. Whose keys those are is another question, and not answered by bytes: a
    document of today is not that of then. Of who is no party and has none in it, those `beside` it are taken.

    Raises:
        BrokenPack: It does not hold.
    """
    report, case = check_pack(raw, now=now)
    if not report.ok:
        inside = {did for held in held_in(case, name) for did in held.case.documents}
        case = verified_pack(raw, name, now=now, known=[one for one in beside if one.id not in inside])
        case.known.clear()
    return ProvedEngagement(case, name)


def grouped(earlier: Iterable[Earlier]) -> dict[Did, tuple[Earlier, ...]]:
    """The same by DID."""
    found: dict[Did, tuple[Earlier, ...]] = {}
    for one in earlier:
        found[one.document.id] = (*found.get(one.document.id, ()), one)
    return found


def _read(path: Path) -> Verdict:
    try:
        raw = read_file(path, MAX_VERDICT_BYTES)
        if digest_bytes(raw) != path.stem:
            raise LedgerError("store_corrupt", f"{path.name} has other bytes than its name says")
        return msgspec.json.decode(raw, type=Verdict)
    except (OSError, msgspec.MsgspecError) as exc:
        raise LedgerError("store_corrupt", f"{path.name} is no verdict: {exc}") from exc
