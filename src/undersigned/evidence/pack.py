"""Evidence packs, format 1: what proves an engagement, in one file, for somebody who asks nobody.

    manifest.json                            format, parties, and each other member's digest
    transcript/NNNN-<sent|received>-<Type>.json   each message byte for byte, in the order of the packer's journal
    contract.json                            document with both proofs, `Acceptance` and `Seal`
    statements/NNNN-<work|acceptance>-N.json DSSE envelopes of message NNNN
    did-documents/<digest>.json              as resolved when signatures were checked
    ledger/checkpoint.txt                    signed note of the packer's log
    ledger/inclusion.json                    proof that the contract is in it
    artifacts/<digest>                       what was delivered, if it travels along
    approvals/<digest>.json                  what the packer's people signed about its terms
    subcontracts/<contract>.zip              packs of what the packer, its provider, hired under the contract
    refusals/<digest>.json                   DSSE envelopes: what the packer's gate said no to
    ledger/proofs.json                       proofs that moves, refusals and decisions are in the packer's log
    decisions/<digest>.json                  decisions of the packer, as recorded
    credentials/<digest>.json                credentials that it looked up beside those presented, as signed
    status/<digest>.json                     status lists that it consulted, as signed
    policies/<digest>.json                   policies of the packer that its decisions name
    forks/<digest>.json                      two histories of the other side's log, which showed here
    withheld.json                            commitments of what was left out

`write_pack` derives contract and statements from the transcript, so that a pack cannot disagree with itself by
accident; `undersigned.evidence.verify` derives them again and compares.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Protocol

from msgspec import Meta, Struct
from msgspec.structs import replace

from undersigned.contract import countersigned
from undersigned.did import document_from, is_derived
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    JsonValue,
    canonicalize,
    decode_json,
    digest_bytes,
    from_struct,
    to_struct,
)
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.evidence.archive import read_archive, write_archive
from undersigned.messages import Acceptance, Delivery, Message, Offer, Review, Seal, SignedMessage, decode_message
from undersigned.transparency import InclusionProof

__all__ = [
    "FORMAT",
    "JournalLine",
    "Manifest",
    "Member",
    "Pack",
    "Transcribed",
    "read_pack",
    "sealed_documents",
    "transcribed",
    "write_pack",
]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CONTRACT: Final = "contract.json"
CHECKPOINT: Final = "ledger/checkpoint.txt"
INCLUSION: Final = "ledger/inclusion.json"
SUBCONTRACTS: Final = "subcontracts"

MANIFEST_LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=8 * 1024 * 1024, max_items=20_000)
"""Of the manifest, which lists every member."""

KINDS: Final = frozenset(
    {
        *("message", "contract", "statement", "did-document", "ledger", "artifact", "refusal", "subcontract"),
        *("log-proofs", "decision", "credential", "status", "policy", "withheld"),
    }
)
"""Kinds of members that are judged."""
PLACES: Final = MappingProxyType(
    {
        **{CONTRACT: "contract", CHECKPOINT: "ledger", INCLUSION: "ledger"},
        **{"ledger/proofs.json": "log-proofs", "withheld.json": "withheld"},
        **{"transcript": "message", "statements": "statement", "did-documents": "did-document", "refusals": "refusal"},
        **{"artifacts": "artifact", SUBCONTRACTS: "subcontract", "decisions": "decision", "status": "status"},
        **{"credentials": "credential", "policies": "policy", "approvals": "approval", "forks": "fork"},
    }
)
"""Kind of what lies in a file, or in a folder."""
Kind = Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,31}(?!\n)$")]


class JournalLine(Protocol):
    """A line of a journal; `undersigned.ledger.Row` is one. Facts (`noted`) stay at home."""

    @property
    def kind(self) -> str:
        """`sent`, `received` or `noted`."""
        ...

    @property
    def at(self) -> Instant:
        """When it was recorded."""
        ...

    @property
    def raw(self) -> bytes:
        """The message as it was sent or came."""
        ...


class Member(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One other member of the archive."""

    path: str
    digest: Digest
    """Of its bytes."""
    kind: Kind
    """`message`, `contract`, `statement`, `did-document`, `ledger`, `artifact`, `refusal`, `subcontract`, `log-proofs`,
    `decision`, `credential`, `status`, `policy`, `withheld`; others (`approval`, `fork`) are kept and not judged.
    """
    recorded_at: Instant | None = None
    """Messages: when the packer recorded it."""


