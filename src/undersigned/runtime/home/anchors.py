"""The anchors of a state folder: DIDs that its configuration lists, and signed records in the folder `anchors/`.

A record is named by its digest, so a second signature replaces the file and makes no other record. Of one set only the
highest number that enough people adopted counts, whichever files lie there. What is taken out or replaced is kept under
`anchors/removed/`, with everything that its signers had signed.

Source: protocol-spec/12-trust.md, section 12.7
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import structlog
from msgspec import Struct

from undersigned.did import DidDocument, document_from, make_document
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    digest_of,
)
from undersigned.errors import ConfigurationError, FormatError, UndersignedError, VerificationError
from undersigned.proof import JCS_SUITE_OF, attach, prepare, proofs_of
from undersigned.runtime.files import files_of, read_file, why, write_whole
from undersigned.trust import (
    AddingRule,
    Anchor,
    Anchors,
    AnchorSet,
    RecordContent,
    VerifiedRecord,
    Viewpoint,
    check_successor,
    latest_sets,
    read_record,
    record_config,
    verify_record,
)

from .configuration import CONFIGURATION
from .followed import Followed
from .home import Home

__all__ = ["AnchorBook", "KeptRecord", "followed_anchors", "load_anchors", "read_document", "sign_record", "viewpoint"]

_log = structlog.get_logger()


class KeptRecord(Struct, frozen=True, kw_only=True):
    """A record in the folder: verified, or waiting for a second person."""

    digest: Digest
    document: JsonObject
    content: RecordContent
    record: VerifiedRecord | None
    """None while a second person has to sign; then it counts for nothing."""

    def holds(self, other: AnchorSet | None) -> bool:
        """Whether it holds this set, in any version."""
        mine = self.content.set
        return mine is not None and other is not None and mine.key == other.key


class AnchorBook:
    """All anchors of a state folder, read once.

    Raises:
        ConfigurationError: When made. `bad_configuration`: a record does not verify, two adopted sets of one number
            differ, the people cannot be used, or the configuration lists anchors although one person may not add them.
    """

    def __init__(self, home: Home, now: Instant) -> None:
        self._home, self._now = home, now
        trust, part = home.configuration.trust, home.configuration.organisation
        self.rule = AddingRule(
            people=trust.people or (part.did if part else home.configuration.did,), reach_of_one=trust.reach_of_one
        )
        self._documents = _documents(home, self.rule.people)
        self.listed = tuple(Anchor(issuer=did) for did in sorted(set(trust.anchors)))
        if self.listed and self.rule.needed(self.listed) > 1:
            raise ConfigurationError(
                "bad_configuration",
                f"{home.path / CONFIGURATION} lists anchors, which are believed about everything, and one person "
                "may not add such: add them with 'undersigned trust add'",
            )
        try:
            files = files_of(home.anchors, "*.json")
        except OSError as exc:  # believing nobody would say no to all, and not why
            raise ConfigurationError("bad_configuration", f"{home.anchors} cannot be read: {why(exc)}") from exc
        kept = [one for one in map(self._kept, files) if one is not None]
        try:
            latest = latest_sets(one.record.set for one in kept if one.record and one.record.set)
        except UndersignedError as error:
            raise ConfigurationError("bad_configuration", f"{home.anchors}: {error}") from error
        replaced = [one for one in kept if _is_replaced(one.content.set, latest)]
        self.records = tuple(one for one in kept if one not in replaced)
        """Those that count or wait."""
        self.replaced = tuple(replaced)
        """Those of sets of which a higher number was adopted."""

    @property
    def anchors(self) -> Anchors:
        """Those that count: the configuration's, and those of every record that enough people signed."""
        return self.believing()

    def believing(
        self, more: Iterable[Anchor] = (), *, without: Iterable[KeptRecord] = (), unlisted: Iterable[Anchor] = ()
    ) -> Anchors:
        """Those that would count with `more`, without some of the records, and without some that are listed."""
        gone, off = [kept.digest for kept in without], list(unlisted)
        counted = [
            one for kept in self.records if kept.record and kept.digest not in gone for one in kept.record.anchors
        ]
        return Anchors().with_anchors([*(one for one in self.listed if one not in off), *counted, *more])

    def adopted(self, of: AnchorSet | None) -> tuple[KeptRecord, ...]:
        """The records by which this set counts, in whatever version; seldom more than one."""
        return tuple(kept for kept in self.records if kept.record is not None and kept.holds(of))

    def checked(self, document: Mapping[str, Any]) -> VerifiedRecord | None:
        """The record in a document; None if only a second person's proof is missing.

        Raises:
            UndersignedError: As `verify_record`.
        """
        return self._checked(document, self._documents)

    def put(self, document: JsonObject) -> Path:
        """Writes a record that verifies, or waits for a second person; the file, once it is on disk.

        A set that counts then takes the place of its older versions.

        Raises:
            UndersignedError: As `verify_record`, and `check_successor` for a set that is adopted already.
        """
        found = self.checked(document)
        digest, new = digest_of(document), read_record(document).set
        path = self._home.anchors / f"{digest}.json"
        for old in self.adopted(new):
            check_successor(cast("AnchorSet", old.content.set), cast("AnchorSet", new))
        if found is None and any(kept.digest == digest and kept.record is not None for kept in self.records):
            return path  # it counts already; with fewer proofs it would not any more
        write_whole(path, canonicalize(document))
        for kept in (*self.replaced, *self.records) if found is not None else ():
            if kept.holds(new) and cast("AnchorSet", kept.content.set).number < cast("AnchorSet", new).number:
                self._put_aside(kept)
        return path

    def remove(self, record: KeptRecord) -> None:
        """Takes a record out of the folder and keeps it under `removed/`. Older versions of a set that counts go with
        it, or they would count again.
        """
        for kept in self.replaced if record.record is not None else ():
            if kept.holds(record.content.set):
                self._put_aside(kept)
        self._put_aside(record)

    def _put_aside(self, record: KeptRecord) -> None:
        file, gone = self._home.anchors / f"{record.digest}.json", self._home.anchors / "removed"
        gone.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another command was there first
            file.rename(gone / file.name)

    def unlist(self, did: Did) -> None:
        """Takes a DID off the list in the configuration, and changes nothing else in it.

        Raises:
            ConfigurationError: `bad_configuration`: the list is not written as `init` writes it.
        """
        file = self._home.path / CONFIGURATION
        text = file.read_text("utf-8")
        wanted = tomllib.loads(text)
        wanted["trust"]["anchors"] = [one for one in wanted["trust"]["anchors"] if one != did]
        line = f"anchors = {json.dumps(wanted['trust']['anchors'])}"
        changed, count = re.subn(r"(?m)^anchors = \[.*\]$", lambda _: line, text)
        if count != 1 or tomllib.loads(changed) != wanted:
            raise ConfigurationError("bad_configuration", f"take {did} off the list [trust] anchors in {file} by hand")
        write_whole(file, changed.encode())

    def _checked(self, document: Mapping[str, Any], documents: Mapping[Did, DidDocument]) -> VerifiedRecord | None:
        try:
            return verify_record(document, self.rule, documents=documents, now=self._now)
        except UndersignedError as error:
            if error.code != "approval_required":
                raise
            return None

    def _recorded(self, document: Mapping[str, Any]) -> VerifiedRecord | None:
        """As `checked`, of what lies in the folder: also by a key that the agent, or the organisation, had when it
        signed. Nothing new is taken by one (HIRE-KEY-07).
        """
        try:
            return self.checked(document)
        except VerificationError as error:
            if error.code != "key_not_authorized":
                raise
            part = self._home.configuration.organisation
            owners = {"agent": self._home.configuration.did, **({"organisation": part.did} if part else {})}
            for name, did in owners.items():
                method = _signed_as(document, did)
                if method is None:
                    continue
                for key in self._home.former_keys(name):
                    with suppress(VerificationError):
                        keys = {method.partition("#")[2]: key}
                        raw = canonicalize(make_document(did, authentication={}, assertion_method=keys))
                        return self._checked(document, {**self._documents, did: DidDocument(did, raw)})
            raise

    def _kept(self, file: Path) -> KeptRecord | None:
        """The record in a file; None if another command has put it aside since the folder was listed."""
        try:
            document = read_document(file)
            digest = digest_of(document)
            if file.stem != digest:
                raise ConfigurationError("bad_configuration", f"the record's digest is {digest}")
            content = read_record(document)
            return KeptRecord(digest=digest, document=document, content=content, record=self._recorded(document))
        except UndersignedError as error:
            if not os.path.lexists(file):
                return None
            raise ConfigurationError("bad_configuration", f"{file}: {error}") from error


