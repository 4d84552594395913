"""What every part of an agent stands on: its state folder, clock, identity, store, engagements, and background tasks.

Source: protocol-spec/01-overview.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId
from undersigned.errors import ConfigurationError, LocalProtocolError
from undersigned.ledger import Ledger

from .clock import Clock, SystemClock
from .engagement.conversations import Conversations
from .engagement.kept import KeptInputs
from .engagement.waking import closing_error
from .engagement.watchers import Watchers
from .fetching.gather import USUAL_SECONDS, Gatherer
from .fetching.other_side import NoListener, OtherSide
from .fetching.seen_histories import SeenHistories
from .fetching.status_keeper import StatusKeeper
from .home.home import Home
from .home.own_keys import own_identity

__all__ = ["AgentBase"]

_log = structlog.get_logger()


class AgentBase:
    """An agent without its judgement and its work. Parts of an agent that need no more than this ask for no more."""

    def __init__(self, home: Home, *, clock: Clock | None, suite: str | None) -> None:
        """`suite` as for `Agent`."""
        configuration = home.configuration
        key = home.key("agent")
        self.home = home
        self.own_log = home.log()
        """The log of our DID, if its method keeps one, up to `own`: what is rotated while we run counts once we sign by
        it, after a restart. Read between the key and `own`, which have to go together.
        """
        self.own = home.document()
        self.clock: Clock = clock or SystemClock()
        self.identity = own_identity(key, self.own, suite, folder=home.path, now=self.clock.now())
        self.organisation = home.organisation_document()
        self.log_key = key if key.public_key.kind == "Ed25519" else home.key("log")
        """Signs checkpoints of our log."""
        self.tls = home.tls()
        self.gatherer = Gatherer(
            local=configuration.local,
            ssl=self.tls,
            now=self.clock.now,
            moved=configuration.moved,
            resolver=configuration.resolver,
            seen=SeenHistories(home.histories),
        )
        self.statuses = StatusKeeper(self.gatherer, self.document_of, self.clock)
        self.watchers = Watchers(self.clock)
        self.conversations = Conversations()
        self.artifacts = home.open_artifacts()
        self.max_artifact_bytes = configuration.artifacts.max_bytes
        """Most bytes of an artifact or input where the contract says nothing."""
        self.other_side: OtherSide = NoListener()
        """Asks servers of the other side of a contract; set by what listens for this agent."""
        self.kept_inputs = KeptInputs()
        self.base_url = (configuration.listen.url or "").rstrip("/")
        """Where others reach our public listener; known once it listens."""
        self.closing = False
        self.waits: set[Callable[[], None]] = set()
        """Hear it when this side closes, since nothing that they wait for will happen then."""
        self._ledger: Ledger | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where it runs, from its start to its end."""
        self.ready = asyncio.Event()
        """Set from its start on until it closes. Whoever waits for it goes on at the next turn of the loop: what the
        application says that it offers, right after the start returned, counts for what goes on from before.
        """
        self._tasks: set[asyncio.Task[None]] = set()
        self.late_seconds = 5.0
        """After which a close says in the log what it waits for."""

    def __reduce__(self) -> NoReturn:
        """It has keys, a ledger and connections, which go to no other process."""
        raise TypeError(
            "a peer is not pickled or copied: whoever needs one opens the state folder in a process of its own"
        )

    @property
    def ledger(self) -> Ledger:
        """The open ledger."""
        if self._ledger is None:
            raise LocalProtocolError("store_unavailable", "the agent is not started")
        return self._ledger

    def require_started(self) -> None:
        """Returns if it is started in the event loop that runs here, and not closed since.

        Raises:
            LocalProtocolError: `wrong_state`; `connection_closed`.
        """
        if self._ledger is None:
            hint = "the peer is not started: async with Peer.open(...) as peer, and use it inside"
            raise closing_error() if self.closing else LocalProtocolError("wrong_state", hint)
        self.require_loop()

    def require_loop(self) -> None:
        """Returns if it was started in the event loop that runs here, or in none.

        Raises:
            LocalProtocolError: `wrong_state`.
        """
        if self._loop not in (None, asyncio.get_running_loop()):
            hint = "the peer was started in another event loop, and is used there alone: one asyncio.run for all of it"
            raise LocalProtocolError("wrong_state", hint)

    @contextmanager
    def _claimed(self) -> Generator[None]:
        """Inside the block it is started, which it stays unless that fails.

        Raises:
            LocalProtocolError: `wrong_state`: it was before. A second start would take the place of what runs.
        """
        if self._loop is not None:
            raise LocalProtocolError("wrong_state", "the peer is started already: enter it once, and share it")
        self._loop, self.ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            yield
        except BaseException:
            self._loop = None
            raise
        self.ready.set()

    def _forget_loop(self) -> None:
        self._loop = None

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs something in the background until the agent closes."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None or (isinstance(error, LocalProtocolError) and error.code == "connection_closed"):
            return  # what our own close cuts short goes on at the next start
        _log.error("a task failed", task=task.get_name(), exc_info=error)

    async def _end_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        late = asyncio.get_running_loop().call_later(self.late_seconds, self._tell_late)
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            late.cancel()

    def _tell_late(self) -> None:
        names = sorted(task.get_name() for task in self._tasks)
        hint = "code of the application that catches CancelledError, as a bare except does, has to raise it again"
        _log.warning("the close waits for what does not end", tasks=names, hint=hint)

    async def _close_ledger(self) -> None:
        if self._ledger is not None:
            await self._ledger.close()
            self._ledger = None

    def whose(self, engagement: EngagementId, peer: Did) -> str:
        """In whose name is looked up what `peer` says in an engagement."""
        return peer

    @property
    def url(self) -> str:
        """Where other peers connect to: `wss://…/hire`, in local state `ws://…/hire`; empty if they cannot."""
        return f"{self.base_url.replace('http', 'ws', 1)}/hire" if self.base_url else ""

    def artifact_url(self, digest: Digest) -> str:
        """Where others fetch an artifact of ours.

        Raises:
            ConfigurationError: `bad_configuration`, this agent has no public URL.
        """
        if not self.base_url:
            raise ConfigurationError(
                "bad_configuration", "nobody can fetch an artifact from here: set url in [listen] of the settings"
            )
        return f"{self.base_url}/artifacts/{digest}"

    async def document_of(self, did: Did, max_age_seconds: float = USUAL_SECONDS) -> DidDocument:
        """A DID document, ours or another's, at most so old.

        Raises:
            ResolutionError: It did not resolve.
        """
        return self.known_document(did, max_age_seconds) or await self.gatherer.document(did, max_age_seconds)

    def known_document(self, did: Did, max_age_seconds: float = USUAL_SECONDS) -> DidDocument | None:
        """The same, if it is at hand: most often nothing has to be waited for."""
        if did == self.own.id:
            return self.own
        if self.organisation is not None and did == self.organisation.id:
            return self.organisation
        known = self.gatherer.remembered(did, max_age_seconds)
        return known.document if known is not None else None

    async def documents_of(self, dids: Iterable[Did], max_age_seconds: float = USUAL_SECONDS) -> dict[Did, DidDocument]:
        """The DID documents of `dids`, all or none. What we publish is not fetched; the rest together has one deadline
        and a limit of hosts (SC-103).

        Raises:
            ResolutionError, VerificationError: As `Gatherer.documents`.
        """
        ours = {document.id: document for document in (self.own, self.organisation) if document is not None}
        wanted = tuple(dict.fromkeys(dids))
        fetched = await self.gatherer.documents([did for did in wanted if did not in ours], max_age_seconds)
        return {did: ours.get(did) or fetched[did] for did in wanted}
