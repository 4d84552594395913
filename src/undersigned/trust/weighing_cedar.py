"""What policies in Cedar say, as reasons beside those of the other clauses.

Source: protocol-spec/13-policy.md, section 13.2
"""

from __future__ import annotations

from undersigned.contract import Terms
from undersigned.errors import FormatError
from undersigned.trust.answers import Rated
from undersigned.trust.cedar import judge_by_cedar, read_cedar
from undersigned.trust.cedar_request import cedar_request
from undersigned.trust.decision import Needed, Rating, Reason
from undersigned.trust.policy import Demand
from undersigned.trust.weighing import Weighed, WeighingInput, counts, need_of, no, rating_of

__all__ = ["weigh_cedar"]


def weigh_cedar(given: WeighingInput, terms: Terms | None) -> tuple[list[Weighed], tuple[Rating, ...]]:
    """What the policies in Cedar say, which are told only of credentials that count; and the reputation they read.

    Raises:
        ConfigurationError: `missing_extra`: there are such policies, and the extra is not installed.
    """
    policy, presented = given.policy, given.presented
    if policy.cedar is None:
        return [], ()
    counting = [
        (demand.type, credential)
        for credential in presented.credentials
        for demand in (Demand(type=type) for type in policy.types)
        if demand.type in credential.types and counts(credential, demand, given)
    ]
    units, ratings = None, ()
    if any(one.reads_reputation for one in read_cedar(policy.cedar).policies):
        about = Rated(presented.holder, None if given.stake is None else given.stake.capability)
        found = given.answers.of_party(about)
        units, ratings = 0 if found is None else found.units, (rating_of(about, found),)
    shown = presented.holder, presented.engagement, counting, given.now
    findings = judge_by_cedar(policy.cedar, cedar_request(*shown, reputation=units))
    if terms is not None:
        # With whom it does not let us work at all nothing is signed, and nobody is asked: that is not about the terms.
        findings = tuple([one._replace(code="policy_denied") for one in findings if one.code != "met"])
        try:
            findings = findings or judge_by_cedar(policy.cedar, cedar_request(*shown, terms=terms, reputation=units))
        except FormatError as exc:
            refusal = no("cedar", exc.message, "terms that Cedar can be told exactly", member=exc.path or "/scope")
            return [refusal], ratings
    weighed: list[Weighed] = []
    for finding in findings:
        need: Needed | None = None
        if finding.needs is not None:
            need = need_of(Demand(type=finding.needs), given.answers, policy.refuse)
        reason = Reason(code=finding.code, clause=finding.clause, value=finding.value, would_pass=finding.would_pass)
        weighed.append((reason, need))
    return weighed, ratings
