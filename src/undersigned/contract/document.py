"""The contract document: who, the negotiation it came from, and the terms, under two proofs.

Its id is a name (engagement, role and place of the `Offer` that carries it) and points to nothing that comes later;
it is referred to by digest, which covers everything but the proofs.

Source: protocol-spec/07-contract.md, section 7.1
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from undersigned.contract.terms import Terms
from undersigned.encoding import Did, DidUrl, Digest, EngagementId

__all__ = ["ContractDocument", "Methods", "Organisations", "Place", "Role", "Transcript", "document_id"]

Role = Literal["hirer", "provider"]


class _Part(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What all parts have in common: closed, camelCase, absent when not given."""


class Place(_Part, frozen=True, kw_only=True):
    """Number and digest of one side's last move before the offer."""

    sequence: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    digest: Digest


class Transcript(_Part, frozen=True, kw_only=True):
    """Where both chains stood when the offer was made: the contract binds the negotiation that led to it."""

    hirer: Place
    provider: Place


class Organisations(_Part, frozen=True, kw_only=True):
    """The organisations that vouch for the two agents, as their credentials said."""

    hirer: Did | None = None
    provider: Did | None = None


class Methods(_Part, frozen=True, kw_only=True):
    """The verification methods by which each party signs this document; sorted sets."""

    hirer: Annotated[tuple[DidUrl, ...], Meta(min_length=1, max_length=16)]
    provider: Annotated[tuple[DidUrl, ...], Meta(min_length=1, max_length=16)]


class ContractDocument(_Part, frozen=True, kw_only=True):
    """One contract, or one that is still on the table: offered, it has one proof; accepted, two."""

    context: Literal["https://w3id.org/hire/v1"] = field(name="@context")
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    type: Literal["Contract"]
    engagement: EngagementId
    hirer: Did
    provider: Did
    organisations: Organisations | None = None
    methods: Methods
    transcript: Transcript
    terms: Terms
    parent: Digest | None = None
    """Digest of the contract under which the hirer is itself the provider."""
    proof: dict[str, Any] | Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=4)] | None = None


def document_id(engagement: EngagementId, role: Role, sequence: int) -> str:
    """The name of the document that the offer in this place carries: `<engagement>:<role>:<sequence>`."""
    return f"{engagement}:{role}:{sequence}"
