"""The chain that a contract is a link of: the contracts above it, as its offer showed them, and those below it.

What stands above is in the transcript. What was hired below lies in the pack of a provider, each as a pack of its own,
which is checked by the same steps.

Source: protocol-spec/16-subcontracts.md, section 16.7
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from undersigned.contract import MAX_DEPTH, Terms, check_parents, check_within, read_parents, verify_parents
from undersigned.did import DidDocument
from undersigned.encoding import Did, DidUrl, Digest
from undersigned.errors import UndersignedError, VerificationError
from undersigned.evidence.case import Case, documents_of, invalid, key_among, pack_of, sealed_of
from undersigned.evidence.pack import SUBCONTRACTS
from undersigned.keys import PublicKey
from undersigned.messages import Offer, Seal, check_sealing

__all__ = ["Checked", "check_above", "check_below", "showing"]

Checked: TypeAlias = "tuple[str, Case]"
"""What is wrong with a pack below, empty if nothing; and what its steps found."""


def check_above(case: Case) -> Iterator[str]:
    """The parents that the contract was offered with: each signed by both of its parties and sealed. That the contract
    lies inside them was seen when the transcript was folded.
    """
    document = sealed_of(case).document
    if document.parent is None:
        return
    seal = next(message.message for _, message in case.verified if isinstance(message.message, Seal))
    offers = {message.digest: offer for _, message in case.verified if isinstance(offer := message.message, Offer)}
    offer = showing(offers, seal.offer)
    at = next((one.at for one, message in case.verified if message.message is offer), "")
    parents = read_parents((offer.parents if offer is not None else None) or ())
    check_parents(document, parents)
    held: dict[Did, Sequence[DidDocument]] = {}
    for did in (did for parent in parents for did in (parent.document.hirer, parent.document.provider)):
        held[did] = documents_of(case, did)
        if not held[did]:
            # Who signed under them had the documents, and so has whoever shows them.
            raise invalid(f"it stands under contracts of {did}, and no DID document of it is here")

    def keys(method: DidUrl, purpose: str) -> PublicKey:
        return key_among(held.get(method.partition("#")[0], ()), method, purpose, at)

    try:
        for parent in parents:
            check_sealing(parent.acceptance, parent.seal)
        verify_parents(parents, keys=keys)
    except UndersignedError as exc:
        raise VerificationError(exc.code, f"a contract above: {exc.message}") from exc
    yield f"under {', under '.join(parent.name for parent in parents)}"


def showing(offers: Mapping[Digest, Offer], sealed: Digest) -> Offer | None:
    """The hirer's offer that shows what a contract stands under: the one that was `sealed`, or the one that it answers,
    if the provider made it. `offers` are those of the negotiation, by digest.
    """
    offer = offers.get(sealed)
    return offer if offer is None or offer.role == "hirer" else offers.get(offer.in_reply_to or "")


def check_below(case: Case, check: Callable[[bytes, Case], Checked]) -> Iterator[str]:
    """Each pack of a hire under this contract holds by itself, is of a child of it, and lies inside it."""
    sealed = sealed_of(case)
    above = [sealed.document.terms, *(document.terms for _, document in case.amended)]
    for path, data in pack_of(case).of_kind("subcontract"):
        if case.level >= MAX_DEPTH:
            raise invalid(f"{path} lies deeper than a chain goes", path)
        wrong, below = check(data, case)
        if wrong:
            raise VerificationError("evidence_invalid", f"{path}: {wrong}", path=path)
        child = sealed_of(below)
        if path != f"{SUBCONTRACTS}/{child.digest}.zip":
            raise invalid(f"{path} is the pack of {child.digest}", path)
        document = child.document
        if document.parent != sealed.digest or document.hirer != sealed.document.provider:
            raise VerificationError("chain_invalid", f"{path} is no subcontract of this contract", path=path)
        _inside_one(document.terms, above, path)
        case.below.append(below)
        own = f", by documents of {', '.join(below.taken)} that are its own" if below.taken else ""
        yield f"{child.digest} under it holds{own}"


def _inside_one(terms: Terms, above: list[Terms], path: str) -> None:
    """Inside the terms that were in force at one time: which those were when it was signed, a pack does not say."""
    failure: UndersignedError | None = None
    for one in above:
        try:
            check_within(terms, one)
            return
        except UndersignedError as exc:
            failure = exc
    assert failure is not None  # noqa: S101  (a contract has terms)
    raise VerificationError(failure.code, f"{path}: {failure.message}", path=path)
