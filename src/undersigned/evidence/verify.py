"""Checks an evidence pack in numbered steps, from its own bytes alone: no network, no store, no runtime.

Each step reads only what the steps before verified, and the first that fails ends it: what was not reached counts as
failed. Messages are judged as they were when they were recorded, by the time that the packer recorded; everything else
that a party says is under its signature.

What a pack cannot prove is that a `did:web` document was the one served at that time. `known` takes documents that the
verifier has from elsewhere; without them the step names the DIDs that it had to take from the pack.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from undersigned.attestation import (
    AcceptancePredicate,
    VerifiedStatement,
    WorkPredicate,
    verify_delivery,
    verify_statement,
)
from undersigned.contract import SealedContract, verify_sealed
from undersigned.did import DidDocument, document_from, fetches
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    base64url_decode,
    canonicalize,
    decode_json,
    digest_bytes,
    shift,
)
from undersigned.errors import FormatError, LogProofError, UndersignedError, VerificationError
from undersigned.evidence.pack import (
    CHECKPOINT,
    CONTRACT,
    INCLUSION,
    Pack,
    Transcribed,
    read_pack,
    sealed_contract,
    statement_members,
)
from undersigned.keys import PublicKey
from undersigned.messages import Closing, Delivery, Receipt, Review, Seal, Sync, VerifiedMessage, verify_message
from undersigned.protocol import Engagement, Received, Sent, apply, begin
from undersigned.transparency import (
    Checkpoint,
    InclusionProof,
    contract_leaf,
    leaf_digest,
    read_inclusion,
    verify_note,
)

__all__ = ["STEPS", "Report", "Step", "verify_pack"]

MAX_SKEW_SECONDS: Final = 60
ASSERTION: Final = "assertionMethod"


class Step(Struct, frozen=True):
    """One numbered step and what came of it."""

    number: int
    name: str
    ok: bool
    code: str
    """Empty if it holds."""
    detail: str
    """What was checked, or what was expected and what came. Quotes the pack: not to be trusted as text."""


class Report(Struct, frozen=True, kw_only=True):
    """What `verify_pack` found."""

    steps: tuple[Step, ...]
    engagement: str | None = None
    state: str | None = None
    """What the transcript leads to, if it was reached."""
    contract: Digest | None = None

    @property
    def ok(self) -> bool:
        """Whether every step holds."""
        return all(step.ok for step in self.steps)

    def document(self) -> JsonObject:
        """The report as JSON."""
        steps: list[JsonObject] = [
            {"number": one.number, "name": one.name, "ok": one.ok, "code": one.code, "detail": one.detail}
            for one in self.steps
        ]
        found = {"engagement": self.engagement, "state": self.state, "contract": self.contract}
        return {"ok": self.ok, **{name: value for name, value in found.items() if value is not None}, "steps": steps}


class Case(Struct):
    """What the steps so far have verified; each step adds to it."""

    data: bytes
    now: Instant
    known: Mapping[Did, DidDocument]
    pack: Pack | None = None
    documents: dict[Did, list[DidDocument]] = field(default_factory=dict[Did, list[DidDocument]])
    verified: list[tuple[Transcribed, VerifiedMessage]] = field(
        default_factory=list[tuple[Transcribed, VerifiedMessage]]
    )
    engagement: Engagement | None = None
    sealed: SealedContract | None = None
    statements: dict[Digest, tuple[VerifiedStatement, ...]] = field(
        default_factory=dict[Digest, tuple[VerifiedStatement, ...]]
    )
    """By delivery."""


def verify_pack(data: bytes, *, now: Instant, known: Mapping[Did, DidDocument] | None = None) -> Report:
    """The report on a pack; nothing is raised for what is in it.

    `known` holds DID documents that the verifier resolved itself, by DID: those in the pack must be the same.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
    """
    case = Case(data, now, known or {})
    steps: list[Step] = []
    failed = 0
    for number, (name, check) in enumerate(STEPS, start=1):
        if failed:
            steps.append(Step(number, name, False, "evidence_invalid", f"not checked: step {failed} failed"))
            continue
        try:
            steps.append(Step(number, name, True, "", check(case)))
        except UndersignedError as exc:
            failed = number
            where = f"{exc.path}: " if exc.path else ""
            steps.append(Step(number, name, False, exc.code, where + exc.message))
    return Report(
        steps=tuple(steps),
        engagement=case.pack.manifest.engagement if case.pack else None,
        state=case.engagement.state if case.engagement else None,
        contract=case.sealed.digest if case.sealed else None,
    )


# Step 1


def _archive(case: Case) -> str:
    """Form of the archive, manifest, every digest, and nothing recorded later than now."""
    case.pack = pack = read_pack(case.data)
    manifest = pack.manifest
    times = [one.at for one in pack.transcript]
    if not times or manifest.created != max(times):
        raise _invalid("the manifest was not created with its last message")
    if times != sorted(times):
        raise _invalid("the transcript runs back in time")
    if manifest.created > shift(case.now, MAX_SKEW_SECONDS):
        raise _invalid(f"recorded at {manifest.created}, which is after {case.now}")
    return f"{len(pack.members)} members as listed; {len(times)} messages, the last of {manifest.created}"


# Step 2


def _documents(case: Case) -> str:
    """A document of each party, and none that contradicts its DID or what the verifier knows."""
    pack = _pack(case)
    parties = (pack.manifest.own, pack.manifest.peer)
    for path, data in pack.of_kind("did-document"):
        did = _id_of(data, path)
        document = DidDocument(did, data)
        if path != f"did-documents/{digest_bytes(data)}.json":
            raise _invalid(f"{path} is not named by its digest")
        if not fetches(did, local=True) and document.raw != document_from(did, {}).raw:
            raise _invalid(f"{path} is not the document that follows from {did}")
        case.documents.setdefault(did, []).append(document)
    taken: list[Did] = []
    for did in parties:
        if did not in case.documents:
            raise VerificationError("evidence_invalid", f"there is no document of {did}")
        if did in case.known:
            if case.known[did] not in case.documents[did]:
                raise _invalid(f"the document of {did} is another than the one known")
        elif fetches(did, local=True):
            taken.append(did)
    return f"taken from the pack: {', '.join(taken)}" if taken else "both follow from their DIDs or are known"


def _id_of(data: bytes, path: str) -> Did:
    value = decode_json(data, FOREIGN_LIMITS)
    did = value.get("id") if isinstance(value, dict) else None
    if not isinstance(did, str):
        raise _invalid(f"{path} is not a DID document")
    return did


# Step 3


def _messages(case: Case) -> str:
    """Each message is signed by its sender for the other party, and was fresh when it was recorded."""
    pack = _pack(case)
    manifest = pack.manifest
    seen: set[Digest] = set()
    for one in pack.transcript:
        sender, recipient = (manifest.own, manifest.peer) if one.kind == "sent" else (manifest.peer, manifest.own)
        if one.message.engagement != manifest.engagement or one.message.sender != sender:
            raise _invalid(f"message {one.number} is not one of {sender} in this engagement")
        if one.signed.digest in seen:
            raise _invalid(f"message {one.number} is there twice")
        seen.add(one.signed.digest)
        case.verified.append((one, _verified(case, one, recipient)))
    return f"{len(case.verified)} proofs hold"


def _verified(case: Case, one: Transcribed, recipient: Did) -> VerifiedMessage:
    """Verified with the sender's document of that time; a pack may hold several, of before and after a rotation."""
    failure: UndersignedError | None = None
    own = case.documents[recipient][0]
    for document in case.documents[one.message.sender]:
        try:
            return verify_message(one.signed, {document.id: document, own.id: own}, now=one.at, recipient=recipient)
        except UndersignedError as exc:
            failure = exc
    assert failure is not None  # noqa: S101  (step 2 saw that there is a document)
    raise VerificationError(failure.code, f"message {one.number}, {one.message.type}: {failure.message}")


