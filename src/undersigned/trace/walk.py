"""From an artifact to whoever was believed: one tree of steps, each of which says what was checked of it.

    tree = trace(digest, evidence)

Source: protocol-spec/19-trace.md, section 19.2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from msgspec.structs import replace

from undersigned.attestation import (
    ActionTaken,
    ProvenancePredicate,
    RefusalPredicate,
    SubcontractLine,
    VerifiedStatement,
    WorkPredicate,
)
from undersigned.contract import Parent, read_parents
from undersigned.credentials import Credential, counts, read_presentation, verify_issued
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import Did, Digest, Instant, JsonObject
from undersigned.errors import UndersignedError
from undersigned.evidence import engagement_of, showing
from undersigned.messages import Breach, Dispute, Offer, Presentation, Review, Ruling, Seal, Terminate
from undersigned.protocol import outcome_of
from undersigned.scope import Action
from undersigned.trace.evidence import CheckedDecision, Made, ProvedEngagement, TraceEvidence, TranscriptMessage
from undersigned.trace.step import Kind, State, TraceStep
from undersigned.trust import Edge, Ground

__all__ = ["shown_credentials", "trace", "trace_all"]


def trace(artifact: Digest, evidence: TraceEvidence, *, why: str = "") -> TraceStep:
    """The tree of steps from an artifact. `why` says how its digest is known to be that of bytes, if it is.

    Source: protocol-spec/19-trace.md, section 19.2
    """
    return _Walk(evidence).artifact(artifact, why)


def trace_all(artifacts: Iterable[Digest], evidence: TraceEvidence) -> tuple[TraceStep, ...]:
    """The trees of several artifacts; what stands in one of them is told there alone."""
    walk = _Walk(evidence)
    return tuple(walk.artifact(digest) for digest in artifacts)


class _Walk:
    """Goes down from step to step and tells nothing twice."""

    def __init__(self, evidence: TraceEvidence) -> None:
        self._evidence = evidence
        self._told: set[tuple[Kind, str]] = set()

    def _first(self, kind: Kind, name: str) -> bool:
        known = (kind, name) in self._told
        self._told.add((kind, name))
        return not known

    def artifact(
        self, digest: Digest, why: str = "", *, kind: Kind = "artifact", name: str = "", by: Did = ""
    ) -> TraceStep:
        made = self._evidence.made(digest)
        names = sorted({one.name for one in made} | ({name} if name else set()))
        text = " or ".join(names) or "bytes"
        whose = (by,) if by else ()
        if not made:
            nothing = "no delivery of it is in the evidence"
            if kind == "input":
                nothing += f": {by} gave it, and where it had it from is not known here"
            return TraceStep(kind=kind, name=digest, text=text, state="missing", why=nothing, by=whose)
        if not self._first("artifact", digest):
            return TraceStep(kind=kind, name=digest, text=text, state="verified", why="told above", told=True, by=whose)
        absent = self._evidence.absent.get(digest)
        here = why or next(
            (f"its bytes are in {one.held.source}" for one in made if _carries(one.held, digest)),
            f"its bytes are not here{f' ({absent})' if absent else ''}; it is known by its digest",
        )
        steps = tuple(self.delivery(one) for one in made)
        return TraceStep(kind=kind, name=digest, text=text, state="verified", why=here, by=whose, steps=steps)

    def delivery(self, made: Made) -> TraceStep:
        held, said, body = made.held, made.said, made.delivery
        document = held.document
        steps = [self._statement(made, one) for one in made.statements]
        if not steps:
            nothing = "no statement of this delivery that holds is about it"
            steps = [TraceStep(kind="statement", name="", text="no statement", state="missing", why=nothing)]
        steps += [self._acceptance(made), self._contract(held)]
        return TraceStep(
            kind="delivery",
            name=said.verified.digest,
            text=f"delivered as {made.name}, round {body.round}, {body.outcome}",
            state="verified",
            why=f"signed by a key of {document.provider} {held.keys_from(document.provider)}, in {held.source}",
            by=(document.provider,),
            of=(document.hirer,),
            begun=next((step.begun for step in steps if step.begun is not None), None),
            at=said.at,
            steps=tuple(steps),
        )

    def _statement(self, made: Made, one: VerifiedStatement) -> TraceStep:
        predicate = one.predicate
        # One that is about several artifacts is told with the first of them.
        told = not self._first("statement", one.digest)
        steps: list[TraceStep] = []
        text, begun, at = one.statement.predicate_type, None, None
        if isinstance(predicate, WorkPredicate):
            text = f"{predicate.task}: what was done for it"
            begun, at = predicate.started_on, predicate.finished_on
        if isinstance(predicate, WorkPredicate) and not told:
            steps += [_action(made, action) for action in predicate.actions]
            if predicate.actions_omitted:
                more = f"{predicate.actions_omitted} more actions than the statement holds"
                steps.append(
                    TraceStep(
                        kind="action", name="", text=more, state="missing", why="the statement counts and omits them"
                    )
                )
            hirer = made.held.document.hirer
            steps += [self.artifact(item.digest, kind="input", name=item.name, by=hirer) for item in predicate.inputs]
            steps += [self._subcontract(made.held, line) for line in predicate.subcontracts]
        if isinstance(predicate, ProvenancePredicate):
            metadata = predicate.run_details.metadata
            text = f"{predicate.build_definition.external_parameters.task}: where it is from, as SLSA says it"
            begun, at = metadata.started_on, metadata.finished_on
        return TraceStep(
            kind="statement",
            name=one.digest,
            text=f"{text} ({one.statement.predicate_type})",
            state="verified",
            why=f"signed by {' and '.join(one.signers)}, about this artifact and this contract",
            by=(predicate.attester,),
            begun=begun,
            at=at,
            told=told,
            steps=tuple(steps),
        )

    def _subcontract(self, above: ProvedEngagement, line: SubcontractLine) -> TraceStep:
        hirer = above.document.provider
        step = TraceStep(
            kind="subcontract",
            name=line.contract or "",
            text=f"{line.task} by {line.provider}: {line.outcome}",
            state="stated",
            why=f"the word of {hirer}: no contract was made",
            by=(hirer,),
            of=(line.provider,),
        )
        if line.contract is None:
            return step
        held = self._evidence.under(line.contract)
        if held is None:
            nothing = f"the evidence of it is not here; the pack of {hirer} holds it"
            return replace(step, state="missing", why=nothing)
        document = held.document
        if document.parent != above.contract or document.provider != line.provider:
            return replace(step, state="failed", why="the contract of this name is no such hire under this contract")
        found = dict.fromkeys(item.digest for _, _, item in held.delivered)
        # What it was for, and what came of it, is told as its own messages have it: the line is the hirer's word.
        became = outcome_of(engagement_of(held.case))
        why = f"its contract names this one as its parent; {held.source}"
        return replace(
            step,
            text=f"{document.terms.task.kind} by {line.provider}: {became}",
            state="verified",
            why=why if became == line.outcome else f"{why}; the word of {hirer}: {line.outcome}",
            steps=tuple(map(self.artifact, found)) or (self._contract(held),),
        )

    def _acceptance(self, made: Made) -> TraceStep:
        held = made.held
        hirer = held.document.hirer
        reviews = [(said, said.message) for said in made.reviews if isinstance(said.message, Review)]
        if not reviews:
            return TraceStep(
                kind="acceptance",
                name="",
                text="not accepted",
                state="missing",
                why="no review of this delivery is in the evidence",
                of=(hirer,),
            )
        said, review = reviews[-1]
        unmet = [one.id for one in review.criteria if not one.met]
        verifier = held.judge(said)
        return TraceStep(
            kind="acceptance",
            name=said.verified.digest,
            text=f"{review.verdict}, not met: {', '.join(unmet)}" if unmet else review.verdict,
            state="verified",
            why=f"stated by {verifier} with another key than the work, about this delivery",
            by=(verifier,),
            at=said.at,
        )

    # -- the contract, and what led to it

    def _contract(self, held: ProvedEngagement) -> TraceStep:
        document, parties = held.document, held.parties
        terms = document.terms
        text = f"{terms.task.kind} for {document.hirer} by {document.provider}, {terms.price}"
        at = next((said.at for said in held.said if said.message.type == "Seal"), None)
        step = TraceStep(
            kind="contract",
            name=held.contract,
            text=text,
            state="verified",
            why=f"both proofs, the acceptance and the seal hold; in {held.source}",
            by=parties,
            at=at,
        )
        if not self._first("contract", held.contract):
            return replace(step, why="told above", told=True)
        steps = list(_amended(held))
        steps += [_refused(one) for one in held.case.refusals]
        steps += [_ended(said) for said in held.said if isinstance(said.message, _ENDINGS)]
        steps += [step for decider in parties for step in self._decisions(held, decider)]
        if document.parent is not None:
            steps.append(self._parent(held))
        return replace(step, steps=tuple(steps))

    def _parent(self, held: ProvedEngagement) -> TraceStep:
        document = held.document
        name = document.parent or ""
        above = self._evidence.under(name)
        if above is not None:
            return self._contract(above)
        # That what the offer showed was signed and sealed is a step of the pack's verification.
        first = next((one for one in _shown_parents(held) if one.name == name), None)
        if first is None:
            return TraceStep(
                kind="contract", name=name, text="the contract above", state="missing", why="it is not here"
            )
        parties = (first.document.hirer, first.document.provider)
        task = first.document.terms.task.kind
        return TraceStep(
            kind="contract",
            name=name,
            text=f"{task} for {parties[0]} by {parties[1]}: the contract above",
            state="verified",
            why="as the offer showed it: both proofs, the acceptance and the seal hold",
            by=parties,
        )

    def _decisions(self, held: ProvedEngagement, decider: Did) -> Iterator[TraceStep]:
        hirer, provider = held.parties
        other = provider if decider == hirer else hirer

        def documents(did: Did) -> tuple[DidDocument, ...]:
            # Those that are known beside the packs first.
            return (*self._evidence.documents.get(did, ()), *held.case.documents.get(did, ()))

        shown = {one.digest: step for one, step in shown_credentials(held, other, documents)}
        found = [one for one in self._evidence.decisions.get(held.engagement, ()) if one.by == decider]
        if not found:
            why = f"it is not in the evidence; {decider} has it"
            yield TraceStep(
                kind="decision",
                name="",
                text=f"whether to work with {other}",
                state="missing",
                why=why,
                by=(decider,),
                of=(other,),
                steps=tuple(shown.values()),
            )
        for one in found:
            yield self._decision(one, shown)

    def _decision(self, one: CheckedDecision, shown: dict[Digest, TraceStep]) -> TraceStep:
        decision = one.decision
        about = "on terms" if decision.inputs.terms else "at the meeting"
        steps: list[TraceStep] = []
        for ground in decision.grounds:
            step = shown.get(ground.credential) or TraceStep(
                kind="credential",
                name=ground.credential,
                text=f"{ground.credential_type} by {ground.issuer}",
                state="missing",
                why="what was shown is not in the evidence",
                by=(ground.issuer,),
            )
            steps.append(replace(step, steps=tuple(_believed(ground, one))))
        return TraceStep(
            kind="decision",
            name=decision.digest,
            text=f"{decision.outcome} {about}, by policy {decision.policy}",
            state="stated" if one.same is None else "verified" if one.same else "failed",
            why=one.detail,
            by=(one.by,),
            of=(decision.peer,),
            at=decision.at,
            steps=tuple(steps),
        )


def shown_credentials(
    held: ProvedEngagement, holder: Did, documents: Callable[[Did], tuple[DidDocument, ...]]
) -> list[tuple[Credential, TraceStep]]:
    """What a party showed before the contract, each credential with what could be checked of it by these documents."""
    found: list[tuple[Credential, TraceStep]] = []
    for said in held.said:
        if isinstance(said.message, Presentation) and said.message.sender == holder:
            try:
                shown = read_presentation(said.message.presentation).credentials
            except UndersignedError:
                continue  # it counted for nothing when it was shown, either
            found += [
                (one, _credential(one, holder, said.at, documents(one.issuer) or _derived(one.issuer)))
                for one in shown
                if counts(one, said.at)
            ]
    return found


def _credential(one: Credential, holder: Did, at: Instant, documents: tuple[DidDocument, ...]) -> TraceStep:
    if any(subject.get("id") != holder for subject in one.subjects):
        state, why = "failed", f"it is about somebody else than {holder}"
    elif not documents:
        state, why = "stated", f"{holder} showed it; not checked: no DID document of {one.issuer} is here"
    else:
        state, why = "failed", ""
        for document in documents:
            try:
                verify_issued(one, documents={document.id: document}, now=at)
                state, why = (
                    "verified",
                    "signed by its issuer and valid when it was shown; what its issuer says now is not looked up",
                )
                break
            except UndersignedError as error:
                why = error.message
    kinds = ", ".join(name for name in one.types if name != "VerifiableCredential")
    return TraceStep(
        kind="credential",
        name=one.digest,
        text=f"{kinds} by {one.issuer}",
        state=cast("State", state),
        why=why,
        by=(one.issuer,),
        of=(holder,),
        at=at,
    )


def _believed(ground: Ground, one: CheckedDecision) -> Iterator[TraceStep]:
    """From a credential's issuer up to the anchor, as the decision says it."""
    why = f"as the decision has it, by anchors {one.decision.inputs.anchors}"
    state: State = "verified" if one.same else "stated"
    for path in ground.paths:
        anchor = path[0].source if path else ground.issuer
        step = TraceStep(
            kind="anchor",
            name=anchor,
            text=f"believed about {ground.credential_type}",
            state=state,
            why=why,
            by=(one.by,),
            of=(anchor,),
        )
        for edge in path:
            step = _link(edge, state, why, step)
        yield step
    for text in ground.missing:
        yield TraceStep(kind="anchor", name="", text="nobody believed", state="missing", why=text, by=(one.by,))


