"""What one side of a contract says about it for itself while it is performed, beside the work: what its owner asks for.

A side may say at any time what the tables allow; each method makes one move.

Source: protocol-spec/07-contract.md, sections 7.9 to 7.11
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from undersigned.contract import ArbiterRuling, read_ruling, ruled_by
from undersigned.encoding import Digest, Instant, JsonObject, parse_duration, shift
from undersigned.errors import LocalProtocolError
from undersigned.ledger import Blob
from undersigned.protocol import Engagement, arbiters
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.documents import document_blob
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import Say, withdrawal
from undersigned.runtime.fetching.gather import FRESH_SECONDS

from .requests import RequestAnswers
from .settlement import Paid

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["Moves"]


class Moves:
    """What is said for one agent about its contracts."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._key = ""
        self.answers = RequestAnswers(agent, self.approve)

    def noting(self, key: str) -> Self:
        """The same, whose one move notes `key` as done in its own transaction, and is not made if that is noted."""
        moves = copy(self)
        moves._key = key
        return moves

    async def _ask(self, conversation: Conversation, make: Callable[[Engagement], Say]) -> None:
        def once(engagement: Engagement) -> Say | None:
            if self._key in engagement.done:
                return None
            said = make(engagement)
            return replace(said, facts=(*self._done, *said.facts)) if self._key else said

        await conversation.ask(once)

    @property
    def _done(self) -> tuple[tuple[str, str], ...]:
        """The fact that the key is done with; none without a key."""
        return (("done", self._key),) if self._key else ()

    def _in(self, engagement: Engagement, seconds: int) -> tuple[Instant, Instant]:
        """Now, and in `seconds`: so many after what is said now is recorded, though the clock was set back."""
        now = self._agent.clock.now()
        return now, shift(max(now, engagement.last_at or ""), seconds)

    async def suspend(self, conversation: Conversation, *, seconds: int, reason: str = "incident") -> None:
        """No authority for now; past `seconds` the provider may end the contract.

        Raises:
            LocalProtocolError: Not ours to say now.
        """
        until = shift(self._agent.clock.now(), seconds)
        await self._say(conversation, "Suspend", reason=reason, until=until)

    async def resume(self, conversation: Conversation, *, reason: str = "resolved") -> None:
        """It goes on. Raises as `suspend`.

        Raises:
            ScopeError: `contract_expired`: the contract above it gives no authority now (HIRE-SUB-07).
        """

        def make(engagement: Engagement) -> Say:
            self._agent.subcontracts.shares.require(conversation, conversation.offered(engagement).terms)
            return Say("Resume", {"contract": contract_of(engagement).digest, "reason": reason})

        await self._ask(conversation, make)

    async def cancel(
        self, conversation: Conversation, *, seconds: int | None = None, reason: str = "no_longer_needed"
    ) -> None:
        """The provider is to stop in order, and to hand over what there is within `seconds` (default: the least the
        terms leave it); past them we may end the contract. Raises as `suspend`.
        """

        def make(engagement: Engagement) -> Say:
            least = parse_duration(conversation.offered(engagement).terms.deadlines.wind_down)
            return self.cancelling(engagement, least if seconds is None else seconds, reason)

        await self._ask(conversation, make)

    def cancelling(self, engagement: Engagement, seconds: int, reason: str) -> Say:
        """The `Cancel` that leaves the provider so many seconds."""
        now, by = self._in(engagement, seconds)
        body = {"contract": contract_of(engagement).digest, "reason": reason, "wind_down": by}
        return Say("Cancel", body, at=now)

    async def withdraw(self, conversation: Conversation) -> None:
        """Ends a negotiation, of which no contract comes then.

        Raises:
            LocalProtocolError: It cannot be ended so now: there is a contract, or an acceptance waits for its answer.
        """

        def make(engagement: Engagement) -> Say:
            text = ""
            if engagement.contract is not None:
                text = f"there is a contract, {engagement.contract.digest}, which 'contract cancel' or 'revoke' ends"
            elif engagement.state == "withdrawn":
                text = "it is withdrawn already: nothing of it is left to be done"
            elif engagement.state.startswith("accepted-by-"):
                text = "an acceptance waits for its answer; if a contract comes of it, 'contract cancel' ends that"
            if text:
                raise LocalProtocolError("wrong_state", text)
            return withdrawal(engagement, "changed")

        await self._ask(conversation, make)

    async def revoke(
        self,
        conversation: Conversation,
        *,
        cause: str = "key_compromised",
        names: Digest | None = None,
        evidence: tuple[Digest, ...] = (),
    ) -> None:
        """The end of the contract, for a cause that it allows. Which credential is `revoked`, and what shows that, is
        looked up; `names` is what the owner expects of it: the list that says so, or the credential.

        Raises:
            LocalProtocolError: As `suspend` and `StatusWatch.revoking`; `wrong_state`, it is something else, or
                `parent`: that the contract above has ended the peer says by itself, as soon as it has.
        """
        if cause == "revoked":
            await self._ask(conversation, await self._agent.status_watch.revoking(conversation, names))
            return
        if cause == "parent":
            text = "expected a cause in this contract; that the one above has ended its hirer's peer says by itself"
            raise LocalProtocolError("wrong_state", text)
        await self._say(conversation, "Terminate", cause=cause, names=names, evidence=evidence)

    async def claim_breach(
        self, conversation: Conversation, clause: str, *, seconds: int, evidence: tuple[Digest, ...] = ()
    ) -> Digest:
        """The claim that the other side broke a clause, to be cured in `seconds`; its digest. Raises as `suspend`."""

        def make(engagement: Engagement) -> Say:
            now, by = self._in(engagement, seconds)
            contract = contract_of(engagement).digest
            return Say("Breach", {"contract": contract, "clause": clause, "evidence": evidence, "cure_by": by}, at=now)

        await self._ask(conversation, make)
        engagement = conversation.engagement
        return [one.move for one in contract_of(engagement).breaches if one.role == engagement.role][-1]

    async def dispute(
        self, conversation: Conversation, claim: str, *, about: Digest | None = None, seconds: int = 7 * 24 * 3600
    ) -> Digest:
        """The outcome put before the arbiter; the digest of the `Dispute`. `about` is a move; by default what ended the
        contract, or the contract itself. Raises as `suspend`.
        """

        def make(engagement: Engagement) -> Say:
            if not arbiters(engagement):
                text = "the terms name no arbiter: one offers 'contract amend --arbiter', the other side accepts that"
                raise LocalProtocolError("terms_mismatch", text)
            contract = contract_of(engagement)
            last = contract.endings[-1].move if contract.endings else contract.delivery or contract.digest
            now, by = self._in(engagement, seconds)
            body = {"contract": contract.digest, "about": about or last, "claim": claim, "evidence": ()}
            return Say("Dispute", {**body, "ruling_by": by}, at=now)

        await self._ask(conversation, make)
        engagement = conversation.engagement
        return [one.digest for one in contract_of(engagement).disputes if one.role == engagement.role][-1]

    async def rule(self, conversation: Conversation, ruling: JsonObject) -> ArbiterRuling:
        """Carries the arbiter's signed ruling to the other side, once it is known to be the arbiter's.

        Raises:
            FormatError, VerificationError: It is not.
            LocalProtocolError: There is no such dispute.
        """
        kept, read = await self.check_ruling(conversation.engagement, ruling), read_ruling(ruling)
        body = {"dispute": read.dispute, "ruling": ruling}
        await self._ask(conversation, lambda _: Say("Ruling", body, evidence=kept))
        return read

    async def check_ruling(self, engagement: Engagement, ruling: Mapping[str, Any]) -> tuple[Blob, ...]:
        """The DID document of an arbiter that may rule, to be kept, once the ruling is known to be its.

        Raises:
            FormatError, VerificationError: It is not.
            LocalProtocolError: `terms_mismatch`: the terms name no arbiter.
        """
        named = arbiters(engagement)
        if not named:
            raise LocalProtocolError("terms_mismatch", "the terms name no arbiter")
        arbiter = ruled_by(ruling, named)
        document = await self._agent.document_of(arbiter, max_age_seconds=FRESH_SECONDS)
        self._agent.papers.check_ruling(ruling, arbiter, document)
        return (document_blob(document),)

    async def judge(self, conversation: Conversation, statement: JsonObject) -> None:
        """Our `Review`, with the signed statement of the verifier that the terms name (HIRE-ATT-06).

        Raises:
            LocalProtocolError, VerificationError, FormatError: As `Reviews.judged`.
        """
        said = await self._agent.reviews.judged(conversation, statement)
        await self._ask(conversation, lambda _: said)

    async def review(self, conversation: Conversation, criteria: Mapping[str, object]) -> None:
        """Our `Review` by a person's word, where no function of ours says it: which criteria are met, each by its id.
        Whether the delivery and its statements hold is looked at all the same.

        Raises:
            ConfigurationError: `bad_configuration`: one is left out, or the contract has none of that name.
            LocalProtocolError, UndersignedError: As `Reviews.by_person`.
        """
        said = await self._agent.reviews.by_person(conversation, criteria)
        await self._ask(conversation, lambda _: said)

    async def approve(
        self,
        conversation: Conversation,
        request: Digest,
        *,
        granted: bool,
        uses: int = 1,
        seconds: int = 3600,
        reason: str | None = None,
    ) -> None:
        """The answer to a request for approval: a yes is good for `uses` of exactly what was asked, for so many
        seconds. Raises as `suspend`; a yes also if it comes too late.
        """
        body = {"request": request, "granted": granted, "uses": uses if granted else 0, "reason": reason}
        until = shift(self._agent.clock.now(), seconds)
        await self._ask(conversation, lambda _: Say("Approval", {**body, "until": until}))

    async def settle(
        self, conversation: Conversation, *, paid: bool, reference: str | None = None, note: str | None = None
    ) -> None:
        """The owner's word about the payment. Raises as `Settlements.confirm`."""
        if self._key not in conversation.engagement.done:
            word = Paid(paid=paid, reference=reference, note=note)
            await self._agent.settlements.confirm(conversation, word, facts=self._done)

    async def _say(self, conversation: Conversation, kind: str, **body: Any) -> None:
        await self._ask(conversation, lambda e: Say(kind, {"contract": contract_of(e).digest, **body}))
