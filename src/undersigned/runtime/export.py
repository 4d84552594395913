"""The evidence pack of an engagement, gathered from the store.

It needs no key and no connection, so it can be made beside a running peer, from a ledger opened for reading.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from undersigned.contract import countersigned
from undersigned.encoding import Did, Digest, EngagementId, from_struct
from undersigned.errors import UndersignedError
from undersigned.evidence import write_pack
from undersigned.ledger import Ledger, Row, Summary
from undersigned.messages import Acceptance, Closing, Delivery, Offer, recorded_message
from undersigned.transparency import InclusionProof, contract_leaf, leaf_hash, read_checkpoint, read_note

from .artifacts import ArtifactStore
from .logbook import read_multibase_note
from .turn import load_engagement

__all__ = ["export_pack"]


async def export_pack(ledger: Ledger, artifacts: ArtifactStore, own: Did, engagement: EngagementId) -> bytes:
    """The pack, with those of the hires under the contract, the newest checkpoint that holds the contract, and the
    artifacts that are kept here.

    Raises:
        UndersignedError: `not_found`, the ledger holds no such engagement.
    """
    summary = await ledger.summary(engagement)
    if summary is None:
        raise UndersignedError("not_found", f"no engagement {engagement} in this ledger")
    rows = await ledger.rows(engagement)
    note = _own_checkpoint(rows, own) or await ledger.checkpoint()
    inclusion = await _inclusion(ledger, rows, note)
    evidence = await ledger.evidence(engagement)
    kept: list[bytes] = []
    for row in rows:
        if row.type == "Delivery" and row.kind != "noted":
            delivery = recorded_message(row.raw).message
            if isinstance(delivery, Delivery):
                kept += [
                    await artifacts.get(item.digest)
                    for item in delivery.artifacts
                    if artifacts.size(item.digest) is not None
                ]
    return write_pack(
        rows,
        engagement=engagement,
        role="hirer" if summary.role == "hirer" else "provider",
        own=own,
        peer=summary.peer,
        documents=[blob.raw for blob in evidence if blob.kind == "did-document"],
        checkpoint=note if inclusion is not None else None,
        inclusion=inclusion,
        artifacts=kept,
        approvals=[blob.raw for blob in evidence if blob.kind == "approval"],
        refusals=[blob.raw for blob in evidence if blob.kind == "refusal"],
        subcontracts={
            contract: await export_pack(ledger, artifacts, own, child.engagement)
            for contract, child in (await _children(ledger, summary, own)).items()
        },
    )


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


async def _inclusion(ledger: Ledger, rows: tuple[Row, ...], note: str | None) -> InclusionProof | None:
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
            if isinstance(message, Acceptance) and message.offer in offers:
                document = from_struct(offers[message.offer].document)
                leaf = contract_leaf(countersigned(document, message.contract_proof))
    if leaf is None or note is None:
        return None
    index = await ledger.index_of(leaf_hash(leaf))
    size = read_checkpoint(read_note(note).text).size
    if index is None or index >= size:
        return None
    return await ledger.inclusion(index, size)
