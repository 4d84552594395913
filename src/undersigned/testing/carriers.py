"""Carriers between two peers that know what a message is: gateways, queues, and whoever stands in the middle.

A `Carrier` takes WebSocket connections, dials the peer for each, and carries text frames both ways. The connection
proof is between the two ends and passes as it is; what comes after it goes through `carry`, which each kind of carrier
does in its own way. None of them can read more or sign anything: a carrier may lose, repeat, hold, reorder and rewrite,
and what the two ends then hold is what their proofs let through.

* `Carrier`         carries everything as it is.
* `Rewriter`        changes each frame: another spelling of the same JSON, or another value.
* `Meddler`         drops, repeats, holds back and replays, as its seed says.
* `Queue`           stores every frame in a file before it goes on, delivers at least once, some of them twice, and what
                    could not be delivered on one connection on the next.

Source: protocol-spec/10-security.md, section 10.3
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from undersigned.testing.network import Network
from undersigned.testing.wire import Direction
from undersigned.transport import SUBPROTOCOL

__all__ = ["Carried", "Carrier", "Meddler", "Mischief", "Queue", "Rewriter", "Session"]

PROOF_FRAMES: Final = 3
"""Challenge, the dialer's proof, the acceptor's: see `undersigned.transport.prove`."""
_MAX_BYTES: Final = 1024 * 1024
_quiet: Final = logging.getLogger("undersigned.testing.carriers")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Carried(NamedTuple):
    """A frame that came to the carrier."""

    session: int
    """Which connection it came on, from 1."""
    direction: Direction
    raw: bytes


class Session:
    """One connection through a carrier: the side that dialled, and the peer that was dialled for it."""

    def __init__(self, number: int, dialer: Connection, acceptor: Connection) -> None:
        self.number = number
        self.frames = 0
        """Frames that came, in both directions."""
        self._to: dict[Direction, Connection] = {"up": acceptor, "down": dialer}

    @property
    def proved(self) -> bool:
        """Whether the connection proof has passed."""
        return self.frames >= PROOF_FRAMES

    def from_(self, direction: Direction) -> Connection:
        """Where frames of a direction come from."""
        return self._to["down" if direction == "up" else "up"]

    async def send(self, direction: Direction, raw: bytes) -> bool:
        """Passes a frame on; whether its receiver's connection took it."""
        try:
            await self._to[direction].send(raw, text=True)
        except ConnectionClosed:
            return False
        return True

    def abort(self) -> None:
        """Breaks both halves, as they are."""
        for half in self._to.values():
            half.transport.abort()

    async def close(self) -> None:
        """Closes both halves, each with what the other was told."""
        for half, other in ((self._to["up"], self._to["down"]), (self._to["down"], self._to["up"])):
            code, reason = other.close_code, other.close_reason or ""
            # 1005 and 1006 say that nothing was said, and cannot be sent.
            await half.close(1001 if code in (None, 1005, 1006) else code, reason)