# Step 4


def _transcript(case: Case) -> str:
    """Order and completeness of both chains, and that each move was legal where it stands."""
    manifest = _pack(case).manifest
    engagement = begin(manifest.role, manifest.own, manifest.peer, manifest.engagement)
    for one, message in case.verified:
        entry = (Sent if one.kind == "sent" else Received)(message, one.at)
        try:
            engagement = apply(engagement, entry)
        except UndersignedError as exc:
            raise VerificationError(exc.code, f"message {one.number}: {exc.message}") from exc
    case.engagement = engagement
    return f"{len(engagement.sent)} moves sent and {len(engagement.got)} received lead to {engagement.state}"


# Step 5


def _contract(case: Case) -> str:
    """Document, both proofs, acceptance and seal, standing alone; and that they are those of the transcript."""
    pack, engagement = _pack(case), _engagement(case)
    derived = sealed_contract(pack.transcript)
    packed = pack.members.get(CONTRACT)
    made = engagement.contract.digest if engagement.contract else None
    if made != pack.manifest.contract or (derived is None) != (made is None) or (packed is None) != (made is None):
        raise _invalid(f"the transcript makes contract {made}, the manifest says {pack.manifest.contract}")
    if derived is None or packed is None:
        return "no contract was made"
    if packed != canonicalize(derived):
        raise _invalid(f"{CONTRACT} is not what the transcript says", CONTRACT)
    document: Any = derived["document"]
    acceptance: Any = derived["acceptance"]
    seal: Any = derived["seal"]
    case.sealed = sealed = verify_sealed(document, acceptance, seal, keys=_lookup(case, pack.manifest.created))
    parties = {pack.manifest.own, pack.manifest.peer}
    if sealed.digest != made or {sealed.document.hirer, sealed.document.provider} != parties:
        raise _invalid("the contract is another than the one sealed in the transcript")
    return f"{made}: both proofs, acceptance and seal hold"


