"""What of a pack stands in the packer's log beside the contract, and what was left out of it.

A proof names what it is about by its commitment, the hash that stands in its leaf after the label. So it can be checked
without the thing itself: a decision that is withheld is still known to have been recorded, before the checkpoint and
in its place, and whoever is shown it later can tell that it is this one. What is withheld is listed, and never silently
missing.

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.4 and 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import Meta, Struct

from undersigned.contract import accepted_by
from undersigned.encoding import Digest, base64url_decode, canonicalize, decode_json, digest_bytes, to_struct
from undersigned.errors import LogProofError, UndersignedError
from undersigned.evidence.case import Case, counted, invalid, named_by_digest, pack_of, signs_notes
from undersigned.evidence.pack import MANIFEST_LIMITS, Pack
from undersigned.messages import Acceptance, Closing
from undersigned.transparency import LOGGED_MOVES, Checkpoint, InclusionProof, committed_leaf, leaf_digest

__all__ = [
    "PROOFS",
    "WITHHELD",
    "LogProof",
    "LogProofs",
    "Withheld",
    "WithheldList",
    "check_decisions",
    "check_proofs",
    "check_recorded",
    "withheld_in",
]

PROOFS: Final = "ledger/proofs.json"
WITHHELD: Final = "withheld.json"

Label = Literal["contract", "move", "refusal", "decision"]
S = TypeVar("S", bound=Struct)


class LogProof(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """That one leaf stands in the packer's log."""

    label: Label
    """Which kind of leaf it is."""
    commitment: Digest
    """The hash that stands in the leaf after its label."""
    index: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    """Place of the leaf, counted from 0."""
    path: Annotated[tuple[Digest, ...], Meta(max_length=63)]
    """Sibling hashes, nearest first."""
    salt: Annotated[str, Meta(pattern=r"^u[A-Za-z0-9_-]{21}[AQgw](?!\n)$")] | None = None
    """Of a decision that is in the pack: 16 bytes, multibase."""


