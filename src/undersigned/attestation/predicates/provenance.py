"""SLSA provenance v1: the builder is the provider's DID, and the external parameters are the contract's own.

The external parameters are closed: a verifier that let unknown ones pass would accept a build that somebody steered.

Source: protocol-spec/attestation/provenance-v1.md; SLSA v1.1, provenance
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from undersigned.attestation.predicates.base import Part, Predicate, Resource, resource
from undersigned.encoding import Did, Digest, Instant

__all__ = ["ProvenancePredicate", "provenance"]

BUILD_TYPE: Final = "https://w3id.org/hire/attestation/task/v1"
"""How a hired task is run: the provider does `task` under the clauses of `contract`, from the resolved inputs."""

Name = Annotated[str, Meta(min_length=1, max_length=512)]


class ExternalParameters(Part, frozen=True, kw_only=True):
    """What the hirer decides; each of it is in the contract."""

    contract: Digest
    clauses: Annotated[tuple[Name, ...], Meta(max_length=64)]
    """Short names of the grants the work was done under; sorted."""
    task: Name


class BuildDefinition(Part, frozen=True, kw_only=True):
    """What went in."""

    build_type: Literal["https://w3id.org/hire/attestation/task/v1"]
    external_parameters: ExternalParameters
    resolved_dependencies: Annotated[tuple[Resource, ...], Meta(max_length=128)]
    """The inputs, and the credentials used, by digest."""


class Builder(Part, frozen=True, kw_only=True):
    """Who ran it."""

    id: Did
    version: dict[str, str] | None = None


class Metadata(Part, frozen=True, kw_only=True):
    """About this run."""

    invocation_id: Name
    """Names the run, in the provider's own words: the engagement and the round, say."""
    started_on: Instant
    finished_on: Instant


class RunDetails(Part, frozen=True, kw_only=True):
    """How it was run."""

    builder: Builder
    metadata: Metadata


class ProvenancePredicate(Predicate, frozen=True, kw_only=True):
    """Where an artifact comes from, as SLSA says it."""

    PREDICATE_TYPE: ClassVar[str] = "https://slsa.dev/provenance/v1"

    build_definition: BuildDefinition
    run_details: RunDetails

    @property
    def attester(self) -> Did:
        """The builder."""
        return self.run_details.builder.id

    @property
    def contract_digest(self) -> Digest:
        """The contract among the external parameters."""
        return self.build_definition.external_parameters.contract


def provenance(
    *,
    contract: Digest,
    clauses: Iterable[str],
    provider: Did,
    task: str,
    inputs: Mapping[str, Digest],
    invocation_id: str,
    started_on: Instant,
    finished_on: Instant,
    version: Mapping[str, str] | None = None,
) -> ProvenancePredicate:
    """Provenance of what a task made: `clauses` are ids of grants, `inputs` by name, `invocation_id` names the run."""
    return ProvenancePredicate(
        build_definition=BuildDefinition(
            build_type=BUILD_TYPE,
            external_parameters=ExternalParameters(contract=contract, clauses=tuple(sorted(set(clauses))), task=task),
            resolved_dependencies=tuple(resource(digest, name=name) for name, digest in sorted(inputs.items())),
        ),
        run_details=RunDetails(
            builder=Builder(id=provider, version=dict(version) if version else None),
            metadata=Metadata(invocation_id=invocation_id, started_on=started_on, finished_on=finished_on),
        ),
    )
