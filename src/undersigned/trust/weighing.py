"""What was presented, weighed against what a policy demands: credentials, and how well somebody is spoken of.

Source: protocol-spec/12-trust.md, sections 12.8 and 12.9
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from msgspec import Struct

from undersigned.credentials import ClearStatus, Credential, VerifiedPresentation, cleared
from undersigned.encoding import Did, Instant, parse_duration
from undersigned.trust.answers import Answers, Claimed, Rated, parties_of
from undersigned.trust.authority import IssuerAuthority
from undersigned.trust.decision import Ground, Needed, Rating, Reason
from undersigned.trust.edge import Edge, units_of, written
from undersigned.trust.policy import Demand, Policy, Stake
from undersigned.trust.reliance import ShownClaim, shown_in
from undersigned.trust.reputation import Reputation

__all__ = [
    "Weighed",
    "WeighingInput",
    "asked",
    "counts",
    "denied",
    "lapsed",
    "met",
    "need_of",
    "needs",
    "no",
    "rating_of",
    "weigh_accusations",
    "weigh_credentials",
    "weigh_party",
    "weigh_reputation",
]

Weighed: TypeAlias = tuple[Reason, Needed | None]


class WeighingInput(Struct, frozen=True):
    """What everything is weighed with."""

    presented: VerifiedPresentation
    policy: Policy
    now: Instant
    statuses: Collection[ClearStatus]
    answers: Answers
    """Those that stand."""
    stake: Stake | None


def weigh_party(presented: VerifiedPresentation, policy: Policy, stake: Stake | None) -> list[Weighed]:
    """Red lines: whom, and what, is never dealt with."""
    weighed: list[Weighed] = []
    if policy.refuse and (
        listed := {presented.holder, *(credential.issuer for credential in presented.credentials)} & set(policy.refuse)
    ):
        weighed.append(no("refuse", f"{min(listed)} is on the list of those refused", "another party"))
    if stake is not None and stake.capability in policy.refuse_capabilities:
        value = f"{stake.capability} is on the list of what is refused"
        weighed.append(no("refuse_capabilities", value, "other work", member="/task/kind"))
    return weighed


def weigh_accusations(given: WeighingInput) -> tuple[list[Weighed], tuple[Edge, ...]]:
    """Who is accused by somebody whose word counts is not dealt with, and neither are its agents (HIRE-TRU-25)."""
    weighed: list[Weighed] = []
    heard: dict[Edge, None] = {}
    told_of: set[Did] = set()
    need = Needed(code="not_accused")  # by whom, and of what, is not told to whoever is accused
    for party in parties_of(given.presented.holder, given.presented.credentials):
        found = given.answers.against(party)
        if party in told_of or (found is not None and found.verdict == "no"):
            continue
        if found is None or found.verdict == "indeterminate":
            value = f"whether {party} is accused could not be found out"
        else:
            heard.update(dict.fromkeys(found.dissent))
            told = "; ".join(one.accusation for one in found.dissent[:3])
            accused = {one.target for one in found.dissent}
            organisations = {one.source for one in found.members}
            told_of |= organisations
            if party in accused:
                value = told
            elif organisations & accused:
                value = f"{told}, to which {party} belongs"
            else:
                value = f"{told}, which shares a key with {min(organisations, default=party)}"
        weighed.append((denied("accused", value, "a party that nobody accuses whose accusations count"), need))
    return weighed, tuple(heard)


def weigh_credentials(given: WeighingInput) -> tuple[list[Weighed], tuple[Ground, ...]]:
    """Each credential that is demanded."""
    weighed: list[Weighed] = []
    grounds: dict[Ground, None] = {}
    for clause, demand in given.policy.demands(given.stake):
        found: list[str] = []
        enough = False
        for credential in given.presented.credentials:
            if demand.type in credential.types:
                answer = None
                if credential.issuer != given.presented.holder:
                    shown = shown_in(credential, demand.type)
                    answer = given.answers.about(shown)
                    grounds[_ground(credential, shown, answer)] = None
                flaws = _flaws(credential, demand, given, answer)
                enough = enough or not flaws
                own = credential.issuer == given.presented.holder
                found.append(", ".join([f"{demand.type} by {'its holder' if own else credential.issuer}", *flaws]))
        value = "; ".join(found) or f"no {demand.type}"
        if enough:
            weighed.append((met(clause, value), None))
            continue
        need = need_of(demand, given.answers, given.policy.refuse)
        weighed.append((denied(clause, value, _wanted(demand, need, given.answers)), need))
    return weighed, tuple(grounds)


def weigh_reputation(given: WeighingInput) -> tuple[list[Weighed], tuple[Rating, ...]]:
    """The reputation that rules ask for."""
    weighed: list[Weighed] = []
    ratings: dict[Rating, None] = {}
    about = Rated(given.presented.holder, None if given.stake is None else given.stake.capability)
    for rule in given.policy.rule:
        if rule.min_reputation is None or not rule.covers(given.stake, given.policy.currency):
            continue
        found = given.answers.of_party(about)
        units = 0 if found is None else found.units
        score = written(units)
        value = f"reputation {score}{f' for {about.capability}' if about.capability else ''}"
        ratings[rating_of(about, found)] = None
        if units >= units_of(rule.min_reputation):
            weighed.append((met(f"rule {rule.name}", value), None))
        else:
            weighed.append((denied(f"rule {rule.name}", value, f"at least {rule.min_reputation}"), _spoken_of(about)))
    return weighed, tuple(ratings)


def rating_of(about: Rated, found: Reputation | None) -> Rating:
    """What the graph said, for the record."""
    return Rating(
        party=about.party,
        capability=about.capability,
        score=written(0 if found is None else found.units),
        paths=() if found is None else tuple(path.edges for path in found.paths),
        dissent=() if found is None else found.dissent,
        missing=("an answer that stands",) if found is None else found.missing,
    )


def needs(policy: Policy, stake: Stake | None, answers: Answers) -> tuple[Needed, ...]:
    """What is asked for before anything is shown: exactly what the policy demands where this is at stake."""
    wanted = [need_of(demand, answers, policy.refuse) for demand in policy.asked(stake)]
    if stake is not None and policy.rates(stake):
        wanted.append(_spoken_of(Rated("", stake.capability)))
    return tuple(dict.fromkeys(wanted))


def _flaws(
    credential: Credential, demand: Demand, given: WeighingInput, answer: IssuerAuthority | None, *, timed: bool = True
) -> list[str]:
    """Why a credential of the type is not what is demanded; nothing if it is. Unless `timed`, its times and its status
    are left out.
    """
    flaws: list[str] = []
    if timed and not (credential.valid_at(given.now) and cleared(credential, given.statuses, given.now)):
        flaws.append("not valid")
    if demand.capability is not None and shown_in(credential, demand.type).capability != demand.capability:
        flaws.append("about something else")
    if demand.issuers and credential.issuer not in demand.issuers:
        flaws.append("not one of the issuers asked for")
    if timed and demand.max_age is not None and credential.age_seconds(given.now) > parse_duration(demand.max_age):
        flaws.append(f"older than {demand.max_age}")
    # An anchor that vouches for itself is self-issued like anybody else.
    if credential.issuer == given.presented.holder:
        if not given.policy.allow_self_issued:
            flaws.append("self-issued")
    elif answer is None or not answer.entitled:
        flaws.append("whom our anchors do not entitle")
    else:
        refused = given.policy.refuse
        links = [len(path.edges) for path in answer.paths if not (refused and _passes(path.edges, refused))]
        if not links:
            flaws.append("entitled only through somebody who is refused")
        elif min(links) > demand.max_links:
            flaws.append(f"{min(links)} links from an anchor")
    return flaws


def _passes(chain: tuple[Edge, ...], refused: Collection[Did]) -> bool:
    return any(edge.source in refused or edge.target in refused for edge in chain)


def lapsed(presented: VerifiedPresentation, policy: Policy, answers: Answers, stake: Stake) -> str | None:
    """The type of a credential that is demanded, and of which none that was shown is believed any more by these
    answers; None if there is no such. Whether they are in their time and not withdrawn is not looked at.
    """
    given = WeighingInput(presented, policy, "", (), answers, stake)
    for _, demand in policy.demands(stake):
        shown = (one for one in presented.credentials if demand.type in one.types)
        if not any(counts(one, demand, given, timed=False) for one in shown):
            return demand.type
    return None


def counts(credential: Credential, demand: Demand, given: WeighingInput, *, timed: bool = True) -> bool:
    """Whether a credential of the type is all that is demanded; unless `timed`, but for its times and its status."""
    answer = None
    if credential.issuer != given.presented.holder:
        answer = given.answers.about(shown_in(credential, demand.type))
    return not _flaws(credential, demand, given, answer, timed=timed)


def need_of(demand: Demand, answers: Answers, refused: Collection[Did]) -> Needed:
    """A demand as it is asked for, and as `Withdraw` names it. Whoever is `refused` is named as no issuer: a credential
    by one is a reason to refuse whoever shows it.
    """
    who = answers.who(Claimed(demand.type, demand.capability, demand.max_links))
    issuers = who.issuers if who is not None else None
    if issuers:
        issuers = tuple([did for did in issuers if did not in refused])
    if demand.issuers:
        issuers = tuple(sorted(set(demand.issuers) & set(issuers))) if issuers else ()
        issuers = issuers or tuple(sorted(set(demand.issuers).difference(refused)))
    return Needed(
        code="credential",
        credential=demand.type,
        issuers=issuers or None,
        capability=demand.capability,
        max_age=demand.max_age,
    )


def _wanted(demand: Demand, need: Needed, answers: Answers) -> str:
    """A need in words."""
    who = answers.who(Claimed(demand.type, demand.capability, demand.max_links))
    listed = bool(demand.issuers) or (who is not None and who.issuers is not None)
    by = "nobody" if listed else "an issuer that our anchors entitle"
    about = [f"about {demand.capability}"] if demand.capability is not None else []
    return ", ".join([f"one by {' or '.join(need.issuers) if need.issuers else by}", *about, *demand.bounds])


def _spoken_of(about: Rated) -> Needed:
    return Needed(code="reputation", credential="EndorsementCredential", capability=about.capability)


def _ground(credential: Credential, shown: ShownClaim, answer: IssuerAuthority | None) -> Ground:
    return Ground(
        credential=credential.digest,
        issuer=shown.issuer,
        credential_type=shown.credential_type,
        capability=shown.capability,
        # What was not answered could not be shown.
        verdict="indeterminate" if answer is None else answer.verdict,
        paths=() if answer is None else tuple([path.edges for path in answer.paths]),
        dissent=() if answer is None else answer.dissent,
        missing=("an answer that stands",) if answer is None else answer.missing,
    )


def no(clause: str, value: str, would_pass: str, *, member: str | None = None) -> Weighed:
    """A no, and the member of the terms that would have to differ."""
    need = None if member is None else Needed(code="member", member=member)
    return denied(clause, value, would_pass), need


def met(clause: str, value: str) -> Reason:
    """A clause that is kept."""
    return Reason(code="met", clause=clause, value=value)


def denied(clause: str, value: str, would_pass: str) -> Reason:
    """A clause that is not."""
    return Reason(code="policy_denied", clause=clause, value=value, would_pass=would_pass)


def asked(clause: str, value: str, would_pass: str) -> Reason:
    """Something for a person to decide."""
    return Reason(code="approval_required", clause=clause, value=value, would_pass=would_pass)
