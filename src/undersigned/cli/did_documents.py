"""DID documents that somebody kept, named by `--did-document`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Did, decode_json
from undersigned.errors import ConfigurationError
from undersigned.runtime import Gatherer, read_file

from .output import checking

__all__ = ["brought_first", "read_document_file"]

MAX_DOCUMENT_BYTES: Final = 64 * 1024
"""As of one that is fetched."""


def read_document_file(path: Path) -> DidDocument:
    """The DID document in a file.

    Raises:
        ConfigurationError: `bad_configuration`, there is none.
    """
    raw, option = read_file(path, MAX_DOCUMENT_BYTES), f"--did-document {path}"
    with checking(option):
        value = decode_json(raw, FOREIGN_LIMITS)
        did = value.get("id") if isinstance(value, dict) else None
        if isinstance(did, str):
            return DidDocument(did, raw)
    raise ConfigurationError("bad_configuration", f"{option}: it is no DID document")


def brought_first(
    known: Sequence[DidDocument], gatherer: Gatherer
) -> Callable[[Did], Awaitable[Sequence[DidDocument]]]:
    """A look-up of DID documents: those that are known, and the one of now for a DID of which none is."""

    async def documents_of(did: Did) -> Sequence[DidDocument]:
        return [one for one in known if one.id == did] or [await gatherer.document(did)]

    return documents_of
