"""in-toto statements: what is claimed, of which artifacts, and how a delivery's claims are checked.

The order of checks is fixed: envelope, payload type, statement type, subjects, predicate, policy, binding to the
contract. Each step reads only what the step before verified.

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.1 and 8.3; in-toto Attestation Framework v1, statement
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import new
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from undersigned.attestation.dsse import PAYLOAD_TYPE, VerifiedPayload, read_base64, verify_envelope
from undersigned.attestation.predicates import (
    OF_WORK,
    PREDICATES,
    VERDICTS,
    AcceptancePredicate,
    Predicate,
    ProvenancePredicate,
    WorkPredicate,
)
from undersigned.attestation.predicates.base import digest_of_resource
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Amount,
    Did,
    Digest,
    EngagementId,
    JsonObject,
    canonicalize,
    decode_json,
    digest_bytes,
    digest_hex,
    from_struct,
    to_struct,
)
from undersigned.errors import FormatError, ProofError, VerificationError
from undersigned.keys import PublicKey

__all__ = [
    "STATEMENT_TYPE",
    "Statement",
    "Subject",
    "VerifiedStatement",
    "check_count",
    "check_digests",
    "make_statement",
    "payload_digests",
    "verify_acceptance",
    "verify_delivery",
    "verify_statement",
]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS: Final = 64
MAX_STATEMENTS: Final = 64

ALGORITHMS: Final[Mapping[str, int]] = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Accepted digest algorithms and the number of their hex digits. Others prove nothing."""

_HEX: Final = re.compile("[0-9a-f]+")

Artifact = Digest | bytes | Mapping[str, str]
"""What a subject is held against: the digest of an artifact or, to check every algorithm, its bytes, or its digests in
hex by algorithm.
"""


class Subject(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One artifact that a statement is about."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    digest: Annotated[dict[str, str], Meta(min_length=1, max_length=8)]
    """Algorithm -> lower-case hex."""
    media_type: Annotated[str, Meta(max_length=512)] | None = None
    uri: Annotated[str, Meta(max_length=2048)] | None = None


class Statement(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A claim of a kind (`predicate_type`) about artifacts, as an in-toto Statement v1."""

    type: Literal["https://in-toto.io/Statement/v1"] = field(name="_type")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=MAX_SUBJECTS)]
    predicate_type: Annotated[str, Meta(min_length=1, max_length=256)]
    predicate: dict[str, Any]


class VerifiedStatement(Struct, frozen=True, kw_only=True):
    """A statement that was checked whole."""

    statement: Statement
    predicate: Predicate
    """The predicate in its own struct."""
    digest: Digest
    """Of the payload's bytes."""
    signers: tuple[str, ...]
    """Verification methods whose signatures hold."""
    unchecked: tuple[str, ...] = ()
    """Digests of subjects beside that by sha256, such as `sha512 of 'report.pdf'`, which nobody could hold against the
    bytes: only the digest of these was at hand.
    """


def make_statement(artifacts: Mapping[str, Digest], predicate: Predicate) -> bytes:
    """The payload of a statement with this predicate about these artifacts, by name; sign its `pae`.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.1
    """
    statement: JsonObject = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest_hex(digest)}} for name, digest in sorted(artifacts.items())
        ],
        "predicateType": type(predicate).PREDICATE_TYPE,
        "predicate": from_struct(predicate),
    }
    written = canonicalize(statement)
    to_struct(statement, Statement, text=written)
    return written


