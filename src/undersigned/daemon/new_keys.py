"""DID documents of those who sign requests, a fresh one where a request names a key that is not in the one at hand.

It may be a new one: work that goes on with it after a restart asks before its connection is proved by it.

Source: protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import asyncio
from typing import Final

from undersigned.did import DidDocument
from undersigned.encoding import Did
from undersigned.runtime import Agent
from undersigned.transport import FailureBudget

__all__ = ["LOOK_UPS", "NewKeys"]

LOOK_UPS: Final = 6
LOOK_UP_SECONDS: Final = 60.0
"""In so many seconds, so many times is one party looked up for this."""


class NewKeys:
    """Looks up for one door of `agent`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._look_ups = FailureBudget(LOOK_UPS, LOOK_UP_SECONDS)

    async def document_of(self, signer: Did, keyid: str | None, max_age_seconds: float) -> DidDocument:
        """The signer's DID document: one at most so old, or a fresh one, if that has no such key for requests. `keyid`
        is as anybody writes it; None: no key is asked for.

        Raises:
            ResolutionError, VerificationError: As `Agent.document_of`.
        """
        document, at = self._agent.known_document(signer, max_age_seconds), asyncio.get_running_loop().time()
        if document is not None:
            known = keyid is None or keyid in document.methods("authentication")
            if known or self._look_ups.exhausted(signer, at):
                return document
            self._look_ups.count(signer, at)
        # Where none is at hand it may be known that there is none any more, which is asked of nobody again.
        return await self._agent.document_of(signer, 0.0 if document is not None else max_age_seconds)
