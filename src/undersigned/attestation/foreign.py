"""Statements of others: what any in-toto tool signed, read as its format says.

On our own wire a statement is closed. What others sign grows new members, comes in older versions, and names no
contract: it is read here, for whoever asks where something came from, and counts as no claim of a party to a contract.
The order of checks is that of our own: envelope, payload type, statement type, subjects, predicate, policy.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.8; in-toto Attestation Framework, Statement v0.1 and v1;
SLSA provenance v0.2 and v1.1
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta, Struct, field

from undersigned.attestation.dsse import Envelope, VerifiedPayload, read_base64, verify_envelope
from undersigned.attestation.statement import Artifact, check_count, check_digests
from undersigned.encoding import FOREIGN_LIMITS, Digest, JsonObject, decode_json, digest_bytes, to_struct
from undersigned.errors import FormatError, VerificationError
from undersigned.keys import PublicKey

__all__ = [
    "BuiltBy",
    "ForeignProvenance",
    "ForeignStatement",
    "ForeignSubject",
    "read_foreign_envelope",
    "read_foreign_provenance",
    "read_foreign_statement",
    "verify_foreign_statement",
]

PROVENANCE_V1: Final = "https://slsa.dev/provenance/v1"
PROVENANCE_V02: Final = "https://slsa.dev/provenance/v0.2"

Text = Annotated[str, Meta(max_length=4096)]
Uri = Annotated[str, Meta(min_length=1, max_length=4096)]
Digests = Annotated[dict[str, str], Meta(max_length=16)]


class _Open(Struct, frozen=True, kw_only=True, rename="camel"):
    """An object whose unknown members are passed over, as its standard asks of a reader."""


class ForeignSubject(_Open, frozen=True, kw_only=True):
    """What a statement is about; a v1 statement may leave the name out."""

    name: Text | None = None
    digest: Annotated[Digests, Meta(min_length=1)]


class _Statement(_Open, frozen=True, kw_only=True):
    type: Literal["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] = field(name="_type")
    subject: Annotated[tuple[ForeignSubject, ...], Meta(min_length=1)]
    predicate_type: Uri
    predicate: dict[str, Any] | None = None


class ForeignStatement(Struct, frozen=True, kw_only=True):
    """A statement of somebody."""

    type: str
    """Version of the statement, by its URI."""
    subjects: tuple[ForeignSubject, ...]
    predicate_type: str
    predicate: JsonObject
    """Whoever knows the type reads it. A member that was null is left out."""
    digest: Digest
    """Of the payload."""
    signers: tuple[str, ...] = ()
    """Names of the keys whose signatures hold; empty if it was read and not verified."""


class Dependency(_Open, frozen=True, kw_only=True):
    """Something that went in."""

    name: Text | None = None
    uri: Text | None = None
    digest: Digests = field(default_factory=dict[str, str])


class ForeignProvenance(Struct, frozen=True, kw_only=True):
    """What SLSA provenance of either version says, under the names of v1."""

    builder: str
    build_type: str
    external_parameters: JsonObject
    """Of v0.2: `configSource` and `parameters` of its invocation."""
    dependencies: tuple[Dependency, ...]
    invocation: str | None
    started_on: str | None
    finished_on: str | None
    """As written: others write times with fractions and offsets."""


class BuiltBy(Struct, frozen=True, kw_only=True):
    """What is asked of provenance: a builder, the keys that may speak for it, and the build."""

    builder: str
    keys: Collection[str]
    """Names of the keys that this builder signs with: another key that is trusted for something else is not enough."""
    build_types: Collection[str]
    parameters: Collection[str] = ()
    """Names of external parameters that are known to the one who asks. Any other could have steered the build."""


class _Source(_Open, frozen=True, kw_only=True):
    config_source: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None


class _Id(_Open, frozen=True, kw_only=True):
    id: Uri


class _MetadataOld(_Open, frozen=True, kw_only=True):
    build_invocation_id: Text | None = field(name="buildInvocationID", default=None)
    build_started_on: Text | None = None
    build_finished_on: Text | None = None


class _Old(_Open, frozen=True, kw_only=True):
    """Provenance v0.2."""

    builder: _Id
    build_type: Uri
    invocation: _Source = field(default_factory=_Source)
    metadata: _MetadataOld = field(default_factory=_MetadataOld)
    materials: Annotated[tuple[Dependency, ...], Meta(max_length=4096)] = ()


class _Definition(_Open, frozen=True, kw_only=True):
    build_type: Uri
    external_parameters: dict[str, Any]
    resolved_dependencies: Annotated[tuple[Dependency, ...], Meta(max_length=4096)] = ()


class _Metadata(_Open, frozen=True, kw_only=True):
    invocation_id: Text | None = None
    started_on: Text | None = None
    finished_on: Text | None = None


class _Run(_Open, frozen=True, kw_only=True):
    builder: _Id
    metadata: _Metadata = field(default_factory=_Metadata)


class _New(_Open, frozen=True, kw_only=True):
    """Provenance v1."""

    build_definition: _Definition
    run_details: _Run


def read_foreign_statement(payload: bytes) -> ForeignStatement:
    """The statement that these bytes spell, of in-toto v1 or v0.1; nothing is said about who signed it.

    Raises:
        FormatError: `schema_violation`, not such a statement; `too_large`, more subjects than are read; and those of
            the strict parser.
    """
    document = decode_json(payload, FOREIGN_LIMITS)
    if not isinstance(document, dict):
        raise FormatError("schema_violation", "expected a statement; came another JSON value")
    check_count(document)
    read = to_struct(_without_nulls(document), _Statement)
    if read.type.endswith("/v0.1") and any(subject.name is None for subject in read.subject):
        raise FormatError("schema_violation", "expected a name of each subject in a statement v0.1", path="/subject")
    return ForeignStatement(
        type=read.type,
        subjects=read.subject,
        predicate_type=read.predicate_type,
        predicate=read.predicate or {},
        digest=digest_bytes(payload),
    )


def read_foreign_envelope(document: Mapping[str, Any]) -> tuple[Envelope, bytes]:
    """The envelope in a document of others, which may be a Sigstore bundle around it, and its payload. Nothing of it is
    verified.

    Raises:
        FormatError: `schema_violation`: there is none.
    """
    inner: Any = document.get("dsseEnvelope", document)
    if not isinstance(inner, dict):
        raise FormatError("schema_violation", "expected an envelope; came another JSON value", path="/dsseEnvelope")
    read = to_struct(_plain(cast(JsonObject, inner)), Envelope)
    return read, read_base64(read.payload, "/payload")


def read_foreign_provenance(statement: ForeignStatement) -> ForeignProvenance:
    """What the provenance in a statement says, of SLSA v1 or v0.2.

    Raises:
        FormatError: `schema_violation`: it is not of the shape that its type has.
        VerificationError: `attester_not_trusted`: it is provenance of no type that is read here.
    """
    if statement.predicate_type == PROVENANCE_V1:
        new = to_struct(_without_nulls(statement.predicate), _New, "/predicate")
        definition, run = new.build_definition, new.run_details
        return ForeignProvenance(
            builder=run.builder.id,
            build_type=definition.build_type,
            external_parameters=definition.external_parameters,
            dependencies=definition.resolved_dependencies,
            invocation=run.metadata.invocation_id,
            started_on=run.metadata.started_on,
            finished_on=run.metadata.finished_on,
        )
    if statement.predicate_type == PROVENANCE_V02:
        old = to_struct(_without_nulls(statement.predicate), _Old, "/predicate")
        source, metadata = old.invocation, old.metadata
        given = {"configSource": source.config_source, "parameters": source.parameters}
        return ForeignProvenance(
            builder=old.builder.id,
            build_type=old.build_type,
            external_parameters={name: value for name, value in given.items() if value},
            dependencies=old.materials,
            invocation=metadata.build_invocation_id,
            started_on=metadata.build_started_on,
            finished_on=metadata.build_finished_on,
        )
    raise VerificationError(
        "attester_not_trusted",
        f"expected {PROVENANCE_V1} or {PROVENANCE_V02}; came {statement.predicate_type!r:.200}",
        path="/predicateType",
    )


def verify_foreign_statement(
    document: Mapping[str, Any],
    *,
    keys: Mapping[str, PublicKey],
    artifact: Artifact,
    predicate_types: Collection[str],
    built_by: BuiltBy | None = None,
) -> ForeignStatement:
    """The statement in this envelope, once it is signed by one of `keys`, of this artifact, and as asked for.

    `keys` are by names of the caller's own. ECDSA signatures may be in ASN.1, as most others write them; members that
    the envelope has beside its own, such as a certificate, are passed over and prove nothing. A subject is found by
    its digest: of several, one has to be the artifact.

    Raises:
        FormatError: `schema_violation`, `too_large` and those of the strict parser.
        ProofError: `proof_missing`, `proof_invalid`, `attester_not_trusted`: as `verify_envelope`.
        VerificationError: `digest_mismatch`: no subject is the artifact; `attester_not_trusted`: it is of another
            type, by another builder than its signer may speak for, or of a build that was not asked for.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.8
    """
    # Steps 1 and 2: envelope and its signature, payload type.
    verified = _opened(document, keys)
    # Step 3: statement type and shape, of the verified bytes.
    read = read_foreign_statement(verified.payload)
    # Step 4: subjects. Names are of the one who made it; the digest says what it is.
    _check_subject(read, artifact)
    # Step 5: the predicate is of a type that is asked for, and of its shape.
    if read.predicate_type not in predicate_types:
        wanted = " or ".join(sorted(predicate_types))
        raise VerificationError(
            "attester_not_trusted", f"expected {wanted}; came {read.predicate_type!r:.200}", path="/predicateType"
        )
    # Step 6: policy. Who signed may speak for the builder, and the build is one that was asked for.
    if built_by is not None:
        _check_build(read_foreign_provenance(read), verified.signers, built_by)
    return ForeignStatement(
        type=read.type,
        subjects=read.subjects,
        predicate_type=read.predicate_type,
        predicate=read.predicate,
        digest=read.digest,
        signers=verified.signers,
    )


def _without_nulls(value: Any) -> Any:
    """Others write null for what is absent. The value came under a depth limit, so this ends soon."""
    if isinstance(value, dict):
        members = cast(JsonObject, value).items()
        return {name: _without_nulls(member) for name, member in members if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast("list[Any]", value)]
    return value


def _opened(document: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> VerifiedPayload:
    return verify_envelope(_plain(document), keys=keys, asn1=True)


def _plain(document: Mapping[str, Any]) -> JsonObject:
    """An envelope without what came along with it."""
    signatures: Any = document.get("signatures")
    plain: JsonObject = {name: document[name] for name in ("payload", "payloadType") if name in document}
    plain["signatures"] = [
        {name: value for name, value in cast(JsonObject, one).items() if name in ("sig", "keyid")}
        for one in (cast("list[object]", signatures) if isinstance(signatures, list) else [])
        if isinstance(one, dict)
    ]
    return plain


def _check_subject(read: ForeignStatement, artifact: Artifact) -> None:
    failure: VerificationError | None = None
    for place, subject in enumerate(read.subjects):
        try:
            check_digests(subject.digest, artifact, f"/subject/{place}/digest")
            return
        except VerificationError as exc:
            failure = exc
    if failure is None or len(read.subjects) > 1:
        failure = VerificationError("digest_mismatch", "none of the subjects is this artifact", path="/subject")
    raise failure


def _check_build(found: ForeignProvenance, signers: Collection[str], wanted: BuiltBy) -> None:
    if found.builder != wanted.builder or not set(signers) & set(wanted.keys):
        raise VerificationError(
            "attester_not_trusted",
            f"expected {wanted.builder!r:.300} by a key of it; came {found.builder!r:.300} by {', '.join(signers)}",
        )
    if found.build_type not in wanted.build_types:
        raise VerificationError("attester_not_trusted", f"no such build was asked for: {found.build_type!r:.300}")
    if unknown := sorted(set(found.external_parameters) - set(wanted.parameters)):
        raise VerificationError("attester_not_trusted", f"an external parameter that nobody knows: {unknown[0]!r:.200}")
