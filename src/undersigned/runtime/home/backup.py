"""A copy of a state folder, made while a peer runs on it.

It has no keys, so nothing can be signed by it: a log that goes on from an old copy would contradict what its key has
signed since, which is proof against its owner. The ledger comes first, and what it speaks of, which was stored before
it was spoken of, after it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

from undersigned.errors import NO_ROOM, ConfigurationError, LedgerUnavailable
from undersigned.ledger import BESIDE_DATABASE, copy_database
from undersigned.runtime.files import hold, left_over, open_file, private_opener, sync_folder, why

from .control import CONTROL_TOKEN, GATE_TOKEN
from .home import Home

__all__ = ["BackedUp", "back_up"]

CHUNK_BYTES: Final = 1 << 20
DRAFT: Final = ".undersigned-draft"
"""File beside a copy that is not whole, held by whoever makes it; without one, nothing here is removed."""
SETTLED_SECONDS: Final = 1.0
"""A draft that nobody holds by then was left by a process that was killed, and is no other that just begins."""
LEFT_OUT: Final = frozenset({"keys", "orders", "scratch", CONTROL_TOKEN, GATE_TOKEN})
"""What is at the top of a state folder and not in a copy: keys and tokens, and what is on its way. Nor are these under
another name, nor files that the settings name as tokens.
"""


class BackedUp(NamedTuple):
    """What a copy holds."""

    files: int
    bytes: int


def back_up(home: Home, folder: Path, tell: Callable[[int, int], None]) -> BackedUp:
    """Copies a state folder to `folder`, which is there whole once this returns, or not at all. `tell` hears how many
    bytes of how many were copied, and ends it by what it raises. What a copy that was killed left beside it goes.

    Raises:
        ConfigurationError: `bad_configuration`, something is there, or it lies in the state folder; `not_found`,
            nothing was ever written to the ledger.
        LedgerError: A database cannot be read, the ledger's is gone, or there is no room.
    """
    root, target = home.path.resolve(), folder.absolute()
    _require_free(folder)
    if target.parent.resolve().is_relative_to(root):
        raise ConfigurationError("bad_configuration", f"{folder} lies in the state folder: name one outside of it")
    if not target.parent.is_dir():
        raise ConfigurationError("bad_configuration", f"there is no folder {target.parent} to make {target.name} in")
    if not home.ledger.exists() and not home.ledger.with_name(f"{home.ledger.name}.head").exists():
        raise ConfigurationError("not_found", f"nothing was ever written to {home.ledger}")
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        _sweep(target.parent)
        draft.mkdir(mode=0o700)
        whole = draft / "whole"
        try:
            with open(draft / DRAFT, "xb", opener=private_opener) as held:
                hold(held)
                whole.mkdir(mode=0o700)
                found = _copied(home, root, whole, tell)
                for made, _, _ in os.walk(whole, topdown=False):
                    sync_folder(Path(made))
                try:
                    whole.rename(target)
                except OSError:
                    _require_free(folder)  # of two that make it at once the first has it
                    raise
                sync_folder(target.parent)
        finally:
            _remove(draft)
    except OSError as exc:
        code = "store_full" if exc.errno in NO_ROOM else "store_unavailable"
        raise LedgerUnavailable(code, f"{exc.filename or folder}: {why(exc)}") from exc
    return found


def _require_free(folder: Path) -> None:
    if os.path.lexists(folder):
        raise ConfigurationError("bad_configuration", f"{folder} is there already: name a folder that is not")


def _sweep(folder: Path) -> None:
    """Removes the drafts of copies whose process was killed."""
    for mark in folder.glob(f".*/{DRAFT}"):
        with suppress(OSError):  # it is finished or removed at this moment, by another process
            if time.time() - mark.lstat().st_mtime > SETTLED_SECONDS and left_over(mark):
                _remove(mark.parent)


def _remove(draft: Path) -> None:
    """The mark goes last, so what a kill leaves of a draft meanwhile is known for one."""
    shutil.rmtree(draft / "whole", ignore_errors=True)
    shutil.rmtree(draft, ignore_errors=True)


def _copied(home: Home, root: Path, draft: Path, tell: Callable[[int, int], None]) -> BackedUp:
    databases, secrets = {home.ledger.name, _books(home, root)}, _secrets(home, root)
    total = sum(size for _, size in _files(root, databases, secrets))
    files = done = 0

    def told(more: int) -> None:
        tell(done + more, max(total, done + more))

    def copy(name: Path) -> None:
        nonlocal files, done
        made = draft / name
        made.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_database(name, databases):
            copy_database(root / name, made, told)
        elif not _copy_file(root / name, made, told):
            return
        files, done = files + 1, done + made.stat().st_size

    first = Path(home.ledger.name)
    copy(first)
    for name, _ in _files(root, databases, secrets):
        if name != first:
            copy(name)
    return BackedUp(files, done)


def _books(home: Home, root: Path) -> str | None:
    """The file of the shared books, if it lies in the state folder; another's is another's to copy."""
    name = home.configuration.books
    return None if name is None else os.path.relpath(root / name, root)


def _is_database(name: Path, databases: Container[str | None]) -> bool:
    return name.suffix == ".db" or str(name) in databases


def _secrets(home: Home, root: Path) -> set[tuple[int, int]]:
    """The keys, our tokens, and the files that hold what registries ask for, by device and number, so by whatever name
    they are met.
    """
    tokens = (root / one.token_file for one in home.configuration.registry if one.token_file is not None)
    files = (*(root / "keys").rglob("*"), root / CONTROL_TOKEN, root / GATE_TOKEN, *tokens)
    return {(found.st_dev, found.st_ino) for found in (file.stat() for file in files if file.exists())}


def _files(
    root: Path, databases: Container[str | None], secrets: Container[tuple[int, int]]
) -> Iterator[tuple[Path, int]]:
    """What there is to be copied, by its path in the state folder, and its size. A link counts as what it leads to."""

    def unlisted(exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError):
            raise exc

    for folder, folders, names in os.walk(root, followlinks=True, onerror=unlisted):
        here = Path(folder)
        if here == root:
            folders[:] = [one for one in folders if one not in LEFT_OUT]
            names = [one for one in names if one not in LEFT_OUT]
        folders[:] = [one for one in folders if not one.startswith(".")]
        place = here.relative_to(root)
        if here.resolve() in {(root / one).resolve() for one in place.parents}:
            folders.clear()  # a link to a folder that it lies in
            continue
        for name in names:
            beside = (Path(name.removesuffix(end)) for end in BESIDE_DATABASE if name.endswith(end))
            if name.startswith(".") or any(_is_database(place / one, databases) for one in beside):
                continue
            try:
                found = (here / name).stat()
            except FileNotFoundError:
                if (here / name).is_symlink():
                    raise  # a disk that is not there now, and all that was kept on it
                continue  # it was only there for a moment
            if S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in secrets:
                yield place / name, found.st_size


def _copy_file(path: Path, made: Path, tell: Callable[[int], None]) -> bool:
    """Whether the file was still there, and is copied."""
    try:
        source = open_file(path)
    except FileNotFoundError:
        return False
    with source, open(made, "xb", opener=private_opener) as copy:
        done = 0
        while data := source.read(CHUNK_BYTES):
            copy.write(data)
            done += len(data)
            tell(done)
        copy.flush()
        os.fsync(copy.fileno())
    return True
