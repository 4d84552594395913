"""Hires under a contract of ours: begun by its work, kept inside it, and ended with it.

We are the provider of the parent and the hirer of each child, so one ledger holds both. The parent's journal says which
children there are, and `pending` what each still has to be told; `shares` holds what they may take of it. What stands
above a contract is in `above`.

Source: protocol-spec/16-subcontracts.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from undersigned.contract import Terms
from undersigned.encoding import Did, EngagementId, compare_amounts, digest_of, parse_duration, seconds_between, shift
from undersigned.errors import LedgerError, LocalProtocolError, PolicyError, ScopeError, UndersignedError
from undersigned.messages import Suspend
from undersigned.protocol import ENDED, PERFORMED, Cascade, Child, Engagement, legal, outcome_of, pending
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import Hears, Say, fact, noting, withdrawal
from undersigned.runtime.execution.job import Job
from undersigned.runtime.execution.reviewers import Reviewer
from undersigned.runtime.execution.shares import Shares, draws_on, fits_inside
from undersigned.runtime.negotiation.order import Order, Within
from undersigned.runtime.untaken import Untaken
from undersigned.scope import Scope, whole_scope

from .hire import Hire
from .ordering import hire_order

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Subcontracts"]

_log = structlog.get_logger()

MAX_CHILDREN: Final = 64
"""Hires under one contract, those that are over included: work that fails over and over hires no more."""
MARGIN: Final = 10
"""One part in so many of the time that is left is kept for our own delivery."""
RETRY_SECONDS: Final = 1.0
"""Between attempts while the store does not take anything."""
LONGEST_RETRY_SECONDS: Final = 60.0
"""Most time between attempts to tell a child what cannot be said to it; each pause is twice as long as the last."""


class Subcontracts:
    """The hires that one agent makes under contracts of its own."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.shares = Shares(agent, lambda contract: agent.gate.usage(contract))
        self._above: dict[EngagementId, EngagementId] = {}
        """Engagement of each child -> of its parent."""
        self._ending: dict[EngagementId, asyncio.Task[None]] = {}
        """What notes that a child is over, while it does."""

    # ------------------------------------------------------------------ hiring

    def hire(
        self, job: Job, conversation: Conversation, provider: Did, *, review: Reviewer | None, **asked: Any
    ) -> Hire:
        """See `Job.hire`."""
        return Hire(
            self._agent,
            partial(self._order, job, conversation, provider, review=review, **asked),
            review,
            begin=partial(self._begin, conversation),
            over=self._over,
        )

    async def _order(
        self,
        job: Job,
        conversation: Conversation,
        provider: Did,
        *,
        inputs: Mapping[str, Path | bytes | str],
        scope: Scope | None,
        review: Reviewer | None,
        **asked: Any,
    ) -> Order:
        agent, parent = self._agent, conversation.offered()
        above = parent.terms
        wide = whole_scope(above.scope)
        if isinstance(scope, Scope | None):  # pyright: ignore[reportUnnecessaryIsInstance] - else it is refused with the rest
            scope = _carrying(wide, scope or Scope())
        order = await hire_order(agent, provider, inputs=inputs, scope=scope, review=review, **asked)
        now, at = agent.clock.now(), above.deadlines
        kept = max(1, seconds_between(now, at.finish) // MARGIN)
        named = {
            "provider": provider,
            "task": order.task,
            "price": msgspec.to_builtins(order.ceiling),
            "round": job.round,
        }
        asked_for = digest_of({**named, "inputs": [item.digest for item in order.inputs]})
        job.hired[asked_for] += 1
        order = msgspec.structs.replace(
            order,
            within=Within(
                contract=job.contract,
                engagement=conversation.id,
                key=f"{asked_for}#{job.hired[asked_for]}",
                finish=shift(at.finish, -kept),
                until=shift(at.until, -1),
                close=at.close,
                data=above.data_handling,
                reviewed=review is not None,
            ),
            evidence=tuple(dict.fromkeys((*order.evidence, *above.evidence.predicates))),
            sbom=above.evidence.sbom or order.sbom,
            c2pa=above.evidence.c2pa or order.c2pa,
            timing=msgspec.structs.replace(
                order.timing, review=min(order.timing.review, at.review, key=parse_duration)
            ),
        )
        if order.within is not None and self._known(conversation, order.within.key) is None:
            await self.shares.room(conversation, order.terms(now))
        return order

    async def _begin(self, parent: Conversation, order: Order, hears: Hears) -> Conversation:
        """The engagement of this order: begun now, or by the work that was interrupted."""
        agent, within = self._agent, order.within
        if within is None:
            raise LocalProtocolError("internal", "an order under no contract")
        child = self._known(parent, within.key)
        if child is not None:
            found = agent.conversations.get(child.engagement)
            summary = await agent.ledger.summary(child.engagement)
            if found is None and summary is not None:
                found = await Conversation.stored(agent.shell, summary)
            if found is not None:
                agent.watchers.follow(found.id, hears)
                return found
            await self._note(parent, msgspec.structs.replace(child, outcome="not begun"))

        async def note(engagement: EngagementId) -> None:
            # Known before anything is said, so that whatever happens to the parent happens to it.
            self._above[engagement] = parent.id
            await self._note(
                parent, Child(engagement=engagement, provider=order.provider, task=order.task, key=within.key)
            )

        while True:  # what is suspended goes on: its work waits, here as for its gate
            if parent.engagement.state != "suspended":
                try:
                    return await agent.begin(order, hears, before=note)
                except ScopeError as error:
                    if error.clause != "state" or parent.engagement.state not in ("working", "suspended"):
                        raise
            await asyncio.sleep(RETRY_SECONDS)

    @staticmethod
    def _known(parent: Conversation, key: str) -> Child | None:
        contract = parent.engagement.contract
        children = contract.children if contract is not None else ()
        return next((child for child in children if child.key == key and child.outcome != "not begun"), None)

    async def _note(self, parent: Conversation, child: Child) -> None:
        def make(engagement: Engagement) -> Say | None:
            children = engagement.contract.children if engagement.contract is not None else ()
            if any(one.engagement == child.engagement and one.outcome is not None for one in children):
                return None  # each event of a turn tells that it is over
            if child.outcome is None:
                if not engagement.authority:
                    raise ScopeError("contract_expired", f"no hires in {engagement.state}", clause="state")
                if len(children) >= MAX_CHILDREN:
                    raise PolicyError("rate_limited", f"{MAX_CHILDREN} hires under one contract, and no more")
            return noting(fact("child", child))

        await parent.ask(make)

    # ------------------------------------------------------------------ kept inside

    async def amended(self, conversation: Conversation, terms: Terms) -> None:
        """Returns if a contract of ours may have these terms instead: inside the one above it, for no more than is held
        for it there, and with its own children inside it.

        Raises:
            ScopeError: `scope_exceeded`: it may not.
        """
        self.shares.require(conversation, terms)
        within, now = self.shares.within(conversation), self._agent.clock.now()
        if within is not None:
            above = self._agent.conversations[within.engagement].offered().terms
            held = {draw.key: draw.amount for draw in draws_on(conversation.offered().terms, above, now)}
            for draw in draws_on(terms, above, now):
                if compare_amounts(draw.amount, held.get(draw.key, "0")) > 0:
                    raise ScopeError("scope_exceeded", f"more than is held for it in the contract above: {draw.key}")
            return
        for child in self._live(conversation):
            found = self._agent.conversations.get(child.engagement)
            if found is not None and found.engagement.offer is not None:
                fits_inside(found.offered().terms, terms, f"the hire of {child.provider} for {child.task}: ")
        contract = contract_of(conversation.engagement)
        if contract.children:  # those that are over cost what they cost
            await self.shares.sums_fit(contract.digest, terms)

    # ------------------------------------------------------------------ what ends with what

    async def tell(self, parent: Conversation, effect: Cascade) -> None:
        """Says to a child what its parent was told, as soon as it may be said, and notes that it was."""
        try:
            await parent.settled()  # what it was told is stored first
        except LocalProtocolError:
            if not parent.over:
                raise
            # It is stored, and was put away with it: nobody tells the child later.
        events, untaken, pause = self._agent.watchers.listen(effect.child), Untaken(effect.child), RETRY_SECONDS
        try:
            while True:
                if effect not in pending(parent.engagement, self._agent.clock.now()):
                    return  # it was told before, or the parent goes on since
                try:
                    if await self._told(parent, effect):
                        break
                except LedgerError as error:
                    untaken.refused(error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                except UndersignedError as error:
                    # Such as a key that is away. Nobody asks for it again, and the child would go on.
                    _log.error("a child is told later", engagement=effect.child, move=effect.move, error=str(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                    continue
                await events.get()
        finally:
            self._agent.watchers.unlisten(events)
        if not parent.over:  # it may be put away while the child is in doubt, and asks for nothing any more
            await parent.say(noting(("done", effect.key)))

    async def _told(self, parent: Conversation, effect: Cascade) -> bool:
        child = self._agent.conversations.get(effect.child)
        if child is None or child.over:
            await self.ended(effect.child)
            return True
        waits = False

        def make(engagement: Engagement) -> Say | None:
            nonlocal waits
            waits = engagement.contract is None and engagement.in_doubt and effect.move in ("Cancel", "Terminate")
            return self._said(parent, child, engagement, effect)

        try:
            if effect.move == "Resume" and (child.engagement.contract is None or child.engagement.state == "sealed"):
                await child.reconsider(noting())  # what binds us, or its start, had to wait
            else:
                await child.ask(make)
        except LocalProtocolError as error:
            _log.warning("a child was not told", engagement=child.id, move=effect.move, error=str(error))
            return child.over
        return not waits

    def _said(self, parent: Conversation, child: Conversation, engagement: Engagement, effect: Cascade) -> Say | None:
        state, contract, above = engagement.state, engagement.contract, contract_of(parent.engagement)
        if contract is None:
            ends = effect.move in ("Cancel", "Terminate") and "Withdraw" in legal(engagement, "hirer")
            return withdrawal(engagement, "changed") if ends else None
        body: dict[str, Any] = {"contract": contract.digest, "reason": "parent"}
        now = self._agent.clock.now()
        match effect.move:
            case "Suspend" if state == "working":
                return Say("Suspend", {**body, "until": above.suspended_until})
            case "Resume" if state == "suspended" and child.last("Suspend", Suspend).reason == "parent":
                return Say("Resume", body)
            case "Cancel" if state in ("sealed", "working", "suspended"):
                least = parse_duration(child.offered().terms.deadlines.wind_down)
                due = above.due
                return Say("Cancel", {**body, "wind_down": max(shift(now, least), shift(due, -1) if due else "")})
            case "Terminate" if state in PERFORMED:
                ending = {"contract": contract.digest, "cause": "parent", "names": effect.names, "evidence": ()}
                return Say("Terminate", ending)
            case _:
                return None

    def noticed(self, engagement: EngagementId) -> None:
        """Hears of every engagement that is over: a child that is one is noted at its parent."""
        if engagement in self._above and engagement not in self._ending:
            task = self._agent.spawn(self.ended(engagement), f"child {engagement[-8:]} is over")
            self._ending[engagement] = task
            task.add_done_callback(lambda _: self._ending.pop(engagement, None))

    async def _over(self, child: Conversation) -> None:
        """Returns once what a child that is over did not use is back, for whoever hires another next."""
        if child.engagement.state in ENDED:
            self.noticed(child.id)
        if child.id in self._ending:
            await asyncio.wait((self._ending[child.id],))

    async def reviewer(self, conversation: Conversation) -> None:
        """Returns once the work that ordered a hire has said how to check it: after a restart it begins again first."""
        within, agent = self.shares.within(conversation), self._agent
        while within is not None and within.reviewed and conversation.id not in agent.reviewers:
            parent = agent.conversations.get(within.engagement)
            if parent is None or parent.engagement.state not in ("working", "suspended"):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def ended(self, engagement: EngagementId) -> None:
        """Notes that a child is over, and how; what it used is counted."""
        agent = self._agent
        parent = agent.conversations.get(self._above.get(engagement, ""))
        known = parent.engagement.contract if parent is not None else None
        child = next((one for one in known.live_children() if one.engagement == engagement), None) if known else None
        if parent is None or child is None:
            self._above.pop(engagement, None)
            return
        conversation = await self._read(engagement)
        if conversation is None:
            over = msgspec.structs.replace(child, outcome="not begun")
        else:
            await self._settle(conversation)
            contract = conversation.engagement.contract
            over = msgspec.structs.replace(
                child, outcome=outcome_of(conversation.engagement), contract=contract.digest if contract else None
            )
        try:
            await self._note(parent, over)
        except LocalProtocolError as error:
            _log.info("the parent is over as well", engagement=engagement, error=str(error))
        self._above.pop(engagement, None)

    async def _read(self, child: EngagementId) -> Conversation | None:
        """A child, also one that is put away, as soon as the store can be read; None if nothing of it was stored."""
        agent, untaken = self._agent, Untaken(child)
        while True:
            try:
                found = agent.conversations.get(child)
                summary = await agent.ledger.summary(child) if found is None else None
                return found if summary is None else await Conversation.stored(agent.shell, summary)
            except LedgerError as error:
                if not error.retryable:
                    raise
                untaken.refused(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _settle(self, child: Conversation) -> None:
        """Counts what a child used, as soon as the store takes it."""
        within = self.shares.within(child)
        while within is not None:
            try:
                return await self.shares.settle(child, within)
            except LedgerError as error:
                _log.error("what a child used is not settled and is held", engagement=child.id, error=str(error))
                if not error.retryable:
                    return None
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def resume(self) -> None:
        """After a start: knows the children again, and notes those that were over before it could be noted."""
        for parent in tuple(self._agent.conversations.values()):
            await self.catch_up(parent)

    async def catch_up(self, parent: Conversation) -> None:
        """Notes which of the children are over."""
        for child in self._live(parent):
            self._above[child.engagement] = parent.id
            found = self._agent.conversations.get(child.engagement)
            if found is None or found.engagement.state in ENDED:
                await self.ended(child.engagement)

    @staticmethod
    def _live(conversation: Conversation) -> tuple[Child, ...]:
        contract = conversation.engagement.contract
        provider = conversation.engagement.role == "provider"
        return contract.live_children() if contract is not None and provider else ()


def _carrying(wide: Scope, own: Scope) -> Scope:
    """The scope, with what the one above forbids, demands and extends."""
    names = {one.id for one in (*own.grants, *own.prohibitions, *own.obligations)}
    return Scope(
        grants=own.grants,
        prohibitions=(*own.prohibitions, *(one for one in wide.prohibitions if one.id not in names)),
        obligations=(*own.obligations, *(one for one in wide.obligations if one.id not in names)),
        extensions={**wide.extensions, **own.extensions},
        critical=(*wide.critical, *own.critical),
    )
