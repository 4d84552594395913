"""What an agent did, as the evidence has it: artifacts, statements and what came of them, policies, refusals.

Source: protocol-spec/19-trace.md, section 19.6
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from undersigned.attestation import WorkPredicate
from undersigned.encoding import Did, Digest, Instant
from undersigned.messages import Delivery, Review, Start, Terminate
from undersigned.protocol import ENDED
from undersigned.trace.evidence import ProvedEngagement, TraceEvidence, TranscriptMessage
from undersigned.trace.step import TraceStep
from undersigned.trace.walk import trace_all

__all__ = ["LINES", "History", "HistoryLine", "LineKind", "history", "history_steps"]

LineKind = Literal["given", "worked-on", "delivered", "received", "statement", "policy", "refusal", "decision"]

LINES: Final[dict[LineKind, str]] = {
    "given": "an input that it gave to whom it hired",
    "worked-on": "an input that it was given",
    "delivered": "an artifact that it delivered",
    "received": "an artifact that was delivered to it",
    "statement": "a statement that it signed, and what came of it",
    "policy": "a policy that a contract of its names, or by which it was decided about",
    "refusal": "an action of its that a gate refused, its own or the other side's",
    "decision": "what was decided about it",
}
"""The kinds of lines; the specification's table says the same."""


class HistoryLine(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that an agent did, or that was done about it. Texts are others', and never more than text."""

    at: Instant
    kind: LineKind
    name: str
    """A digest, or what an action is called."""
    text: str
    verdict: str = ""
    """Of a statement: what came of it, `as_of` a time. Of a refusal its code, of a decision its outcome."""
    as_of: Instant | None = None
    """Of a statement: when the last message of its contract in the evidence was recorded."""
    contract: Digest
    by: Did
    """Whose word it is."""


class History(Struct, frozen=True, kw_only=True, rename="camel"):
    """All that the evidence says of one agent, the oldest first."""

    did: Did
    lines: tuple[HistoryLine, ...]


def history(did: Did, evidence: TraceEvidence) -> History:
    """The lines about an agent, in the contracts of which it is a party.

    Source: protocol-spec/19-trace.md, section 19.6
    """
    lines = [line for held in evidence.held if did in held.parties for line in _lines(did, held, evidence)]
    lines.sort(key=lambda one: (one.at, one.contract, one.kind, one.name))
    return History(did=did, lines=tuple(dict.fromkeys(lines)))


def history_steps(did: Did, evidence: TraceEvidence) -> tuple[TraceStep, ...]:
    """The traces of everything that it delivered or that was delivered to it."""
    found = [item.digest for held in evidence.held if did in held.parties for _, _, item in held.delivered]
    return trace_all(dict.fromkeys(found), evidence)


def _lines(did: Did, held: ProvedEngagement, evidence: TraceEvidence) -> Iterator[HistoryLine]:
    hirer, provider = held.parties
    contract = held.contract
    for said in held.said:
        message = said.message
        match message:
            case Start():
                kind: LineKind = "given" if did == hirer else "worked-on"
                for item in message.inputs:
                    yield HistoryLine(
                        at=said.at, kind=kind, name=item.digest, text=item.name, contract=contract, by=hirer
                    )
            case Delivery():
                kind = "delivered" if did == provider else "received"
                for item in message.artifacts:
                    yield HistoryLine(
                        at=said.at, kind=kind, name=item.digest, text=item.name, contract=contract, by=provider
                    )
                if did == provider:
                    yield from _stated(said, held)
            case Review() if held.judge(said) == did:
                yield HistoryLine(
                    at=said.at,
                    kind="statement",
                    name=said.verified.digest,
                    text=f"review of {message.delivery}",
                    verdict=message.verdict + _unknown_since(held),
                    as_of=held.said[-1].at,
                    contract=contract,
                    by=did,
                )
            case _:
                pass
    yield from _policies(did, held, evidence)
    for refusal in held.case.refusals:
        text = f"{refusal.action} on {refusal.target} [{refusal.clause}]"
        # What a gate refuses is asked for by the provider, whoever's gate it is.
        if did == provider:
            yield HistoryLine(
                at=refusal.at,
                kind="refusal",
                name=refusal.action,
                text=text,
                verdict=refusal.code,
                contract=contract,
                by=refusal.gate,
            )


def _stated(said: TranscriptMessage, held: ProvedEngagement) -> Iterator[HistoryLine]:
    came = _came_of(said, held)
    for one in held.case.statements.get(said.verified.digest, ()):
        predicate = one.predicate
        yield HistoryLine(
            at=said.at,
            kind="statement",
            name=one.digest,
            text=f"{one.statement.predicate_type} about {', '.join(item.name for item in one.statement.subject)}",
            verdict=came,
            as_of=held.said[-1].at,
            contract=held.contract,
            by=predicate.attester,
        )
        for action in predicate.actions if isinstance(predicate, WorkPredicate) else ():
            if not action.allowed:
                text = f"{action.action} on {action.target} [{action.clause}]"
                yield HistoryLine(
                    at=action.at,
                    kind="refusal",
                    name=action.action,
                    text=text,
                    verdict="refused",
                    contract=held.contract,
                    by=predicate.attester,
                )


def _came_of(delivered: TranscriptMessage, held: ProvedEngagement) -> str:
    """What became of a delivery, as far as the evidence goes: its review, and an early end of the contract."""
    verdict = "not reviewed"
    ended = ""
    for said in held.said:
        if isinstance(said.message, Review) and said.message.delivery == delivered.verified.digest:
            verdict = said.message.verdict
        if isinstance(said.message, Terminate):
            ended = f"; the contract was ended: {said.message.cause}"
    return verdict + (ended or _unknown_since(held))


def _unknown_since(held: ProvedEngagement) -> str:
    return "" if held.state in ENDED else f"; how it went on after {held.said[-1].at} is not known"


def _policies(did: Did, held: ProvedEngagement, evidence: TraceEvidence) -> Iterator[HistoryLine]:
    document = held.document
    at = next((said.at for said in held.said if said.message.type == "Seal"), held.said[-1].at)
    for digest in document.terms.policies:
        text = "named by the contract"
        yield HistoryLine(at=at, kind="policy", name=digest, text=text, contract=held.contract, by=document.hirer)
    for one in evidence.decisions.get(held.engagement, ()):
        decision = one.decision
        if decision.peer != did:
            continue
        common = {"at": decision.at, "contract": held.contract, "by": one.by}
        yield HistoryLine(kind="policy", name=decision.inputs.policy, text=f"{decision.policy}, by {one.by}", **common)
        about = "on terms" if decision.inputs.terms else "at the meeting"
        yield HistoryLine(kind="decision", name=decision.digest, text=about, verdict=decision.outcome, **common)
