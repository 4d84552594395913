"""What people signed about what waits for them, as files of the state folder: `approvals/<terms>/<statement>.json`.

They are dropped there by whoever has them, whether or not the peer runs; so the ledger keeps its one writer. A refusal
is booked in the ledger as well, under the digest of the terms alone, and is never given back.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from undersigned.encoding import Digest, Instant, JsonObject, canonicalize, digest_bytes
from undersigned.errors import ConfigurationError, UndersignedError, VerificationError
from undersigned.ledger import Blob, Draw, Ledger, Reservation
from undersigned.proof import JCS_SUITE_OF, attach, prepare
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.anchors import read_document
from undersigned.runtime.home.configuration import CONFIGURATION
from undersigned.runtime.home.followed import Followed
from undersigned.runtime.home.home import Home
from undersigned.trust import Approvers, VerifiedApproval, record_config, verify_approval

__all__ = [
    "Mark",
    "drop_approval",
    "dropped",
    "evidence_of",
    "followed_approvers",
    "load_approvers",
    "refuse",
    "refused",
    "sign_approval",
    "statement_files",
    "verified",
]

_log = structlog.get_logger()

MAX_FILES: Final = 256
"""Statements about the same terms that are looked at."""

Mark: TypeAlias = tuple[str, int, int]
"""A file by its name, and when and how long it was written: one that was not all there yet is another one later."""


def load_approvers(home: Home) -> Approvers:
    """The people who may approve in a state folder.

    Raises:
        ConfigurationError: `bad_configuration`: one of them has the key of the agent or its organisation. What runs
            here could approve to itself.
    """
    approvers = home.approvers
    for document in home.documents() if approvers.people else ():
        for person in approvers.people:
            if document.signs_by(person.key):
                raise ConfigurationError(
                    "bad_configuration",
                    f"[approvers] {person.name} has a key of {document.id}, which is kept in this folder",
                )
    return approvers


def followed_approvers(home: Home, now: Instant) -> Followed[Approvers]:
    """The people who may approve, in a peer that runs while its settings are changed beside it.

    Raises:
        ConfigurationError: As `load_approvers`.
    """
    return Followed("approvers", (home.path / CONFIGURATION,), lambda _: load_approvers(Home(home.path)), now)


async def sign_approval(person: Home, approvers: Approvers, document: JsonObject, now: Instant) -> JsonObject:
    """The statement with the proof of the person whose own state folder `person` is.

    Raises:
        ConfigurationError: `key_unavailable`.
        VerificationError: `key_not_authorized`: this key is nobody's who may approve.
    """
    key = person.key("agent")
    approver = approvers.of_key(key.public_key)
    if approver is None:
        raise VerificationError(
            "key_not_authorized", f"[approvers] names nobody with the key {key.public_key.multikey}"
        )
    config = record_config(JCS_SUITE_OF[approver.key.kind], approver.method, now)
    return attach(document, config, await key.sign(prepare(document, config, approver.key.kind)))


def drop_approval(home: Home, signed: JsonObject, now: Instant) -> VerifiedApproval:
    """Puts a signed statement where the peer of a state folder finds it; what it says, once it is on disk.

    Raises:
        UndersignedError: As `verify_approval`.
    """
    said = verify_approval(signed, load_approvers(home), now=now)
    write_whole(home.approvals / said.about.terms / f"{said.digest}.json", canonicalize(signed))
    return said


def dropped(folder: Path) -> list[JsonObject]:
    """What lies in a folder, not verified; what cannot be read is left out."""
    found: list[JsonObject] = []
    for file, _ in statement_files(folder):
        with suppress(UndersignedError):
            found.append(read_document(file))
    return found


def statement_files(folder: Path, but: Set[Mark] = frozenset()) -> list[tuple[Path, Mark]]:
    """The files in a folder, without those that are as they were when they were told apart."""
    found: list[tuple[Path, Mark]] = []
    for file in sorted(folder.glob("*.json")):
        with suppress(OSError):
            status = file.stat()
            found.append((file, (str(file), status.st_mtime_ns, status.st_size)))
    return [one for one in found if one[1] not in but][:MAX_FILES]


def verified(documents: Iterable[JsonObject], approvers: Approvers, now: Instant) -> list[VerifiedApproval]:
    """Those that count as statements at all; the others say nothing."""
    found: list[VerifiedApproval] = []
    for document in documents:
        with suppress(UndersignedError):
            found.append(verify_approval(document, approvers, now=now))
    return found


def evidence_of(signed: JsonObject) -> Blob:
    """A statement as it is kept."""
    raw = canonicalize(signed)
    return Blob(digest=digest_bytes(raw), raw=raw, kind="approval", name=str(signed["verdict"]))


async def refused(ledger: Ledger, terms: Digest) -> bool:
    """Whether a person refused these terms.

    Raises:
        LedgerError: It could not be looked up.
    """
    return bool(await ledger.usage(_pool(terms)))


async def refuse(ledger: Ledger, said: VerifiedApproval, now: Instant) -> None:
    """Books a refusal, at our time: `given` is what a person says. What is spent of a limit is spent in every
    engagement and every process on this ledger.

    Raises:
        LedgerError: It could not be.
    """
    if not await refused(ledger, said.about.terms):
        pool = _pool(said.about.terms)
        await ledger.reserve(Reservation(contract=pool, id=pool, draws=(Draw("refused", "1"),), until=now, at=now))


def _pool(terms: Digest) -> str:
    return f"refused:{terms}"
