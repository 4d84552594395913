"""An edge of the trust graph: what one verified credential says, in the members that the graph counts with.

    edge = edge_of(verify_credential(...), contracts=countersigned)

Source: protocol-spec/12-trust.md, section 12.1
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from undersigned.credentials import (
    AccreditedBy,
    Accusation,
    AuditedBy,
    Authority,
    Claim,
    Credential,
    Endorsement,
    Membership,
    PartOf,
    Performance,
    SuppliesTo,
    read_claim,
)
from undersigned.encoding import DID_PATTERN, Did, Digest, Instant, format_instant, shift
from undersigned.errors import CredentialError

__all__ = ["KINDS", "MAX_DEPTH", "UNIT", "Edge", "EdgeKind", "Kind", "Status", "edge_of", "units_of", "written"]

Kind = Literal[
    "membership",
    "authority",
    "endorsement",
    "performance",
    "accusation",
    "partOf",
    "suppliesTo",
    "accreditedBy",
    "auditedBy",
]
Status = Literal["good", "suspended", "revoked"]

UNIT: Final = 1_000_000_000
"""Weights and scores are counted in billionths: 1 is all the trust there is."""
MAX_DEPTH: Final = 4
"""Links from an anchor to whoever is asked about, at most."""


class EdgeKind(NamedTuple):
    """What a kind of edge is made from, and how much it weighs where its credential does not say."""

    claim: type[Claim]
    capability: str | None = None
    """The member that names a capability."""
    weight: int = 0
    """In billionths; 0 adds nothing to a reputation."""

    @property
    def member(self) -> str | None:
        """The same member as the wire names it."""
        if self.capability is None:
            return None
        return self.claim.__struct_encode_fields__[self.claim.__struct_fields__.index(self.capability)]


KINDS: Final[Mapping[Kind, EdgeKind]] = MappingProxyType(
    {
        "membership": EdgeKind(Membership, weight=UNIT),
        "authority": EdgeKind(Authority, "may_attest"),
        "endorsement": EdgeKind(Endorsement, "capability", UNIT),
        "performance": EdgeKind(Performance, "capability", UNIT // 2),
        "accusation": EdgeKind(Accusation),
        "partOf": EdgeKind(PartOf, weight=UNIT),
        "suppliesTo": EdgeKind(SuppliesTo, weight=UNIT // 4),
        "accreditedBy": EdgeKind(AccreditedBy, "accredited_for", UNIT),
        "auditedBy": EdgeKind(AuditedBy, weight=UNIT // 2),
    }
)
"""The specification's table of kinds (section 12.1) says the same."""

_BY_TYPE: Final[dict[str, Kind]] = {of.claim.type: kind for kind, of in KINDS.items()}
_DID: Final = re.compile(DID_PATTERN)
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Edge(Struct, frozen=True, omit_defaults=True, rename="camel", gc=False):
    """What one credential says about one party; `digest` names the credential, and so the edge."""

    digest: Digest
    source: Did
    """Its issuer."""
    target: Did
    """Its subject."""
    kind: Kind
    capability: str | None = None
    """What it is about; None is about no capability, and counts for each."""
    depth: Annotated[int, Meta(ge=0, le=MAX_DEPTH)] = 0
    """Authority only: how many further links of authority may follow."""
    weight: Annotated[int, Meta(ge=0, le=UNIT)] = 0
    """How much trust it can carry, in billionths."""
    valid_from: Instant | None = None
    """First second in which it counts."""
    valid_until: Instant | None = None
    """Last second in which it counts."""
    status: Status = "good"
    says: str = ""
    """Of an accusation its kind, of a performance its outcome, of an audit what it was for."""

    @property
    def accusation(self) -> str:
        """What it says, if it accuses, for a person."""
        return f"{self.source} accuses {self.target} of {self.says}"

    def counts(self, now: Instant) -> bool:
        """Whether it stands at `now`: both ends inclusive, neither suspended nor revoked."""
        return (
            self.status == "good"
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_until is None or now <= self.valid_until)
        )

    def changes(self, now: Instant) -> Instant | None:
        """The last second before it begins, or ends; None: neither is to come."""
        if self.valid_from is not None and self.valid_from > now:
            return shift(self.valid_from, -1)
        return self.valid_until if self.valid_until is not None and self.valid_until >= now else None