class Manifest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What a pack says it is."""

    format: Literal[1]
    engagement: EngagementId
    role: Literal["hirer", "provider"]
    """The packer's."""
    own: Did
    """The packer."""
    peer: Did
    contract: Digest | None = None
    """The contract as first sealed; absent if none was."""
    created: Instant
    """When the last message in it was recorded, so that packing again gives the same bytes."""
    members: tuple[Member, ...]
    """Every other member, by path."""


class Transcribed(Struct, frozen=True):
    """One message of the transcript, decoded and not verified."""

    number: int
    kind: str
    at: Instant
    signed: SignedMessage

    @property
    def message(self) -> Message:
        """The message itself."""
        return self.signed.message


class Pack(Struct, frozen=True):
    """A pack whose archive and manifest agree; what its members say is not verified."""

    manifest: Manifest
    members: Mapping[str, bytes]
    transcript: tuple[Transcribed, ...]

    def of_kind(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """(path, bytes) of each member of a kind, by path."""
        return ((item.path, self.members[item.path]) for item in self.manifest.members if item.kind == kind)


def write_pack(
    lines: Iterable[JournalLine],
    *,
    engagement: EngagementId,
    role: Literal["hirer", "provider"],
    own: Did,
    peer: Did,
    documents: Iterable[bytes] = (),
    checkpoint: str | None = None,
    inclusion: InclusionProof | None = None,
    artifacts: Iterable[bytes] = (),
    approvals: Iterable[bytes] = (),
    refusals: Iterable[bytes] = (),
    subcontracts: Mapping[Digest, bytes] = MappingProxyType({}),
    proofs: bytes | None = None,
    decisions: Iterable[bytes] = (),
    credentials: Iterable[bytes] = (),
    statuses: Iterable[bytes] = (),
    policies: Iterable[bytes] = (),
    forks: Iterable[bytes] = (),
    withheld: bytes | None = None,
) -> bytes:
    """The pack of an engagement, from its journal. The same input gives the same bytes.

    `documents` are DID documents as resolved; those that follow from the DID itself are added. `inclusion` must be of
    the tree that `checkpoint` signs. `subcontracts` are packs by the digest of their contract. `proofs` and `withheld`
    are `LogProofs` and a `WithheldList` in canonical form.

    Raises:
        VerificationError: `evidence_invalid`: the journal holds no message.
        FormatError: A row or document is not readable; `too_large`.
    """
    said = [line for line in lines if line.kind != "noted"]
    if not said:
        raise VerificationError("evidence_invalid", "there is no message to prove anything with")
    members: dict[str, tuple[bytes, str, Instant | None]] = {}
    transcript = transcribed(said)
    for one, line in zip(transcript, said, strict=True):
        members[message_path(one)] = line.raw, "message", line.at
    sealed = sealed_contract(transcript)
    if sealed is not None:
        members[CONTRACT] = canonicalize(sealed), "contract", None
    members.update((path, (data, "statement", None)) for path, data in statement_members(transcript))
    followed = [document_from(did, {}).raw for did in (own, peer) if is_derived(did)]
    for data in (*documents, *followed):
        members[f"did-documents/{digest_bytes(data)}.json"] = data, "did-document", None
    if checkpoint is not None:
        members[CHECKPOINT] = checkpoint.encode(), "ledger", None
    if inclusion is not None:
        members[INCLUSION] = canonicalize(inclusion.document()), "ledger", None
    for folder, kind, those in (
        ("approvals", "approval", approvals),
        ("refusals", "refusal", refusals),
        ("decisions", "decision", decisions),
        ("credentials", "credential", credentials),
        ("status", "status", statuses),
        ("policies", "policy", policies),
        ("forks", "fork", forks),
    ):
        for data in those:
            members[f"{folder}/{digest_bytes(data)}.json"] = data, kind, None
    if proofs is not None:
        members["ledger/proofs.json"] = proofs, "log-proofs", None
    if withheld is not None:
        members["withheld.json"] = withheld, "withheld", None
    for name, data in subcontracts.items():
        members[f"{SUBCONTRACTS}/{name}.zip"] = data, "subcontract", None
    for data in artifacts:
        members[f"artifacts/{digest_bytes(data)}"] = data, "artifact", None
    manifest = Manifest(
        format=FORMAT,
        engagement=engagement,
        role=role,
        own=own,
        peer=peer,
        contract=_sealed_digest(transcript),
        created=max(line.at for line in said),
        members=tuple(Member(path, digest_bytes(data), kind, at) for path, (data, kind, at) in sorted(members.items())),
    )
    files = {path: data for path, (data, _, _) in members.items()}
    return write_archive({**files, MANIFEST: canonicalize(from_struct(manifest))})


def read_pack(data: bytes) -> Pack:
    """The pack in these bytes, once its archive has the form of packs and every member is what the manifest says.

    Raises:
        VerificationError: `evidence_invalid`: a member is changed, missing or not listed, or the manifest is none.
        FormatError: `too_large`, `bad_path`; or a message of the transcript is not one.
    """
    members = read_archive(data)
    manifest = _read_manifest(members.pop(MANIFEST, None))
    listed = [item.path for item in manifest.members]
    if listed != sorted(set(listed)) or set(listed) != set(members):
        odd = sorted(set(listed) ^ set(members))
        raise VerificationError(
            "evidence_invalid", f"listed and packed members differ: {', '.join(odd[:5]) or 'order'}"
        )
    transcript: list[Transcribed] = []
    for item in manifest.members:
        if digest_bytes(members[item.path]) != item.digest:
            raise VerificationError("evidence_invalid", f"{item.path} was changed", path=item.path)
        _check_kind(item)
        if (item.recorded_at is not None) != (item.kind == "message"):
            raise VerificationError("evidence_invalid", f"{item.path}: a message, and nothing else, was recorded")
        if item.kind == "message" and item.recorded_at is not None:
            transcript.append(_transcribed(len(transcript) + 1, item.path, item.recorded_at, members[item.path]))
    return Pack(manifest, members, tuple(transcript))


def _check_kind(item: Member) -> None:
    """A member under another name would be kept and not judged."""
    kind = PLACES.get(item.path) or PLACES.get(item.path.partition("/")[0])
    if kind is None and item.kind in PLACES.values():
        raise VerificationError("evidence_invalid", f"{item.path}: nothing of the kind {item.kind} stands there")
    if kind is not None and item.kind != kind:
        raise VerificationError("evidence_invalid", f"{item.path}: expected the kind {kind}, got {item.kind!a}")


def _read_manifest(data: bytes | None) -> Manifest:
    if data is None:
        raise VerificationError("evidence_invalid", f"there is no {MANIFEST}")
    try:
        value = decode_json(data, MANIFEST_LIMITS)
        manifest = to_struct(value, Manifest)
    except UndersignedError as exc:
        raise VerificationError("evidence_invalid", f"{MANIFEST}: {exc.message}", path=exc.path) from exc
    if canonicalize(value) != data:
        raise VerificationError("evidence_invalid", f"{MANIFEST} is not in canonical form")
    return manifest


def _transcribed(number: int, path: str, at: Instant, raw: bytes) -> Transcribed:
    name = path.partition("/")[2].split("-")
    kind = name[1] if len(name) == 3 else ""
    try:
        one = Transcribed(number, kind, at, decode_message(raw))
    except UndersignedError as exc:
        raise FormatError(exc.code, f"{path}: {exc.message}", path=exc.path) from exc
    if kind not in ("sent", "received") or path != message_path(one):
        raise VerificationError("evidence_invalid", f"{path} is not the name of message {number}")
    return one


def transcribed(lines: Iterable[JournalLine]) -> list[Transcribed]:
    """Lines of a journal that are messages, decoded.

    Raises:
        FormatError: One is not readable.
    """
    return [Transcribed(number, one.kind, one.at, decode_message(one.raw)) for number, one in enumerate(lines, start=1)]


def message_path(one: Transcribed) -> str:
    """Where a message lies in the archive. Four digits sort as the journal runs: a pack never holds more."""
    return f"transcript/{one.number:04d}-{one.kind}-{one.message.type}.json"


def sealed_contract(transcript: Sequence[Transcribed]) -> JsonObject | None:
    """Document with both proofs, `Acceptance` and `Seal`, as the transcript has them; None if nothing was sealed.

    Raises:
        VerificationError: `evidence_invalid`: the offer or the acceptance that the seal names is not there.
    """
    first = next(_sealed(transcript), None)
    return dict(zip(("document", "acceptance", "seal"), first[1], strict=True)) if first is not None else None


def sealed_documents(
    transcript: Sequence[Transcribed],
) -> list[tuple[int, tuple[JsonObject, JsonObject, JsonObject]]]:
    """For each seal its message's number, and the document with both proofs, the `Acceptance` and the `Seal`.

    The first is the contract, the others amend or release it.

    Raises:
        VerificationError: `evidence_invalid`: the offer or the acceptance that a seal names is not there.
    """
    return list(_sealed(transcript))


def _sealed(transcript: Sequence[Transcribed]) -> Iterator[tuple[int, tuple[JsonObject, JsonObject, JsonObject]]]:
    for one in transcript:
        if not isinstance(one.message, Seal):
            continue
        offer = _by_digest(transcript, one.message.offer, Offer)
        acceptance = _by_digest(transcript, one.message.acceptance, Acceptance)
        proof = acceptance.message.contract_proof if isinstance(acceptance.message, Acceptance) else {}
        document: Any = offer.signed.content["document"]
        both = countersigned(document, proof)
        yield one.number, (both, _whole(acceptance.signed), _whole(one.signed))


def statement_members(transcript: Sequence[Transcribed]) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of each envelope that a `Delivery` or `Review` of the transcript carries."""
    for one in transcript:
        carried: Sequence[Mapping[str, JsonValue]] = ()
        kind = "work"
        if isinstance(one.message, Delivery):
            carried = one.message.statements
        elif isinstance(one.message, Review):
            carried, kind = (one.message.statement,), "acceptance"
        for place, statement in enumerate(carried, start=1):
            yield f"statements/{one.number:04d}-{kind}-{place}.json", canonicalize(statement)


def _seal(transcript: Sequence[Transcribed]) -> tuple[Transcribed, Seal] | None:
    """The first seal: the one that made the contract."""
    return next(((one, one.message) for one in transcript if isinstance(one.message, Seal)), None)


def _sealed_digest(transcript: Sequence[Transcribed]) -> Digest | None:
    found = _seal(transcript)
    return found[1].document if found else None


def _by_digest(transcript: Sequence[Transcribed], digest: Digest, of: type[Message]) -> Transcribed:
    for one in transcript:
        if one.signed.digest == digest and isinstance(one.message, of):
            return one
    raise VerificationError("evidence_invalid", f"the transcript does not hold the {of.__name__} {digest}")


def _whole(signed: SignedMessage) -> JsonObject:
    content = decode_json(signed.raw)
    assert isinstance(content, dict)  # noqa: S101  (a decoded message is an object)
    return content
