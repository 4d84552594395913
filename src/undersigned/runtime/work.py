"""What takes longer than a turn: the provider's work, and the hirer's review of it.

Both run beside the conversation and come back with one move. After a restart the conversation asks for them again: the
work goes on from its last cursor, the review is made anew.

Source: protocol-spec/07-contract.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
import structlog

from undersigned.attestation import (
    VERDICTS,
    AcceptancePredicate,
    Predicate,
    SubcontractLine,
    UsageLine,
    WorkPredicate,
    accepted,
    algorithms_named,
    provenance,
    verify_delivery,
    verify_statement,
    work,
)
from undersigned.contract import ContractDocument, plain
from undersigned.did import DidDocument
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    JsonObject,
    parse_duration,
    seconds_between,
)
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    LocalProtocolError,
    PolicyError,
    UndersignedError,
    VerificationError,
)
from undersigned.keys import PublicKey
from undersigned.ledger import Blob, Ledger
from undersigned.messages import CriterionVerdict, Delivery, Review, Start
from undersigned.protocol import PERFORMED, Engagement, Work, review_ends

from .application import contained, in_short, place_of
from .artifacts import Contents, Incoming, of_store, too_large
from .conversation import Conversation
from .intake import FRESH_SECONDS
from .job import Job, run_handler
from .remembered import Remembered
from .transfers import Tell, transfer
from .turn import Say, load_engagement

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["REVIEW_FAILED", "Reviewed", "Reviewer", "Worker", "contracts_to_deliver"]

R = TypeVar("R")

_log = structlog.get_logger()

RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
"""Between attempts of a review whose function fails, or for which something cannot be fetched."""
LAST_SECONDS: Final = 300
"""How long before the end of a review what cannot be fetched is asked for the last time; in a short one, a quarter."""
TRIED_SECONDS: Final = 600
"""How long it has to have been asked for by then, without a restart of ours; in a short review, a quarter of it."""


REVIEW_FAILED: Final = "review-failed"
"""Fact: why our review could not be made when that was tried last."""
REVIEW_WAITS: Final = "review-waits"
"""Fact: what of a delivery could not be fetched, and is asked for again."""
MAX_TOLD: Final = 8
"""How many reasons of one review are noted: a server can think of more."""
MAX_WHY: Final = 1024
"""Characters of it that are kept."""


class Reviewed(msgspec.Struct, frozen=True):
    """What a reviewer gets: the contract, and the artifacts by name, inputs and results alike."""

    document: ContractDocument
    inputs: Contents
    """`inputs[name]` is all bytes of one; `read`, `pieces` and `save` do for what is large."""
    artifacts: Contents


Reviewer = Callable[[Reviewed], Awaitable[Mapping[str, bool]]]
"""Says for each acceptance criterion, by id, whether it is met. One that is left out is not.

A `FormatError` or `VerificationError` that it raises says that what was delivered does not hold. Whatever else it
raises says nothing about the work, and no verdict is signed for it.
"""


class _NoVerdict(Exception):
    """The function that reviews could not say anything, and why."""


class _Again(Exception):
    """What the other side's servers have could not be had now, and why; it is asked for again."""

    def __init__(self, error: UndersignedError) -> None:
        super().__init__(str(error))
        self.error = error


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the hirer's own check of one delivery found."""

    round: int
    met: Mapping[str, bool] | None
    """Which criteria are met, by the hirer's own function; None where nobody looked."""
    error: UndersignedError | None
    """Why the delivery does not hold, if it does not."""
    raised: str | None
    """Why the hirer's own function could say nothing, if it could not; it is called again."""


_BOUND: Final = PERFORMED | {"accepted-by-provider"}
"""States in which a provider may have to deliver."""


async def contracts_to_deliver(ledger: Ledger, own: Did, method: str) -> tuple[Digest, ...]:
    """Contracts of ours whose work is not judged yet and must be stated by this key: they name it (HIRE-ATT-02). One
    that we accepted is among them while its seal is not here: it may be sealed already.

    Raises:
        LedgerError: `store_corrupt`.
    """
    found: list[Digest] = []
    for summary in await ledger.summaries(live_only=True):
        if summary.role != "provider" or summary.state not in _BOUND:
            continue
        loaded = await load_engagement(ledger, summary, own)
        held = Remembered(loaded.engagement)
        held.recall(loaded.moves, loaded.facts, loaded.packed)
        offer = loaded.engagement.offer
        if offer is not None and method in held.offered().methods.provider:
            found.append(summary.contract or offer.document)
    return tuple(found)


