"""The evidence that an accusation names: looked at before the accusation counts, and kept beside the graph.

Source: protocol-spec/12-trust.md, section 12.1
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import msgspec

from undersigned.contract import read_ruling, ruled_by, verify_ruling
from undersigned.credentials import Accusation, Credential, read_claim
from undersigned.did import DidDocument
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    EngagementId,
    Instant,
    canonicalize,
    decode_json,
    digest_bytes,
)
from undersigned.errors import CredentialError, FormatError, ResolutionError, UndersignedError, VerificationError
from undersigned.ledger import Ledger, Seen
from undersigned.messages import Ruling, SignedMessage, decode_message, verify_message
from undersigned.protocol import arbiters
from undersigned.runtime.engagement.documents import recorded_documents
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.home import Home
from undersigned.runtime.log.forks import DocumentsOf, by_one, check_fork, fork_document, fork_in
from undersigned.runtime.negotiation.papers import key_lookup

__all__ = ["equivocation_proof", "keep_evidence", "proved"]


async def equivocation_proof(ledger: Ledger, engagement: EngagementId) -> bytes:
    """What an accusation of equivocation names: two moves that the other side signed for one place, as a JSON array; or
    two histories of its log that it signed, as a JSON object.

    Raises:
        UndersignedError: `not_found`: the ledger holds neither of this engagement.
    """
    received = [row for row in await ledger.rows(engagement) if row.kind == "received"]
    for blob in await ledger.evidence(engagement):
        if blob.kind == "equivocation":
            other = decode_message(blob.raw)
            for row in received:
                if _conflict(decode_message(row.raw), other):
                    return b"[" + row.raw + b"," + blob.raw + b"]"
    found = await fork_in(ledger, engagement)
    if found is None:
        text = f"the other side of {engagement} signed no two moves for one place, and no two histories of its log"
        raise UndersignedError("not_found", text)
    return found


async def proved(
    credential: Credential,
    evidence: bytes | None,
    *,
    ledger: Ledger,
    own: Did,
    documents_of: DocumentsOf,
    now: Instant,
) -> frozenset[Digest]:
    """What `edge_of` is told of the evidence of this credential: its digest, once it shows what is said; of other
    credentials nothing. What the ledger recorded holds by the documents that it recorded with it, too: who replaces
    its key, or publishes no document any more, has signed it all the same.

    Raises:
        CredentialError: `policy_denied`: it is not here, or what it is about cannot be known here.
        UndersignedError: It shows something else, or does not verify.
    """
    if Accusation.type not in credential.types:
        return frozenset()
    claim = read_claim(credential)
    if not isinstance(claim, Accusation):
        return frozenset()
    if evidence is None or digest_bytes(evidence) != claim.evidence:
        wanted = f"a {claim.kind} counts beside {_WANTED[claim.kind]}, a file whose digest is {claim.evidence}"
        came = "none was given" if evidence is None else f"one of {digest_bytes(evidence)} was given"
        raise CredentialError("policy_denied", f"{wanted}: {came}", path="/credentialSubject/evidence")
    try:
        known = _Known(ledger, documents_of)
        if claim.kind == "equivocation":
            if evidence.lstrip().startswith(b"{"):
                await known.found_here(claim.id, evidence)
                await check_fork(evidence, known.documents_of, now=now, accused=claim.id)
            else:
                await _check_equivocation(evidence, claim.id, known)
        elif claim.kind == "breach":
            await _check_breach(evidence, claim.id, known, own, now)
    except FormatError as error:
        text = f"the evidence of a {claim.kind} has to be {_WANTED[claim.kind]}: {error.message}"
        raise FormatError(error.code, text, path=error.path) from error
    # What a judgement rests on is for its issuer to weigh, who is believed about it, and for whoever reads it.
    return frozenset({claim.evidence})


_WANTED = {
    "equivocation": "two moves that the accused signed for one place, or two histories of its log, as 'export "
    "--equivocation' or 'ledger forks' writes them",
    "breach": "the signed ruling of the contract's arbiter",
    "distrust": "what it rests on",
}


def keep_evidence(home: Home, evidence: bytes) -> None:
    """Writes evidence that an edge counts by into the state folder, under its digest."""
    write_whole(home.path / "accusations" / digest_bytes(evidence), evidence)


class _Known:
    """The documents by which evidence may hold: what a ledger recorded is held against those recorded with it as well.
    Only that: what comes later by a key that was removed is nobody's word (HIRE-KEY-07).
    """

    def __init__(self, ledger: Ledger, documents_of: DocumentsOf) -> None:
        self.ledger = ledger
        self._documents_of = documents_of
        self.recorded: tuple[EngagementId, ...] = ()
        """With which the evidence is recorded."""

    async def documents_of(self, did: Did) -> Sequence[DidDocument]:
        """Those of a DID, the ones of now last.

        Raises:
            ResolutionError: There is none.
        """
        kept = [one for id in self.recorded for one in await recorded_documents(self.ledger, id, did)]
        try:
            return (*kept, *await self._documents_of(did))
        except ResolutionError:
            if not kept:
                raise
            return kept

    async def found_here(self, log: Did, evidence: bytes) -> None:
        """Finds two histories among those that the ledger saw."""
        seen = await self.ledger.seen(log) or Seen()
        for fork in filter(None, (seen.fork, *(one.fork for one in seen.past))):
            with suppress(UndersignedError):  # a message that it needs is gone
                if canonicalize(await fork_document(self.ledger, fork)) == evidence:
                    self.recorded = tuple(one.engagement for one in (fork.held, fork.came) if one.engagement)

    async def received_here(self, *moves: SignedMessage) -> None:
        """Finds moves of one engagement among those that the ledger received, refused ones too."""
        id = moves[0].message.engagement
        kept = {row.raw for row in await self.ledger.rows(id) if row.kind == "received"}
        kept |= {one.raw for one in await self.ledger.evidence(id) if one.kind == "equivocation"}
        self.recorded = (id,) if all(one.raw in kept for one in moves) else ()


async def _check_equivocation(evidence: bytes, accused: Did, known: _Known) -> None:
    try:
        first, second = (decode_message(bytes(raw)) for raw in msgspec.json.decode(evidence, type=_TWO))
    except msgspec.MsgspecError as exc:
        raise FormatError("schema_violation", f"expected a JSON array of two moves: {exc}") from exc
    if first.message.sender != accused or not _conflict(first, second):
        text = f"expected two moves by {accused} in one place of one engagement, with different digests"
        raise VerificationError("evidence_invalid", text)
    await known.received_here(first, second)
    documents = await known.documents_of(accused)
    for one in (first, second):
        # As its receiver verified it, then: a proof on the wire has an end, and what it proves has none.
        by_one(documents, partial(_verify, one))


def _verify(signed: SignedMessage, document: DidDocument) -> None:
    verify_message(signed, {document.id: document}, now=signed.proof.created, recipient=signed.message.recipient)


_TWO = tuple[msgspec.Raw, msgspec.Raw]


def _conflict(one: SignedMessage, other: SignedMessage) -> bool:
    """Whether these are equivocation (HIRE-CHN-05)."""
    places = {(said.message.sender, said.message.engagement, said.message.sequence) for said in (one, other)}
    return len(places) == 1 and not (one.message.notice or other.message.notice) and one.digest != other.digest


async def _check_breach(evidence: bytes, accused: Did, known: _Known, own: Did, now: Instant) -> None:
    document = decode_json(evidence, FOREIGN_LIMITS)
    if not isinstance(document, dict):
        raise FormatError("schema_violation", "expected the ruling, a JSON object")
    ruling = read_ruling(document)
    for summary in await known.ledger.summaries():
        if summary.contract == ruling.contract:
            break
    else:
        text = f"the contract {ruling.contract}, of which the ruling is, is not known to be signed by both parties"
        raise CredentialError("policy_denied", text)
    named = arbiters((await load_engagement(known.ledger, summary, own)).engagement)
    if not named:
        raise VerificationError("evidence_invalid", f"the terms of {ruling.contract} name no arbiter")
    arbiter = ruled_by(document, named)
    for row in await known.ledger.rows(summary.engagement):
        if row.type == "Ruling" and row.kind != "noted":
            said = decode_message(row.raw).message
            if isinstance(said, Ruling) and said.ruling == document:
                known.recorded, now = (summary.engagement,), row.at
    by_one(
        await known.documents_of(arbiter),
        lambda of: verify_ruling(document, arbiter=arbiter, keys=key_lookup(of, now=now)),
    )
    parties = {summary.role: own, "provider" if summary.role == "hirer" else "hirer": summary.peer}
    wrong = {"for_hirer": "provider", "for_provider": "hirer"}.get(ruling.outcome)
    if wrong is None or parties[wrong] != accused:
        raise VerificationError("evidence_invalid", f"the ruling is {ruling.outcome}, which is not against {accused}")
