"""An agent: its identity, its store, its connections, and the engagements it is a party of.

An agent does not listen; `undersigned.daemon.Peer` is an agent with a public listener. Messages come in through
its `Intake` and go to the conversation of their engagement, which asks its `Shell` for all that it needs.

Source: protocol-spec/01-overview.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

import structlog

from undersigned.did import DidDocument
from undersigned.encoding import Did, EngagementId, parse_duration
from undersigned.errors import ConfigurationError, LocalProtocolError, ScopeError, UndersignedError
from undersigned.ledger import LEDGERS, Opener, open_ledger
from undersigned.protocol import Engagement, Strategy, begin, owed
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import Hears, Say, withdrawal
from undersigned.runtime.engagement.waking import closing_error
from undersigned.runtime.execution.changes import Changes
from undersigned.runtime.execution.contract_orders import ContractOrders
from undersigned.runtime.execution.gate import Gate, Permit
from undersigned.runtime.execution.job import Handler
from undersigned.runtime.execution.objections import Objections
from undersigned.runtime.execution.refusals import record_refusal
from undersigned.runtime.execution.renewal import Renewals
from undersigned.runtime.execution.review import Reviews
from undersigned.runtime.execution.reviewers import Reviewer
from undersigned.runtime.execution.settlement import Settlements
from undersigned.runtime.execution.status_watch import StatusWatch
from undersigned.runtime.execution.work import Worker
from undersigned.runtime.home.home import Home
from undersigned.runtime.home.own_keys import require_lasting_names
from undersigned.runtime.home.parsing import check_plug
from undersigned.runtime.log.logbook import require_own
from undersigned.runtime.log.witnesses import Cosigned, Witnesses
from undersigned.runtime.names import urn_of
from undersigned.runtime.negotiation.approvals import Approvals
from undersigned.runtime.negotiation.bargaining import Bargaining
from undersigned.runtime.negotiation.meeting import Meeting
from undersigned.runtime.negotiation.new_keys import NewKeys
from undersigned.runtime.negotiation.order import Order
from undersigned.runtime.negotiation.papers import Papers
from undersigned.scope import Action, Limit
from undersigned.transport import ChannelLimits

from .above import ContractsAbove
from .crowd import Crowd
from .greetings import Greetings
from .hirer import HirerSide
from .intake import Intake
from .links import Links
from .offering import Offering
from .presence import Presences
from .provider import ProviderSide
from .shell import Shell
from .subcontracts import Subcontracts
from .whereabouts import PROVING_SECONDS, Whereabouts
from .witnessing import CrossWitness

__all__ = ["Agent"]

_log = structlog.get_logger()

WIND_DOWN_SECONDS = 60
"""Time a provider has to hand over what there is after a `Cancel`."""


class Agent(Offering):
    """One agent. `start` it, use it, `close` it; or `async with`."""

    def __init__(
        self,
        home: Home,
        *,
        clock: Clock | None = None,
        ledger_url: str | None = None,
        ledgers: Mapping[str, Opener] = LEDGERS,
        suite: str | None = None,
        strategy: Strategy | None = None,
        handlers: Mapping[str, Handler] | None = None,
        budget: Iterable[Limit] | None = None,
        books: str | None = None,
    ) -> None:
        """`ledgers` opens `ledger_url`, by its scheme; an application adds a store of its own there. `suite` is the
        cryptosuite preferred for messages and documents; by default the JCS suite of the key. `budget` and `books`, a
        URL, take the place of those in the settings.
        """
        _check_options(home, clock, strategy, handlers, ledger_url=ledger_url, books=books)
        configuration = home.configuration
        super().__init__(home, clock=clock, suite=suite, handlers=handlers, budget=budget, books=books)
        self.bargaining = Bargaining(strategy)
        self.status_watch = StatusWatch(self)
        self.renewals = Renewals(self)
        self.reviewers: dict[str, Reviewer] = {}
        """How a hirer checks what it gets, by kind of task or by engagement."""
        self.programs: Mapping[str, Reviewer] = {}
        """Which of them are programs of ours, that look at the criteria of a known task and at nothing else."""
        self.crowd = Crowd(self.conversations)
        self.reach_seconds = 30.0
        """How long a hire goes on trying to reach a provider that has not answered yet."""
        self._ledger_url = ledger_url or home.ledger_url
        self._ledgers = ledgers
        self.unwitnessed: tuple[Cosigned, ...] = ()
        """Witnesses that did not cosign what our log had grown to when this was closed, and why."""
        self.resumed = asyncio.Event()
        """Set once every engagement that is not over goes on."""
        self.intake = Intake(self)
        self.presences = Presences(self)
        self.greetings = Greetings(self)
        self.whereabouts = Whereabouts(self, lambda peer: peer in self.links.last_error)
        self.links = Links(
            self.identity,
            clock=self.clock,
            resolve=self._proving,
            limits=ChannelLimits(local=configuration.local),
            read=self.intake.read,
            opened=self._opened,
            heard=self.presences.back,
            lost=self._lost,
            locate=self.whereabouts.locate,
            wanted=self.whereabouts.wanted,
            ahead_of=self.gatherer.ahead_of,
            spent=self.intake.spent,
            ssl=self.tls,
        )
        self.hirer = HirerSide(self)
        self.provider = ProviderSide(self, self.services)
        self.worker = Worker(self)
        self.reviews = Reviews(self)
        self.changes = Changes(self)
        self.settlements = Settlements(self)
        self.objections = Objections(self)
        self.orders = ContractOrders(self, self.changes)
        self.subcontracts = Subcontracts(self)
        self.above = ContractsAbove(self, self.subcontracts.shares)
        self.shell = Shell(self)

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Opens the ledger and goes on with every engagement that is not over.

        Raises:
            ConfigurationError: As `load_offers`; `key_unavailable`: a key took the name of another that is in use;
                `bad_configuration`: the ledger is that of another agent.
            LedgerError, LocalProtocolError: The ledger, the trust graph or the store of artifacts cannot be opened, or
                is damaged; `wrong_state`: it is started already.
        """
        with self._claimed():
            await self._start()

    async def _start(self) -> None:
        self.closing = False
        self.load_offers()  # first: what is wrong with the settings is found before anything is opened
        self.approvals = Approvals(self, self.changes.approved)
        self.gatherer.reopen()
        await asyncio.to_thread(self.artifacts.sweep)
        await self.artifacts.check()
        self._ledger = await open_ledger(self._ledger_url, ledgers=self._ledgers)
        self.witness = CrossWitness(self, self.whereabouts.log_url)
        try:
            await require_own(self._ledger, self.own.id, self._ledger_url)
            await self.shell.open(self._ledger, self.witness)
        except BaseException:
            await self._close_ledger()
            raise
        self.papers = Papers(self.identity, self.own, self.ledger, self.clock, self.log_key)
        self.gate = Gate(
            self.ledger,
            self.clock,
            self.status_watch.require,
            record=partial(record_refusal, self, self.papers),
            above=self.above.admits,
            labels=self.home.labels,
        )
        self.meeting = Meeting(self, self.approvals)
        self.new_keys = NewKeys(self)
        self.witnesses = Witnesses(
            self.home.witnesses, self.ledger, self.own.id, self.log_key, self.gatherer, self.clock
        )
        try:
            await self.meeting.beliefs.check()
            await self.witnesses.first()
            await self._go_on()
        except BaseException:
            await Agent.close(self)  # whoever starts it again finds nothing of ours in its way
            raise

    async def _go_on(self) -> None:
        """The rest of `start`: every engagement that is not over."""
        last = await self.ledger.last_at()
        if isinstance(self.clock, SystemClock) and last is not None:
            self.clock.hold(last)  # a clock that was set back revives nothing that was over
            if (held := self.clock.held()) is not None:
                _log.error("time stands still", why=str(held))
        live = [await Conversation.stored(self.shell, one) for one in await self.ledger.summaries(live_only=True)]
        await require_lasting_names(self.own, self.ledger, [one.id for one in live])
        await self.bookings.open(live)
        for conversation in live:
            self._keep(conversation)
        await self.bookings.resume()
        await self.subcontracts.resume()
        for conversation in live:
            self.approvals.resume(conversation)
        self.resumed.set()
        for peer in {one.engagement.peer for one in self.conversations.contracts.values()}:
            self.presences.lost(peer)  # until it is there again
        self.spawn(self.orders.run(), "orders for contracts")  # once the contracts are there
        self.spawn(self.status_watch.run(), "status watch")
        self.spawn(self.witnesses.run(), "witnesses")

    async def close(self) -> None:
        """Ends connections and tasks; what is stored stays, and the next start goes on from it. Whatever the log has
        grown by since is shown to its witnesses first; who does not answer within seconds stands in `unwitnessed`.

        Raises:
            LedgerError: `ledger_diverged`, once all is closed: a witness holds another history of our log, and the next
                start will be refused.
            LocalProtocolError: `wrong_state`: it was started in another event loop, and goes on there.
        """
        self.require_loop()
        self.closing = True
        self.ready.clear()  # whoever comes back now waits, and hears the end
        async with AsyncExitStack() as rest:  # asked twice to end, it still puts all away
            rest.callback(self._forget_loop)
            rest.push_async_callback(self._put_away)
            try:
                for closes in tuple(self.waits):
                    closes()
                await self._end_tasks()
            finally:
                await self._stop_talking()
            if self._ledger is not None:
                await self._show_last()

    async def _stop_talking(self) -> None:
        async with AsyncExitStack() as rest:  # from below to above
            # Those too that others began until the last connection was closed, and what its loss began.
            rest.push_async_callback(self._end_tasks)
            rest.push_async_callback(self._stop_conversations)
            rest.push_async_callback(self.links.close)
            rest.push_async_callback(self._stop_conversations)

    async def _stop_conversations(self) -> None:
        await asyncio.gather(*(conversation.stop() for conversation in tuple(self.conversations.values())))

    async def _show_last(self) -> None:
        """Nothing is added to the log any more. It is shown to its witnesses, and only what matters at the next start
        is raised.
        """
        try:
            await self.witnesses.last()
        except UndersignedError as error:
            if error.code == "ledger_diverged":
                raise
            _log.error("the log was not shown to its witnesses", error=str(error))
        finally:
            self.unwitnessed = self.witnesses.unwitnessed

    async def _put_away(self) -> None:
        async with AsyncExitStack() as rest:  # from below to above
            rest.push_async_callback(self._close_ledger)
            rest.callback(self.bargaining.close)
            rest.push_async_callback(self.bookings.pools.close)
            rest.push_async_callback(self.gatherer.close)
            rest.push_async_callback(self.statuses.close)
            if self._ledger is not None:
                rest.push_async_callback(self.meeting.beliefs.close)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ------------------------------------------------------------------ what applications use

    async def begin(
        self,
        order: Order,
        hears: Hears | None = None,
        *,
        before: Callable[[EngagementId], Awaitable[None]] | None = None,
    ) -> Conversation:
        """Opens an engagement for an order; returns once its `Inquiry` is stored. `hears` is told its events, from the
        first on, until `watchers.unfollow`; `before` hears of it before it is opened.

        Raises:
            ConfigurationError: `bad_configuration`: no contract can be made of the order.
            LocalProtocolError: `self_dealing`; `connection_closed`: this side is closing; `proof_from_future`: its
                clock stands still, and nobody takes what is signed by it.
            LogProofError: `ledger_diverged`: the provider signed two histories of its log.
            PolicyError: `policy_denied`: our policy refuses the provider, or the work, whatever it may show.
            VerificationError: `wrong_negotiation`: what the order continues is no withdrawal of these two.
        """
        if isinstance(self.clock, SystemClock) and (held := self.clock.held()) is not None:
            until = f"time stands still here until {held.at}, and the clock of this machine says {held.machine}"
            hint = "if that is wrong, set it; if it is right, only waiting or another state folder helps"
            raise LocalProtocolError("proof_from_future", f"nobody is asked: {until}; {hint}")
        await self.witness.require(order.provider)
        engagement_id, inquiry = await self.hirer.begin(order)
        if before is not None:
            await before(engagement_id)
        if self.closing:  # nobody would ever end what begins now
            raise closing_error()
        self.whereabouts.note(engagement_id, order.url)
        if hears is not None:
            self.watchers.follow(engagement_id, hears)
        conversation = Conversation(self.shell, begin("hirer", self.identity.did, order.provider, engagement_id))
        self._keep(conversation)
        await conversation.say(inquiry)
        return conversation

    async def cancel(self, conversation: Conversation, reason: str = "no_longer_needed") -> None:
        """Ends an engagement from the hirer's side, as far as the tables allow it now.

        Raises:
            LocalProtocolError: It cannot be ended now: an acceptance waits for its answer.
        """

        def make(engagement: Engagement) -> Say:
            live = engagement.offer
            if engagement.contract is None:
                return withdrawal(engagement, "changed")
            least = parse_duration(live.terms.deadlines.wind_down) if live is not None else 0
            return self.changes.cancelling(engagement, max(least, WIND_DOWN_SECONDS), reason)

        await conversation.ask(make)

    # ------------------------------------------------------------------ contracts

    async def admit(
        self,
        conversation: Conversation,
        action: Action,
        *,
        headers: Mapping[str, str] | None = None,
        request: tuple[str, str] | None = None,
    ) -> Permit:
        """Books an action under the contract of an engagement, as it stands now: its terms and state, and what was
        approved. Every gate of this side, the provider's own and those of the hirer's servers, asks here. `request` is
        key and nonce of the signed one that asks for it.

        Raises:
            ScopeError, ProofError, LedgerError: As `Gate.admit`.
            LocalProtocolError: `wrong_state`: there is no contract.
        """
        engagement = conversation.engagement
        contract, document = contract_of(engagement), conversation.offered()
        permit = await self.gate.admit(
            contract.digest,
            document,
            engagement.state,
            action,
            approved=contract.approvals(),
            headers=headers,
            name=urn_of(contract.digest, *request) if request is not None else None,
            sealed_at=contract.sealed_at,
        )
        now = conversation.engagement
        unchanged = now.contract is not None and (now.state, now.contract.in_force) == (
            engagement.state,
            contract.in_force,
        )
        if not (unchanged and self.above.working(conversation)):
            # Looking up what others say took a while, and nothing was done yet.
            await self.gate.release(permit)
            if now.authority:
                # The name of a request stays with what was given back: whoever sends it again is refused all the same.
                return await self.admit(conversation, action, headers=headers)
            text = f"the contract is {now.state} since this was asked"
            error = ScopeError("contract_expired", text, clause="state")
            await self.gate.refuse(contract.digest, action, error)
            raise error
        return permit

    # ------------------------------------------------------------------ other parties

    def whose(self, engagement: EngagementId, peer: Did) -> str:
        """See `Crowd.whose`."""
        return self.crowd.whose(engagement, peer)

    async def _proving(self, did: Did) -> DidDocument:
        """The DID document of a peer that proves itself: nearly fresh, for it may have a new key since it was here."""
        return await self.document_of(did, PROVING_SECONDS)

    def _keep(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        self.whereabouts.recall(conversation)
        contract = conversation.engagement.contract
        if contract is not None:
            self.conversations.bind(contract.digest, conversation.id)
        elif conversation.engagement.role == "provider":
            self.crowd.came(conversation.id, None)  # by somebody before this start
        conversation.start()
        if conversation.engagement.sent or conversation.engagement.got:
            self.shell.dial(conversation.engagement.peer)

    # ------------------------------------------------------------------ receiving

    def _opened(self, peer: Did) -> None:
        """First on every connection: our position in each engagement with this peer."""
        self.greetings.begin(peer)

    def _lost(self, peer: Did) -> None:
        self.greetings.lost(peer)
        self.presences.lost(peer)

    # ------------------------------------------------------------------ for people

    def status(self) -> list[dict[str, Any]]:
        """Every engagement that is not over: its state, who owes what by when, in `untaken` why our own store takes
        nothing of it, and in `unreached` why the peer was not reached the last time, while there is no connection; or
        None.
        """
        found: list[dict[str, Any]] = []
        for conversation in self.conversations.values():
            engagement = conversation.engagement
            due = owed(engagement)
            connected = self.links.connected(engagement.peer)
            unreached = None if connected else self.links.last_error.get(engagement.peer)
            found.append(
                {
                    "engagement": engagement.id,
                    "role": engagement.role,
                    "peer": engagement.peer,
                    "state": engagement.state,
                    "lane": engagement.lane,
                    "inDoubt": engagement.in_doubt,
                    "owes": list(due.who),
                    "moves": list(due.moves),
                    "by": due.by,
                    "why": due.why,
                    "connected": connected,
                    "untaken": str(conversation.untaken) if conversation.untaken is not None else None,
                    "unreached": str(unreached) if unreached is not None else None,
                }
            )
        return found


def _check_options(
    home: object, clock: object, strategy: object, handlers: object, *, ledger_url: object, books: object
) -> None:
    """Returns if these can be used: callers' code is not checked by us, and what is wrong shows much later.

    Raises:
        ConfigurationError: `bad_configuration`, with what was expected.
    """
    if not isinstance(home, Home):
        text = f"home: expected a Home, which open() makes of the path of a state folder, got {home!r:.80}"
        raise ConfigurationError("bad_configuration", text)
    check_plug("clock", clock, "now")
    check_plug("strategy", strategy, "answer")
    if handlers is not None and not isinstance(handlers, Mapping):
        text = f"handlers: expected functions by the task that they do, got {handlers!r:.80}"
        raise ConfigurationError("bad_configuration", text)
    for name, given in (("ledger_url", ledger_url), ("books", books)):
        if given is not None and not isinstance(given, str):
            text = f"{name}: expected a URL, such as sqlite:///srv/bookings.db, got {given!r:.80}"
            raise ConfigurationError("bad_configuration", text)
