"""Witnesses of our log: strangers to every hire who cosign our checkpoints, and would notice if the log went back.

Each is told of a grown log a while later, not with each leaf, and once more at the end: nobody may be there to ask
afterwards. One that cannot be reached is asked again. One that has cosigned what our log does not continue says that
the store was put back from an old copy, or rewritten: then this side does not start, because what it would sign
contradicts what it signed.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Did, Instant, format_instant, parse_instant
from undersigned.errors import LedgerError, LogProofError, ResolutionError, TimedOut, TransportError, UndersignedError
from undersigned.ledger import Blob, Head, Ledger
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.runtime.clock import Clock
from undersigned.runtime.fetching.fetcher import FetchAnswer
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import Signer
from undersigned.transparency import (
    SIZE_TYPE,
    NoteVerifier,
    cosigned_until,
    read_checkpoint,
    read_note,
    read_verifier,
    submission,
    verify_cosignature,
)
from undersigned.transport import is_https_base

from .logbook import noted

__all__ = ["Cosigned", "Witness", "WitnessPart", "Witnesses", "believed", "witnesses_of"]

_log: Final = structlog.get_logger("undersigned.witnesses")
ASK_SECONDS: Final = 5.0
"""For an answer of a witness."""
LAST_SECONDS: Final = 1.5
"""The same at the end, of one that could not be reached when it was asked before: nobody waits for it in full again."""
ROUND_SECONDS: Final = 30.0
"""Between two looks at whether the log has grown."""
MAX_ANSWER_BYTES: Final = 4096
MAX_WITNESSES: Final = 16


class Witness(msgspec.Struct, frozen=True):
    """Somebody who is asked to cosign our checkpoints."""

    url: str
    """`add-checkpoint` stands below it."""
    verifier: NoteVerifier


class WitnessPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A witness that is told of our log as it grows, and cosigns it (C2SP `tlog-witness`)."""

    url: str
    """`https://…`; `/add-checkpoint` stands below it."""
    key: str
    """Its verifier key, `name+hash+key`, as `undersigned witness serve` shows it: nobody else's cosignature counts."""

    def checked(self, local: bool) -> Witness:
        """The witness as it is asked.

        Raises:
            ValueError: What is wrong, and of which witness.
        """
        if not is_https_base(self.url, local):
            raise ValueError(f"witness {self.url}: expected https://host, with no query")
        try:
            verifier = read_verifier(self.key)
        except LogProofError as exc:
            raise ValueError(f"witness {self.url}: key: {exc.message}") from exc
        if not verifier.cosigns:
            raise ValueError(f"witness {self.url}: {self.key[:200]} is the key of a log, not of a witness")
        return Witness(self.url.rstrip("/"), verifier)


def witnesses_of(parts: Iterable[WitnessPart], *, local: bool) -> tuple[Witness, ...]:
    """The witnesses that are asked.

    Raises:
        ValueError: What is wrong.
    """
    found = tuple(part.checked(local) for part in parts)
    if len(found) > MAX_WITNESSES or len({one.verifier for one in found}) < len(found):
        raise ValueError(f"witness: expected at most {MAX_WITNESSES}, each once")
    return found


class Cosigned(msgspec.Struct, frozen=True):
    """What came of asking one witness."""

    witness: Witness
    line: str = ""
    """Its signature line, with the newline; empty if there is none."""
    at: Instant | None = None
    """When it says that it saw the checkpoint."""
    error: UndersignedError | None = None
    """`ledger_diverged`, its checkpoint is none of ours; others, it could not be asked, or would not."""


