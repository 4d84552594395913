"""The recorded answer to "should this artifact be trusted for that?", for whoever asks, party to its contract or not.

    asked = asked_about(artifact, purpose, evidence)
    verdict = judge(artifact, purpose, evidence, ..., heard=..., lists=...)

One pure function of the evidence, whom we believe, what the trust graph answered, what status lists say, our policy and
the clock. The verdict holds the digests of all that, so that it can be made again.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from undersigned.attestation import WorkPredicate
from undersigned.credentials import MEMBERSHIP, Credential, StatusList, check_status
from undersigned.did import is_derived
from undersigned.encoding import Did, Digest, Instant, compare_amounts, digest_bytes, write_canonical
from undersigned.errors import UndersignedError
from undersigned.evidence import sealed_of
from undersigned.messages import Breach, Dispute, Review, Ruling, Terminate
from undersigned.protocol import ENDED
from undersigned.scope import Action, read_scope
from undersigned.trace.evidence import Evidence, Made, outside
from undersigned.trace.walk import shown_credentials
from undersigned.trust import Accused, Anchors, Authority, Outcome, Policy, Reason, canonical_bytes

__all__ = [
    "ASKS",
    "CLAUSES",
    "AskedAbout",
    "Heard",
    "Judged",
    "ListUsed",
    "MadeFrom",
    "Verdict",
    "asked_about",
    "judge",
    "memberships",
]

CLAUSES: Final[dict[str, tuple[str, str]]] = {
    "evidence": ("`not_found`", "a delivery of the artifact, with a statement about it, is in the evidence"),
    "refuse": ("`policy_denied`", "neither the signer nor its organisation is refused by the policy"),
    "refuse_capabilities": ("`policy_denied`", "the purpose is not one that the policy never deals in"),
    "keys": (
        "`did_unresolvable`",
        "the keys of the signer and of who accepted follow from their DIDs, or are known from elsewhere than a pack",
    ),
    "signer": (
        "`attester_not_trusted`",
        "the signer, or an organisation of which it showed to be a member, was entitled by the trust graph to attest "
        "one of the predicates for the purpose when the delivery was recorded",
    ),
    "purpose": (
        "asks: `approval_required`",
        "the purpose is the task of the contract, or an anchor or a link of authority by which the signer is entitled "
        "names it",
    ),
    "status": (
        "`revoked`, `status_unavailable`, `status_invalid`",
        "no credential on which that rests is withdrawn now",
    ),
    "accused": ("`policy_denied`", "no accusation that counts is heard now of the signer or that organisation"),
    "contract": ("`contract_expired`", "the contract gave authority when the delivery was recorded"),
    "scope": (
        "`scope_exceeded`; asks: `approval_required`",
        "each action that the work statement tells was inside the scope, and no total above its limit; actions that it "
        "leaves out ask a person",
    ),
    "acceptance": (
        "`policy_denied`; asks: `approval_required`",
        "the delivery was accepted; one that nobody reviewed, or that is to be reworked, asks a person",
    ),
    "ending": (
        "`revoked`; asks: `in_doubt`",
        "the contract came to its end, and not for a breach, a withdrawn credential or a stolen key; other early ends, "
        "claims of a breach and disputes ask a person, as does evidence that does not reach the end",
    ),
}
"""Clause -> its codes when it is not met, and what it demands. The specification's table says the same."""

ASKS: Final = frozenset({"approval_required", "in_doubt"})
"""Codes by which a person is asked; any other that is not `met` denies."""
OBJECTIONS: Final = frozenset({"acceptance", "ending", "accused", "status", "scope"})
"""Clauses that say something against the artifact, whoever else made it."""
GRAVE: Final = frozenset({"breach", "revoked", "key_compromised"})
"""Causes of an end that speak against what was made."""


class AskedAbout(Struct, frozen=True):
    """What a verdict asks of the trust graph, each once, in order."""

    authority: tuple[tuple[Did, str, Instant], ...]
    """Who, which predicate, and when; each for the purpose."""
    accused: tuple[Did, ...]


class Heard(Struct, frozen=True, omit_defaults=True):
    """What the trust graph answered."""

    authority: tuple[Authority, ...] = ()
    accused: tuple[Accused, ...] = ()

    @property
    def digest(self) -> Digest:
        """Names it in a verdict."""
        return digest_bytes(canonical_bytes(self))

    def entitled(self, issuer: Did, predicate: str, at: Instant) -> Authority | None:
        """The answer about somebody at a time."""
        about = (issuer, predicate, at)
        return next((one for one in self.authority if (one.issuer, one.credential_type, one.at) == about), None)


