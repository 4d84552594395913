"""What an agent holds about itself: `credentials/*.json` of its state folder.

A peer that runs sees what is put there: the folder is looked at before each presentation, and read again when it has
changed. Whatever is handed over is verified before it is kept; what it renews is put aside, so that the holder never
shows one that was withdrawn while a good one lies beside it.

Source: protocol-spec/11-credentials.md, section 11.7
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog

from undersigned.credentials import (
    MAX_CREDENTIAL_BYTES,
    Credential,
    StatusList,
    enveloped_credential,
    read_credential,
    renews,
    signed_document,
    status_urls,
    verify_credential,
    verify_issued,
    verify_status_list,
)
from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Instant, JsonLimits, JsonObject, canonicalize, decode_json
from undersigned.errors import ConfigurationError, CredentialError, FormatError
from undersigned.runtime.clock import Clock
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.fetching.status_keeper import StatusKeeper
from undersigned.runtime.files import of_the_system, write_whole

from .home import Home

__all__ = ["Kept", "Wallet", "read_handed", "verify_handed"]

_log = structlog.get_logger()

MAX_FILE_BYTES: Final = 2 * MAX_CREDENTIAL_BYTES
"""An enveloped credential of 64 KiB is a text of a third more."""
_LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=MAX_FILE_BYTES, max_string=MAX_FILE_BYTES)
_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Kept(msgspec.Struct, frozen=True):
    """A credential that was put into the wallet."""

    file: Path
    replaced: tuple[Path, ...]
    """Files of those that it renews, where they were put."""
    new: bool
    """Whether it was not held before."""


class Wallet:
    """The credentials of one agent."""

    def __init__(self, home: Home) -> None:
        """Reads them.

        Raises:
            ConfigurationError: `bad_configuration`, one cannot be read.
        """
        self._home = home
        self._folder = home.path / "credentials"
        self._seen = self._told = self._state()
        self._held = home.credentials()

    def held(self) -> tuple[Credential, ...]:
        """The credentials, in order of file name; read again if the folder has changed. What cannot be read is told
        to our operator, and what was held before stays.
        """
        state = self._state()
        if state != self._seen:
            try:
                self._held, self._seen = self._home.credentials(), state
            except ConfigurationError as error:
                if state != self._told:
                    _log.error("credentials were not read again", error=str(error))
                self._told = state
                if not of_the_system(error):
                    self._seen = state
        return self._held

    def files(self) -> dict[Path, Credential]:
        """What is in each file of the folder now, as `Home.credential_files`."""
        return self._home.credential_files()

    def keep(self, credential: Credential) -> Kept:
        """Puts a credential that was verified into the folder, and what it renews aside.

        Raises:
            ConfigurationError: As `files`.
            OSError: The folder cannot be written.
        """
        held = self.files()
        known = next((file for file, one in held.items() if one == credential), None)
        kind = credential.types[0] if credential.types else "Credential"
        name = re.sub("[^A-Za-z0-9]", "", kind.removesuffix("Credential")).lower()[:40]
        file = known or self._folder / f"{name}-{credential.digest[-16:]}.json"
        if known is None:
            write_whole(file, canonicalize(credential.shown))
        replaced: list[Path] = []
        # Also for one that is held: whoever was cut short after it was written put nothing aside.
        for old, one in held.items():
            if renews(credential, one):
                aside = self._folder / "replaced" / f"{one.digest}.json"
                aside.parent.mkdir(exist_ok=True)
                with suppress(FileNotFoundError):  # another command was there first
                    replaced.append(old.replace(aside))
        return Kept(file, tuple(replaced), new=known is None)

    def _state(self) -> tuple[tuple[str, int, int], ...]:
        """What tells a changed folder: each file's name, time and size."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return ()  # there need be none
        found: list[tuple[str, int, int]] = []
        for name in names:
            if name.endswith(".json"):
                try:
                    about = os.stat(f"{self._folder}/{name}")
                except OSError:
                    continue  # gone in this moment: the next look sees the same without it
                found.append((name, about.st_mtime_ns, about.st_size))
        return tuple(sorted(found))


def read_handed(raw: bytes, limits: JsonLimits = _LIMITS) -> JsonObject:
    """The credential in a file that somebody handed over: a JSON object within `limits`, or the text of a `vc+jwt`.

    Raises:
        FormatError: Neither, or too large.
    """
    text = raw.strip()
    if len(text) <= MAX_FILE_BYTES and _JWT.fullmatch(text):
        return enveloped_credential(text.decode())
    value = decode_json(raw, limits)
    if not isinstance(value, dict):
        raise FormatError("bad_json", "expected a JSON object or a JWT")
    return value


async def verify_handed(home: Home, document: JsonObject, gatherer: Gatherer, clock: Clock) -> Credential:
    """The credential, once it is one about this agent, by its issuer, in its time, and clear in its status lists.

    Raises:
        CredentialError: `holder_mismatch`: about somebody else; and as `verify_credential`.
        ResolutionError, FormatError, ProofError, VerificationError: It does not hold, or could not be checked.

    Source: protocol-spec/11-credentials.md, section 11.7
    """
    read = read_credential(document)
    for subject in read.subjects:
        if subject.get("id") != home.configuration.did:
            raise CredentialError(
                "holder_mismatch", f"expected one about {home.configuration.did}; came {subject.get('id')!a:.200}"
            )
    office, now = home.organisation_document(), clock.now()
    if office is not None and read.issuer == office.id:
        # What we publish is not fetched: it would not be there while this peer does not run.
        documents, lists = {office.id: office}, _own_lists(home, read, office, now)
    else:
        documents = await gatherer.documents((read.issuer,), 0.0)
        lists: Mapping[str, StatusList] = {}
        if read.has_status:
            # What nobody signed does not say whom we ask (HIRE-STA-04).
            verify_issued(read, documents=documents, now=now)
            async with StatusKeeper(gatherer, gatherer.document, clock) as keeper:
                lists = await keeper.lists((read,), max_age_seconds=0.0)
    return verify_credential(document, documents=documents, now=clock.now(), lists=lists)


def _own_lists(home: Home, read: Credential, office: DidDocument, now: Instant) -> Mapping[str, StatusList]:
    """The lists of our own organisation as it would serve them now."""
    lists: dict[str, StatusList] = {}
    with closing(home.register()) as register:
        for url in status_urls((read,)):
            raw = register.served(urlsplit(url).path, now)
            if raw is not None:
                lists[url] = verify_status_list(
                    signed_document(raw), url=url, issuer=office.id, documents={office.id: office}, now=now
                )
    return lists
