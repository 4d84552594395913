"""The recorded answer to "should I work with this agent, on these terms, now?".

One pure function of what was presented, whom we believe, what the trust graph answered, our rules and the clock. The
decision holds the digests of all it was made from, so anybody who has them gets the same decision again, years later.
A refusal is an answer and not an error. What cannot be decided is no.

Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from undersigned.contract import Terms
from undersigned.credentials import MEMBERSHIP, ClearStatus, Membership, VerifiedPresentation, read_claim
from undersigned.encoding import (
    Amount,
    Digest,
    Instant,
    compare_amounts,
    digest_bytes,
    parse_duration,
    seconds_between,
    write_canonical,
)
from undersigned.errors import FormatError, UndersignedError
from undersigned.scope import read_scope
from undersigned.trust.anchors import Anchors
from undersigned.trust.answers import Answers, parties_of
from undersigned.trust.decision import Decision, Fetched, Inputs
from undersigned.trust.policy import Policy, Stake
from undersigned.trust.weighing import (
    Weighed,
    WeighingInput,
    asked,
    no,
    weigh_accusations,
    weigh_credentials,
    weigh_party,
    weigh_reputation,
)
from undersigned.trust.weighing_cedar import weigh_cedar

__all__ = ["evaluate"]

NOTHING = Answers()


def evaluate(
    presented: VerifiedPresentation,
    anchors: Anchors,
    policy: Policy,
    now: Instant,
    *,
    terms: Terms | None = None,
    stake: Stake | None = None,
    statuses: Collection[ClearStatus] = (),
    answers: Answers = NOTHING,
    logs: tuple[Fetched, ...] = (),
) -> Decision:
    """Whether to work with the holder of `presented` and, if `terms` are given, on these terms; before there are any,
    `stake` says what it is about. Without either, each rule of the policy has to be kept.

    `logs` are what the documents in `presented` were resolved from; they are recorded and not weighed.

    Credentials must be valid at `now`: time may have passed since they were verified. One that has a status counts
    only with an answer in `statuses` that was given at `now`, and each only with a yes in `answers` (to what
    `asked_about` lists) that stands by these anchors at `now`. The holder, and each organisation that it or the graph
    says it belongs to, needs such an answer that it is not accused. Any no makes the outcome deny; without one, any
    doubt that a person can settle makes it ask.

    Raises:
        ConfigurationError: `missing_extra`: the policy has Cedar, and the extra is not installed.

    Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.8
    """
    if terms is not None:
        stake = Stake.of(terms)
    given = WeighingInput(presented, policy, now, statuses, answers.standing(anchors, now), stake)
    credentials, grounds = weigh_credentials(given)
    spoken, ratings = weigh_reputation(given)
    against, accusations = weigh_accusations(given)
    weighed = [*weigh_party(presented, policy, stake), *against, *credentials, *spoken]
    if terms is not None:
        weighed += _terms(terms, policy, now)
        if terms.evidence.verifier in policy.refuse:  # it says whether the work is accepted, and so paid
            named = terms.evidence.verifier or ""
            weighed.append(no("refuse", named, "another verifier, or none", member="/evidence/verifier"))
        weighed += _arbiter(terms, policy, presented)
        weighed += _limits(terms, presented)
    in_cedar, read_by_cedar = weigh_cedar(given, terms)
    weighed += in_cedar
    reasons = [reason for reason, _ in weighed]
    codes = {reason.code for reason in reasons} - {"met"}
    refused = bool(codes - {"approval_required"})
    looked_up: list[Digest] = []
    lists: list[Digest] = []
    verified: list[Instant] = []
    documents = [one.raw_digest for one in presented.by]
    for one in statuses:
        looked_up.append(one.credential)
        lists += one.lists
        verified += one.verified
        documents += one.documents
    return Decision(
        outcome="deny" if refused else "ask" if codes else "allow",
        peer=presented.holder,
        policy=f"{policy.name}/{policy.version}",
        at=now,
        reasons=tuple(reasons),
        # Who is accused is told no more: what else was missing would name its accusers as those to go to.
        needed=tuple(dict.fromkeys(need for _, need in against or weighed if need is not None)) if refused else (),
        grounds=grounds,
        accusations=accusations,
        ratings=tuple(dict.fromkeys((*ratings, *read_by_cedar))),
        inputs=Inputs(
            policy=policy.digest,
            anchors=anchors.digest,
            presentation=presented.digest,
            status_lists=tuple(lists),
            answers=answers.digest,
            terms=None if terms is None else digest_bytes(write_canonical(terms)),
            stake=stake if terms is None else None,
            verified=presented.verified or None,
            looked_up=tuple(looked_up),
            lists_verified=tuple(verified),
            documents=tuple(dict.fromkeys(documents)),
            # Whom we refuse must not fill our store with its history.
            logs=() if refused else logs,
        ),
    )


def _terms(terms: Terms, policy: Policy, now: Instant) -> list[Weighed]:
    weighed: list[Weighed] = []
    price = str(terms.price)
    if policy.currency is not None and terms.price.currency != policy.currency:
        # Another currency cannot be compared, so no limit on the price can be checked.
        weighed.append(no("currency", price, policy.currency, member="/price/currency"))
    else:
        amount = terms.price.amount
        if policy.max_price is not None and compare_amounts(amount, policy.max_price) > 0:
            weighed.append(no("max_price", price, f"at most {policy.max_price}", member="/price/amount"))
        if policy.min_price is not None and compare_amounts(amount, policy.min_price) < 0:
            weighed.append(no("min_price", price, f"at least {policy.min_price}", member="/price/amount"))
        weighed += [*_people(amount, price, policy), *_fee(terms, policy)]
    try:
        scope = read_scope(terms.scope)
    except FormatError as exc:
        # A scope that we cannot read in full is one that we cannot keep to.
        return [*weighed, no("scope", exc.message, "a scope that is understood in full", member="/scope")]
    if policy.actions is not None:
        for action in sorted({grant.action for grant in scope.grants} - set(policy.actions)):
            weighed.append(no("actions", action, " or ".join(policy.actions) or "no action", member="/scope/grants"))
    until = terms.deadlines.until
    if policy.max_duration is not None and seconds_between(now, until) > parse_duration(policy.max_duration):
        weighed.append(
            no("max_duration", f"until {until}", f"at most {policy.max_duration} from {now}", member="/deadlines/until")
        )
    if until < now:
        weighed.append(no("until", f"ended at {until}", "an end that lies ahead", member="/deadlines/until"))
    if terms.subcontracting.allowed and not policy.allow_subcontracting:
        weighed.append(no("allow_subcontracting", "allowed", "not allowed", member="/subcontracting/allowed"))
    if policy.ask:
        weighed.append((asked("ask", "every contract is put to a person", "a person's approval"), None))
    return weighed


def _people(amount: Amount, told: str, policy: Policy) -> Iterator[Weighed]:
    """Who has to agree to an amount, which is `told` so."""
    for clause, above, whose in (
        ("ask_above", policy.ask_above, "a person's"),
        ("two_above", policy.two_above, "two people's"),
    ):
        if above is not None and compare_amounts(amount, above) > 0:
            yield asked(clause, told, f"at most {above}, or {whose} approval"), None


def _fee(terms: Terms, policy: Policy) -> list[Weighed]:
    """Whoever signs a fee may owe it, so what limits a price limits it as well; it has the currency of the price."""
    fee = terms.termination.fee
    if fee is None:
        return []
    most = policy.max_price if policy.max_fee is None else policy.max_fee
    text = f"{fee} for an end without cause"
    weighed: list[Weighed] = []
    if most is not None and compare_amounts(fee.amount, most) > 0:
        weighed.append(no("max_fee", text, f"at most {most}", member="/termination/fee"))
    return [*weighed, *_people(fee.amount, text, policy)]


def _arbiter(terms: Terms, policy: Policy, presented: VerifiedPresentation) -> list[Weighed]:
    """Whether we let the one whom the terms name rule on what is owed, which may be more than the price."""
    arbiter = terms.arbiter
    if arbiter is None:
        return []
    if arbiter in policy.refuse:
        return [no("refuse", arbiter, "another arbiter, or none", member="/arbiter")]
    if arbiter in parties_of(presented.holder, presented.credentials):
        return [no("arbiters", f"{arbiter}, which is of the other side", "another arbiter, or none", member="/arbiter")]
    if policy.arbiters is not None and arbiter not in policy.arbiters:
        return [no("arbiters", arbiter, " or ".join(policy.arbiters) or "no arbiter", member="/arbiter")]
    return []


def _limits(terms: Terms, presented: VerifiedPresentation) -> list[Weighed]:
    """What passes the ceiling that an organisation has set for its agent (HIRE-CRD-09).

    Whether we believe the organisation does not matter here: its limits only narrow, and the holder chose to show them.
    """
    weighed: list[Weighed] = []
    price, fee = str(terms.price), terms.termination.fee
    for credential in presented.credentials:
        if MEMBERSHIP not in credential.types or not any("limits" in subject for subject in credential.subjects):
            continue
        whose = f"as {credential.issuer} lets its agent"
        try:
            claim = read_claim(credential)
        except UndersignedError as exc:
            # Limits that we cannot read are limits that we cannot keep to.
            weighed.append(no("limits", exc.message, f"limits that are understood, {whose}"))
            continue
        limits = claim.limits if isinstance(claim, Membership) else None
        if limits is None:
            continue
        if limits.currency is not None and terms.price.currency != limits.currency:
            weighed.append(no("limits", price, f"{limits.currency}, {whose}", member="/price/currency"))
        elif limits.amount is not None and compare_amounts(terms.price.amount, limits.amount) > 0:
            weighed.append(no("limits", price, f"at most {limits.amount}, {whose}", member="/price/amount"))
        elif fee is not None and limits.amount is not None and compare_amounts(fee.amount, limits.amount) > 0:
            owed = f"{fee} for an end without cause"
            weighed.append(no("limits", owed, f"at most {limits.amount}, {whose}", member="/termination/fee"))
        if limits.actions is not None:
            granted = {grant.action for grant in terms.scope.grants} - set(limits.actions)
            for action in sorted(granted):
                would_pass = f"{' or '.join(limits.actions) or 'no action'}, {whose}"
                weighed.append(no("limits", action, would_pass, member="/scope/grants"))
    return weighed
