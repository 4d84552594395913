"""What a pack says of deliveries: the claims of who made them, and the verdicts on them.

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.3 and 8.6
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import chain
from sys import maxsize
from typing import TypeVar

from undersigned.attestation import VerifiedStatement, WorkPredicate, verify_acceptance, verify_delivery
from undersigned.contract import ContractDocument, Terms
from undersigned.did import keys_of
from undersigned.encoding import Did, DidUrl, Digest, Instant
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.evidence.case import (
    ASSERTION,
    Case,
    assertion_keys,
    counted,
    documents_of,
    invalid,
    lookup_in,
    named_by_digest,
    pack_of,
    sealed_of,
)
from undersigned.evidence.changes import documents_known, terms_at
from undersigned.evidence.pack import SUBCONTRACTS, Pack, Transcribed, statement_members
from undersigned.keys import PublicKey
from undersigned.messages import Delivery, Review, Start, VerifiedMessage

__all__ = ["check_acceptance", "check_statements"]

T = TypeVar("T")
R = TypeVar("R")


def check_statements(case: Case) -> str:
    """What the provider claims of each delivery: signed by it, under this contract, of these artifacts.

    A delivery whose claims do not hold may be in a pack (HIRE-PCK-12): not if it was accepted, and in that of who made
    the claims only if it was reviewed.
    """
    pack = pack_of(case)
    carried = dict(statement_members(pack.transcript))
    if carried != dict(pack.of_kind("statement")):
        raise invalid("the statements are not those of the transcript")
    deliveries = [
        (one.number, message, body) for one, message in case.verified if isinstance(body := message.message, Delivery)
    ]
    _check_artifacts(pack, {item.digest for _, _, delivery in deliveries for item in delivery.artifacts})
    if not deliveries:
        return "nothing was delivered"
    refused: list[str] = []
    for number, message, delivery in deliveries:
        try:
            case.statements[message.digest] = _of_delivery(case, number, message.digest, delivery)
        except UndersignedError as exc:
            verdicts = {review.verdict for review in _reviews(case, message.digest)}
            if "accepted" in verdicts or (not verdicts and message.message.sender == pack.manifest.own):
                raise
            case.statements[message.digest] = ()
            judged = "and it was not accepted" if verdicts else "and it was not reviewed"
            refused.append(f"round {delivery.round}: {exc.code}, {judged}")
    _check_hired(case)
    count = sum(map(len, case.statements.values()))
    unchecked = _unchecked_in(chain.from_iterable(case.statements.values()))
    wanted = _wanted_besides(terms_at(case, number) for number, _, one in deliveries if one.outcome == "complete")
    return "; ".join([counted(count, "statement holds", "statements hold"), *unchecked, *wanted, *refused])


def _unchecked_in(statements: Iterable[VerifiedStatement]) -> list[str]:
    """What these name of subjects and a pack cannot show to be right, in one sentence if there is any."""
    named = sorted({one for statement in statements for one in statement.unchecked})
    return [f"not checked without the bytes: {', '.join(named)}"] if named else []


def _wanted_besides(terms: Iterable[Terms]) -> list[str]:
    """What these terms ask for that a pack is not asked for, in one sentence if there is any."""
    wanted = {
        what
        for one in terms
        for what, asked in (
            (f"the bill of materials ({one.evidence.sbom})", one.evidence.sbom is not None),
            ("manifests in media", one.evidence.c2pa),
        )
        if asked
    }
    return [f"not checked: {', '.join(sorted(wanted))}"] if wanted else []


def _check_hired(case: Case) -> None:
    """HIRE-SUB-10: of every contract that the packer says it made for the work, the pack is here."""
    pack = pack_of(case)
    for statement in (one for statements in case.statements.values() for one in statements):
        work = statement.predicate
        if isinstance(work, WorkPredicate) and work.provider == pack.manifest.own:
            for line in work.subcontracts:
                if line.contract is not None and f"{SUBCONTRACTS}/{line.contract}.zip" not in pack.members:
                    raise invalid(f"the work statement names the contract {line.contract}, and its pack is not here")


def _recorded_at(case: Case, digest: Digest) -> Instant:
    """When a message was recorded. What it carries is held against the keys of then: one that had its end since spoke
    for its owner, and nobody who relied on it is to be without evidence for that.
    """
    return next(one.at for one, message in case.verified if message.digest == digest)


def _documents_of(case: Case, number: int, digest: Digest) -> list[ContractDocument]:
    """The documents in force when a delivery is recorded, and from then until it is reviewed, so far if it was not;
    before them the one that its provider knew of, if it had not seen the seal of another.
    """
    delivered = next(one for one, _ in case.verified if one.number == number)
    reviewed = max((one.number for one, message in case.verified if _is_review_of(message, digest)), default=maxsize)
    since = [document for sealed, document in case.amended if number < sealed < reviewed]
    return [*documents_known(case, delivered), *since]


def _is_review_of(message: VerifiedMessage, delivery: Digest) -> bool:
    return isinstance(message.message, Review) and message.message.delivery == delivery


def _of_delivery(case: Case, number: int, digest: Digest, delivery: Delivery) -> tuple[VerifiedStatement, ...]:
    sealed = sealed_of(case)
    document = sealed.document
    artifacts: dict[str, Digest | bytes] = {
        item.name: pack_of(case).members.get(f"artifacts/{item.digest}", item.digest) for item in delivery.artifacts
    }
    if len(artifacts) < len(delivery.artifacts):
        raise VerificationError("digest_mismatch", "two artifacts of the delivery have one name")
    _check_whole(case, number, digest, delivery)
    # HIRE-ATT-02: only keys that the contract lists speak for the provider.
    named = {method for one in _documents_of(case, number, digest) for method in one.methods.provider}
    keys = {
        method: key
        for method, key in assertion_keys(case, document.provider, _recorded_at(case, digest)).items()
        if method in named
    }
    complete = delivery.outcome == "complete"
    starts = [body for _, one in case.verified if isinstance(body := one.message, Start)]
    in_force = [one.terms for one in _documents_of(case, number, digest)]

    def held(asked: tuple[str, tuple[str, ...] | None]) -> tuple[VerifiedStatement, ...]:
        task, predicates = asked
        return verify_delivery(
            delivery.statements,
            attester=document.provider,
            keys=keys,
            contract=sealed.digest,
            # What was not done is told of the contract itself.
            artifacts=artifacts if artifacts or complete else {"contract": sealed.digest},
            required=(predicates or (WorkPredicate.PREDICATE_TYPE,)) if complete else (),
            engagement=document.engagement,
            task=task,
            inputs=[given.digest for start in starts for given in start.inputs],
            usage=[(one.clause, one.unit, one.amount) for one in delivery.usage],
        )

    return _by_one_of(((one.task.kind, one.evidence.predicates) for one in in_force), held)


def _by_one_of(known: Iterable[T], held: Callable[[T], R]) -> R:
    """What is `held` by the first of these that it holds by; they come from documents that may have been in force, of
    which there is one at least.

    Raises:
        UndersignedError: It holds by none; as by the first.
    """
    failure: UndersignedError | None = None
    for one in dict.fromkeys(known):
        try:
            return held(one)
        except UndersignedError as exc:
            failure = failure or exc
    assert failure is not None  # noqa: S101
    raise failure


def _check_whole(case: Case, number: int, digest: Digest, delivery: Delivery) -> None:
    """Every deliverable is there of what is called complete, and nothing else, no larger than agreed (section 8.3, step
    1): else who is paid by silence would show as whole what it never made.
    """
    members, failure = pack_of(case).members, None
    for document in _documents_of(case, number, digest):
        wanted = {item.name: item.max_bytes for item in document.terms.deliverables}
        made = {item.name: members.get(f"artifacts/{item.digest}", b"") for item in delivery.artifacts}
        missing = wanted.keys() - made.keys() if delivery.outcome == "complete" else ()
        large = [name for name, data in made.items() if len(data) > (wanted.get(name) or len(data))]
        if missing:
            failure = VerificationError("digest_mismatch", f"not delivered: {min(missing)!a:.200}")
        elif unasked := made.keys() - wanted.keys():
            failure = VerificationError("terms_mismatch", f"delivered and not agreed on: {min(unasked)!a:.200}")
        elif large:
            failure = FormatError("too_large", f"larger than agreed on: {min(large)!a:.200}")
        else:
            return
    assert failure is not None  # noqa: S101  (one document at least was in force)
    raise failure


def _check_artifacts(pack: Pack, delivered: Collection[Digest]) -> None:
    for path, data in pack.of_kind("artifact"):
        if named_by_digest(path, data, "") not in delivered:
            raise invalid(f"{path} was not delivered here")


def _reviews(case: Case, delivery: Digest) -> list[Review]:
    found = (message.message for _, message in case.verified)
    return [review for review in found if isinstance(review, Review) and review.delivery == delivery]


def check_acceptance(case: Case) -> str:
    """Each review's statement: by the hirer or the verifier named, of the delivery reviewed, with its verdict."""
    found = [(one, message.message) for one, message in case.verified]
    reviews = [(one, body) for one, body in found if isinstance(body, Review)]
    if not reviews:
        return "nothing was reviewed"
    deliveries = {message.digest: message.message for _, message in case.verified}
    judged: list[VerifiedStatement] = []
    for one, review in reviews:
        delivery = deliveries.get(review.delivery)
        if not isinstance(delivery, Delivery):
            raise invalid(f"a review of {review.delivery}, which was not delivered here")
        verified = _of_review(case, one, review, delivery)
        case.judges[one.signed.digest] = verified.predicate.attester
        judged.append(verified)
    carried = sum(review.credential is not None for _, review in reviews)
    # Nothing here rests on it: whoever is shown it judges it, beside the contract.
    more = [f"{counted(carried, 'credential', 'credentials')} in reviews: not checked"] if carried else []
    said = f"{len(reviews)} reviewed; the last verdict is {reviews[-1][1].verdict}"
    return "; ".join([said, *_unchecked_in(judged), *more])


