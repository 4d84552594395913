"""The closed lists of words that messages give as reasons, causes and outcomes.

Each is a literal type for the structs and a mapping from word to meaning for people; a test holds them equal.

Source: protocol-spec/09-errors.md, section 9.4
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from undersigned.contract import Ruled

__all__ = [
    "BASES",
    "CANCEL_REASONS",
    "CAUSES",
    "CAUSES_NAMED",
    "OUTCOMES",
    "REASONS",
    "RESUME_REASONS",
    "RULINGS",
    "SUSPEND_REASONS",
    "VERDICTS",
    "WAITING_FOR",
    "Ruled",
]

WithdrawReason: TypeAlias = Literal[
    "no_answer",
    "offer_expired",
    "terms_mismatch",
    "round_limit",
    "policy_denied",
    "decision_failed",
    "revoked",
    "status_unavailable",
    "declined",
    "changed",
    "capacity",
    "opens",
    "version_not_supported",
    "not_offered",
    "not_awarded",
    "not_revealed",
    "ended",
    "overtaken",
]
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_answer": "the other side let its deadline pass",
        "offer_expired": "the offer was past its last instant, or its acceptance came too late",
        "terms_mismatch": "the acceptance named other terms than the live offer's",
        "round_limit": "no offer is left and the last one does not suit",
        "policy_denied": "policy says no; `needed` says what would change that",
        "decision_failed": "the decision could not be made",
        "revoked": "a credential or key that was relied on is revoked",
        "status_unavailable": "whether it is revoked could not be checked",
        "declined": "the terms do not suit",
        "changed": "the sender's own plans changed",
        "capacity": "the sender has no room or budget",
        "opens": "the sender wants the other side to open",
        "version_not_supported": "no version or suite in common",
        "not_offered": "the provider does not do this",
        "not_awarded": "another bid won; `award` shows the scoring",
        "not_revealed": "a sealed bid was not opened in time",
        "ended": "the contract ended while a document was on the table",
        "overtaken": "work was delivered or reviewed between the acceptance of a document and its seal",
    }
)

CancelReason: TypeAlias = Literal["no_longer_needed", "superseded", "budget", "policy_denied", "revoked", "parent"]
CANCEL_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_longer_needed": "the result is not wanted any more",
        "superseded": "another contract takes its place",
        "budget": "the hirer's budget does not carry it",
        "policy_denied": "the hirer's policy does not allow it to go on",
        "revoked": "a credential that was relied on is revoked",
        "parent": "the parent contract was cancelled or ended",
    }
)

SuspendReason: TypeAlias = Literal["revoked", "status_unavailable", "policy_denied", "incident", "budget", "parent"]
SUSPEND_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "revoked": "a credential or key that was relied on is revoked or suspended",
        "status_unavailable": "whether it is revoked could not be checked",
        "policy_denied": "the hirer's policy does not allow it to go on for now",
        "incident": "something happened that has to be looked into first",
        "budget": "the hirer's budget does not carry it for now",
        "parent": "the parent contract is suspended",
    }
)

ResumeReason: TypeAlias = Literal["resolved", "mistaken", "parent"]
RESUME_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "resolved": "what it was suspended for is settled",
        "mistaken": "there was no reason to suspend it",
        "parent": "the parent contract goes on",
    }
)

Cause: TypeAlias = Literal[
    "breach", "deadline", "revoked", "key_compromised", "parent", "late_seal", "no_ruling", "convenience", "unable"
]
CAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "breach": "a breach was not cured in time; `names` it",
        "deadline": "start, finish, heartbeat, review, wind-down, the end of a suspension or `until` passed",
        "revoked": "a credential that must stay valid is not; `names` the evidence",
        "key_compromised": "a key of the other side is compromised",
        "parent": "the parent contract ended; `names` its ending",
        "late_seal": "the seal came later than `validUntil` and `sealGrace`",
        "no_ruling": "the arbiter did not rule in time",
        "convenience": "the terms allow it; notice and fee are between the parties",
        "unable": "the provider cannot do it; counts as failure",
    }
)
CAUSES_NAMED: Final = ("breach", "revoked", "parent")
"""Those that point at something."""

Outcome: TypeAlias = Literal["complete", "partial", "cancelled", "failed"]
OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "complete": "all deliverables are there",
        "partial": "some deliverables are there",
        "cancelled": "what there was when the hirer cancelled",
        "failed": "the work did not succeed",
    }
)

Verdict: TypeAlias = Literal["accepted", "rejected", "rework"]
VERDICTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "accepted": "every criterion that counts is met",
        "rejected": "not met, and no further round",
        "rework": "not met; another round begins",
    }
)

Basis: TypeAlias = Literal["ruling", "release", "silence", "review", "terminate"]
BASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ruling": "the arbiter's ruling",
        "release": "a sealed release",
        "silence": "the hirer did not review in time",
        "review": "the hirer's review",
        "terminate": "one side ended it",
    }
)
"""What a closing rests on, the strongest first."""

RULINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "for_hirer": "the hirer is right",
        "for_provider": "the provider is right",
        "divided": "each is right in part",
    }
)

WaitingFor: TypeAlias = Literal["person", "policy", "capacity"]
WAITING_FOR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "person": "somebody has to decide",
        "policy": "a decision takes time",
        "capacity": "room is expected",
    }
)
