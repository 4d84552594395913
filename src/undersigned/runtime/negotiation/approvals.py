"""Asking people: what the policy puts to them waits here until enough approved, one refused, or time is up.

What waits is noted in the engagement's journal, so it is there again after a restart. The running peer looks among the
files that people leave while something waits, verifies what it finds, notes it in the journal with the statement as
evidence, and decides again in the same turn. What is signed is signed by what the journal holds.

Under a contract what waits is an amendment or a release: one of the other side's on the table, or one that we would
offer, which is offered once people said so.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog
from msgspec.structs import asdict, replace

from undersigned.contract import Terms, same_terms
from undersigned.encoding import Digest, EngagementId, Instant, JsonObject, canonicalize, shift
from undersigned.errors import LocalProtocolError, PolicyError, ScopeError, UndersignedError, VerificationError
from undersigned.messages import Waiting
from undersigned.protocol import Engagement, may_change
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say, fact, noting
from undersigned.runtime.files import of_the_system
from undersigned.runtime.home.anchors import read_document
from undersigned.trust import (
    Approvers,
    Decision,
    Standing,
    VerifiedApproval,
    approvals_needed,
    terms_digest,
    verify_approval,
    weigh,
)

from .asked import (
    ASKED,
    GIVEN,
    OURS,
    THEIRS,
    AskedChange,
    AskedTerms,
    Change,
    asked_in,
    change_in,
    given_in,
    put,
    time_for,
    waiting_change,
    waiting_changes,
    was_offered,
)
from .statements import Mark, evidence_of, followed_approvers, refuse, refused, statement_files, verified

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["ApprovalWanted", "Approvals"]

_log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0
"""Between two looks at the folder, while something waits."""
AGAIN_SECONDS: Final = 15
"""Between two attempts to offer or accept what people approved, where a server that is asked does not answer."""

Offers: TypeAlias = Callable[[Conversation, AskedChange], Awaitable[None]]
"""Offers a change that people approved."""


class ApprovalWanted(ScopeError):
    """`approval_required`: people have to decide about these terms first."""

    def __init__(self, terms: Terms, decision: Decision, standing: Standing, change: Change | None) -> None:
        named = f"the {change.kind} {change.name} waits for people, see 'offer list': " if change is not None else ""
        super().__init__("approval_required", f"{named}{standing.explain()}; {decision.refusal}")
        self.terms = terms
        self.decision = decision
        self.needed = standing.needed
        self.change = change


class _Waits:
    """One thing that waits, while this process runs."""

    def __init__(
        self,
        engagement: Engagement,
        asked: AskedTerms,
        given: list[JsonObject],
        known: Iterable[VerifiedApproval],
    ) -> None:
        self.about = asked.about(engagement)
        self.asked = asked
        self.begun = False
        """Whether the turn that began it is stored."""
        self.tries_at: Instant = ""
        """From when on what people were asked about is offered or decided again, after it could not be."""
        self.judged: set[Mark] = set()
        """Files that say nothing here."""
        self.told: set[Mark] = set()
        """Those of which people were told so, or that they cannot be read now."""
        self.given = given
        """What the journal holds."""
        self.known = {(one.by, one.verdict, one.about) for one in known}
        """Who said what in it: saying it again adds nothing, so nobody makes the journal longer by it."""

    def here(self, conversation: Conversation) -> bool:
        """Whether the engagement is where it waits. A negotiation may rest: nothing but its state is asked for."""
        if self.about.change is None:
            return conversation.engagement.cause == self.asked.cause
        return waiting_change(conversation.facts, conversation.engagement, self.about.change) is not None


class Approvals:
    """What waits for people in the engagements of one agent.

    Raises:
        ConfigurationError: When made. `bad_configuration`: as `load_approvers`.
    """

    def __init__(self, agent: AgentBase, offers: Offers) -> None:
        self._agent, self._offers = agent, offers
        self._followed = followed_approvers(agent.home, agent.clock.now())
        self._folder = agent.home.approvals
        self._waiting: dict[tuple[EngagementId, Digest | None], _Waits] = {}
        self._watched = False

    def resume(self, conversation: Conversation) -> None:
        """After a start: has what we would offer wait again. What is to be answered is decided again anyhow."""
        for asked in waiting_changes(conversation.facts, conversation.engagement):
            if asked.opens:
                self._watch_for(conversation, conversation.engagement, asked)

    async def require(
        self,
        conversation: Conversation,
        engagement: Engagement,
        terms: Terms,
        decision: Decision,
        change: Change | None = None,
    ) -> None:
        """Returns if as many people as `decision` asks for have approved exactly `terms` in this engagement; under a
        contract, `change` to them.

        Raises:
            PolicyError: `policy_denied`: somebody refused them, or too few people are configured.
            ApprovalWanted: `approval_required`: they have not decided yet.
            LedgerError: It could not be looked up.
        """
        about, needed = put(engagement, terms, change), approvals_needed(decision)
        standing = weigh(self._noted(conversation), about, needed=needed)
        if standing.state == "refused" or await refused(self._agent.ledger, about.terms):
            raise PolicyError(
                "policy_denied", f"the terms {about.terms} were refused by a person, for good", person=True
            )
        if standing.state == "approved":
            return
        if len(self._approvers().people) < needed:
            raise PolicyError("policy_denied", f"[approvers] names too few people; {decision.refusal}")
        raise ApprovalWanted(terms, decision, standing, change)

    def cover(self, conversation: Conversation, decision: Decision) -> bool:
        """Whether as many people as `decision` asks for have approved the terms in force: when they were negotiated, or
        as a change.
        """
        terms, noted = terms_digest(conversation.offered().terms), self._noted(conversation)
        put_to_them = {one.about for one in noted if one.about.terms == terms}
        here = (one for one in put_to_them if one.engagement == conversation.id)
        needed = approvals_needed(decision)
        return any(weigh(noted, about, needed=needed).state == "approved" for about in here)

    def wait(self, conversation: Conversation, engagement: Engagement, wanted: ApprovalWanted) -> Say | None:
        """What is said and noted when something begins to wait; None if it waits already.

        Raises:
            PolicyError: `decision_failed`: the time for it is over.
            LocalProtocolError: `wrong_state`: the contract cannot be changed so now.
        """
        now, change, facts = self._agent.clock.now(), wanted.change, conversation.facts
        if change is None:
            asked = asked_in(facts, engagement)
            known = asked is not None and same_terms(asked.terms, wanted.terms)
            live = engagement.offer
            opens = live is None or not same_terms(conversation.offered(engagement).terms, wanted.terms)
        else:
            if not may_change(engagement.state, change.kind):
                raise LocalProtocolError("wrong_state", f"no {change.kind} can be agreed to in {engagement.state}")
            opens = change.document is None
            asked = change_in(facts, OURS if opens else THEIRS)
            known = asked is not None and (asked.change.name, asked.needed) == (change.name, wanted.needed)
        said = None
        if asked is None or not known:
            decision = msgspec.json.encode(wanted.decision).decode()
            asked = AskedTerms(
                terms=wanted.terms,
                cause=engagement.cause,
                needed=wanted.needed,
                until=time_for(engagement, wanted.terms, change, now),
                opens=opens,
            )
            name = ASKED
            if change is not None:
                asked = AskedChange(**asdict(asked), change=change, decision=decision)
                name = OURS if opens else THEIRS
            said = noting(("decision", decision), fact(name, asked))
            if change is None or not opens:  # of a draft the other side knows nothing, and waits for nothing
                waiting = Waiting(for_="person", until=asked.until)
                body = {"of": engagement.got[-1:], "received_at": now, "waiting": waiting}
                said = replace(said, type="Receipt", body=body)
        if now > asked.until:
            self._waiting.pop((engagement.id, asked.about(engagement).change), None)
            raise PolicyError("decision_failed", f"nobody decided about the terms by {asked.until}")
        self._watch_for(conversation, engagement, asked)
        return said

    def asks(self, conversation: Conversation, engagement: Engagement) -> bool:
        """Whether people are asked about terms already, where the negotiation is."""
        return asked_in(conversation.facts, engagement) is not None

    def put(self, conversation: Conversation, engagement: Engagement) -> Terms | None:
        """Terms of our own that people were asked about at this place: they, and no newer ones, are to be offered."""
        asked = asked_in(conversation.facts, engagement)
        return asked.terms if asked is not None and asked.opens else None

    def waits(self, conversation: Conversation, document: Digest) -> bool:
        """Whether people are asked about this document on the table, which our owner wants."""
        asked = change_in(conversation.facts, THEIRS)
        return asked is not None and asked.change.document == document

    def again(self, conversation: Conversation, engagement: Engagement) -> bool:
        """Has it decided again in a while about what is to be answered now; False if people are not asked about that,
        or their time is over.
        """
        now, tabled, facts = self._agent.clock.now(), engagement.tabled, conversation.facts
        if engagement.contract is None:
            asked = asked_in(facts, engagement)
        else:
            here = tabled is not None and self.waits(conversation, tabled.document)
            asked = change_in(facts, THEIRS) if here else None
        if asked is None or now > asked.until:
            return False
        key = conversation.id, asked.about(engagement).change
        if key not in self._waiting:
            self._watch_for(conversation, engagement, asked)
        self._waiting[key].tries_at = shift(now, AGAIN_SECONDS)
        return True

    async def take_back(self, conversation: Conversation, facts: tuple[tuple[str, str], ...] = ()) -> bool:
        """Takes back what we would offer, if people are asked about it, and notes `facts` with that."""
        for asked in waiting_changes(conversation.facts, conversation.engagement):
            if asked.opens:
                await self._drop(conversation, asked, "it was taken back", facts)
                return True
        return False

    def _watch_for(self, conversation: Conversation, engagement: Engagement, asked: AskedTerms) -> None:
        given = given_in(conversation.facts)
        waits = _Waits(engagement, asked, given, self._noted(conversation))
        key = engagement.id, waits.about.change
        before = self._waiting.get(key)
        if before is not None and before.about == waits.about:
            waits.judged, waits.told = before.judged, before.told
        self._waiting[key] = waits
        if not self._watched:
            self._watched = True
            self._agent.spawn(self._watch(), "approvals")

    def _noted(self, conversation: Conversation) -> list[VerifiedApproval]:
        """The statements of the journal that hold now: who is no approver any more counts no more."""
        return verified(given_in(conversation.facts), self._approvers(), self._agent.clock.now())

    def _approvers(self) -> Approvers:
        """Those that count now. Where they are others than before, what waits is decided again."""
        now = self._agent.clock.now()
        if self._followed.follow(now):
            for waits in self._waiting.values():
                waits.tries_at = now
        return self._followed.found

    async def _watch(self) -> None:
        try:
            while self._waiting:
                for key, waits in tuple(self._waiting.items()):
                    try:
                        await self._look(key, waits)
                    except Exception as error:
                        # One that cannot be looked at must not keep the others from it.
                        _log.error("approvals were not looked at", engagement=key[0], error=repr(error))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._watched = False

    async def _look(self, key: tuple[EngagementId, Digest | None], waits: _Waits) -> None:
        """Notes what people said since the last look, and decides again if that or the time changes anything."""
        agent, conversation, asked = self._agent, self._agent.conversations.get(key[0]), waits.asked
        here = conversation is not None and waits.here(conversation)
        waits.begun = waits.begun or here
        if conversation is None or conversation.over or (waits.begun and not here):
            self._waiting.pop(key, None)
            if conversation is not None and not conversation.over and isinstance(asked, AskedChange) and asked.opens:
                await self._drop(conversation, asked, "what it would change is not in force any more")
            return
        now = agent.clock.now()
        self._approvers()
        # What is said after the last instant comes too late, however soon.
        came = await self._came(waits, now) if now <= asked.until else []
        draft = asked if isinstance(asked, AskedChange) and asked.opens else None
        again = draft is None and "" < waits.tries_at <= now
        if came or again or (now > asked.until and draft is None):
            if draft is None:
                waits.tries_at = ""
            given = [*waits.given, *came]
            facts = ((GIVEN, canonicalize(given).decode()),) if came else ()
            await conversation.reconsider(noting(*facts, evidence=tuple(map(evidence_of, came))))
            said = {(one.by, one.verdict, one.about) for one in verified(came, self._approvers(), now)}
            for other, one in self._waiting.items():
                if other[0] == key[0]:
                    one.given, one.known = given, one.known | said
        if draft is not None and waits.begun:
            await self._draft(conversation, draft, waits, now)
        if now > asked.until and self._waiting.get(key) is waits:
            del self._waiting[key]

    async def _came(self, waits: _Waits, now: Instant) -> list[JsonObject]:
        """What people said since the last look."""
        came: list[JsonObject] = []
        known = set(waits.known)
        for file, mark in statement_files(self._folder / waits.about.terms, waits.judged):
            try:
                document = read_document(file)
                if document in waits.given:
                    continue
                said = verify_approval(document, self._approvers(), now=now)
                if said.about.terms != waits.about.terms:
                    raise VerificationError("terms_mismatch", f"expected {waits.about}; came {said.about}")
            except UndersignedError as error:
                if mark not in waits.told:
                    _log.warning("an approval does not count", file=str(file), error=str(error))
                waits.told.add(mark)
                if not (error.retryable or of_the_system(error)):
                    waits.judged.add(mark)
                continue
            # An approval is of one negotiation or change, a refusal of the terms wherever they wait.
            elsewhere = said.verdict == "approve" and said.about != waits.about
            if elsewhere or (said.by, said.verdict, said.about) in known:
                waits.judged.add(mark)
                continue
            known.add((said.by, said.verdict, said.about))
            if said.verdict == "refuse":
                await refuse(self._agent.ledger, said, now)
            came.append(document)
        return came

    # ------------------------------------------------------------------ what we would offer

    async def _draft(self, conversation: Conversation, asked: AskedChange, waits: _Waits, now: Instant) -> None:
        """Offers it, or says why it will not be offered; neither while people have not decided."""
        standing = weigh(self._noted(conversation), waits.about, needed=asked.needed)
        if standing.state == "refused" or await refused(self._agent.ledger, waits.about.terms):
            await self._drop(conversation, asked, "a person refused it, for good")
        elif now > asked.until:
            what = "it was approved, and could not be offered" if standing.state == "approved" else "nobody decided"
            await self._drop(conversation, asked, f"{what} by {asked.until}")
        elif standing.state == "approved" and now >= waits.tries_at:
            try:
                await self._offers(conversation, asked)
            except ApprovalWanted:
                return  # somebody else has to agree as well, by now
            except UndersignedError as error:
                if not error.retryable:
                    await self._drop(conversation, asked, str(error))
                _log.warning("a change could not be offered", engagement=conversation.id, error=str(error))
                waits.tries_at = shift(now, AGAIN_SECONDS)

    async def _drop(
        self, conversation: Conversation, asked: AskedChange, why: str, facts: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Notes that it will not be offered, unless it was or that is noted."""
        dropped = replace(asked, change=replace(asked.change, dropped=why))

        def make(engagement: Engagement) -> Say | None:
            last = change_in(conversation.facts, OURS)
            if last is None or last.change.name != asked.change.name:
                return None
            if last.change.dropped or was_offered(conversation.facts, last.change):
                return None
            _log.warning("a change is not offered", engagement=conversation.id, change=last.change.name, why=why)
            return noting(*facts, fact(OURS, dropped))

        await conversation.ask(make)