class LogProofs(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Proofs under the checkpoint of the pack, by place."""

    size: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Leaves in the tree of the checkpoint."""
    proofs: Annotated[tuple[LogProof, ...], Meta(min_length=1, max_length=10_000)]


class Withheld(Struct, frozen=True, order=True, rename="camel", forbid_unknown_fields=True):
    """Something that the packer has and left out."""

    kind: Literal["approval", "artifact", "credential", "decision", "policy", "refusal", "status"]
    commitment: Digest
    """Digest of 16 bytes of salt and the thing; of a refusal, which is signed, of the thing alone."""


class WithheldList(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """All that was left out, by kind and commitment."""

    withheld: Annotated[tuple[Withheld, ...], Meta(min_length=1, max_length=10_000)]


def check_proofs(case: Case, head: Checkpoint | None) -> tuple[LogProof, ...]:
    """The proofs, each of which leads to the checkpoint, and is of something in the pack or listed as withheld.

    Raises:
        LogProofError: `log_proof_invalid`.
    """
    pack = pack_of(case)
    read = _member(pack, PROOFS, LogProofs)
    if read is None:
        return ()
    if head is None or read.size != head.size:
        raise LogProofError("log_proof_invalid", f"{PROOFS} is of another tree than the checkpoint's")
    if any(one.index >= other.index for one, other in pairwise(read.proofs)):
        raise LogProofError("log_proof_invalid", f"{PROOFS} does not have its proofs by place")
    known = set(_commitments(pack, read))
    for one in read.proofs:
        if (one.label, one.commitment) not in known:
            raise LogProofError("log_proof_invalid", f"{PROOFS}: the {one.label} {one.commitment} is not here")
        leaf = leaf_digest(committed_leaf(one.label, one.commitment))
        InclusionProof(leaf, one.index, read.size, one.path).verify(head.root)
    case.proved.update(one.label for one in read.proofs)
    return read.proofs


def check_decisions(case: Case) -> str:
    """Decisions, and what they were made from, have their names, and what was left out is listed in the one form.

    Raises:
        VerificationError: `evidence_invalid`.
    """
    pack = pack_of(case)
    found: list[str] = []
    for kind, one, more, words in (
        ("decision", "decision", "decisions", "as recorded"),
        ("credential", "credential", "credentials", "as looked up"),
        ("status", "status list", "status lists", "as consulted"),
        ("policy", "policy", "policies", "that they name"),
    ):
        count = len([named_by_digest(path, data) for path, data in pack.of_kind(kind)])
        if kind == "decision":
            check_recorded(case, kind)
        if count:
            found.append(f"{counted(count, one, more)} {words}")
    left_out = withheld_in(pack)
    if len(set(left_out)) < len(left_out) or list(left_out) != sorted(left_out):
        raise invalid(f"{WITHHELD} does not list each thing once, by kind and commitment")
    said = Counter(one.kind for one in left_out)
    found += (
        [f"withheld: {', '.join(f'{count} of kind {kind}' for kind, count in sorted(said.items()))}"] if said else []
    )
    return "; ".join(found) or "no decision in this pack, and nothing withheld"


def check_recorded(case: Case, kind: Literal["decision", "refusal"]) -> None:
    """As many of a kind are proved to be in the packer's log as its `Closing` says that it recorded (HIRE-PCK-10). Each
    of these is in the pack, or listed as withheld; a decision is not signed, so one without a proof counts for nothing.

    Raises:
        VerificationError: `evidence_invalid`.
    """
    own, proved = pack_of(case).manifest.own, case.proved[kind]
    for _, message in case.verified:
        closing = message.message
        if isinstance(closing, Closing) and closing.sender == own and closing.recorded is not None:
            recorded = closing.recorded.decisions if kind == "decision" else closing.recorded.refusals
            if signs_notes(case, own) and proved < recorded:
                raise invalid(f"{own} recorded {recorded} of kind {kind}, as its Closing says; {PROOFS} has {proved}")


def _commitments(pack: Pack, proofs: LogProofs) -> Iterator[tuple[str, Digest]]:
    """(label, commitment) of everything here that has a leaf."""
    offers: dict[Digest, Any] = {}
    for one in pack.transcript:
        if one.message.type == "Offer":
            offers[one.signed.digest] = one.signed.content["document"]
        elif isinstance(one.message, Acceptance) and one.message.offer in offers:
            document = accepted_by(offers[one.message.offer], one.message.contract_proof)
            if document is not None:
                yield "contract", digest_bytes(canonicalize(document))
        if one.message.type in LOGGED_MOVES:
            yield "move", digest_bytes(one.signed.raw)
    for _, data in pack.of_kind("refusal"):
        yield "refusal", digest_bytes(data)
    decisions = [data for _, data in pack.of_kind("decision")]
    for salt in {one.salt for one in proofs.proofs if one.salt is not None}:
        for data in decisions:
            yield "decision", digest_bytes(base64url_decode(salt[1:]) + data)
    for one in withheld_in(pack):
        yield one.kind, one.commitment


def withheld_in(pack: Pack) -> tuple[Withheld, ...]:
    """What a pack says that it left out.

    Raises:
        VerificationError: `evidence_invalid`: its list is none.
    """
    read = _member(pack, WITHHELD, WithheldList)
    return read.withheld if read is not None else ()


def _member(pack: Pack, path: str, of: type[S]) -> S | None:
    """What a member of the packer's making says, which it writes in canonical form."""
    data = pack.members.get(path)
    if data is None:
        return None
    try:
        value = decode_json(data, MANIFEST_LIMITS)
        read = to_struct(value, of)
    except UndersignedError as exc:
        raise invalid(f"{path}: {exc.message}", path) from exc
    if canonicalize(value) != data:
        raise invalid(f"{path} is not in canonical form", path)
    return read
