"""What became of a contract: amendments and releases, each whole, and rulings.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from undersigned.contract import (
    AmendmentDocument,
    ContractDocument,
    Terms,
    ruled_by,
    verify_ruling,
    verify_sealed_change,
)
from undersigned.encoding import Did
from undersigned.errors import VerificationError
from undersigned.evidence.case import Case, documents_of, invalid, key_among, pack_of, sealed_of, sealing_keys
from undersigned.evidence.pack import Transcribed, sealed_documents
from undersigned.messages import Dispute, Ruling

__all__ = ["arbiters_at", "check_changes", "document_at", "documents_known", "terms_at"]


def check_changes(case: Case) -> str:
    """Each sealed amendment or release stands alone and changes what was in force; each ruling is the arbiter's.

    That they are of this contract and chained was seen when the transcript was folded. An arbiter whose DID document is
    neither in the pack nor follows from its DID cannot be checked, and the report says so.
    """
    pack = pack_of(case)
    said: list[str] = []
    for number, (document, acceptance, seal) in sealed_documents(pack.transcript)[1:]:
        change = verify_sealed_change(document, acceptance, seal, keys=sealing_keys(case, acceptance, seal))
        if isinstance(change.document, AmendmentDocument):
            case.amended.append((number, change.document))
        said.append(f"{change.document.type} {change.digest} holds")
    return "; ".join([*said, *_rulings(case)])


def document_at(case: Case, number: int) -> ContractDocument:
    """The document in force when message `number` was recorded."""
    found = sealed_of(case).document
    for sealed, document in case.amended:
        if sealed < number:
            found = document
    return found


def terms_at(case: Case, number: int) -> Terms:
    """The terms in force when message `number` was recorded."""
    return document_at(case, number).terms


def documents_known(case: Case, move: Transcribed) -> list[ContractDocument]:
    """The document in force when a move was recorded; before it the one that was so until then, if the sender of the
    move had not seen the seal of the other side that changed it.
    """
    found = [document_at(case, move.number)]
    seals = [sealed for sealed, _ in case.amended if sealed < move.number]
    if seals:
        numbers = {message.digest: one.number for one, message in case.verified}
        role = next(one.message.role for one, _ in case.verified if one.number == seals[-1])
        if role != move.message.role and numbers.get(move.message.seen or "", 0) < seals[-1]:
            found.insert(0, document_at(case, seals[-1]))
    return found


def arbiters_at(case: Case, number: int) -> list[Did]:
    """Who may rule when message `number` is recorded: whom the terms name that are in force then, and whom those named
    that the sender of a dispute of before knew of.
    """
    disputes = [one for one, message in case.verified if isinstance(message.message, Dispute) and one.number < number]
    known = [document for one in disputes for document in documents_known(case, one)]
    return list(dict.fromkeys(filter(None, (one.terms.arbiter for one in (*known, document_at(case, number))))))


def _rulings(case: Case) -> Iterator[str]:
    for one, message in case.verified:
        ruling = message.message
        if not isinstance(ruling, Ruling):
            continue
        named = arbiters_at(case, one.number)
        if not named:
            raise invalid(f"message {one.number} is a ruling, and the terms name no arbiter")
        arbiter = ruled_by(ruling.ruling, named)
        documents = documents_of(case, arbiter)
        if not documents:
            # What is owed rests on it, and who took it had the document.
            raise invalid(f"message {one.number} is a ruling, and no DID document of the arbiter {arbiter} is here")
        keys = partial(key_among, documents, at=one.at)
        try:
            read = verify_ruling(ruling.ruling, arbiter=arbiter, keys=keys)
        except VerificationError as exc:
            raise VerificationError(exc.code, f"message {one.number}, Ruling: {exc.message}") from exc
        yield f"ruled {read.outcome}, {read.amount} {read.currency} owed"
