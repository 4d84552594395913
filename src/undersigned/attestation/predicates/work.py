"""`work/v1`: what a provider did under a contract: from what, by which actions, each with the gate's decision.

Source: protocol-spec/attestation/work-v1.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from undersigned.attestation.predicates.base import Part, Predicate, plain
from undersigned.encoding import Amount, Did, Digest, EngagementId, Instant
from undersigned.errors import FormatError
from undersigned.scope import GateDecision

__all__ = ["ActionTaken", "Input", "SubcontractLine", "UsageLine", "WorkPredicate", "work"]

MAX_ACTIONS: Final = 256

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]


class Input(Part, frozen=True, kw_only=True):
    """Something the work started from, as `Start` named it."""

    name: Name
    digest: Digest


class ActionTaken(Part, frozen=True, kw_only=True):
    """One action that was asked of the provider's gate, and its answer. Refused ones are listed too."""

    at: Instant
    action: Name
    target: Annotated[str, Meta(min_length=1, max_length=2048)]
    clause: Name
    """Short name of the clause that decided."""
    allowed: bool
    reason: Text | None = None

    @classmethod
    def of(cls, decision: GateDecision, at: Instant) -> ActionTaken:
        """The line for a decision of the gate."""
        if not decision.allowed:
            return cls.refused(decision.action, decision.target, clause=decision.clause, at=at, reason=decision.reason)
        return cls(at=at, action=decision.action, target=decision.target, clause=decision.clause, allowed=True)

    @classmethod
    def refused(cls, action: str, target: str, *, clause: str, at: Instant, reason: str) -> ActionTaken:
        """The line for what was asked in vain, whatever that was: no grant has bounded it. As `refusal` states it."""
        return cls(
            at=at,
            action=plain(action, 256) or "-",
            target=plain(target, 2048) or "-",
            clause=plain(clause, 256) or "scope",
            allowed=False,
            reason=plain(reason, 2048),
        )


class UsageLine(Part, frozen=True, kw_only=True):
    """How much of one clause's limit was used."""

    clause: Name
    unit: Name
    """`count`, a currency, or what the limit counts."""
    amount: Amount


class SubcontractLine(Part, frozen=True, kw_only=True):
    """Somebody whom the provider hired for it, under this contract, and what came of that."""

    provider: Did
    task: Name
    contract: Digest | None = None
    """Absent if none was made."""
    outcome: Text
    """`review accepted` and the like: what ended it, or why there was no contract."""


class WorkPredicate(Predicate, frozen=True, kw_only=True):
    """The provider's account of its work."""

    PREDICATE_TYPE: ClassVar[str] = "https://w3id.org/hire/attestation/work/v1"

    contract: Digest
    engagement: EngagementId
    provider: Did
    task: Name
    """Kind of task, as in the contract."""
    inputs: Annotated[tuple[Input, ...], Meta(max_length=64)]
    actions: Annotated[tuple[ActionTaken, ...], Meta(max_length=MAX_ACTIONS)]
    """In the order in which they were asked."""
    actions_omitted: Annotated[int, Meta(ge=0)]
    """How many more there were than fit; the usage counts them all."""
    usage: Annotated[tuple[UsageLine, ...], Meta(max_length=256)]
    policies: Annotated[tuple[Digest, ...], Meta(max_length=64)]
    """Digests of the policies that governed the work."""
    subcontracts: Annotated[tuple[SubcontractLine, ...], Meta(max_length=64)] = ()
    """What was hired for it."""
    started_on: Instant
    finished_on: Instant

    def __post_init__(self) -> None:
        if self.started_on > self.finished_on:
            raise FormatError(
                "schema_violation", f"expected finishedOn not before {self.started_on}; came {self.finished_on}"
            )

    @property
    def attester(self) -> Did:
        """The provider."""
        return self.provider

    @property
    def contract_digest(self) -> Digest:
        """The contract, as the statement names it."""
        return self.contract


def work(
    *,
    contract: Digest,
    engagement: EngagementId,
    provider: Did,
    task: str,
    inputs: Mapping[str, Digest],
    actions: Iterable[ActionTaken],
    usage: Iterable[UsageLine],
    started_on: Instant,
    finished_on: Instant,
    policies: Iterable[Digest] = (),
    subcontracts: Iterable[SubcontractLine] = (),
) -> WorkPredicate:
    """The account of one piece of work; `inputs` by name, and no more actions than a statement holds."""
    taken = tuple(actions)
    return WorkPredicate(
        contract=contract,
        engagement=engagement,
        provider=provider,
        task=task,
        inputs=tuple(Input(name=name, digest=digest) for name, digest in sorted(inputs.items())),
        actions=taken[:MAX_ACTIONS],
        actions_omitted=max(0, len(taken) - MAX_ACTIONS),
        usage=tuple(usage),
        policies=tuple(policies),
        subcontracts=tuple(subcontracts),
        started_on=started_on,
        finished_on=finished_on,
    )