class Carrier:
    """Carries the connections that come to `url` on to the peer at `upstream` (`ws://…/hire`).

    Enter it with `async with`; then `url` is known. Give it to the hirer as `at`.
    """

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.upstream = upstream
        self.network = Network(seed)
        """Everything that came and was no connection proof, and the chance of this carrier."""
        self.sessions: list[Session] = []
        """Those that are open."""
        self.opened = 0
        """How many there were."""
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is reached: `ws://localhost:PORT/hire`."""
        if self._server is None:
            raise RuntimeError("the carrier is not up: enter it first")
        return f"ws://localhost:{next(iter(self._server.sockets)).getsockname()[1]}/hire"

    async def __aenter__(self) -> Carrier:
        self._server = await serve(
            self._take,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=_MAX_BYTES,
            ping_interval=None,
            close_timeout=2,
            logger=_quiet,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close(close_connections=False)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> int:
        """Breaks every connection as it is, and gives how many there were. New ones are taken."""
        sessions = tuple(self.sessions)
        for session in sessions:
            session.abort()
        return len(sessions)

    async def carry(self, session: Session, carried: Carried) -> None:
        """What becomes of a frame; frames of one direction of a session come one after the other."""
        await session.send(carried.direction, carried.raw)

    async def joined(self, session: Session) -> None:
        """A session has proved itself. Nothing to do for most."""

    async def parted(self, session: Session) -> None:
        """One side of a session is gone. Returns when the other may go, too; at once for most."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Runs something until the carrier is left."""

        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, dialer: ServerConnection) -> None:
        try:
            acceptor = await connect(
                self.upstream,
                proxy=None,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=_MAX_BYTES,
                ping_interval=None,
                close_timeout=2,
                logger=_quiet,
            )
        except (OSError, WebSocketException, TimeoutError):
            dialer.transport.abort()
            return
        self.opened += 1
        session = Session(self.opened, dialer, acceptor)
        self.sessions.append(session)
        ways = [asyncio.create_task(self._read(session, way)) for way in ("up", "down")]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if session.proved:
                await self.parted(session)
        finally:
            self.sessions.remove(session)
            await session.close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _read(self, session: Session, direction: Direction) -> None:
        source = session.from_(direction)
        while True:
            try:
                raw = await source.recv(decode=False)
            except ConnectionClosed:
                return
            was_proved = session.proved
            session.frames += 1
            if not was_proved:
                await self.carry_proof(session, Carried(session.number, direction, raw))
                if session.proved:
                    await self.joined(session)
                continue
            self.network.send(_SIDES[direction][0], _SIDES[direction][1], raw)
            await self.carry(session, Carried(session.number, direction, raw))

    async def carry_proof(self, session: Session, carried: Carried) -> None:
        """What becomes of a frame of the connection proof: it passes."""
        await session.send(carried.direction, carried.raw)


_SIDES: Final[dict[Direction, tuple[str, str]]] = {"up": ("dialer", "acceptor"), "down": ("acceptor", "dialer")}


class Rewriter(Carrier):
    """Passes on what `rewrite` makes of each frame; nothing if that is None. With `proofs` also of the proof's."""

    def __init__(self, upstream: str, rewrite: Callable[[Carried], bytes | None], *, proofs: bool = False) -> None:
        super().__init__(upstream)
        self.rewrite = rewrite
        self._proofs = proofs

    async def carry(self, session: Session, carried: Carried) -> None:
        """Passes on what `rewrite` makes of it."""
        raw = self.rewrite(carried)
        if raw is not None:
            await session.send(carried.direction, raw)

    async def carry_proof(self, session: Session, carried: Carried) -> None:
        """With `proofs`, as any other."""
        await (self.carry if self._proofs else super().carry_proof)(session, carried)


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """How often a `Meddler` does what, each from 0 to 1. By default nothing.

    Raises:
        ValueError: One is not.
    """

    drop: float = 0.0
    repeat: float = 0.0
    """Twice, the second time some frames later."""
    hold: float = 0.0
    """Passes once others have overtaken it, or after `hold_seconds`."""
    replay: float = 0.0
    """Something old goes out again, in its direction: of this connection or of one before."""
    hold_seconds: float = 2.0

    def __post_init__(self) -> None:
        for name in ("drop", "repeat", "hold", "replay"):
            share = getattr(self, name)
            if not isinstance(share, int | float) or not 0 <= share <= 1:
                raise ValueError(f"{name}: expected how often, from 0 to 1; got {share!r}")


class Meddler(Carrier):
    """Drops, repeats, holds back, reorders and replays whole messages, as `seed` says."""

    def __init__(self, upstream: str, mischief: Mischief, *, seed: int = 0) -> None:
        super().__init__(upstream, seed=seed)
        self.mischief = mischief
        self.done: dict[str, int] = {"drop": 0, "repeat": 0, "hold": 0, "replay": 0}
        """How often it did what."""

    async def carry(self, session: Session, carried: Carried) -> None:
        """Passes it on, or not, or later, or twice."""
        mischief, direction, raw = self.mischief, carried.direction, carried.raw
        if self._happens("drop", mischief.drop):
            return
        if self._happens("hold", mischief.hold):
            self.spawn(self._later(session, direction, raw))
        else:
            await session.send(direction, raw)
        if self._happens("repeat", mischief.repeat):
            self.spawn(self._later(session, direction, raw))
        if self._happens("replay", mischief.replay):
            old = self.network.random.choice(self.network.to(_SIDES[direction][1]))
            await session.send(direction, old.raw)

    def _happens(self, what: str, chance: float) -> bool:
        happens = self.network.random.random() < chance
        self.done[what] += happens
        return happens

    async def _later(self, session: Session, direction: Direction, raw: bytes) -> None:
        await asyncio.sleep(self.network.random.uniform(0, self.mischief.hold_seconds))
        await session.send(direction, raw)


