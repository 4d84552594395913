"""The evidence pack of an engagement, gathered from the store.

It needs no key and no connection, so it can be made beside a running peer, from a ledger opened for reading.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from msgspec.json import decode

from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId, canonicalize, digest_bytes, from_struct
from undersigned.errors import UndersignedError
from undersigned.evidence import WithheldList, write_pack
from undersigned.ledger import Blob, Ledger, Row, Summary
from undersigned.messages import recorded_message
from undersigned.runtime.artifacts.store import ArtifactStore
from undersigned.runtime.clock import SystemClock
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.log.forks import fork_in
from undersigned.runtime.log.logbook import logged
from undersigned.trust import Decision, Inputs

from .delivered import Absent, Delivered
from .pack_checkpoint import contract_inclusion, log_proofs, newest_checkpoint, own_checkpoint, signer_of
from .pack_documents import above, vouching
from .withholding import Withholding, commitment

__all__ = ["export_pack"]

MAX_MESSAGES: Final = 7000
"""Of a pack, which has 10,000 members: with the moves that a contract may have there is room for what else is in it."""
MAX_MESSAGES_BELOW: Final = 128
"""The same of the pack of a hire under a contract, of which 64 may lie in the pack of that one."""


def _unheard(_: Absent) -> None:
    """Nobody wants to know."""


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
    withholding = Withholding(withhold)
    pack = await _exported(ledger, Delivered(artifacts, absent), own, engagement, withholding, ours, MAX_MESSAGES)
    withholding.check()
    return pack


async def _exported(
    ledger: Ledger,
    delivered: Delivered,
    own: Did,
    engagement: EngagementId,
    withholding: Withholding,
    ours: Collection[DidDocument],
    most: int,
) -> bytes:
    summary = await ledger.summary(engagement)
    if summary is None:
        raise UndersignedError("not_found", f"no engagement {engagement} in this ledger")
    rows = await ledger.rows(engagement)
    evidence = await ledger.evidence(engagement)
    artifacts = await delivered.under(engagement, rows)
    decisions = [row.raw for row in rows if row.kind == "noted" and row.type == "decision"]
    inputs = [decode(raw, type=Decision).inputs for raw in decisions]
    documents = [blob.raw for blob in evidence if blob.kind == "did-document"]
    documents += await above(ledger, summary, own, rows)
    # Issuers' documents; those of the parties are there as they were when a message was checked.
    documents += [
        raw
        for raw in await _kept(ledger, [digest for one in inputs for digest in one.documents])
        if decode(raw).get("id") not in (own, summary.peer)
    ]
    documents += vouching(rows, ours, {decode(raw).get("id") for raw in documents})
    closed, kept = own_checkpoint(rows, own), await ledger.checkpoint()
    signer = signer_of(kept, rows, own, documents, ours) if kept is not None else None
    note = newest_checkpoint(closed, kept if signer is not None else None, SystemClock().now())
    inclusion = await contract_inclusion(ledger, engagement, rows, note)
    if signer is not None and inclusion is not None and note != closed:
        documents.append(signer.raw)
    found = {f"artifacts/{digest}": ("artifact", raw) for digest, raw in artifacts.items() if raw is not None}
    found |= {f"decisions/{digest_bytes(raw)}.json": ("decision", raw) for raw in decisions}
    found |= await _rested_on(ledger, evidence, inputs)
    # What is not there is not shown either: a pattern that names it is no slip.
    hidden = withholding.named(found.keys() | {f"artifacts/{digest}" for digest in artifacts})
    secret = await ledger.secret()
    withheld = sorted({commitment(kind, raw, secret) for path, (kind, raw) in found.items() if path in hidden})

    def shown(kind: str) -> list[bytes]:
        return [raw for path, (of, raw) in found.items() if of == kind and path not in hidden]

    fork = [one for one in (await fork_in(ledger, engagement, alone=True),) if one is not None]
    # Of what was read above: a peer that runs has more in its log by now, and the checkpoint may have it.
    proofs = await log_proofs(
        ledger,
        engagement,
        await logged(ledger, rows, evidence),
        note,
        {digest_bytes(raw) for raw in shown("decision")},
    )
    return write_pack(
        _fitting(rows, own, most),
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
            contract: await _exported(ledger, delivered, own, child.engagement, withholding, ours, MAX_MESSAGES_BELOW)
            for contract, child in (await _children(ledger, summary, own)).items()
        },
    )


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


def _fitting(rows: Sequence[Row], own: Did, most: int) -> list[Row]:
    """The messages that go into a pack: all, or without the oldest of what proves least, our own receipts and the signs
    of life of either side, where there are more than `most`. Nothing follows from these.
    """
    said = [row for row in rows if row.kind != "noted"]
    spare = len(said) - most
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
