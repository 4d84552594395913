"""Where the other parties of an agent's engagements are: where each listens, and what it serves beside that.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from undersigned.encoding import Did, Digest, EngagementId
from undersigned.errors import ConfigurationError, ResolutionError, TransportError, UndersignedError
from undersigned.protocol import Engagement
from undersigned.runtime.log.logbook import beside, log_url
from undersigned.runtime.negotiation.order import order_in
from undersigned.transport import is_loopback_name

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase
    from undersigned.runtime.engagement.conversation import Conversation

__all__ = ["LOCAL_ONLY", "PROVING_SECONDS", "Whereabouts", "checked_url"]

PROVING_SECONDS: Final = 10
"""How old the DID document may be by which a connection is proved, or of who was not reached by an older one."""
MOST_ANEW: Final = 8
"""Documents that are looked up anew at a time: peers that are gone leave the other look-ups to who is there."""
LOCAL_ONLY = "only local state may go there: 'init --local', 'discover --local' or 'conform --local'"


class Whereabouts:
    """What the orders of one agent say of where their providers listen, and what DID documents say of everybody."""

    def __init__(self, agent: AgentBase, missed: Callable[[Did], bool]) -> None:
        """`missed` says whether the last attempt to reach a peer failed."""
        self._agent = agent
        self._missed = missed
        self._urls: dict[EngagementId, str] = {}
        """Where the order of an engagement says that its provider listens."""
        self._anew = 0
        """Documents that are looked up anew."""

    def note(self, engagement: EngagementId, url: str | None) -> None:
        """Goes by what the order of an engagement says, if it says anything."""
        if url is not None:
            self._urls[engagement] = url

    def recall(self, conversation: Conversation) -> None:
        """The same of the order that an engagement was begun with, if it was by us."""
        order = order_in(conversation.facts)
        if order is not None:
            self.note(conversation.id, order.url)

    def forget(self, engagement: EngagementId) -> None:
        """Lets go of what the order of an engagement that is over said."""
        self._urls.pop(engagement, None)

    def wanted(self, peer: Did) -> bool:
        """Whether a connection to `peer` is worth having to us, for anything that is not over."""
        return any(not one.over and _comes_for(one.engagement) for one in self._agent.conversations.of(peer))

    async def locate(self, peer: Did) -> tuple[str, ...]:
        """Where each live engagement with `peer` looks for it, the newest engagement's place first.

        An order's URL is its own engagement's. It may be a wrong one, and whoever asks later is not to suffer for it.
        Once something binds it may be one of before: where the document says that its peer listens now comes last.

        Raises:
            ResolutionError, VerificationError: Its DID document was not had, and an engagement goes by that.
        """
        agent = self._agent
        # Engagements come and go while a document is fetched, so they are looked at before.
        open_here = agent.conversations.of(peer)
        named = [self._urls.get(one.id) for one in open_here]
        bound = any(_may_be_bound(one.engagement) for one in open_here)
        published: tuple[str, ...] = ()
        if None in named or bound:
            try:
                published = await self._published(peer)
            except UndersignedError:
                if None in named:
                    raise
        found: dict[str, None] = {}
        for url in reversed(named):
            found.update(dict.fromkeys(published if url is None else (url,)))
        if bound:
            found.update(dict.fromkeys(published))
        return tuple(found)

    async def _published(self, peer: Did) -> tuple[str, ...]:
        """Where its document says that `peer` listens: that of now, if it was not reached, for it may have moved."""
        agent = self._agent
        if self._missed(peer) and self._anew < MOST_ANEW:
            self._anew += 1
            try:
                # If it is not to be had, it is where it was.
                with suppress(ResolutionError):
                    await agent.document_of(peer, PROVING_SECONDS)
            finally:
                self._anew -= 1
        return (await agent.document_of(peer)).services("HireService")[:1]

    async def artifact_url(self, peer: Did, digest: Digest) -> str:
        """Where `peer` serves an artifact of which it did not say where it is: beside its listener.

        Raises:
            TransportError: `unreachable`, nobody says where it listens, or what says so is no URL.
            ResolutionError, VerificationError: As `locate`.
        """
        for url in await self.locate(peer):
            return f"{beside(url)}/artifacts/{digest}"
        raise TransportError("unreachable", f"nobody says where {peer} listens")

    async def log_url(self, peer: Did) -> str:
        """Where `peer` serves its log.

        Raises:
            ResolutionError, VerificationError: Its DID document was not had.
            TransportError: `unreachable`, it says no place.
        """
        agent = self._agent
        return log_url(await agent.document_of(peer), local=agent.home.configuration.local)


def _comes_for(engagement: Engagement) -> bool:
    """Whether this side goes to its peer for an engagement. Who asks a provider for something comes for it; until there
    is an acceptance the provider goes nowhere, or anybody could have it dial any address, by naming it as its own.
    """
    return engagement.role == "hirer" or _may_be_bound(engagement)


def _may_be_bound(engagement: Engagement) -> bool:
    """Whether there is a contract, or an acceptance of which the other side may have made one."""
    return engagement.contract is not None or engagement.state.startswith("accepted-by-")


def checked_url(text: str | None, local: bool, option: str = "--at") -> str | None:
    """The URL of `--at`, or of another option or argument, once it has the shape of one that is dialled.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if text is None:
        return None
    schemes = ("wss", "ws") if local else ("wss",)
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        bare = local and parts.scheme == "ws" and not is_loopback_name(host)
        more = parts.username or parts.password or parts.fragment
        usable = parts.scheme in schemes and host != "" and parts.port != 0 and not bare and not more
    except ValueError:
        usable = bare = False
    if not usable:
        example = "ws://localhost:8102/hire" if local else "wss://agents.example.com/hire"
        scheme = text.partition(":")[0].lower()
        hint = ""
        if scheme in ("http", "https"):
            hint = f"; a peer is reached by a WebSocket, so expected {' or '.join(schemes)} in place of {scheme}"
        elif bare:
            hint = "; ws:// goes to localhost or 127.0.0.1 alone, anywhere else it has to be wss://"
        elif scheme == "ws" and not local:
            hint = f"; {LOCAL_ONLY}"
        raise ConfigurationError("bad_configuration", f"{option}: expected a URL such as {example}, got {text!r}{hint}")
    return text