def _link(edge: Edge, state: State, why: str, above: TraceStep) -> TraceStep:
    return TraceStep(
        kind="link",
        name=edge.digest,
        text=f"{edge.source} lets {edge.target} attest {edge.capability}, depth {edge.depth}",
        state=state,
        why=why,
        by=(edge.source,),
        of=(edge.target,),
        steps=(above,),
    )


def _action(made: Made, action: ActionTaken) -> TraceStep:
    state: State = "stated"
    why = "the provider's word; inside the scope of the contract"
    if not action.allowed:
        why = "the provider's word: its gate said no"
    elif beyond := made.held.outside(made.said.number, Action(action.action, action.target), action.at):
        state, why = "failed", f"outside the scope of the contract: {beyond}"
    return TraceStep(
        kind="action",
        name=action.action,
        text=f"{action.action} on {action.target}: {'allowed' if action.allowed else 'refused'} by [{action.clause}]",
        state=state,
        why=why,
        by=(made.held.document.provider,),
        at=action.at,
    )


_ENDINGS = (Terminate, Breach, Dispute, Ruling)


def _ended(said: TranscriptMessage) -> TraceStep:
    message = said.message
    match message:
        case Terminate():
            text = f"terminated: {message.cause}"
        case Breach():
            text = f"a breach is claimed of {message.clause}"
        case Dispute():
            text = "put before the arbiter"
        case _:
            text = "the arbiter ruled"
    return TraceStep(
        kind="ending",
        name=said.verified.digest,
        text=text,
        state="verified",
        why="signed by its sender, and legal where it stands",
        by=(message.sender,),
        at=said.at,
    )


