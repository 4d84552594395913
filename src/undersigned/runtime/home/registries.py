"""Trust registries of the configuration, asked over HTTPS; what they answer is kept for its own time.

What is asked and what an answer says is decided in `undersigned.trust`; here it only comes in. Everything that goes
wrong is no edge: a registry that cannot be asked says nothing, and that is told.

Source: protocol-spec/12-trust.md, section 12.11
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from msgspec import Struct

from undersigned.encoding import Did
from undersigned.errors import CredentialError, UndersignedError
from undersigned.runtime.clock import Clock
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.trust import (
    MAX_ANSWER_BYTES,
    Edge,
    RegistryAnswer,
    RegistryAsk,
    read_answer,
    recognition_asks,
    registry_asks,
)

from .home import Home

__all__ = ["RegistryKeeper", "RegistryWord"]

MOST_KEPT: Final = 4096
AT_ONCE: Final = 8
"""Questions to one registry: whoever names issuers has it asked, and where it hangs, all else is looked up still."""


class RegistryWord(Struct, frozen=True):
    """What all registries say to one question."""

    edges: tuple[Edge, ...]
    answers: tuple[RegistryAnswer, ...]
    """All that were given, yes or no: evidence of the edges, and of there being none."""
    failures: tuple[CredentialError, ...]
    """One for each answer that could not be had."""


class RegistryKeeper:
    """One per peer, or per command; what it fetches goes through `gatherer`."""

    def __init__(self, home: Home, gatherer: Gatherer, clock: Clock) -> None:
        self._home = home
        self._gatherer = gatherer
        self._clock = clock
        self._kept: OrderedDict[RegistryAsk, RegistryAnswer] = OrderedDict()
        self._places = {registry.url: asyncio.Semaphore(AT_ONCE) for registry in home.registries}

    async def word(self, issuer: Did, credential_type: str, capability: str | None) -> RegistryWord:
        """Whom the registries entitle to attest this, as far as `issuer` is concerned; nothing if none is configured.

        Raises:
            ConfigurationError: `key_unavailable`, the token for one cannot be read.
        """
        registries, resource = self._home.registries, capability or credential_type
        answers, failures = await self._answers(registry_asks(issuer, credential_type, capability, registries))
        more = await self._answers(recognition_asks(issuer, answers, resource, registries))
        answers, failures = answers + more[0], failures + more[1]
        edges = tuple(answer.edge for answer in answers if answer.edge is not None)
        return RegistryWord(edges, answers, failures)

    async def _answers(
        self, asks: tuple[RegistryAsk, ...]
    ) -> tuple[tuple[RegistryAnswer, ...], tuple[CredentialError, ...]]:
        found = await asyncio.gather(*(self._answer(ask) for ask in asks), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, CredentialError):
                raise one
        return (
            tuple(one for one in found if isinstance(one, RegistryAnswer)),
            tuple(one for one in found if isinstance(one, CredentialError)),
        )

    async def _answer(self, ask: RegistryAsk) -> RegistryAnswer:
        kept = self._kept.get(ask)
        if kept is not None and self._clock.now() <= kept.until:
            self._kept.move_to_end(ask)
            return kept
        # A connection that is kept may be closed under the next question, and posting is not tried again by itself.
        headers = [("Content-Type", "application/json"), ("Accept", "application/json"), ("Connection", "close")]
        if (token := self._home.registry_token(ask.registry)) is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        try:
            async with asyncio.timeout(self._gatherer.limits.seconds), self._places[ask.registry.url]:
                raw = await self._gatherer.fetch(
                    ask.url, max_bytes=MAX_ANSWER_BYTES, headers=tuple(headers), body=ask.body
                )
        except (UndersignedError, TimeoutError) as exc:
            why = exc.message if isinstance(exc, UndersignedError) else "it is asked too much at once"
            text = f"{ask.url} did not say whether {ask.authority} lets {ask.entity}: {why}"
            raise CredentialError("registry_unavailable", text) from exc
        answer, meanwhile = read_answer(raw, ask, self._clock.now()), self._kept.get(ask)
        if meanwhile is not None and meanwhile.evaluated > answer.evaluated:
            return meanwhile  # it overtook this one on its way
        self._kept[ask] = answer
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer
