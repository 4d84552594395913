"""A hire as the hirer's application sees it: events while it goes on, and a result at the end."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from undersigned.contract import Terms
from undersigned.encoding import Did, Digest, EngagementId, compare_amounts, seconds_between
from undersigned.errors import (
    ConfigurationError,
    CredentialError,
    LedgerError,
    LocalProtocolError,
    LogProofError,
    PolicyError,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.messages import CANCEL_REASONS, Cancel, Delivery, Need, Problem, Review, Withdraw
from undersigned.protocol import ENDED
from undersigned.runtime.artifacts.contents import Contents
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import EARLY, Event, Hears
from undersigned.runtime.execution.books import Differs, books_differ
from undersigned.runtime.execution.changes import owed_price
from undersigned.runtime.execution.requests import Approves
from undersigned.runtime.execution.review import REVIEW_FAILED, Reviewer
from undersigned.runtime.negotiation.order import Order
from undersigned.runtime.unread import Unread
from undersigned.scope import read_scope
from undersigned.trust import Decision

from .hirer import other_money

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Hire", "HireResult", "needed_text", "unresolved"]

LAST_RECEIPT_SECONDS = 2.0
"""How long a hire that has ended waits for the receipt of its last word."""


SHOWN_CLAUSES = 8
"""Clauses that are told of those that refused something, and bounds of those that may have been in the way."""


def _bounds(terms: Terms, delivery: Delivery) -> str:
    """What the work was bounded by, by the contract and the provider's own count. Its failure gives no reason, and this
    may be one: bytes of a deliverable, a limit that is used up.
    """
    used = {(one.clause, one.unit): one.amount for one in delivery.usage}
    told = [f"{item.name} has at most {item.max_bytes} bytes" for item in terms.deliverables if item.max_bytes]
    told += [
        f"{grant.id} is used up, {limit.explain()}"
        for grant in read_scope(terms.scope, understood=terms.scope.critical or ()).grants
        for limit in grant.limits
        if limit.per is None and compare_amounts(used.get((grant.id, limit.unit), "0"), limit.max) >= 0
    ]
    shown = "; ".join(told[:SHOWN_CLAUSES])
    return f"; by the contract: {shown}" if shown else ""


class _RefusedAction(msgspec.Struct, frozen=True):
    """Of a refusal that our gate noted: the clause that decided."""

    clause: str


def unresolved(event: Event) -> CredentialError | None:
    """What to say of a presentation that one side could not check because an issuer did not resolve; None of all else.

    The side that showed it has done nothing wrong, and is reached.
    """
    code = "did_unresolvable"
    if (event.kind, event.type, event.code) == ("refused", "Presentation", code):
        return CredentialError(code, f"what the peer shows cannot be checked: {event.detail.removeprefix(f'{code}: ')}")
    if event.kind == "problem" and isinstance(event.message, Problem) and event.message.code == code:
        return CredentialError(code, "the peer cannot check what was shown to it: an issuer did not resolve there")
    return None


Begin: TypeAlias = Callable[[Order, Hears], Awaitable[Conversation]]
"""Opens the engagement of an order, and has its events heard."""


class HireResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a hire ended. Only an accepted one becomes a result; every other end is an error."""

    engagement: EngagementId
    provider: Did
    contract: Digest
    """Digest of the sealed contract."""
    artifacts: Contents
    """What was delivered, by name; each was checked against its digest and statement. `artifacts[name]` is all bytes of
    one; `read`, `pieces` and `save` do for what is large.
    """
    price: str
    """What is owed, `4 EUR`."""
    criteria: dict[str, bool]
    books: tuple[Differs, ...] = ()
    """What the provider's books say otherwise than ours, as far as they have come."""
    unclosed: UndersignedError | None = None
    """Why the books of one side were not taken by the other, though the work was: `ledger_diverged`."""

    def __getitem__(self, name: str) -> bytes:
        """The bytes of one artifact, whole."""
        return self.artifacts[name]

    def __contains__(self, name: object) -> bool:
        return name in self.artifacts

    def __iter__(self) -> Iterator[str]:
        """The names of what was delivered."""
        return iter(self.artifacts)

    def explain(self) -> str:
        """The result in a few lines."""
        lines = [f"contract {self.contract} with {self.provider}", f"owed {self.price}"]
        lines += [f"the books differ: {one.explain()}" for one in self.books]
        lines += [f"artifact {name}: {self.artifacts.size(name)} bytes" for name in self.artifacts]
        lines += [f"criterion {name}: {'met' if met else 'not met'}" for name, met in self.criteria.items()]
        return "\n".join(lines)