class ListUsed(Struct, frozen=True, kw_only=True, rename="camel"):
    """A status list that was looked into."""

    url: str
    list: Digest
    """The list credential."""
    document: Digest
    """The DID document by which it was verified."""
    verified: Instant


class MadeFrom(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a verdict was made from, by digest."""

    policy: Digest
    anchors: Digest
    heard: Digest
    """Of what the trust graph answered."""
    packs: tuple[Digest, ...] = ()
    documents: tuple[Digest, ...] = ()
    """DID documents that were known from elsewhere than the packs."""
    links: tuple[Digest, ...] = ()
    """Credentials of the chains whose status was looked up."""
    lists: tuple[ListUsed, ...] = ()


class Judged(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One delivery of the artifact, judged by itself."""

    contract: Digest
    signer: Did
    at: Instant
    """When the delivery was recorded: the latest time at which its statements were signed."""
    outcome: Outcome
    reasons: tuple[Reason, ...]


class Verdict(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer with its reasons; equal inputs give an equal verdict."""

    outcome: Outcome
    artifact: Digest
    purpose: str
    by: Did
    """Who asked."""
    policy: str
    """Name and version."""
    at: Instant
    reasons: tuple[Reason, ...] = ()
    """What was weighed about the artifact itself."""
    judged: tuple[Judged, ...] = ()
    """Each delivery of it that the evidence holds."""
    inputs: MadeFrom

    @property
    def digest(self) -> Digest:
        """Names it."""
        return digest_bytes(write_canonical(self))

    def explain(self) -> str:
        """The verdict for a person, one line per reason."""
        lines = [f"{self.outcome}: {self.artifact} for {self.purpose} by {self.policy} at {self.at}"]
        lines += [_line(reason) for reason in self.reasons]
        for one in self.judged:
            lines.append(f"  {one.outcome}: delivered by {one.signer} under {one.contract}, {one.at}")
            lines += [f"  {_line(reason)}" for reason in one.reasons]
        return "\n".join(lines)


def _line(reason: Reason) -> str:
    hint = f"; would pass: {reason.would_pass}" if reason.would_pass else ""
    return f"  {reason.code} [{reason.clause}] {reason.value}{hint}"


class _Signed(NamedTuple):
    """Who spoke for a delivery: the signer, and the memberships that it showed."""

    made: Made
    signer: Did
    predicates: tuple[str, ...]
    members: tuple[Credential, ...]

    @property
    def speakers(self) -> tuple[Did, ...]:
        return (self.signer, *(one.issuer for one in self.members))


def memberships(made: Made, evidence: Evidence) -> tuple[Credential, ...]:
    """The memberships that the provider showed before the contract, as far as their signatures hold by keys that are
    known from elsewhere than a pack.
    """
    provider = sealed_of(made.held.case).document.provider
    shown = shown_credentials(made.held, provider, evidence, known=True)
    return tuple(one for one, step in shown if MEMBERSHIP in one.types and step.state == "verified")


def _signed(made: Made, evidence: Evidence) -> _Signed:
    predicates = tuple(dict.fromkeys(one.statement.predicate_type for one in made.statements))
    signer = sealed_of(made.held.case).document.provider
    return _Signed(made, signer, predicates, memberships(made, evidence))


def asked_about(artifact: Digest, evidence: Evidence) -> AskedAbout:
    """What the trust graph is to be asked before `judge`."""
    authority: dict[tuple[Did, str, Instant], None] = {}
    suspected: dict[Did, None] = {}
    for made in evidence.made(artifact):
        signed = _signed(made, evidence)
        for speaker in signed.speakers:
            suspected[speaker] = None
            for predicate in signed.predicates:
                authority[speaker, predicate, made.said.at] = None
    return AskedAbout(tuple(authority), tuple(suspected))


def judge(
    artifact: Digest,
    purpose: str,
    evidence: Evidence,
    *,
    policy: Policy,
    own: Did,
    now: Instant,
    anchors: Anchors,
    heard: Heard,
    links: Iterable[Credential],
    lists: Mapping[str, StatusList],
    inputs: MadeFrom,
) -> Verdict:
    """Whether to trust an artifact for a purpose. `links` are the credentials of chains in `heard` that have a status.

    Any no denies a delivery; without one, any doubt that a person can settle asks. An artifact that several delivered
    is allowed by one of them, unless another delivery of it speaks against it: then a person is asked.

    Source: protocol-spec/19-trace.md, section 19.5
    """
    general: list[Reason] = []
    if purpose in policy.refuse_capabilities:
        general.append(_no("policy_denied", "refuse_capabilities", purpose, "another purpose"))
    withdrawn = tuple(links)
    judged = tuple(
        _judged(_signed(made, evidence), purpose, policy, now, anchors, heard, withdrawn, lists)
        for made in evidence.made(artifact)
    )
    if not judged:
        general.append(_no("not_found", "evidence", "no delivery of it", "a pack of a contract that made it"))
    outcomes = [one.outcome for one in judged]
    objected = [
        one for one in judged if any(r.clause in OBJECTIONS and r.code not in {"met", *ASKS} for r in one.reasons)
    ]
    outcome: Outcome = "deny"
    if not general and "allow" in outcomes:
        outcome = "ask" if objected else "allow"
        if objected:
            said = f"another delivery of it, by {objected[0].signer}, does not pass"
            general.append(_no("approval_required", "evidence", said, "a person's approval"))
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


def _judged(
    signed: _Signed,
    purpose: str,
    policy: Policy,
    now: Instant,
    anchors: Anchors,
    heard: Heard,
    links: tuple[Credential, ...],
    lists: Mapping[str, StatusList],
) -> Judged:
    made = signed.made
    entitled, relied, named = _signer(signed, purpose, anchors, heard)
    reasons = [
        *_refused(signed, policy),
        *_keys(made),
        *entitled,
        *_purpose(made, purpose, named),
        *_status((*relied, *links), lists, now),
        *_accused(signed, heard),
        *_contract(made),
        *_scope(made),
        *_acceptance(made),
        *_ending(made),
    ]
    codes = {reason.code for reason in reasons} - {"met"}
    return Judged(
        contract=made.held.contract,
        signer=signed.signer,
        at=made.said.at,
        outcome="deny" if codes - ASKS else "ask" if codes else "allow",
        reasons=tuple(reasons),
    )


def _met(clause: str, value: str) -> Reason:
    return Reason(code="met", clause=clause, value=value)


def _no(code: str, clause: str, value: str, would_pass: str = "") -> Reason:
    return Reason(code=code, clause=clause, value=value, would_pass=would_pass)


def _refused(signed: _Signed, policy: Policy) -> Iterator[Reason]:
    for did in signed.speakers:
        if did in policy.refuse:
            yield _no("policy_denied", "refuse", did, "somebody else")


def _keys(made: Made) -> Iterator[Reason]:
    held, document = made.held, sealed_of(made.held.case).document
    verifier = held.terms(made.said.number).evidence.verifier or document.hirer
    unknown = [
        did for did in dict.fromkeys((document.provider, verifier)) if not (is_derived(did) or did in held.case.known)
    ]
    for did in unknown:
        said = f"the pack alone says which keys are those of {did}"
        yield _no("did_unresolvable", "keys", said, "its DID document, as it resolves now or by --did-document FILE")
    if not unknown:
        yield _met("keys", f"of {document.provider} and {verifier}, known or following from their DIDs")


def _signer(
    signed: _Signed, purpose: str, anchors: Anchors, heard: Heard
) -> tuple[list[Reason], tuple[Credential, ...], bool]:
    """Who entitled whom, the memberships on which that rests, and whether somebody named the purpose for it: an anchor
    for any capability does not.
    """
    at = signed.made.said.at
    if not signed.predicates:
        return [_no("not_found", "evidence", "no statement of the delivery that holds is about it", "one")], (), False
    missing: list[str] = []
    for predicate in signed.predicates:
        for speaker in signed.speakers:
            answer = heard.entitled(speaker, predicate, at)
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
                    for anchor in anchors.anchors
                )
                return [_met("signer", said)], relied, named
            if answer is not None:
                missing += answer.missing
    said = f"{signed.signer} was not entitled to attest {' or '.join(signed.predicates)} for {purpose} at {at}"
    return [_no("attester_not_trusted", "signer", said, "; or ".join(dict.fromkeys(missing)))], (), False


def _purpose(made: Made, purpose: str, named: bool) -> Iterator[Reason]:
    task = made.held.terms(made.said.number).task.kind
    if task == purpose or named:
        yield _met(
            "purpose", f"the contract is for {task}{'' if task == purpose else f', and authority is for {purpose}'}"
        )
    else:
        said = f"the contract is for {task}, and no authority names {purpose}"
        yield _no("approval_required", "purpose", said, f"{task}, an anchor for {purpose}, or a person's approval")


def _status(credentials: Iterable[Credential], lists: Mapping[str, StatusList], now: Instant) -> Iterator[Reason]:
    wrong = False
    count = 0
    for one in credentials:
        count += 1
        try:
            check_status(one, lists, now)
        except UndersignedError as error:
            wrong = True
            kind = next((name for name in one.types if name != "VerifiableCredential"), "credential")
            yield _no(error.code, "status", f"{kind} by {one.issuer}: {error.message}", "one that is not withdrawn")
    if not wrong:
        yield _met("status", f"{count} credentials looked up, none withdrawn")


def _accused(signed: _Signed, heard: Heard) -> Iterator[Reason]:
    clear = True
    for speaker in signed.speakers:
        answer = next((one for one in heard.accused if one.party == speaker), None)
        if answer is None or answer.verdict != "no":
            clear = False
            by = ", ".join(edge.source for edge in answer.dissent) if answer is not None else ""
            yield _no("policy_denied", "accused", f"{speaker} by {by or 'more than could be read'}", "no accusation")
    if clear:
        yield _met("accused", "no accusation is heard")


def _contract(made: Made) -> Iterator[Reason]:
    times, at = made.held.terms(made.said.number).deadlines, made.said.at
    if at > times.until or (times.not_before is not None and at < times.not_before):
        begin = f"from {times.not_before} " if times.not_before else ""
        yield _no("contract_expired", "contract", f"delivered at {at}", f"{begin}until {times.until}")
    else:
        yield _met("contract", f"{made.held.contract} was in force at {at}")


def _scope(made: Made) -> Iterator[Reason]:
    terms = made.held.terms(made.said.number)
    limits = {
        (grant.id, limit.unit): limit.max
        for grant in read_scope(terms.scope, terms.scope.critical or ()).grants
        for limit in grant.limits
        if limit.per is None
    }
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
            if beyond := outside(terms, Action(action.action, action.target), action.at):
                reasons.append(
                    _no("scope_exceeded", "scope", f"{action.action} on {action.target}: {beyond}", "inside")
                )
        for line in predicate.usage:
            most = limits.get((line.clause, line.unit))
            if most is not None and compare_amounts(line.amount, most) > 0:
                said = f"[{line.clause}] {line.amount} {line.unit}"
                reasons.append(_no("scope_exceeded", "scope", said, f"at most {most}"))
        if predicate.actions_omitted:
            said = f"{predicate.actions_omitted} actions that the statement leaves out"
            reasons.append(_no("approval_required", "scope", said, "a person's approval"))
    beside = f"; {refused} more refused by its gate, and not done" if refused else ""
    inside = "1 action done, inside" if done == 1 else f"{done} actions done, all inside"
    yield from reasons or [_met("scope", f"{inside} the scope{beside}")]


def _acceptance(made: Made) -> Iterator[Reason]:
    by = made.held.terms(made.said.number).evidence.verifier
    reviews = [
        said.message
        for said in made.held.said
        if isinstance(said.message, Review) and said.message.delivery == made.said.verified.digest
    ]
    if not reviews:
        yield _no("approval_required", "acceptance", "nobody reviewed it", "an acceptance, or a person's approval")
    elif reviews[-1].verdict == "accepted":
        yield _met("acceptance", f"accepted by {by or reviews[-1].sender}")
    elif reviews[-1].verdict == "rework":
        yield _no("approval_required", "acceptance", "to be reworked", "an acceptance, or a person's approval")
    else:
        yield _no(
            "policy_denied", "acceptance", f"{reviews[-1].verdict} by {by or reviews[-1].sender}", "an acceptance"
        )


def _ending(made: Made) -> Iterator[Reason]:
    reasons: list[Reason] = []
    for said in made.held.said:
        message = said.message
        match message:
            case Terminate() if message.cause in GRAVE:
                text = f"ended by {message.sender} at {said.at}: {message.cause}"
                reasons.append(_no("revoked", "ending", text, "a contract that ended in order"))
            case Terminate():
                text = f"ended early by {message.sender} at {said.at}: {message.cause}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case Breach():
                text = f"{message.sender} claims a breach of {message.clause}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case Dispute() | Ruling():
                text = f"{message.type} of {message.sender} at {said.at}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case _:
                pass
    if not reasons and made.held.state not in ENDED:
        text = f"the evidence ends in state {made.held.state}: how it went on is not known"
        reasons.append(_no("in_doubt", "ending", text, "evidence up to the end, or a person's approval"))
    yield from reasons or [_met("ending", "it was not ended early, and nothing is claimed or disputed")]