def _of_review(case: Case, one: Transcribed, review: Review, delivery: Delivery) -> VerifiedStatement:
    named = (known.terms.evidence.verifier for known in documents_known(case, one))
    return _by_one_of(named, partial(_of_verdict, case, one, review, delivery))


def _of_verdict(
    case: Case, one: Transcribed, review: Review, delivery: Delivery, named_verifier: Did | None
) -> VerifiedStatement:
    sealed = sealed_of(case)
    document = sealed.document
    verifier = named_verifier or document.hirer
    keys, parties = assertion_keys(case, verifier, one.at), frozenset[PublicKey]()
    if named_verifier is not None:
        # HIRE-ATT-06: the verifier is neither party, under whatever name.
        keys, parties = _verifier_keys(case, named_verifier, one.at), _party_keys(case, document)
    verified, passed = verify_acceptance(
        review.statement,
        attester=verifier,
        keys=keys,
        other_than=parties,
        contract=sealed.digest,
        engagement=document.engagement,
        artifacts={item.name: item.digest for item in delivery.artifacts},
        statements=delivery.statements,
    )
    # HIRE-ATT-06: nobody accepts its own work, under whatever name.
    claimed = lookup_in(case, _recorded_at(case, review.delivery))
    stated = case.statements.get(review.delivery, ())
    # Keys, not names: one key may stand in two DID documents.
    claimants = {claimed(name, ASSERTION) for statement in stated for name in statement.signers}
    if claimants & {keys[name] for name in verified.signers}:
        raise VerificationError("attester_not_trusted", "the work was accepted with a key that made its statements")
    if passed != (review.verdict == "accepted"):
        result = "PASSED" if passed else "FAILED"
        raise VerificationError("terms_mismatch", f"a verdict of {review.verdict} with a statement of {result}")
    return verified


def _verifier_keys(case: Case, verifier: Did, at: Instant) -> dict[DidUrl, PublicKey]:
    documents = documents_of(case, verifier)
    if not documents:
        raise invalid(f"there is no DID document of the verifier {verifier}")
    return keys_of(documents, ASSERTION, now=at)


def _party_keys(case: Case, contract: ContractDocument) -> frozenset[PublicKey]:
    """Every key by which a party makes claims or shows who it is, or did."""
    return frozenset(
        key
        for did in (contract.hirer, contract.provider)
        for document in case.documents.get(did, ())
        for key in document.signing_keys()
    )
