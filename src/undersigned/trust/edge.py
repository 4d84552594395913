"""An edge of the trust graph: what one verified credential says, in the members that the graph counts with.

    edge = edge_of(verify_credential(...), contracts=countersigned)

Source: protocol-spec/12-trust.md, section 12.1
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from undersigned.credentials import Credential
from undersigned.encoding import DID_PATTERN, DIGEST_PATTERN, Did, Digest, Instant, format_instant
from undersigned.errors import CredentialError

__all__ = ["KINDS", "MAX_DEPTH", "UNIT", "Edge", "EdgeKind", "Kind", "Status", "edge_of", "written"]

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

    credential: str
    """Type of the credential."""
    members: tuple[str, ...]
    """Of the subject, beside `id`; each must be there and no other may, but for `optional`."""
    optional: tuple[str, ...] = ()
    capability: str | None = None
    """The member that names a capability."""
    by: str | None = None
    """The member that must name the issuer."""
    weight: int = 0
    """In billionths; 0 adds nothing to a reputation."""


KINDS: Final[Mapping[Kind, EdgeKind]] = MappingProxyType(
    {
        "membership": EdgeKind("MembershipCredential", ("memberOf",), by="memberOf", weight=UNIT),
        "authority": EdgeKind("AttestationAuthorityCredential", ("mayAttest", "depth"), capability="mayAttest"),
        "endorsement": EdgeKind("EndorsementCredential", ("capability",), ("weight",), "capability", weight=UNIT),
        "performance": EdgeKind(
            "PerformanceCredential", ("contract", "outcome"), ("capability",), "capability", weight=UNIT // 2
        ),
        "accusation": EdgeKind("AccusationCredential", ("kind", "evidence")),
        "partOf": EdgeKind("PartOfCredential", ("partOf",), by="partOf", weight=UNIT),
        "suppliesTo": EdgeKind("SuppliesToCredential", ("suppliesTo",), by="suppliesTo", weight=UNIT // 4),
        "accreditedBy": EdgeKind("AccreditedByCredential", ("accreditedFor",), (), "accreditedFor", weight=UNIT),
        "auditedBy": EdgeKind("AuditedByCredential", ("auditedFor",), weight=UNIT // 2),
    }
)
"""The specification's table of kinds (section 12.1) says the same."""

_BY_TYPE: Final[dict[str, Kind]] = {of.credential: kind for kind, of in KINDS.items()}
_WEIGHT: Final = re.compile(r"0|1|0\.[0-9]{0,8}[1-9]")
_DID: Final = re.compile(DID_PATTERN)
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_OUTCOMES: Final = frozenset({"accepted", "rejected", "failed"})
_ACCUSATIONS: Final = frozenset({"equivocation", "breach", "distrust"})
_MAX_TEXT: Final = 1024
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
    """Of an accusation its kind, of a performance its outcome."""

    def counts(self, now: Instant) -> bool:
        """Whether it stands at `now`: both ends inclusive, neither suspended nor revoked."""
        return (
            self.status == "good"
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_until is None or now <= self.valid_until)
        )