class Hire:
    """One hire under way: `await` it for its result, as often as you like, or iterate over its events. Who is cancelled
    while waiting, by a timeout say, ends that wait and nothing else; `cancel` ends the hire.
    """

    def __init__(
        self,
        peer: Agent,
        order: Awaitable[Order],
        review: Reviewer | None,
        approve: Approves | None = None,
        *,
        begin: Begin | None = None,
        over: Callable[[Conversation], Awaitable[None]] | None = None,
    ) -> None:
        """`begin` opens the engagement of the order, or gives the one that was opened for it before; the end is told
        once `over`, if there is one, has returned.
        """
        self._peer = peer
        self._begin = begin or peer.begin
        self._over = over
        self._order = order
        self._review = review
        self._approve = approve
        self._task: asyncio.Task[HireResult] | None = None
        self._events: Unread[Event | None] = Unread()
        """For whoever iterates; None, which stays for whoever comes later: there are no more."""
        self._ended = asyncio.Event()
        """Set once nothing is waited for any more."""
        self._timer: asyncio.TimerHandle | None = None
        """Of what is waited for: the first answer, or the last receipt."""
        self.engagement: EngagementId | None = None
        """Known once the `Inquiry` is stored."""
        self._decided: str | None = None
        """The decision that was noted last, as it was noted."""
        self._undecided: Event | None = None
        """What kept us from deciding, when that was tried last; the log of the provider, once it was that."""
        self._refused: Problem | None = None
        """The last message of ours that the provider refused, as it said so."""
        self._stuck: CredentialError | None = None
        """What of a presentation cannot be checked, and keeps the provider's answer away."""
        self._in_vain: UndersignedError | None = None
        """Why it is given up."""
        self._unclosed: LogProofError | None = None
        """Why the books will not be closed by both."""
        self._doubts = False
        """Whether an acceptance of ours waits for its answer."""
        self._unanswered = False
        """Whether it has waited for as long as anything is held for it."""
        self._ends = False
        """Whether the engagement has ended, and only what is still told of it is waited for."""
        self._closed = False
        """Whether this side closes before there is an end."""
        self._called_off: str | None = None
        """Why it was cancelled, if that was before its engagement was there."""

    def __del__(self) -> None:
        order = self.__dict__.get("_order")
        if self.__dict__.get("_task", order) is None and isinstance(order, Coroutine):
            order.close()  # whose own warning would name a function that its reader never called
            warnings.warn(
                "a hire was neither awaited nor iterated over: nobody was asked", RuntimeWarning, stacklevel=2
            )

    @property
    def decision(self) -> Decision | None:
        """Our own latest judgement of the provider, yes or no; None while there is none."""
        return None if self._decided is None else msgspec.json.decode(self._decided, type=Decision)

    def __await__(self) -> Generator[Any, None, HireResult]:
        return self._waited().__await__()

    async def _waited(self) -> HireResult:
        task = self._started()
        await asyncio.wait([task])  # which leaves it alone when whoever waits is cancelled
        return task.result()

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._started()
        while True:
            event = await self._events.get()
            if event is None:
                break
            yield event
        self._events.put_nowait(None)

    async def cancel(self, reason: str = "no_longer_needed") -> None:
        """Withdraws before there is a contract; afterwards orders the provider to stop and hand over what there is.
        Before anybody was asked, nobody is. `reason` is a word of `CANCEL_REASONS`.

        Raises:
            ConfigurationError: `bad_configuration`, it is none.
            LocalProtocolError: It cannot be ended now: an acceptance waits for its answer.
        """
        if reason not in tuple(CANCEL_REASONS):  # said whenever it is asked, not only once there is a contract
            words = ", ".join(CANCEL_REASONS)
            raise ConfigurationError("bad_configuration", f"reason: expected one of {words}; got {reason!r:.60}")
        if self.engagement is None:
            self._called_off = reason
        else:
            conversation = self._peer.conversations.get(self.engagement)
            if conversation is not None:
                await self._peer.cancel(conversation, reason)

    def _started(self) -> asyncio.Task[HireResult]:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hire")
            # Its end is told, and stands in the ledger: who iterates need not await it too, nor who waits no longer.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._task

    async def _run(self) -> HireResult:
        peer = self._peer
        peer.waits.add(self._close)
        try:
            order = await self._order
            if self._called_off is not None:
                raise PolicyError("policy_denied", f"it was cancelled before anybody was asked: {self._called_off}")
            conversation = await self._begin(order, self._hear)
            self.engagement = conversation.id
            if self._review is not None:
                peer.reviewers[conversation.id] = self._review
            if self._approve is not None:
                peer.changes.answers.by[conversation.id] = self._approve
            if self._called_off is not None:
                await self.cancel(self._called_off)
            try:
                return await self._follow(conversation)
            except UndersignedError as error:
                error.detail.setdefault("engagement", conversation.id)
                raise
        finally:
            peer.waits.discard(self._close)
            peer.watchers.unfollow(self._hear)
            if self._timer is not None:
                self._timer.cancel()
            if self.engagement is not None:
                peer.reviewers.pop(self.engagement, None)
                peer.changes.answers.by.pop(self.engagement, None)
            self._events.put_nowait(None)

    async def _follow(self, conversation: Conversation) -> HireResult:
        # It may have been over before anybody asked, or been put away with open books: then nothing more is told of it.
        if conversation.id in self._peer.conversations and conversation.engagement.state not in ENDED:
            self._set_timer(self._peer.reach_seconds, partial(self._give_up, conversation))
            self._heed_doubt(conversation)
            await self._ended.wait()
        if self._closed:
            raise LocalProtocolError("connection_closed", "this side is closing; the hire goes on when it runs again")
        if self._unanswered:
            engagement = conversation.engagement
            text = f"{engagement.peer} has not answered our acceptance, and nothing is held for it any more"
            later = (
                f"the answer may still come: {engagement.id} goes on when this peer runs, and a late one can be ended"
            )
            raise PolicyError("in_doubt", f"{text}; {later}", engagement=engagement.id)
        if self._in_vain is not None:
            try:
                await self._peer.cancel(conversation, "no_longer_needed")
            except LocalProtocolError:
                if conversation.engagement.state not in ENDED:
                    raise  # else its own time was up as well: a machine that slept finds both over at once
        if self._over is not None:
            await self._over(conversation)
        if self._in_vain is not None:
            tried = f"tried for {self._peer.reach_seconds:g} s, then withdrawn: nothing binds"
            why = self._in_vain
            error = type(why)(why.code, f"{why.message}; {tried}")
            error.detail = dict(why.detail)
            raise error
        if conversation.forgot:
            with suppress(LocalProtocolError):  # this side closes, and what is known is told
                await conversation.ask(lambda _: None)  # it rests, and reads back what was said
        if self._unclosed is not None and not conversation.said("Review", "hirer"):
            raise self._unclosed
        return await self._result(conversation)

    def _close(self) -> None:
        """From now on there are no events: our side closes."""
        if not self._ended.is_set():
            self._closed = True
            self._ended.set()

    def _hear(self, event: Event) -> None:
        """Hears an event where it is told, so that the task of this hire is woken only by what decides it."""
        self._events.put_nowait(event)
        if event.kind == "noted" and event.type == "decision":
            self._decided = event.detail
        if event.kind == "refused" and (event.code == _DIVERGED or event.message is None):
            diverged = self._undecided is not None and self._undecided.code == _DIVERGED
            if event.code == _DIVERGED or not diverged:
                self._undecided = event
        if event.kind == "over":
            self._ends = True
            self._ended.set()
        elif not self._ends:
            if event.kind in ("refused", "problem"):
                self._hear_trouble(event)
            elif event.kind == "received" and event.message is not None and not event.message.notice:
                self._stuck = None
            elif event.kind == "noted" and event.type == "due":
                self._ended.set()  # the books wait for people
            conversation = self._peer.conversations.get(event.engagement)
            if conversation is not None:
                self._heed_doubt(conversation)
            if event.state in ENDED:
                # What led to it is still told; and a last receipt under way spares the next start from waiting.
                self._ends = True
                self._set_timer(LAST_RECEIPT_SECONDS, self._ended.set)

    def _hear_trouble(self, event: Event) -> None:
        if event.kind == "problem" and isinstance(event.message, Problem):
            self._refused = event.message
        conversation = self._peer.conversations.get(event.engagement)
        if conversation is None:
            return  # it was put away, and answers what came too late
        found = unresolved(event) if conversation.engagement.offer is None else None
        if found is not None:
            # It is shown again and again. The issuer gets as long to come back as the peer to answer at first.
            if self._stuck is None:
                self._set_timer(self._peer.reach_seconds, partial(self._give_up, conversation))
            self._stuck = found
        self._unclosed = self._unclosed or _unclosed(event, conversation)
        if self._unclosed is not None:
            self._ended.set()

    def _give_up(self, conversation: Conversation) -> None:
        """Time is up for the first answer, or for the issuer without whom what is shown cannot be checked."""
        if self._ended.is_set() or (conversation.engagement.got and self._stuck is None):
            return
        peer = conversation.engagement.peer
        last = self._stuck or self._peer.links.last_error.get(peer)
        self._in_vain = last or TransportError("unreachable", f"{peer} did not answer")
        self._ended.set()

    def _heed_doubt(self, conversation: Conversation) -> None:
        """No time-out ends a doubt (HIRE-NEG-13), but the wait of whoever hires ends once what was reserved is free."""
        engagement = conversation.engagement
        doubts = engagement.contract is None and engagement.in_doubt
        if doubts == self._doubts:
            return
        self._doubts, live = doubts, engagement.offer
        if doubts and live is not None:
            left = seconds_between(self._peer.clock.now(), live.valid_until) + live.terms.seal_grace_seconds
            self._set_timer(max(0, left) + 1, self._leave_in_doubt)
        elif self._timer is not None:
            self._timer.cancel()

    def _leave_in_doubt(self) -> None:
        if self._doubts and not self._ended.is_set():
            self._unanswered = True
            self._ended.set()

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        """In place of the one before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    async def _result(self, conversation: Conversation) -> HireResult:
        engagement = conversation.engagement
        contract = engagement.contract
        if contract is None:
            last, told = self._undecided, ""
            if last is not None and conversation.said("Withdraw", "hirer"):
                told = last.detail.removeprefix(f"{last.code}: ")
                if last.code == _DIVERGED or last.code.startswith("store_"):
                    why = f"of its {last.type}" if last.message else "we could not decide"
                    raise PolicyError(last.code, f"we withdrew, because {why}: {told}", engagement=engagement.id)
            raise self._withdrawn(conversation, self._refused, told)
        cancelled = ""
        if conversation.said("Cancel", "hirer"):
            cancelled = f"we cancelled it: {conversation.last('Cancel', Cancel, 'hirer').reason}"
        if not conversation.said("Review", "hirer"):
            ends = ", ".join(f"{e.basis} {e.detail}".strip() for e in contract.endings) or engagement.state
            if (failed := conversation.facts.get(REVIEW_FAILED)) is not None:
                price = owed_price(conversation, engagement)
                text = f"our own review failed ({failed}), and the contract ended without one: {ends}"
                raise PolicyError("decision_failed", f"{text}; owed by it: {price.amount} {price.currency}")
            if cancelled:
                raise PolicyError("policy_denied", f"{cancelled}; the contract ended without a review: {ends}")
            price, early = owed_price(conversation, engagement), ""
            if EARLY in conversation.facts:
                early = "; what ended it came before its time by our record, and our books object: see 'contract show'"
            differ = "".join(f"; the books differ in {one.explain()}" for one in books_differ(conversation.facts))
            text = f"the contract ended without a review: {ends}; owed by it: {price.amount} {price.currency}"
            text += early + differ
            raise PolicyError("upstream_failed", text)
        review = conversation.last("Review", Review, "hirer")
        delivery = conversation.last("Delivery", Delivery, "provider")
        if cancelled and delivery.outcome != "complete":
            price = owed_price(conversation, engagement)
            text = f"{cancelled}; the delivery is {delivery.outcome}, owed {price.amount} {price.currency}"
            raise PolicyError("policy_denied", text)
        if delivery.outcome != "complete":
            told = f"the provider did not finish the work: the delivery is {delivery.outcome}"
            hints = await self._refusals(engagement.id) + _bounds(conversation.offered().terms, delivery)
            raise PolicyError("upstream_failed", told + (hints or "; why, only whoever runs it can say"))
        criteria = {criterion.id: criterion.met for criterion in review.criteria}
        if review.verdict != "accepted":
            notes = sorted({criterion.note for criterion in review.criteria if criterion.note})
            missed = ", ".join(name for name, met in criteria.items() if not met)
            why = conversation.facts.get("rejected") or ""
            notes += [code for code in ("too_large",) if why.startswith(code)]  # without criteria there are no notes
            code = next((code for code in ("digest_mismatch", "too_large") if code in notes), "evidence_invalid")
            found = why or (f"not met: {missed}" if missed else "")
            if (verifier := conversation.offered().terms.evidence.verifier) is not None:
                ours = f"our own check: {found}" if found else "our own check found nothing"
                found = f"by {verifier}, the verifier of the contract; {ours}"
            raise VerificationError(code, f"the delivery was rejected: {found}")
        price = owed_price(conversation, engagement)
        return HireResult(
            engagement=engagement.id,
            provider=engagement.peer,
            contract=contract.digest,
            artifacts=await Contents.of(self._peer.artifacts, {a.name: a.digest for a in delivery.artifacts}),
            price=f"{price.amount} {price.currency}",
            criteria=criteria,
            books=books_differ(conversation.facts),
            unclosed=self._unclosed,
        )

    async def _refusals(self, engagement: EngagementId) -> str:
        """What our own gate said no to under the contract, by clause. A `Delivery` gives no reason for its failure, and
        this may be one: a term of ours that the work could not keep.
        """
        try:
            rows = await self._peer.ledger.rows(engagement)
        except LedgerError:
            return ""  # that the delivery is failed is said all the same
        facts = [msgspec.json.decode(row.raw, type=_RefusedAction) for row in rows if row.type == "refused-action"]
        clauses = ", ".join(sorted({fact.clause for fact in facts})[:SHOWN_CLAUSES])
        return f"; our own gate refused what it tried, by the clauses: {clauses}" if clauses else ""

    @staticmethod
    def _withdrawn(conversation: Conversation, refused: Problem | None, undecided: str) -> UndersignedError:
        for role in ("provider", "hirer"):
            if conversation.said("Withdraw", role):
                withdraw = conversation.last("Withdraw", Withdraw, role)
                needed = "; ".join(map(needed_text, withdraw.needed or ()))
                hint = f"; would change the answer: {needed}" if needed else ""
                if withdraw.reason == "not_offered" and role == "provider":
                    hint += "; 'undersigned discover' shows what it does"
                same = ("offer_expired", "round_limit", "revoked", "status_unavailable")
                code = withdraw.reason if withdraw.reason in same else "policy_denied"
                if refused is not None and refused.code == _DIVERGED:
                    code, hint = _DIVERGED, f"{hint}; {_WENT_BACK}"
                who, told = ("the provider", "") if role == "provider" else ("we", "")
                if refused is not None:  # the provider said so in either case
                    after = "after refusing" if role == "provider" else "after the provider refused"
                    told = f" {after} a message of ours ({refused.code})"
                asked = f"; {conversation.facts['budget']}" if "budget" in conversation.facts else ""
                if role == "hirer" and conversation.said("Offer", "provider"):
                    price = conversation.offered().terms.price
                    asked += f"; its last offer was {price.amount} {price.currency}"
                if role == "provider" and (price := other_money(conversation)) is not None:
                    asked += f"; it asks for {price.amount} {price.currency}"
                if role == "hirer" and withdraw.reason in ("status_unavailable", "decision_failed") and undecided:
                    asked += f"; {undecided}"
                engagement = conversation.engagement
                return PolicyError(
                    code,
                    f"{who} withdrew: {withdraw.reason}{told}{hint}{asked}",
                    engagement=engagement.id,
                    # The last move of whoever withdrew.
                    withdrawal=(engagement.sent if engagement.role == role else engagement.got)[-1],
                    needed=withdraw.needed or (),
                )
        if refused is not None:
            hint = f"; {_WENT_BACK}" if refused.code == _DIVERGED else ""
            what = "the inquiry" if len(conversation.engagement.sent) == 1 else "a message of ours"
            text = f"{conversation.engagement.peer} refused {what}: {refused.code}{hint}"
            return PolicyError(refused.code, text)
        return PolicyError("policy_denied", "the negotiation ended without a contract")


_DIVERGED = "ledger_diverged"
_WENT_BACK = "it has seen another history of our log: was this state folder put back from an old copy?"


def _unclosed(event: Event, conversation: Conversation) -> LogProofError | None:
    """Why the books will not be closed by both, if one side does not take those of the other for its log."""
    if conversation.engagement.contract is None:
        return None
    if (event.kind, event.type, event.code) == ("refused", "Closing", _DIVERGED):
        told = event.detail.removeprefix(_DIVERGED).lstrip(": ")
        return LogProofError(_DIVERGED, f"the provider's closing of the books was refused: {told}")
    if event.kind == "problem" and conversation.distrusted:
        return LogProofError(
            _DIVERGED,
            f"the provider does not take our closing of the books: {_WENT_BACK}",
        )
    return None


def needed_text(need: Need) -> str:
    """One need in words: `AccreditedByCredential about sbom from did:… or did:…, no older than P90D`."""
    text = need.credential or need.member or need.code
    if text == need.member != need.code:  # a place alone does not say what is wrong there
        text += f" ({need.code})"
    if need.code == "reputation":
        text = f"more reputation, such as by {text}"
    if need.capability:
        text += f" about {need.capability}"
    if need.issuers:
        text += f" from {' or '.join(need.issuers)}"
    if need.after:
        text += f", free by {need.after}"
    return f"{text}, no older than {need.max_age}" if need.max_age else text
