"""What the steps of a pack's verification hand on to each other: each adds what it verified, and reads no more.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct, field

from undersigned.attestation import RefusalPredicate, VerifiedStatement
from undersigned.contract import AmendmentDocument, SealedContract
from undersigned.did import DidDocument, document_from, is_derived, keys_of
from undersigned.encoding import Did, DidUrl, Digest, Instant, JsonObject, digest_bytes
from undersigned.errors import UndersignedError, VerificationError
from undersigned.evidence.pack import Pack, Transcribed
from undersigned.keys import PublicKey
from undersigned.messages import VerifiedMessage
from undersigned.protocol import Early, Engagement
from undersigned.transparency import NoteVerifier

__all__ = [
    "ASSERTION",
    "Case",
    "assertion_keys",
    "counted",
    "documents_of",
    "engagement_of",
    "invalid",
    "key_among",
    "lookup_in",
    "named_by_digest",
    "pack_of",
    "sealed_of",
    "sealing_keys",
    "signs_notes",
]

ASSERTION: Final = "assertionMethod"


class Case(Struct):
    """What the steps so far have verified; each step adds to it."""

    data: bytes
    now: Instant
    level: int = 0
    """How many packs this one lies in."""
    known: dict[Did, list[DidDocument]] = field(default_factory=dict[Did, list[DidDocument]])
    """What the verifier resolved itself."""
    witnesses: tuple[NoteVerifier, ...] = ()
    """Who, as the verifier knows, cosigns logs, and by which key; each must have cosigned the pack's."""
    pack: Pack | None = None
    documents: dict[Did, list[DidDocument]] = field(default_factory=dict[Did, list[DidDocument]])
    taken: list[Did] = field(default_factory=list[Did])
    """Whose documents the pack alone says: the parties first."""
    verified: list[tuple[Transcribed, VerifiedMessage]] = field(
        default_factory=list[tuple[Transcribed, VerifiedMessage]]
    )
    engagement: Engagement | None = None
    early: list[Early] = field(default_factory=list[Early])
    """What the other side did before its time, by the packer's record."""
    sealed: SealedContract | None = None
    statements: dict[Digest, tuple[VerifiedStatement, ...]] = field(
        default_factory=dict[Digest, tuple[VerifiedStatement, ...]]
    )
    """By delivery."""
    judges: dict[Digest, Did] = field(default_factory=dict[Digest, Did])
    """By review: whose statement it carries."""
    amended: list[tuple[int, AmendmentDocument]] = field(default_factory=list[tuple[int, AmendmentDocument]])
    """Sealed amendments, each with the number of its seal, in order."""
    proved: Counter[str] = field(default_factory=Counter[str])
    """Leaves that are proved to be in the packer's log, by label."""
    refusals: list[RefusalPredicate] = field(default_factory=list[RefusalPredicate])
    below: list[Case] = field(default_factory=list["Case"])
    """Packs inside this one, of what was hired under the contract."""


def pack_of(case: Case) -> Pack:
    """The pack of step 1."""
    if case.pack is None:
        raise invalid("there is no pack")
    return case.pack


def engagement_of(case: Case) -> Engagement:
    """The engagement of step 4."""
    if case.engagement is None:
        raise invalid("the transcript leads nowhere")
    return case.engagement


def sealed_of(case: Case) -> SealedContract:
    """The contract of step 5; work without one is refused."""
    if case.sealed is None:
        raise invalid("work without a contract")
    return case.sealed


def lookup_in(case: Case, at: Instant) -> Callable[[DidUrl, str], PublicKey]:
    """Keys of the parties' documents in the pack."""

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        return key_among(case.documents.get(method.partition("#")[0], ()), method, purpose, at)

    return lookup


def key_among(documents: Iterable[DidDocument], method: DidUrl, purpose: str, at: Instant) -> PublicKey:
    """The key of the first of a DID's documents that has it."""
    failure: UndersignedError | None = None
    for document in documents:
        try:
            return document.key_for(method, purpose, now=at)
        except UndersignedError as exc:
            failure = exc
    raise failure or VerificationError("key_not_authorized", f"{method[:160]!a} is of nobody in this pack")


def sealing_keys(case: Case, acceptance: JsonObject, seal: JsonObject) -> Callable[[DidUrl, str], PublicKey]:
    """Keys for a document with both proofs: each as it was when the move with that proof was recorded. A key may
    have had its end since; whoever relied on it then has the evidence of it.
    """
    times = {message.digest: one.at for one, message in case.verified}
    offered, accepted = times[str(seal["offer"])], times[str(seal["acceptance"])]
    by_offerer, by_acceptor = lookup_in(case, offered), lookup_in(case, accepted)

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        of = by_acceptor if method.partition("#")[0] == acceptance["sender"] else by_offerer
        return of(method, purpose)

    return lookup


def assertion_keys(case: Case, did: Did, at: Instant | None = None) -> dict[DidUrl, PublicKey]:
    """Keys by which a DID makes claims, then or by the end of the pack; one whose kind is not used here speaks for
    nobody.
    """
    # The first document that has a method decides, as in `lookup_in`.
    return keys_of(case.documents.get(did, ()), ASSERTION, now=at or pack_of(case).manifest.created)


def documents_of(case: Case, did: Did) -> Sequence[DidDocument]:
    """All of one DID that is no party: keys are changed, and an older document has the key that signed."""
    held = case.known.get(did) or case.documents.get(did)
    return held or ([document_from(did, {})] if is_derived(did) else [])


def signs_notes(case: Case, did: Did) -> bool:
    """Whether a DID has a key that signs checkpoints."""
    return any(key.kind == "Ed25519" for key in assertion_keys(case, did).values())


def named_by_digest(path: str, data: bytes, ending: str = ".json") -> Digest:
    """The digest of a member that has its name in its folder from it.

    Raises:
        VerificationError: `evidence_invalid`: it has another name.
    """
    digest = digest_bytes(data)
    if path != f"{path.partition('/')[0]}/{digest}{ending}":
        raise invalid(f"{path} is not named by its digest")
    return digest


def counted(count: int, one: str, more: str) -> str:
    """`1 proof holds`, `2 proofs hold`."""
    return f"{count} {one if count == 1 else more}"


def invalid(text: str, path: str = "") -> VerificationError:
    """The error of a pack that contradicts itself."""
    return VerificationError("evidence_invalid", text, path=path)
