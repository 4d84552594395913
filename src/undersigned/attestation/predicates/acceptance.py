"""Acceptance of work, as a SLSA verification summary: who checked which artifacts against which contract.

The summary of SLSA and not a kind of our own: it says just this (a verifier, a policy, a result), and tools that
gate deployments read it today. The policy is the contract, by id and digest.

Source: protocol-spec/attestation/acceptance.md; SLSA v1.1, verification summary
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from undersigned.attestation.predicates.base import Part, Predicate, Resource, Uri, digest_of_resource, resource
from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import FormatError

__all__ = ["AcceptancePredicate", "accepted"]


class Verifier(Part, frozen=True, kw_only=True):
    """Who checked: the hirer, or whom the contract names."""

    id: Did
    version: dict[str, str] | None = None


class AcceptancePredicate(Predicate, frozen=True, kw_only=True):
    """The verdict on a delivery; its subjects are the artifacts judged."""

    PREDICATE_TYPE: ClassVar[str] = "https://slsa.dev/verification_summary/v1"

    verifier: Verifier
    time_verified: Instant
    resource_uri: Uri
    """Name of the contract document."""
    policy: Resource
    """The contract: what the work was held against."""
    input_attestations: Annotated[tuple[Resource, ...], Meta(max_length=64)]
    """The provider's statements that were read, by digest of their payload."""
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: tuple[Literal["HIRE_ACCEPTED", "FAILED"]]

    def __post_init__(self) -> None:
        if (self.verification_result == "PASSED") != (self.verified_levels == ("HIRE_ACCEPTED",)):
            raise FormatError("schema_violation", f"{self.verification_result} with {self.verified_levels}")

    @property
    def attester(self) -> Did:
        """The verifier."""
        return self.verifier.id

    @property
    def contract_digest(self) -> Digest:
        """The contract as policy."""
        return digest_of_resource(self.policy)


def accepted(
    *,
    contract: Digest,
    document_id: str,
    verifier: Did,
    passed: bool,
    statements: Iterable[Digest],
    time_verified: Instant,
) -> AcceptancePredicate:
    """The verdict of `verifier` on a delivery under this contract; `statements` are digests of the payloads read."""
    return AcceptancePredicate(
        verifier=Verifier(id=verifier),
        time_verified=time_verified,
        resource_uri=document_id,
        policy=resource(contract, uri=document_id),
        input_attestations=tuple(resource(digest) for digest in statements),
        verification_result="PASSED" if passed else "FAILED",
        verified_levels=("HIRE_ACCEPTED",) if passed else ("FAILED",),
    )
