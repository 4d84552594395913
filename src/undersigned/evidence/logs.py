"""A step of a pack's verification: what stands in the parties' logs.

What the packer says of logs has to hold. What the other side says of them is the other side's word: the packer recorded
it, and if it does not hold that is said, with its code, and makes no pack invalid (HIRE-PCK-11).

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.4 and 8.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from undersigned.encoding import (
    Did,
    Digest,
    Instant,
    base64url_decode,
    canonicalize,
    decode_json,
    digest_bytes,
    digest_hash,
    parse_instant,
)
from undersigned.errors import FormatError, LogProofError, UndersignedError
from undersigned.evidence.case import Case, assertion_keys, counted, documents_of, pack_of, signs_notes
from undersigned.evidence.leaves import check_proofs
from undersigned.evidence.pack import CHECKPOINT, INCLUSION
from undersigned.keys import PublicKey
from undersigned.messages import (
    Acceptance,
    Closing,
    Consistency,
    Inclusion,
    LedgerPlace,
    Message,
    Offer,
    Receipt,
    Seal,
    Sync,
    VerifiedMessage,
)
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.transparency import (
    COSIGNATURE,
    Checkpoint,
    InclusionProof,
    by_one_of,
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

T = TypeVar("T")


def check_logs(case: Case) -> str:
    """The contract stands in the packer's log, and in the offerer's where the seal promised it."""
    pack = pack_of(case)
    own = pack.manifest.own
    checkpoint, inclusion = pack.members.get(CHECKPOINT), pack.members.get(INCLUSION)
    if (checkpoint is None) != (inclusion is None):
        raise LogProofError("log_proof_invalid", f"{CHECKPOINT} and {INCLUSION} prove something only together")
    against: list[str] = []
    heads = _heads(case, against)
    own_head = _note(case, _utf8(checkpoint), own) if checkpoint is not None else None
    for log in dict.fromkeys(head.origin for _, head in heads):
        grown = [(at, head) for at, head in heads if head.origin == log]
        _held(case, log, against, "its checkpoints", partial(_check_growth, grown))
    roots = {(head.origin, head.size): head.root for _, head in heads}
    if own_head is not None:
        _check_packed(case, own_head, roots.setdefault((own, own_head.size), own_head.root))
    continued = _check_continued(case, roots, against)
    cosigned = _check_cosignatures(case, roots, against)
    witnessed = _check_witnesses(case, _utf8(checkpoint) if checkpoint is not None else None)
    proofs = check_proofs(case, own_head)
    more = [one for one in (continued, cosigned, witnessed) if one]
    if case.sealed is None:
        return "; ".join(["no contract, and no proof of a log in this pack", *more, *against])
    leaf = leaf_digest(contract_leaf(case.sealed.json))
    seal = next(message.message for _, message in case.verified if isinstance(message.message, Seal))
    promised = _held(case, seal.sender, against, "its Seal", partial(_promised, seal, leaf))
    found: list[str] = []
    for one, message in case.verified:
        receipt = message.message
        if isinstance(receipt, Receipt) and receipt.inclusion is not None and receipt.inclusion.leaf == leaf:
            shown = partial(_shown, case, receipt, receipt.inclusion, promised)
            said = _held(case, receipt.sender, against, f"message {one.number}, Receipt", shown)
            found += [said] if said is not None else []
    if own_head is not None and inclusion is not None:
        proof = read_inclusion(decode_json(inclusion))
        if canonicalize(proof.document()) != inclusion or proof.leaf != leaf:
            raise LogProofError("log_proof_invalid", f"{INCLUSION} is of another leaf, or not in canonical form")
        found.append(_included(proof, own_head, promised))
        others = sum(one.index != proof.index for one in proofs)
        found += [f"{others} more leaves in the log of {own}"] if others else []
    if signs_notes(case, own) and any(_is_closing(message, own) for _, message in case.verified):
        # Whoever closed its books has signed its log, and can prove what is in it.
        contract = digest_bytes(canonicalize(case.sealed.json))
        if own_head is None or ("contract", contract) not in {(one.label, one.commitment) for one in proofs}:
            raise LogProofError(
                "log_proof_invalid", f"{own} signed its log, and the pack does not prove the contract in it"
            )
    return "; ".join([*(found or [f"no proof under a checkpoint of {own} yet"]), *more, *against])


def _held(case: Case, sender: Did, against: list[str], what: str, check: Callable[[], T]) -> T | None:
    """What `check` of something that `sender` says of a log gives. None if that does not hold and is not the
    packer's word: then `against` has it.

    Raises:
        UndersignedError: It does not hold, and is the packer's.
    """
    try:
        return check()
    except UndersignedError as exc:
        if sender == pack_of(case).manifest.own:
            raise
        against.append(f"{sender} said of a log what does not hold ({what}: {exc.code}, {exc.message})")
        return None


def _promised(seal: Seal, leaf: Digest) -> LedgerPlace:
    """The place that the seal promises, in its sender's log and for this leaf."""
    if seal.ledger.leaf != leaf or seal.ledger.log != seal.sender:
        raise LogProofError("log_proof_invalid", "the seal promises a place for another leaf, or in another's log")
    return seal.ledger


