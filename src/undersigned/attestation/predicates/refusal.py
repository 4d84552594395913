"""`refusal/v1`: what a gate said no to under a contract, and by which clause.

Source: protocol-spec/attestation/refusal-v1.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from undersigned.attestation.predicates.base import Predicate, plain
from undersigned.encoding import Did, Digest, EngagementId, Instant
from undersigned.scope import Action

__all__ = ["RefusalPredicate", "refusal"]

MAX_PAIRS: Final = 16

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=2048)]
Pairs = Annotated[dict[str, str], Meta(max_length=MAX_PAIRS)]


class RefusalPredicate(Predicate, frozen=True, kw_only=True):
    """One answer of a gate that was not yes; its subject is the contract."""

    PREDICATE_TYPE: ClassVar[str] = "https://w3id.org/hire/attestation/refusal/v1"

    contract: Digest
    engagement: EngagementId
    gate: Did
    """Whose gate it was: the hirer or the provider."""
    at: Instant
    action: Name
    target: Text
    """As asked. What is not printable ASCII is escaped, and long texts are cut: strangers write them."""
    amounts: Pairs
    """As asked, by unit."""
    facts: Pairs
    """What the gate knew about the target."""
    code: Name
    clause: Name
    """Short name of the clause that decided; `scope` if no grant is about the action, or what else of the contract."""
    reason: Text
    would_pass: Text | None = None
    repeated: Annotated[int, Meta(ge=0)] = 0
    """How often the same was refused before without a record of its own."""

    @property
    def attester(self) -> Did:
        """The gate's owner."""
        return self.gate

    @property
    def contract_digest(self) -> Digest:
        """The contract, as the statement names it."""
        return self.contract


def refusal(
    action: Action,
    *,
    contract: Digest,
    engagement: EngagementId,
    gate: Did,
    at: Instant,
    code: str,
    clause: str,
    reason: str,
    would_pass: str = "",
    repeated: int = 0,
) -> RefusalPredicate:
    """The account of one refusal."""
    return RefusalPredicate(
        contract=contract,
        engagement=engagement,
        gate=gate,
        at=at,
        action=plain(action.name, 256) or "-",
        target=plain(action.target, 2048) or "-",
        amounts=_pairs(action.amounts),
        facts=_pairs(action.facts),
        code=code,
        clause=plain(clause, 256) or "scope",
        reason=plain(reason, 2048),
        would_pass=plain(would_pass, 2048) or None,
        repeated=repeated,
    )


def _pairs(given: Mapping[str, str]) -> dict[str, str]:
    return {plain(name, 64): plain(str(given[name]), 128) for name in sorted(given)[:MAX_PAIRS]}