class Witnesses:
    """One per agent."""

    def __init__(
        self, witnesses: tuple[Witness, ...], ledger: Ledger, own: Did, key: Signer, gatherer: Gatherer, clock: Clock
    ) -> None:
        """`key` signs the checkpoints of the log of `own` in `ledger`; nothing cosigned after `clock` is taken."""
        self._witnesses = witnesses
        self._ledger, self._own, self._key, self._gatherer, self._clock = ledger, own, key, gatherer, clock
        self.unwitnessed: tuple[Cosigned, ...] = ()
        """Those that did not cosign what the log had grown to by `last`, whose answer was waited for or not."""
        self._known: dict[Witness, int] = {}
        """Leaves of what each cosigned last, as far as it said so."""
        self._away: set[Witness] = set()
        """Who could not be reached when it was asked last."""
        self._found: dict[Witness, Cosigned] = {}
        """What came of asking last, as it comes."""
        self._begun: int | None = None
        """Leaves of the log when this side started, once it may; None: nothing was asked yet, or it must not start."""
        self._newest: tuple[Head, str] | None = None
        self._documents: dict[Did, DidDocument] = {}

    @property
    def newest(self) -> str | None:
        """The newest note that any of them cosigned, with their lines."""
        return self._newest[1] if self._newest is not None else None

    def documents(self) -> tuple[Blob, ...]:
        """DID documents of those who cosigned, for whoever checks their lines later."""
        return tuple(
            Blob(digest=one.raw_digest, raw=one.raw, kind="did-document", name=did)
            for did, one in self._documents.items()
        )

    def note_of(self, head: Head) -> str | None:
        """The note of this head with what witnesses signed below it, if any did."""
        return self._newest[1] if self._newest is not None and self._newest[0] == head else None

    async def first(self) -> None:
        """At the start: whether a witness knows a history that this one does not continue. Who is out of reach is
        asked later.

        Raises:
            LedgerError: `ledger_diverged`.
        """
        kept = await self._ledger.checkpoint()
        if kept is not None:
            head = read_checkpoint(read_note(kept).text)
            self._newest = Head(head.size, head.root), believed(kept, self._clock.now())
        size = await self._ledger.tree_size()
        _require_one_history(await self._round())
        self._begun = size

    async def last(self) -> None:
        """At the end, while our DID document is still served, by which a witness knows our key: asks once more, if the
        log has grown since the start and one of them has not cosigned all of it. Those who did not then are
        `unwitnessed`, also when this is cancelled. All are asked at once, and each has `ASK_SECONDS` for an answer, or
        `LAST_SECONDS` if it was out of reach before; none keeps this side from ending.

        Raises:
            LedgerError: `ledger_diverged`, as the next start would; others, the ledger cannot be read or written.
        """
        size = await self._ledger.tree_size()
        if self._begun is None or self._begun == size or not self._behind(size):
            return
        try:
            found = await self._kept(LAST_SECONDS)
        finally:
            self.unwitnessed = tuple(one for one in self._found.values() if one.error is not None)
        _require_one_history(found)

    def _behind(self, size: int) -> bool:
        return any(self._known.get(one) != size for one in self._witnesses)

    async def _kept(self, away_seconds: float = ASK_SECONDS) -> tuple[Cosigned, ...]:
        """Asks, and keeps what was signed beyond the next start, also what came before this was cancelled."""
        try:
            return await self.ask(away_seconds)
        finally:
            if self._newest is not None and any(one.line for one in self._found.values()):
                await self._ledger.put_checkpoint(*self._newest)

    async def _round(self) -> tuple[Cosigned, ...]:
        """The same, and fetches what others need to check it."""
        found = await self._kept()
        for name in {one.witness.verifier.name for one in found if one.line}:
            try:
                if not is_derived(name):
                    self._documents[name] = await self._gatherer.document(name)
            except UndersignedError as error:
                _log.info("no DID document of a witness", witness=name, error=str(error))
        return found

    async def run(self) -> None:
        """Asks again whenever the log has grown; returns when cancelled, or when there is nobody to ask."""
        while self._witnesses:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                if self._behind(await self._ledger.tree_size()):
                    _require_one_history(await self._round())
            except UndersignedError as error:
                _log.error("the log was not shown to its witnesses", error=str(error))

    async def ask(self, away_seconds: float = ASK_SECONDS) -> tuple[Cosigned, ...]:
        """Asks every witness to cosign the log as it stands. Who was out of reach before has `away_seconds`.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        answers: dict[Witness, Cosigned] = {}
        self._found = answers
        if not self._witnesses:
            return ()
        # An empty log too: it may have been another.
        head = await self._ledger.head()
        note = await noted(self._ledger, self._own, self._key, head)
        early = TimedOut("timeout", "it had not answered when this side was ended")
        answers.update((one, Cosigned(one, error=early)) for one in self._witnesses)
        seconds = {one: away_seconds if one in self._away else ASK_SECONDS for one in self._witnesses}
        try:
            await asyncio.gather(*(self._ask(one, head, note, seconds[one], answers) for one in self._witnesses))
        finally:
            lines = "".join(one.line for one in answers.values())
            if lines and (self._newest is None or self._newest[0].size <= head.size):
                self._newest = head, note + lines + self._before(head, note + lines)
        return tuple(answers.values())

    def _before(self, head: Head, note: str) -> str:
        """The lines of our witnesses that stand below this head since before, and not in `note`: whoever signed them
        may be away now.
        """
        before = self.note_of(head)
        if before is None:
            return ""
        there = {name for name, _, _ in read_note(note).signatures}
        names = {one.verifier.name for one in self._witnesses} - there
        lines = before.rpartition("\n\n")[2].splitlines(keepends=True)
        signed = zip(lines, read_note(before).signatures, strict=True)
        return "".join(line for line, (name, _, _) in signed if name in names)

    async def _ask(
        self, witness: Witness, head: Head, note: str, seconds: float, answers: dict[Witness, Cosigned]
    ) -> None:
        self._away.discard(witness)
        try:
            line, at = await self._cosigned(witness, head, note, seconds)
        except UndersignedError as error:
            if isinstance(error, ResolutionError) or error.code == "unreachable":
                self._away.add(witness)
            # A warning even where it is grave: that is raised, and told, by who asked.
            _log.warning("a witness did not cosign our log", witness=witness.verifier.name, error=str(error))
            answers[witness] = Cosigned(witness, error=error)
        else:
            self._known[witness] = head.size
            answers[witness] = Cosigned(witness, line, at)

    async def _cosigned(self, witness: Witness, head: Head, note: str, seconds: float) -> tuple[str, Instant]:
        """The line of a witness below `note`, and its time.

        Raises:
            LogProofError: `ledger_diverged`; `log_proof_invalid`, it would not, or what it answered is no cosignature,
                or one made after our now (HIRE-LOG-24).
            ResolutionError: `did_forbidden_address`: it is not dialled.
            TransportError: `unreachable`; or it could not look now: `did_unresolvable`, our DID document was not there
                for it; `overloaded`, anything else.
        """
        name = witness.verifier.name
        old = self._known.get(witness, 0)
        answer = await self._post(witness, old, head, note, seconds)
        if answer.status == 409:
            old = _held(answer, old, head, name)
            if old > head.size:
                raise LogProofError(
                    "ledger_diverged",
                    f"{name} has cosigned {old} leaves of our log, which has {head.size}: it was put back from an old "
                    "copy, or another copy of it is running",
                )
            answer = await self._post(witness, old, head, note, seconds)
            if answer.status == 409:
                _held(answer, old, head, name)
        # Every log continues one without leaves: who says no to that has said nothing of ours.
        if answer.status == 422 and old > 0:
            raise LogProofError("ledger_diverged", f"our log does not continue the {old} leaves that {name} cosigned")
        text = answer.body.decode("utf-8", "replace")
        if answer.status == 503 and text.strip() == "did_unresolvable":
            hint = "our DID document, with the key of our log, was not there for it. Does our own peer run ('serve')?"
            raise TransportError("did_unresolvable", f"{name} answered 503: {hint}")
        if answer.status in (429, 503):
            raise TransportError(
                "overloaded", f"{name} takes no checkpoint now: {answer.status} {text.strip()[:200]!a}"
            )
        if answer.status != 200:
            raise LogProofError("log_proof_invalid", f"{name} answered {answer.status}: {text.strip()[:200]!a}")
        line, made = _line_of(witness.verifier, note, text)
        now = self._clock.now()
        if made > _latest(now):
            ahead = made - int(parse_instant(now).timestamp())
            text = (
                f"{name} cosigned {ahead} s after {now}, our now: its clock or ours is wrong, and that proves nothing"
            )
            raise LogProofError("log_proof_invalid", text)
        return line, format_instant(datetime.fromtimestamp(made, UTC))

    async def _post(self, witness: Witness, old: int, head: Head, note: str, seconds: float) -> FetchAnswer:
        path = await self._ledger.consistency(old, head.size)
        return await self._gatherer.exchange(
            "POST",
            f"{witness.url}/add-checkpoint",
            max_bytes=MAX_ANSWER_BYTES,
            timeout_seconds=seconds,
            body=submission(old, path, note),
        )


def _require_one_history(found: Iterable[Cosigned]) -> None:
    """Returns unless a witness holds a history of our log that it does not continue.

    Raises:
        LedgerError: `ledger_diverged`.
    """
    for one in found:
        if one.error is not None and one.error.code == "ledger_diverged":
            raise LedgerError("ledger_diverged", one.error.message)


def _held(answer: FetchAnswer, old: int, head: Head, name: str) -> int:
    """How many leaves a witness has cosigned that was thought to have cosigned `old`.

    Raises:
        LogProofError: `ledger_diverged`: as many as `head` has, with another root; `log_proof_invalid`: it names no
            checkpoint that it holds.
    """
    size = answer.body.decode("utf-8", "replace").removesuffix("\n")
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == SIZE_TYPE and size.isascii() and size.isdigit() and int(size[:20]) != old:
        return int(size[:20])
    # Without a size it speaks of the one that it was asked from, and only of two trees as large can it say so.
    if 0 < old == head.size:
        raise LogProofError("ledger_diverged", f"{name} cosigned another root of the {old} leaves of our log")
    raise LogProofError("log_proof_invalid", f"{name} answered 409, and not what it holds: {size.strip()[:200]!a}")


def believed(note: str, now: Instant) -> str:
    """The note without lines of witnesses that were made after `now` (HIRE-LOG-24): no pack would hold with them."""
    return cosigned_until(note, _latest(now))


def _latest(now: Instant) -> int:
    """When a cosignature may have been made at the latest, in seconds since 1970."""
    return int(parse_instant(now).timestamp()) + MAX_SKEW_SECONDS


def _line_of(verifier: NoteVerifier, note: str, answer: str) -> tuple[str, int]:
    """The line of an answer that this key signed, and its time in seconds since 1970; lines by others are ignored."""
    text = read_note(note).text.decode()
    for line in answer.splitlines(keepends=True):
        try:
            _, seconds = verify_cosignature(f"{text}\n{line}", verifier.name, verifier.key)
        except LogProofError:
            continue
        return line, seconds
    raise LogProofError("log_proof_invalid", f"{verifier.name} answered no cosignature of its key: {answer[:200]!a}")