def verify_statement(
    document: Mapping[str, Any],
    *,
    attester: Did,
    keys: Mapping[str, PublicKey],
    contract: Digest,
    artifacts: Mapping[str, Artifact],
    predicates: Mapping[str, type[Predicate]] = PREDICATES,
    other_than: Collection[PublicKey] = (),
) -> VerifiedStatement:
    """The statement in this envelope, once it is the attester's, about these artifacts and of this contract.

    `keys` are the attester's assertion keys by verification method, and only those: for what a provider claims, keys of
    the provider. `artifacts` are those delivered, by name; every subject must be one of them. `other_than` are keys by
    which it must not be signed: for an acceptance, those of whom it judges, under whatever name (HIRE-ATT-06).
    `predicates` are the kinds taken from this signer in this place.

    Raises:
        FormatError: `schema_violation`, `unknown_term`, `bad_json` and others of the parser: not such a statement;
            `too_large`: more bytes or subjects than are read (SC-69).
        ProofError: `proof_missing`, `proof_invalid`, `attester_not_trusted`: as `verify_envelope`.
        VerificationError: `digest_mismatch`: a subject is not an artifact delivered (SC-65, SC-68);
            `attester_not_trusted`: it claims another builder or verifier than its signer, or is of a kind that is not
            known (SC-67); `attestation_binding`: it is of another contract (SC-66).

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.1
    """
    # Steps 1 and 2: envelope and payload type. The keys are one party's: anybody else's signature counts for nothing.
    if strangers := [method for method in keys if method.partition("#")[0] != attester]:
        raise ProofError("attester_not_trusted", f"expected keys of {attester}; came {strangers[0]}")
    verified = verify_envelope(document, keys=keys, payload_type=PAYLOAD_TYPE)
    if len(document["signatures"]) > 1:
        raise ProofError("proof_invalid", "expected one signature in the envelope; came more", path="/signatures")
    if all(keys[method] in other_than for method in verified.signers):
        raise ProofError("attester_not_trusted", f"{attester} signs by a key of the one whose work it judges")

    # Step 3: statement type and shape, of the verified bytes.
    statement = _read(verified)

    # Step 4: subjects.
    unchecked: list[str] = []
    names = [subject.name for subject in statement.subject]
    if len(set(names)) < len(names):
        raise VerificationError("digest_mismatch", "expected each subject once", path="/subject")
    for place, subject in enumerate(statement.subject):
        if subject.name not in artifacts:
            raise VerificationError(
                "digest_mismatch", f"no artifact named {subject.name!r:.200} was delivered", path=f"/subject/{place}"
            )
        path = f"/subject/{place}/digest"
        if "sha256" not in subject.digest:
            # By it the contract's messages name the artifact: without the bytes nothing else can be held against them.
            raise VerificationError("digest_mismatch", "expected a digest by sha256", path=path)
        left = check_digests(subject.digest, artifacts[subject.name], path)
        unchecked += [f"{algorithm} of {subject.name!a:.200}" for algorithm in left]

    # Step 5: the predicate is of a kind that is taken here, and closed.
    of = predicates.get(statement.predicate_type)
    if of is None:
        raise VerificationError(
            "attester_not_trusted",
            f"no such kind of claim is taken: {statement.predicate_type!r:.200}",
            path="/predicateType",
        )
    predicate = to_struct(statement.predicate, of, "/predicate", text=verified.payload)

    # Step 6: policy. A key speaks for the party whose it is, and for no other builder or verifier.
    if predicate.attester != attester:
        raise VerificationError(
            "attester_not_trusted", f"expected a claim of {attester}; it claims to be of {predicate.attester!r:.300}"
        )

    # Step 7: the contract. The same artifact made under another contract fulfils nothing here.
    if predicate.contract_digest != contract:
        raise VerificationError(
            "attestation_binding",
            f"expected a statement under contract {contract}; came {predicate.contract_digest!r:.80}",
        )
    return VerifiedStatement(
        statement=statement,
        predicate=predicate,
        digest=digest_bytes(verified.payload),
        signers=verified.signers,
        unchecked=tuple(unchecked),
    )


