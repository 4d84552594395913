"""The trust graph on disk: edges one by one in a SQLite file of its own, of which a question reads its neighbourhood.

    with TrustStore(path) as store:
        store.admit([Admitted(edge_of(credential), key)])
        found = store.ask(reputation(agent, "sbom", view))

Edges were verified when they were admitted; opening reads none of them. One process writes, at each commit durably
(WAL, synchronous=FULL, so a crash leaves the graph as of the last one); any number read. A question may span several
reads: `ask` holds them to one state of the graph.

Source: protocol-spec/12-trust.md, sections 12.1 and 12.6
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

import msgspec

from undersigned.encoding import Did, Digest
from undersigned.errors import LedgerError, UndersignedError
from undersigned.keys import PublicKey
from undersigned.ledger.sqlite_file import Lock, connect, next_to, translated
from undersigned.ledger.trust_names import LISTED, Names, listed
from undersigned.trust import KINDS, Edge, EdgeQuery, Link, Question, Read, Reader, Status, answer, beside

__all__ = ["Admitted", "TrustStore"]

APPLICATION_ID: Final = 0x54727374  # "Trst"
VERSION: Final = 4
CACHE_KIB: Final = 128 * 1024
"""Most of the file that is kept in memory: the edges of a neighbourhood lie all over it."""
_EDGE: Final = (
    "SELECT digest, one.text, other.text, what.text, about.text, depth, weight, valid_from, valid_until, status, says"
)
_LINKS: Final = """SELECT json_group_array(id), json_group_array(source), json_group_array(target),
    json_group_array(kind), json_group_array(capability), json_group_array(weight), json_group_array(counts),
    json_group_array(changes)
FROM (
    SELECT edge.id, source, target, kind, capability, weight,
        status = 'good' AND ifnull(valid_from <= ?, 1) AND ifnull(? <= valid_until, 1) AS counts,
        CASE WHEN valid_from > ? THEN strftime('%Y-%m-%dT%H:%M:%SZ', valid_from, '-1 second')
            WHEN ? <= valid_until THEN valid_until END AS changes
    {}
)
"""
_COLUMN: Final = msgspec.json.Decoder(list[Any])
_NAMED: Final = (
    "CROSS JOIN name AS one ON one.id = source CROSS JOIN name AS other ON other.id = target "
    "CROSS JOIN name AS what ON what.id = kind CROSS JOIN name AS about ON about.id = capability"
)
_SHARED: Final = (
    "SELECT DISTINCT one.party, other.party FROM signer AS one JOIN signer AS other "  # noqa: S608 - names of ours
    f"ON other.key = one.key AND other.party <> one.party WHERE one.party IN {LISTED} LIMIT ?"
)
_NAME: Final = "INSERT OR IGNORE INTO name (text) VALUES (?)"
_NUMBER: Final = "(SELECT id FROM name WHERE text = ?)"
_INSERT: Final = (
    "INSERT OR IGNORE INTO edge "  # noqa: S608 - names of ours
    "(digest, source, target, kind, capability, depth, weight, valid_from, valid_until, status, says) "
    f"VALUES (?, {_NUMBER}, {_NUMBER}, {_NUMBER}, {_NUMBER}, ?, ?, ?, ?, ?, ?)"
)
_SIGNER: Final = f"INSERT OR IGNORE INTO signer VALUES ({_NUMBER}, ?)"  # noqa: S608
_STATUS: Final = "UPDATE edge SET status = ? WHERE digest = ? AND status NOT IN ('revoked', ?)"
NO_STATUSES: Final[Mapping[Digest, Status]] = MappingProxyType({})


class Admitted(NamedTuple):
    """An edge to be stored, with the key that its credential's proof was verified by."""

    edge: Edge
    key: PublicKey | None
    """Of `edge.source`. Only keys that signed something are told here: anybody can list the key of somebody else. None:
    what it is made of is not signed, and stands on what an anchor's record pins.
    """
    raw: bytes | None = None
    """The credential, if it has a status: whoever relies on the edge looks it up."""


