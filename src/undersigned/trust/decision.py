"""A recorded decision: the answer, its reasons, by which paths somebody was believed, and all it was made from.

Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from undersigned.contract import plain
from undersigned.encoding import Did, Digest, Duration, Instant, digest_bytes, write_canonical
from undersigned.trust.edge import Edge
from undersigned.trust.policy import Stake

__all__ = ["Decision", "Fetched", "Ground", "Inputs", "Needed", "Outcome", "Rating", "Reason"]

Outcome = Literal["allow", "deny", "ask"]

TOLD_REASONS: Final = 8
"""Of a refusal that is told in one line."""
MAX_REASON: Final = 4096
"""Characters of one."""


class Reason(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that was weighed."""

    code: str
    """`met`, `policy_denied`, `approval_required`, or another code of the specification."""
    clause: str
    """Field of the policy that decided."""
    value: str
    """What came."""
    would_pass: str = ""
    """What would have passed; empty if it did."""

    def explain(self) -> str:
        """It on one line, for a person: what the other side named its work is in it."""
        hint = f"; would pass: {self.would_pass}" if self.would_pass else ""
        return plain(f"{self.code} [{self.clause}] {self.value}{hint}", MAX_REASON)


class Needed(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that would change the answer, as `Withdraw` sends it (`need` of the message bodies)."""

    code: str
    credential: str | None = None
    issuers: tuple[Did, ...] | None = None
    capability: str | None = None
    max_age: Duration | None = None
    member: str | None = None


class Ground(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the trust graph said of one credential that was weighed."""

    credential: Digest
    issuer: Did
    credential_type: str
    capability: str | None = None
    verdict: Literal["yes", "no", "indeterminate"]
    """Whether its issuer is entitled to what it says."""
    paths: tuple[tuple[Edge, ...], ...] = ()
    """Up to three chains from an anchor, or from ourselves, to the issuer; one of no links: it is one itself."""
    dissent: tuple[Edge, ...] = ()
    """Accusations that were heard on the way."""
    missing: tuple[str, ...] = ()
    """Unless yes: what is not there."""


class Rating(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the trust graph said of how well the other side is spoken of."""

    party: Did
    capability: str | None = None
    score: str
    """0 to 1."""
    paths: tuple[tuple[Edge, ...], ...] = ()
    """Up to three ways that trust takes."""
    dissent: tuple[Edge, ...] = ()
    missing: tuple[str, ...] = ()


class Fetched(Struct, frozen=True, kw_only=True, rename="camel"):
    """One file of the history of a DID."""

    did: Did
    """The DID where it lived: a later name than the one asked for, if it moved."""
    url: str
    digest: Digest
    """Of the bytes as they came."""


class Inputs(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a decision was made from, by digest."""

    policy: Digest
    anchors: Digest
    presentation: Digest | None = None
    status_lists: tuple[Digest, ...] = ()
    """Of the list credentials in which the presented ones were looked up, in that order."""
    answers: Digest | None = None
    """Of what the trust graph answered."""
    terms: Digest | None = None
    stake: Stake | None = None
    """What was at stake while there were no terms."""
    verified: Instant | None = None
    """When the presentation was verified; it may rest on that while the documents stand."""
    looked_up: tuple[Digest, ...] = ()
    """The credentials whose status was looked up."""
    lists_verified: tuple[Instant, ...] = ()
    """When the signature of each of `status_lists` was checked."""
    documents: tuple[Digest, ...] = ()
    """Of the DID documents by which all this was verified, the holder's first."""
    logs: tuple[Fetched, ...] = ()
    """What those documents were resolved from, if their methods keep a history; not named on deny."""


class Decision(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer with its reasons, in the order of the policy; equal inputs give an equal decision."""

    outcome: Outcome
    """`ask` leaves it to a person."""
    peer: Did
    policy: str
    """Name and version of the policy, `name/version`."""
    at: Instant
    """By our clock when it was made."""
    reasons: tuple[Reason, ...]
    needed: tuple[Needed, ...]
    """On deny: what would change the answer; may be empty."""
    grounds: tuple[Ground, ...] = ()
    """In the order in which the policy asked for them; the version of the anchors that answered is in `inputs`."""
    accusations: tuple[Edge, ...] = ()
    """Of the party, or of the organisations that it belongs to, that were heard."""
    ratings: tuple[Rating, ...] = ()
    inputs: Inputs

    @property
    def digest(self) -> Digest:
        """Names the decision in ledger and evidence."""
        return digest_bytes(write_canonical(self))

    @property
    def refusal(self) -> str:
        """Whose policy it is and which of its members were not met, by what, with what they let pass; in one line."""
        missed = [one for one in self.reasons if one.code != "met"][:TOLD_REASONS]
        told = [
            f"{one.clause} {one.value} (would pass: {one.would_pass})"
            if one.would_pass
            else f"{one.clause} {one.value}"
            for one in missed
        ]
        return plain(f"by our own policy {self.policy}: {', '.join(told)}", TOLD_REASONS * MAX_REASON)

    def explain(self) -> str:
        """The decision for a person, one line per reason."""
        lines = [f"{self.outcome}: {self.peer} by {self.policy} at {self.at}"]
        lines += [f"  {reason.explain()}" for reason in self.reasons]
        lines += [f"    against: {edge.accusation}" for edge in self.accusations]
        for ground in self.grounds:
            for path in ground.paths:
                chain = " -> ".join([edge.source for edge in path] + [ground.issuer])
                lines.append(f"    {ground.credential_type} by {chain}")
            lines += [f"    against: {edge.accusation}" for edge in ground.dissent]
            lines += [f"    missing: {text}" for text in ground.missing]
        for rating in self.ratings:
            for path in rating.paths:
                chain = " -> ".join([edge.source for edge in path] + [rating.party])
                lines.append(f"    spoken of: {chain}")
            lines += [f"    against: {edge.accusation}" for edge in rating.dissent]
            lines += [f"    missing: {text}" for text in rating.missing]
        return "\n".join(lines)