def _is_replaced(held: AnchorSet | None, latest: Mapping[tuple[Did, str], AnchorSet]) -> bool:
    """Whether a set can count no more: another one was adopted whose number it does not exceed."""
    adopted = latest.get(held.key) if held is not None else None
    return held is not None and adopted is not None and held != adopted and held.number <= adopted.number


def _signed_as(document: Mapping[str, Any], did: Did) -> DidUrl | None:
    """The method by which this DID signed, as it says; None: it did not."""
    said = (cast("JsonObject", proof).get("verificationMethod") for proof in proofs_of(document))
    return next((method for method in said if isinstance(method, str) and method.startswith(f"{did}#")), None)


def load_anchors(home: Home, now: Instant) -> Anchors:
    """Whom a state folder believes.

    Raises:
        ConfigurationError: As `AnchorBook`.
    """
    return AnchorBook(home, now).anchors


def viewpoint(home: Home, now: Instant) -> Viewpoint:
    """Whose questions a state folder asks: its agent's and its organisation's, by its anchors."""
    settings = home.configuration
    refused = frozenset(settings.policy.refuse)
    return Viewpoint(anchors=load_anchors(home, now), own=settings.own, now=now, refused=refused)


def followed_anchors(home: Home, now: Instant) -> Followed[Anchors]:
    """Whom a state folder believes, in a peer that runs while that is changed beside it.

    Raises:
        ConfigurationError: As `AnchorBook`.
    """
    files = (home.path / CONFIGURATION, home.anchors)
    return Followed("anchors", files, lambda at: load_anchors(Home(home.path), at), now)


