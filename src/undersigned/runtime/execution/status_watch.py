"""Whether what the other side showed still holds, while a contract runs.

The gate asks before each action; and every contract is looked at from time to time, so that one whose credential was
withdrawn ends though nobody acts under it, unless another one comes in its place in time. What cannot be looked up
stops the actions and ends nothing: it may be back in a moment.

Source: protocol-spec/02-identity-and-keys.md, sections 2.13 and 2.14
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from undersigned.credentials import Credential
from undersigned.encoding import Digest, EngagementId, Instant, seconds_between, shift
from undersigned.errors import CredentialError, LocalProtocolError, ScopeError, UndersignedError
from undersigned.ledger import Blob
from undersigned.messages import SuspendReason
from undersigned.protocol import Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.kept import signed_bytes
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.stand_ins import origin_of
from undersigned.runtime.engagement.turn import Say

from .renewal import RENEWABLE

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["StatusWatch"]

_log = structlog.get_logger()

WATCH_SECONDS: Final = 30.0
"""Between two looks at all contracts. A list is fetched again when its own time is over, so most looks cost nothing."""
RENEWAL_SECONDS: Final = 300.0
"""How long a contract waits, suspended, for another credential in the place of one that is revoked or past its end."""
MARGIN_SECONDS: Final = 2 * int(WATCH_SECONDS)
"""So much longer a contract is suspended than we wait."""
SUSPENDED: Final = "suspended-for-credential"
"""Fact: until when we suspended a contract for what does not hold. What its owner suspended, the owner resumes."""
AT_ONCE: Final = 64
ENDING_CODES: Final = ("revoked", "policy_denied")
WATCHED: Final = RENEWABLE
"""States in which somebody has authority, or is about to have it. What was delivered is still reviewed and paid."""


class StatusWatch:
    """Looks after the contracts of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.every_seconds = WATCH_SECONDS
        self.renewal_seconds = RENEWAL_SECONDS
        self._failing: dict[EngagementId, tuple[float, Instant]] = {}
        """How many seconds contracts have waited, and up to when that was counted."""
        self._resumed: dict[EngagementId, tuple[Instant, int]] = {}
        """When a `Resume` may be said again that the provider refused for good, and how long it was waited for."""

    async def run(self) -> None:
        """Returns when cancelled."""
        while True:
            await asyncio.sleep(self.every_seconds)
            watched = [c for c in self._agent.conversations.contracts.values() if c.engagement.state in WATCHED]
            # Several at a time: contracts with one peer wait for the same list, and a host that hangs holds up few.
            for some in (watched[at : at + AT_ONCE] for at in range(0, len(watched), AT_ONCE)):
                for came in await asyncio.gather(*map(self.look, some), return_exceptions=True):
                    if isinstance(came, Exception):
                        # One contract that cannot be looked at must not keep the others from it.
                        _log.error("a contract was not looked at", error=repr(came))

    async def require(self, contract: Digest) -> None:
        """Returns if an action under `contract` may go on, as far as the other side's credentials matter.

        Raises:
            ScopeError: `revoked`, `status_unavailable`, `status_invalid`; `policy_denied`, one is past its end.
        """
        conversation = self._agent.conversations.contracts.get(contract)
        if conversation is None:
            raise ScopeError("contract_expired", "the contract is not in force here", clause="contract")
        try:
            await self._agent.meeting.stands(conversation)
        except UndersignedError as error:
            raise ScopeError(error.code, error.message, clause="mustStayValid", would_pass="") from error

    async def look(self, conversation: Conversation) -> None:
        """Looks after one contract: what does not hold is asked for anew, and ends it if it stays away."""
        try:
            await self._agent.meeting.stands(conversation)
        except CredentialError as error:
            _log.warning("a credential does not hold", engagement=conversation.id, error=str(error))
            await self._does_not_hold(conversation, error)
        except UndersignedError as error:
            _log.warning("credentials were not looked up", engagement=conversation.id, error=str(error))
        else:
            await self._resume(conversation)
            renewals = self._agent.renewals
            if renewals.ends_soon(conversation) or renewals.has_news(conversation):
                await renewals.ask(conversation)
            self._failing.pop(conversation.id, None)

    async def revoking(self, conversation: Conversation, names: Digest | None) -> Callable[[Engagement], Say]:
        """What makes the `Terminate`, cause `revoked`, of an owner who does not wait for another credential; `names` is
        what the owner expects it to name, or the credential itself.

        Raises:
            LocalProtocolError: `wrong_state`: of what the terms name nothing is known to be revoked or past its end, or
                it is another one (HIRE-STA-09).
        """
        why = "all that the other side showed holds, by lists that are in their time"
        try:
            await self._agent.meeting.stands(conversation)
        except UndersignedError as error:
            found, why = error, error.message
            named = origin_of(conversation, str(error.detail.get("credential")))
            for_good = error.code in ENDING_CODES and error.detail.get("purpose") != "suspension"
            if for_good and named in conversation.offered().terms.must_stay_valid:
                said = _ending(conversation.engagement, named, found)
                if names in (None, said.body["names"], *said.body["evidence"]):
                    return lambda engagement: _ending(engagement, named, found)
                why = f"{why}, and not {names}"
        raise LocalProtocolError("wrong_state", f"expected a credential that the terms name, revoked or ended: {why}")

    def forget(self, engagement: EngagementId) -> None:
        """Drops what is remembered of a contract that is over."""
        self._failing.pop(engagement, None)
        self._resumed.pop(engagement, None)

    async def _does_not_hold(self, conversation: Conversation, error: CredentialError) -> None:
        if error.code not in ENDING_CODES:
            return  # it may hold: the gate refuses until that can be told
        if error.code == "policy_denied" and "credential" not in error.detail:
            # It ends nothing, for what was shown is as good as ever; but nobody is to wait at a gate and not know it.
            await self._suspend(conversation, "policy_denied", ends=False)
            if error.detail.keys() & {"accused", "refused"}:
                return  # nothing that it could show would change that
        now = self._agent.clock.now()
        waited, counted = self._failing.get(conversation.id, (0.0, now))
        # While our machine slept, or stood still until its clock leapt, nobody could show us anything.
        waited += min(seconds_between(counted, now), 2 * self.every_seconds)
        self._failing[conversation.id] = waited, now
        named = origin_of(conversation, str(error.detail.get("credential")))
        for_now = error.detail.get("purpose") == "suspension"
        # Where what was not agreed to be a reason ends nothing, the gate refuses, and it waits for as long as it takes.
        matters = named in conversation.offered().terms.must_stay_valid
        ends = matters and not for_now
        if matters:
            await self._suspend(conversation, "revoked", ends=ends)
        if ends and waited >= self.renewal_seconds:
            await self._terminate(conversation, named, error)
        else:
            last = ends and waited + self.every_seconds >= self.renewal_seconds
            await self._agent.renewals.ask(conversation, last=last)

    async def _suspend(self, conversation: Conversation, reason: SuspendReason, *, ends: bool) -> None:
        """Says, as the hirer, that the contract waits: until we end it, or for as long as there is a contract."""
        if not _may(conversation.engagement, "working"):
            return
        self._resumed.pop(conversation.id, None)
        terms = conversation.offered().terms
        # The provider may end it after that; our own end, which says why, comes before.
        over = shift(self._agent.clock.now(), int(self.renewal_seconds) + MARGIN_SECONDS)
        until = min(over, terms.deadlines.until) if ends else terms.deadlines.until

        def make(engagement: Engagement) -> Say | None:
            if not _may(engagement, "working"):
                return None
            body = {"contract": contract_of(engagement).digest, "reason": reason, "until": until}
            return Say("Suspend", body, facts=((SUSPENDED, until),))

        await self._say(conversation, make)

    async def _resume(self, conversation: Conversation) -> None:
        """Says that it goes on, if it was suspended for what holds again now."""
        if not _may(conversation.engagement, "suspended") or not self._agent.above.working(conversation):
            return  # most looks find nothing to say, and take no turn
        now = self._agent.clock.now()
        again, pause = self._resumed.get(conversation.id, (now, int(WATCH_SECONDS)))
        if now < again:
            return  # else what the provider refuses for good would be lines of our journal for ever
        self._resumed[conversation.id] = shift(now, pause), 2 * pause

        def make(engagement: Engagement) -> Say | None:
            if not _may(engagement, "suspended"):
                return None
            contract = contract_of(engagement)
            if contract.suspended_until != conversation.facts.get(SUSPENDED):
                return None
            return Say("Resume", {"contract": contract.digest, "reason": "resolved"})

        await self._say(conversation, make)

    async def _say(self, conversation: Conversation, make: Callable[[Engagement], Say | None]) -> None:
        try:
            await conversation.ask(make)
        except LocalProtocolError as exc:
            _log.warning("a suspension, or its end, was not said", engagement=conversation.id, error=str(exc))

    async def _terminate(self, conversation: Conversation, named: Digest, error: CredentialError) -> None:
        def make(engagement: Engagement) -> Say | None:
            return _ending(engagement, named, error) if engagement.state in WATCHED else None

        await self._say(conversation, make)


def _may(engagement: Engagement, state: str) -> bool:
    return (engagement.role, engagement.state) == ("hirer", state)


def _ending(engagement: Engagement, named: Digest, error: UndersignedError) -> Say:
    if engagement.state not in WATCHED:
        raise LocalProtocolError(
            "wrong_state", f"Terminate revoked in {engagement.state}: what is done is reviewed and paid"
        )
    shown, ended = error.detail.get("evidence"), str(error.detail.get("credential"))
    found = shown if isinstance(shown, Credential) else None
    body = {
        "contract": contract_of(engagement).digest,
        "cause": "revoked",
        # What shows it: the list that says so, or the credential whose own end has come.
        "names": ended if found is None else found.digest,
        # The one that the terms name; and the one that stood in its place, if another did.
        "evidence": tuple(dict.fromkeys((named, ended))),
    }
    return Say("Terminate", body, evidence=() if found is None else (_kept(found),))


def _kept(credential: Credential) -> Blob:
    """A status list as evidence: in the form whose digest is the one that the move names."""
    return Blob(digest=credential.digest, raw=signed_bytes(credential), kind="status-list", name=credential.issuer)
