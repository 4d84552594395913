"""Connections to peers: accepted, dialled, proved, kept, and read.

One connection serves all engagements with a peer. A peer with whom something is unfinished is dialled again, with
growing and jittered pauses, as long as somebody here knows where it listens; the hirer dials first.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from ssl import SSLContext

import structlog

from undersigned.did import DidDocument
from undersigned.encoding import Did
from undersigned.errors import Closed, TransportError, UndersignedError
from undersigned.runtime.clock import Clock, clock_hint
from undersigned.runtime.fetching.fetcher import looked_up_for, strangers
from undersigned.runtime.fetching.gather import seconds_ahead
from undersigned.transport import (
    Channel,
    ChannelLimits,
    FailureBudget,
    Identity,
    Resolve,
    admit,
    closing,
    connect,
    prove,
)

from .taking_turns import TakingTurns

__all__ = ["Links", "given_up"]

_log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
DIALS = 32
"""Under way at once, to whomever: an address that does not answer holds a descriptor for as long as is waited."""
CONNECTIONS = 8
"""Of one peer at a time. One is enough; but who came back may have left others behind, and several programs may have
one key.
"""
READ_AT_ONCE = 8
"""Messages of one connection before others have a turn."""
OPENED_A_MINUTE = 120
"""Connections that one peer may open to us in a minute: one serves all its engagements, and after each of them we say
where every one stands. Who is cut off comes back after a pause that grows.
"""


class Links:
    """The connections of one agent."""

    def __init__(
        self,
        identity: Identity,
        *,
        clock: Clock,
        resolve: Resolve,
        limits: ChannelLimits,
        read: Callable[[Channel, bytes], Awaitable[None]],
        opened: Callable[[Did], None],
        heard: Callable[[Did], None],
        lost: Callable[[Did], None],
        locate: Callable[[Did], Awaitable[tuple[str, ...]]],
        wanted: Callable[[Did], bool],
        spent: Callable[[Did], bool],
        ahead_of: Callable[[Did], int | None],
        ssl: SSLContext | None = None,
    ) -> None:
        """`read` takes each message; `opened` is told of each proved connection, `heard` of the first message on it,
        and `lost` when the last one to a peer has ended; `locate` gives the URLs at which a peer may listen, the
        likeliest first; `wanted` says whether a connection to a peer is still worth having, `spent` whether it has to
        wait before it may come again, `ahead_of` by how many seconds our clock seems to be ahead of its; `ssl` replaces
        the system's certificate authorities.
        """
        self._identity = identity
        self._clock = clock
        self._resolve = resolve
        self._limits = limits
        self._read = read
        self._opened = opened
        self._heard = heard
        self._lost = lost
        self._locate = locate
        self._wanted = wanted
        self._spent = spent
        self._ahead_of = ahead_of
        self._ssl = ssl
        self._channels: dict[Did, list[Channel]] = {}
        self._keepers: dict[Did, asyncio.Task[None]] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._changed: dict[Did, asyncio.Event] = {}
        """What keepers wait for: the end of a connection to their peer."""
        self._came = FailureBudget(OPENED_A_MINUTE)
        """Connections that peers opened, and proved."""
        self._dials = asyncio.Semaphore(DIALS)
        self._turns = TakingTurns()
        self._fell_out: set[Did] = set()
        """Peers with whom the last connection ended because one side refused what the other said."""
        self.last_error: dict[Did, UndersignedError] = {}
        """Why the last attempt to reach a peer failed."""
        self._heeding: list[tuple[Did, Callable[[], None]]] = []
        """Who is told that another attempt will not reach a peer, either."""

    def connected(self, peer: Did) -> bool:
        """Whether there is a proved connection to `peer`."""
        return self._channel(peer) is not None

    async def send(self, peer: Did, raw: bytes) -> bool:
        """Sends on the newest connection; False if there is none or it broke. What matters is in the outbox."""
        channel = self._channel(peer)
        if channel is None:
            return False
        try:
            await channel.send(raw)
        except UndersignedError as error:
            _log.info("a message was not sent", peer=peer, error=str(error))
            return False
        return True

    async def accept(self, channel: Channel) -> None:
        """Serves a connection that somebody opened to us, until it ends.

        Raises:
            UndersignedError: As `admit`: who it was did not prove itself.
        """
        with looked_up_for(strangers(channel.address)):  # until it is proved, whose name it says costs nothing
            await admit(channel, {self._identity.did: self._identity}, self._document, self._clock.now)
        if channel.peer is not None:  # not before it is proved, or anybody could use up what another one has
            self._came.count(channel.peer, asyncio.get_running_loop().time())
        await self._serve(channel)

    def keep(self, peer: Did, *, patience_seconds: float = 0.0) -> None:
        """Keeps a connection to `peer` open while one is wanted; the first attempt after `patience_seconds`."""
        task = self._keepers.get(peer)
        if task is None or task.done():
            task = asyncio.create_task(self._keep(peer, patience_seconds), name=f"link to {peer[-12:]}")
            task.add_done_callback(lambda done: self._kept(peer, done))
            self._keepers[peer] = task

    @contextmanager
    def heeding(self, peer: Did, then: Callable[[], None]) -> Generator[None]:
        """Inside the block `then` is called when an attempt to reach `peer` has failed, and another one would, too."""
        one = (peer, then)
        self._heeding.append(one)
        try:
            yield
        finally:
            self._heeding.remove(one)

    async def part(self, peer: Did, code: str) -> None:
        """Closes every connection to `peer`, which hears `code`. It may come again, and so may we."""
        for channel in tuple(self._channels.get(peer, ())):
            await channel.close(1008, code)

    async def close(self) -> None:
        """Closes every connection and stops dialling."""
        for task in self._keepers.values():
            task.cancel()
        for channels in list(self._channels.values()):
            for channel in list(channels):
                await channel.close(1001, "")
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._keepers.values(), *self._readers, return_exceptions=True)

    # ------------------------------------------------------------------

    async def _document(self, peer: Did) -> DidDocument:
        """That of somebody who comes to us; whoever has spent its failures is sent away before anything costs more."""
        if self._spent(peer):
            raise TransportError("rate_limited", f"{peer} caused too many failures")
        if self._came.exhausted(peer, asyncio.get_running_loop().time()):
            raise TransportError("rate_limited", f"{peer} opened {OPENED_A_MINUTE} connections in a minute")
        return await self._resolve(peer)

    def _channel(self, peer: Did) -> Channel | None:
        for channel in reversed(self._channels.get(peer, ())):
            if not channel.closed:
                return channel
        return None

    def _falls_out(self, peer: Did) -> None:
        """One side refused what the other said. Only whoever would dial again goes by that: names cost nothing, and
        there may be any number that came once.
        """
        if peer in self._keepers:
            self._fell_out.add(peer)

    def _kept(self, peer: Did, keeper: asyncio.Task[None]) -> None:
        """A keeper has ended. Nobody waits for it, so nobody else would hear that it failed."""
        if self._keepers.get(peer) is keeper:
            del self._keepers[peer]
            self._fell_out.discard(peer)
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            _log.error("a task failed", task=keeper.get_name(), exc_info=error)

    def forget(self, peer: Did) -> None:
        """There is nothing to come to it for any more: why it was not reached is nobody's question."""
        self.last_error.pop(peer, None)

    async def _keep(self, peer: Did, patience_seconds: float) -> None:
        pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(patience_seconds)
        while self._wanted(peer):
            if self.connected(peer):
                await self._changed.setdefault(peer, asyncio.Event()).wait()
                # What was refused is refused again; to come back at once with the same would never end.
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if peer in self._fell_out else FIRST_PAUSE_SECONDS
                # Whoever closed it may be about to dial itself; two connections would do no harm but cost.
                await asyncio.sleep(patience_seconds or random.uniform(0, pause))  # noqa: S311 - jitter
                continue
            try:
                urls = await self._locate(peer)
                if not urls:
                    told = f"the DID document of {peer} does not say where it listens: name its URL (--at)"
                    raise TransportError("unreachable", told, nowhere=True)
                async with self._dials:
                    channel = await self._dial_first(peer, urls)
            except (UndersignedError, OSError) as exc:
                # Whatever this machine is short of now, it may have again; nobody else dials for this peer.
                error = exc if isinstance(exc, UndersignedError) else TransportError("unreachable", str(exc))
                self._not_reached(peer, error)
                _log.info("a peer was not reached", peer=peer, error=str(error))
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            self.last_error.pop(peer, None)
            task = asyncio.create_task(self._serve(channel), name=f"reading {peer[-12:]}")
            self._readers.add(task)
            task.add_done_callback(self._readers.discard)
            await asyncio.sleep(0)
        self.forget(peer)

    def _not_reached(self, peer: Did, error: UndersignedError) -> None:
        self.last_error[peer] = error
        if _lasting(error):
            for heeded, then in tuple(self._heeding):
                if heeded == peer:
                    then()

    def _end(self, channel: Channel) -> None:
        """Closes one connection of many to a peer; whoever waits on it does not wait for that."""
        task = asyncio.create_task(channel.close(1008, "overloaded"), name="one connection too many")
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def dial(self, peer: Did, url: str) -> Channel:
        """A proved connection to `peer` at `url`, not read by anybody yet.

        Raises:
            TransportError: Not reached.
            VerificationError: Somebody else is there.
        """
        channel = await connect(url, limits=self._limits, ssl=self._ssl)
        let_in = self._clock.now()
        try:
            await prove(channel, self._identity, self._resolve, self._clock.now, expect=peer)
        except UndersignedError as error:
            if error.code.startswith("proof_"):
                # What listens there says the time of the peer; what publishes its DID may be another, or nothing.
                ahead = seconds_ahead(channel.date, let_in)
                error.message += clock_hint(self._ahead_of(peer) if ahead is None else ahead)
            raise
        return channel

    async def _dial_first(self, peer: Did, urls: tuple[str, ...]) -> Channel:
        """A connection at the first of `urls` that leads to `peer`; what is told is why the likeliest did not of those
        that may later.
        """
        failed: list[UndersignedError] = []
        for url in urls:
            try:
                return await self.dial(peer, url)
            except UndersignedError as error:
                failed.append(error)
        raise next((error for error in failed if not _lasting(error)), failed[0])

    async def _serve(self, channel: Channel) -> None:
        peer = channel.peer
        if peer is None:
            return
        mine = self._channels.setdefault(peer, [])
        mine.append(channel)
        if len(mine) > CONNECTIONS:
            self._end(mine.pop(0))
        self._fell_out.discard(peer)
        stretch = _Stretch()
        try:
            self._opened(peer)
            raw = await channel.receive()
            # Not before: whoever dialled may refuse our proof, and then it never was there.
            self._heard(peer)
            while True:
                if len(mine) > 1 and self._turns.heard(peer, channel, asyncio.get_running_loop().time()):
                    _log.warning(
                        "a peer speaks on two connections by turns",
                        peer=peer,
                        places=sorted({one.address for one in mine}),
                        hint="two programs with one key take each other's answers: its operator has to stop one",
                    )
                await self._read(channel, raw)
                await stretch.took_one()
                raw = await channel.receive()
        except Closed as closed:
            if closed.detail.get("close_code") == 1008:
                self._falls_out(peer)
            if closed.code != "connection_closed":
                _log.warning("connection ended", peer=peer, error=str(closed))
        except UndersignedError as error:
            self._falls_out(peer)
            _log.warning("connection ended", peer=peer, error=str(error))
            await channel.close(*closing(error))
        finally:
            if channel in mine:
                mine.remove(channel)
            if not mine and self._channels.get(peer) is mine:
                self._channels.pop(peer, None)
                self._turns.forget(peer)
                self._lost(peer)
            if peer in self._changed:
                self._changed.pop(peer).set()


class _Stretch:
    """How many messages of one connection were read since anybody else had a turn. What has come already is had without
    waiting, so who sends without a pause would keep all others waiting; and of what comes together an engagement makes
    one turn.
    """

    def __init__(self) -> None:
        self._read = 0

    async def took_one(self) -> None:
        if self._read == 0:
            asyncio.get_running_loop().call_soon(self._ended)
        self._read += 1
        if self._read >= READ_AT_ONCE:
            await asyncio.sleep(0)

    def _ended(self) -> None:
        self._read = 0


def _lasting(error: UndersignedError) -> bool:
    """Whether who was not reached because of this will not be reached later, either, as far as anybody can tell."""
    return error.code == "did_forbidden_address" or bool(error.detail.get("nowhere"))


def given_up(error: UndersignedError, seconds: float) -> UndersignedError:
    """The error of who ends the attempts to reach a peer after so long, or at once where more would not help."""
    tried = "not tried again, and withdrawn" if _lasting(error) else f"tried for {seconds:g} s, then withdrawn"
    final = type(error)(error.code, f"{error.message}; {tried}: nothing binds")
    final.detail = dict(error.detail)
    return final