class Queue(Carrier):
    """Stores each frame in the SQLite file `path`, and delivers it from there in order, at least once.

    A frame is taken out only after its receiver's connection took it. One in `every_other` goes out a second time,
    later. When the sender is gone its frames go on for `linger_seconds` on the connection that its peer still holds;
    what is left then goes out on the next connection that these two prove.
    """

    def __init__(
        self,
        upstream: str,
        path: Path,
        *,
        seed: int = 0,
        delay_seconds: float = 0.01,
        every_other: int = 3,
        linger_seconds: float = 1.0,
    ) -> None:
        super().__init__(upstream, seed=seed)
        self.delivered = 0
        """Deliveries, second ones counted."""
        self.again = 0
        """Second deliveries."""
        self.across = 0
        """Deliveries on another connection than the one the frame came on."""
        self.orphaned = 0
        """Deliveries after the sender's connection was gone."""
        self._path = path
        self._delay = delay_seconds
        self._every_other = every_other
        self._linger = linger_seconds
        self._news: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        with closing(self._open()) as store, store:
            store.execute(
                "CREATE TABLE IF NOT EXISTS frames (place INTEGER PRIMARY KEY, session INTEGER NOT NULL,"
                " direction TEXT NOT NULL, raw BLOB NOT NULL, times INTEGER NOT NULL)"
            )
            # Numbers of connections go on where a carrier before us ended, as the file does.
            self.opened = int(store.execute("SELECT coalesce(max(session), 0) FROM frames").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)

    @property
    def waiting(self) -> int:
        """Frames in the file."""
        with closing(self._open()) as store:
            return int(store.execute("SELECT count(*) FROM frames").fetchone()[0])

    async def carry(self, session: Session, carried: Carried) -> None:
        """Stores it."""
        times = 2 if self.network.random.randrange(self._every_other) == 0 else 1
        with closing(self._open()) as store, store:
            store.execute(
                "INSERT INTO frames (session, direction, raw, times) VALUES (?, ?, ?, ?)",
                (session.number, carried.direction, carried.raw, times),
            )
        self._news[carried.direction].set()

    async def joined(self, session: Session) -> None:
        """Begins to deliver both ways."""
        for direction in ("up", "down"):
            self.spawn(self._deliver(session, direction))

    async def parted(self, session: Session) -> None:
        """Gives the other side a while to hear what waits."""
        await asyncio.sleep(self._linger)

    async def _deliver(self, session: Session, direction: Direction) -> None:
        """Empties the file into one side of a session, for as long as that side is there."""
        news = self._news[direction]
        while session in self.sessions:
            news.clear()
            with closing(self._open()) as store:
                row = store.execute(
                    "SELECT place, session, raw, times FROM frames WHERE direction = ? ORDER BY place LIMIT 1",
                    (direction,),
                ).fetchone()
            if row is None:
                await news.wait()
                continue
            place, came_on, raw, times = row
            await asyncio.sleep(self._delay)
            if not await session.send(direction, raw):
                return
            self.delivered += 1
            self.across += came_on != session.number
            self.orphaned += session.from_(direction).close_code is not None
            with closing(self._open()) as store, store:
                taken = store.execute("DELETE FROM frames WHERE place = ?", (place,)).rowcount
                if taken and times > 1:
                    # Behind everything else that waits: the second delivery is late, as a queue's are.
                    self.again += 1
                    store.execute(
                        "INSERT INTO frames (session, direction, raw, times) VALUES (?, ?, ?, ?)",
                        (came_on, direction, raw, times - 1),
                    )
