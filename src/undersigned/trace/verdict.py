"""What a verdict on an artifact says, what it demands, and what it was made from.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant, digest_bytes, write_canonical
from undersigned.trust import Accused, DecisionInput, IssuerAuthority, Outcome, Reason

__all__ = [
    "ASKS",
    "CLAUSES",
    "EarlierUsed",
    "GraphAnswers",
    "Judged",
    "LastKnown",
    "ListUsed",
    "MadeFrom",
    "Missing",
    "Verdict",
    "no",
    "yes",
]

CLAUSES: Final[dict[str, tuple[str, str]]] = {
    "evidence": ("`not_found`", "a delivery of the artifact, with a statement about it, is in the evidence"),
    "refuse": ("`policy_denied`", "neither the signer nor its organisation is refused by the policy"),
    "refuse_capabilities": ("`policy_denied`", "the purpose is not one that the policy never deals in"),
    "keys": (
        "`did_unresolvable`, `key_not_authorized`; asks: `did_last_known`",
        "the keys of the signer, of who accepted and of who vouched for the signer follow from their DIDs, or are in "
        "documents known from elsewhere than a pack; where those of before alone have them, a person is asked",
    ),
    "signer": (
        "`attester_not_trusted`, `did_unresolvable`",
        "the signer, or an organisation of which it showed to be a member, was entitled by the trust graph, through "
        "nobody whom the policy refuses, to attest one of the predicates for the purpose when the delivery was "
        "recorded",
    ),
    "purpose": (
        "asks: `approval_required`",
        "the purpose is the task of the contract, or an anchor or a link of authority by which the signer is entitled "
        "names it",
    ),
    "status": (
        "`revoked`, `status_unavailable`, `status_invalid`; asks: `status_last_known`",
        "no credential on which that rests is withdrawn now; where its list cannot be had, or an older one than is "
        "known, the last one known decides between a no and a person",
    ),
    "accused": ("`policy_denied`", "no accusation that counts is heard now of the signer or that organisation"),
    "contract": ("`contract_expired`", "the contract gave authority when the delivery was recorded"),
    "scope": (
        "`scope_exceeded`; asks: `approval_required`",
        "each action that the work statement tells was inside the scope, no total above the highest limit that a "
        "document in force had, and none of a clause that no document had; actions that it leaves out ask a person",
    ),
    "acceptance": (
        "`policy_denied`; asks: `approval_required`",
        "the delivery was accepted; one that nobody reviewed, or that is to be reworked, asks a person",
    ),
    "ending": (
        "`revoked`; asks: `in_doubt`",
        "the contract came to its end, and not for a breach, a withdrawn credential or a stolen key; other early ends, "
        "claims of a breach and disputes ask a person, as does evidence that does not reach the end",
    ),
}
"""Clause -> its codes when it is not met, and what it demands. The specification's table says the same."""

ASKS: Final = frozenset({"approval_required", "did_last_known", "in_doubt", "status_last_known"})
"""Codes by which a person is asked; any other that is not `met` denies."""


class GraphAnswers(DecisionInput, frozen=True, omit_defaults=True):
    """What the trust graph answered."""

    authority: tuple[IssuerAuthority, ...] = ()
    accused: tuple[Accused, ...] = ()

    def entitled(self, issuer: Did, predicate: str, at: Instant) -> IssuerAuthority | None:
        """The answer about somebody at a time."""
        about = (issuer, predicate, at)
        return next((one for one in self.authority if (one.issuer, one.credential_type, one.at) == about), None)


class ListUsed(Struct, frozen=True, kw_only=True, rename="camel"):
    """A status list that was looked into."""

    url: str
    list: Digest
    """The list credential."""
    document: Digest
    """The DID document by which it was verified."""
    verified: Instant


class LastKnown(ListUsed, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A status list that was looked into because none could be had from its issuer now."""

    own: bool = False
    """Whether we had it from its issuer ourselves, when it was verified; else a pack of others shows it."""
    why: str
    """Why none could be had now."""


class EarlierUsed(Struct, frozen=True, kw_only=True, rename="camel"):
    """A DID document that was relied on before, and is not what its DID publishes now, as far as that can be had."""

    document: Digest
    at: Instant
    """When it was, the last time."""


class Missing(Struct, frozen=True, kw_only=True, rename="camel"):
    """A DID whose document could not be had, or a status list of which none was known from before either."""

    what: str
    """The DID, or the URL."""
    why: str


class MadeFrom(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a verdict was made from, by digest."""

    policy: Digest
    anchors: Digest
    heard: Digest
    """Of what the trust graph answered."""
    packs: tuple[Digest, ...] = ()
    documents: tuple[Digest, ...] = ()
    """DID documents that were known from elsewhere than the packs."""
    links: tuple[Digest, ...] = ()
    """Credentials of the chains whose status was looked up."""
    lists: tuple[ListUsed, ...] = ()
    """Those that their issuers gave for this verdict."""
    known: tuple[LastKnown, ...] = ()
    """Lists of before, where none was given, or an older one."""
    earlier: tuple[EarlierUsed, ...] = ()
    """DID documents of before, where those of now do not do."""
    missing: tuple[Missing, ...] = ()
    """What could not be had."""


class Judged(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One delivery of the artifact, judged by itself."""

    contract: Digest
    signer: Did
    at: Instant
    """When the delivery was recorded: the latest time at which its statements were signed."""
    outcome: Outcome
    reasons: tuple[Reason, ...]


class Verdict(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer with its reasons; equal inputs give an equal verdict."""

    outcome: Outcome
    artifact: Digest
    purpose: str
    by: Did
    """Who asked."""
    policy: str
    """Name and version."""
    at: Instant
    reasons: tuple[Reason, ...] = ()
    """What was weighed about the artifact itself."""
    judged: tuple[Judged, ...] = ()
    """Each delivery of it that the evidence holds."""
    inputs: MadeFrom

    @property
    def digest(self) -> Digest:
        """Names it."""
        return digest_bytes(write_canonical(self))

    def explain(self) -> str:
        """The verdict for a person, one line per reason."""
        lines = [f"{self.outcome}: {self.artifact} for {self.purpose} by {self.policy} at {self.at}"]
        lines += [f"  {reason.explain()}" for reason in self.reasons]
        for one in self.judged:
            lines.append(f"  {one.outcome}: delivered by {one.signer} under {one.contract}, {one.at}")
            lines += [f"    {reason.explain()}" for reason in one.reasons]
        return "\n".join(lines)


def yes(clause: str, value: str) -> Reason:
    """A clause that is met."""
    return Reason(code="met", clause=clause, value=value)


def no(code: str, clause: str, value: str, would_pass: str = "") -> Reason:
    """One that is not."""
    return Reason(code=code, clause=clause, value=value, would_pass=would_pass)
