"""Where a run plays: the implementation under test, what we serve to it, and the time.

Source: protocol-spec/harness.md
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
from msgspec import to_builtins

from undersigned.contract import Price
from undersigned.daemon import ArtifactRequest, ArtifactResponse, Document, ListenerLimits
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, JsonObject, digest_bytes
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.runtime import Gatherer, SystemClock
from undersigned.testing import LOOSE, Attacker, Known
from undersigned.transport import Channel, Identity, admit, connect_websocket

from .back_channel import BackChannel, Unauthorized
from .failures import Failure, Silent, reason
from .heard import Heard
from .lines import Unproved
from .listening import ELSEWHERE, Listener, Met
from .published import Published
from .status_lists import StatusLists

__all__ = ["RunLimits", "Stage", "Strangers", "Subject"]

STRANGERS: Final = 15
"""Who connect and prove nothing, in so many seconds."""
STRANGERS_SECONDS: Final = 61.0


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The implementation under test, as its operator describes it."""

    url: str
    """Where it listens."""
    did: Did
    task: str = "summary"
    """What it can be hired for."""
    price: Price = Price(amount="5", currency="EUR")
    """The most that is offered for it, where its `Profile` names no price."""
    input: str = "report"
    """Name of the one input that it works on."""
    content: bytes = b"A report of one line.\n"
    hook: str | None = None
    """Where its back channel is, to make it hire: an http or https URL without a path."""
    token: str = ""
    """What is shown there."""
    local: bool = False
    """Whether plain ws:// and http:// to loopback are allowed."""


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run waits, in seconds."""

    answer: float = 10.0
    """For one answer."""
    scenario: float = 60.0
    """For a whole scenario."""
    arrival: float = 20.0
    """For a connection that the implementation opens, which it may wait with after it lost one."""
    upgrade: float = 5.0
    """For the connection, and again for its proof."""


class Strangers:
    """Those who connect and prove nothing: who tries too often is refused for a while, and with it everybody else at
    its address (HIRE-LIM-02).
    """

    def __init__(self) -> None:
        self._came: deque[float] = deque(maxlen=STRANGERS)

    async def turn(self) -> None:
        """Returns when another one may connect."""
        now = time.monotonic()
        at = max(now, self._came[0] + STRANGERS_SECONDS) if len(self._came) == STRANGERS else now
        self._came.append(at)
        await asyncio.sleep(at - now)


class Stage:
    """What all scenarios of a run share. Enter it with `async with`."""

    def __init__(
        self,
        subject: Subject,
        *,
        seed: str,
        limits: RunLimits | None = None,
        listen: tuple[str, int] = ("localhost", 0),
        reached_at: str | None = None,
        strangers: Strangers | None = None,
    ) -> None:
        """`listen` is where we listen, port 0 for any, and `reached_at` the http or https URL at which the
        implementation reaches that, if it is not on this machine. `strangers` are those of all stages before one
        implementation.
        """
        self.subject = subject
        self.seed = seed
        self.run = secrets.token_hex(8)
        """Names this run. Who we are is decided by it and the seed, so that a seed can be used again: whoever was met
        before has a log, and a second one that begins anew would contradict it.
        """
        self.limits = limits or RunLimits()
        self.url = subject.url
        self.breaks = False
        """Whether connections break on the way, so that scenarios have to come back by themselves."""
        self.strangers = strangers or Strangers()
        self.clock = SystemClock()
        self.gatherer = Gatherer(local=subject.local)
        self.unresolved = ""
        """Why there is no DID document of the subject; empty once there is one."""
        self._known: Known | None = None
        self._reached_at = reached_at.rstrip("/") if reached_at is not None else None
        self.met_at: str | None = None
        """What a hirer is told to dial, if that is not our own listener: a wire with faults."""
        self.served: dict[Digest, tuple[bytes, asyncio.Event, Callable[[], bool]]] = {}
        """What we serve, and whether it may be read already."""
        self.asked: set[Digest] = set()
        """What of that was asked for."""
        self.arrivals: dict[Did, asyncio.Queue[tuple[Channel, asyncio.Event]]] = {}
        """Where connections to one of our DIDs are waited for; the event says that nobody uses one any more."""
        self.lists = StatusLists()
        self.published: dict[str, Published] = {}
        """Those of ours whose documents we serve, by path."""
        self._identities: dict[Did, Identity] = {}
        self._listener = Listener(
            *listen,
            documents=self._document,
            accept=self._accept,
            artifacts=self._artifact,
            limits=ListenerLimits(channel=LOOSE),
        )
        self._listener.in_vain = lambda path: self.published[path].answer if path in self.published else ""

    async def __aenter__(self) -> Stage:
        try:
            self._known = Known(self.subject.did, await self.gatherer.document(self.subject.did))
        except UndersignedError as error:
            # Told as what came of every scenario: whoever cannot be found is one who cannot be reached.
            self.unresolved = f"no DID document: {reason(error)}; --did names another DID"
        except BaseException:
            await self.gatherer.close()
            raise
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()
        await self.gatherer.close()

    async def documents(self, dids: Iterable[Did]) -> Mapping[Did, DidDocument]:
        """The DID documents of those who sign what the implementation shows."""
        return await self.gatherer.documents(tuple(dids), 300.0)

    def heading(self) -> dict[str, Any]:
        """The first line of a transcript: what a replay has to know."""
        return {
            "what": "run",
            "subject": to_builtins(self.subject, str_keys=True),
            "document": None if self.unresolved else self.known.document.raw.decode(),
            "seed": self.seed,
            "run": self.run,
            "origin": self.origin,
            "breaks": self.breaks,
        }

    @property
    def known(self) -> Known:
        """The subject's DID and its document.

        Raises:
            Silent: The DID does not resolve.
        """
        if self.unresolved:
            raise Silent(self.unresolved)
        if self._known is None:
            raise RuntimeError("the stage is not entered yet")
        return self._known

    @property
    def origin(self) -> str:
        """Where we listen."""
        return self._reached_at or f"http://localhost:{self._listener.port}"

    def now(self) -> Instant:
        """The present instant."""
        return self.clock.now()

    def actor(self, scenario: str, name: str, **options: Any) -> Attacker:
        """Somebody of ours, the same for the same seed, run, scenario and name."""
        return Attacker(f"{self.seed}/{self.run}/{scenario}/{name}", **options)

    def publish(self, scenario: str, name: str) -> Published:
        """Somebody of ours whose document is served from now on."""
        who = Published(f"{self.seed}/{self.run}/{scenario}/{name}", self.origin)
        self.published[who.path] = who
        return who

    def serve(self, data: bytes, authority: Callable[[], bool] = lambda: True) -> tuple[Digest, str, asyncio.Event]:
        """Serves `data` from now on, once the event is set, to whoever has `authority` then; its digest and URL."""
        digest, may = digest_bytes(data), asyncio.Event()
        self.served[digest] = (data, may, authority)
        return digest, f"{self.origin}/artifacts/{digest}", may

    def status_at(self, name: str, scenario: str) -> JsonObject:
        """The status of a membership in a list of this scenario's."""
        return self.lists.entry(self.origin, name, scenario)

    def _document(self, path: str) -> Document | None:
        published = self.published.get(path.removesuffix(ELSEWHERE))
        if published is not None:
            return Document(published.raw)
        return self.lists.answer(self.origin, path, self.now())

    async def _artifact(self, request: ArtifactRequest) -> ArtifactResponse:
        self.asked.add(request.digest)
        found = self.served.get(request.digest)
        if found is None:
            return ArtifactResponse(status=404, code="not_found")
        data, may, authority = found
        try:
            async with asyncio.timeout(self.limits.scenario):
                await may.wait()
        except TimeoutError:
            return ArtifactResponse(status=503, code="timeout")
        if not authority():
            return ArtifactResponse(status=403, code="contract_expired")
        return ArtifactResponse(status=200, body=data)

    @property
    def own_url(self) -> str:
        """Where we take connections."""
        return self.met_at or f"ws{self.origin.removeprefix('http')}/hire"

    @contextmanager
    def meeting(self, met: Met, *, granted: bool) -> Generator[str]:
        """Where `met` is given each connection as long as this is entered, with the subprotocol `granted` or not."""
        with self._listener.meeting(met, granted=granted) as path:
            yield f"{self.own_url.removesuffix('/hire')}{path}"

    def await_connections(self, who: Attacker) -> None:
        """From now on connections to this one of ours are taken."""
        self._identities[who.did] = who.identity
        self.arrivals[who.did] = asyncio.Queue()

    async def _accept(self, channel: Channel) -> None:
        async def resolve(did: Did) -> DidDocument:
            return await self.gatherer.document(did, 60.0)

        proved = await admit(channel, self._identities, resolve, self.clock.now)
        gone = asyncio.Event()
        self.arrivals[proved.own].put_nowait((channel, gone))
        await gone.wait()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the back channel of the implementation answers; see `BackChannel.ask`."""
        subject = self.subject
        return await BackChannel(subject.hook or "", subject.token, self.limits.answer, local=subject.local).ask(
            method, path, body
        )

    async def check_token(self) -> None:
        """Returns unless the hook refuses our token; whatever else is wrong with it is for the scenarios to say.

        Raises:
            ConfigurationError: It does.
        """
        try:
            await self.ask("GET", "/hires/nothing")
        except Unauthorized as refused:
            raise ConfigurationError("bad_configuration", f"--token-file: {refused}") from refused
        except Failure:
            return

    @asynccontextmanager
    async def channel(self, told: Callable[..., None]) -> AsyncGenerator[Unproved]:
        """A connection that nobody has proved yet; `told` hears each frame, `sent` or `received`."""
        limits = msgspec.structs.replace(LOOSE, open_seconds=self.limits.upgrade, proof_seconds=self.limits.upgrade)
        heard = Heard()
        try:
            found = Unproved(await connect_websocket(self.url, limits, heard=heard.feed), heard, told)
        except UndersignedError as error:
            raise Silent(f"no connection: {reason(error)}") from error
        try:
            yield found
        except BaseException:
            await found.close()
            raise