def edge_of(
    credential: Credential,
    *,
    contracts: Collection[Digest] = (),
    evidence: Collection[Digest] = (),
) -> Edge:
    """The edge of a credential that `verify_credential` gave. `contracts`: those known to be signed by both parties;
    `evidence`: what is here, and was seen to show of the subject what an accusation says.

    Raises:
        CredentialError, FormatError: As `read_claim`: of no type that makes an edge or of several, about several
            subjects, with a member that the type does not define, or by somebody else than the organisation it speaks
            for. `policy_denied`: a performance under a contract that is not in `contracts`, or an accusation whose
            evidence is not in `evidence`.

    Source: protocol-spec/12-trust.md, section 12.1
    """
    # Steps 1 and 2: one type, one subject, and exactly the members of that type. What could be two edges is none, and a
    # member that is not read could be the one that narrows it.
    claim = read_claim(credential)
    kind = _BY_TYPE[claim.type]
    of = KINDS[kind]
    if not _DID.search(credential.issuer):
        raise CredentialError("schema_violation", f"expected a DID; came {credential.issuer!a:.160}", path="/issuer")

    # Step 3: what each member says.
    capability: str | None = getattr(claim, of.capability) if of.capability is not None else None
    weight, depth, says = of.weight, 0, ""
    match claim:
        case Endorsement(weight=str(given)):
            weight = units_of(given)
        case Authority():
            # Deeper than anybody looks is as deep as anybody looks.
            depth = min(claim.depth, MAX_DEPTH)
        case Performance():
            says = claim.outcome
            if claim.contract not in contracts:
                text = f"the contract {claim.contract} is not known to be signed by both parties"
                raise CredentialError("policy_denied", text)
            weight = weight if says == "accepted" else 0
        case Accusation():
            says = claim.kind
            if claim.evidence not in evidence:
                text = f"the evidence {claim.evidence} is not here, or was not seen to show it"
                raise CredentialError("policy_denied", text)
        case AuditedBy():
            says = claim.audited_for
        case _:
            pass

    # Step 4: whole seconds, so that comparing text compares time; a part of a second counts as not yet, or no more.
    return Edge(
        credential.digest,
        credential.issuer,
        claim.id,
        kind,
        capability,
        depth,
        weight,
        _bound(credential.valid_from, "/validFrom", first=True),
        _bound(credential.valid_until, "/validUntil", first=False),
        says=says,
    )


def written(units: int) -> str:
    """Billionths as a decimal: `0`, `0.2`, `1`."""
    whole, part = divmod(units, UNIT)
    return f"{whole}.{part:09d}".rstrip("0") if part else str(whole)


def units_of(weight: str) -> int:
    """Billionths of a decimal such as `written` gives."""
    whole, _, part = weight.partition(".")
    return int(whole) * UNIT + int(part.ljust(9, "0"))


def _bound(value: str | None, path: str, *, first: bool) -> Instant | None:
    """The first or last whole second of a bound; None where there is none that an instant could name."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
        if first and moment.microsecond:
            moment += timedelta(seconds=1)
    except (ValueError, OverflowError) as exc:
        raise CredentialError(
            "schema_violation", f"expected a date-time with its zone; came {value}", path=path
        ) from exc
    if (moment > _LAST) if first else (moment < _FIRST):
        text = f"expected a validity in the years 2000 to 2999; came {value}"
        raise CredentialError("schema_violation", text, path=path)
    if (moment < _FIRST) if first else (moment > _LAST):
        return None
    return format_instant(moment)
