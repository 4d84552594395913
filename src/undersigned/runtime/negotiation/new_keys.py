"""DID documents of those who sign, a fresh one where something names a key that is not in the one at hand.

It may be a new one: work that goes on with it after a restart asks before its connection is proved by it, and what an
issuer signs by its new key is shown to those who looked up the keys before.

Source: protocol-spec/02-identity-and-keys.md, section 2.5; protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from undersigned.did import DidDocument
from undersigned.encoding import Did
from undersigned.errors import UndersignedError
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.transport import FailureBudget

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["LOOK_UPS", "NewKeys"]

LOOK_UPS: Final = 6
LOOK_UP_SECONDS: Final = 60.0
"""In so many seconds, so many times is one party looked up for this: whoever asks may write the name of any."""


class NewKeys:
    """Looks up for one place of `agent` where signatures come in."""

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self._look_ups = FailureBudget(LOOK_UPS, LOOK_UP_SECONDS)

    async def document_of(self, signer: Did, keyid: str | None, max_age_seconds: float) -> DidDocument:
        """The signer's DID document: one at most so old, or a fresh one, if that has no such key for requests. `keyid`
        is as anybody writes it; None: no key is asked for.

        Raises:
            ResolutionError, VerificationError: As `Agent.document_of`.
        """
        document = self._agent.known_document(signer, max_age_seconds)
        if document is not None and (
            keyid is None or keyid in document.methods("authentication") or not self._may_look_up(signer)
        ):
            return document
        # Where none is at hand it may be known that there is none any more, which is asked of nobody again.
        return await self._agent.document_of(signer, 0.0 if document is not None else max_age_seconds)

    async def renewed(self, refused: UndersignedError) -> Did | None:
        """Whose document at hand is another one now than that by which something was `refused`, because the key was not
        listed there; None: it was refused for something else, or there is no other one to be had.
        """
        document = refused.detail.get("unlisted")
        if not isinstance(document, DidDocument):
            return None
        found = self._agent.known_document(document.id, FRESH_SECONDS)
        if (found is None or found.raw_digest == document.raw_digest) and self._may_look_up(document.id):
            with suppress(UndersignedError):
                found = await self._agent.document_of(document.id, 0.0)
        return document.id if found is not None and found.raw_digest != document.raw_digest else None

    def _may_look_up(self, signer: Did) -> bool:
        """Whether it is not too often; it is counted."""
        at = asyncio.get_running_loop().time()
        if self._look_ups.exhausted(signer, at):
            return False
        self._look_ups.count(signer, at)
        return True