class TrustStore:
    """The graph in one file. Not for several threads at once.

    Raises:
        LedgerError: When made. `store_version`: of another program or release; `store_corrupt`.
        LedgerUnavailable: Another process writes it, or the file cannot be used.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = None if read_only else Lock(next_to(path, ".lock"))
        try:
            with _translating(path):
                if not read_only and not path.exists():
                    _create(path)
                self._db = connect(path, writing=not read_only)
                try:
                    about = path.stat()
                    self._file = about.st_dev, about.st_ino
                    self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                    _prepare(self._db, path, writing=not read_only)
                    self._names = Names(self._db)
                except BaseException:
                    self._db.close()
                    raise
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def __enter__(self) -> TrustStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write. What was committed stays."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    # -- writing

    def admit(
        self,
        admitted: Iterable[Admitted],
        statuses: Mapping[Digest, Status] = NO_STATUSES,
        *,
        forgetting: Iterable[Digest] = (),
    ) -> int:
        """Stores verified edges in place of those that are to be forgotten, and then what became of some edges, in one
        transaction; returns how many were new.

        An edge that is there already stays as it is, its status above all: who shows a revoked credential again
        does not bring it back.
        """
        rows: list[tuple[Any, ...]] = []
        keys: list[tuple[Did, str]] = []
        held: list[tuple[Digest, bytes]] = []
        for edge, key, raw in admitted:
            rows.append(_row(edge))
            if key is not None:
                keys.append((edge.source, key.multikey))
            if raw is not None:
                held.append((edge.digest, raw))
        with self._writing() as db:
            db.executemany("DELETE FROM edge WHERE digest = ?", [(digest,) for digest in forgetting])
            db.executemany(_NAME, {(text,) for row in rows for text in row[1:5]})
            before = db.total_changes
            db.executemany(_INSERT, rows)
            new = db.total_changes - before
            db.executemany(_SIGNER, keys)
            db.executemany("INSERT OR IGNORE INTO credential VALUES (?, ?)", held)
            db.executemany(_STATUS, [(status, digest, status) for digest, status in statuses.items()])
        return new

    def known(self, digests: Iterable[Digest]) -> set[Digest]:
        """Which of these are edges."""
        with _translating(self.path):
            found = (self._db.execute("SELECT digest FROM edge WHERE digest = ?", (one,)).fetchone() for one in digests)
            return {row[0] for row in found if row is not None}

    def proved(self, did: Did, key: PublicKey) -> None:
        """Remembers that `did` has signed something with `key` that verified."""
        with self._writing() as db:
            db.execute(_NAME, (did,))
            db.execute(_SIGNER, (did, key.multikey))

    def set_status(self, digest: Digest, status: Status) -> bool:
        """Gives an edge the status that its issuer's list has; whether there is such an edge. Revoked is for ever."""
        with self._writing() as db:
            db.execute(_STATUS, (status, digest, status))
            return db.execute("SELECT 1 FROM edge WHERE digest = ?", (digest,)).fetchone() is not None

    def forget(self, digest: Digest) -> bool:
        """Takes an edge out; whether it was there."""
        with self._writing() as db:
            db.execute("DELETE FROM credential WHERE digest = ?", (digest,))
            return db.execute("DELETE FROM edge WHERE digest = ?", (digest,)).rowcount > 0

    # -- reading

    @property
    def version(self) -> int:
        """Another number after each change: an answer is kept no longer than it stands (HIRE-TRU-12)."""
        with _translating(self.path):
            return int(self._db.execute("SELECT number FROM version").fetchone()[0])

    @property
    def count(self) -> int:
        """How many edges there are, standing or not."""
        with _translating(self.path):
            return int(self._db.execute("SELECT count(*) FROM edge").fetchone()[0])

    @property
    def state(self) -> int:
        """Another number once another connection has changed the file; cheaper to ask for than the version."""
        try:
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as exc:
            raise _told(exc, self.path) from exc

    @property
    def replaced(self) -> bool:
        """Whether another file has come in the place of the one that is open here; one that is gone was not."""
        try:
            about = self.path.stat()
        except OSError:
            return False
        return (about.st_dev, about.st_ino) != self._file

    def check(self) -> None:
        """Returns if the whole file is as SQLite wrote it; about a second for a million edges.

        Raises:
            LedgerError: `store_corrupt`.
        """
        with _translating(self.path):
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise LedgerError("store_corrupt", f"{self.path} is damaged: {found}")

    def ask(self, question: Question[Any], *, without: Collection[Digest] = (), more: Iterable[Edge] = ()) -> Any:
        """The answer to one question, from one state of the graph `without` edges that are known not to count, and from
        `more` edges that are not stored.
        """
        with _translating(self.path):
            self._db.execute("BEGIN")
            try:
                stored = self._reading(without) if without else self.read
                return answer(question, beside(more, stored) if more else stored)
            finally:
                self._db.execute("ROLLBACK")

    def _reading(self, without: Collection[Digest]) -> Reader:
        """Reads as `read` does, and leaves these edges out."""
        sql = f"SELECT id FROM edge WHERE digest IN {LISTED}"  # noqa: S608 - names of ours
        left_out = {*without, *(number for (number,) in self._db.execute(sql, (listed(without),)))}

        def read(wanted: EdgeQuery) -> Read:
            if wanted.of not in ("source", "target"):
                return self.read(wanted)
            # With room for those that are left out: without it, more than may be read would look like all there is.
            found = self.read(wanted._replace(most=wanted.most + len(without)))
            if wanted.at is not None:
                return [one for one in cast("list[Link]", found) if one[0] not in left_out]
            return [one for one in cast("list[Edge]", found) if one.digest not in left_out]

        return read

    def read(self, wanted: EdgeQuery) -> Read:
        """What a question wants; a `Reader`. At most one above `most` is read."""
        names = self._names
        with _translating(self.path):
            if wanted.of == "ref":
                refs = listed(ref for ref in wanted.refs if isinstance(ref, int))
                rows = self._db.execute(f"{_EDGE}, edge.id FROM edge {_NAMED} WHERE edge.id IN {LISTED}", (refs,))
                return [(ref, _edge(row)) for *row, ref in rows]
            if wanted.of == "key":
                return self._pairs(_SHARED, (listed(names.numbers(wanted.dids)), wanted.most + 1))
            end = "target" if wanted.of == "target" else "source"
            where, values = self._where(end, wanted)
            # The index is named, because the planner would otherwise go by guesses about a table nobody analysed.
            source = f"FROM edge INDEXED BY edge_by_{end}"
            if wanted.of == "reached":
                return self._pairs(f"SELECT source, target {source} {where}", values)
            if wanted.at is None:
                return [_edge(row) for row in self._db.execute(f"{_EDGE} {source} {_NAMED} {where}", values)]
            return self._links(f"{source} {where}", [*[wanted.at] * _LINKS.count("?"), *values])

    def _links(self, source: str, values: Sequence[object]) -> list[Link]:
        """Links are thousands, and a row costs more to hand over than to find: so they come as columns, in JSON."""
        columns = self._db.execute(_LINKS.format(source), values).fetchone()
        refs, *named, weights, counting, changes = map(_COLUMN.decode, columns)
        sources, targets, kinds, capabilities = self._names.texts(*named)
        about = [capability or None for capability in capabilities]
        return list(zip(refs, sources, targets, kinds, about, weights, map(bool, counting), changes, strict=True))

    def _where(self, end: str, wanted: EdgeQuery) -> tuple[str, list[object]]:
        """The condition of a question for edges, and its parameters."""
        numbers = self._names.numbers
        parts, values = [f"{end} IN {LISTED}"], [listed(numbers(wanted.dids))]
        if wanted.capability is not None:
            parts.append(f"capability IN {LISTED}")
            values.append(listed(numbers(("", wanted.capability))))
        elif all(KINDS[kind].capability is None for kind in wanted.kinds):
            parts.append(f"capability IN {LISTED}")
            values.append(listed(numbers(("",))))
        # One kind is looked up. Several are a filter (the plus), or each would be looked up for each party.
        parts.append(f"{'+' if len(wanted.kinds) > 1 else ''}kind IN {LISTED}")
        values.append(listed(numbers(wanted.kinds)))
        if wanted.by is not None:
            # The plus keeps it a filter: as a key, each of one list would be looked up with each of the other.
            parts.append(f"+source IN {LISTED}")
            values.append(listed(numbers(wanted.by)))
        return f"WHERE {' AND '.join(parts)} LIMIT ?", [*values, wanted.most + 1]

    def _pairs(self, sql: str, values: Sequence[object]) -> list[tuple[Did, Did]]:
        rows = self._db.execute(sql, values).fetchall()
        return list(zip(*self._names.texts(*zip(*rows, strict=True)), strict=True))

    def held(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """The credentials, as they were shown, of those of these edges that have a status."""
        sql = f"SELECT digest, raw FROM credential WHERE digest IN {LISTED}"  # noqa: S608 - names of ours
        with _translating(self.path):
            return dict(self._db.execute(sql, (listed(digests),)))

    def revoked(self, digest: Digest) -> bool:
        """Whether its issuer was found to have revoked the credential of this edge."""
        with _translating(self.path):
            sql = "SELECT 1 FROM edge WHERE digest = ? AND status = 'revoked'"
            return self._db.execute(sql, (digest,)).fetchone() is not None

    def edges(self) -> Iterator[Edge]:
        """All of them, by digest: for people and tests. Questions do not need it."""
        with _translating(self.path):
            for row in self._db.execute(f"{_EDGE} FROM edge {_NAMED} ORDER BY digest"):
                yield _edge(row)

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        """One durable transaction; it counts as a change if it changed anything."""
        if self._lock is None:
            raise LedgerError("internal", "this trust store was opened for reading")
        with _translating(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                before = self._db.total_changes
                yield self._db
                if self._db.total_changes != before:
                    self._db.execute("UPDATE version SET number = number + 1")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _edge(row: Sequence[Any]) -> Edge:
    digest, source, target, kind, capability, depth, weight, valid_from, valid_until, status, says = row
    # What is at its default is left out when an edge is written, and msgspec looks whether it is the same object. A
    # text out of the database never is; then one edge would have two digests.
    status = cast("Status", sys.intern(status))
    return Edge(digest, source, target, kind, capability or None, depth, weight, valid_from, valid_until, status, says)


def _row(edge: Edge) -> tuple[Any, ...]:
    return (
        edge.digest,
        edge.source,
        edge.target,
        edge.kind,
        edge.capability or "",
        edge.depth,
        edge.weight,
        edge.valid_from,
        edge.valid_until,
        edge.status,
        edge.says,
    )


def _prepare(db: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (APPLICATION_ID, VERSION):
        return
    empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    known = application == APPLICATION_ID or (empty and application == version == 0)
    if not writing or not known or version > VERSION:
        raise LedgerError(
            "store_version", f"{path} is no trust graph of this release: {application:#x}, version {version}"
        )
    _fill(db, version)


def _create(path: Path) -> None:
    """Makes the file beside its place and moves it there: whoever finds it can read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = next_to(path, ".new")
    made.unlink(missing_ok=True)
    file = os.open(made, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with closing(sqlite3.connect(made, isolation_level=None)) as db:
            # Killed meanwhile, it is never looked at; so it is synced once, when it is whole.
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA journal_mode = WAL")
            _fill(db)
        os.fsync(file)
    finally:
        os.close(file)
    made.replace(path)


def _fill(db: sqlite3.Connection, version: int = 0) -> None:
    for number in range(version + 1, VERSION + 1):
        script = files("undersigned.ledger.schema").joinpath(f"trust_{number:04d}.sql").read_text("utf-8")
        # The version changes with the tables: killed in between, the file is as before.
        db.executescript(
            f"BEGIN EXCLUSIVE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


@contextmanager
def _translating(path: Path) -> Generator[None]:
    try:
        yield
    except UndersignedError:
        raise
    except (sqlite3.Error, OSError) as exc:
        raise _told(exc, path) from exc


def _told(exc: BaseException, path: Path) -> LedgerError:
    error = translated(exc, path, "the trust graph")
    if error.code != "store_corrupt":
        return error
    return LedgerError(
        error.code,
        f"{error.message}: put back a copy of it; or move it away, with its -wal and -shm, and import again what was"
        " admitted (undersigned trust import): each status is looked up anew, and what was revoked is known from the"
        " lists of its issuers alone",
    )
