"""How far the histories of DIDs went on which our decisions rested, in a file of the state folder.

Whoever has the place of a log, and a key that it had once, can serve its beginning again, or go on from there in
another way. A peer that has seen more refuses that, after a restart too.

Source: protocol-spec/02-identity-and-keys.md, HIRE-WVH-10
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from undersigned.did import DidHistory
from undersigned.encoding import Did, canonicalize
from undersigned.errors import ConfigurationError, VerificationError
from undersigned.runtime.files import naming, read_file, write_whole

__all__ = ["SeenHistories"]

_log: Final = structlog.get_logger()

MOST: Final = 4096
"""DIDs that are remembered; of more, those that changed last."""
MAX_BYTES: Final = MOST * (2048 + 128)
"""Of the file: a line holds a DID, of at most 2,048 characters, and the id of a version."""


class SeenHistories:
    """The id of the last version of each, by DID; without a `path`, of none. With `read_only` the file stays as it is:
    it is the peer's that runs.

    Raises:
        ConfigurationError: When made. `bad_configuration`: the file cannot be read.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._last: dict[Did, str] = {}
        self._unwritten = False
        self._writing: asyncio.Task[None] | None = None
        if path is None:
            return
        try:
            with naming(path):
                raw = read_file(path, MAX_BYTES) if path.exists() else b"{}"
            self._last = msgspec.json.decode(raw, type=dict[str, str])
        except (OSError, ValueError, msgspec.MsgspecError) as exc:
            text = f"{path}: expected the last version of each DID's history that was seen, as JSON: {exc}"
            raise ConfigurationError("bad_configuration", text) from exc

    def require(self, history: DidHistory) -> None:
        """Returns if a history has the version that was the last one when it was seen before.

        Raises:
            VerificationError: `did_document_invalid`.
        """
        last = self._last.get(history.did)
        if last is not None and all(version.id != last for version in history.versions):
            text = f"the history of {history.did} has no version {last[:60]!a}, which it had when it was seen before"
            hint = f"; if its owner is known to have begun anew, take that line out of {self._path}"
            raise VerificationError("did_document_invalid", text + hint)

    def grown(self, history: DidHistory) -> None:
        """Remembers how far a history goes now, if it was remembered before."""
        if history.did in self._last:
            self.keep((history,))

    def keep(self, histories: Iterable[DidHistory]) -> None:
        """Remembers how far these go; `written` has it written."""
        new = {one.did: last for one in histories if self._last.get(one.did) != (last := one.versions[-1].id)}
        if self._path is None or not new:
            return
        for did, last in new.items():
            self._last.pop(did, None)
            self._last[did] = last
        while len(self._last) > MOST:
            del self._last[next(iter(self._last))]
        self._unwritten = not self._read_only

    async def written(self) -> None:
        """Returns once all that is remembered is in the file. If it cannot be written, that is logged, and holds for
        this process.
        """
        if self._unwritten and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_all(), name="histories of DIDs")
        if self._writing is not None and not self._writing.done():
            # Whoever gives up leaves the write to the others, and nothing overtakes it.
            await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        while self._unwritten:
            self._unwritten = False
            await asyncio.to_thread(_write, self._path, dict(self._last))


def _write(path: Path | None, last: Mapping[Did, str]) -> None:
    """Beside the event loop: four thousand lines, and a disk that takes them."""
    if path is None:
        return
    try:
        # One a line: it is a person who takes one out.
        lines = b",\n".join(canonicalize({did: version})[1:-1] for did, version in last.items())
        write_whole(path, b"{\n" + lines + b"\n}\n")
    except OSError as exc:
        _log.error("how far histories of DIDs go was not written", file=str(path), error=str(exc))