def _shown(case: Case, receipt: Receipt, given: Inclusion, promised: LedgerPlace | None) -> str:
    proof = InclusionProof(given.leaf, given.index, given.size, given.path)
    return _included(proof, _note(case, _text(receipt.checkpoint or ""), receipt.sender), promised)


def _included(proof: InclusionProof, head: Checkpoint, promised: LedgerPlace | None) -> str:
    if proof.size != head.size:
        raise LogProofError("log_proof_invalid", f"a proof for {proof.size} leaves, a checkpoint of {head.size}")
    proof.verify(head.root)
    if promised is not None and head.origin == promised.log and proof.index != promised.index:
        raise LogProofError(
            "log_proof_invalid", f"the seal promised index {promised.index}; the contract has index {proof.index}"
        )
    return f"leaf {proof.index + 1} of {head.size} in the log of {head.origin}"


def _is_closing(message: VerifiedMessage, sender: Did) -> bool:
    return isinstance(message.message, Closing) and message.message.sender == sender


def _heads(case: Case, against: list[str]) -> list[tuple[Instant, Checkpoint]]:
    """Each checkpoint that a message carries, with the time at which it was all of its log; its own signature holds."""
    heads: list[tuple[Instant, Checkpoint]] = []
    for one, message in case.verified:
        body = message.message
        if isinstance(body, Offer | Acceptance) and body.head is not None:
            head = Checkpoint(body.sender, body.head.size, digest_hash(body.head.root))
            heads.append((body.head.at, head))
        elif isinstance(body, Closing | Receipt | Sync) and body.checkpoint and signs_notes(case, body.sender):
            at = body.checkpoint_at if isinstance(body, Closing) else None
            note, what = body.checkpoint, f"message {one.number}, {body.type}"
            head = _held(case, body.sender, against, what, partial(_stated, case, note, body.sender))
            heads += [(at or one.signed.proof.created, head)] if head is not None else []
    return heads


def _stated(case: Case, note: str, signer: Did) -> Checkpoint:
    return _note(case, _text(note), signer)


def _check_continued(case: Case, roots: Mapping[tuple[Did, int], bytes], against: list[str]) -> str:
    """Each head continues the one that it says, where that is in the pack."""
    count = left = 0
    for one, message in case.verified:
        body, consistency = message.message, _consistency(message)
        if consistency is None:
            continue
        check = partial(_continues, body, consistency, roots)
        known = _held(case, body.sender, against, f"message {one.number}, {body.type}", check)
        if known is not None:
            count, left = count + known, left + (not known)
    said = [counted(count, "head continues", "heads continue") + " what was stated before"] if count else []
    if left:
        said.append(counted(left, "head continues", "heads continue") + " what this pack does not have: not checked")
    return "; ".join(said)


