"""The recorded answer to "should this artifact be trusted for that?", for whoever asks, party to its contract or not.

    asked = asked_about(artifact, evidence)
    verdict = judge(artifact, purpose, evidence, ..., heard=..., lists=...)

One pure function of the evidence, whom we believe, what the trust graph answered, what status lists say, our policy and
the clock. The verdict holds the digests of all that, so that it can be made again.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from undersigned.attestation import WorkPredicate
from undersigned.credentials import Credential, StatusList
from undersigned.did import is_derived
from undersigned.encoding import Did, Digest, Instant, compare_amounts
from undersigned.messages import Breach, Dispute, Review, Ruling, Terminate
from undersigned.protocol import ENDED
from undersigned.scope import Action
from undersigned.trace.evidence import Earlier, Made, TraceEvidence
from undersigned.trace.speakers import DeliverySpeaker, ShownMembership, parties_of, signed_by
from undersigned.trace.status import SeenList, status_reasons
from undersigned.trace.verdict import ASKS, GraphAnswers, Judged, MadeFrom, Verdict, no, yes
from undersigned.trust import Anchors, Outcome, Policy, Reason

__all__ = ["judge"]

OBJECTIONS: Final = frozenset({"acceptance", "ending", "accused", "status", "scope"})
"""Clauses that say something against the artifact, whoever else made it."""
GRAVE: Final = frozenset({"breach", "revoked", "key_compromised"})
"""Causes of an end that speak against what was made."""
_BRING: Final = "its DID document, as it resolves now or by --did-document FILE"


def judge(
    artifact: Digest,
    purpose: str,
    evidence: TraceEvidence,
    *,
    policy: Policy,
    own: Did,
    now: Instant,
    anchors: Anchors,
    heard: GraphAnswers,
    links: Iterable[Credential],
    lists: Mapping[str, StatusList],
    known: Iterable[SeenList] = (),
    inputs: MadeFrom,
) -> Verdict:
    """Whether to trust an artifact for a purpose. `links` are the credentials of chains in `heard` that have a status,
    `lists` what their issuers say now, by URL, and `known` what they said before where they say nothing now, or what is
    older.

    Any no denies a delivery; without one, any doubt that a person can settle asks. An artifact that several delivered
    is allowed by one of them, unless another delivery of it speaks against it: then a person is asked.

    Source: protocol-spec/19-trace.md, section 19.5
    """
    general: list[Reason] = []
    if purpose in policy.refuse_capabilities:
        general.append(no("policy_denied", "refuse_capabilities", purpose, "another purpose"))
    judges = _Judge(
        evidence=evidence,
        purpose=purpose,
        policy=policy,
        now=now,
        anchors=anchors,
        heard=heard,
        links=tuple(links),
        lists=lists,
        known=tuple(known),
        missing={one.what: one.why for one in inputs.missing},
    )
    judged = tuple(map(judges.delivery, evidence.made(artifact)))
    if not judged:
        general.append(no("not_found", "evidence", "no delivery of it", "a pack of a contract that made it"))
    outcomes = [one.outcome for one in judged]
    objected = [
        one for one in judged if any(r.clause in OBJECTIONS and r.code not in {"met", *ASKS} for r in one.reasons)
    ]
    outcome: Outcome = "deny"
    if not general and "allow" in outcomes:
        outcome = "ask" if objected else "allow"
        if objected:
            said = f"another delivery of it, by {objected[0].signer}, does not pass"
            general.append(no("approval_required", "evidence", said, "a person's approval"))
    elif not general and "ask" in outcomes:
        outcome = "ask"
    return Verdict(
        outcome=outcome,
        artifact=artifact,
        purpose=purpose,
        by=own,
        policy=f"{policy.name}/{policy.version}",
        at=now,
        reasons=tuple(general),
        judged=judged,
        inputs=inputs,
    )


class _Judge(Struct, frozen=True, kw_only=True):
    """What each delivery is judged by, whatever is known of others."""

    evidence: TraceEvidence
    purpose: str
    policy: Policy
    now: Instant
    anchors: Anchors
    heard: GraphAnswers
    links: tuple[Credential, ...]
    lists: Mapping[str, StatusList]
    known: tuple[SeenList, ...]
    missing: Mapping[str, str]
    """Why what could not be had could not, by DID or URL."""

    def delivery(self, made: Made) -> Judged:
        signed = signed_by(made, self.evidence)
        entitled, members, named = self._signer(signed)
        relied = (*(one.credential for one in members), *self.links)
        reasons = (
            *_refused(signed, self.policy),
            *self._keys(made, members),
            *entitled,
            *_purpose(made, self.purpose, named),
            *status_reasons(relied, self.lists, self.known, self.missing, self.now),
            *_accused(signed, self.heard),
            *_contract(made),
            *_scope(made),
            *_acceptance(made),
            *_ending(made),
        )
        codes = {reason.code for reason in reasons} - {"met"}
        return Judged(
            contract=made.held.contract,
            signer=signed.signer,
            at=made.said.at,
            outcome="deny" if codes - ASKS else "ask" if codes else "allow",
            reasons=reasons,
        )

    def _signer(self, signed: DeliverySpeaker) -> tuple[list[Reason], tuple[ShownMembership, ...], bool]:
        """Who entitled whom, the memberships on which that rests, and whether somebody named the purpose for it: an
        anchor for any capability does not.
        """
        at, purpose = signed.made.said.at, self.purpose
        if not signed.predicates:
            return (
                [no("not_found", "evidence", "no statement of the delivery that holds is about it", "one")],
                (),
                False,
            )
        lacking: list[str] = []
        for predicate in signed.predicates:
            for speaker in signed.speakers:
                answer = self.heard.entitled(speaker, predicate, at)
                if answer is not None and answer.entitled:
                    relied = tuple(one for one in signed.members if one.issuer == speaker)[:1]
                    whose = f"as a member of {speaker}, " if speaker != signed.signer else ""
                    path = answer.paths[0].edges if answer.paths else ()
                    by = " -> ".join(edge.source for edge in path) or speaker
                    said = f"{signed.signer}, {whose}may attest {predicate} for {purpose}, by {by}"
                    named = any(one.edges for one in answer.paths) or any(
                        anchor.issuer == speaker
                        and purpose in anchor.capabilities
                        and anchor.covers(predicate, purpose, at)
                        for anchor in self.anchors.anchors
                    )
                    return [yes("signer", said)], relied, named
                if answer is not None:
                    lacking += answer.missing
        unproved = [reason for one in signed.unproved for reason in self._unproved(signed, one)]
        if unproved:
            return unproved, (), False
        said = f"{signed.signer} was not entitled to attest {' or '.join(signed.predicates)} for {purpose} at {at}"
        return [no("attester_not_trusted", "signer", said, "; or ".join(dict.fromkeys(lacking)))], (), False

    def _unproved(self, signed: DeliverySpeaker, member: ShownMembership) -> Iterator[Reason]:
        """That a membership would do, if it could be checked; nothing, if it would not."""
        issuer, at = member.issuer, signed.made.said.at
        answers = [(one, self.heard.entitled(issuer, one, at)) for one in signed.predicates]
        predicate = next((one for one, answer in answers if answer is not None and answer.entitled), None)
        if predicate is None:
            return
        said = f"{signed.signer} showed a membership of {issuer}, which may attest {predicate}"
        if issuer in self.missing:
            said = f"{said}, and it could not be checked{self._why_not(issuer)}"
            yield no("did_unresolvable", "signer", said, f"{_BRING}; or a chain of authority to {signed.signer}")
        else:
            said = f"{said}, and it does not hold: {member.why}"
            would = f"one that holds, or the DID document of {issuer} of that time, by --did-document FILE"
            yield no("attester_not_trusted", "signer", said, would)

    def _keys(self, made: Made, relied: Iterable[ShownMembership]) -> Iterator[Reason]:
        held, parties, met = made.held, parties_of(made), True
        for did in parties:
            known, earlier = self.evidence.known(held, did), self.evidence.earlier.get(did, ())
            every = (*known, *(one.document for one in earlier))
            # A hirer that leaves the acceptance to somebody else need not be known; but nobody may speak in its name.
            if is_derived(did) or (not every and did not in parties[:2]) or (known and not held.strange_to(did, known)):
                continue
            met = False
            if not every:
                said = f"the pack alone says which keys are those of {did}{self._why_not(did)}"
                yield no("did_unresolvable", "keys", said, _BRING)
            elif strange := held.strange_to(did, every):
                said = f"{', '.join(strange)} is in the pack's document of {did}, and in none that is known"
                would = "a document of it of that time that has the key, by --did-document FILE"
                yield no("key_not_authorized", "keys", said, would)
            else:
                now = set(held.strange_to(did, known))
                helping = [one for one in earlier if set(held.strange_to(did, (*known, one.document))) < now]
                yield self._asked_of(did, helping or earlier)
        for one in relied:
            if one.earlier is not None:
                met = False
                yield self._asked_of(one.issuer, (one.earlier,))
        if met:
            yield yes("keys", f"of {parties[0]} and {parties[1 % len(parties)]}, known or following from their DIDs")

    def _asked_of(self, did: Did, earlier: Iterable[Earlier]) -> Reason:
        at = max(one.at for one in earlier)
        why = self._why_not(did) or "; its document of now does not have them any more"
        said = f"keys of {did} are those that were known at {at}, and whether they were withdrawn since is not{why}"
        return no("did_last_known", "keys", said, f"{_BRING}, if it has them, or a person's approval")

    def _why_not(self, did: Did) -> str:
        return f"; its DID document could not be had now: {self.missing[did]}" if did in self.missing else ""


def _refused(signed: DeliverySpeaker, policy: Policy) -> Iterator[Reason]:
    for did in signed.speakers:
        if did in policy.refuse:
            yield no("policy_denied", "refuse", did, "somebody else")


def _purpose(made: Made, purpose: str, named: bool) -> Iterator[Reason]:
    task = made.held.terms(made.said.number).task.kind
    if task == purpose or named:
        yield yes(
            "purpose", f"the contract is for {task}{'' if task == purpose else f', and authority is for {purpose}'}"
        )
    else:
        said = f"the contract is for {task}, and no authority names {purpose}"
        yield no("approval_required", "purpose", said, f"{task}, an anchor for {purpose}, or a person's approval")


def _accused(signed: DeliverySpeaker, heard: GraphAnswers) -> Iterator[Reason]:
    clear = True
    for speaker in signed.speakers:
        answer = next((one for one in heard.accused if one.party == speaker), None)
        if answer is None or answer.verdict != "no":
            clear = False
            by = ", ".join(edge.source for edge in answer.dissent) if answer is not None else ""
            yield no("policy_denied", "accused", f"{speaker} by {by or 'more than could be read'}", "no accusation")
    if clear:
        yield yes("accused", "no accusation is heard")


def _contract(made: Made) -> Iterator[Reason]:
    times, at = made.held.terms(made.said.number).deadlines, made.said.at
    if at > times.until or (times.not_before is not None and at < times.not_before):
        begin = f"from {times.not_before} " if times.not_before else ""
        yield no("contract_expired", "contract", f"delivered at {at}", f"{begin}until {times.until}")
    else:
        yield yes("contract", f"{made.held.contract} was in force at {at}")


def _scope(made: Made) -> Iterator[Reason]:
    granted = made.held.granted(made.said.number)
    reasons: list[Reason] = []
    done = refused = 0
    for statement in made.statements:
        predicate = statement.predicate
        if not isinstance(predicate, WorkPredicate):
            continue
        for action in predicate.actions:
            if not action.allowed:
                refused += 1
                continue
            done += 1
            if beyond := made.held.outside(made.said.number, Action(action.action, action.target), action.at):
                reasons.append(no("scope_exceeded", "scope", f"{action.action} on {action.target}: {beyond}", "inside"))
        for line in predicate.usage:
            said, units = f"[{line.clause}] {line.amount} {line.unit}", granted.get(line.clause)
            most = units.get(line.unit) if units is not None else None
            if units is None and line.amount != "0":
                reasons.append(no("scope_exceeded", "scope", said, "a clause of the contract"))
            elif most is not None and compare_amounts(line.amount, most) > 0:
                reasons.append(no("scope_exceeded", "scope", said, f"at most {most}"))
        if predicate.actions_omitted:
            said = f"{predicate.actions_omitted} actions that the statement leaves out"
            reasons.append(no("approval_required", "scope", said, "a person's approval"))
    beside = f"; {refused} more refused by its gate, and not done" if refused else ""
    inside = "1 action done, inside" if done == 1 else f"{done} actions done, all inside"
    yield from reasons or [yes("scope", f"{inside} the scope{beside}")]


def _acceptance(made: Made) -> Iterator[Reason]:
    verdict = next((one.message.verdict for one in made.reviews[::-1] if isinstance(one.message, Review)), None)
    if verdict is None:
        yield no("approval_required", "acceptance", "nobody reviewed it", "an acceptance, or a person's approval")
    elif verdict == "accepted":
        yield yes("acceptance", f"accepted by {made.judge}")
    elif verdict == "rework":
        yield no("approval_required", "acceptance", "to be reworked", "an acceptance, or a person's approval")
    else:
        yield no("policy_denied", "acceptance", f"{verdict} by {made.judge}", "an acceptance")


def _ending(made: Made) -> Iterator[Reason]:
    reasons: list[Reason] = []
    for said in made.held.said:
        message = said.message
        match message:
            case Terminate() if message.cause in GRAVE:
                text = f"ended by {message.sender} at {said.at}: {message.cause}"
                reasons.append(no("revoked", "ending", text, "a contract that ended in order"))
            case Terminate():
                text = f"ended early by {message.sender} at {said.at}: {message.cause}"
                reasons.append(no("in_doubt", "ending", text, "a person's approval"))
            case Breach():
                text = f"{message.sender} claims a breach of {message.clause}"
                reasons.append(no("in_doubt", "ending", text, "a person's approval"))
            case Dispute() | Ruling():
                text = f"{message.type} of {message.sender} at {said.at}"
                reasons.append(no("in_doubt", "ending", text, "a person's approval"))
            case _:
                pass
    if not reasons and made.held.state not in ENDED:
        text = f"the evidence ends in state {made.held.state}: how it went on is not known"
        reasons.append(no("in_doubt", "ending", text, "evidence up to the end, or a person's approval"))
    yield from reasons or [yes("ending", "it was not ended early, and nothing is claimed or disputed")]
