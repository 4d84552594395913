"""The files of a SQLite ledger: connection, schema version, lock, room kept back, and the head beside the database.

ledger.db         the database, with SQLite's own -wal and -shm
ledger.db.lock    held by the one process that writes; names it
ledger.db.spare   room that refusals and endings may use when the disk is full
ledger.db.head    size and root of the tree, so that a shortened or deleted database is noticed
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import sqlite3
import sys
import threading
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import msgspec

from undersigned.errors import NO_ROOM, LedgerConflict, LedgerError, LedgerUnavailable
from undersigned.ledger.seen import Head, Seen, Stated

__all__ = [
    "HeadFile",
    "Lock",
    "Spare",
    "bring_up_to_date",
    "connect",
    "create_empty",
    "disk_trouble",
    "next_to",
    "open_database",
    "prepare",
    "require",
    "seal",
    "translated",
]

APPLICATION_ID: Final = 0x48697265  # "Hire"
VERSION: Final = 6
SPARE_BYTES: Final = 1 << 20
BUSY_MILLISECONDS: Final = 5000
STATEMENTS: Final = 512
"""Statements that a connection keeps prepared; an INSERT is another one for each number of rows."""
_OPENING: Final = threading.Lock()
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says on which a file has one name only."""


def next_to(path: Path, ending: str) -> Path:
    """The file beside a database that has its name and this ending."""
    return path.with_name(path.name + ending)


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """A connection in autocommit mode; the writing one is durable at each COMMIT, the other cannot write.

    Raises:
        LedgerError: `ledger_diverged`, the head beside it says that there was a database, and there is none, or nothing
            in it.
        LedgerUnavailable: It cannot be opened, or SQLite did not take WAL or synchronous=FULL.
    """
    _require_not_gone(path)
    if writing:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_database(path, making=writing)
    try:
        if writing:
            require(db, "journal_mode", "wal", "wal")
            require(db, "synchronous", "FULL", 2)
            db.execute("PRAGMA wal_autocheckpoint = 2000")
        else:
            require(db, "query_only", "1", 1)
        db.execute("PRAGMA cache_size = -16000")
        db.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        db.close()
        raise
    return db


def _require_not_gone(path: Path) -> None:
    head = next_to(path, ".head")
    if not head.exists():
        return
    try:
        became = "is empty" if path.stat().st_size == 0 else ""
    except FileNotFoundError:
        became = "is gone"
    if became:  # what makes a database anew in its place would make it one of which nobody sees that it was cut
        raise LedgerError(
            "ledger_diverged", f"{path} {became}, and {head.name} beside it says that it held a log: put it back"
        )


