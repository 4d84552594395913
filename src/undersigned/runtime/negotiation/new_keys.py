"""DID documents of those who sign, a fresh one where something names a key that is not in the one at hand.

It may be a new one: work that goes on with it after a restart asks before its connection is proved by it, and what an
issuer signs by its new key is shown to those who looked up the keys before.

Source: protocol-spec/02-identity-and-keys.md, section 2.5; protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from undersigned.credentials import Credential
from undersigned.did import DidDocument
from undersigned.encoding import Did
from undersigned.errors import UndersignedError
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

    async def of_issuers(
        self, credentials: Iterable[Credential], documents: Mapping[Did, DidDocument], refused: UndersignedError
    ) -> dict[Did, DidDocument]:
        """`documents` by which these credentials were `refused`, with fresh ones of issuers whose key was not there.

        Raises:
            UndersignedError: `refused`: it is for something else, or there is no newer document to be had.
        """
        lacking: set[Did] = set()
        if refused.code == "key_not_authorized":
            lacking = {
                one.issuer for one in credentials if one.method not in documents[one.issuer].methods("assertionMethod")
            }
        asked = [one for one in sorted(lacking) if self._may_look_up(one)]
        try:
            found = await self._agent.documents_of(asked, 0.0)
        except UndersignedError:
            raise refused from None
        if all(documents[did].raw_digest == document.raw_digest for did, document in found.items()):
            raise refused
        return {**documents, **found}

    def _may_look_up(self, signer: Did) -> bool:
        """Whether it is not too often; it is counted."""
        at = asyncio.get_running_loop().time()
        if self._look_ups.exhausted(signer, at):
            return False
        self._look_ups.count(signer, at)
        return True
