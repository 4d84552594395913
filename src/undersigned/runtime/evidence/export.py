"""The evidence pack of an engagement, gathered from the store.

It needs no key and no connection, so it can be made beside a running peer, from a ledger opened for reading.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from msgspec.json import decode

from undersigned.contract import countersigned
from undersigned.credentials import Credential, read_presentation, verify_issued
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_from_hash,
    from_struct,
    to_struct,
)
from undersigned.errors import LogProofError, UndersignedError
from undersigned.evidence import (
    MAX_PACK_BYTES,
    LogProof,
    LogProofs,
    Withheld,
    WithheldList,
    read_pack,
    showing,
    write_pack,
)
from undersigned.ledger import Blob, Ledger, Row, Summary
from undersigned.messages import (
    Acceptance,
    Artifact,
    Closing,
    Delivery,
    Offer,
    Presentation,
    Review,
    Seal,
    recorded_message,
)
from undersigned.runtime.artifacts.contents import MAX_WHOLE_BYTES
from undersigned.runtime.artifacts.store import ArtifactStore, of_store
from undersigned.runtime.clock import SystemClock
from undersigned.runtime.engagement.turn import load_engagement
from undersigned.runtime.log.forks import fork_in
from undersigned.runtime.log.logbook import Logged, logged, read_multibase_note, verified_note
from undersigned.runtime.log.witnesses import believed
from undersigned.runtime.negotiation.order import read_order
from undersigned.transparency import InclusionProof, contract_leaf, decision_salt, leaf_hash, read_checkpoint, read_note
from undersigned.trust import Decision, Inputs

__all__ = ["ABSENT", "Absent", "export_pack", "left_out"]

MAX_MESSAGES: Final = 7000
"""Of a pack, which has 10,000 members: with the moves that a contract may have there is room for what else is in it."""
MAX_DELIVERED_BYTES: Final = MAX_PACK_BYTES // 2
"""Of artifacts in a pack and in those within it: their provider chooses how large they are, and what was signed has to
have room beside them.
"""
FOLDERS: Final = ("approvals", "artifacts", "credentials", "decisions", "policies", "refusals", "status")
"""Folders of a pack whose members can be withheld: without the others the rest would not verify."""
ABSENT: Final = {
    "missing": "it is not in the store",
    "elsewhere": "it did not come under this engagement, though it is in the store",
    "damaged": "the copy in the store is damaged",
    "large": "it is more than a pack has room for, and stays where artifacts are kept",
    "unavailable": "the store cannot be read",
}
"""Why something that was delivered is not in a pack, where nobody withheld it."""


class Absent(NamedTuple):
    """An artifact that was delivered, and that a pack names by its digest alone."""

    engagement: EngagementId
    digest: Digest
    name: str
    """As the provider called it; nothing is read or written by it."""
    why: str
    """One of `ABSENT`."""
    place: str
    """Where it is, or would be."""


def _unheard(_: Absent) -> None:
    """Nobody wants to know."""


class _Delivered:
    """Reads what was delivered, and tells what cannot be had. That concerns the bytes and nothing that was signed."""

    def __init__(self, store: ArtifactStore | None, tell: Callable[[Absent], None]) -> None:
        self._store = store
        self._tell = tell
        self._told: set[tuple[EngagementId, Digest]] = set()
        self._room = MAX_DELIVERED_BYTES
        self._taken: set[tuple[EngagementId, Digest]] = set()
        self._away = False

    async def read(self, engagement: EngagementId, item: Artifact, ours: bool) -> bytes | None:
        """All bytes of one; None if they do not go into the pack. It is `ours` if we made it, or took it; of anything
        else in the store the other side may have named the digest, and is not to see it in a pack.
        """
        if self._store is None:
            return None
        why = "unavailable"
        try:
            if not self._away and not ours and not await self._store.came(item.digest, engagement):
                return self._left_out(
                    engagement, item, "missing" if await self._store.size(item.digest) is None else "elsewhere"
                )
            # One that did not answer is not asked again for each.
            size = None if self._away else await self._store.size(item.digest)
            if size is not None and (engagement, item.digest) in self._taken:
                return await self._store.get(item.digest)
            if size is not None and size <= min(MAX_WHOLE_BYTES, self._room):
                data = await self._store.get(item.digest)
                self._taken.add((engagement, item.digest))
                self._room -= size
                return data
            # A pack is read whole, so what is large stays in the store, named by its digest.
            why = "unavailable" if self._away else "missing" if size is None else "large"
        except UndersignedError as error:
            if not of_store(error):
                raise
            why = {"digest_mismatch": "damaged", "not_found": "missing"}.get(error.code, "unavailable")
            self._away = why == "unavailable"
        return self._left_out(engagement, item, why)

    def _left_out(self, engagement: EngagementId, item: Artifact, why: str) -> None:
        """Tells why one does not go into the pack, once."""
        if (engagement, item.digest) not in self._told:
            self._told.add((engagement, item.digest))
            place = self._store.place(item.digest) if self._store is not None else ""
            self._tell(Absent(engagement, item.digest, item.name, why, place))


class _Withholding:
    """Patterns of what is left out of a pack and of those within it, and which of them named anything."""

    def __init__(self, patterns: Collection[str]) -> None:
        # A folder's name alone is all that is in it.
        self._patterns = {
            pattern: f"{bare}/*" if (bare := pattern.removesuffix("/")) in FOLDERS else pattern for pattern in patterns
        }
        self._used: set[str] = set()
        self._there = Counter[str]()

    def named(self, members: Collection[str]) -> set[str]:
        """Those of the members that a pattern names."""
        self._there.update(path.partition("/")[0] for path in members)
        hidden: set[str] = set()
        for pattern, glob in self._patterns.items():
            named = {path for path in members if fnmatchcase(path, glob)}
            self._used |= {pattern} if named else set()
            hidden |= named
        return hidden

    def check(self) -> None:
        """Returns if every pattern named something: with a slip in one, what was to be hidden would be shown."""
        for pattern in self._patterns:
            if pattern not in self._used:
                there = ", ".join(f"{folder}/ ({self._there[folder]})" for folder in FOLDERS if self._there[folder])
                raise UndersignedError(
                    "not_found",
                    f"{pattern[:200]!a} names nothing here that can be withheld; there is {there or 'nothing'}: all of "
                    "a folder by its name, or one by its digest, such as 'decisions/uEi*'",
                )


async def export_pack(
    ledger: Ledger,
    artifacts: ArtifactStore | None,
    own: Did,
    engagement: EngagementId,
    *,
    withhold: Collection[str] = (),
    ours: Collection[DidDocument] = (),
    absent: Callable[[Absent], None] = _unheard,
) -> bytes:
    """The pack, with those of the hires under the contract, the newest checkpoint that holds the contract, and the
    artifacts that are kept here; without a store of artifacts with none. `absent` hears of each that was delivered and
    is not in it, because it is missing, damaged, out of reach or too large. `ours` are documents of today, our own and
    those of who vouch for us, which the ledger need not have: one of an issuer goes in if all that we showed by it
    verifies by it, our own if a key of it signed that checkpoint and no document of ours from then has the key.

    What a pattern of `withhold` names, such as `decisions` or `decisions/uEi*`, is left out, and its commitment listed:
    approvals, artifacts, credentials, decisions, policies, refusals and status lists. Packs within this one are treated
    alike.

    Raises:
        UndersignedError: `not_found`, the ledger holds no such engagement, or a pattern names nothing, here or in a
            pack within, that can be withheld.
    """
    withholding = _Withholding(withhold)
    pack = await _exported(ledger, _Delivered(artifacts, absent), own, engagement, withholding, ours)
    withholding.check()
    return pack


def left_out(pack: bytes) -> dict[str, int]:
    """How much of each kind is withheld from a pack and from those within it, as `withheld.json` lists it."""
    found = Counter[str]()
    held = read_pack(pack)
    for _, raw in held.of_kind("withheld"):
        found.update(one.kind for one in decode(raw, type=WithheldList).withheld)
    for _, inner in held.of_kind("subcontract"):
        found.update(left_out(inner))
    return dict(sorted(found.items()))


async def _exported(
    ledger: Ledger,
    delivered: _Delivered,
    own: Did,
    engagement: EngagementId,
    withholding: _Withholding,
    ours: Collection[DidDocument],
) -> bytes:
    summary = await ledger.summary(engagement)
    if summary is None:
        raise UndersignedError("not_found", f"no engagement {engagement} in this ledger")
    rows = await ledger.rows(engagement)
    evidence = await ledger.evidence(engagement)
    found: dict[str, tuple[str, bytes]] = {}
    unread: set[str] = set()
    taken = _accepted(rows)
    for by, item in [(row, item) for row in rows for item in _artifacts_of(row)]:
        wanted = by.kind == "sent" or by.digest in taken
        path, data = f"artifacts/{item.digest}", await delivered.read(engagement, item, wanted)
        if data is not None:
            found[path] = ("artifact", data)
        else:
            unread.add(path)
    decisions = [row.raw for row in rows if row.kind == "noted" and row.type == "decision"]
    inputs = [decode(raw, type=Decision).inputs for raw in decisions]
    documents = [blob.raw for blob in evidence if blob.kind == "did-document"]
    documents += await _above(ledger, summary, own, rows)
    # Issuers' documents; those of the parties are there as they were when a message was checked.
    documents += [
        raw
        for raw in await _kept(ledger, [digest for one in inputs for digest in one.documents])
        if decode(raw).get("id") not in (own, summary.peer)
    ]
    documents += _vouching(rows, ours, {decode(raw).get("id") for raw in documents})
    closed, kept = _own_checkpoint(rows, own), await ledger.checkpoint()
    signer = _signer(kept, rows, own, documents, ours) if kept is not None else None
    note = _newest(closed, kept if signer is not None else None, SystemClock().now())
    inclusion = await _inclusion(ledger, engagement, rows, note)
    if signer is not None and inclusion is not None and note != closed:
        documents.append(signer.raw)
    found |= {f"decisions/{digest_bytes(raw)}.json": ("decision", raw) for raw in decisions}
    found |= await _rested_on(ledger, evidence, inputs)
    # What is not there is not shown either: a pattern that names it is no slip.
    hidden = withholding.named(found.keys() | unread)
    secret = await ledger.secret()
    withheld = sorted({_commitment(kind, raw, secret) for path, (kind, raw) in found.items() if path in hidden})

    def shown(kind: str) -> list[bytes]:
        return [raw for path, (of, raw) in found.items() if of == kind and path not in hidden]

    fork = [one for one in (await fork_in(ledger, engagement, alone=True),) if one is not None]
    # Of what was read above: a peer that runs has more in its log by now, and the checkpoint may have it.
    proofs = await _proofs(
        ledger,
        engagement,
        await logged(ledger, rows, evidence),
        note,
        {digest_bytes(raw) for raw in shown("decision")},
    )
    return write_pack(
        _fitting(rows, own),
        engagement=engagement,
        role="hirer" if summary.role == "hirer" else "provider",
        own=own,
        peer=summary.peer,
        documents=documents,
        checkpoint=note if inclusion is not None else None,
        inclusion=inclusion,
        artifacts=shown("artifact"),
        approvals=shown("approval"),
        refusals=shown("refusal"),
        decisions=shown("decision"),
        credentials=shown("credential"),
        statuses=shown("status"),
        policies=shown("policy"),
        forks=fork,
        proofs=canonicalize(from_struct(proofs)) if proofs is not None and inclusion is not None else None,
        withheld=canonicalize(from_struct(WithheldList(tuple(withheld)))) if withheld else None,
        subcontracts={
            contract: await _exported(ledger, delivered, own, child.engagement, withholding, ours)
            for contract, child in (await _children(ledger, summary, own)).items()
        },
    )


def _accepted(rows: Iterable[Row]) -> set[Digest]:
    """The deliveries that we accepted."""
    said = [recorded_message(row.raw).message for row in rows if row.type == "Review" and row.kind == "sent"]
    return {one.delivery for one in said if isinstance(one, Review) and one.verdict == "accepted"}


def _artifacts_of(row: Row) -> tuple[Artifact, ...]:
    """What a delivery says that it delivers; nothing of any other row."""
    if row.type != "Delivery" or row.kind == "noted":
        return ()
    delivery = recorded_message(row.raw).message
    return delivery.artifacts if isinstance(delivery, Delivery) else ()


async def _rested_on(
    ledger: Ledger, evidence: Iterable[Blob], inputs: Sequence[Inputs]
) -> dict[str, tuple[str, bytes]]:
    """What decisions with these inputs, reviews and gates rested on: kind and bytes, by the path in a pack."""
    lists = [blob.digest for blob in evidence if blob.kind == "status-list"]
    lists += [digest for one in inputs for digest in one.status_lists]
    found: dict[str, tuple[str, bytes]] = {}
    for kind, folder, things in (
        ("approval", "approvals", [blob.raw for blob in evidence if blob.kind == "approval"]),
        ("refusal", "refusals", [blob.raw for blob in evidence if blob.kind == "refusal"]),
        ("credential", "credentials", await _kept(ledger, [one for it in inputs for one in it.looked_up])),
        ("status", "status", await _kept(ledger, lists)),
        ("policy", "policies", await _kept(ledger, [one.policy for one in inputs])),
    ):
        found |= {f"{folder}/{digest_bytes(raw)}.json": (kind, raw) for raw in things}
    return found


def _vouching(rows: Iterable[Row], ours: Collection[DidDocument], there: Collection[Did]) -> list[bytes]:
    """Documents of the issuers of what we showed, unless one is there. An issuer may have replaced its key since: by
    a document of today the pack of before would not hold.
    """
    showed: dict[Did, list[tuple[Credential, Instant]]] = {}
    for row in rows:
        if row.kind == "sent" and row.type == "Presentation":
            message = recorded_message(row.raw).message
            if isinstance(message, Presentation):
                for one in read_presentation(message.presentation).credentials:
                    showed.setdefault(one.issuer, []).append((one, row.at))
    found: list[bytes] = []
    for document in ours:
        if document.id in showed and document.id not in there and not is_derived(document.id):
            with suppress(UndersignedError):
                for one, at in showed[document.id]:
                    verify_issued(one, documents={document.id: document}, now=at)
                found.append(document.raw)
    return found


def _fitting(rows: Sequence[Row], own: Did) -> list[Row]:
    """The messages that go into a pack: all, or without the oldest of what proves least, our own receipts and the signs
    of life of either side, where there are more than a pack has room for beside the rest. Nothing follows from these.
    """
    said = [row for row in rows if row.kind != "noted"]
    spare = len(said) - MAX_MESSAGES
    found: list[Row] = []
    seen: Digest | None = None
    """What the other side had of ours by its last message."""
    for row in said:
        before = seen
        if spare > 0 and row.sender != own:
            seen = recorded_message(row.raw).message.seen
        ours = row.sender == own and row.type in ("Receipt", "Progress")
        if spare > 0 and (ours or (row.type == "Progress" and seen == before)):
            spare -= 1
        else:
            found.append(row)
    return found


async def _kept(ledger: Ledger, digests: Iterable[Digest]) -> list[bytes]:
    """What the ledger has of these: a credential that was presented is in the journal and not kept apart."""
    found = [await ledger.blob(digest) for digest in dict.fromkeys(digests)]
    return [raw for raw in found if raw is not None]


def _commitment(kind: str, raw: bytes, secret: bytes) -> Withheld:
    """What stands for a thing that is withheld. A refusal is signed, and its signature is salt enough."""
    salt = b"" if kind == "refusal" else decision_salt(raw, secret)
    return to_struct({"kind": kind, "commitment": digest_bytes(salt + raw)}, Withheld)


async def _proofs(
    ledger: Ledger,
    engagement: EngagementId,
    things: Iterable[Logged],
    note: str | None,
    decisions: Collection[Digest],
) -> LogProofs | None:
    """Proofs of all these that have a leaf in the tree of `note`; with the salt of these decisions, which are shown."""
    size = read_checkpoint(read_note(note).text).size if note is not None else 0
    made: dict[int, LogProof] = {}
    for one in things:
        index = await ledger.index_of(engagement, leaf_hash(one.leaf))
        if index is None or index >= size:
            continue
        salt = f"u{base64url_encode(one.salt)}" if one.what == "decision" and one.digest in decisions else None
        label = one.what if one.what in ("contract", "decision", "refusal") else "move"
        proof = await ledger.inclusion(index, size)
        commitment = digest_from_hash(one.leaf[-32:])
        made[index] = to_struct(
            {"label": label, "commitment": commitment, "index": index, "path": list(proof.path)}
            | ({"salt": salt} if salt is not None else {}),
            LogProof,
        )
    return LogProofs(size, tuple(made[index] for index in sorted(made))) if made else None


async def _above(ledger: Ledger, summary: Summary, own: Did, rows: Iterable[Row]) -> list[bytes]:
    """Documents by which the contracts above a hire of ours verify: they are stored with our engagement above, where
    we are the provider. Of those, for each key that signed, the first that has it, so that nothing which comes later
    changes the pack.
    """
    said = {row.digest: recorded_message(row.raw).message for row in rows if row.type in ("Offer", "Seal")}
    offers = {digest: one for digest, one in said.items() if isinstance(one, Offer)}
    seal = next((one for one in said.values() if isinstance(one, Seal)), None)
    offer = showing(offers, seal.offer) if seal is not None else None
    shown = (offer.parents if offer is not None else None) or ()
    if summary.role != "hirer" or not shown:
        return []
    order = (await load_engagement(ledger, summary, own)).facts.get("order")
    within = read_order(order).within if order is not None else None
    if within is None:
        return []
    held = [one for one in await ledger.evidence(within.engagement) if one.kind == "did-document"]
    found: dict[Digest, bytes] = {}
    for method in sorted(_methods(shown)):
        did = method.partition("#")[0]
        for blob in held:
            if blob.name == did and not is_derived(did) and method in _named(blob):
                found[blob.digest] = blob.raw
                break
    return list(found.values())


def _named(blob: Blob) -> Collection[str]:
    document = DidDocument(blob.name, blob.raw)
    return {*document.methods("assertionMethod"), *document.methods("authentication")}


def _methods(parents: Iterable[JsonObject]) -> set[str]:
    """The verification methods that signed these contracts, their acceptances and seals."""
    found: set[str] = set()
    for part in (part for one in parents for part in one.values() if isinstance(part, dict)):
        proofs = part.get("proof")
        for proof in proofs if isinstance(proofs, list) else [proofs]:
            method = proof.get("verificationMethod") if isinstance(proof, dict) else None
            found |= {method} if isinstance(method, str) else set()
    return found


async def _children(ledger: Ledger, summary: Summary, own: Did) -> dict[Digest, Summary]:
    """The hires under a contract of which a contract was made, by its digest."""
    if summary.role != "provider" or summary.contract is None:
        return {}
    contract = (await load_engagement(ledger, summary, own)).engagement.contract
    found: dict[Digest, Summary] = {}
    for child in contract.children if contract is not None else ():
        below = await ledger.summary(child.engagement)
        if below is not None and below.contract is not None:
            found[below.contract] = below
    return found


def _own_checkpoint(rows: tuple[Row, ...], own: Did) -> str | None:
    """The checkpoint that our own `Closing` carries."""
    for row in reversed(rows):
        if row.type == "Closing" and row.kind == "sent" and row.sender == own:
            message = recorded_message(row.raw).message
            if isinstance(message, Closing):
                return read_multibase_note(message.checkpoint)
    return None


def _signer(
    note: str, rows: Iterable[Row], own: Did, documents: Iterable[bytes], ours: Iterable[DidDocument]
) -> DidDocument | None:
    """Our document by which a note holds: one that goes into the pack anyway, or else that of today, as a key may have
    been replaced since. None if it is by neither: more than one was.
    """
    then = max((row.at for row in rows if row.kind != "noted"), default=SystemClock().now())
    held = [DidDocument(own, raw) for raw in documents if decode(raw).get("id") == own]
    followed = [document_from(own, {})] if is_derived(own) else []
    for document in (*held, *followed, *(one for one in ours if one.id == own)):
        with suppress(LogProofError):
            verified_note(note, document, then)
            return document
    return None


def _newest(own: str | None, kept: str | None, now: Instant) -> str | None:
    """The checkpoint that a pack stands under: our closing's, or what witnesses cosigned last if that has it too. No
    line of theirs that was made after `now` is there.
    """
    kept = believed(kept, now) if kept is not None else None
    if own is None or kept is None:
        return own or kept
    closed, signed = (read_note(one) for one in (own, kept))
    witnessed = len(signed.signatures) > len(closed.signatures)
    return kept if witnessed and read_checkpoint(signed.text).size >= read_checkpoint(closed.text).size else own


async def _inclusion(
    ledger: Ledger, engagement: EngagementId, rows: tuple[Row, ...], note: str | None
) -> InclusionProof | None:
    """The proof that the contract is in the tree of `note`; None if there is no contract, or it came later."""
    offers: dict[str, Offer] = {}
    leaf: bytes | None = None
    for row in rows:
        if row.kind == "noted":
            continue
        if row.type == "Offer":
            message = recorded_message(row.raw).message
            # The contract itself; what changed it later has leaves of its own.
            if isinstance(message, Offer) and message.document.type == "Contract":
                offers[row.digest] = message
        elif row.type == "Acceptance":
            message = recorded_message(row.raw).message
            # Taken out: a second acceptance of the same offer is void, and has no leaf.
            if isinstance(message, Acceptance) and (offer := offers.pop(message.offer, None)) is not None:
                leaf = contract_leaf(countersigned(from_struct(offer.document), message.contract_proof))
    if leaf is None or note is None:
        return None
    index = await ledger.index_of(engagement, leaf_hash(leaf))
    size = read_checkpoint(read_note(note).text).size
    if index is None or index >= size:
        return None
    return await ledger.inclusion(index, size)