def read_document(file: Path) -> JsonObject:
    """The JSON object in a file.

    Raises:
        FormatError: It is none.
        ConfigurationError: `bad_configuration`: it cannot be read, is no regular file, or is larger than 1 MiB.
    """
    try:
        value = decode_json(read_file(file), FOREIGN_LIMITS)
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{file}: {why(exc)}") from exc
    except FormatError as error:
        error.message = f"{file}: {error.message}"
        raise
    if not isinstance(value, dict):
        raise ConfigurationError("bad_configuration", f"{file} is not a JSON object")
    return value


async def sign_record(home: Home, document: Mapping[str, Any], now: Instant) -> JsonObject:
    """A record or set with the proof of this folder's organisation, or of the agent if it has none.

    Raises:
        ConfigurationError: `key_unavailable`.
    """
    office = home.organisation_document()
    key = home.key("organisation" if office else "agent")
    method = (office or home.document()).methods("assertionMethod")[0]
    config = record_config(JCS_SUITE_OF[key.public_key.kind], method, now)
    return attach(document, config, await key.sign(prepare(document, config, key.public_key.kind)))


def _documents(home: Home, people: tuple[Did, ...]) -> dict[Did, DidDocument]:
    found = {one.id: one for one in home.documents()}
    for did in people:
        if did not in found:
            try:
                # Those of other methods would have to be fetched each time, from somebody who may change them.
                found[did] = document_from(did, {})
            except UndersignedError as error:
                raise ConfigurationError(
                    "bad_configuration", f"[trust] people: expected did:key, did:jwk or an own DID; came {did}"
                ) from error
    return found
