"""The documents that both parties sign: the contract, and what amends or releases it later.

Its id is a name (engagement, role and place of the `Offer` that carries it) and points to nothing that comes later;
it is referred to by digest, which covers everything but the proofs.

Source: protocol-spec/07-contract.md, section 7.1
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct, field

from undersigned.contract.terms import Price, Terms
from undersigned.encoding import Did, DidUrl, Digest, EngagementId

__all__ = [
    "AmendmentDocument",
    "ContractDocument",
    "Document",
    "Methods",
    "Organisations",
    "Place",
    "ReleaseDocument",
    "Role",
    "SignedDocument",
    "Transcript",
    "document_id",
]

Role: TypeAlias = Literal["hirer", "provider"]


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


class SignedDocument(_Part, frozen=True, kw_only=True, tag_field="type"):
    """What every document that both sign has: offered, it has one proof; accepted, two."""

    type: ClassVar[str] = ""
    """As written on the wire."""

    context: Literal["https://w3id.org/hire/v1"] = field(name="@context")
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    engagement: EngagementId
    hirer: Did
    provider: Did
    methods: Methods
    transcript: Transcript
    proof: dict[str, Any] | Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=4)] | None = None


class ContractDocument(SignedDocument, frozen=True, kw_only=True, tag="Contract"):
    """One contract, or one that is still on the table."""

    type: ClassVar[str] = "Contract"

    organisations: Organisations | None = None
    terms: Terms
    parent: Digest | None = None
    """Digest of the contract under which the hirer is itself the provider."""


class AmendmentDocument(ContractDocument, frozen=True, kw_only=True, tag="Amendment"):
    """Other terms for a contract, whole; once sealed they are in force in place of those before."""

    type: ClassVar[str] = "Amendment"

    contract: Digest
    """Of the contract as first sealed."""
    amends: Digest
    """Of the document in force, which this one takes the place of."""


class ReleaseDocument(SignedDocument, frozen=True, kw_only=True, tag="Release"):
    """Both let each other go: what is owed, all told, and why. Once sealed, the contract is at its end."""

    type: ClassVar[str] = "Release"

    contract: Digest
    """Of the contract as first sealed."""
    amends: Digest
    """Of the document in force."""
    settlement: Price
    """What the hirer owes, all told; may be 0."""
    reason: Annotated[str, Meta(min_length=1, max_length=1024)]
    """Why, for people."""


Document: TypeAlias = ContractDocument | AmendmentDocument | ReleaseDocument
"""What an `Offer` may carry: the first of them makes a contract, the others are about one."""


def document_id(engagement: EngagementId, role: Role, sequence: int) -> str:
    """The name of the document that the offer in this place carries: `<engagement>:<role>:<sequence>`."""
    return f"{engagement}:{role}:{sequence}"
