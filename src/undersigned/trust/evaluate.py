"""The recorded answer to "should I work with this agent, on these terms, now?".

One pure function of what was presented, whom we believe, our rules and the clock. The decision holds the digests of
all it was made from, so anybody who has them gets the same decision again, years later. A refusal is an answer and
not an error. What cannot be decided is no.

Source: protocol-spec/02-identity-and-keys.md, section 2.8
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from undersigned.contract import Terms
from undersigned.credentials import ClearStatus, VerifiedPresentation, cleared
from undersigned.encoding import (
    Did,
    Digest,
    Instant,
    compare_amounts,
    digest_bytes,
    parse_duration,
    seconds_between,
    write_canonical,
)
from undersigned.errors import FormatError
from undersigned.scope import read_scope
from undersigned.trust.anchors import Anchors
from undersigned.trust.policy import Policy

__all__ = ["Decision", "Fetched", "Inputs", "Needed", "Outcome", "Reason", "evaluate"]

Outcome = Literal["allow", "deny", "ask"]


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


class Needed(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that would change the answer, as `Withdraw` sends it (`need` of the message bodies)."""

    code: str
    credential: str | None = None
    issuers: tuple[Did, ...] | None = None
    member: str | None = None


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
    terms: Digest | None = None
    verified: Instant | None = None
    """When the presentation was verified; it may rest on that while the documents stand."""
    looked_up: tuple[Digest, ...] = ()
    """The credentials that were."""
    lists_verified: tuple[Instant, ...] = ()
    """When the signature of each of `status_lists` was."""
    documents: tuple[Digest, ...] = ()
    """Of the DID documents by which all this was verified, the holder's first."""
    logs: tuple[Fetched, ...] = ()
    """What those documents were resolved from, if their methods keep a history and the answer is no deny."""


