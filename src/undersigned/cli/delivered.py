"""What was delivered, written into a folder that somebody named, under names that the provider chose.

Nothing that is there is lost to it: where a file of that name has other content, what was delivered gets a free name
beside it, for the work is paid for by then. What is there already, bit by bit, is left. For the same reason one that
cannot be written keeps none of the others from it.
"""

from __future__ import annotations

import asyncio
import os
import re
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from itertools import chain, count, islice
from pathlib import Path
from typing import Final, NamedTuple

from undersigned.encoding import Digest, digest_from_hex, from_struct
from undersigned.errors import NO_ROOM, LedgerUnavailable, UndersignedError
from undersigned.runtime import Contents, Meter, Transfer, open_file, why

from .output import Out
from .telling import moved
from .words import plain

__all__ = ["Failed", "Written", "not_written", "write_artifacts"]

PIECE_BYTES: Final = 1 << 20
MAX_NAME_BYTES: Final = 200
"""Of a name that is kept; systems take 255, and a number may come behind it."""
NO_NAME: Final = re.compile(r'[/\\:*?"<>|]|^[.~ -]|[. ]$')
"""What leads elsewhere, hides, is an option or a folder to a shell, or is not taken as it stands by some system."""
DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)
"""What some systems take for a device, in every folder."""
MOST_TOLD: Final = 5
"""So many of those that are not written are named to people; programs are told all."""
ENDING: Final = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,7}){0,2}$")
"""`.txt`, `.tar.gz`: programs go by these."""


class Written(NamedTuple):
    """Where one artifact is."""

    path: Path
    instead_of: Path | None = None
    """Where it would be, if nothing else had been there before."""
    was_there: bool = False
    """Whether it was there already, and nothing had to be written."""


Failed = OSError | UndersignedError
"""What the system says against writing one, or our own store against reading it."""


async def write_artifacts(
    artifacts: Contents, folder: Path, out: Out | None = None, *, force: bool = False
) -> tuple[dict[str, Written], dict[str, Failed]]:
    """Writes what was delivered, and tells how far it is: where each artifact is, by its name, and of each that is
    nowhere, why.

    Each is there whole or not at all. `force` writes over files that are there, but not over each other.
    """
    written: dict[str, Written] = {}
    failed: dict[str, Failed] = {}
    for number, name in enumerate(artifacts, start=1):
        wanted = folder / (name if _is_harmless(name) else f"artifact-{number}")
        ours = {_alike(one.path) for one in written.values()}
        try:
            written[name] = await _write(artifacts, name, wanted, ours, out, force=force)
        except (OSError, UndersignedError) as error:
            failed[name] = error
    return written, failed


async def _write(
    artifacts: Contents, name: str, wanted: Path, ours: set[str], out: Out | None, *, force: bool
) -> Written:
    places = chain([wanted], (_beside(wanted, place) for place in count(2)))
    for path in (one for one in places if _alike(one) not in ours):
        was_there = await asyncio.to_thread(_holds, path, artifacts.size(name), artifacts.digest(name))
        if not was_there:
            over = force and not path.is_dir()
            if not over and os.path.lexists(path):
                continue
            try:
                await artifacts.save(name, path, _telling(out, artifacts, name) if out else None, new=not over)
            except FileExistsError:  # somebody else made it meanwhile
                continue
        as_wanted = path == wanted or _alike(wanted) in ours
        return Written(path, None if as_wanted else wanted, was_there)
    raise AssertionError


def not_written(failed: dict[str, Failed], folder: Path, kept: str) -> UndersignedError:
    """The error for those that are not in the folder: what the system says goes before what our store does. `kept` is
    where they are all the same.
    """
    said = [f"{plain(name, 200)} is not written: {_why(error, folder)}" for name, error in failed.items()]
    more = [f"and {len(said) - MOST_TOLD} more are not"] if len(said) > MOST_TOLD else []
    text = "--out: " + "; ".join([*islice(said, MOST_TOLD), *more])
    systems = [error for error in failed.values() if isinstance(error, OSError)]
    if not systems:
        ours = next(error for error in failed.values() if isinstance(error, UndersignedError))
        ours.message = text
        return ours
    full = any(error.errno in NO_ROOM for error in systems)
    where = f"; all is kept in {kept}" if len(systems) == len(failed) else ""
    return LedgerUnavailable("store_full" if full else "store_unavailable", text + where)


def _why(error: Failed, folder: Path) -> str:
    return f"{error.filename or folder}: {why(error)}" if isinstance(error, OSError) else error.message


def _holds(path: Path, size: int, digest: Digest) -> bool:
    """Whether exactly these bytes are in a regular file, which is no link."""
    try:
        with open_file(path, links=False) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            hasher = sha256()
            while piece := file.read(PIECE_BYTES):
                hasher.update(piece)
    except OSError:
        return False
    return digest_from_hex(hasher.hexdigest()) == digest


def _telling(out: Out, artifacts: Contents, name: str) -> Callable[[int], None]:
    """Tells how far something large is written, as how far it had come before."""

    def tell(done: int, total: int | None) -> None:
        state = Transfer(name=name, digest=artifacts.digest(name), outward=False, bytes=done, total=total)
        out.value({"kind": "transfer", "type": "written", "summary": moved(state), "transfer": from_struct(state)})
        out.progress(f"          .. written        {moved(state)}")

    meter = Meter(tell)
    return lambda done: meter.at(done, artifacts.size(name))


def _is_harmless(name: str) -> bool:
    """Whether the provider's text names a file in the folder where it is put, on every system, and nothing else."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < length <= MAX_NAME_BYTES and name.isprintable() and not NO_NAME.search(name) and not DEVICE.fullmatch(name)
    )


def _alike(path: Path) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFC", path.name).casefold()


def _beside(path: Path, number: int) -> Path:
    end = ENDING.search(path.name)
    at = end.start() if end is not None else len(path.name)
    return path.with_name(f"{path.name[:at]}-{number}{path.name[at:]}")