class Worker:
    """Does the work and the reviews of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._begun: set[str] = set()
        self._found: dict[EngagementId, Found] = {}
        """What our own check of a delivery found, while the verifier that the terms name has not spoken."""
        self.at_work: Counter[EngagementId] = Counter()
        """Engagements whose work is under way here; whoever begins one counts it."""

    def forget(self, engagement: EngagementId) -> None:
        """Lets go of what waited for a verdict."""
        self._found.pop(engagement, None)

    def _first(self, key: str) -> bool:
        """Whether this is begun for the first time here: a turn that was not stored asks for it again."""
        if key in self._begun:
            return False
        self._begun.add(key)
        return True

    # ------------------------------------------------------------------ provider

    async def work(self, conversation: Conversation, effect: Work) -> None:
        """Runs the handler of a contract's task, then sends the `Delivery`."""
        try:
            await self._work(conversation, effect)
        finally:
            self.at_work[conversation.id] -= 1
            if not self.at_work[conversation.id]:
                del self.at_work[conversation.id]

    async def stopped(self, conversation: Conversation, engagement: Engagement) -> Say | None:
        """The `Delivery` after a `Cancel` where no work is under way: it never began, or ended with a crash."""
        contract = engagement.contract
        if contract is None or self.at_work[conversation.id]:
            return None
        return Say(
            "Delivery",
            {
                "contract": contract.digest,
                "outcome": "cancelled",
                "artifacts": (),
                "statements": (),
                "usage": await self._agent.gate.usage(contract.digest),
                "round": contract.round,
            },
        )

    async def _work(self, conversation: Conversation, effect: Work) -> None:
        await conversation.settled()
        if not self._first(effect.key):
            return
        agent = self._agent
        start = conversation.last("Start", Start, "hirer")
        job = Job(
            agent,
            conversation,
            contract=effect.contract,
            inputs=start.inputs,
            cursor=effect.cursor,
            round=effect.round,
        )
        service = agent.services.get(job.task)
        outcome: str | None = "complete"
        try:
            if service is None:
                raise UndersignedError("decision_failed", f"nothing here does {job.task!r} any more")
            outcome = await self._watched(conversation, job, run_handler(service.handler, job))
            if outcome == "complete" and not job.artifacts:
                raise UndersignedError("decision_failed", f"the handler of {job.task} delivered nothing")
        except UndersignedError as error:
            at = {} if (place := place_of(error)) is None else {"at": place}
            _log.error("work failed", engagement=conversation.id, error=str(error), **at)
            _log.debug("work failed so", engagement=conversation.id, exc_info=error)
            outcome = "failed"
        if outcome is None:
            # What was used and is owed stands in the `Closing`.
            _log.warning("work stopped", engagement=conversation.id, state=conversation.engagement.state)
            return
        await agent.subcontracts.catch_up(conversation)  # what they used, and how they ended, is told with the delivery
        said = await self._delivery(conversation.engagement, job, outcome)
        try:
            await conversation.ask(lambda _: said)
        except LocalProtocolError as error:
            # The contract ended while the work was done; what was made stays here and is not delivered.
            _log.warning("not delivered", engagement=conversation.id, error=str(error))

    async def _watched(self, conversation: Conversation, job: Job, work: Coroutine[Any, Any, None]) -> str | None:
        """Runs the work beside the contract: gives signs of life, stops with it, and never outlasts what is due.

        `complete`; `cancelled`, if the hirer wants what there is; None, if the contract is at its end.

        Raises:
            UndersignedError: `timeout`, or what the work raised.
        """
        agent, running = self._agent, asyncio.ensure_future(work)
        events = agent.watchers.listen(conversation.id)
        loop = asyncio.get_running_loop()
        beaten = loop.time()
        try:
            while True:
                engagement, changed = conversation.engagement, events.more()
                if engagement.state == "cancelling":
                    return "cancelled"
                if engagement.state not in ("working", "suspended"):
                    return None
                left = self._left(engagement)
                if left <= 0 and engagement.state == "working":
                    raise UndersignedError("timeout", f"the work of {job.task} ran past what is due")
                # By the terms in force: an amendment may ask for more.
                beat = parse_duration(conversation.offered(engagement).terms.deadlines.heartbeat) / 2
                next_beat = beaten + max(1.0, beat)
                wait = max(0.05, next_beat - loop.time())
                wait = min(wait, max(left, 0.05)) if engagement.state == "working" else wait
                done, _ = await asyncio.wait({running, changed}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if running in done:
                    running.result()
                    return "complete"
                if loop.time() >= next_beat and conversation.engagement.state == "working":
                    await job.progress()  # a sign of life (HIRE-LIF-24)
                    beaten = loop.time()
        finally:
            agent.watchers.unlisten(events)
            if running.cancel():
                await asyncio.gather(running, return_exceptions=True)
            elif not running.cancelled():
                running.exception()  # whoever wanted it has it

    def _left(self, engagement: Engagement) -> float:
        """Seconds until the next `Delivery` is due, as the contract stands now."""
        contract, offer = engagement.contract, engagement.offer
        if contract is None or offer is None:
            return 0.0
        due = contract.due or offer.terms.deadlines.finish
        return seconds_between(self._agent.clock.now(), due)

    async def _delivery(self, engagement: Engagement, job: Job, outcome: str) -> Say:
        agent, now = self._agent, self._agent.clock.now()
        usage, document, task = await agent.gate.usage(job.contract), job.document, job.task
        artifacts = {artifact.name: artifact.digest for artifact in job.artifacts}
        inputs = {item.name: item.digest for item in job.inputs}
        statements: list[JsonObject] = []
        contract = engagement.contract
        hired = tuple(
            SubcontractLine(
                provider=child.provider,
                task=child.task,
                contract=child.contract,
                outcome=child.outcome or "not over",
            )
            for child in (contract.children if contract is not None else ())
        )
        # A failure is told as well where others had a part in it: whoever hired us hears whose it was, signed.
        if outcome == "complete" or (outcome == "cancelled" and job.artifacts) or (outcome == "failed" and hired):
            own = agent.identity.did
            predicates: tuple[Predicate, ...] = (
                work(
                    contract=job.contract,
                    engagement=engagement.id,
                    provider=own,
                    task=task,
                    inputs=inputs,
                    actions=job.actions,
                    usage=tuple(UsageLine(clause=u.clause, unit=u.unit, amount=u.amount) for u in usage),
                    started_on=job.started,
                    finished_on=now,
                    policies=document.terms.policies,
                    subcontracts=hired,
                ),
                provenance(
                    contract=job.contract,
                    clauses=tuple(action.clause for action in job.actions if action.allowed),
                    provider=own,
                    task=task,
                    inputs=inputs,
                    invocation_id=f"{engagement.id}:{job.round}",
                    started_on=job.started,
                    finished_on=now,
                ),
            )
            if agent.identity.method not in (named := document.methods.provider):
                _log.error("the contract names another key", engagement=engagement.id, named=named)
            about = {"contract": job.contract} if outcome == "failed" else artifacts
            told = predicates[:1] if outcome == "failed" else predicates
            statements = [await agent.papers.stated(about, predicate) for predicate in told]
        return Say(
            "Delivery",
            {
                "contract": job.contract,
                "outcome": outcome,
                "artifacts": tuple(job.artifacts) if outcome in ("complete", "cancelled") else (),
                "statements": tuple(statements),
                "usage": usage,
                "round": job.round,
            },
        )

    # ------------------------------------------------------------------ hirer

    async def review(self, conversation: Conversation, delivery: Delivery) -> None:
        """Fetches what was delivered, checks it and its statements, then sends the `Review`."""
        await conversation.settled()
        if not self._first(f"review:{conversation.id}:{delivery.round}"):
            return
        document, pause = conversation.offered(), RETRY_SECONDS
        await self._agent.subcontracts.reviewer(conversation)
        patience, told = _Patience(self._agent, conversation), set[tuple[object, ...]]()
        async with _Transfers(self._agent, delivery.contract) as transfers:
            while True:
                try:
                    said = await self._review(conversation, document, delivery, transfers, patience)
                    break
                except UndersignedError as error:
                    if not (error.retryable or of_store(error)):
                        raise
                    if conversation.over:
                        return
                    # Not being able to look is no verdict; the review's own deadline ends this.
                    _log.warning("review waits", engagement=conversation.id, error=str(error))
                    transfers.doubt(error.detail.get("stored"))
                    await asyncio.sleep(RETRY_SECONDS)
                except _Again as again:
                    if not _waits(conversation.engagement, delivery):
                        return
                    await self._wait_told_of(conversation, again.error, told)
                    await asyncio.sleep(patience.pause(pause))
                    pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                    if conversation.over or not _waits(conversation.engagement, delivery):
                        return
                except _NoVerdict as error:
                    # A defect of our own program is none of the work, for which the provider is not to lose its pay.
                    if not await self._told_of(conversation, error):
                        return
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                    if not _waits(conversation.engagement, delivery):
                        return
        if said is None:
            return
        try:
            await conversation.ask(lambda _: said)
        except LocalProtocolError as error:
            _log.warning("not reviewed", engagement=conversation.id, error=str(error))

    async def _told_of(self, conversation: Conversation, error: _NoVerdict) -> bool:
        """Whether it can still be reviewed; why it was not is logged, noted for whoever waits, and said once."""
        why = plain(str(error), MAX_WHY)
        hint = "it is called again; if it goes on to raise, the contract says what our silence means"
        _log.error("review failed", engagement=conversation.id, error=why, hint=hint, exc_info=error.__cause__)
        if conversation.facts.get(REVIEW_FAILED) != why:
            try:
                await conversation.ask(lambda _: Say("", {}, facts=((REVIEW_FAILED, why),)))
            except LocalProtocolError:
                return False  # it is over, or this side is closing
            except UndersignedError as exc:
                _log.error("not noted", engagement=conversation.id, error=str(exc))
        return True

    async def _wait_told_of(
        self, conversation: Conversation, error: UndersignedError, told: set[tuple[object, ...]]
    ) -> None:
        """Says what is waited for: in the log each time, and to whoever watches once for each kind of failure."""
        hint = "it is fetched again; if it never comes, the delivery is rejected shortly before the review's end"
        _log.warning("review waits", engagement=conversation.id, error=str(error), hint=hint)
        kind = (error.code, error.detail.get("status"), error.detail.get("told"))
        if kind in told or len(told) == MAX_TOLD:
            return
        told.add(kind)
        try:
            await conversation.ask(lambda _: Say("", {}, facts=((REVIEW_WAITS, plain(str(error), MAX_WHY)),)))
        except UndersignedError as exc:
            _log.warning("not noted", engagement=conversation.id, error=str(exc))

    async def _review(
        self,
        conversation: Conversation,
        document: ContractDocument,
        delivery: Delivery,
        transfers: _Transfers,
        patience: _Patience,
    ) -> Say | None:
        """The `Review`; None if the verdict is somebody else's, whom the terms name."""
        agent, now = self._agent, self._agent.clock.now()
        engagement = conversation.engagement
        wanted = {item.name: item.max_bytes for item in document.terms.deliverables}
        delivered = {artifact.name: artifact.digest for artifact in delivery.artifacts}
        failed: UndersignedError | None = None
        statements: tuple[Digest, ...] = ()
        met: Mapping[str, bool] | None = None
        raised: _NoVerdict | None = None
        again: _Again | None = None
        reasons: tuple[tuple[str, str], ...] = ()
        try:
            if delivery.outcome != "complete":
                raise PolicyError("upstream_failed", f"the provider did not finish: the delivery is {delivery.outcome}")
            if len(delivered) < len(delivery.artifacts):
                raise VerificationError("digest_mismatch", "two artifacts of the delivery have one name")
            if missing := wanted.keys() - delivered.keys():
                raise VerificationError("digest_mismatch", f"not delivered: {', '.join(sorted(missing))}")
            if unasked := delivered.keys() - wanted.keys():
                # No contract bounds how much they are (SC-69), so none of it is fetched.
                names = ", ".join(sorted(unasked))
                raise VerificationError("terms_mismatch", f"delivered and not agreed on: {names:.200}")
            for artifact in delivery.artifacts:
                most = wanted[artifact.name] or agent.max_artifact_bytes
                tell = agent.watchers.tells(conversation, artifact.name, artifact.digest)
                await patience.had(transfers.fetch(engagement.peer, artifact.uri, artifact.digest, most, tell))
                _log.info("artifact kept", engagement=conversation.id, name=artifact.name, digest=artifact.digest)
            artifacts = await Contents.of(agent.artifacts, delivered)
            provider = await patience.had(agent.document_of(engagement.peer))
            published, named = provider.keys("assertionMethod", now=now), document.methods.provider
            # HIRE-ATT-02: only keys that the contract lists speak for the provider.
            keys = {method: key for method, key in published.items() if method in named}
            if not keys:
                came = ", ".join(published) or "none"
                text = f"the contract names {', '.join(named)} for its statements; published now: {came}"
                raise VerificationError("attester_not_trusted", text)
            verified = verify_delivery(
                delivery.statements,
                attester=engagement.peer,
                keys=keys,
                contract=delivery.contract,
                artifacts=await artifacts.stated(algorithms_named(delivery.statements)),
                required=document.terms.evidence.predicates or (WorkPredicate.PREDICATE_TYPE,),
                task=document.terms.task.kind,
                inputs=[given.digest for given in conversation.last("Start", Start, "hirer").inputs],
            )
            statements = tuple(one.digest for one in verified)
            await self._check_bills(conversation, document, delivery, artifacts)
            await self._check_media(document, delivery, artifacts, keys)
            met = await self._criteria(conversation, document, artifacts)
        except UndersignedError as error:
            if error.retryable or of_store(error):
                raise
            _log.error("delivery does not hold", engagement=conversation.id, error=str(error))
            failed = error
            reasons = (("rejected", str(error)),)
        except _NoVerdict as error:
            raised = error
        except _Again as error:
            if error.error.retryable:
                raise
            again, failed = error, error.error  # the verifier's no can be carried meanwhile
        if document.terms.evidence.verifier is not None:
            before, why = self._found.get(conversation.id), None if raised is None else str(raised)
            self._found[conversation.id] = Found(round=delivery.round, met=met, error=failed, raised=why)
            if before is None or before.round != delivery.round:
                awaited = (("verdict-awaited", document.terms.evidence.verifier),)
                await conversation.ask(lambda _: Say("", {}, facts=awaited))
        if again is not None:
            raise again
        if raised is not None:
            raise raised  # the verifier may speak meanwhile, and what it says may need what we find
        if document.terms.evidence.verifier is not None:
            return None
        criteria = _criteria_of(document, met, failed)
        passed = failed is None and all(criterion.met for criterion in criteria)
        predicate = accepted(
            contract=delivery.contract,
            document_id=document.id,
            verifier=agent.identity.did,
            passed=passed,
            statements=statements,
            time_verified=now,
        )
        # A statement has a subject; when nothing was delivered it is about the contract itself.
        statement = await agent.papers.stated(delivered or {"contract": delivery.contract}, predicate)
        return _reviewed(engagement, document, delivery, passed, criteria, statement, failed, facts=reasons)

    async def judged(self, conversation: Conversation, statement: JsonObject) -> Say:
        """The `Review` with this statement of the verifier that the terms name, once it is one.

        Raises:
            LocalProtocolError: `terms_mismatch`: the terms name none; `wrong_state`: nothing waits for it.
            PolicyError: `decision_failed`: it is a no, and our own review, by which milestones are owed, failed.
            VerificationError, FormatError: It is none; or it accepts what does not hold, with that code.
        """
        engagement, document = conversation.engagement, conversation.offered()
        verifier = document.terms.evidence.verifier
        if verifier is None:
            raise LocalProtocolError("terms_mismatch", "the terms name no verifier: the hirer judges, and did")
        delivery = conversation.last("Delivery", Delivery, "provider")
        found = self._found.get(conversation.id)
        if engagement.state != "delivered" or found is None or found.round != delivery.round:
            raise LocalProtocolError("wrong_state", f"nothing waits for a verdict in state {engagement.state}")
        kept, passed = await self._verdict(engagement, statement, delivery, verifier)
        if passed and found.error is not None:
            text = f"the verifier accepts what does not hold: {found.error.message}"
            raise VerificationError(found.error.code, text)
        if not passed and found.raised is not None and document.terms.settlement.milestones:
            # The no is the verifier's; which milestones were reached all the same our own review has to say.
            text = f"it is a no, and our own review, which says what milestones are owed, failed: {found.raised}"
            raise PolicyError("decision_failed", f"{text}; it is made again, and the verdict can be carried then")
        met = dict.fromkeys(_criterion_ids(document), True) if passed else found.met
        criteria = _criteria_of(document, met, found.error)
        return _reviewed(engagement, document, delivery, passed, criteria, statement, found.error, evidence=kept)

    async def _check_bills(
        self, conversation: Conversation, document: ContractDocument, delivery: Delivery, artifacts: Contents
    ) -> None:
        """HIRE-ATT-09: the bill of materials that the terms name is there, valid, and of what was delivered."""
        if (format := document.terms.evidence.sbom) is None:
            return
        inputs = {item.name: item.digest for item in self._agent.hirer.order(conversation).inputs}
        media_types = {artifact.name: artifact.media_type for artifact in delivery.artifacts}
        # Loading the libraries and schema work take seconds, in which every other engagement would wait.
        bills = await asyncio.to_thread(import_module, "undersigned.attestation.bills")
        wanted = bills.MEDIA_TYPES.get(format.partition(" ")[0])
        given: dict[str, Digest | bytes] = {name: artifacts.digest(name) for name in artifacts}
        for name in (name for name, kind in media_types.items() if kind == wanted):
            given[name] = await artifacts.read(name, bills.LIMITS.max_bytes)
        await asyncio.to_thread(bills.check_bills, format, given, media_types, inputs)

    async def _check_media(
        self,
        document: ContractDocument,
        delivery: Delivery,
        artifacts: Contents,
        keys: Mapping[str, PublicKey],
    ) -> None:
        """HIRE-ATT-10: media carry a manifest of this contract, signed by a certificate of its anchors and by the
        provider.
        """
        wanted = document.terms.evidence
        if not wanted.c2pa:
            return
        media = await asyncio.to_thread(import_module, "undersigned.attestation.media")
        anchors = [await self._agent.artifacts.get(digest) for digest in wanted.anchors]
        carrying = [one for one in delivery.artifacts if one.media_type in media.MEDIA_TYPES]
        if not carrying and document.parent is None:
            raise VerificationError("digest_mismatch", "expected media with a C2PA manifest; nothing delivered is any")
        for one in carrying:
            check = partial(
                media.check_media,
                await artifacts.read(one.name),
                one.media_type,
                contract=delivery.contract,
                agent=document.provider,
                keys=keys,
                anchors=anchors,
            )
            await asyncio.to_thread(check)

    async def _inputs(self, conversation: Conversation) -> Contents:
        given = self._agent.hirer.order(conversation).inputs
        return await Contents.of(self._agent.artifacts, {item.name: item.digest for item in given})

    async def _criteria(
        self, conversation: Conversation, document: ContractDocument, artifacts: Contents
    ) -> Mapping[str, bool] | None:
        agent = self._agent
        if not any(item.criteria for item in document.terms.deliverables):
            return {}
        reviewer = agent.reviewers.get(conversation.id) or agent.reviewers.get(document.terms.task.kind)
        if reviewer is None:
            if document.terms.evidence.verifier is not None and not agent.hirer.order(conversation).reviewed:
                return None  # the verdict is the verifier's alone
            kind = document.terms.task.kind
            raise _NoVerdict(f"its function is gone with the hire; `reviewers` of this peer has none for {kind!r}")
        inputs = await self._inputs(conversation)
        try:
            found = dict(await contained(partial(reviewer, Reviewed(document, inputs, artifacts))))
        except UndersignedError as error:
            if isinstance(error, FormatError | VerificationError) or error.retryable or of_store(error):
                raise
            raise _NoVerdict(str(error)) from error
        except Exception as exc:
            raise _NoVerdict(in_short(exc)) from exc
        # True and nothing else counts as met, whatever the application gave.
        return {id: met is True for id, met in found.items()}

    async def check_review(
        self, conversation: Conversation, review: Review, document: DidDocument, delivery: Delivery
    ) -> tuple[Blob, ...]:
        """Returns if the statement in a received `Review` is of who may make it, about what was delivered, under this
        contract: with the DID document of the verifier that the terms name, to be kept.

        Raises:
            VerificationError, FormatError: It is not.
        """
        engagement = conversation.engagement
        if engagement.contract is None:
            return ()
        named = conversation.offered().terms.evidence.verifier
        kept, passed = await self._verdict(engagement, review.statement, delivery, named, document)
        if passed != (review.verdict == "accepted"):
            result = "PASSED" if passed else "FAILED"
            raise VerificationError("terms_mismatch", f"a verdict of {review.verdict} with a statement of {result}")
        return kept

    async def _verdict(
        self,
        engagement: Engagement,
        statement: Mapping[str, Any],
        delivery: Delivery,
        named: Did | None,
        hirer: DidDocument | None = None,
    ) -> tuple[tuple[Blob, ...], bool]:
        """Whether a statement accepts a delivery, once it is that of `named`, or else of the `hirer`."""
        agent, now = self._agent, self._agent.clock.now()
        parties = [agent.own]
        if named is not None:
            judge = await agent.document_of(named, max_age_seconds=FRESH_SECONDS)
            parties.append(hirer or await agent.document_of(engagement.peer))
        elif hirer is not None:
            judge = hirer
        else:
            raise LocalProtocolError("terms_mismatch", "the terms name no verifier")
        artifacts = {artifact.name: artifact.digest for artifact in delivery.artifacts}
        verified = verify_statement(
            statement,
            attester=judge.id,
            keys=judge.keys("assertionMethod", now=now),
            contract=delivery.contract,
            # A statement has a subject; when nothing was delivered it is about the contract itself.
            artifacts=artifacts or {"contract": delivery.contract},
            predicates=VERDICTS,
            # HIRE-ATT-06: nobody judges its own work, under whatever name.
            other_than={
                key
                for party in parties
                for purpose in ("assertionMethod", "authentication")
                for key in party.keys(purpose, now=now).values()
            },
        )
        kept = (Blob(digest=judge.raw_digest, raw=judge.raw, kind="did-document", name=judge.id),) if named else ()
        predicate = verified.predicate
        return kept, isinstance(predicate, AcceptancePredicate) and predicate.verification_result == "PASSED"


class _Patience:
    """How long what only the other side's servers have is asked for again.

    What a server answers is signed by nobody, and anybody on the way can answer in its place: no refusal, and no other
    bytes, say anything about the work while there is time to ask again. Shortly before the review ends they do, since
    silence would accept what nobody could look at.
    """

    def __init__(self, agent: Agent, conversation: Conversation) -> None:
        self._agent = agent
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def _left(self) -> tuple[float, float]:
        """Seconds until it is asked for the last time, and how long that is at least after the first time."""
        engagement, offer = self._conversation.engagement, self._conversation.engagement.offer
        ends = review_ends(engagement)
        if ends is None or offer is None:
            return math.inf, 0.0  # nothing waits for a review any more
        quarter = parse_duration(offer.terms.deadlines.review) / 4
        left = seconds_between(self._agent.clock.now(), ends) - min(LAST_SECONDS, quarter)
        return left, min(TRIED_SECONDS, quarter)

    def pause(self, seconds: float) -> float:
        """How long to wait for the next time; none that is the last one is missed for it."""
        left, _ = self._left()
        return max(RETRY_SECONDS, min(seconds, left))

    async def had(self, work: Awaitable[R]) -> R:
        """What `work` returns.

        Raises:
            _Again: It failed, and is to be asked for again.
            UndersignedError: It failed to the end; or a store of ours failed.
        """
        left, _ = self._left()
        limit = asyncio.timeout(left if 0 < left < math.inf else None)
        try:
            async with limit:
                return await work
        except TimeoutError as exc:
            if not limit.expired():
                raise
            error = UndersignedError("timeout", "it did not come in the time that there is for the review", cut=True)
            raise self._judged(error) from exc
        except UndersignedError as error:
            if of_store(error):
                raise
            raise self._judged(error) from error

    def _judged(self, error: UndersignedError) -> Exception:
        left, least = self._left()
        # After a restart of ours it was not asked for before; one failure then is as good as none.
        if left > 0 or self._loop.time() - self._began < least or isinstance(error, ConfigurationError):
            return _Again(error)
        if not error.retryable:
            return error
        # Where nothing of the other side is there at all, it may be our own network that is away.
        seen = error.detail.get("status") or error.detail.get("cut")
        if not seen and not self._agent.links.connected(self._conversation.engagement.peer):
            return _Again(error)
        return PolicyError(
            "upstream_failed", f"the other side's server failed until now, shortly before the end: {error}"
        )


class _Transfers:
    """What is fetched for one review. What was cut goes on where it stopped when the review is tried again."""

    def __init__(self, agent: Agent, contract: Digest) -> None:
        self._agent = agent
        self._contract = contract
        self._begun: dict[Digest, Incoming] = {}
        self._whole: set[Digest] = set()
        """Of those that are begun: what came to its end, and is not in the store yet."""
        self._sound: set[Digest] = set()
        """What is in the store, every byte."""

    async def __aenter__(self) -> _Transfers:
        return self

    async def __aexit__(self, *_: object) -> None:
        # What one cannot be discarded for, such as a second stop, keeps none of the others.
        async with AsyncExitStack() as stack:
            for incoming in self._begun.values():
                stack.push_async_callback(incoming.discard)

    async def fetch(self, peer: Did, uri: str | None, digest: Digest, most: int, tell: Tell) -> None:
        """Has an artifact in the store, unless it is there already (HIRE-ATT-11). What is damaged there is replaced.

        Raises:
            FormatError: `too_large`: it has more than `most` bytes.
            LedgerUnavailable: `store_full`, `store_unavailable`: it cannot be looked up or kept.
        """
        agent = self._agent
        if digest in self._sound:
            return
        there = await agent.artifacts.sound(digest) if digest not in self._begun else None
        if there is not None:
            if there > most:
                raise too_large(most, f"{digest} has {there}")
            self._sound.add(digest)
            return
        url = uri or await agent.whereabouts.artifact_url(peer, digest)
        incoming = self._begun.get(digest)
        if incoming is None:
            incoming = self._begun[digest] = agent.artifacts.receive(max_bytes=most, digest=digest)
        try:
            if digest not in self._whole:
                await transfer(agent.other_side.open, url, self._contract, incoming, tell)
                self._whole.add(digest)
            await incoming.keep()
        except (FormatError, VerificationError, asyncio.CancelledError):
            await self._drop(digest)  # what came is not what was wanted: the next time begins at the beginning
            raise
        await self._drop(digest)
        self._sound.add(digest)

    async def _drop(self, digest: Digest) -> None:
        """Lets go of what came."""
        self._whole.discard(digest)
        await self._begun.pop(digest).discard()

    def doubt(self, digest: object) -> None:
        """Looks at this again when it is fetched next: the review found it missing or damaged."""
        self._sound.discard(cast("Digest", digest))


def _criterion_ids(document: ContractDocument) -> list[str]:
    return [criterion.id for item in document.terms.deliverables for criterion in item.criteria]


def _waits(engagement: Engagement, delivery: Delivery) -> bool:
    """Whether this delivery is the one that waits for its review."""
    contract = engagement.contract
    return engagement.state == "delivered" and contract is not None and contract.round == delivery.round


def _criteria_of(
    document: ContractDocument, met: Mapping[str, bool] | None, failed: UndersignedError | None
) -> tuple[CriterionVerdict, ...]:
    note = failed.code if failed is not None else None
    if met is None and note is None:
        note = "judged by the verifier, as a whole"
    is_met = (met or {}).get
    return tuple(CriterionVerdict(id=id, met=is_met(id, False), note=note) for id in _criterion_ids(document))


def _reviewed(
    engagement: Engagement,
    document: ContractDocument,
    delivery: Delivery,
    passed: bool,
    criteria: tuple[CriterionVerdict, ...],
    statement: JsonObject,
    failed: UndersignedError | None,
    *,
    facts: tuple[tuple[str, str], ...] = (),
    evidence: tuple[Blob, ...] = (),
) -> Say:
    again = failed is None and delivery.round <= document.terms.reworks  # what does not hold is not asked for twice
    return Say(
        "Review",
        {
            "delivery": engagement.contract.delivery if engagement.contract is not None else None,
            "verdict": "accepted" if passed else "rework" if again else "rejected",
            "criteria": criteria,
            "statement": statement,
        },
        facts=facts,
        evidence=evidence,
    )