# Step 6


def _statements(case: Case) -> str:
    """What the provider claims of each delivery: signed by it, under this contract, of these artifacts.

    A delivery whose claims do not hold may be in a pack: then the hirer must have said so.
    """
    pack = _pack(case)
    carried = dict(statement_members(pack.transcript))
    if carried != dict(pack.of_kind("statement")):
        raise _invalid("the statements are not those of the transcript")
    _check_artifacts(pack)
    deliveries = [(message, body) for _, message in case.verified if isinstance(body := message.message, Delivery)]
    if not deliveries:
        return "nothing was delivered"
    refused: list[str] = []
    for message, delivery in deliveries:
        try:
            case.statements[message.digest] = _of_delivery(case, delivery)
        except UndersignedError as exc:
            if any(review.verdict == "accepted" for review in _reviews(case, message.digest)) or not _reviews(
                case, message.digest
            ):
                raise
            case.statements[message.digest] = ()
            refused.append(f"round {delivery.round}: {exc.code}, and it was not accepted")
    count = sum(map(len, case.statements.values()))
    return "; ".join([f"{count} statements hold", *refused])


def _of_delivery(case: Case, delivery: Delivery) -> tuple[VerifiedStatement, ...]:
    sealed = _sealed(case)
    document = sealed.document
    artifacts: dict[str, Digest | bytes] = {
        item.name: _pack(case).members.get(f"artifacts/{item.digest}", item.digest) for item in delivery.artifacts
    }
    if len(artifacts) < len(delivery.artifacts):
        raise VerificationError("digest_mismatch", "two artifacts of the delivery have one name")
    for item in delivery.artifacts:
        given = artifacts[item.name]
        if isinstance(given, bytes) and digest_bytes(given) != item.digest:
            raise VerificationError("digest_mismatch", f"the artifact {item.name!a:.200} is not the one delivered")
    # HIRE-ATT-02: only keys that the contract lists speak for the provider.
    keys = {
        method: key
        for method, key in _assertion_keys(case, document.provider).items()
        if method in document.methods.provider
    }
    complete = delivery.outcome == "complete"
    required = document.terms.evidence.predicates or (WorkPredicate.PREDICATE_TYPE,)
    return verify_delivery(
        delivery.statements,
        attester=document.provider,
        keys=keys,
        contract=sealed.digest,
        artifacts=artifacts,
        required=required if complete else (),
    )


