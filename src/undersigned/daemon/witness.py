"""A small witness (C2SP `tlog-witness`): it keeps the newest checkpoint of each log that it knows, and cosigns what
continues it.

It is an agent's: its DID is the name under its cosignatures, and its log key, listed under `assertionMethod`, signs
them. It speaks http; TLS is for whatever stands before it.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5; C2SP tlog-witness and tlog-cosignature
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import web

from undersigned.encoding import Did, Instant, parse_instant
from undersigned.errors import LedgerError, LogProofError, UndersignedError
from undersigned.keys import PublicKey
from undersigned.ledger import connect, translated
from undersigned.runtime import Gatherer, Signer, SystemClock
from undersigned.runtime.log.logbook import log_keys
from undersigned.transparency import (
    EMPTY_ROOT,
    MAX_SUBMISSION_BYTES,
    SIZE_TYPE,
    Checkpoint,
    NoteVerifier,
    Submission,
    by_one_of,
    cosignature_line,
    cosigned_text,
    read_checkpoint,
    read_note,
    read_submission,
    verify_consistency,
    verify_note,
)

from .edge import go_on, read_at_most
from .near import NearListener

__all__ = ["Contradiction", "WitnessBook", "WitnessServer", "Witnessed"]

_log: Final = structlog.get_logger("undersigned.witness")
APPLICATION_ID: Final = 0x48575431
CONNECTIONS: Final = 64
BODY_SECONDS: Final = 10.0
_SCHEMA: Final = f"""
BEGIN EXCLUSIVE;
CREATE TABLE log (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE contradiction (
  origin TEXT NOT NULL, size INTEGER NOT NULL, held TEXT NOT NULL, came TEXT NOT NULL, PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
COMMIT;
"""


class Witnessed(msgspec.Struct, frozen=True):
    """The newest checkpoint of a log that was cosigned."""

    origin: str
    size: int
    root: bytes
    note: str
    """As its log signed it."""


class Contradiction(msgspec.Struct, frozen=True):
    """Two notes that one log signed, of one size and two roots: proof to anybody that it shows two histories."""

    origin: str
    size: int
    held: str
    came: str


class Conflict(Exception):
    """The log was last cosigned at another size, or with another root."""

    def __init__(self, size: int, *, other_root: bool) -> None:
        super().__init__(size)
        self.size = size
        self.other_root = other_root


class WitnessBook:
    """What a witness has cosigned, in one SQLite file, durable before it is said. For one process.

    Raises:
        LedgerError: When made. `store_version`, the file is something else; `store_unavailable`, `store_corrupt`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _translating(path):
            self._db = connect(path, writing=True)
            application, version = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            empty = not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if empty and application == version == 0:
                self._db.executescript(_SCHEMA)
            elif (application, version) != (APPLICATION_ID, 1):
                self._db.close()
                raise LedgerError("store_version", f"{path} is no file of a witness of this release")
        self._lock = threading.Lock()

    def close(self) -> None:
        """What was cosigned stays."""
        with self._lock:
            self._db.close()

    def advance(self, head: Checkpoint, asked: Submission) -> None:
        """Makes `head` the newest of its log, if it continues what is held; whole, and durable once this returns.

        Raises:
            Conflict: `asked.old` is not the size that is held, or the root of the same size is another.
            LogProofError: `log_proof_invalid`: the proof does not lead from the one to the other.
            LedgerError: `store_unavailable`, `store_full`.
        """
        with self._lock, _translating(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._advance(head, asked)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _advance(self, head: Checkpoint, asked: Submission) -> None:
        found = self._db.execute("SELECT size, root FROM log WHERE origin = ?", (head.origin,)).fetchone()
        size, root = found or (0, EMPTY_ROOT)
        if asked.old != size:
            raise Conflict(size, other_root=False)
        if head.size == size and head.root != root:
            raise Conflict(size, other_root=True)
        verify_consistency(size, root, head.size, head.root, asked.path)
        self._db.execute(
            "INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", (head.origin, head.size, head.root, asked.note)
        )

    def note_contradiction(self, head: Checkpoint, note: str) -> None:
        """Keeps a note that contradicts the one that was cosigned; the first of a size is proof enough."""
        with self._lock, _translating(self._path):
            self._db.execute(
                "INSERT OR IGNORE INTO contradiction "
                "SELECT origin, size, note, ? FROM log WHERE origin = ? AND size = ? AND root <> ?",
                (note, head.origin, head.size, head.root),
            )

    def logs(self) -> tuple[Witnessed, ...]:
        """The newest checkpoint of each log."""
        with self._lock, _translating(self._path):
            return tuple(Witnessed(*row) for row in self._db.execute("SELECT * FROM log ORDER BY origin"))

    def contradictions(self) -> tuple[Contradiction, ...]:
        """What logs signed twice."""
        with self._lock, _translating(self._path):
            rows = self._db.execute("SELECT * FROM contradiction ORDER BY origin, size")
            return tuple(Contradiction(*row) for row in rows)


@contextmanager
def _translating(path: Path) -> Generator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise translated(exc, path, "what the witness cosigned") from exc


class WitnessServer(NearListener):
    """Cosigns the checkpoints of the logs that it knows, at `host`:`port` (0 picks a free one) from `start` to `stop`.

    `logs` are DIDs, whose Ed25519 keys under `assertionMethod` sign their checkpoints, `keys` those of other logs by
    their name. `name` and `key` are the witness's own.
    """

    def __init__(
        self,
        book: WitnessBook,
        name: Did,
        key: Signer,
        gatherer: Gatherer,
        *,
        logs: Iterable[Did] = (),
        keys: Iterable[NoteVerifier] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], Instant] | None = None,
    ) -> None:
        self._book, self._name, self._key, self._gatherer = book, name, key, gatherer
        self._logs = frozenset(logs)
        named: dict[str, list[PublicKey]] = {}
        for verifier in keys:
            named.setdefault(verifier.name, []).append(verifier.key)
        self._keys: Mapping[str, list[PublicKey]] = named
        self._now = now or SystemClock().now
        super().__init__(self._answer, host, port, connections=CONNECTIONS, what="for logs")

    @property
    def verifier(self) -> NoteVerifier:
        """What its cosignatures are checked with."""
        return NoteVerifier(self._name, True, self._key.public_key)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path != "/add-checkpoint":
            return _said(404, "no such path")
        if request.method != "POST":
            return _said(405, "expected POST")
        go_on(request)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_at_most(request.content, MAX_SUBMISSION_BYTES)
        except TimeoutError:
            return _said(408, "the request did not arrive in time")
        if len(body) > MAX_SUBMISSION_BYTES:
            return _said(413, f"expected at most {MAX_SUBMISSION_BYTES} bytes")
        try:
            return await self._cosigned(body)
        except Conflict as conflict:
            if conflict.other_root:
                return _said(409, "another root of the same size was cosigned")
            return web.Response(status=409, body=b"%d\n" % conflict.size, headers={"Content-Type": SIZE_TYPE})
        except UndersignedError as error:
            _log.error("a checkpoint was not cosigned", error=str(error))
            return _said(503, error.code)

    async def _cosigned(self, body: bytes) -> web.Response:
        """The answer to one request, in the order in which C2SP `tlog-witness` has its checks."""
        try:
            asked = read_submission(body)
            note = read_note(asked.note)
            claimed = read_checkpoint(note.text)
        except LogProofError as error:
            return _said(400, error.message)
        keys = await self._keys_of(claimed.origin)
        if keys is None:
            return _said(404, "no log that this witness knows")
        try:
            head = by_one_of(keys, lambda key: verify_note(asked.note, key, claimed.origin), claimed.origin)
        except LogProofError as error:
            return _said(403, error.message)
        if asked.old > head.size:
            return _said(400, f"{head.size} leaves do not continue {asked.old}")
        try:
            await asyncio.to_thread(self._book.advance, head, asked)
        except Conflict:
            await asyncio.to_thread(self._book.note_contradiction, head, asked.note)
            raise
        except LogProofError as error:
            _log.warning("a log does not continue", log=head.origin, size=head.size, old=asked.old)
            return _said(422, error.message)
        seconds = int(parse_instant(self._now()).timestamp())
        signature = await self._key.sign(cosigned_text(note.text, seconds))
        line = cosignature_line(self._name, self._key.public_key, seconds, signature)
        return web.Response(body=line.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})

    async def _keys_of(self, origin: str) -> list[PublicKey] | None:
        """What the checkpoints of a log are checked with; None if it is not known.

        Raises:
            UndersignedError: Its DID cannot be resolved now.
        """
        known = self._keys.get(origin)
        if origin not in self._logs:
            return known
        document = await self._gatherer.document(origin, max_age_seconds=60)
        return [*(known or ()), *log_keys(document, self._now())]


def _said(status: int, text: str) -> web.Response:
    headers = {"Allow": "POST"} if status == 405 else {}
    return web.Response(status=status, text=f"{text}\n", headers=headers)