def edge_of(credential: Credential, *, contracts: Collection[Digest] = (), status: Status = "good") -> Edge:
    """The edge of a credential that `verify_credential` gave. `contracts`: those known to be signed by both parties.

    Raises:
        CredentialError: `schema_violation`: of no type that makes an edge or of several, about several subjects, with a
            member that the type does not define, or by somebody else than the organisation it speaks for.
            `policy_denied`: a performance under a contract that is not in `contracts`.

    Source: protocol-spec/12-trust.md, section 12.1
    """
    # Step 1: one type, one subject. What could be two edges is none.
    kind = _BY_TYPE.get(credential.types[0]) if len(credential.types) == 1 else None
    if kind is None:
        raise _wrong("/type", f"one of {', '.join(_BY_TYPE)}", list(credential.types))
    if len(credential.subjects) != 1:
        raise _wrong("/credentialSubject", "one subject", len(credential.subjects))
    of, subject = KINDS[kind], credential.subjects[0]

    # Step 2: exactly the members of its type. One that is not read could be the one that narrows it.
    extra = set(subject) - {"id", *of.members, *of.optional}
    missing = {"id", *of.members} - set(subject)
    if extra or missing:
        raise _wrong("/credentialSubject", f"the members id, {', '.join(of.members)}", sorted(subject))
    source, target = _did(credential.issuer, "/issuer"), _did(subject["id"], "/credentialSubject/id")
    if of.by is not None and subject[of.by] != source:
        raise _wrong(f"/credentialSubject/{of.by}", f"its issuer {source}", subject[of.by])

    # Step 3: what each member says.
    capability: str | None = None
    if of.capability is not None and of.capability in subject:
        capability = _text(subject[of.capability], f"/credentialSubject/{of.capability}")
    weight, depth, says = of.weight, 0, ""
    if kind == "endorsement":
        weight = _weight(subject.get("weight", "1"))
    elif kind == "authority":
        depth = _depth(subject["depth"])
    elif kind == "performance":
        says = _word(subject["outcome"], _OUTCOMES, "/credentialSubject/outcome")
        contract = _digest(subject["contract"], "/credentialSubject/contract")
        if contract not in contracts:
            raise CredentialError("policy_denied", f"the contract {contract} is not known to be signed by both parties")
        if says != "accepted":
            weight = 0
    elif kind == "accusation":
        says = _word(subject["kind"], _ACCUSATIONS, "/credentialSubject/kind")
        _digest(subject["evidence"], "/credentialSubject/evidence")
    elif kind == "auditedBy":
        says = _text(subject["auditedFor"], "/credentialSubject/auditedFor")

    # Step 4: whole seconds, so that comparing text compares time; a part of a second counts as not yet, or no more.
    return Edge(
        credential.digest,
        source,
        target,
        kind,
        capability,
        depth,
        weight,
        _bound(credential.valid_from, "/validFrom", first=True),
        _bound(credential.valid_until, "/validUntil", first=False),
        status,
        says,
    )


def written(units: int) -> str:
    """Billionths as a decimal: `0`, `0.2`, `1`."""
    whole, part = divmod(units, UNIT)
    return f"{whole}.{part:09d}".rstrip("0") if part else str(whole)


def _wrong(path: str, expected: str, came: object) -> CredentialError:
    return CredentialError("schema_violation", f"expected {expected}; came {came!a:.160}", path=path)


def _did(value: Any, path: str) -> Did:
    if not isinstance(value, str) or len(value) > 2048 or not _DID.search(value):
        raise _wrong(path, "a DID", value)
    return value


def _digest(value: Any, path: str) -> Digest:
    if not isinstance(value, str) or not _DIGEST.search(value):
        raise _wrong(path, "a digest", value)
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise _wrong(path, f"text of at most {_MAX_TEXT} characters", value)
    return value


def _word(value: Any, words: Collection[str], path: str) -> str:
    if not isinstance(value, str) or value not in words:
        raise _wrong(path, " or ".join(sorted(words)), value)
    return value


def _depth(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong("/credentialSubject/depth", "a whole number, 0 or more", value)
    # Deeper than anybody looks is as deep as anybody looks.
    return min(value, MAX_DEPTH)


def _weight(value: Any) -> int:
    if not isinstance(value, str) or not _WEIGHT.fullmatch(value):
        raise _wrong("/credentialSubject/weight", "a decimal from 0 to 1", value)
    whole, _, part = value.partition(".")
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
        raise _wrong(path, "a date-time with its zone", value) from exc
    if (moment > _LAST) if first else (moment < _FIRST):
        raise _wrong(path, "a validity in the years 2000 to 2999", value)
    if (moment < _FIRST) if first else (moment > _LAST):
        return None
    return format_instant(moment)
