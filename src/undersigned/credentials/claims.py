"""What credentials of our own types say about their subject: one closed struct for each type.

    document = claim_credential(Endorsement(id=agent, capability="sbom"), id=..., issuer=..., ...)
    match read_claim(verified):
        case Authority(id=attester, may_attest=capability, depth=depth): ...

A claim is one edge of a trust graph: from the issuer to `id`, with what it says. A member that we would not read could
be the one that narrows it, so there is none; what somebody wants to say beside has a type of its own.

Source: protocol-spec/11-credentials.md, section 11.5
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from undersigned.credentials.model import Credential, read_once, wrong
from undersigned.encoding import Amount, Did, Digest, to_struct

__all__ = [
    "CLAIMS",
    "MEMBERSHIP",
    "AccreditedBy",
    "Accusation",
    "AuditedBy",
    "Authority",
    "Ceiling",
    "Claim",
    "Endorsement",
    "Membership",
    "PartOf",
    "Performance",
    "SuppliesTo",
    "read_claim",
]

MEMBERSHIP: Final = "MembershipCredential"

Capability: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, title="Capability")]
"""A capability by the name that `Profile.capabilities` and needs have; compared as text."""
Weight: TypeAlias = Annotated[str, Meta(pattern=r"^(?:0|1|0\.[0-9]{0,8}[1-9])(?!\n)$", max_length=11, title="Weight")]
"""A decimal from 0 to 1, without trailing zeros."""
MAX_DEPTH: Final = 16


class Claim(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What one of our credentials says about its one subject."""

    type: ClassVar[str]
    """Of the credential."""
    by: ClassVar[str | None] = None
    """The member that names the issuer: only the organisation itself says who belongs to it."""

    id: Did
    """Whom it is about."""


class Ceiling(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """How far an agent may bind its organisation; what is absent is not limited."""

    amount: Amount | None = None
    """Highest price of one contract, inclusive; only with `currency`."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")] | None = None
    """Of every contract."""
    actions: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=64)] | None = (
        None
    )
    """The actions that the scope of a contract may grant; empty: none."""

    def __post_init__(self) -> None:
        if self.amount is not None and self.currency is None:
            raise wrong("/credentialSubject/limits", "an amount with its currency", self.amount)


class Membership(Claim, frozen=True, kw_only=True):
    """An organisation says that it operates an agent, and how far the agent may bind it."""

    type = MEMBERSHIP
    by = "member_of"

    member_of: Did
    """The organisation, which is the issuer."""
    limits: Ceiling | None = None
    """The ceiling of its authority; absent: none is set here."""


class Authority(Claim, frozen=True, kw_only=True):
    """The issuer believes what the subject attests about a capability."""

    type = "AttestationAuthorityCredential"

    may_attest: Capability
    """The capability that it may attest of others."""
    depth: Annotated[int, Meta(ge=0, le=MAX_DEPTH)]
    """How many further authorities may follow one another below it: with 0 it attests and authorises nobody else."""


class Endorsement(Claim, frozen=True, kw_only=True):
    """The issuer says that the subject has a capability."""

    type = "EndorsementCredential"

    capability: Capability
    """What it can do."""
    weight: Weight | None = None
    """How much the issuer lays on it, 0 to 1; absent is 1."""


class Performance(Claim, frozen=True, kw_only=True):
    """A party of a contract says how the other's work ended. It counts only beside the countersigned contract."""

    type = "PerformanceCredential"

    contract: Digest
    """Of the contract document, which both have signed."""
    capability: Capability | None = None
    """What the work was."""
    outcome: Literal["accepted", "failed", "rejected"]
    """`rejected`: delivered and not accepted. `failed`: nothing was delivered."""


class Accusation(Claim, frozen=True, kw_only=True):
    """The issuer accuses the subject, with evidence that speaks for itself."""

    type = "AccusationCredential"

    kind: Literal["breach", "distrust", "equivocation"]
    """`equivocation`: two moves in a place, or histories of a log. `breach`: a ruling. `distrust`: a judgement."""
    evidence: Digest
    """Of the equivocation proof, of the ruling, or of what the judgement rests on."""


class PartOf(Claim, frozen=True, kw_only=True):
    """An organisation says that another is a part of it."""

    type = "PartOfCredential"
    by = "part_of"

    part_of: Did
    """The whole, which is the issuer."""


class SuppliesTo(Claim, frozen=True, kw_only=True):
    """An organisation says that another supplies it."""

    type = "SuppliesToCredential"
    by = "supplies_to"

    supplies_to: Did
    """The one supplied, which is the issuer."""


class AccreditedBy(Claim, frozen=True, kw_only=True):
    """The issuer accredits an organisation for a capability."""

    type = "AccreditedByCredential"

    accredited_for: Capability
    """What for."""


class AuditedBy(Claim, frozen=True, kw_only=True):
    """The issuer has audited an organisation."""

    type = "AuditedByCredential"

    audited_for: Annotated[str, Meta(min_length=1, max_length=1024)]
    """Against what: a standard, with its year. Text for a person."""


CLAIMS: Final[Mapping[str, type[Claim]]] = MappingProxyType(
    {
        of.type: of
        for of in (
            Membership,
            Authority,
            Endorsement,
            Performance,
            Accusation,
            PartOf,
            SuppliesTo,
            AccreditedBy,
            AuditedBy,
        )
    }
)
"""By type of credential."""


@read_once
def read_claim(credential: Credential) -> Claim:
    """What a credential of one of our types says; whether it was verified is for the caller to know. Asked whenever it
    is shown.

    Raises:
        CredentialError: `schema_violation`: of none of our types, or of another type beside; several subjects; issued
            by somebody else than the organisation that it speaks for.
        FormatError: `unknown_term`, `schema_violation`: a subject that the type does not define.

    Source: protocol-spec/11-credentials.md, section 11.5
    """
    kind = credential.types[0] if len(credential.types) == 1 else ""
    of = CLAIMS.get(kind)
    if of is None:
        raise wrong("/type", f"one of {', '.join(CLAIMS)}, and no other", list(credential.types))
    subject = credential.json.get("credentialSubject")
    if not isinstance(subject, dict):
        raise wrong("/credentialSubject", "one subject", subject)
    claim = to_struct(subject, of, "/credentialSubject")
    if of.by is not None and (named := getattr(claim, of.by)) != credential.issuer:
        on_the_wire = of.__struct_encode_fields__[of.__struct_fields__.index(of.by)]
        raise wrong(f"/credentialSubject/{on_the_wire}", f"its issuer {credential.issuer}", named)
    return claim