class Decision(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer with its reasons, in the order of the policy; equal inputs give an equal decision."""

    outcome: Outcome
    peer: Did
    policy: str
    """Name and version of the policy, `name/version`."""
    at: Instant
    reasons: tuple[Reason, ...]
    needed: tuple[Needed, ...]
    """On deny: what would change the answer; may be empty."""
    inputs: Inputs

    @property
    def digest(self) -> Digest:
        """Names the decision in ledger and evidence."""
        return digest_bytes(write_canonical(self))

    def explain(self) -> str:
        """The decision for a person, one line per reason."""
        lines = [f"{self.outcome}: {self.peer} by {self.policy} at {self.at}"]
        for reason in self.reasons:
            hint = f"; would pass: {reason.would_pass}" if reason.would_pass else ""
            lines.append(f"  {reason.code} [{reason.clause}] {reason.value}{hint}")
        return "\n".join(lines)


def evaluate(
    presented: VerifiedPresentation,
    anchors: Anchors,
    policy: Policy,
    now: Instant,
    *,
    terms: Terms | None = None,
    statuses: Collection[ClearStatus] = (),
    logs: tuple[Fetched, ...] = (),
) -> Decision:
    """Whether to work with the holder of `presented` and, if `terms` are given, on these terms.

    `logs` are what the documents in `presented` were resolved from; they are recorded and not weighed.

    Credentials must be valid at `now`: time may have passed since they were verified. One that has a status counts
    only with an answer in `statuses` that was given at `now`. Any no makes the outcome deny;
    without one, any doubt that a person can settle makes it ask.

    Source: protocol-spec/02-identity-and-keys.md, section 2.8
    """
    weighed = [*_peer(presented, policy), *_credentials(presented, anchors, policy, now, statuses)]
    if terms is not None:
        weighed += _terms(terms, policy, now)
    reasons = tuple(reason for reason, _ in weighed)
    codes = {reason.code for reason in reasons} - {"met"}
    denied = bool(codes - {"approval_required"})
    return Decision(
        outcome="deny" if denied else "ask" if codes else "allow",
        peer=presented.holder,
        policy=f"{policy.name}/{policy.version}",
        at=now,
        reasons=reasons,
        needed=tuple(need for _, need in weighed if need is not None) if denied else (),
        inputs=Inputs(
            policy=policy.digest,
            anchors=anchors.digest,
            presentation=presented.digest,
            status_lists=tuple(digest for one in statuses for digest in one.lists),
            terms=None if terms is None else digest_bytes(write_canonical(terms)),
            verified=presented.verified or None,
            looked_up=tuple(one.credential for one in statuses),
            lists_verified=tuple(at for one in statuses for at in one.verified),
            documents=tuple(
                dict.fromkeys(
                    [*(one.raw_digest for one in presented.by), *(by for one in statuses for by in one.documents)]
                )
            ),
            # Whom we refuse must not fill our store with its history.
            logs=() if denied else logs,
        ),
    )


Weighed = tuple[Reason, Needed | None]


def _peer(presented: VerifiedPresentation, policy: Policy) -> list[Weighed]:
    listed = {presented.holder, *(credential.issuer for credential in presented.credentials)} & set(policy.refuse)
    if not listed:
        return []
    return [_no("refuse", f"{min(listed)} is on the list of those refused", "another party")]


def _credentials(
    presented: VerifiedPresentation,
    anchors: Anchors,
    policy: Policy,
    now: Instant,
    statuses: Collection[ClearStatus],
) -> list[Weighed]:
    weighed: list[Weighed] = []
    for required in policy.require:
        issuers = anchors.issuers(required, now=now)
        need = Needed(code="credential", credential=required, issuers=issuers or None)
        by = " or ".join(issuers) or "nobody: no anchor is configured for it"
        found: list[str] = []
        believed = False
        for credential in presented.credentials:
            if required not in credential.types:
                continue
            own = credential.issuer == presented.holder
            # An anchor that vouches for itself is self-issued like anybody else.
            trusted = policy.allow_self_issued if own else anchors.believed(credential.issuer, required, now=now)
            valid = credential.valid_at(now) and cleared(credential, statuses, now)
            believed = believed or (trusted and valid)
            found.append(f"{required} by {'its holder' if own else credential.issuer}{'' if valid else ', not valid'}")
        value = "; ".join(found) or f"no {required}"
        weighed.append(
            (_met("require", value), None) if believed else (_denied("require", value, f"one by {by}"), need)
        )
    return weighed


def _terms(terms: Terms, policy: Policy, now: Instant) -> list[Weighed]:
    weighed: list[Weighed] = []
    price = f"{terms.price.amount} {terms.price.currency}"
    if policy.currency is not None and terms.price.currency != policy.currency:
        # Another currency cannot be compared, so no limit on the price can be checked.
        weighed.append(_no("currency", price, policy.currency, member="/price/currency"))
    else:
        amount = terms.price.amount
        if policy.max_price is not None and compare_amounts(amount, policy.max_price) > 0:
            weighed.append(_no("max_price", price, f"at most {policy.max_price}", member="/price/amount"))
        if policy.min_price is not None and compare_amounts(amount, policy.min_price) < 0:
            weighed.append(_no("min_price", price, f"at least {policy.min_price}", member="/price/amount"))
        if policy.ask_above is not None and compare_amounts(amount, policy.ask_above) > 0:
            weighed.append((_asked("ask_above", price, f"at most {policy.ask_above}, or a person's approval"), None))
    try:
        scope = read_scope(terms.scope)
    except FormatError as exc:
        # A scope that we cannot read in full is one that we cannot keep to.
        return [*weighed, _no("scope", exc.message, "a scope that is understood in full", member="/scope")]
    if policy.actions is not None:
        for action in sorted({grant.action for grant in scope.grants} - set(policy.actions)):
            weighed.append(_no("actions", action, " or ".join(policy.actions) or "no action", member="/scope/grants"))
    until = terms.deadlines.until
    if policy.max_duration is not None and seconds_between(now, until) > parse_duration(policy.max_duration):
        weighed.append(
            _no(
                "max_duration", f"until {until}", f"at most {policy.max_duration} from {now}", member="/deadlines/until"
            )
        )
    if until < now:
        weighed.append(_no("until", f"ended at {until}", "an end that lies ahead", member="/deadlines/until"))
    if terms.subcontracting.allowed and not policy.allow_subcontracting:
        weighed.append(_no("allow_subcontracting", "allowed", "not allowed", member="/subcontracting/allowed"))
    if policy.ask:
        weighed.append((_asked("ask", "every contract is put to a person", "a person's approval"), None))
    return weighed


def _no(clause: str, value: str, would_pass: str, *, member: str | None = None) -> Weighed:
    need = None if member is None else Needed(code="member", member=member)
    return _denied(clause, value, would_pass), need


def _met(clause: str, value: str) -> Reason:
    return Reason(code="met", clause=clause, value=value)


def _denied(clause: str, value: str, would_pass: str) -> Reason:
    return Reason(code="policy_denied", clause=clause, value=value, would_pass=would_pass)


def _asked(clause: str, value: str, would_pass: str) -> Reason:
    return Reason(code="approval_required", clause=clause, value=value, would_pass=would_pass)
