"""The recorded answer to "should I work with this agent, on these terms, now?".

One pure function of what was presented, whom we believe, what the trust graph answered, our rules and the clock. The
decision holds the digests of all it was made from, so anybody who has them gets the same decision again, years later.
A refusal is an answer and not an error. What cannot be decided is no.

Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from undersigned.contract import Terms
from undersigned.credentials import ClearStatus, VerifiedPresentation, cleared
from undersigned.encoding import (
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
from undersigned.trust.answers import Answers, Claimed
from undersigned.trust.authority import Authority
from undersigned.trust.decision import Decision, Fetched, Ground, Inputs, Needed, Reason
from undersigned.trust.policy import Policy
from undersigned.trust.reliance import Shown, shown_in

__all__ = ["evaluate"]

NOTHING = Answers()


def evaluate(
    presented: VerifiedPresentation,
    anchors: Anchors,
    policy: Policy,
    now: Instant,
    *,
    terms: Terms | None = None,
    statuses: Collection[ClearStatus] = (),
    answers: Answers = NOTHING,
    logs: tuple[Fetched, ...] = (),
) -> Decision:
    """Whether to work with the holder of `presented` and, if `terms` are given, on these terms.

    `logs` are what the documents in `presented` were resolved from; they are recorded and not weighed.

    Credentials must be valid at `now`: time may have passed since they were verified. One that has a status counts
    only with an answer in `statuses` that was given at `now`, and each only with a yes in `answers` (to what
    `asked_about` lists) that stands by these anchors at `now`. Any no makes the outcome deny; without one, any doubt
    that a person can settle makes it ask.

    Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.8
    """
    credentials, grounds = _credentials(presented, policy, now, statuses, answers.standing(anchors, now))
    weighed = [*_peer(presented, policy), *credentials]
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
        grounds=grounds,
        inputs=Inputs(
            policy=policy.digest,
            anchors=anchors.digest,
            presentation=presented.digest,
            status_lists=tuple(digest for one in statuses for digest in one.lists),
            answers=answers.digest,
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
    policy: Policy,
    now: Instant,
    statuses: Collection[ClearStatus],
    answers: Answers,
) -> tuple[list[Weighed], tuple[Ground, ...]]:
    weighed: list[Weighed] = []
    grounds: list[Ground] = []
    for required in policy.require:
        who = answers.who(Claimed(required))
        issuers = who.issuers if who is not None else None
        need = Needed(code="credential", credential=required, issuers=issuers or None)
        by = " or ".join(issuers) if issuers else "nobody" if issuers == () else "an issuer that our anchors entitle"
        found: list[str] = []
        believed = False
        for credential in presented.credentials:
            if required not in credential.types:
                continue
            # An anchor that vouches for itself is self-issued like anybody else.
            own = credential.issuer == presented.holder
            trusted = policy.allow_self_issued
            if not own:
                shown = shown_in(credential, required)
                answer = answers.about(shown)
                trusted = answer is not None and answer.entitled
                grounds.append(_ground(credential.digest, shown, answer))
            valid = credential.valid_at(now) and cleared(credential, statuses, now)
            believed = believed or (trusted and valid)
            found.append(f"{required} by {'its holder' if own else credential.issuer}{'' if valid else ', not valid'}")
        value = "; ".join(found) or f"no {required}"
        weighed.append(
            (_met("require", value), None) if believed else (_denied("require", value, f"one by {by}"), need)
        )
    return weighed, tuple(grounds)


def _ground(credential: Digest, shown: Shown, answer: Authority | None) -> Ground:
    about = Ground(
        credential=credential,
        issuer=shown.issuer,
        credential_type=shown.credential_type,
        capability=shown.capability,
        # What was not answered could not be shown.
        verdict="indeterminate" if answer is None else answer.verdict,
        missing=("an answer that stands",) if answer is None else answer.missing,
    )
    if answer is None:
        return about
    return replace(about, paths=tuple(path.edges for path in answer.paths), dissent=answer.dissent)


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