def open_database(path: Path, *, making: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, of any one thread at a time; `making`: the file is made if there is none.

    A database is opened by SQLite and by nothing else. On POSIX, whoever closes any descriptor of a file loses all
    locks that its process holds on it: every other connection would go on without them, and the next process to close
    the file would take itself for the last and delete the log that they read.

    Raises:
        sqlite3.OperationalError, OSError: It cannot be opened or made.
    """
    # One at a time: between the making and the closing of a new file nobody may open it.
    with _OPENING:
        if making and not path.exists():
            with suppress(FileExistsError):
                # SQLite gives its other files the mode of this one.
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return sqlite3.connect(
            f"file:{quote(bytes(path))}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_MILLISECONDS / 1000,
            cached_statements=STATEMENTS,
        )


def require(db: sqlite3.Connection, name: str, value: str, wanted: object) -> None:
    """Set a pragma, and see that it is in force.

    Raises:
        LedgerUnavailable: It is not.
    """
    # SQLite answers with what is in force, which need not be what was asked for.
    db.execute(f"PRAGMA {name} = {value}")
    found = db.execute(f"PRAGMA {name}").fetchone()
    if found is None or found[0] != wanted:
        raise LedgerUnavailable("store_unavailable", f"SQLite keeps {name} at {found and found[0]!r}, not {value}")


def prepare(db: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    """The database, of the file `path`, has this release's schema, created if the file is new.

    Raises:
        LedgerError: `store_version`: of another program, a newer release, or an older one that is opened for reading.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = _version(db)
    if (application, version) == (APPLICATION_ID, VERSION):
        return
    empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != APPLICATION_ID and not (empty and application == 0 and version == 0):
        raise LedgerError("store_version", f"{path} is no ledger: its application id is {application:#x}")
    if version > VERSION or not writing:
        text = f"the ledger {path} is of schema version {version}, this release reads {VERSION}"
        if version < VERSION:
            text += ": whoever writes it brings it up to date, as 'undersigned ledger upgrade' does"
        raise LedgerError("store_version", text)
    db.create_function("sealed", -1, seal, deterministic=True)
    db.create_function("seen_before", 7, _seen_before, deterministic=True)
    db.create_function("from_hex", 1, _from_hex, deterministic=True)
    db.create_function("require_equal", 2, _require_equal)
    for number in range(version + 1, VERSION + 1):
        script = files("undersigned.ledger.schema").joinpath(f"sqlite_{number:04d}.sql").read_text("utf-8")
        try:
            # The version changes with the tables: killed in between, the file is as before.
            db.executescript(
                f"BEGIN EXCLUSIVE;\nSELECT require_equal(user_version, {number - 1}) FROM pragma_user_version;\n"
                f"{script}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if _version(db) < number:
                raise  # else another process has done it meanwhile


def bring_up_to_date(path: Path, *, meant: Path | None = None) -> None:
    """The database is there and has this release's schema, while others may have it open. Errors name the file that is
    `meant`, by default that.

    Raises:
        LedgerError, LedgerUnavailable: As `connect` and `prepare`.
    """
    try:
        db = connect(path, writing=True)
        try:
            prepare(db, meant or path, writing=True)
        finally:
            db.close()
    except (sqlite3.Error, OSError) as exc:
        raise translated(exc, meant or path) from exc


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def _require_equal(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"expected {wanted}, found {found}")


def seal(*values: object) -> bytes:
    """SHA-256 over a row's values, so that a changed bit in it shows."""
    return sha256(msgspec.json.encode(values)).digest()


def _from_hex(text: str | None) -> bytes:
    return bytes.fromhex(text or "")


def _seen_before(log: str, size: int, root: bytes, at: str, note: str, agreed_size: int, agreed_root: bytes) -> bytes:
    """What version 4 kept of a log, as it is kept now."""
    newest = Stated(log=log, size=size, root=root, at=at, note=note)
    if (size, root) == (agreed_size, agreed_root):
        return msgspec.json.encode(Seen(agreed=newest))
    agreed = Stated(log=log, size=agreed_size, root=agreed_root, at=None, note="")
    return msgspec.json.encode(Seen(agreed=agreed, open=(newest,)))


def create_empty(path: Path) -> None:
    """An empty database, in place whole or not at all; one that somebody else put there meanwhile stays.

    Raises:
        LedgerError: `ledger_diverged`, as `connect`.
        LedgerUnavailable: It cannot be written.
    """
    _require_not_gone(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        bring_up_to_date(draft, meant=path)
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise translated(exc, path) from exc
        bring_up_to_date(path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_UNIQUE: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
)


def disk_trouble(exc: BaseException) -> bool:
    """Whether the disk or the file is to blame, and not what was asked to be written."""
    primary = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return isinstance(exc, OSError) or primary in _UNAVAILABLE | {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }


def translated(exc: BaseException, path: Path, what: str = "the ledger") -> LedgerError:
    """The error of our tree for one of SQLite's or of the operating system, about the file `path` of `what`."""
    code = getattr(exc, "sqlite_errorcode", 0)
    primary = code & 0xFF
    name = getattr(exc, "sqlite_errorname", type(exc).__name__)
    why = _why(exc, path)
    # What several processes share of a database grows by being written, and fails where a disk has no room for it.
    full = primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        why = "SQLite makes files beside a database also to read it: make room, or copy the folder and read that"
    if full or getattr(exc, "errno", None) in NO_ROOM:
        return LedgerUnavailable("store_full", f"no room for {what} {path}: {why}")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        none = ", or is none" if primary == sqlite3.SQLITE_NOTADB else ""
        text = f"the file of {what} is damaged{none} ({name}): {path}: {why}; see GUIDE, Copies"
        return LedgerError("store_corrupt", text)
    if code in _UNIQUE:
        return LedgerConflict("store_conflict", f"another row has this key already: {exc}")
    if primary in _UNAVAILABLE or isinstance(exc, OSError):
        return LedgerUnavailable("store_unavailable", f"{what} {path} cannot be read or written ({name}): {why}")
    return LedgerError("internal", f"SQLite refused a statement ({name}): {exc}")


def _why(exc: BaseException, path: Path) -> str:
    """What went wrong with a file; SQLite says of each that it cannot be opened, and no more."""
    if isinstance(exc, OSError):
        beside = f"{exc.filename}: " if exc.filename not in (None, str(path)) else ""
        return f"{beside}{exc.strerror or exc}"
    if getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        if path.is_dir():
            return "it is a folder"
        if path.is_file() and not os.access(path.parent, os.W_OK):
            # It could be opened as `immutable`, which takes no lock and sees no log. That is right only while nobody
            # writes it, and who cannot write a folder cannot know that: it may be another's, mounted here.
            return (
                f"{path.parent} is read-only here, and SQLite makes files beside a database also to read it: copy the"
                " folder to where you may write, and read that"
            )
    return str(exc)


class Lock:
    """Held by the one process that may write, let go by the system when the process ends.

    Raises:
        LedgerUnavailable: `store_unavailable`, another process holds it: `detail["pid"]` is its number, empty if it
            could not be read; or it cannot be made, `store_full` if there is no room.
    """

    def __init__(self, path: Path, what: str = "writes this ledger") -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise translated(exc, path, "the lock") from exc
        try:
            _lock(self._file)
        except OSError as exc:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            who = f"process {holder}" if holder else "another process"
            if holder == str(os.getpid()):
                who = f"this process itself ({holder})"
            raise LedgerUnavailable("store_unavailable", f"{who} {what}: {path}", pid=holder) from exc
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as exc:
            os.close(self._file)  # or this process would keep itself out from now on
            raise translated(exc, path, "the lock") from exc

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        # Beyond the text, which others must be able to read.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _private(path: str, flags: int) -> int:
    """Opener of files that only this user may read."""
    return os.open(path, flags, 0o600)


class Spare:
    """A file that takes room on the disk, to be deleted when the disk is full and something must still be written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hold(self) -> bool:
        """Whether the room is held, taking it if need be."""
        try:
            if self._path.stat().st_size == SPARE_BYTES:
                return True
        except OSError:
            pass
        try:
            with open(self._path, "wb", opener=_private) as file:
                # Bytes, not a hole: a hole takes no room.
                file.write(os.urandom(4096) * (SPARE_BYTES // 4096))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        """Give the room back to the disk. If that cannot be done, whoever needs it hears so from what it writes."""
        with suppress(OSError):
            self._path.unlink()


class HeadFile:
    """Size and root of the tree, kept beside the database and written after it.

    It is not synced: after a power cut it may be old or empty, which says nothing. It never runs ahead of the
    database, unless the database lost something. It is written in place, always the same number of bytes; who reads
    half of one and half of another sees it by the sum.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def at_opening(self) -> Head | None:
        """The head, where nobody else writes it; None if there is none, or what a power cut leaves of it.

        Raises:
            LedgerError: `store_corrupt`: it holds something that was never written, and that no power cut leaves.
            OSError: It cannot be read.
        """
        try:
            held = self.path.read_bytes()  # once: what cannot be read for the moment is not damaged
        except FileNotFoundError:
            return None
        head = _head(held)
        if head is None and held.strip(b"\0"):
            raise LedgerError(
                "store_corrupt",
                f"{self.path} is damaged, so it cannot be seen whether the ledger beside it was cut: put back a"
                " copy of it; or, if you know that the ledger is whole, take it away",
            )
        return head

    def beside(self) -> Head | None:
        """As `at_opening`, where somebody else may be writing it: what is read half old and half new is not so twice.

        Raises:
            LedgerError, OSError: As `at_opening`.
        """
        try:
            return self.at_opening()
        except LedgerError:
            return self.at_opening()

    def write(self, head: Head) -> None:
        """Replace the head; that it cannot be written is no reason to refuse a commit that is durable."""
        text = f"{head.size:020}\n{base64.b64encode(head.root).decode()}\n{_sum(head)}\n"
        with suppress(OSError):
            descriptor = _private(str(self.path), os.O_WRONLY | os.O_CREAT)
            try:
                os.pwrite(descriptor, text.encode(), 0)
            finally:
                os.close(descriptor)


def _head(held: bytes) -> Head | None:
    try:
        size, root, check, end = held.decode("ascii").split("\n")
        head = Head(int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        return None
    whole = end == "" and head.size >= 0 and len(head.root) == 32 and check == _sum(head)
    return head if whole else None


def _sum(head: Head) -> str:
    return sha256(b"%d %b" % (head.size, head.root)).hexdigest()[:16]