def _check_artifacts(pack: Pack) -> None:
    for path, data in pack.of_kind("artifact"):
        if path != f"artifacts/{digest_bytes(data)}":
            raise _invalid(f"{path} is not named by its digest")


# Step 7


def _acceptance(case: Case) -> str:
    """Each review's statement: by the hirer or the verifier named, of the delivery reviewed, with its verdict."""
    reviews = [body for _, message in case.verified if isinstance(body := message.message, Review)]
    if not reviews:
        return "nothing was reviewed"
    deliveries = {message.digest: message.message for _, message in case.verified}
    for review in reviews:
        delivery = deliveries.get(review.delivery)
        if not isinstance(delivery, Delivery):
            raise _invalid(f"a review of {review.delivery}, which was not delivered here")
        _of_review(case, review, delivery)
    return f"{len(reviews)} reviewed; the last verdict is {reviews[-1].verdict}"


def _of_review(case: Case, review: Review, delivery: Delivery) -> None:
    sealed = _sealed(case)
    document = sealed.document
    verifier = document.terms.evidence.verifier or document.hirer
    named: dict[str, Digest | bytes] = {item.name: item.digest for item in delivery.artifacts}
    verified = verify_statement(
        review.statement,
        attester=verifier,
        keys=_assertion_keys(case, verifier),
        contract=sealed.digest,
        # A statement has a subject; when nothing was delivered it is about the contract itself.
        artifacts=named or {"contract": sealed.digest},
    )
    predicate = verified.predicate
    if not isinstance(predicate, AcceptancePredicate):
        raise VerificationError("attestation_binding", "the statement of a review is no acceptance")
    if (predicate.verification_result == "PASSED") != (review.verdict == "accepted"):
        raise VerificationError(
            "attestation_binding", f"a verdict of {review.verdict} with a statement of {predicate.verification_result}"
        )
    if review.verdict == "accepted" and {subject.name for subject in verified.statement.subject} != set(named):
        raise VerificationError("attestation_binding", "the acceptance is not of everything delivered")


# Step 8


def _ledger(case: Case) -> str:
    """The contract stands in the packer's log, and in the offerer's where the seal promised it."""
    pack = _pack(case)
    own = pack.manifest.own
    checkpoint, inclusion = pack.members.get(CHECKPOINT), pack.members.get(INCLUSION)
    if (checkpoint is None) != (inclusion is None):
        raise LogProofError("log_proof_invalid", f"{CHECKPOINT} and {INCLUSION} prove something only together")
    heads = _heads(case)
    if checkpoint is not None:
        # It is the newest that the packer has, so it came after all that is in the pack.
        heads.append((shift(pack.manifest.created, 1), _note(case, _utf8(checkpoint), own)))
    _check_growth(heads)
    if case.sealed is None:
        return "no contract, and nothing in a log"
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
    if checkpoint is not None and inclusion is not None:
        proof = read_inclusion(decode_json(inclusion))
        if canonicalize(proof.document()) != inclusion or proof.leaf != leaf:
            raise LogProofError("log_proof_invalid", f"{INCLUSION} is of another leaf, or not in canonical form")
        found.append(_included(proof, _note(case, _utf8(checkpoint), own), seal))
    elif _signs_notes(case, own) and any(_is_closing(message, own) for _, message in case.verified):
        # Whoever closed its books has signed its log, and can prove what is in it.
        raise LogProofError(
            "log_proof_invalid", f"{own} signed its log, and the pack does not prove the contract in it"
        )
    return "; ".join(found) or f"no proof under a checkpoint of {own} yet"


