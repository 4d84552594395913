"""The last step of a pack's verification: what stands in the parties' logs.

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.4 and 8.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from undersigned.encoding import (
    Did,
    Instant,
    base64url_decode,
    canonicalize,
    decode_json,
    digest_bytes,
    digest_hash,
    parse_instant,
    shift,
)
from undersigned.errors import FormatError, LogProofError, UndersignedError
from undersigned.evidence.case import Case, assertion_keys, documents_of, pack_of, signs_notes
from undersigned.evidence.leaves import check_proofs
from undersigned.evidence.pack import CHECKPOINT, INCLUSION
from undersigned.keys import PublicKey
from undersigned.messages import Acceptance, Closing, Consistency, Offer, Receipt, Seal, Sync, VerifiedMessage
from undersigned.transparency import (
    COSIGNATURE,
    Checkpoint,
    InclusionProof,
    contract_leaf,
    key_hint,
    leaf_digest,
    read_checkpoint,
    read_inclusion,
    read_note,
    verify_consistency,
    verify_cosignature,
    verify_note,
)

__all__ = ["check_logs"]

MAX_SKEW_SECONDS = 60


def check_logs(case: Case) -> str:
    """The contract stands in the packer's log, and in the offerer's where the seal promised it."""
    pack = pack_of(case)
    own = pack.manifest.own
    checkpoint, inclusion = pack.members.get(CHECKPOINT), pack.members.get(INCLUSION)
    if (checkpoint is None) != (inclusion is None):
        raise LogProofError("log_proof_invalid", f"{CHECKPOINT} and {INCLUSION} prove something only together")
    heads = _heads(case)
    own_head = _note(case, _utf8(checkpoint), own) if checkpoint is not None else None
    if own_head is not None:
        # It is the newest that the packer has, so it came after all that is in the pack.
        heads.append((shift(pack.manifest.created, 1), own_head))
    _check_growth(heads)
    roots = {(head.origin, head.size): head.root for _, head in heads}
    continued = _check_continued(case, roots)
    cosigned = _check_cosignatures(case, roots)
    witnessed = _check_witnesses(case, _utf8(checkpoint) if checkpoint is not None else None)
    proofs = check_proofs(case, own_head)
    more = [one for one in (continued, cosigned, witnessed) if one]
    if case.sealed is None:
        return "; ".join(["no contract, and no proof of a log in this pack", *more])
    leaf = leaf_digest(contract_leaf(case.sealed.json))
    seal = next(message.message for _, message in case.verified if isinstance(message.message, Seal))
    if seal.ledger.leaf != leaf or seal.ledger.log != seal.sender:
        raise LogProofError("log_proof_invalid", "the seal promises a place for another leaf, or in another's log")
    found: list[str] = []
    for _, message in case.verified:
        receipt = message.message
        if isinstance(receipt, Receipt) and receipt.inclusion is not None and receipt.inclusion.leaf == leaf:
            given = receipt.inclusion
            proof = InclusionProof(given.leaf, given.index, given.size, given.path)
            found.append(_included(proof, _note(case, _text(receipt.checkpoint or ""), receipt.sender), seal))
    if own_head is not None and inclusion is not None:
        proof = read_inclusion(decode_json(inclusion))
        if canonicalize(proof.document()) != inclusion or proof.leaf != leaf:
            raise LogProofError("log_proof_invalid", f"{INCLUSION} is of another leaf, or not in canonical form")
        found.append(_included(proof, own_head, seal))
        others = sum(one.index != proof.index for one in proofs)
        found += [f"{others} more leaves in the log of {own}"] if others else []
    if signs_notes(case, own) and any(_is_closing(message, own) for _, message in case.verified):
        # Whoever closed its books has signed its log, and can prove what is in it.
        contract = digest_bytes(canonicalize(case.sealed.json))
        if own_head is None or ("contract", contract) not in {(one.label, one.commitment) for one in proofs}:
            raise LogProofError(
                "log_proof_invalid", f"{own} signed its log, and the pack does not prove the contract in it"
            )
    return "; ".join([*(found or [f"no proof under a checkpoint of {own} yet"]), *more])


def _included(proof: InclusionProof, head: Checkpoint, seal: Seal) -> str:
    if proof.size != head.size:
        raise LogProofError("log_proof_invalid", f"a proof for {proof.size} leaves, a checkpoint of {head.size}")
    proof.verify(head.root)
    if head.origin == seal.ledger.log and proof.index != seal.ledger.index:
        raise LogProofError(
            "log_proof_invalid", f"the seal promised index {seal.ledger.index}; the contract has index {proof.index}"
        )
    return f"leaf {proof.index + 1} of {head.size} in the log of {head.origin}"


def _is_closing(message: VerifiedMessage, sender: Did) -> bool:
    return isinstance(message.message, Closing) and message.message.sender == sender


def _heads(case: Case) -> list[tuple[Instant, Checkpoint]]:
    """Each checkpoint that a message carries, with the time at which it was all of its log; its own signature holds."""
    heads: list[tuple[Instant, Checkpoint]] = []
    for one, message in case.verified:
        body = message.message
        if isinstance(body, Offer | Acceptance) and body.head is not None:
            head = Checkpoint(body.sender, body.head.size, digest_hash(body.head.root))
            heads.append((body.head.at, head))
        elif isinstance(body, Closing | Receipt | Sync) and body.checkpoint and signs_notes(case, body.sender):
            at = body.checkpoint_at if isinstance(body, Closing) else None
            heads.append((at or one.signed.proof.created, _note(case, _text(body.checkpoint), body.sender)))
    return heads


def _check_continued(case: Case, roots: Mapping[tuple[Did, int], bytes]) -> str:
    """Each head continues the one that it says, where that is in the pack."""
    count = left = 0
    for _, message in case.verified:
        body, consistency, size = message.message, _consistency(message), 0
        if consistency is None:
            continue
        if isinstance(body, Offer | Acceptance) and body.head is not None:
            size = body.head.size
        elif isinstance(body, Closing):
            size = read_checkpoint(read_note(_text(body.checkpoint)).text).size
        old, new = roots.get((body.sender, consistency.size)), roots.get((body.sender, size))
        if old is None or new is None:
            left += 1
            continue
        path = [*map(digest_hash, consistency.path)]
        verify_consistency(consistency.size, old, size, new, path)
        count += 1
    said = [f"{count} heads continue what was stated before"] if count else []
    if left:
        said.append(f"{left} heads continue what this pack does not have: not checked")
    return "; ".join(said)


def _consistency(message: VerifiedMessage) -> Consistency | None:
    body = message.message
    if isinstance(body, Offer | Acceptance):
        return body.head.consistency if body.head is not None else None
    return body.consistency if isinstance(body, Closing) else None


def _check_cosignatures(case: Case, roots: Mapping[tuple[Did, int], bytes]) -> str:
    """Each cosignature is its sender's, of the recipient's log, and contradicts no checkpoint of it."""
    count = 0
    for _, message in case.verified:
        body = message.message
        if not isinstance(body, Acceptance | Seal | Closing):
            continue
        for note in body.cosignatures or ():
            head = _by_a_key(case, body.sender, partial(_cosigned, _text(note), body.sender))
            if head.origin != body.recipient:
                raise LogProofError("log_proof_invalid", f"a cosignature of {head.origin!a:.200}, sent to another")
            if roots.get((head.origin, head.size), head.root) != head.root:
                raise LogProofError("ledger_diverged", f"the log of {head.origin} was cosigned with other leaves")
            count += 1
    return f"{count} cosignatures hold" if count else ""


def _check_witnesses(case: Case, note: str | None) -> str:
    """Each line below the packer's is by a key of the witness that it names; of one whose keys are not known, that is
    said. The witnesses that the verifier names have a line each.
    """
    said: list[str] = []
    unknown: list[str] = []
    lines = read_note(note).signatures if note is not None else ()
    for one in case.witnesses if case.level == 0 else ():
        wanted = (one.name, key_hint(one.name, COSIGNATURE, one.key.raw))
        if wanted not in {(name, hint) for name, hint, _ in lines}:
            what = "has no checkpoint" if note is None else "has no line by that key"
            raise LogProofError(
                "log_proof_invalid", f"expected a cosignature of the witness {one.name[:200]!a}; the pack {what}"
            )
    for name, hint, _ in lines:
        if name == pack_of(case).manifest.own:
            continue
        keys = _witness_keys(case, name)
        if not keys:
            unknown.append(ascii(name[:200]))
            continue
        key = next((one for one in keys if key_hint(name, COSIGNATURE, one.raw) == hint), None)
        if key is None:
            raise LogProofError("log_proof_invalid", f"a line of {name[:200]!a} is by no key of it")
        head, seconds = verify_cosignature(note or "", name, key)
        if seconds > parse_instant(case.now).timestamp() + MAX_SKEW_SECONDS:
            raise LogProofError("log_proof_invalid", f"{name[:200]!a} cosigned after {case.now}")
        # Its own word, which may be a year that no instant of ours has.
        at = datetime.fromtimestamp(seconds, UTC)
        said.append(f"{name} cosigned {head.size} leaves at {at:%Y-%m-%dT%H:%M:%SZ}")
    if unknown:
        said.append(f"no DID document of the witness {', '.join(unknown)} is here: not checked")
    return "; ".join(said)


def _witness_keys(case: Case, name: str) -> list[PublicKey]:
    """The keys that cosign for a witness, as far as they are known here; its name may be no DID at all."""
    brought = [one.key for one in case.witnesses if one.name == name]
    try:
        documents = documents_of(case, name)
    except UndersignedError:
        return brought
    at = pack_of(case).manifest.created
    listed = (key for one in documents for key in one.keys("assertionMethod", now=at).values())
    return brought + [key for key in listed if key.kind == "Ed25519"]


def _cosigned(note: str, signer: Did, key: PublicKey) -> Checkpoint:
    return verify_cosignature(note, signer, key)[0]


def _check_growth(heads: list[tuple[Instant, Checkpoint]]) -> None:
    """HIRE-LOG-05: one root for each size of a log, and no log smaller than it was before."""
    roots: dict[tuple[Did, int], bytes] = {}
    largest: dict[Did, tuple[Instant, int, int]] = {}  # when last signed, largest by then, largest before then
    for at, head in sorted(heads, key=lambda item: item[0]):
        then, most, before = largest.get(head.origin, (at, 0, 0))
        # Of two signed in the same second nobody knows which came first.
        before = most if at > then else before
        if roots.setdefault((head.origin, head.size), head.root) != head.root or head.size < before:
            raise LogProofError("ledger_diverged", f"the log of {head.origin} had other leaves before, or more")
        largest[head.origin] = (at, max(most, head.size), before)


def _note(case: Case, note: str, signer: Did) -> Checkpoint:
    head = _by_a_key(case, signer, lambda key: verify_note(note, key, signer))
    if head.origin != signer:
        raise LogProofError("log_proof_invalid", f"a checkpoint of {head.origin!a:.200}, signed by {signer}")
    return head


def _by_a_key(case: Case, signer: Did, verified: Callable[[PublicKey], Checkpoint]) -> Checkpoint:
    """What `verified` gives for the first key of the signer's with which it does not raise."""
    failure: LogProofError | None = None
    for key in assertion_keys(case, signer).values():
        if key.kind != "Ed25519":
            continue
        try:
            return verified(key)
        except LogProofError as exc:
            failure = exc
    raise failure or LogProofError("log_proof_invalid", f"{signer} has no key that signs checkpoints")


def _text(multibase: str) -> str:
    try:
        return _utf8(base64url_decode(multibase[1:]))
    except FormatError as exc:
        raise LogProofError("log_proof_invalid", "not the multibase form of a note") from exc


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise LogProofError("log_proof_invalid", "a note is UTF-8") from exc
