"""Mutants of what is agreed and done: JSON-LD, documents, scope, contract, gate, and what is told of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from mutants import mended, mutant, rowless, says, unguarded
from narrow import leaves_as, refuses
from narrow import mended as mended_alone

from undersigned.attestation import statement
from undersigned.daemon import listener, serving
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.errors import ScopeError, UndersignedError
from undersigned.jsonld import compiled
from undersigned.proof import attach, prepare, proof_config
from undersigned.proof.suites import rdfc
from undersigned.protocol import fold, lane, performance
from undersigned.runtime import SystemClock
from undersigned.runtime.agent import intake
from undersigned.runtime.engagement import saying, turn
from undersigned.runtime.execution import review
from undersigned.runtime.negotiation import papers
from undersigned.scope import decision

OTHER = digest_bytes(b"another")


def leaves_with(type_: str, change: Callable[[dict[str, Any]], None]) -> None:
    """What this peer says in one type is changed as JSON, whether it fits or not, and leaves with a proof over that."""
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        await real(self, turn_, said)
        if said.type != type_:
            return
        value, identity = json.loads(turn_.sends.pop()), self.shell.identity
        proof = value.pop("proof")
        change(value)
        config = proof_config(
            suite=proof["cryptosuite"],
            method=identity.method,
            purpose=proof["proofPurpose"],
            created=turn_.now,
            expires=shift(turn_.now, 600),
        )
        turn_.sends.append(
            canonicalize(attach(value, config, await identity.sign(prepare(value, config, identity.kind))))
        )

    saying.Speaker._say = say


# ---------------------------------------------------------------------- JSON-LD


@mutant("drops terms that the context does not define", "HIRE-LD-03", "suite-rdfc-unknown-term")
def _drops_terms() -> None:
    mended_alone(lambda value: value.pop("liability"))


@mutant("ignores keywords of JSON-LD", "HIRE-LD-04", "envelope-keyword", "envelope-context-inside")
def _keywords() -> None:
    def plain(value: Any) -> None:
        value.pop("@included", None)
        value.get("document", {}).get("terms", {}).pop("@context", None)

    mended(plain)


@mutant("puts a set in order by itself", "HIRE-LD-02", "scope-set-out-of-order")
def _sorts() -> None:
    mended(lambda value: value["document"]["terms"]["scope"]["grants"][0]["constraint"][0]["rightOperand"].sort())


def _quads(change: Callable[[bytes], bytes]) -> None:
    """Documents become other quads than they have to, in the suites that sign those."""
    real = compiled.compiled_quads
    rdfc.compiled_quads = lambda *args, **options: change(real(*args, **options))


@mutant("writes nested values as text", "HIRE-LD-01", "suite-rdfc")
def _as_text() -> None:
    _quads(lambda quads: quads.replace(b"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>", b""))


@mutant("has terms of its own for scopes", "HIRE-SCO-11", "suite-rdfc")
def _own_terms() -> None:
    _quads(lambda quads: quads.replace(b"http://www.w3.org/ns/odrl/2/", b"https://nobody.example/"))


# ---------------------------------------------------------------------- envelopes and refusals


@mutant("takes a notice that does not say where its sender stands", "HIRE-CHN-02", "envelope-notice-without-a-place")
def _no_place() -> None:
    mended_alone(lambda value: value.update(sequence=0))


@mutant("says that it is final, and that trying again helps", "HIRE-MSG-05", "chain-other-previous")
def _final_and_retryable() -> None:
    leaves_with("Problem", lambda value: value.update(final=True, retryable=True))


@mutant("has codes of its own", "HIRE-ERR-01", "envelope-unknown-type", "text-not-json")
def _own_codes() -> None:
    real = intake.problem_code_told

    def told(error: UndersignedError, **options: Any) -> str | None:
        return "not_liked" if real(error, **options) else None

    intake.problem_code_told = told


@mutant("hangs up in place of saying why", "HIRE-SYN-04", "replay-unknown-engagement", "proof-missing")
def _hangs_up() -> None:
    async def refuse(self: Any, channel: Any, peer: str, raw: bytes, error: UndersignedError) -> None:
        await channel.close(1008, "")

    intake.Intake._refuse = refuse


@mutant("goes no further once it refused a move", "HIRE-SEC-02", "contract-start-other-inputs", "chain-gap")
def _stuck() -> None:
    real, stuck = fold._judge, set()

    def judge(engagement: Any, move: Any, mine: bool, at: str) -> Any:
        if not mine and engagement.id in stuck:
            raise fold.Refused("wrong_state", "one was refused")
        try:
            return real(engagement, move, mine, at)
        except fold.Refused:
            if not mine:
                stuck.add(engagement.id)
            raise

    fold._judge = judge


# ---------------------------------------------------------------------- negotiation and documents


@mutant("lets the provider make the first offer", "HIRE-NEG-02", "hirer-offer-out-of-turn")
def _provider_opens() -> None:
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, at: str, seen: int, total: int) -> Any:
        try:
            return real(engagement, move, mine, at, seen, total)
        except fold.Refused:
            if mine or move.message.type != "Offer":
                raise
            return fold._Judged("void", seen, None, None)

    fold._row = row
    unguarded("opens_bargaining", "replies_to_live_offer")


@mutant("lets go of its acceptance when the offer is over", "HIRE-OVR-02", "expiry-seal-is-late")
def _lets_go() -> None:
    def late(engagement: Any, said: Any) -> bool:
        return said.type == "Seal" and engagement.offer.valid_until < SystemClock().now()

    refuses("wrong_state", late)


@mutant("takes milestones beyond the price", "HIRE-PAY-03", "document-milestones-above-the-price")
def _milestones() -> None:
    mended(lambda value: value["document"]["terms"]["settlement"].pop("milestones"))


@mutant("takes a second signature by anybody", "HIRE-CTR-08", "proof-of-acceptance-by-a-stranger")
def _anybody_signs() -> None:
    def check(self: Any, offered: Any, read: Any, proof: Any, peer: Any) -> bytes:
        return papers.contract_leaf(papers.countersigned(offered, proof))

    papers.Papers.check_acceptance = check


@mutant("takes two signatures for a contract", "HIRE-CTR-11", "contract-start-before-the-seal")
def _no_seal() -> None:
    rowless(lambda message: message.type == "Start")


@mutant("has another leaf than the contract's in its log", "HIRE-LOG-01", "counter-lower-price", "hirer-whole-hire")
def _other_leaf() -> None:
    says("Seal", lambda body: {**body, "ledger": msgspec.structs.replace(body["ledger"], leaf=OTHER)})


# ---------------------------------------------------------------------- contract


@mutant("refuses a Start that is late", "HIRE-LIF-16", "contract-start-is-late")
def _no_late_start() -> None:
    def late(engagement: Any, said: Any) -> bool:
        return said.type == "Start" and engagement.contract.document.terms.deadlines.start < SystemClock().now()

    refuses("contract_expired", late)


@mutant("refuses a Review that crossed its silence", "HIRE-LIF-07", "contract-review-after-silence")
def _no_late_review() -> None:
    refuses("wrong_state", lambda engagement, said: said.type == "Review" and engagement.state == "closing")


@mutant(
    "says that every contract ended by a review", "HIRE-LIF-11", "contract-review-after-silence", "happy-terminated"
)
def _one_basis() -> None:
    leaves_as("Closing", basis="review")


@mutant("takes books in any currency", "HIRE-PAY-04", "contract-closes-in-another-currency")
def _any_currency() -> None:
    real, owed = performance.expect, "currency of what is owed"
    performance.expect = lambda same, code, what, *found: real(same or what == owed, code, what, *found)


@mutant("takes a request whose details are another's", "HIRE-LIF-30", "hirer-request-for-another")
def _other_details() -> None:
    unguarded("asks_approval")


@mutant("takes other terms at any time", "HIRE-LAN-04", "lane-amendment-in-a-dispute", "lane-amendment-after-the-end")
def _terms_at_any_time() -> None:
    lane._while_possible = lambda *_: None


@mutant("goes by the terms that were first", "HIRE-LAN-05", "lane-amendment-in-force")
def _first_terms() -> None:
    real = lane._sealed

    def sealed(of: Any, tabled: Any) -> dict[str, Any]:
        return {} if tabled.terms is not None else real(of, tabled)

    lane._sealed = sealed


@mutant("takes a seal that was held back", "HIRE-LAN-08", "lane-seal-after-the-delivery")
def _seal_held_back() -> None:
    fold.overtaken = lambda _: None


@mutant("goes on after a release", "HIRE-LAN-05", "lane-release-sealed")
def _no_release() -> None:
    lane._released = lambda *_: {}


@mutant(
    "accepts a change by a proof that does not build on the first",
    "HIRE-LAN-07",
    "lane-amendment-in-force",
    "lane-release-sealed",
)
def _change_alone() -> None:
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        if said.type == "Acceptance" and turn_.engagement.contract is not None:
            proof = {name: one for name, one in said.body["contract_proof"].items() if name != "previousProof"}
            said = msgspec.structs.replace(said, body={**said.body, "contract_proof": proof})
        await real(self, turn_, said)

    saying.Speaker._say = say


@mutant("reads a statement with a member twice", "HIRE-ATT-01", "attestation-review-name-twice")
def _statement_twice() -> None:
    statement.decode_json = lambda raw, *_: json.loads(raw)


@mutant(
    "takes the hirer's word where a verifier is named",
    "HIRE-ATT-06",
    "attestation-review-in-place-of-the-verifier",
)
def _no_verifier() -> None:
    real = review.Reviews._verdict

    async def verdict(self: Any, engagement: Any, said: Any, delivery: Any, named: Any, hirer: Any = None) -> Any:
        return await real(self, engagement, said, delivery, None, hirer)

    review.Reviews._verdict = verdict


# ---------------------------------------------------------------------- scope and gate


@mutant("does without an approval", "HIRE-SCO-12", "scope-asks-first")
def _unapproved() -> None:
    def approval(grant: Any, action: Any, used: Any, now: str, approved: Any) -> Any:
        return decision.Approved(request=OTHER, clause=grant.id, arguments=OTHER, uses=99, until=now)

    decision._approval = approval


@mutant("takes a no for a yes", "HIRE-SCO-13", "scope-asks-again")
def _no_is_yes() -> None:
    from undersigned.runtime.execution import requests

    real = requests.Requests._refusal

    async def refusal(self: Any, request: Any) -> str:
        await real(self, request)
        _unapproved()
        return ""

    requests.Requests._refusal = refusal


@mutant("goes by an approval that has ended", "HIRE-LIF-19", "scope-asks-once")
def _past_approval() -> None:
    real = decision._approval

    def approval(grant: Any, action: Any, used: Any, now: str, approved: Any) -> Any:
        return real(grant, action, used, "2000-01-01T00:00:00Z", approved)

    decision._approval = approval


@mutant("asks a person again", "HIRE-LIF-19", "scope-asks-once")
def _asks_again() -> None:
    from undersigned.runtime.execution import acting

    real = acting.Admission._admitted

    async def admitted(self: Any, *given: Any) -> Any:
        try:
            return await real(self, *given)
        except ScopeError:
            return await real(self, *given)

    acting.Admission._admitted = admitted


@mutant("does what it does not state an amount of", "HIRE-SCO-09", "scope-amount-not-stated")
def _not_stated() -> None:
    real = decision._amounts

    class Any_(dict):
        def get(self, name: str, default: Any = None) -> Any:
            return super().get(name, "0")

    decision._amounts = lambda action: Any_(real(action))


@mutant("asks in the name of a clause that decided nothing", "HIRE-SCO-07", "scope-asks-first")
def _other_clause() -> None:
    leaves_as("ApprovalRequest", clause="another")


@mutant("asks for one thing and tells the digest of another", "HIRE-SCO-13", "scope-asks-first")
def _other_arguments() -> None:
    leaves_as("ApprovalRequest", arguments=OTHER, details=None)


def _given_anyway(code: str) -> None:
    """What is served is given although the gate says no with this code."""
    real = serving.ArtifactDoor._allowed

    async def allowed(self: Any, conversation_: Any, asked: Any, target: str) -> bytes:
        try:
            return await real(self, conversation_, asked, target)
        except ScopeError as error:
            if error.code != code:
                raise
            return await self._peer.artifacts.get(asked.digest)

    serving.ArtifactDoor._allowed = allowed


@mutant("serves its input when the contract is over", "HIRE-GAT-01", "hirer-gives-nothing-after-the-end")
def _after_the_end() -> None:
    _given_anyway("contract_expired")


@mutant("looks for what is asked for before it asks its gate", "HIRE-SCO-06", "hirer-gives-nothing-else")
def _looks_first() -> None:
    _given_anyway("scope_exceeded")


@mutant("counts no reads", "HIRE-SCO-08", "hirer-grant-is-used-up")
def _counts_nothing() -> None:
    _given_anyway("scope_exceeded")


@mutant("serves its input to whoever signs", "HIRE-RQS-02", "hirer-gives-its-input")
def _whoever_signs() -> None:
    real = serving.ArtifactDoor.answer

    async def answer(self: Any, asked: Any) -> Any:
        answered = await real(self, asked)
        signed = "signature" in {name.lower() for name, _ in asked.headers}
        if answered.status == 200 or not signed:
            return answered
        return serving.ArtifactResponse(200, await self._peer.artifacts.get(asked.digest))

    serving.ArtifactDoor.answer = answer


@mutant("serves what it made by name", "HIRE-ART-01", "artifact-by-its-name")
def _by_name() -> None:
    listener._ARTIFACT = re.compile("/artifacts/([^/]+)")
    real = serving.ArtifactDoor._allowed

    async def allowed(self: Any, conversation_: Any, asked: Any, target: str) -> bytes:
        made = conversation_.delivered()
        if asked.digest not in made and asked.digest.endswith(".txt"):
            asked = msgspec.structs.replace(asked, digest=next(iter(made)))
        return await real(self, conversation_, asked, target)

    serving.ArtifactDoor._allowed = allowed


# ---------------------------------------------------------------------- what is delivered


@mutant("calls it complete and delivers nothing", "HIRE-CLS-01", "happy-whole-hire")
def _complete_with_nothing() -> None:
    says("Delivery", lambda body: {**body, "artifacts": (), "statements": ()})


@mutant("cannot do what it is hired for", "HIRE-CLS-01", "happy-whole-hire", "attestation-delivery")
def _cannot() -> None:
    says("Delivery", lambda body: {**body, "outcome": "failed", "artifacts": (), "statements": ()})
