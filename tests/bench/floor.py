"""The floor: what was counted in a real hire, done again with nothing around it.

The same messages go over the same kind of connection (one for all, `websockets` on one end, aiohttp on the other), the
same artifacts over aiohttp, the same bytes through bare canonicalization, PyNaCl and SQLite with group commit. There is
no protocol, no checking, no state: only what cannot be left out of a hire that does this much.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import rfc8785
from aiohttp import ClientSession, WSMsgType, web
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from websockets.asyncio.client import ClientConnection, connect

from undersigned.encoding import multibase_decode, multibase_encode
from undersigned.jsonld import compiled_quads
from undersigned.ledger import Commit
from undersigned.ledger.sqlite_group import SeenChange
from undersigned.runtime.artifacts.folder import MAX_GROUP as MAX_FILES

from .counting import Op
from .pair import HIRER, PROVIDER, shared

__all__ = ["Floor", "rows_of"]

_decode = msgspec.json.Decoder().decode
_sorted = msgspec.json.Encoder(order="sorted").encode
_LARGEST = 2**53
PLANS = 64
"""Hires of the floor that differ in what they do; after that it is the same again."""
GATHER_SECONDS = 0.02
"""That a write waits at most for others to share its sync: time that nobody works."""
Step: TypeAlias = tuple[str, str, Any]
"""What is to be done: how, for which side, with what."""


def canonical(value: Any) -> bytes:
    """Canonical JSON by the fastest way known: msgspec, and a walk that sees whether it is right here."""
    return _sorted(value) if _is_plain(value) else rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    left = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind is dict:
            for name, member in item.items():
                if not name.isascii():
                    return False
                if type(member) is not str:
                    left.append(member)
        elif kind is list:
            left.extend(item)
        elif kind is float or (kind is int and not -_LARGEST < item < _LARGEST):
            return False
    return True


class Store(threading.Thread):
    """One connection and one thread, in which writes share a sync as many at a time as those of the hires do."""

    def __init__(self, path: Path, per_sync: float) -> None:
        super().__init__(daemon=True)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._gathered: list[Any] = []
        self._per_sync = per_sync
        self._room = per_sync
        self._last: asyncio.TimerHandle | None = None
        """Ends the waiting for more, where no more come."""
        self.synced = 0
        self._loop = asyncio.get_running_loop()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 2000")
        self._db.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, engagement INTEGER NOT NULL, raw BLOB NOT NULL)")

    def append(self, rows: Sequence[tuple[int, bytes]]) -> asyncio.Future[None]:
        """Done once the rows are on disk."""
        future = self._loop.create_future()
        self._gathered.append((rows, future))
        if len(self._gathered) >= int(self._room):
            self._flush()
        elif self._last is None:
            self._last = self._loop.call_later(GATHER_SECONDS, self._flush)
        return future

    def _flush(self) -> None:
        if self._last is not None:
            self._last.cancel()
            self._last = None
        # Of an average of 2.5 every other has two, and every other three.
        self._room = max(1.0, self._room - len(self._gathered) + self._per_sync)
        gathered, self._gathered = self._gathered, []
        self._queue.put(gathered)

    def run(self) -> None:
        while group := self._queue.get():
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO row (engagement, raw) VALUES (?, ?)", [row for rows, _ in group for row in rows]
            )
            self._db.execute("COMMIT")
            self.synced += 1
            self._loop.call_soon_threadsafe(self._answer, [future for _, future in group])
        self._db.close()

    def stop(self) -> None:
        self._queue.put(None)
        self.join()

    @staticmethod
    def _answer(futures: Iterable[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)


def _planned(steps: Sequence[tuple[str, Step]], often: Mapping[str, float]) -> Iterator[list[Step]]:
    """What one hire after the other does: `steps` by kind, of each kind as many as `often` says on average."""
    rates = {kind: often[kind] / count for kind, count in Counter(kind for kind, _ in steps).items()}
    due = dict.fromkeys(rates, 0.5)
    while True:
        plan: list[Step] = []
        for kind, step in steps:
            due[kind] += rates[kind]
            while due[kind] >= 1:
                due[kind] -= 1
                plan.append(step)
        yield plan


class Floor:
    """Plays a tape. Enter it, run `hires` as often as wanted, leave it."""

    def __init__(self, ops: Sequence[Op], often: Mapping[str, float], per_sync: float, folder: Path) -> None:
        """`ops` is what one hire did. `often` says how often a hire does each kind where many are under way, who do
        some of it together: as often it is done here. So many writes share a sync on average, `per_sync`.
        """
        self._per_sync = per_sync
        _, self._secret = crypto_sign_seed_keypair(os.urandom(32))
        self._folder = folder
        self._arriving: dict[str, deque[asyncio.Future[None]]] = {HIRER: deque(), PROVIDER: deque()}
        self._bodies: dict[str, bytes] = {}
        self._files: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing = set[asyncio.Task[None]]()
        steps = [(op.kind, step) for op in ops if (step := self._step(op)) is not None]
        self._plans = list(islice(_planned(steps, often), PLANS))

    async def __aenter__(self) -> Floor:
        loop = asyncio.get_running_loop()
        self._accepted = loop.create_future()
        self._stores = {side: Store(self._folder / f"floor-{side}.db", self._per_sync) for side in (HIRER, PROVIDER)}
        for store in self._stores.values():
            store.start()
        self._server = web.Server(self._answer, access_log=None)
        self._listening = await loop.create_server(self._server, "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        self._base = f"http://127.0.0.1:{port}"
        self._socket: ClientConnection = await connect(f"ws://127.0.0.1:{port}/hire", compression=None, proxy=None)
        self._reading = loop.create_task(self._read())
        self._session = ClientSession(auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._socket.close()
        await self._reading
        self._listening.close()
        await self._server.shutdown(1.0)
        for store in self._stores.values():
            store.stop()

    @property
    def synced(self) -> int:
        """How often both sides synced so far."""
        return sum(store.synced for store in self._stores.values())

    async def hires(self, count: int, at_once: int, done: Callable[[], None] = lambda: None) -> None:
        """The work of `count` hires, `at_once` at a time."""
        accepted = await self._accepted
        await shared(count, at_once, lambda number: self._hire(number, accepted), done)

    async def _hire(self, number: int, accepted: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        for kind, side, what in self._plans[number % PLANS]:
            if kind == "do":
                what()
            elif kind == "send":
                arrived = loop.create_future()
                if side == HIRER:
                    self._arriving[PROVIDER].append(arrived)
                    await self._socket.send(what, text=True)
                else:
                    self._arriving[HIRER].append(arrived)
                    await accepted.send_frame(what, WSMsgType.TEXT)
                await arrived
            elif kind == "write":
                await self._stores[side].append([(number, raw) for raw in what])
            elif kind == "http":
                path, headers = what
                async with self._session.get(self._base + path, headers=headers) as response:
                    await response.read()
            else:
                await self._kept(what)

    def _step(self, op: Op) -> Step | None:
        """What to do for an operation; None for what a floor has no use for."""
        payload = op.payload
        do: Callable[[], Any]
        match op.kind:
            case "sign":
                do = lambda: crypto_sign(payload, self._secret)[:64]  # noqa: E731
            case "verify":
                raw, signature, data = payload
                do = lambda: crypto_sign_open(signature + data, raw)  # noqa: E731
            case "base58" if isinstance(payload, bytes):
                do = lambda: multibase_encode("z", payload)  # noqa: E731
            case "base58":
                do = lambda: multibase_decode(payload, allowed="z")  # noqa: E731
            case "jcs" | "options" | "parts":
                value, guarded = payload
                do = (lambda: canonical(value)) if guarded else (lambda: _sorted(value))
            case "quads" | "option-quads":
                do = lambda: compiled_quads(payload)  # noqa: E731
            case "decode":
                do = lambda: _decode(payload)  # noqa: E731
            case "sha256":
                do = lambda: sha256(payload).digest()  # noqa: E731
            case "send" | "file":
                return op.kind, op.side, payload
            case "write":
                return op.kind, op.side, rows_of(payload)
            case "http":
                headers, body = payload
                path = f"/artifacts/{len(self._bodies)}"
                self._bodies[path] = body
                return op.kind, op.side, (path, dict(headers))
            case _:
                return None
        return "do", op.side, do

    def _kept(self, data: bytes) -> asyncio.Future[None]:
        """Done once it is a file. What is put in one round of the loop goes to one thread, as the product's does."""
        loop = asyncio.get_running_loop()
        if not self._files or len(self._files) == MAX_FILES:
            self._files = []
            task = loop.create_task(self._keep_together(self._files))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        kept = loop.create_future()
        self._files.append((data, kept))
        return kept

    async def _keep_together(self, files: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        self._files = []
        try:
            await asyncio.to_thread(self._keep, [data for data, _ in files])
        except OSError as exc:
            for _, kept in files:
                kept.set_exception(exc)
            return
        for _, kept in files:
            kept.set_result(None)

    def _keep(self, contents: Iterable[bytes]) -> None:
        """Files that are never half there, and whose names survive a power cut: what the product's artifacts are."""
        for data in contents:
            descriptor, new = tempfile.mkstemp(dir=self._folder)
            try:
                os.write(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(new, f"{new}.kept")
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def _read(self) -> None:
        async for _ in self._socket:
            self._arriving[HIRER].popleft().set_result(None)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/hire":
            return web.Response(body=self._bodies[request.path])
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        self._accepted.set_result(response)
        async for _ in response:
            self._arriving[PROVIDER].popleft().set_result(None)
        return response


def rows_of(write: Any) -> list[bytes]:
    """What a durable write puts on disk: what it was given, in as many rows, without seals, nodes and indexes."""
    if isinstance(write, SeenChange):
        return [write.log.encode()]  # what becomes of it is known in the transaction only
    if not isinstance(write, Commit):
        return [msgspec.json.encode(write)]
    evidence = (blob.raw for blob in write.evidence if blob.kind != "did-document")
    position = msgspec.json.encode((write.position, write.summary, write.outbox, write.receipted))
    others = (*write.reserve, *write.settle, *write.release, *write.effects, *write.seen)
    return [*(row.raw for row in write.rows), *evidence, position, *map(msgspec.json.encode, others), *write.leaves]