def _continues(body: Message, consistency: Consistency, roots: Mapping[tuple[Did, int], bytes]) -> bool:
    """Whether the head that it continues is in the pack; then it does."""
    size = 0
    if isinstance(body, Offer | Acceptance) and body.head is not None:
        size = body.head.size
    elif isinstance(body, Closing):
        size = read_checkpoint(read_note(_text(body.checkpoint)).text).size
    old, new = roots.get((body.sender, consistency.size)), roots.get((body.sender, size))
    if old is None or new is None:
        return False
    verify_consistency(consistency.size, old, size, new, [*map(digest_hash, consistency.path)])
    return True


def _consistency(message: VerifiedMessage) -> Consistency | None:
    body = message.message
    if isinstance(body, Offer | Acceptance):
        return body.head.consistency if body.head is not None else None
    return body.consistency if isinstance(body, Closing) else None


def _check_cosignatures(case: Case, roots: Mapping[tuple[Did, int], bytes], against: list[str]) -> str:
    """Each cosignature is its sender's, of the recipient's log, and contradicts no checkpoint of the packer's. What the
    packer cosigned and the other side contradicts here, it may have been shown elsewhere.
    """
    count = 0
    for one, message in case.verified:
        body = message.message
        if not isinstance(body, Acceptance | Seal | Closing):
            continue
        for note in body.cosignatures or ():
            what = f"message {one.number}, {body.type}"
            head = _held(case, body.sender, against, what, partial(_cosigned, case, body, note))
            if head is not None:
                check = partial(_not_otherwise, head, roots.get((head.origin, head.size), head.root))
                _held(case, head.origin, against, f"{what}, its cosignatures", check)
                count += 1
    return counted(count, "cosignature holds", "cosignatures hold") if count else ""


def _cosigned(case: Case, body: Message, note: str) -> Checkpoint:
    text = _text(note)
    head = _by_a_key(case, body.sender, lambda key: verify_cosignature(text, body.sender, key)[0])
    if head.origin != body.recipient:
        raise LogProofError("log_proof_invalid", f"a cosignature of {head.origin!a:.200}, sent to another")
    return head


def _not_otherwise(head: Checkpoint, root: bytes) -> None:
    if root != head.root:
        raise LogProofError("ledger_diverged", f"the log of {head.origin} was cosigned with other leaves")


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


def _check_packed(case: Case, head: Checkpoint, stated: bytes) -> None:
    """HIRE-LOG-05: the checkpoint of a pack is in no message, so nobody knows when it was made. It has the root that
    was `stated` of as many leaves, and no fewer of them than its owner's `Closing`.
    """
    for one, message in case.verified:
        closing = message.message
        if isinstance(closing, Closing) and _is_closing(message, head.origin):
            fewest = _stated(case, closing.checkpoint, head.origin).size
            if head.size < fewest:
                raise LogProofError("ledger_diverged", f"message {one.number} has {fewest} leaves, {CHECKPOINT} fewer")
    if head.root != stated:
        raise LogProofError("ledger_diverged", f"the log of {head.origin} had other leaves before, or more")


def _check_growth(heads: list[tuple[Instant, Checkpoint]]) -> None:
    """HIRE-LOG-05: one root for each size of one log, and it is never smaller than it was before."""
    roots: dict[int, bytes] = {}
    then, most, before = "", 0, 0  # when last signed, largest by then, largest before then
    for at, head in sorted(heads, key=lambda item: item[0]):
        # Of two signed in the same second nobody knows which came first.
        before = most if at > then else before
        if roots.setdefault(head.size, head.root) != head.root or head.size < before:
            raise LogProofError("ledger_diverged", f"the log of {head.origin} had other leaves before, or more")
        then, most = at, max(most, head.size)


def _note(case: Case, note: str, signer: Did) -> Checkpoint:
    head = _by_a_key(case, signer, lambda key: verify_note(note, key, signer))
    if head.origin != signer:
        raise LogProofError("log_proof_invalid", f"a checkpoint of {head.origin!a:.200}, signed by {signer}")
    return head


def _by_a_key(case: Case, signer: Did, verified: Callable[[PublicKey], Checkpoint]) -> Checkpoint:
    """What `verified` gives for the first key of the signer's with which it does not raise."""
    return by_one_of((key for key in assertion_keys(case, signer).values() if key.kind == "Ed25519"), verified, signer)


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
