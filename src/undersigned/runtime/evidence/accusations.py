"""The evidence that an accusation names: looked at before the accusation counts, and kept beside the graph.

Source: protocol-spec/12-trust.md, section 12.1
"""

from __future__ import annotations

import msgspec

from undersigned.contract import read_ruling, ruled_by, verify_ruling
from undersigned.credentials import Accusation, Credential, read_claim
from undersigned.encoding import FOREIGN_LIMITS, Did, Digest, EngagementId, Instant, decode_json, digest_bytes
from undersigned.errors import CredentialError, FormatError, UndersignedError, VerificationError
from undersigned.ledger import Ledger
from undersigned.messages import SignedMessage, decode_message, verify_message
from undersigned.protocol import arbiters
from undersigned.runtime.engagement.turn import load_engagement
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.home import Home
from undersigned.runtime.log.forks import DocumentOf, check_fork, fork_in
from undersigned.runtime.negotiation.papers import keys_of

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
    document_of: DocumentOf,
    now: Instant,
) -> frozenset[Digest]:
    """What `edge_of` is told of the evidence of this credential: its digest, once it shows what is said; of other
    credentials nothing.

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
        if claim.kind == "equivocation":
            if evidence.lstrip().startswith(b"{"):
                await check_fork(evidence, document_of, now=now, accused=claim.id)
            else:
                await _check_equivocation(evidence, claim.id, document_of)
        elif claim.kind == "breach":
            await _check_breach(evidence, claim.id, ledger, own, document_of, now)
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


async def _check_equivocation(evidence: bytes, accused: Did, document_of: DocumentOf) -> None:
    try:
        first, second = (decode_message(bytes(raw)) for raw in msgspec.json.decode(evidence, type=_TWO))
    except msgspec.MsgspecError as exc:
        raise FormatError("schema_violation", f"expected a JSON array of two moves: {exc}") from exc
    if first.message.sender != accused or not _conflict(first, second):
        text = f"expected two moves by {accused} in one place of one engagement, with different digests"
        raise VerificationError("evidence_invalid", text)
    document = await document_of(accused)
    for one in (first, second):
        # As its receiver verified it, then: a proof on the wire has an end, and what it proves has none.
        verify_message(one, {accused: document}, now=one.proof.created, recipient=one.message.recipient)


_TWO = tuple[msgspec.Raw, msgspec.Raw]


def _conflict(one: SignedMessage, other: SignedMessage) -> bool:
    """Whether these are equivocation (HIRE-CHN-05)."""
    places = {(said.message.sender, said.message.engagement, said.message.sequence) for said in (one, other)}
    return len(places) == 1 and not (one.message.notice or other.message.notice) and one.digest != other.digest


async def _check_breach(
    evidence: bytes, accused: Did, ledger: Ledger, own: Did, document_of: DocumentOf, now: Instant
) -> None:
    document = decode_json(evidence, FOREIGN_LIMITS)
    if not isinstance(document, dict):
        raise FormatError("schema_violation", "expected the ruling, a JSON object")
    ruling = read_ruling(document)
    for summary in await ledger.summaries():
        if summary.contract == ruling.contract:
            break
    else:
        text = f"the contract {ruling.contract}, of which the ruling is, is not known to be signed by both parties"
        raise CredentialError("policy_denied", text)
    named = arbiters((await load_engagement(ledger, summary, own)).engagement)
    if not named:
        raise VerificationError("evidence_invalid", f"the terms of {ruling.contract} name no arbiter")
    arbiter = ruled_by(document, named)
    verify_ruling(document, arbiter=arbiter, keys=keys_of(await document_of(arbiter), now=now))
    parties = {summary.role: own, "provider" if summary.role == "hirer" else "hirer": summary.peer}
    wrong = {"for_hirer": "provider", "for_provider": "hirer"}.get(ruling.outcome)
    if wrong is None or parties[wrong] != accused:
        raise VerificationError("evidence_invalid", f"the ruling is {ruling.outcome}, which is not against {accused}")
