"""The provider's work on a contract, from its `Start` to the `Delivery`.

It takes longer than a turn, so it runs beside the conversation and comes back with one move. After a restart the
conversation asks for it again, and it goes on from its last cursor.

Source: protocol-spec/07-contract.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from undersigned.attestation import Predicate, SubcontractLine, UsageLine, provenance, work
from undersigned.encoding import Did, Digest, EngagementId, Instant, JsonObject, parse_duration, seconds_between, shift
from undersigned.errors import LocalProtocolError, UndersignedError
from undersigned.ledger import Ledger
from undersigned.messages import Start
from undersigned.protocol import PERFORMED, Contract, Engagement, Work
from undersigned.runtime.application import contained, in_short, raised_at
from undersigned.runtime.clock import LOOK_SECONDS
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.journal import heard_at
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.engagement.pace import progress_seconds
from undersigned.runtime.engagement.turn import Say

from .guard import working_on
from .job import Handler, Job

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["Worker", "contracts_to_deliver", "run_handler"]

_log = structlog.get_logger()

RETRY_SECONDS: Final = 2.0
"""From the first attempt at a delivery to the second; each later pause is twice as long."""
LONGEST_RETRY_SECONDS: Final = 60.0
"""Most time between two."""
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
        offer, document = loaded.engagement.offer, loaded.offered()
        if offer is not None and document is not None and method in document.methods.provider:
            found.append(summary.contract or offer.document)
    return tuple(found)


class Worker:
    """Does the work of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._begun: dict[EngagementId, set[str]] = {}
        """Keys of the effects that were begun here: a turn that was not stored asks for one again."""
        self._waiting: dict[EngagementId, tuple[str, Conversation, str]] = {}
        """Tasks that nothing here does yet, and the keys of the effects that asked for them."""
        self.at_work: Counter[EngagementId] = Counter()
        """Engagements whose work is under way here."""

    def forget(self, engagement: EngagementId) -> None:
        """It is put away, and asks for no work any more."""
        self._begun.pop(engagement, None)
        self._waiting.pop(engagement, None)

    def offered(self, task: str) -> None:
        """A task is offered that was not before: what waits for it goes on."""
        for id, (waits_for, conversation, key) in tuple(self._waiting.items()):
            if waits_for == task:
                del self._waiting[id]
                self._begun[id].discard(key)
                conversation.asks_again(key)

    def begin(self, conversation: Conversation, effect: Work) -> None:
        """Begins or resumes the work of a contract: its task's handler runs, and then the `Delivery` is sent."""
        self.at_work[conversation.id] += 1
        self._agent.spawn(self._run(conversation, effect), f"work {conversation.id[-8:]}")

    async def _run(self, conversation: Conversation, effect: Work) -> None:
        try:
            await self._agent.ready.wait()  # its handler may be offered once this side has started
            await self._work(conversation, effect)
        finally:
            self._ended(conversation)

    def _ended(self, conversation: Conversation) -> None:
        self.at_work[conversation.id] -= 1
        if not self.at_work[conversation.id]:
            del self.at_work[conversation.id]

    async def stopped(self, conversation: Conversation, engagement: Engagement) -> Say | None:
        """The `Delivery` after a `Cancel` where no work is under way: it never began, or ended with a crash."""
        contract, agent = engagement.contract, self._agent
        if contract is None or self.at_work[conversation.id]:
            return None
        if engagement.in_doubt and agent.clock.now() < self._held(engagement):
            self.at_work[conversation.id] += 1
            agent.spawn(self._stopped_later(conversation), f"stopped {engagement.id[-8:]}")
            return None
        return await self._nothing(contract)

    async def _stopped_later(self, conversation: Conversation) -> None:
        """The same once it overtakes no seal that may still come (HIRE-LAN-08)."""
        agent, events = self._agent, self._agent.watchers.listen(conversation.id)
        try:
            await conversation.settled()
            held = self._held(conversation.engagement)
            while True:
                engagement, changed, now = conversation.engagement, events.more(), agent.clock.now()
                if engagement.contract is None or engagement.state != "cancelling":
                    return
                if not engagement.in_doubt or now >= held:
                    break
                await asyncio.wait({changed}, timeout=max(seconds_between(now, held), 0.05))
            said = await self._nothing(engagement.contract)
            await conversation.say(said)
        except LocalProtocolError as error:
            _log.warning("a delivery was not sent", engagement=conversation.id, error=str(error))
        finally:
            agent.watchers.unlisten(events)
            self._ended(conversation)

    async def _nothing(self, contract: Contract) -> Say:
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
        begun = self._begun.setdefault(conversation.id, set())
        if effect.key in begun:
            return
        begun.add(effect.key)
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
        if service is None:
            # Not failed: whoever asks something with this folder may lack the program that works here.
            hint = f"nothing here does {job.task!r}; it goes on once something offers it, here or at a later start"
            _log.error("work waits", engagement=conversation.id, error=hint)
            self._waiting[conversation.id] = (job.task, conversation, effect.key)
            return
        outcome: str | None = "complete"
        try:
            outcome = await self._watched(conversation, job, run_handler(service.handler, job))
            if outcome == "complete" and not job.artifacts:
                hint = "what is made goes by `await job.deliver(name, data)`, and not by what it returns"
                raise UndersignedError("decision_failed", f"the handler of {job.task} delivered nothing: {hint}")
            if outcome == "complete" and (missing := job.undelivered()):
                # It is the hirer's to reject it, or to ask for the rest; the handler's author hears it from us alone.
                _log.warning("not all was delivered", engagement=conversation.id, missing=", ".join(missing))
        except UndersignedError as error:
            _log.error("work failed", engagement=conversation.id, error=str(error), **raised_at(error))
            _log.debug("work failed so", engagement=conversation.id, exc_info=error)
            outcome = "failed"
        if outcome is None:
            # What was used and is owed stands in the `Closing`.
            _log.warning("work stopped", engagement=conversation.id, state=conversation.engagement.state)
            return
        await agent.subcontracts.catch_up(conversation)  # what they used, and how they ended, is told with the delivery
        await self._deliver(conversation, job, outcome)

    async def _deliver(self, conversation: Conversation, job: Job, outcome: str) -> None:
        """Says the `Delivery`, as soon as it can be signed and stored: the work is done, and is not done again."""
        pause = RETRY_SECONDS
        while True:
            try:
                said = await self._delivery(conversation.engagement, job, outcome)
                await conversation.say(said)
                return
            except Exception as error:
                state = conversation.engagement.state
                if isinstance(error, LocalProtocolError) or state not in ("working", "suspended", "cancelling"):
                    # The contract ended while the work was done; what was made stays here and is not delivered.
                    _log.warning("a delivery was not sent", engagement=conversation.id, error=str(error))
                    return
                _log.error("a delivery waits", engagement=conversation.id, error=in_short(error), exc_info=error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    async def _watched(self, conversation: Conversation, job: Job, work: Coroutine[Any, Any, None]) -> str | None:
        """Runs the work beside the contract: gives signs of life, stops with it, and never outlasts what is due.

        `complete`; `cancelled`, if the hirer wants what there is; None, if the contract is at its end. What there is to
        deliver waits for the seal of a change that we accepted.

        Raises:
            UndersignedError: `timeout`, or what the work raised.
        """
        agent, running = self._agent, asyncio.ensure_future(work)
        events = agent.watchers.listen(conversation.id)
        loop = asyncio.get_running_loop()
        # Work that goes on after a restart may owe one at once: its hirer counts from the last that it heard.
        beaten_at = heard_at(conversation.engagement) or agent.clock.now()
        beaten = loop.time() - max(0.0, seconds_between(beaten_at, agent.clock.now()))
        held: Instant | None = None
        stops = False
        try:
            while True:
                engagement, changed = conversation.engagement, events.more()
                if engagement.state == "cancelling":
                    if not stops:
                        running.cancel()
                    stops = True
                elif engagement.state not in ("working", "suspended"):
                    return None
                if stops or running.done():
                    held = held or self._held(engagement)
                    if not engagement.in_doubt or agent.clock.now() >= held:
                        if stops:
                            return "cancelled"
                        running.result()
                        return "complete"
                left = self._left(engagement)
                if left <= 0 and engagement.state == "working" and not running.done():
                    raise UndersignedError("timeout", f"the work of {job.task} ran past what is due")
                # By the terms in force: an amendment may ask for more.
                beat = parse_duration(conversation.offered(engagement).terms.deadlines.heartbeat) / 2
                next_beat = beaten + max(1.0, beat)
                wait = LOOK_SECONDS
                if engagement.state == "working":
                    wait = max(0.05, min(wait, next_beat - loop.time(), left))
                if held is not None:
                    wait = min(wait, max(seconds_between(agent.clock.now(), held), 0.05))
                awaited = {changed} if stops or running.done() else {running, changed}
                await asyncio.wait(awaited, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                # The loop's time stood still while the machine slept, and the clock has whole seconds only.
                due = loop.time() >= next_beat or seconds_between(beaten_at, agent.clock.now()) > max(1.0, beat)
                if due and conversation.engagement.state == "working":
                    beaten, beaten_at = loop.time(), agent.clock.now()
                    try:
                        await job.progress()  # a sign of life (HIRE-LIF-24)
                    except LocalProtocolError:
                        raise
                    except UndersignedError as error:
                        # It says nothing of the work, which goes on; the next one is given as soon as one is heard.
                        _log.error("a sign of life was not given", engagement=conversation.id, error=str(error))
                        beaten += progress_seconds(conversation.engagement) - max(1.0, beat)
        finally:
            agent.watchers.unlisten(events)
            if running.done():
                if not running.cancelled():
                    running.exception()  # whoever wanted it has it
            else:
                if not stops:
                    running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    def _held(self, engagement: Engagement) -> Instant:
        """Until when work that is done waits, where a change that we accepted has no seal yet: a delivery would take
        it from the table (HIRE-LAN-08). No longer than a seal may take, and never for all of what is left.
        """
        now, tabled, offer = self._agent.clock.now(), engagement.tabled, engagement.offer
        if tabled is None or tabled.accepted_at is None or offer is None:
            return now
        sealed_by = shift(tabled.accepted_at, offer.terms.seal_grace_seconds)
        return min(sealed_by, shift(now, max(int(self._left(engagement) / 2), 0)))

    def _left(self, engagement: Engagement) -> float:
        """Seconds until the next `Delivery` is due, as the contract stands now."""
        contract, offer = engagement.contract, engagement.offer
        if contract is None or offer is None:
            return 0.0
        due = contract.due or offer.terms.deadlines.finish
        return seconds_between(self._agent.clock.now(), due)

    async def _delivery(self, engagement: Engagement, job: Job, outcome: str) -> Say:
        agent, now = self._agent, self._agent.clock.now()
        usage, document = await agent.gate.usage(job.contract), job.document
        task = document.terms.task.kind
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


async def run_handler(handler: Handler, job: Job) -> None:
    """Runs the handler until it ends; to stop it, cancel this.

    Raises:
        UndersignedError: What the handler raised; anything else it raised becomes `decision_failed`. `wrong_state`: it
            named an action and asked nobody.
    """
    try:
        with working_on(job):
            await contained(partial(handler, job))
        job.require_asked()
    except UndersignedError:
        raise
    except Exception as exc:
        # A handler is the application's code; whatever it raises ends this work and nothing else.
        raise UndersignedError("decision_failed", f"the handler of {job.task} failed: {in_short(exc)}") from exc
    finally:
        job.ends()
