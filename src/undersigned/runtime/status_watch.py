"""Whether what the other side showed still holds, while a contract runs.

The gate asks before each action; and every contract is looked at from time to time, so that one whose credential was
withdrawn ends though nobody acts under it. What cannot be looked up stops the actions and ends nothing: it may be back
in a moment.

Source: protocol-spec/02-identity-and-keys.md, section 2.13
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from undersigned.credentials import Credential
from undersigned.encoding import Digest
from undersigned.errors import CredentialError, LocalProtocolError, ScopeError, UndersignedError
from undersigned.ledger import Blob
from undersigned.protocol import Engagement

from .conversation import Conversation
from .kept import signed_bytes
from .turn import Say

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["StatusWatch"]

_log = structlog.get_logger()

WATCH_SECONDS: Final = 30.0
"""Between two looks at all contracts. A list is fetched again when its own time is over, so most looks cost nothing."""
AT_ONCE: Final = 64
WATCHED: Final = frozenset({"sealed", "working"})
"""States in which somebody has authority, or is about to have it. What was delivered is still reviewed and paid."""


class StatusWatch:
    """Looks after the contracts of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.every_seconds = WATCH_SECONDS

    async def run(self) -> None:
        """Returns when cancelled."""
        while True:
            await asyncio.sleep(self.every_seconds)
            watched = [c for c in self._agent.conversations.values() if c.engagement.state in WATCHED]
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
        conversation = self._agent.conversation_of(contract)
        if conversation is None:
            raise ScopeError("contract_expired", "the contract is not in force here", clause="contract")
        try:
            await self._agent.meeting.stands(conversation)
        except UndersignedError as error:
            raise ScopeError(error.code, error.message, clause="mustStayValid", would_pass="") from error

    async def look(self, conversation: Conversation) -> None:
        """Ends a contract if a credential that must stay valid is not any more."""
        try:
            await self._agent.meeting.stands(conversation)
        except CredentialError as error:
            _log.warning("a credential does not hold", engagement=conversation.id, error=str(error))
            ended = error.detail.get("credential")
            named = conversation.offered().terms.must_stay_valid
            for_now = error.detail.get("purpose") == "suspension"
            if ended not in named or for_now or error.code not in ("revoked", "policy_denied"):
                return  # the gate refuses; what was not agreed to be a reason ends nothing
            await self._terminate(conversation, str(ended), error.detail.get("evidence"))
        except UndersignedError as error:
            _log.warning("credentials were not looked up", engagement=conversation.id, error=str(error))

    async def _terminate(self, conversation: Conversation, credential: Digest, shown: object) -> None:
        found = shown if isinstance(shown, Credential) else None
        blobs = () if found is None else (_kept(found),)

        def make(engagement: Engagement) -> Say | None:
            contract = engagement.contract
            if contract is None or engagement.state not in WATCHED:
                return None
            body = {
                "contract": contract.digest,
                "cause": "revoked",
                # What shows it: the list that says so, or the credential whose own end has come.
                "names": credential if found is None else found.digest,
                "evidence": (credential,),
            }
            return Say("Terminate", body, evidence=blobs)

        try:
            await conversation.ask(make)
        except LocalProtocolError as error:
            _log.warning("not terminated", engagement=conversation.id, error=str(error))


def _kept(credential: Credential) -> Blob:
    """A status list as evidence: in the form whose digest is the one that the move names."""
    return Blob(digest=credential.digest, raw=signed_bytes(credential), kind="status-list", name=credential.issuer)