def algorithms_named(statements: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The accepted algorithms that these envelopes mention anywhere, with sha256: what may be needed to check them. It
    verifies nothing, and of what is no envelope it says nothing.
    """
    found = {"sha256"}
    for document in statements:
        try:
            payload = b64decode(str(document.get("payload", "")))
        except ValueError:
            continue
        found |= {name for name in ALGORITHMS if name.encode() in payload}
    return frozenset(found)


def verify_delivery(
    statements: Iterable[Mapping[str, Any]],
    *,
    attester: Did,
    keys: Mapping[str, PublicKey],
    contract: Digest,
    artifacts: Mapping[str, Artifact],
    required: Collection[str],
    engagement: EngagementId | None = None,
    task: str | None = None,
    inputs: Collection[Digest] | None = None,
    usage: Iterable[tuple[str, str, Amount]] | None = None,
    predicates: Mapping[str, type[Predicate]] = OF_WORK,
) -> tuple[VerifiedStatement, ...]:
    """All statements of a delivery, once each holds and every artifact has one of each `required` predicate type.

    `task` is the kind of task that the terms name, `inputs` the digests of what `Start` gave, `usage` (clause, unit,
    amount) of each line of the `Delivery`: where they and the `engagement` are known, no statement may say another
    (HIRE-ATT-04).

    Raises:
        As `verify_statement`; VerificationError `digest_mismatch` also if an artifact lacks a required statement,
        `attestation_binding` if one tells of another engagement, task or input than the contract does, or of other
        usage than the delivery; FormatError
        `too_large`, if there are more than are looked at.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.3
    """
    verified: list[VerifiedStatement] = []
    used = None if usage is None else sorted(usage)
    for place, document in enumerate(statements):
        if place >= MAX_STATEMENTS:
            raise FormatError("too_large", f"expected at most {MAX_STATEMENTS} statements")
        one = verify_statement(
            document, attester=attester, keys=keys, contract=contract, artifacts=artifacts, predicates=predicates
        )
        _check_told(one.predicate, engagement, task, inputs)
        if isinstance(one.predicate, WorkPredicate) and used is not None:
            _check_used(one.predicate, used)
        verified.append(one)
    covered = {(one.statement.predicate_type, subject.name) for one in verified for subject in one.statement.subject}
    for predicate_type in required:
        for name in artifacts:
            if (predicate_type, name) not in covered:
                raise VerificationError(
                    "digest_mismatch", f"expected a statement of {predicate_type} about {name!r:.200}; there is none"
                )
    return tuple(verified)


def verify_acceptance(
    document: Mapping[str, Any],
    *,
    attester: Did,
    keys: Mapping[str, PublicKey],
    contract: Digest,
    engagement: EngagementId,
    artifacts: Mapping[str, Digest],
    statements: Iterable[Mapping[str, Any]],
    other_than: Collection[PublicKey] = (),
) -> tuple[VerifiedStatement, bool]:
    """The statement of a `Review`, once it is the attester's verdict on a delivery of these `artifacts` with these
    `statements`, and whether the delivery passed.

    Raises:
        As `verify_statement`; VerificationError `attestation_binding` also if it tells of another engagement or of
        statements that were not delivered, or if what passed is not everything delivered.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.2
    """
    # A statement has a subject; when nothing was delivered it is about the contract itself.
    about = artifacts or {"contract": contract}
    verified = verify_statement(
        document,
        attester=attester,
        keys=keys,
        contract=contract,
        artifacts=about,
        predicates=VERDICTS,
        other_than=other_than,
    )
    predicate = verified.predicate
    if not isinstance(predicate, AcceptancePredicate):
        raise VerificationError("attestation_binding", "the statement of a review is no acceptance")
    for name in (predicate.resource_uri, predicate.policy.uri):
        if name is not None and not name.startswith(f"{engagement}:"):
            raise VerificationError("attestation_binding", f"expected a document of {engagement}; came {name!r:.200}")
    read = {digest_of_resource(one) for one in predicate.input_attestations}
    if unknown := read - payload_digests(statements):
        raise VerificationError("attestation_binding", f"a statement that was not delivered: {min(unknown)}")
    passed = predicate.verification_result == "PASSED"
    if passed and {one.name for one in verified.statement.subject} != set(about):
        raise VerificationError("attestation_binding", "the acceptance is not of everything delivered")
    return verified, passed


def payload_digests(statements: Iterable[Mapping[str, Any]]) -> set[Digest]:
    """The digests of these envelopes' payloads. It verifies nothing; what is no envelope has none."""
    found: set[Digest] = set()
    for document in statements:
        # Not its text form: that is another one in every language, and base64 in some.
        if isinstance(payload := document.get("payload"), str):
            with suppress(FormatError):
                found.add(digest_bytes(read_base64(payload, "/payload")))
    return found


def _check_told(
    predicate: Predicate, engagement: EngagementId | None, task: str | None, inputs: Collection[Digest] | None
) -> None:
    """What a statement tells of the contract beside its name is as the contract has it."""
    told: str | None = None
    if isinstance(predicate, ProvenancePredicate):
        told = predicate.build_definition.external_parameters.task
    elif isinstance(predicate, WorkPredicate):
        told = predicate.task
        if engagement is not None and predicate.engagement != engagement:
            raise VerificationError(
                "attestation_binding", f"expected the engagement {engagement}; came {predicate.engagement}"
            )
        foreign = [one.name for one in predicate.inputs if inputs is not None and one.digest not in inputs]
        if foreign:
            raise VerificationError("attestation_binding", f"an input that the contract has not: {foreign[0]!r:.200}")
    if task is not None and told is not None and told != task:
        raise VerificationError("attestation_binding", f"expected the task {task!r:.200}; came {told!r:.200}")


def _check_used(predicate: WorkPredicate, used: Sequence[tuple[str, str, Amount]]) -> None:
    """Two accounts of one piece of work, each signed by the same provider, are one."""
    told = sorted((line.clause, line.unit, line.amount) for line in predicate.usage)
    if told != used:
        other = next(iter(sorted({*told} ^ {*used})), ("", "", "a line twice"))
        raise VerificationError(
            "attestation_binding", f"the statement and the delivery say other usage: {' '.join(other)!a:.200}"
        )


def _read(verified: VerifiedPayload) -> Statement:
    document = decode_json(verified.payload, FOREIGN_LIMITS)
    if not isinstance(document, dict):
        raise FormatError("bad_json", "expected a statement; came another JSON value")
    check_count(document)
    return to_struct(document, Statement, text=verified.payload)


def check_count(statement: JsonObject) -> None:
    """Returns if a statement is about no more than is read.

    Raises:
        FormatError: `too_large`.
    """
    subjects = statement.get("subject")
    if isinstance(subjects, list) and len(subjects) > MAX_SUBJECTS:
        raise FormatError(
            "too_large", f"expected at most {MAX_SUBJECTS} subjects; came {len(subjects)}", path="/subject"
        )


def check_digests(given: Mapping[str, str], artifact: Artifact, path: str) -> list[str]:
    """Returns if these digests, by algorithm in hex, are the artifact's: at least one is by an accepted algorithm, and
    each of those is right. Where only the digest of an artifact is known that by sha256 has to be there, and the names
    of the others are returned: they were not checked.

    Raises:
        VerificationError: `digest_mismatch`.
    """
    accepted = {name: value for name, value in given.items() if name in ALGORITHMS}
    if not accepted:
        known = ", ".join(ALGORITHMS)
        raise VerificationError(
            "digest_mismatch", f"expected a digest by {known}; came {sorted(given)!r:.200}", path=path
        )
    if isinstance(artifact, str) and "sha256" not in accepted:
        raise VerificationError(
            "digest_mismatch", f"{', '.join(accepted)} cannot be checked without the artifact", path=path
        )
    unchecked: list[str] = []
    for name, value in accepted.items():
        if len(value) != ALGORITHMS[name] or not _HEX.fullmatch(value):
            raise VerificationError(
                "digest_mismatch",
                f"expected {ALGORITHMS[name]} lower-case hex digits; came {value!r:.140}",
                path=f"{path}/{name}",
            )
        if isinstance(artifact, bytes):
            actual = new(name, artifact).hexdigest()
        elif isinstance(artifact, str):
            if name != "sha256":
                unchecked.append(name)
                continue
            actual = digest_hex(artifact)
        else:
            actual = artifact.get(name)
        if actual is None:
            raise VerificationError("digest_mismatch", f"{name} cannot be checked without the artifact", path=path)
        if value != actual:
            raise VerificationError("digest_mismatch", f"expected {actual}; came {value}", path=f"{path}/{name}")
    return unchecked