def _carries(held: ProvedEngagement, artifact: Digest) -> bool:
    return held.case.pack is not None and f"artifacts/{artifact}" in held.case.pack.members


def _amended(held: ProvedEngagement) -> Iterator[TraceStep]:
    for number, _ in held.case.amended:
        said = next(one for one in held.said if one.number == number)
        yield TraceStep(
            kind="amendment",
            name=said.verified.digest,
            text=f"amended, with message {number}",
            state="verified",
            why="both proofs, the acceptance and the seal hold",
            by=held.parties,
        )


def _shown_parents(held: ProvedEngagement) -> tuple[Parent, ...]:
    seal = next(said.message for said in held.said if isinstance(said.message, Seal))
    offers = {said.verified.digest: offer for said in held.said if isinstance(offer := said.message, Offer)}
    offer = showing(offers, seal.offer)
    return read_parents(cast("tuple[JsonObject, ...]", (offer.parents if offer is not None else None) or ()))


def _derived(did: Did) -> tuple[DidDocument, ...]:
    return (document_from(did, {}),) if is_derived(did) else ()


def _refused(refusal: RefusalPredicate) -> TraceStep:
    return TraceStep(
        kind="refusal",
        name=refusal.action,
        text=f"{refusal.action} on {refusal.target}: refused by [{refusal.clause}], {refusal.code}",
        state="stated",
        why=f"the word of {refusal.gate}, whose gate it was",
        by=(refusal.gate,),
        at=refusal.at,
    )