def _included(proof: InclusionProof, head: Checkpoint, seal: Seal) -> str:
    if proof.size != head.size:
        raise LogProofError("log_proof_invalid", f"a proof for {proof.size} leaves, a checkpoint of {head.size}")
    proof.verify(head.root)
    if head.origin == seal.ledger.log and proof.index != seal.ledger.index:
        raise LogProofError(
            "log_proof_invalid", f"the seal promised place {seal.ledger.index}; the contract stands at {proof.index}"
        )
    return f"leaf {proof.index} of {head.size} in the log of {head.origin}"


def _is_closing(message: VerifiedMessage, sender: Did) -> bool:
    return isinstance(message.message, Closing) and message.message.sender == sender


def _heads(case: Case) -> list[tuple[Instant, Checkpoint]]:
    """Each checkpoint that a message carries, with the time at which it was signed; its own signature holds."""
    heads: list[tuple[Instant, Checkpoint]] = []
    for one, message in case.verified:
        body = message.message
        if isinstance(body, Closing | Receipt | Sync) and body.checkpoint and _signs_notes(case, body.sender):
            heads.append((one.signed.proof.created, _note(case, _text(body.checkpoint), body.sender)))
    return heads


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
    failure: LogProofError | None = None
    for key in _assertion_keys(case, signer).values():
        if key.kind != "Ed25519":
            continue
        try:
            head = verify_note(note, key, signer)
        except LogProofError as exc:
            failure = exc
            continue
        if head.origin != signer:
            raise LogProofError("log_proof_invalid", f"a checkpoint of {head.origin!a:.200}, signed by {signer}")
        return head
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


# What the steps share


def _pack(case: Case) -> Pack:
    if case.pack is None:
        raise _invalid("there is no pack")
    return case.pack


def _engagement(case: Case) -> Engagement:
    if case.engagement is None:
        raise _invalid("the transcript leads nowhere")
    return case.engagement


def _sealed(case: Case) -> SealedContract:
    if case.sealed is None:
        raise _invalid("work without a contract")
    return case.sealed


def _reviews(case: Case, delivery: Digest) -> list[Review]:
    found = (message.message for _, message in case.verified)
    return [review for review in found if isinstance(review, Review) and review.delivery == delivery]


def _lookup(case: Case, at: Instant) -> Callable[[DidUrl, str], PublicKey]:
    """Keys of the parties' documents in the pack."""

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        failure: UndersignedError | None = None
        for document in case.documents.get(method.partition("#")[0], ()):
            try:
                return document.key_for(method, purpose, now=at)
            except UndersignedError as exc:
                failure = exc
        raise failure or VerificationError("key_not_authorized", f"{method[:160]!a} is of nobody in this pack")

    return lookup


def _assertion_keys(case: Case, did: Did) -> dict[DidUrl, PublicKey]:
    """Keys by which a DID makes claims; one whose kind is not used here speaks for nobody."""
    keys: dict[DidUrl, PublicKey] = {}
    at = _pack(case).manifest.created
    for document in case.documents.get(did, ()):
        for method in document.methods(ASSERTION):
            try:
                keys[method] = document.key_for(method, ASSERTION, now=at)
            except UndersignedError:
                continue
    return keys


def _signs_notes(case: Case, did: Did) -> bool:
    return any(key.kind == "Ed25519" for key in _assertion_keys(case, did).values())


def _invalid(text: str, path: str = "") -> VerificationError:
    return VerificationError("evidence_invalid", text, path=path)


STEPS: Final[tuple[tuple[str, Callable[[Case], str]], ...]] = (
    ("archive and manifest", _archive),
    ("DID documents", _documents),
    ("messages and their proofs", _messages),
    ("chains and states", _transcript),
    ("contract", _contract),
    ("statements", _statements),
    ("acceptance of the work", _acceptance),
    ("ledger proofs", _ledger),
)
"""The steps in their order: name, and the function that says what it found or raises."""
