"""DID documents that a pack needs beside those of its parties: of the contracts above it, and of who vouches for us.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from undersigned.credentials import Credential, read_presentation, verify_issued
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Did, Digest, Instant, JsonObject
from undersigned.errors import UndersignedError
from undersigned.evidence import showing
from undersigned.ledger import Blob, Ledger, Row, Summary
from undersigned.messages import Offer, Presentation, Seal, recorded_message
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.negotiation.order import order_in

__all__ = ["above", "vouching"]


async def above(ledger: Ledger, summary: Summary, own: Did, rows: Iterable[Row]) -> list[bytes]:
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
    order = order_in((await load_engagement(ledger, summary, own)).facts)
    within = order.within if order is not None else None
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


def vouching(rows: Iterable[Row], ours: Collection[DidDocument], there: Collection[Did]) -> list[bytes]:
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
